// SPDX-License-Identifier: Apache-2.0
//! From init's *(step, call, errno)* to a sentence.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Kind};
use insula_plan::{Phase, Plan, Planned};
use insula_steps::Step;
use insula_steps::message::Call;
use rustix::io::Errno;

/// A failure as init reports it.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) step: u32,
    pub(crate) call: Option<Call>,
    pub(crate) errno: i32,
    pub(crate) object: String,
}

/// The error for a fault of `plan`.
pub(crate) fn error(plan: &Plan, fault: &Fault) -> Error {
    let planned = plan.steps.get(fault.step as usize);
    if let Some(error) = planned.and_then(|planned| of_program(planned, fault)) {
        return error;
    }
    let call = fault.call.map_or("a system call", Call::name);
    let object = if fault.object.is_empty() { String::from(call) } else { format!("{call} {:?}", fault.object) };
    let attempted = planned.map_or(Cow::Borrowed("carry out the plan"), |planned| purpose(&planned.step));
    let mut error = Error::kernel(fault.errno, attempted).object(object);
    if let Some(planned) = planned {
        if planned.field.is_some() {
            error = error.field(format!("{}", planned.field));
        }
        if let Some((reason, advice)) = meaning(planned, fault) {
            error = error.reason(reason);
            if !advice.is_empty() {
                error = error.advice(advice);
            }
        }
    }
    error
}

/// Engines turn these words into exit statuses 127 and 126, so they are runc's (Go's os/exec).
fn of_program(planned: &Planned, fault: &Fault) -> Option<Error> {
    let errno = Errno::from_raw_os_error(fault.errno);
    if fault.call == Some(Call::Ambient) {
        let number = fault.object.bytes().next().map_or(0, usize::from);
        let name = insula_plan::capability_names().get(number).copied().unwrap_or("beyond those known");
        return Some(
            // COMPAT(runc): its words, which are only a warning.
            Error::kernel(
                fault.errno,
                format!("can't raise ambient capability {name}: it must be permitted and inheritable"),
            )
            .field("/process/capabilities/ambient"),
        );
    }
    let text = |what: &str| Error::new(Kind::Exec, what.replace("{}", &fault.object));
    match (&planned.step, errno) {
        (Step::Find { program, .. }, Errno::NOENT) if !program.to_bytes().contains(&b'/') => {
            Some(text("exec: \"{}\": executable file not found in $PATH"))
        }
        (Step::Find { .. }, Errno::NOENT | Errno::NOTDIR) => {
            Some(text("exec: \"{}\": stat {}: no such file or directory"))
        }
        (Step::Find { .. } | Step::Exec { .. }, Errno::ACCESS) => Some(text("exec: \"{}\": permission denied")),
        (Step::Find { .. } | Step::Exec { .. }, _) => {
            Some(text(&format!("exec {{}}: {}", insula_error::errno_text(fault.errno))))
        }
        (Step::Cwd { path, .. }, Errno::NOTDIR | Errno::NOENT | Errno::ACCESS | Errno::LOOP) => Some(
            Error::new(
                Kind::Kernel(fault.errno),
                format!("chdir to cwd (\"{}\") set in config.json", path.to_string_lossy()),
            )
            .field("/process/cwd")
            .advice(if errno == Errno::LOOP {
                "it leads through a link that points out of the container"
            } else {
                "it must be a directory that the process's user may enter"
            }),
        ),
        _ => None,
    }
}

/// What a step is for, after "cannot".
pub(crate) fn purpose(step: &Step<'_>) -> Cow<'static, str> {
    let text = |c: &core::ffi::CStr| String::from(c.to_string_lossy());
    let bytes = |b: &[u8]| String::from(String::from_utf8_lossy(b));
    match step {
        Step::Join { .. } => "join the namespace".into(),
        Step::Unshare { .. } => "make the namespaces".into(),
        Step::Ask { .. } => "hand over to the runtime".into(),
        Step::Fork { .. } => "start the container's first process".into(),
        Step::BecomeRoot {} => "become root of the user namespace".into(),
        Step::WriteTo { .. } => "join the cgroup".into(),
        Step::Loopback {} => "bring the loopback interface up".into(),
        Step::Hostname { name } => format!("set the host name to {}", bytes(name)).into(),
        Step::Domainname { name } => format!("set the domain name to {}", bytes(name)).into(),
        Step::HostnameIs { name } | Step::DomainnameIs { name } => {
            format!("use the name {} in the joined uts namespace", bytes(name)).into()
        }
        Step::Session {} => "start a session".into(),
        Step::Propagate { .. } => "set mount propagation".into(),
        Step::Root { .. } | Step::Anchor { .. } => "attach the root file system".into(),
        Step::Mount { fstype, target, .. } => format!("mount {} on {}", text(fstype), text(target)).into(),
        Step::Attach { target, .. } => format!("bind to {}", text(target)).into(),
        Step::Rebind { source, target, .. } => format!("bind {} to {}", text(source), text(target)).into(),
        Step::Change { target, .. } => format!("change the mount {}", text(target)).into(),
        Step::Device { path, .. } => format!("make the device {}", text(path)).into(),
        Step::Link { path, .. } => format!("make the link {}", text(path)).into(),
        Step::Mask { path, .. } => format!("mask {}", text(path)).into(),
        Step::ReadOnly { path, .. } => format!("make {} read-only", text(path)).into(),
        Step::Pivot {} | Step::MoveRoot {} | Step::Chroot { .. } => "change the root".into(),
        Step::Sysctl { name, value } => format!("set the kernel parameter {} to {:?}", text(name), bytes(value)).into(),
        Step::Terminal { .. } => "make the terminal".into(),
        Step::Limit { soft, hard, .. } => format!("set the resource limit to {soft}:{hard}").into(),
        Step::Keyring { .. } => "make a session keyring".into(),
        Step::Bounding { .. } => "limit the bounding set".into(),
        Step::User { uid, gid, .. } => format!("become user {uid}:{gid}").into(),
        Step::Capabilities { .. } => "set the capabilities".into(),
        Step::Regain { .. } => "make the permitted capabilities effective".into(),
        Step::Umask { .. } => "set the umask".into(),
        Step::NoNewPrivs {} => "set no_new_privs".into(),
        Step::Seccomp { .. } => "install the seccomp filter".into(),
        Step::Cwd { path, .. } => format!("change to {}", text(path)).into(),
        Step::Home { .. } => "find the home directory".into(),
        Step::Find { program, .. } => format!("find {}", text(program)).into(),
        Step::Ready {} | Step::AwaitStart { .. } => "wait for the start".into(),
        Step::CloseFrom { .. } => "close descriptors".into(),
        Step::Exec { .. } => "start the program".into(),
        Step::Personality { .. } => "set the personality".into(),
        Step::IoPriority { .. } => "set the I/O priority".into(),
        Step::Scheduler { .. } => "set the scheduler".into(),
        Step::MemoryPolicy { .. } => "set the memory policy".into(),
        Step::Label { label, .. } => format!("set the security label {:?}", bytes(label)).into(),
        Step::Place { .. } => "place a descriptor".into(),
        Step::Detach { path, .. } => format!("copy the mount of {}", text(path)).into(),
        Step::Adjust { .. } => "change the copied mount".into(),
        Step::Early { fstype, .. } => {
            format!("mount {}, attached nowhere, before the user namespace is entered", text(fstype)).into()
        }
        Step::NullStreams { .. } => "give the process the container's /dev/null".into(),
        Step::FileLabel { target, .. } => format!("label {}", text(target)).into(),
        Step::DropGroups {} => "give up supplementary groups".into(),
        Step::Lower { .. } => "give up capabilities".into(),
        Step::Procfs { .. } => "use a procfs for kernel parameters".into(),
        Step::Undumpable {} => "hide from other processes".into(),
        Step::Affinity { .. } => "set the CPU affinity".into(),
    }
}

/// What an errno means for a step, where the kernel's word misleads: reason and advice.
fn meaning(planned: &Planned, fault: &Fault) -> Option<(Cow<'static, str>, &'static str)> {
    let errno = Errno::from_raw_os_error(fault.errno);
    match (&planned.step, fault.call, errno) {
        (Step::Mount { .. } | Step::Attach { .. }, Some(Call::NotPlain), Errno::PERM) => {
            Some(("it lies inside /proc".into(), "only a short list of files there can be covered"))
        }
        (Step::Mount { .. }, Some(Call::NotPlain), _) => {
            Some(("it must be mounted on ordinary directory of the root file system, not on a link".into(), ""))
        }
        (Step::Mount { fstype, .. }, Some(Call::Fsopen), Errno::NODEV) => {
            Some((format!("this kernel has no file system {}", fstype.to_string_lossy()).into(), ""))
        }
        (Step::Mount { .. } | Step::Early { .. }, _, Errno::PERM) => Some((
            "the namespace that the file system shows (pid for proc, network for sysfs, ipc for mqueue, cgroup for cgroup) is not owned by the container's user namespace".into(),
            "make that namespace new as well, or bind the host's mount",
        )),
        (Step::Fork { .. }, _, Errno::NOMEM) => Some(("the pid namespace has no init any more".into(), "")),
        (Step::HostnameIs { .. } | Step::DomainnameIs { .. }, ..) => Some((
            format!("it is named {:?} already, and its other members would be renamed", fault.object).into(),
            "remove the field, or make a new uts namespace",
        )),
        (Step::Join { .. }, _, Errno::PERM) => {
            Some(("the caller has no rights over the user namespace that owns it".into(), "join that user namespace as well"))
        }
        (Step::Scheduler { .. }, _, Errno::PERM) => Some((
            "process scheduler can't be used together with AllowedCPUs (linux.resources.cpu.cpus)".into(),
            "or the caller lacks CAP_SYS_NICE",
        )),
        (Step::Propagate { .. }, _, Errno::INVAL) => Some((
            "the caller's root directory is no mount point (a plain chroot)".into(),
            "bind it on itself first: mount --bind DIR DIR, then chroot DIR",
        )),
        (Step::Limit { .. }, _, Errno::PERM) => Some(("raising a hard limit needs CAP_SYS_RESOURCE".into(), "")),
        (Step::Device { .. }, _, Errno::EXIST) => {
            Some(("the image has something else under that name".into(), "mount a tmpfs on /dev, as the default document does"))
        }
        (_, _, Errno::NOSPC) if planned.phase <= Phase::Enter => {
            Some(("a limit in /proc/sys/user, or the nesting limit of 32 levels, is reached".into(), ""))
        }
        _ => None,
    }
}
