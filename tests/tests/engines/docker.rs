// SPDX-License-Identifier: Apache-2.0
//! Docker with insula as one of its runtimes. One dockerd serves all tests of this binary.

use crate::daemon::{Daemon, is_installed};
use insula_tests::terminal::Terminal;
use insula_tests::{Lab, Output, cgroups, eventually, parse_json, patience, populate_rootfs, runtime, skip};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A dockerd with the image `alpine` and the runtime `insula`.
#[derive(Debug)]
pub(crate) struct Docker {
    client: &'static str,
    host: String,
    pub(crate) daemon: Daemon,
    /// Whether it has a bridge for its containers.
    pub(crate) bridge: bool,
}

/// The one dockerd; `Err` says why there is none.
pub(crate) fn docker() -> Result<&'static Docker, &'static str> {
    static DOCKER: OnceLock<Result<Docker, String>> = OnceLock::new();
    DOCKER.get_or_init(start).as_ref().map_err(String::as_str)
}

fn start() -> Result<Docker, String> {
    if !is_installed("dockerd") {
        return Err("dockerd is not installed".to_owned());
    }
    // A kernel without bridges or netfilter still runs containers, without a network.
    let docker = launch(true).or_else(|log| launch(false).map_err(|second| format!("{log}\n{second}")));
    let docker = docker.unwrap_or_else(|log| panic!("dockerd does not come up:\n{log}"));
    docker.import();
    Ok(docker)
}

fn launch(bridge: bool) -> Result<Docker, String> {
    let name = if bridge { "docker" } else { "docker-without-bridge" };
    let added = format!("insula={}", runtime().display());
    let parent = format!("/insula-{name}-{}", std::process::id());
    let mut words = vec![
        "dockerd",
        "--data-root",
        "{}/data",
        "--exec-root",
        "{}/exec",
        "--host",
        "unix://{}/socket",
        "--pidfile",
        "{}/pid",
        "--config-file",
        "{}/none.json",
        "--add-runtime",
        &added,
        "--cgroup-parent",
        &parent,
        "--ip6tables=false",
    ];
    if !bridge {
        words.extend(["--bridge=none", "--iptables=false"]);
    }
    let daemon = Daemon::start(name, &words);
    assert_eq!(daemon.cgroup(), parent);
    fs::write(daemon.directory().join("none.json"), "{}").expect("write an empty configuration");
    let host = format!("unix://{}/socket", daemon.directory().display());
    // The machine may have several clients, not all of which speak the daemon's version.
    let answers = |client: &&&str| {
        let mut command = Command::new(client);
        command.args(["--host", &host, "version"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let deadline = Instant::now() + patience();
    while Instant::now() < deadline && !daemon.log().contains("failed to start daemon") {
        if let Some(client) = ["docker", "/usr/bin/docker"].iter().find(answers) {
            return Ok(Docker { client, host, daemon, bridge });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(daemon.log())
}

impl Docker {
    /// Makes the image `alpine:latest` out of busybox.
    fn import(&self) {
        let rootfs = self.daemon.directory().join("alpine");
        populate_rootfs(&rootfs);
        let script = "tar -C \"$1\" -c . | \"$2\" --host \"$3\" import --change 'CMD [\"/bin/sh\"]' - alpine:latest";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&rootfs).arg(self.client).arg(&self.host);
        let output = command.output().expect("run docker import");
        assert!(output.status.success(), "docker import: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A request of Docker's API without a body, which must succeed.
    #[track_caller]
    pub(crate) fn post(&self, path: &str) {
        let socket = self.daemon.directory().join("socket");
        let mut stream = UnixStream::connect(&socket).expect("connect to dockerd");
        write!(stream, "POST {path} HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n").expect("ask dockerd");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read dockerd's answer");
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with('2'), "{path}: {answer}");
    }

    /// Where the shim keeps the runtime's states; Docker of 2020 calls it so for every runtime.
    fn state_roots(&self) -> [PathBuf; 2] {
        ["runc", "insula"].map(|name| self.daemon.directory().join(format!("exec/runtime-{name}/moby")))
    }
}

/// One test's view of Docker: its own container names, all removed at the end and without a trace.
pub(crate) struct Session {
    pub(crate) docker: &'static Docker,
    pub(crate) lab: Lab,
    names: Mutex<BTreeMap<String, String>>,
}

/// Makes a session, or ends the test with the reason.
macro_rules! session {
    () => {
        match docker() {
            Ok(docker) => Session::new(docker),
            Err(reason) => skip!("{reason}"),
        }
    };
}
pub(crate) use session;

impl Session {
    pub(crate) fn new(docker: &'static Docker) -> Self {
        Self { docker, lab: Lab::new(), names: Mutex::new(BTreeMap::new()) }
    }

    /// `docker <words>`.
    #[track_caller]
    pub(crate) fn docker(&self, words: &[&str]) -> Output {
        self.lab.command(self.docker.client).args(["--host", &self.docker.host]).args(words).run()
    }

    /// The client's program and the daemon's address.
    pub(crate) fn client(&self) -> [&str; 2] {
        [self.docker.client, &self.docker.host]
    }

    /// `docker <words>`, which must succeed; its standard output without white space at its ends.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.docker(words);
        assert_eq!(output.code(), 0, "{output}");
        output.text().to_owned()
    }

    /// `docker run --rm --runtime insula <options> alpine <command>`, to its end.
    #[track_caller]
    pub(crate) fn run(&self, options: &[&str], command: &[&str]) -> Output {
        let words = [&["run", "--rm", "--runtime", "insula"], options, &["alpine"], command].concat();
        self.docker(&words)
    }

    /// As [`run`](Self::run), which must succeed; its standard output.
    #[track_caller]
    pub(crate) fn output_of(&self, options: &[&str], command: &[&str]) -> String {
        let output = self.run(options, command);
        assert_eq!(output.code(), 0, "{output}");
        output.stdout
    }

    /// Starts a container in the background and returns its name.
    #[track_caller]
    pub(crate) fn detached(&self, name: &str, options: &[&str], command: &[&str]) -> String {
        let name = format!("{}-{name}", self.lab.name());
        let words =
            [&["run", "--detach", "--runtime", "insula", "--name", &name], options, &["alpine"], command].concat();
        let id = self.ok(&words);
        self.names.lock().expect("no test thread panicked").insert(name.clone(), id);
        name
    }

    /// What a shell script prints in container `name`.
    #[track_caller]
    pub(crate) fn inside(&self, name: &str, script: &str) -> String {
        self.ok(&["exec", name, "sh", "-c", script])
    }

    /// A field of `docker inspect`.
    #[track_caller]
    pub(crate) fn inspect(&self, name: &str, field: &str) -> String {
        self.ok(&["inspect", "--format", field, name])
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let names = std::mem::take(&mut *self.names.lock().expect("no test thread panicked"));
        for (name, id) in names {
            if std::thread::panicking() {
                // The test's own failure is what should be seen.
                let mut command = Command::new(self.docker.client);
                command.args(["--host", &self.docker.host, "rm", "--force", &name]).stdout(Stdio::null());
                let _removed = command.status();
                continue;
            }
            self.ok(&["rm", "--force", &name]);
            eventually("the container's state and cgroups to go", || {
                let state = self.docker.state_roots().iter().any(|root| root.join(&id).exists());
                (!state && cgroups::named(&id).is_empty()).then_some(())
            });
        }
    }
}

/// Every namespace of the process that asks, `kind:[inode]` a line.
const LINKS: &str = "for kind in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$kind; done";

/// The line of `links` for `kind`.
#[track_caller]
fn link<'a>(links: &'a str, kind: &str) -> &'a str {
    links.lines().find(|line| line.starts_with(kind)).unwrap_or_else(|| panic!("no {kind} in {links}"))
}

#[test]
fn run_hostname() {
    let session = session!();
    let name = session.output_of(&[], &["hostname"]);
    assert!(name.trim().len() == 12 && name.trim().bytes().all(|b| b.is_ascii_hexdigit()), "{name:?}");
    assert_eq!(session.output_of(&["--hostname", "island"], &["hostname"]), "island\n");
}

#[test]
fn run_ps() {
    let session = session!();
    let table = session.output_of(&[], &["ps", "aux"]);
    let rows: Vec<_> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), 1, "{table}");
    assert!(rows[0].trim_start().starts_with("1 "), "{table}");
}

#[test]
fn the_runtime_in_use_is_the_one_asked_for() {
    let session = session!();
    let name = session.detached("a", &[], &["sleep", "60"]);
    assert_eq!(session.inspect(&name, "{{.HostConfig.Runtime}}"), "insula");
    let id = session.inspect(&name, "{{.Id}}");
    let kept = session.docker.state_roots().iter().any(|root| root.join(&id).exists());
    assert!(kept, "the state is where the shim told the runtime to keep it");
    assert_eq!(session.inspect(&name, "{{.State.Status}}"), "running");
}

#[test]
fn a_shared_network() {
    let session = session!();
    let app2 = session.detached("app2", &[], &["sleep", "60"]);
    let app1 = session.detached("app1", &["--network", &format!("container:{app2}")], &["sleep", "60"]);
    let (one, two) = (session.inside(&app1, LINKS), session.inside(&app2, LINKS));
    assert_eq!(link(&one, "net"), link(&two, "net"));
    for kind in ["pid", "mnt", "uts", "ipc"] {
        assert_ne!(link(&one, kind), link(&two, kind));
    }
    let interfaces = session.inside(&app1, "ip addr");
    assert_eq!(interfaces, session.inside(&app2, "ip addr"));
    assert_eq!(interfaces.contains("eth0"), session.docker.bridge, "{interfaces}");
    // Really one network: a server in the one, a client in the other.
    session.ok(&["exec", "--detach", &app2, "sh", "-c", "while :; do echo answer | nc -l -p 7777; done"]);
    eventually("the answer through the shared loopback", || {
        let output = session.docker(&["exec", &app1, "nc", "-w", "2", "127.0.0.1", "7777"]);
        (output.text() == "answer").then_some(())
    });
}

#[test]
fn a_network_between_containers() {
    let session = session!();
    if !session.docker.bridge {
        skip!("dockerd cannot make a bridge here");
    }
    let server = session.detached("server", &[], &["sh", "-c", "while :; do echo answer | nc -l -p 80; done"]);
    let address = session.inspect(&server, "{{.NetworkSettings.IPAddress}}");
    eventually("the answer through the bridge", || {
        (session.run(&[], &["nc", "-w", "2", &address, "80"]).text() == "answer").then_some(())
    });
}

#[test]
fn a_shared_pid_namespace() {
    let session = session!();
    let app2 = session.detached("app2", &[], &["sleep", "64"]);
    let app1 = session.detached("app1", &["--pid", &format!("container:{app2}")], &["sleep", "65"]);
    let (one, two) = (session.inside(&app1, LINKS), session.inside(&app2, LINKS));
    assert_eq!(link(&one, "pid"), link(&two, "pid"));
    for kind in ["net", "mnt", "uts", "ipc"] {
        assert_ne!(link(&one, kind), link(&two, kind));
    }
    // A start ends when the program may go on, not when it has become another.
    eventually("the programs of both", || {
        let processes = session.inside(&app1, "ps");
        (processes.contains("sleep 64") && processes.contains("sleep 65")).then_some(())
    });
}

#[test]
fn a_shared_ipc_namespace() {
    let session = session!();
    let app2 = session.detached("app2", &["--ipc", "shareable"], &["sleep", "60"]);
    let app1 = session.detached("app1", &["--ipc", &format!("container:{app2}")], &["sleep", "60"]);
    let (one, two) = (session.inside(&app1, LINKS), session.inside(&app2, LINKS));
    assert_eq!(link(&one, "ipc"), link(&two, "ipc"));
    for kind in ["net", "mnt", "uts", "pid"] {
        assert_ne!(link(&one, kind), link(&two, kind));
    }
    session.inside(&app2, "echo shared > /dev/shm/file");
    assert_eq!(session.inside(&app1, "cat /dev/shm/file"), "shared");
}

/// What Compose makes of `network_mode`, `pid` and `ipc` with `service:app2`: a pod.
#[test]
fn three_namespaces_of_another() {
    let session = session!();
    let app2 = session.detached("app2", &["--ipc", "shareable"], &["sleep", "66"]);
    let other = format!("container:{app2}");
    let options = ["--network", &other, "--pid", &other, "--ipc", &other];
    let members = ["app1", "app3"].map(|name| session.detached(name, &options, &["sleep", "67"]));
    let first = session.inside(&app2, LINKS);
    for member in &members {
        let links = session.inside(member, LINKS);
        for kind in ["net", "pid", "ipc", "user", "time"] {
            assert_eq!(link(&links, kind), link(&first, kind));
        }
        for kind in ["mnt", "uts"] {
            assert_ne!(link(&links, kind), link(&first, kind));
        }
    }
    eventually("the programs of all", || {
        (session.inside(&members[0], "ps | grep -c 'slee[p] 6'") == "3").then_some(())
    });
    // The end of a member is nobody else's; the end of the first process is.
    session.ok(&["kill", &members[1]]);
    assert_eq!(session.inspect(&app2, "{{.State.Status}}"), "running");
    session.ok(&["kill", &app2]);
    eventually("the pid namespace to end", || {
        (session.inspect(&members[0], "{{.State.Status}}") == "exited").then_some(())
    });
}

#[test]
fn namespaces_of_the_host() {
    let session = session!();
    let options = ["--network", "host", "--pid", "host", "--ipc", "host", "--uts", "host"];
    let links = session.output_of(&options, &["sh", "-c", LINKS]);
    let apart = session.output_of(&[], &["sh", "-c", LINKS]);
    for kind in ["net", "pid", "ipc", "uts"] {
        assert_ne!(link(&links, kind), link(&apart, kind), "{kind}");
    }
    let again = session.output_of(&options, &["sh", "-c", LINKS]);
    for kind in ["net", "pid", "ipc", "uts"] {
        assert_eq!(link(&links, kind), link(&again, kind), "{kind}");
    }
}

#[test]
fn exec() {
    let session = session!();
    let name = session.detached("a", &["--env", "FROM=run"], &["sleep", "60"]);
    assert_eq!(session.inside(&name, "echo $FROM"), "run");
    eventually("the program", || {
        (session.inside(&name, "cat /proc/1/cmdline | tr '\\0' ' '") == "sleep 60").then_some(())
    });
    assert_eq!(session.inside(&name, LINKS), session.inside(&name, &LINKS.replace("self", "1")));
    assert_eq!(session.docker(&["exec", &name, "sh", "-c", "exit 42"]).code(), 42);
    // Docker of 2020 says 126 for both.
    let missing = session.docker(&["exec", &name, "nosuch"]);
    assert!([126, 127].contains(&missing.code()), "{missing}");
    assert!(missing.stdout.contains("executable file not found in $PATH"), "{missing}");
    assert_eq!(session.docker(&["exec", &name, "/etc/passwd"]).code(), 126);
    let options = [
        "exec",
        "--user",
        "1000:1001",
        "--workdir",
        "/tmp",
        "--env",
        "A=1",
        &name,
        "sh",
        "-c",
        "id -u; id -g; pwd; echo $A",
    ];
    assert_eq!(session.ok(&options), "1000\n1001\n/tmp\n1");
    let input = session.lab.command(session.docker.client).args(["--host", &session.docker.host]);
    let output = input.args(["exec", "--interactive", &name, "cat"]).stdin_text("through exec\n").ok();
    assert_eq!(output.stdout, "through exec\n");
}

#[test]
fn exec_without_the_client() {
    let session = session!();
    let name = session.detached("a", &[], &["sleep", "60"]);
    session.ok(&["exec", "--detach", &name, "sh", "-c", "echo made > /tmp/made"]);
    eventually("the detached command", || {
        let output = session.docker(&["exec", &name, "cat", "/tmp/made"]);
        (output.text() == "made").then_some(())
    });
}

/// Runs `docker <words>` on a terminal.
pub(crate) fn on_a_terminal(session: &Session, words: &[&str]) -> (Terminal, insula_tests::Background) {
    let (terminal, slave) = Terminal::new(30, 90);
    let client = session.lab.command("setsid").args(["--wait", "--ctty", session.docker.client]);
    let client = client.args(["--host", &session.docker.host]).args(words).stdin(slave.stdio());
    (terminal, client.output_to(|| slave.stdio()))
}

#[test]
fn an_interactive_terminal() {
    let session = session!();
    let words = ["run", "--rm", "--interactive", "--tty", "--runtime", "insula", "alpine", "sh"];
    let (mut terminal, client) = on_a_terminal(&session, &words);
    terminal.write("tty; echo sum-$((40+2))\n");
    let seen = terminal.read_until("sum-42");
    assert!(seen.contains("/dev/pts/0"), "{seen:?}");
    // The client sets the size right after the start.
    eventually("the terminal's size to be passed on", || {
        // What is typed comes back, too; the quotes tell it from what is printed.
        terminal.write("echo 'si'ze-$(stty size | tr ' ' x)-'en'd\n");
        terminal.read_until("-end\r").contains("size-30x90").then_some(())
    });
    terminal.write("exit 7\n");
    client.wait().assert_code(7);
}

#[test]
fn an_interactive_exec() {
    let session = session!();
    let name = session.detached("a", &[], &["sleep", "60"]);
    let (mut terminal, client) = on_a_terminal(&session, &["exec", "--interactive", "--tty", &name, "sh"]);
    terminal.write("tty; echo sum-$((40+2))\n");
    assert!(terminal.read_until("sum-42").contains("/dev/pts/0"));
    terminal.write("exit 3\n");
    client.wait().assert_code(3);
}

/// Answers signals with words, and ends with 5 at SIGTERM.
const TRAPS: &str =
    "trap 'echo got-usr1' USR1; trap 'echo got-term; exit 5' TERM; echo ready; while :; do sleep 0.05; done";

#[track_caller]
fn await_log(session: &Session, name: &str, text: &str) {
    eventually(text, || session.ok(&["logs", name]).contains(text).then_some(()));
}

#[test]
fn stop() {
    let session = session!();
    let name = session.detached("a", &[], &["sh", "-c", TRAPS]);
    await_log(&session, &name, "ready");
    session.ok(&["stop", &name]);
    assert_eq!(session.inspect(&name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 5");
    await_log(&session, &name, "got-term");
    // One that does not listen is killed after the time-out.
    let name = session.detached("b", &[], &["sleep", "60"]);
    session.ok(&["stop", "--time", "1", &name]);
    assert_eq!(session.inspect(&name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
}

#[test]
fn kill() {
    let session = session!();
    let name = session.detached("a", &[], &["sh", "-c", TRAPS]);
    await_log(&session, &name, "ready");
    session.ok(&["kill", "--signal", "USR1", &name]);
    await_log(&session, &name, "got-usr1");
    assert_eq!(session.inspect(&name, "{{.State.Status}}"), "running");
    session.ok(&["kill", &name]);
    assert_eq!(session.ok(&["wait", &name]), "137");
    assert_eq!(session.inspect(&name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
}

#[test]
fn logs() {
    let session = session!();
    let name = session.detached("a", &[], &["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!(session.ok(&["wait", &name]), "3");
    let output = session.docker(&["logs", &name]);
    assert_eq!((&*output.stdout, &*output.stderr), ("out\n", "err\n"));
}

#[test]
fn exit_codes() {
    let session = session!();
    for code in [0, 1, 42, 255] {
        assert_eq!(session.run(&[], &["sh", "-c", &format!("exit {code}")]).code(), code);
    }
    let missing = session.run(&[], &["nosuch"]);
    assert_eq!(missing.code(), 127, "{missing}");
    missing.says(&["executable file not found in $PATH"]);
    let forbidden = session.run(&[], &["/etc/passwd"]);
    assert_eq!(forbidden.code(), 126, "{forbidden}");
    forbidden.says(&["permission denied"]);
    let name = session.detached("a", &[], &["sh", "-c", "exit 42"]);
    session.ok(&["wait", &name]);
    assert_eq!(session.inspect(&name, "{{.State.ExitCode}}"), "42");
}

#[test]
fn restart() {
    let session = session!();
    let name = session.detached("a", &[], &["sh", "-c", "echo started; sleep 60"]);
    await_log(&session, &name, "started");
    session.ok(&["restart", "--time", "0", &name]);
    eventually("the second start", || (session.ok(&["logs", &name]).matches("started").count() == 2).then_some(()));
    session.ok(&["stop", "--time", "0", &name]);
    session.ok(&["start", &name]);
    assert_eq!(session.inspect(&name, "{{.State.Status}}"), "running");
}

#[test]
fn copies_and_commits() {
    let session = session!();
    let name = session.detached("a", &[], &["sleep", "60"]);
    let file = session.lab.write("file", "copied\n");
    session.ok(&["cp", file.to_str().expect("paths are text"), &format!("{name}:/tmp/file")]);
    assert_eq!(session.inside(&name, "cat /tmp/file"), "copied");
    let back = session.lab.path("back");
    session.ok(&["cp", &format!("{name}:/tmp/file"), back.to_str().expect("paths are text")]);
    assert_eq!(fs::read_to_string(back).expect("copied back"), "copied\n");
}

#[test]
fn top_lists_the_processes() {
    let session = session!();
    let name = session.detached("a", &[], &["sh", "-c", "sleep 66 & sleep 67; true"]);
    eventually("both processes", || {
        let table = session.ok(&["top", &name]);
        (table.contains("sleep 66") && table.contains("sleep 67")).then_some(())
    });
}

#[test]
fn the_daemon_knows_the_runtime() {
    let session = session!();
    let runtimes = parse_json(session.ok(&["info", "--format", "{{json .Runtimes}}"]));
    let path = runtimes["insula"]["path"].as_str().expect("the runtime is listed");
    assert_eq!(path, runtime().to_str().expect("paths are text"));
}

#[test]
fn many_containers_at_once() {
    let session = session!();
    let names: Vec<_> = (0..10).map(|number| session.detached(&format!("n{number}"), &[], &["sleep", "60"])).collect();
    let mut links: Vec<_> = names.iter().map(|name| link(&session.inside(name, LINKS), "pid").to_owned()).collect();
    links.sort();
    links.dedup();
    assert_eq!(links.len(), 10, "each has its own");
}

#[test]
fn short_containers_in_the_foreground() {
    let session = session!();
    for _ in 0..10 {
        assert_eq!(session.output_of(&[], &["echo", "said"]), "said\n", "no output is lost");
    }
}
