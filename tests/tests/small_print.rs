// SPDX-License-Identifier: Apache-2.0
//! Small print that engines rely on: what the specification leaves to a sentence, and what runc's users have come to
//! expect. Source: runtime-spec, config.md; runc's man pages.

use insula_tests::{Lab, eventually, json, parse_json};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;

#[test]
fn of_a_variable_given_twice_the_last_counts() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/env", json!(["PATH=/nowhere", "A=1", "B=2", "A=3", "PATH=/bin", "A="]));
    bundle.shell("env | grep -c ^A=; echo \"<$A> <$B>\"");
    assert_eq!(lab.output_of(&bundle), "1\n<> <2>\n");
}

#[test]
fn home_is_what_the_document_says_or_the_images_passwd_or_the_root() {
    let lab = Lab::new();
    for (env, user, home) in [
        (json!(["PATH=/bin", "HOME=/given"]), 7, "/given"),
        (json!(["PATH=/bin"]), 7, "/of-seven"),
        (json!(["PATH=/bin", "HOME="]), 7, "/of-seven"),
        (json!(["PATH=/bin"]), 9, "/"),
    ] {
        let mut bundle = lab.bundle();
        fs::create_dir_all(bundle.rootfs().join("etc")).expect("make a directory");
        fs::write(bundle.rootfs().join("etc/passwd"), "seven:x:7:7::/of-seven:/bin/sh\n").expect("write a file");
        bundle.set("/process/env", env.clone()).set("/process/user/uid", json!(user)).shell("echo $HOME");
        assert_eq!(lab.output_of(&bundle).trim(), home, "{env} for user {user}");
    }
}

#[test]
fn supplementary_groups_in_a_user_namespace() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.user_namespace().set("/process/user", json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 2002]}));
    bundle.shell("grep Groups /proc/self/status; sleep 0.1");
    assert_eq!(lab.output_of(&bundle).split_whitespace().collect::<Vec<_>>(), ["Groups:", "5", "2002"]);
    bundle.set("/process/user/additionalGids", json!([70_000]));
    lab.container(&bundle).run().fails_with(&["/process/user/additionalGids/0", "not mapped"]);
}

#[test]
fn files_sockets_fifos_devices_and_links_are_bound() {
    let lab = Lab::new();
    let file = lab.write("file", "content\n");
    let socket = lab.path("socket");
    let _listener = UnixListener::bind(&socket).expect("listen");
    let fifo = lab.path("fifo");
    lab.command("mkfifo").arg(&fifo).ok();
    let link = lab.path("link");
    std::os::unix::fs::symlink(&file, &link).expect("make a link");
    let mut bundle = lab.bundle();
    bundle.writable();
    for (source, target) in [
        (&*file, "/file"),
        (&*socket, "/socket"),
        (&*fifo, "/fifo"),
        (&*link, "/link"),
        (Path::new("/dev/zero"), "/zero"),
    ] {
        bundle.bind(source, target, &[]);
    }
    bundle.shell("cat /file /link; test -S /socket && test -p /fifo && test -c /zero && ! test -L /link && echo all");
    assert_eq!(lab.output_of(&bundle), "content\ncontent\nall\n");
    assert!(fs::metadata(&socket).expect("stat").file_type().is_socket());
}

#[test]
fn more_than_a_thousand_mounts() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).expect("make a directory");
    let mut bundle = lab.bundle();
    bundle.tmpfs("/mnt", &["mode=755"]);
    let mut mounts = bundle.document()["mounts"].as_array().expect("a list").clone();
    mounts.extend((0..1100).map(|number| {
        let options: &[&str] = if number % 2 == 0 { &["bind", "ro"] } else { &["size=4k"] };
        let (kind, source) =
            if number % 2 == 0 { ("bind", source.to_str().expect("text")) } else { ("tmpfs", "tmpfs") };
        json!({"destination": format!("/mnt/{number}"), "type": kind, "source": source, "options": options})
    }));
    bundle.set("/mounts", json!(mounts)).shell("grep -c ' /mnt/' /proc/mounts");
    assert_eq!(lab.output_of(&bundle), "1100\n");
}

#[test]
fn eight_at_once_are_brought_in() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "600"]);
    let container = lab.container(&bundle).detached();
    for round in 0..3 {
        let script = "echo $0; exit $0";
        let all: Vec<_> = (0..8)
            .map(|number| container.command("exec").args(["sh", "-c", script, &number.to_string()]).start())
            .collect();
        for (number, one) in all.into_iter().enumerate() {
            let output = one.wait();
            assert_eq!((output.code(), output.stdout.trim()), (number as i32, &*number.to_string()), "round {round}");
        }
    }
    let listed = lab.words(&["ps", "--format", "json", container.id()]).ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "nobody stays behind");
}

#[test]
fn nobody_is_brought_into_a_half_made_container() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let (go, here) = (lab.path("go"), lab.path("here"));
    let script = format!("touch {}; while ! test -e {}; do sleep 0.02; done", here.display(), go.display());
    bundle.push(
        "/hooks/createRuntime",
        json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}),
    );
    let container = lab.container(&bundle);
    let create = container.finish_later(container.launch("create"));
    eventually("the hook", || here.exists().then_some(()));
    let refused = container.exec(&["true"]);
    refused.assert_code(255);
    refused.says(&[container.id(), "does not exist"]);
    fs::write(&go, "").expect("write a file");
    create.wait().assert_code(0);
    container.exec(&["true"]).assert_code(0);
}

#[test]
fn a_document_without_a_process_can_be_created_and_not_started() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.remove("/process");
    let container = lab.container(&bundle).created();
    assert_eq!(container.status(), "created");
    container.start().fails_with(&["/process"]);
    container.delete_force().assert_code(0);
}

#[test]
fn a_filter_larger_than_a_page() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    // Each value is a comparison of its own: eight bytes an instruction, four thousand and ninety-six a page.
    let rules: Vec<_> = (0..400_u64)
        .map(|value| {
            json!({
                "names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 + value % 90,
                "args": [{"index": 0, "value": 0x1000_0000_u64 + value * 3, "op": "SCMP_CMP_EQ"}],
            })
        })
        .collect();
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}));
    bundle.shell("grep Seccomp: /proc/self/status");
    let container = lab.container(&bundle);
    let plan = lab.insula().args(["plan", "--format", "json", "--bundle"]).arg(bundle.path()).ok().stdout;
    let length: usize = plan
        .split_once("seccomp(")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .expect("the plan says how long the filter is");
    assert!(length * 8 > 4096, "{length} instructions");
    let output = container.run();
    assert_eq!((output.code(), output.stdout.as_str()), (0, "Seccomp:\t2\n"), "{output}");
}

#[test]
fn the_list_names_foreign_owners() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "600"]);
    let container = lab.container(&bundle).detached();
    let state = lab.state_root().join(container.id()).join("state.json");
    let text = fs::read_to_string(&state).expect("read the record");
    for (uid, shown) in [(1, "daemon"), (3_999_999, "3999999")] {
        // As a root that users share would hold it; the sum at the end is what a torn file lacks.
        let mut record = parse_json(&text);
        record["owner"] = json!(uid);
        record.as_object_mut().expect("an object").remove("sum");
        fs::write(&state, record.to_string()).expect("write the record");
        let listed = lab.words(&["list", "--format", "json"]).ok().json();
        let owner = listed[0]["owner"].as_str().unwrap_or_default().trim_start_matches('#').to_owned();
        assert_eq!(owner, shown, "{listed}");
        assert!(lab.words(&["list"]).ok().stdout.contains(shown));
    }
    fs::write(&state, &text).expect("write the record");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o600)).expect("chmod");
    chown(&state, Some(0), Some(0)).expect("chown");
    container.delete_force().assert_code(0);
}
