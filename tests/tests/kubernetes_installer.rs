// SPDX-License-Identifier: Apache-2.0
//! dist/kubernetes/install.sh on a node that is a directory with the settings of an engine.

use insula_tests::{Lab, Output, is_insula, runtime, skip};
use std::fs;
use std::path::{Path, PathBuf};

/// The repository's files for Kubernetes.
fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").join("dist")
}

/// A node: a root file system with containerd's settings, and what the installer's image has beside it.
struct Node {
    lab: Lab,
}

impl Node {
    fn new(settings: &str) -> Option<Self> {
        if !is_insula() {
            return None;
        }
        let lab = Lab::new();
        for directory in
            ["host/etc/containerd", "host/etc/crio", "host/proc", "host/sys", "host/dev", "host/run", "image"]
        {
            fs::create_dir_all(lab.path(directory)).expect("make a directory");
        }
        fs::write(lab.path("host/etc/containerd/config.toml"), settings).expect("write settings");
        fs::copy(runtime(), lab.path("image/insula")).expect("copy the program");
        fs::copy(dist().join("kubernetes/install.sh"), lab.path("image/install.sh")).expect("copy the script");
        for part in ["containerd", "crio"] {
            let to = lab.path("image").join(part);
            fs::create_dir(&to).expect("make a directory");
            for entry in fs::read_dir(dist().join(part)).expect("list the snippets") {
                let path = entry.expect("a snippet").path();
                fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copy a snippet");
            }
        }
        Some(Self { lab })
    }

    /// Runs the script as the DaemonSet does, in a mount namespace where the node has its kernel file systems.
    fn run(&self, command: &str) -> Output {
        let script = "mount -n --bind \"$HOST\" \"$HOST\"; for d in proc sys dev; do mount -n --rbind /$d \"$HOST/$d\"; done; exec \"$@\"";
        let words = ["--mount", "sh", "-ec", script, "sh"];
        let host = self.lab.path("host");
        let install = self.lab.path("image/install.sh");
        self.lab.command("unshare").args(words).arg(install).arg(command).env("HOST", host).env("RESTART", "no").run()
    }

    fn read(&self, name: &str) -> String {
        let path = self.lab.path("host").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn has(&self, name: &str) -> bool {
        self.lab.path("host").join(name).exists()
    }
}

const PROGRAM: &str = "usr/local/bin/insula";
const CRIO: &str = "etc/crio/crio.conf.d/50-insula.conf";
const MAIN: &str = "etc/containerd/config.toml";
const VERSION_2: &str = "version = 2\n\n[plugins]\n";

macro_rules! node {
    ($settings:expr) => {
        match Node::new($settings) {
            Some(node) => node,
            None => skip!("it installs insula"),
        }
    };
}

#[test]
fn installs_proves_and_removes() {
    let node = node!(VERSION_2);
    let output = node.run("install");
    output.assert_code(0);
    assert!(output.stdout.contains("installed: "), "{output}");
    let program = fs::read(node.lab.path("host").join(PROGRAM)).expect("the program");
    assert!(program == fs::read(runtime()).expect("the program"), "another program was installed");
    let settings = node.read(MAIN);
    assert!(settings.starts_with(VERSION_2), "{settings}");
    assert!(settings.contains("BinaryName = \"/usr/local/bin/insula\""), "{settings}");
    // Whoever names a runtime names all of them.
    assert_eq!(settings.matches("io.containerd.grpc.v1.cri\".containerd.runtimes.runc]").count(), 1, "{settings}");
    assert!(node.read(CRIO).contains("/usr/local/bin/insula"), "{}", node.read(CRIO));
    node.run("status").assert_code(0);
    node.run("uninstall").assert_code(0);
    assert_eq!(node.read(MAIN), VERSION_2, "the engine's settings are as they were");
    for name in [PROGRAM, CRIO] {
        assert!(!node.has(name), "{name} is left");
    }
    let run = fs::read_dir(node.lab.path("host/run")).expect("list /run");
    let left: Vec<_> = run.map(|entry| entry.expect("an entry").file_name()).filter(|name| name != "insula").collect();
    assert!(left.is_empty(), "the proof leaves {left:?}");
}

#[test]
fn a_second_install_changes_nothing() {
    let node = node!("version = 3\n");
    node.run("install").assert_code(0);
    let before = node.read(MAIN);
    node.run("install").assert_code(0);
    assert_eq!(node.read(MAIN), before);
    assert_eq!(before.matches("\"io.containerd.cri.v1.runtime\".containerd.runtimes.insula]").count(), 1, "{before}");
}

#[test]
fn settings_of_unknown_version_are_left_alone() {
    let node = node!("version = 1\n");
    let output = node.run("install");
    assert_ne!(output.code(), 0, "{output}");
    assert!(output.stderr.contains("config migrate"), "{output}");
    assert_eq!(node.read(MAIN), "version = 1\n");
}

/// What an administrator says of the same plugin stays in force.
#[test]
fn settings_of_the_administrator_stay() {
    let plugin = "plugins.\"io.containerd.grpc.v1.cri\"";
    let settings = format!(
        "version = 2\nimports = [\"/etc/containerd/mine.toml\"]\n[{plugin}]\n  sandbox_image = \"my/pause\"\n\
         [{plugin}.containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n"
    );
    let node = node!(&settings);
    node.run("install").assert_code(0);
    assert!(node.read(MAIN).starts_with(&settings), "{}", node.read(MAIN));
    let config = node.lab.path("host").join(MAIN);
    let dump = node.lab.command("containerd").arg("--config").arg(config).args(["config", "dump"]);
    if is_installed("containerd") {
        // The imported file is not there, which containerd would complain of.
        fs::write(node.lab.path("host").join(MAIN), node.read(MAIN).replace("imports", "# imports")).expect("write");
        let dump = dump.ok().stdout;
        for setting in ["sandbox_image = \"my/pause\"", "runtimes.runc]", "BinaryName = \"/usr/local/bin/insula\""] {
            assert!(dump.contains(setting), "{setting} is not in {dump}");
        }
    }
    node.run("uninstall").assert_code(0);
}

/// Whether the program can be run at all.
fn is_installed(program: &str) -> bool {
    std::process::Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn status_sees_another_program() {
    let node = node!(VERSION_2);
    assert_ne!(node.run("status").code(), 0);
    node.run("install").assert_code(0);
    fs::write(node.lab.path("host").join(PROGRAM), "#!/bin/sh\n").expect("replace the program");
    let output = node.run("status");
    assert_ne!(output.code(), 0);
    assert!(output.stderr.contains("not the installer's"), "{output}");
}

#[test]
fn what_containers_need_stays() {
    let node = node!(VERSION_2);
    node.run("install").assert_code(0);
    let bundle = node.lab.bundle();
    let root = node.lab.path("host/run/insula");
    let create = ["create", "--bundle"];
    node.lab.words(&["--root"]).arg(&root).args(create).arg(bundle.path()).arg("needed").ok();
    let output = node.run("uninstall");
    assert_ne!(output.code(), 0, "{output}");
    assert!(output.stderr.contains("needed"), "{output}");
    assert!(node.has(PROGRAM) && node.has(CRIO), "taken away under a container");
    node.lab.words(&["--root"]).arg(&root).args(["delete", "--force", "needed"]).ok();
    node.run("uninstall").assert_code(0);
    assert!(!node.has(PROGRAM));
}
