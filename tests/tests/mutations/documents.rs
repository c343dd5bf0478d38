// SPDX-License-Identifier: Apache-2.0
//! Documents that are valid on this machine, and which part of each is changed.

use insula_tests::{Lab, Value, cgroups, json, populate_rootfs};
use std::fs;
use std::path::Path;

/// Stands for the number of the thread that tries the document.
pub(crate) const PLACE: &str = "PLACE";

/// Fields that no document here can have: the host lacks what they are about.
pub(crate) const NOT_HERE: &[&str] = &[
    "/process/apparmorProfile",
    "/process/selinuxLabel",
    "/linux/mountLabel",
    "/linux/intelRdt",
    "/linux/netDevices",
    // Each is in one of the two versions of cgroups only, or in kernels built for it.
    "/linux/resources",
];

/// A document with the pointers whose values, and what is below, are changed.
pub(crate) struct Base {
    pub(crate) name: &'static str,
    pub(crate) document: Value,
    pub(crate) parts: &'static [&'static str],
}

/// Makes what the documents refer to below the bundle.
pub(crate) fn populate(bundle: &Path) {
    populate_rootfs(&bundle.join("rootfs"));
    for directory in ["data", "data/below"] {
        fs::create_dir(bundle.join(directory)).expect("make a directory to bind");
    }
    fs::write(bundle.join("data/file"), "text\n").expect("write a file to bind");
}

fn mount(destination: &str, kind: &str, options: &[&str]) -> Value {
    json!({"destination": destination, "type": kind, "source": kind, "options": options})
}

fn kinds(kinds: &[&str]) -> Vec<Value> {
    kinds.iter().map(|kind| json!({"type": kind})).collect()
}

/// What all have in common: a process that stays, in namespaces of its own.
fn common(lab: &Lab) -> Value {
    json!({
        "ociVersion": "1.3.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["sleep", "600"],
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            mount("/proc", "proc", &["nosuid"]),
            mount("/dev", "tmpfs", &["nosuid", "mode=755"]),
        ],
        "linux": {
            "cgroupsPath": format!("/{}-cg-{PLACE}", lab.name()),
            "namespaces": kinds(&["pid", "mount", "ipc", "uts", "network"]),
        },
    })
}

fn with(lab: &Lab, name: &'static str, parts: &'static [&'static str], set: &[(&str, Value)]) -> Base {
    let mut document = common(lab);
    for (pointer, value) in set {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = document.pointer_mut(parent).and_then(Value::as_object_mut).expect("its object is there");
        parent.insert(key.into(), value.clone());
    }
    Base { name, document, parts }
}

/// All of them.
pub(crate) fn bases(lab: &Lab) -> Vec<Base> {
    vec![process(lab), scheduling(lab), mounts(lab), kernel(lab), user(lab), seccomp(lab), hooks(lab), limits(lab)]
}

fn process(lab: &Lab) -> Base {
    let capabilities = json!(["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"]);
    let parts = &["/ociVersion", "/process", "/root", "/hostname", "/domainname", "/annotations"];
    let process = json!({
        "terminal": false,
        "consoleSize": {"height": 25, "width": 80},
        "user": {"uid": 1000, "gid": 1001, "umask": 23, "additionalGids": [5, 6], "username": "me"},
        "args": ["sleep", "600"],
        "commandLine": "sleep 600",
        "env": ["PATH=/bin", "TERM=xterm", "A=1", "A=2"],
        "cwd": "/tmp",
        "capabilities": {
            "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
        },
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "hard": 1000, "soft": 900},
            {"type": "RLIMIT_CORE", "hard": 4096, "soft": 0},
        ],
        "noNewPrivileges": true,
        "oomScoreAdj": 100,
    });
    let annotations = json!({"org.example.key": "value", "a/b~c": "", "é": "ü"});
    let set = [
        ("/process", process),
        ("/hostname", json!("island")),
        ("/domainname", json!("sea.example")),
        ("/annotations", annotations),
    ];
    with(lab, "process", parts, &set)
}

fn scheduling(lab: &Lab) -> Base {
    let parts = &[
        "/process/scheduler",
        "/process/ioPriority",
        "/process/execCPUAffinity",
        "/linux/personality",
        "/linux/memoryPolicy",
    ];
    let scheduler = json!({
        "policy": "SCHED_BATCH", "nice": 5, "priority": 0, "flags": ["SCHED_FLAG_RESET_ON_FORK"],
        "runtime": 0, "deadline": 0, "period": 0,
    });
    let set = [
        ("/process/scheduler", scheduler),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 4})),
        ("/process/execCPUAffinity", json!({"initial": "0", "final": "0"})),
        ("/linux/personality", json!({"domain": "LINUX32", "flags": []})),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]})),
    ];
    with(lab, "scheduling", parts, &set)
}

fn mounts(lab: &Lab) -> Base {
    let parts = &[
        "/mounts",
        "/linux/maskedPaths",
        "/linux/readonlyPaths",
        "/linux/rootfsPropagation",
        "/linux/devices",
        "/root",
    ];
    let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    let mounts = json!([
        mount("/proc", "proc", &["nosuid"]),
        mount("/dev", "tmpfs", &["nosuid", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/tmp", "tmpfs", &["noatime", "tmpcopyup"]),
        {"destination": "/mnt/data", "type": "bind", "source": "data", "options": ["rbind", "rro", "nodev", "rprivate"]},
        {"destination": "/mnt/file", "source": "data/file", "options": ["bind", "ro"]},
        {
            "destination": "/mnt/mapped", "type": "bind", "source": "data", "options": ["bind", "idmap"],
            "uidMappings": ids, "gidMappings": ids,
        },
    ]);
    let devices = json!([
        {"path": "/dev/insula-fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 416, "uid": 3, "gid": 4},
        {"path": "/dev/insula-loop", "type": "b", "major": 7, "minor": 0},
        {"path": "/dev/insula-fifo", "type": "p", "fileMode": 384},
    ]);
    let set = [
        ("/root", json!({"path": "rootfs", "readonly": false})),
        ("/mounts", mounts),
        ("/linux/maskedPaths", json!(["/proc/kcore", "/sys/firmware", "/proc/nosuch"])),
        ("/linux/readonlyPaths", json!(["/proc/sys", "/proc/irq"])),
        ("/linux/rootfsPropagation", json!("slave")),
        ("/linux/devices", devices),
    ];
    with(lab, "mounts", parts, &set)
}

fn kernel(lab: &Lab) -> Base {
    let mut namespaces = kinds(&["pid", "mount", "ipc", "uts", "network", "time", "cgroup"]);
    // A path to the runtime's own is staying there.
    namespaces[4] = json!({"type": "network", "path": "/proc/self/ns/net"});
    let set = [
        ("/hostname", json!("island")),
        ("/linux/namespaces", json!(namespaces)),
        ("/linux/sysctl", json!({"kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "20", "kernel/msgmax": "9000"})),
        (
            "/linux/timeOffsets",
            json!({"monotonic": {"secs": 100, "nanosecs": 7}, "boottime": {"secs": 50, "nanosecs": 0}}),
        ),
    ];
    with(lab, "kernel", &["/linux/namespaces", "/linux/sysctl", "/linux/timeOffsets"], &set)
}

fn user(lab: &Lab) -> Base {
    let ids = |host: u32| {
        json!([
            {"containerID": 0, "hostID": host, "size": 1000},
            {"containerID": 2000, "hostID": host + 5000, "size": 10},
        ])
    };
    let kinds = kinds(&["pid", "mount", "ipc", "uts", "network", "user"]);
    let set = [
        ("/linux/namespaces", json!(kinds)),
        ("/linux/uidMappings", ids(100_000)),
        ("/linux/gidMappings", ids(200_000)),
    ];
    with(lab, "user", &["/linux/uidMappings", "/linux/gidMappings", "/linux/namespaces"], &set)
}

fn seccomp(lab: &Lab) -> Base {
    let seccomp = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
        "listenerPath": "",
        "listenerMetadata": "",
        "syscalls": [
            {"names": ["mkdir", "mkdirat", "nosuchcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 17},
            {
                "names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                "args": [
                    {"index": 0, "value": 8, "op": "SCMP_CMP_NE"},
                    {"index": 0, "value": 255, "valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ"},
                ],
            },
        ],
    });
    with(lab, "seccomp", &["/linux/seccomp"], &[("/linux/seccomp", seccomp)])
}

fn hooks(lab: &Lab) -> Base {
    let mark = lab.path(format!("place-{PLACE}/ran"));
    let hook = |name: &str| {
        let script = format!("echo {name} >> \"$MARK\"");
        let env = format!("MARK={}", mark.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": [env, "PATH=/bin"], "timeout": 10}])
    };
    let hooks = json!({
        "prestart": hook("prestart"),
        "createRuntime": hook("createRuntime"),
        "createContainer": hook("createContainer"),
        "startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "exit 0"], "env": ["A=1"], "timeout": 10}],
        "poststart": hook("poststart"),
        "poststop": hook("poststop"),
    });
    with(lab, "hooks", &["/hooks"], &[("/hooks", hooks)])
}

/// The limits that this machine's control groups have.
fn limits(lab: &Lab) -> Base {
    let has = |name: &str| {
        cgroups::hierarchies().iter().any(|hierarchy| {
            hierarchy.controllers.iter().any(|one| one == name)
                || fs::read_to_string(hierarchy.mount.join("cgroup.controllers"))
                    .is_ok_and(|list| list.split_whitespace().any(|one| one == name))
        })
    };
    let devices = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        {"allow": true, "type": "b", "major": 7, "access": "r"},
    ]);
    let mut resources = json!({"devices": devices});
    for (controller, name, value) in [
        ("memory", "memory", json!({"limit": 64 << 20, "reservation": 32 << 20, "checkBeforeUpdate": true})),
        ("cpu", "cpu", json!({"shares": 512, "quota": 50000, "period": 100_000})),
        ("pids", "pids", json!({"limit": 100})),
        ("net_cls", "network", json!({"classID": 0x10_0001})),
    ] {
        if has(controller) {
            resources[name] = value;
        }
    }
    if has("cpuset") && has("cpu") {
        resources["cpu"]["cpus"] = json!("0");
        resources["cpu"]["mems"] = json!("0");
    }
    with(lab, "limits", &["/linux/resources", "/linux/cgroupsPath"], &[("/linux/resources", resources)])
}
