// SPDX-License-Identifier: Apache-2.0
//! The user's process: who it is, what it may do, what it starts with.

use insula_tests::{Bundle, Lab, Value, json};
use std::fs;

/// One field of `/proc/self/status` as a container of `bundle` prints it.
#[track_caller]
fn status_field(lab: &Lab, bundle: &mut Bundle, field: &str) -> String {
    bundle.args(&["cat", "/proc/self/status"]);
    let status = lab.output_of(bundle);
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn user_and_groups() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 2002]}));
    assert_eq!(status_field(&lab, &mut bundle, "Uid"), "1000 1000 1000 1000");
    assert_eq!(status_field(&lab, &mut bundle, "Gid"), "1001 1001 1001 1001");
    assert_eq!(status_field(&lab, &mut bundle, "Groups"), "5 2002");
    bundle.set("/process/user", json!({"uid": 4_294_967_294_u32, "gid": 4_294_967_294_u32}));
    assert_eq!(status_field(&lab, &mut bundle, "Uid"), ["4294967294"; 4].join(" "));
    assert_eq!(status_field(&lab, &mut bundle, "Groups"), "", "the caller's groups are dropped");
}

#[test]
fn creation_masks() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    assert_eq!(status_field(&lab, &mut bundle, "Umask"), "0022");
    bundle.set("/process/user/umask", json!(0o27));
    assert_eq!(status_field(&lab, &mut bundle, "Umask"), "0027");
    bundle.set("/process/user/umask", json!(0));
    assert_eq!(status_field(&lab, &mut bundle, "Umask"), "0000");
}

#[test]
fn working_directory_and_environment() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/cwd", json!("/usr/bin"));
    bundle.set("/process/env", json!(["PATH=/bin", "A=1", "EMPTY=", "SPACES=a b  c", "EQUALS=a=b", "HOME=/somewhere"]));
    bundle.shell("pwd; env | sort");
    let seen = lab.output_of(&bundle);
    let mut expected =
        ["A=1", "EMPTY=", "EQUALS=a=b", "HOME=/somewhere", "PATH=/bin", "PWD=/usr/bin", "SHLVL=1", "SPACES=a b  c"]
            .to_vec();
    expected.insert(0, "/usr/bin");
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "nothing of the caller's environment is passed on");
}

#[test]
fn home_comes_from_the_containers_passwd() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    fs::write(bundle.rootfs().join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n")
        .expect("write passwd");
    bundle.shell("echo $HOME");
    assert_eq!(lab.output_of(&bundle), "/root\n");
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(lab.output_of(&bundle), "/home/me\n");
    bundle.set("/process/user", json!({"uid": 1234, "gid": 1000}));
    assert_eq!(lab.output_of(&bundle), "/\n");
}

#[test]
fn arguments_pass_unchanged() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&[
        "sh",
        "-c",
        "for word; do echo \"<$word>\"; done",
        "name",
        "",
        "a b",
        "$HOME",
        "'",
        "\u{e9}\u{1F600}",
        "-x",
    ]);
    assert_eq!(lab.output_of(&bundle), "<>\n<a b>\n<$HOME>\n<'>\n<\u{e9}\u{1F600}>\n<-x>\n");
}

#[test]
fn programs_are_found_in_the_containers_path() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let script = |path: &str, text: &str| {
        let path = bundle.rootfs().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
        fs::write(&path, format!("#!/bin/sh\necho {text}\n")).expect("write a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make it executable");
    };
    script("one/tool", "one");
    script("two/tool", "two");
    script("tool", "root");
    // A file without the execute bit is passed over.
    fs::create_dir(bundle.rootfs().join("zero")).expect("make a directory");
    fs::write(bundle.rootfs().join("zero/tool"), "").expect("write a file");
    bundle.args(&["tool"]);
    for (path, expected) in [("/nosuch:/zero:/two:/one", "two\n"), ("/one:/two", "one\n")] {
        bundle.set("/process/env", json!([format!("PATH={path}")]));
        assert_eq!(lab.output_of(&bundle), expected);
    }
    bundle.args(&["./tool"]).set("/process/cwd", json!("/two"));
    assert_eq!(lab.output_of(&bundle), "two\n");
    bundle.args(&["/one/tool"]);
    assert_eq!(lab.output_of(&bundle), "one\n");
}

/// The bits of `names` as `/proc/self/status` prints a set.
fn capability_set(numbers: &[u32]) -> String {
    format!("{:016x}", numbers.iter().fold(0_u64, |set, number| set | 1 << number))
}

#[test]
fn the_five_capability_sets() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    // chown 0, kill 5, net_bind_service 10, sys_chroot 18, audit_write 29
    bundle.set(
        "/process/capabilities",
        json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT"],
            "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "inheritable": ["CAP_CHOWN", "CAP_KILL"],
            "effective": ["CAP_CHOWN", "CAP_KILL"],
            "ambient": ["CAP_CHOWN"],
        }),
    );
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    // A program without file capabilities, run by a user who is not root, keeps the ambient ones.
    for (field, numbers) in
        [("CapBnd", &[0, 5, 10, 18][..]), ("CapInh", &[0, 5]), ("CapAmb", &[0]), ("CapPrm", &[0]), ("CapEff", &[0])]
    {
        assert_eq!(status_field(&lab, &mut bundle, field), capability_set(numbers), "{field}");
    }
    // Root gains the bounding set (and the inheritable one) at execve.
    bundle.set("/process/user", json!({"uid": 0, "gid": 0})).remove("/process/capabilities/ambient");
    bundle.set("/process/noNewPrivileges", json!(false));
    for (field, numbers) in [
        ("CapBnd", &[0, 5, 10, 18][..]),
        ("CapInh", &[0, 5]),
        ("CapAmb", &[]),
        ("CapPrm", &[0, 5, 10, 18]),
        ("CapEff", &[0, 5, 10, 18]),
    ] {
        assert_eq!(status_field(&lab, &mut bundle, field), capability_set(numbers), "{field}");
    }
}

#[test]
fn no_capabilities_at_all() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/capabilities", json!({}));
    for field in ["CapBnd", "CapInh", "CapAmb", "CapPrm", "CapEff"] {
        assert_eq!(status_field(&lab, &mut bundle, field), capability_set(&[]), "{field}");
    }
}

#[test]
fn capabilities_in_a_user_namespace_are_bounded_too() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.user_namespace();
    assert_eq!(status_field(&lab, &mut bundle, "CapBnd"), capability_set(&[5, 10, 29]));
    assert_eq!(status_field(&lab, &mut bundle, "CapEff"), capability_set(&[5, 10, 29]));
}

#[test]
fn resource_limits() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set(
        "/process/rlimits",
        json!([
            {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_FSIZE", "soft": 4096, "hard": 8192},
            {"type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152},
            {"type": "RLIMIT_NPROC", "soft": 300, "hard": 400},
        ]),
    );
    bundle.args(&["cat", "/proc/self/limits"]);
    let seen = lab.output_of(&bundle);
    let limits = |name: &str| -> Vec<String> {
        let line =
            seen.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {seen}"));
        line.split_whitespace().take(2).map(String::from).collect()
    };
    assert_eq!(limits("Max open files"), ["100", "200"]);
    assert_eq!(limits("Max core file size"), ["0", "0"]);
    assert_eq!(limits("Max file size"), ["4096", "8192"]);
    assert_eq!(limits("Max stack size"), ["1048576", "2097152"]);
    assert_eq!(limits("Max processes"), ["300", "400"]);
}

#[test]
fn limits_bite_the_program_only() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["echo", "ran"]);
    let tight = [
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_NPROC", 1),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_CPU", 5),
        ("RLIMIT_NOFILE", 4),
        ("RLIMIT_AS", 33_554_432),
    ];
    for (kind, value) in tight {
        bundle.set("/process/rlimits", json!([{"type": kind, "soft": value, "hard": value}]));
        let container = lab.container(&bundle);
        container.create().assert_code(0);
        container.start().assert_code(0);
        container.await_status("stopped");
        container.delete().assert_code(0);
        if kind != "RLIMIT_FSIZE" {
            assert_eq!(container.stdout(), "ran\n", "{kind}");
        }
    }
}

#[test]
fn no_new_privileges() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    assert_eq!(status_field(&lab, &mut bundle, "NoNewPrivs"), "1");
    bundle.set("/process/noNewPrivileges", json!(false));
    assert_eq!(status_field(&lab, &mut bundle, "NoNewPrivs"), "0");
}

#[test]
fn a_setuid_program_gains_nothing_with_no_new_privileges() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let program = bundle.rootfs().join("bin/setuid");
    fs::create_dir(bundle.rootfs().join("s")).expect("make a directory");
    fs::rename(bundle.rootfs().join("bin/busybox"), &program).expect("rename busybox");
    fs::copy(&program, bundle.rootfs().join("bin/busybox")).expect("copy busybox");
    fs::rename(&program, bundle.rootfs().join("s/busybox")).expect("rename busybox");
    let program = bundle.rootfs().join("s/busybox");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("set the bit");
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.args(&["/s/busybox", "cat", "/proc/self/status"]);
    for (no_new_privileges, effective) in [(true, "1000"), (false, "0")] {
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
        let status = lab.output_of(&bundle);
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).expect("ids");
        // busybox drops the effective id of applets that need none, but not the saved one before it started.
        assert_eq!(line.split('\t').next(), Some("1000"));
        let permitted = status.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).expect("a set");
        assert_eq!(permitted, capability_set(&[5, 10, 29]), "with {effective}");
        if no_new_privileges {
            assert_eq!(line, "1000\t1000\t1000\t1000");
        }
    }
}

#[test]
fn out_of_memory_score() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["cat", "/proc/self/oom_score_adj"]);
    let own = fs::read_to_string("/proc/self/oom_score_adj").expect("read the own score");
    assert_eq!(lab.output_of(&bundle), own, "the caller's without a wish");
    bundle.set("/process/oomScoreAdj", json!(500));
    assert_eq!(lab.output_of(&bundle), "500\n");
}

#[test]
fn sysctls_of_the_containers_namespaces() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set(
        "/linux/sysctl",
        json!({
            "net.ipv4.ip_forward": "1",
            "net.ipv4.ping_group_range": "0 5",
            "kernel.shm_rmid_forced": "1",
            "kernel.msgmax": "4242",
            "fs.mqueue.msg_max": "17",
        }),
    );
    bundle.shell("cd /proc/sys; cat net/ipv4/ip_forward net/ipv4/ping_group_range kernel/shm_rmid_forced kernel/msgmax fs/mqueue/msg_max");
    assert_eq!(lab.output_of(&bundle), "1\n0\t5\n1\n4242\n17\n");
}

#[test]
fn sysctls_with_slashes_and_dots() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/sysctl", json!({"net/ipv4/conf/lo/forwarding": "1"}));
    bundle.args(&["cat", "/proc/sys/net/ipv4/conf/lo/forwarding"]);
    assert_eq!(lab.output_of(&bundle), "1\n");
}

/// A filter that lets everything pass but what `rules` say.
fn filter(rules: &Value) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    })
}

#[test]
fn seccomp_errors() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable();
    bundle.set(
        "/linux/seccomp",
        filter(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}])),
    );
    bundle.shell("mkdir /made 2>&1; grep -E '^Seccomp(_filters)?:' /proc/self/status");
    assert_eq!(
        lab.output_of(&bundle),
        "mkdir: can't create directory '/made': No space left on device\nSeccomp:\t2\nSeccomp_filters:\t1\n"
    );
    bundle.set("/linux/seccomp", filter(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}])));
    assert!(lab.output_of(&bundle).contains("Operation not permitted"), "EPERM is the default");
}

#[test]
fn seccomp_without_a_filter() {
    let lab = Lab::new();
    assert_eq!(status_field(&lab, &mut lab.bundle(), "Seccomp"), "0");
}

#[test]
fn seccomp_conditions_on_arguments() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    // kill(_, 0) fails, every other signal passes.
    bundle.set(
        "/linux/seccomp",
        filter(&json!([{
            "names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
            "args": [{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}],
        }])),
    );
    bundle.shell("trap 'echo got' USR1; kill -0 $$ 2>&1; kill -USR1 $$; echo end");
    let seen = lab.output_of(&bundle);
    assert!(seen.contains("Function not implemented"), "{seen}");
    assert!(seen.ends_with("got\nend\n"), "{seen}");
    // Masked comparison: clone with CLONE_NEWUTS fails.
    bundle.set(
        "/linux/seccomp",
        filter(&json!([{
            "names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95,
            "args": [{"index": 0, "value": 0x0400_0000, "valueTwo": 0x0400_0000, "op": "SCMP_CMP_MASKED_EQ"}],
        }])),
    );
    bundle.shell("unshare -u true 2>&1");
    let output = lab.container(&bundle).run();
    assert!(output.stdout.contains("Operation not supported") || output.stdout.contains("not supported"), "{output}");
}

#[test]
fn seccomp_kills() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable();
    bundle.set("/linux/seccomp", filter(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}])));
    bundle.args(&["mkdir", "/made"]);
    lab.container(&bundle).run().assert_code(128 + 31);
}

#[test]
fn seccomp_that_forbids_by_default() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/seccomp", json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"action": "SCMP_ACT_ALLOW", "names": [
            "execve", "brk", "arch_prctl", "mmap", "munmap", "mprotect", "read", "write", "open", "openat", "close", "exit",
            "exit_group", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "readlink", "readlinkat", "getrandom",
            "fstat", "newfstatat", "getuid", "ioctl", "rt_sigaction", "rt_sigprocmask", "prctl", "futex", "sendfile",
            // What a runtime may need between loading the filter and execve.
            "close_range", "fcntl", "fstatfs", "getdents64", "lseek", "faccessat", "faccessat2", "nanosleep", "clock_gettime",
            "getpid", "gettid", "tgkill", "rt_sigreturn", "sigaltstack", "madvise", "sched_yield", "epoll_pwait", "epoll_ctl",
            "stat", "chdir", "getcwd", "getppid", "setuid", "setgid", "setgroups", "capget", "capset", "sendmsg", "recvmsg",
            "ppoll", "poll", "statx", "setresuid", "setresgid",
        ]}],
    }));
    bundle.args(&["echo", "allowed"]);
    assert_eq!(lab.output_of(&bundle), "allowed\n");
    bundle.args(&["hostname", "x"]);
    lab.container(&bundle).run().assert_code(1);
}

#[test]
fn seccomp_without_no_new_privileges() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/noNewPrivileges", json!(false)).set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.set(
        "/linux/seccomp",
        filter(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}])),
    );
    bundle.shell("mkdir /tmp/made 2>&1; grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status");
    let seen = lab.output_of(&bundle);
    assert!(
        seen.contains("Permission denied") && seen.contains("Seccomp:\t2") && seen.contains("NoNewPrivs:\t0"),
        "{seen}"
    );
    assert!(seen.contains("CapEff:\t0000000000000000") || seen.contains(&capability_set(&[5, 10, 29])), "{seen}");
}

#[test]
fn seccomp_applies_to_exec_too() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle.set(
        "/linux/seccomp",
        filter(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}])),
    );
    let container = lab.container(&bundle).detached();
    let seen = container.inside("mkdir /tmp/x 2>&1; grep ^Seccomp: /proc/self/status");
    assert!(seen.contains("No space left") && seen.contains("Seccomp:\t2"), "{seen}");
}

#[test]
fn exactly_the_standard_descriptors() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    // The fourth is the directory that ls itself reads.
    bundle.args(&["ls", "/proc/self/fd"]);
    assert_eq!(lab.output_of(&bundle), "0\n1\n2\n3\n");

    let script = "for ((n = 3; n < 250; n++)); do eval \"exec $n</\"; done; exec \"$@\"";
    let run = lab
        .command("bash")
        .args(["-c", script, "bash"])
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(lab.state_root());
    let output = run.args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).ok();
    assert_eq!(output.stdout, "0\n1\n2\n3\n", "the caller's open directories are not inherited");

    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    assert_eq!(container.exec(&["ls", "/proc/self/fd"]).stdout, "0\n1\n2\n3\n");
    let listed = fs::read_dir(format!("/proc/{}/fd", container.pid())).expect("list the descriptors").count();
    assert_eq!(listed, 3);
}

#[test]
fn descriptors_cannot_be_the_working_directory() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["true"]);
    for number in 3..16 {
        bundle.set("/process/cwd", json!(format!("/proc/self/fd/{number}")));
        let run = lab
            .shell("exec 7</ 8</etc 9</; exec \"$@\"", &[insula_tests::runtime()])
            .arg("--root")
            .arg(lab.state_root());
        let output = run.args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).run();
        output.assert_code(1);
    }
}

#[test]
fn the_program_is_not_the_runtime() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let before = fs::read(insula_tests::runtime()).expect("read the runtime");
    for args in [&["/proc/self/exe", "--version"][..], &["/proc/self/exe"]] {
        bundle.args(args);
        lab.container(&bundle).run();
    }
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).created();
    assert_eq!(container.inside("echo x 2>/dev/null > /proc/1/exe; echo end"), "end\n");
    assert_eq!(fs::read(insula_tests::runtime()).expect("read the runtime"), before);
}

#[test]
fn a_session_and_signal_state_of_its_own() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    for (field, expected) in [
        ("SigBlk", "0000000000000000"),
        ("SigIgn", "0000000000000000"),
        ("NSpid", "1"),
        ("NSsid", "1"),
        ("NSpgid", "1"),
    ] {
        assert_eq!(status_field(&lab, &mut bundle, field), expected, "{field}");
    }
}

#[test]
fn large_arguments_and_environments() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let many: Vec<_> = (0..5000).map(|number| format!("VARIABLE_{number}=value")).collect();
    let mut environment = vec!["PATH=/bin".to_owned()];
    environment.extend(many);
    bundle.set("/process/env", json!(environment)).shell("env | grep -c ^VARIABLE_");
    assert_eq!(lab.output_of(&bundle), "5000\n");
    let long = "x".repeat(100_000);
    bundle.args(&["sh", "-c", "echo ${#1}", "sh", &long]);
    assert_eq!(lab.output_of(&bundle), "100000\n");
    bundle.args(&["sh", "-c", "echo ${#1}", "sh", &"x".repeat(3_000_000)]);
    lab.container(&bundle).run().fails_with(&["/process/args/4", "131071"]);
}
