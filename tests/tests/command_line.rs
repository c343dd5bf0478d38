// SPDX-License-Identifier: Apache-2.0
//! The command line apart from the life cycle: what is printed, logged and refused.

use insula_tests::terminal::Terminal;
use insula_tests::{Lab, Value, assert_rfc3339, is_insula, json, parse_json, skip};
use std::fs;

#[test]
fn the_bundle_is_the_current_directory_by_default() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["echo", "here"]);
    let output = lab.insula().args(["run"]).arg(lab.fresh_id()).current_dir(bundle.path()).ok();
    assert_eq!(output.stdout, "here\n");
}

#[test]
fn options_stand_before_or_after_the_id() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let id = lab.fresh_id();
    lab.insula().args(["create", &id, "--bundle"]).arg(bundle.path()).ok();
    lab.insula().args(["start", &id]).ok();
    lab.insula().args(["kill", &id, "--all", "WINCH"]).ok();
    lab.insula().args(["delete", &id, "--force"]).ok();
    // What follows exec's command belongs to the command.
    let container = lab.container(&bundle).detached();
    let output = container.exec(&["echo", "--cwd", "/tmp", "-t"]);
    output.assert_code(0);
    assert_eq!(output.stdout, "--cwd /tmp -t\n");
}

#[test]
fn commands_on_unknown_containers() {
    let lab = Lab::new();
    let unknown = lab.container(&lab.bundle());
    for command in ["state", "start", "kill", "delete", "ps"] {
        unknown.command(command).run().fails_with(&["does not exist"]);
    }
    let exec = unknown.exec(&["true"]);
    assert_ne!(exec.code(), 0);
    exec.says(&["does not exist"]);
    unknown.delete_force().assert_code(0);
}

#[test]
fn bad_ids_are_refused_everywhere() {
    let lab = Lab::new();
    let bundle = lab.bundle();
    let precious = lab.write("precious", "keep me");
    let long = "x".repeat(300);
    fs::create_dir_all(lab.state_root()).expect("make the state root");
    for id in ["..", ".", "../x", "a/b", "a b", "a\nb", "a\u{1b}b", "a%s", "\u{e9}", "", &long] {
        for command in ["state", "start", "delete", "kill", "ps"] {
            lab.insula().args([command, "--", id]).run().assert_code(1);
        }
        lab.insula().args(["delete", "--force", "--", id]).run().assert_code(1);
        lab.insula().args(["create", "--bundle"]).arg(bundle.path()).args(["--", id]).run().assert_code(1);
    }
    assert_eq!(fs::read_to_string(precious).expect("still there"), "keep me");
    assert!(lab.state_root().exists());
}

#[test]
fn list_as_table_json_and_quiet() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    lab.words(&["list", "--quiet"]).run();
    let (created, running) = (lab.container(&bundle).created(), lab.container(&bundle).detached());

    let listed = lab.words(&["list", "--format", "json"]).ok().json();
    let listed = listed.as_array().expect("an array");
    assert_eq!(listed.len(), 2);
    for container in [&created, &running] {
        let entry = listed.iter().find(|entry| entry["id"] == container.id()).expect("it is listed");
        assert_eq!(entry["status"], container.status());
        assert_eq!(entry["pid"], container.pid());
        assert_eq!(entry["bundle"], bundle.path().to_str().expect("paths are text"));
        assert_eq!(entry["rootfs"], bundle.rootfs().to_str().expect("paths are text"));
        assert_eq!(entry["owner"], "root");
        assert!(entry["ociVersion"].is_string());
        assert_rfc3339(&entry["created"]);
    }

    let table = lab.words(&["list"]).ok().stdout;
    let mut lines = table.lines();
    let header: Vec<_> = lines.next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let rows: Vec<Vec<_>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| row[0] == running.id()).expect("it is in the table");
    assert_eq!(row[1..4], [&*running.pid().to_string(), "running", bundle.path().to_str().expect("paths are text")]);
    assert_eq!(row[5], "root");

    let quiet = lab.words(&["list", "-q"]).ok().stdout;
    let mut ids: Vec<_> = quiet.lines().collect();
    let mut expected = [created.id(), running.id()];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    lab.words(&["list", "--format", "yaml"]).run().assert_code(1);
}

#[test]
fn list_of_an_empty_root() {
    let lab = Lab::new();
    fs::create_dir(lab.state_root()).expect("make the state root");
    let json = lab.words(&["list", "--format", "json"]).ok();
    assert!(["null", "[]"].contains(&json.text()), "{json}");
    assert_eq!(lab.words(&["list", "--quiet"]).ok().stdout, "");
}

#[test]
fn log_records_in_json() {
    let lab = Lab::new();
    let log = lab.path("log");
    let command = lab.insula().arg("--log").arg(&log).args(["--log-format", "json", "state", "nosuch"]);
    command.run().assert_code(1);
    let records = fs::read_to_string(&log).expect("the log is written");
    let last: Value = parse_json(records.lines().last().expect("a record"));
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().expect("msg is text").contains("does not exist"), "{records}");
    assert_rfc3339(&last["time"]);
}

#[test]
fn log_records_escape_what_would_forge_others() {
    let lab = Lab::new();
    let log = lab.path("log");
    let mut bundle = lab.bundle();
    bundle.args(&["x\n{\"level\":\"error\",\"msg\":\"forged\",\"time\":\"\"}"]);
    let command = lab.insula().arg("--log").arg(&log).args(["--log-format", "json", "run", "--bundle"]);
    command.arg(bundle.path()).arg(lab.fresh_id()).run().assert_code(1);
    for line in fs::read_to_string(&log).expect("the log is written").lines() {
        let record = parse_json(line);
        assert_ne!(record["msg"], "forged");
    }
}

#[test]
fn usage_errors() {
    let lab = Lab::new();
    for words in [
        &["nosuchcommand"][..],
        &["state"],
        &["state", "a", "b"],
        &["state", "--nosuchflag", "a"],
        &["create"],
        &["create", "--bundle"],
        &["create", "--nosuchflag", "a"],
        &["run"],
        &["start"],
        &["delete"],
        &["kill"],
        &["exec"],
        &["exec", "a"],
        &["--nosuchflag", "list"],
    ] {
        let output = lab.words(words).run();
        assert_ne!(output.code(), 0, "{output}");
        if is_insula() {
            output.assert_code(1);
        }
        assert!(!output.stderr.is_empty(), "a usage error is told on standard error: {output}");
    }
}

#[test]
fn help_and_version() {
    let lab = Lab::new();
    let help = lab.words(&["--help"]).ok().stdout;
    let commands = ["create", "delete", "exec", "features", "kill", "list", "ps", "run", "spec", "start", "state"];
    for command in commands {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "--help lacks {command}");
        assert!(lab.words(&[command, "--help"]).ok().stdout.contains(command));
    }
    let version = lab.words(&["--version"]).ok().stdout;
    let mut lines = version.lines();
    assert!(lines.next().is_some_and(|line| line.contains(" version ")), "{version}");
    assert!(lines.any(|line| line.starts_with("spec: 1.")), "{version}");
    assert_eq!(lab.words(&["-v"]).ok().stdout, version);
}

/// What a command prints on a terminal, and whether bold or colour is in it.
fn on_a_terminal(lab: &Lab, words: &[&str], environment: &[(&str, &str)]) -> (String, bool) {
    let (mut terminal, slave) = Terminal::new(40, 120);
    let insula = environment.iter().fold(lab.insula(), |insula, (name, value)| insula.env(name, value));
    let child = insula.args(words).output_to(|| slave.stdio());
    drop(slave);
    let printed = terminal.read_to_end();
    child.wait();
    let coloured = printed.contains("\x1b[");
    (printed, coloured)
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let lab = Lab::new();
    if !is_insula() {
        skip!("runc prints no colour");
    }
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let (id, path) = (container.id(), bundle.path().to_str().expect("paths are text").to_owned());
    let commands: [&[&str]; 7] = [
        &["--help"],
        &["help", "run"],
        &["doctor"],
        &["plan", "--bundle", &path],
        &["inspect", id],
        &["verify", id],
        &["state", "nobody"],
    ];
    for words in commands {
        let (printed, coloured) = on_a_terminal(&lab, words, &[]);
        assert!(coloured, "{words:?} on a terminal: {printed:?}");
        let (printed, coloured) = on_a_terminal(&lab, words, &[("NO_COLOR", "1")]);
        assert!(!coloured && !printed.is_empty(), "{words:?} with NO_COLOR: {printed:?}");
        assert!(on_a_terminal(&lab, words, &[("NO_COLOR", "")]).1, "{words:?}: an empty NO_COLOR says nothing");
        let output = lab.insula().args(words).run();
        assert!(!format!("{}{}", output.stdout, output.stderr).contains('\x1b'), "{words:?} in a pipe: {output}");
    }
    for format in [&["doctor", "--format", "json"][..], &["inspect", id, "--format", "json"]] {
        assert!(!on_a_terminal(&lab, format, &[]).1, "{format:?} is for programs");
    }
}

#[test]
fn features_document() {
    let lab = Lab::new();
    let features = lab.words(&["features"]).ok().json();
    assert!(features["ociVersionMin"].as_str().is_some_and(|version| version.starts_with("1.0")));
    assert!(features["ociVersionMax"].as_str().is_some_and(|version| version.starts_with("1.")));
    let lists = |pointer: &str, word: &str| {
        let list = features.pointer(pointer).and_then(Value::as_array);
        let list = list.unwrap_or_else(|| panic!("features lack {pointer}"));
        assert!(list.iter().any(|one| one == word), "{pointer} lacks {word}: {list:?}");
    };
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        lists("/hooks", hook);
    }
    for (kind, _) in insula_tests::KINDS {
        lists("/linux/namespaces", kind);
    }
    for option in ["bind", "rbind", "ro", "rprivate", "nosuid", "noexec", "nodev"] {
        lists("/mountOptions", option);
    }
    lists("/linux/capabilities", "CAP_CHOWN");
    assert_eq!(features.pointer("/linux/cgroup/v1"), Some(&json!(true)));
    assert_eq!(features.pointer("/linux/cgroup/v2"), Some(&json!(true)));
    assert_eq!(features.pointer("/linux/seccomp/enabled"), Some(&json!(true)));
    lists("/linux/seccomp/actions", "SCMP_ACT_ERRNO");
}

#[test]
fn spec_writes_the_default_document_once() {
    let lab = Lab::new();
    let directory = lab.path("spec");
    fs::create_dir(&directory).expect("make a directory");
    lab.insula().arg("spec").current_dir(&directory).ok();
    let written = fs::read(directory.join("config.json")).expect("spec writes config.json");
    let document = parse_json(&written);
    assert_eq!(document["process"]["args"], json!(["sh"]));
    assert_eq!(document["process"]["terminal"], true);
    assert_eq!(document["process"]["cwd"], "/");
    assert_eq!(document["process"]["noNewPrivileges"], true);
    assert_eq!(document["root"], json!({"path": "rootfs", "readonly": true}));
    let destinations: Vec<_> =
        document["mounts"].as_array().expect("mounts").iter().map(|mount| mount["destination"].as_str()).collect();
    let expected = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"];
    assert_eq!(destinations, expected.map(Some));
    let kinds: Vec<_> = document["linux"]["namespaces"]
        .as_array()
        .expect("kinds")
        .iter()
        .filter_map(|entry| entry["type"].as_str())
        .collect();
    for kind in ["pid", "network", "ipc", "uts", "mount"] {
        assert!(kinds.contains(&kind), "spec lacks {kind}");
    }
    lab.insula().arg("spec").current_dir(&directory).run().fails_with(&["config.json", "exist"]);
    assert_eq!(fs::read(directory.join("config.json")).expect("still there"), written);
}

#[test]
fn spec_for_rootless_containers() {
    let lab = Lab::new();
    let directory = lab.path("spec");
    fs::create_dir(&directory).expect("make a directory");
    lab.insula().args(["spec", "--rootless", "--bundle"]).arg(&directory).ok();
    let document = parse_json(fs::read(directory.join("config.json")).expect("written"));
    let kinds = document["linux"]["namespaces"].as_array().expect("kinds");
    assert!(kinds.iter().any(|entry| entry["type"] == "user"));
    assert_eq!(document["linux"]["uidMappings"], json!([{"containerID": 0, "hostID": 0, "size": 1}]));
}

#[test]
fn any_version_1_of_the_specification() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    for version in ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.99.0"] {
        bundle.set("/ociVersion", json!(version));
        lab.output_of(&bundle);
    }
}

#[test]
fn properties_that_the_specification_does_not_know() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/nosuch", json!({"a": [1, 2]})).set("/process/nosuch", json!(true)).set("/linux/nosuch", json!(null));
    bundle.args(&["echo", "runs"]);
    assert_eq!(lab.output_of(&bundle), "runs\n");
}

#[test]
fn systemd_cgroups_are_refused_clearly_where_there_is_no_systemd() {
    let lab = Lab::new();
    let bundle = lab.bundle();
    let run = lab.insula().args(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id());
    run.run().fails_with(&["systemd"]);
}
