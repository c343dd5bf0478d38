// SPDX-License-Identifier: Apache-2.0
//! Faults at a chosen system call of a command or of what it starts: ptrace(2) like strace's `inject`, at a small part of
//! its cost. x86_64 only.

use crate::invocation::{Invocation, Output};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL before it is made.
    Kill,
    /// SIGSTOP, and SIGKILL that much later.
    Stop(Duration),
    /// It fails with this error, without being made; close(2) and munmap(2), which cannot be left out, are made.
    Errno(Errno),
}

/// A place: the `call`-th system call (from 1) of the `process`-th process (0: the command itself).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Which process, in the order of their births.
    pub process: usize,
    /// Which of its calls since its birth, or since execve(2) for the command itself.
    pub call: usize,
    /// The call's number as it was in the trace.
    pub number: u64,
}

/// What came of a command.
#[derive(Debug)]
pub struct Injected {
    /// How it ended, and what it said.
    pub output: Output,
    /// How long it went on after the fault, and after the end of a stop; what has not ended 10 s later is killed.
    pub lasted: Duration,
    /// Whether the point was reached.
    pub hit: bool,
    /// All points that were passed.
    pub points: Vec<Point>,
}

/// Starts the command once it is traced.
const SHELL: &str = "/bin/sh";
/// Calls that never return.
const NEVER_RETURN: [u64; 3] = [15, 60, 231];
/// close(2), munmap(2)
const ALWAYS_MADE: [u64; 2] = [3, 11];
/// How long a command may take after the fault before it is killed as one that hangs.
const LONGEST: Duration = Duration::from_secs(10);

/// Runs a command with a fault at `point`, or without one to learn all points.
#[track_caller]
pub fn inject(invocation: Invocation, target: Option<(Point, Fault)>) -> Injected {
    perform(invocation, target, false)
}

/// As [`inject`], but what the command starts is let go when it executes another program: CRIU traces processes itself.
#[track_caller]
pub fn inject_alone(invocation: Invocation, target: Option<(Point, Fault)>) -> Injected {
    perform(invocation, target, true)
}

#[track_caller]
fn perform(invocation: Invocation, target: Option<(Point, Fault)>, alone: bool) -> Injected {
    let (command, capture) = invocation.into_parts();
    let started = Instant::now();
    let words: Vec<OsString> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from).collect();
    let line = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let file = |name: &str| {
        File::options().read(true).write(true).create(true).truncate(true).open(capture.with_extension(name))
    };
    let (mut stdout, mut stderr) = (file("stdout").expect("a file"), file("stderr").expect("a file"));
    // Waits until it is traced.
    let mut shell = Command::new(SHELL);
    shell.args(["-c", "read go; exec \"$@\" </dev/null", "sh"]).args(&words);
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::piped());
    shell.stdout(stdout.try_clone().expect("a descriptor")).stderr(stderr.try_clone().expect("a descriptor"));
    // A thread of its own: all that it traces is let go when it ends.
    let tracer = std::thread::spawn(move || {
        let child = shell.spawn().expect("start the command");
        trace(child, target, alone)
    });
    let (mut child, ended, hit, points) = tracer.join().expect("trace the command");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids fit"));
    if let (true, Some((point, Fault::Stop(time)))) = (hit.is_some(), target) {
        std::thread::sleep(time);
        let stopped = hit.filter(|_| point.process > 0).unwrap_or(pid);
        // It may have ended in the call in which it was stopped.
        let _gone = kill(stopped, Signal::SIGKILL);
    }
    let struck = Instant::now();
    let status = ended.unwrap_or_else(|| wait(&mut child, struck));
    let lasted = struck.elapsed();
    let read = |file: &mut File| {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut text)).expect("read the output");
        String::from_utf8_lossy(&text).into_owned()
    };
    let (stdout, stderr) = (read(&mut stdout), read(&mut stderr));
    Injected {
        output: Output { command: line, status, stdout, stderr, elapsed: started.elapsed() },
        lasted,
        hit: hit.is_some(),
        points,
    }
}

impl Injected {
    /// Whether it had to be killed, since it did not end.
    pub fn hung(&self) -> bool {
        self.lasted > LONGEST
    }
}

/// Waits for the end, which is SIGKILL for one that does not end by itself.
fn wait(child: &mut Child, struck: Instant) -> ExitStatus {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().expect("wait for the command") {
            return status;
        }
        if struck.elapsed() > LONGEST {
            child.kill().expect("kill a command that hangs");
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// The command, its status if it has ended, the process in which the point was reached, and all points until then.
type Traced = (Child, Option<ExitStatus>, Option<Pid>, Vec<Point>);

/// Counts calls until the point is reached, or the command has ended.
fn trace(mut child: Child, target: Option<(Point, Fault)>, alone: bool) -> Traced {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids fit"));
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE;
    ptrace::seize(pid, options).expect("trace the command");
    child.stdin.take().expect("a pipe").write_all(b"\n").expect("let the command go");
    let mut order = vec![pid];
    let mut inside = BTreeSet::new();
    let mut counts = BTreeMap::new();
    let mut points = Vec::new();
    let mut began = false;
    loop {
        let status = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Ok(status) => status,
            Err(Errno::EINTR) => continue,
            Err(error) => panic!("wait for the traced: {error}"),
        };
        let mut deliver = None;
        let stopped = match status {
            WaitStatus::Exited(who, code) if who == pid => {
                return (child, Some(ExitStatus::from_raw(code << 8)), None, points);
            }
            WaitStatus::Signaled(who, signal, _) if who == pid => {
                return (child, Some(ExitStatus::from_raw(signal as i32)), None, points);
            }
            WaitStatus::PtraceSyscall(who) => {
                let entering = inside.insert(who);
                if !entering {
                    inside.remove(&who);
                } else if let Some(process) = order.iter().position(|one| *one == who).filter(|_| began) {
                    // Gone already, if somebody else has killed it.
                    let Ok(registers) = ptrace::getregs(who) else { continue };
                    let count = counts.entry(who).or_insert(0);
                    *count += 1;
                    let point = Point { process, call: *count, number: registers.orig_rax };
                    points.push(point);
                    if let Some((at, fault)) = target
                        && (at.process, at.call) == (process, *count)
                    {
                        strike(who, point.number, fault);
                        return (child, None, Some(who), points);
                    }
                }
                who
            }
            WaitStatus::PtraceEvent(who, _, event) => {
                if who == pid && event == ptrace::Event::PTRACE_EVENT_EXEC as i32 {
                    // Its own execve(2) is about to return. The shell's may be seen, too.
                    inside.insert(who);
                    let line = std::fs::read(format!("/proc/{pid}/cmdline")).expect("the command's line");
                    began = !line.starts_with(SHELL.as_bytes());
                }
                if !order.contains(&who) {
                    order.push(who);
                }
                if alone && who != pid && event == ptrace::Event::PTRACE_EVENT_EXEC as i32 {
                    ptrace::detach(who, None).expect("let another program go");
                    continue;
                }
                who
            }
            WaitStatus::Stopped(who, signal) => {
                deliver = Some(signal);
                who
            }
            _ => continue,
        };
        // It may be gone by now.
        let _gone = ptrace::syscall(stopped, deliver);
    }
}

/// Does it to a process that is about to make the call `number`.
fn strike(who: Pid, number: u64, fault: Fault) {
    match fault {
        Fault::Kill => kill(who, Signal::SIGKILL).expect("kill"),
        Fault::Stop(_) => kill(who, Signal::SIGSTOP).expect("stop"),
        Fault::Errno(_) if NEVER_RETURN.contains(&number) => {}
        Fault::Errno(errno) => {
            let mut registers = ptrace::getregs(who).expect("its registers");
            if !ALWAYS_MADE.contains(&number) {
                registers.orig_rax = u64::MAX;
                ptrace::setregs(who, registers).expect("leave the call out");
            }
            ptrace::syscall(who, None).expect("go on to the call's end");
            // Killed meanwhile, or at the end of the call.
            if let Ok(WaitStatus::PtraceSyscall(_)) = waitpid(who, Some(WaitPidFlag::__WALL)) {
                let mut registers = ptrace::getregs(who).expect("its registers");
                registers.rax = (-i64::from(errno as i32)).cast_unsigned();
                ptrace::setregs(who, registers).expect("set the error");
            }
        }
    }
}
