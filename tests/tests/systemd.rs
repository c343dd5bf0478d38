// SPDX-License-Identifier: Apache-2.0
//! Cgroups as units of the systemd that runs here. Values are read back from the kernel and from systemd.

use insula_tests::{Container, Lab, Value, cgroups, eventually, json, skip};
use std::fs;
use std::os::fd::IntoRawFd as _;
use std::path::Path;
use std::process::Command;

/// The directory of the system's bus, open until the process ends: a [`Lab`] hides it.
struct Bus(i32);

/// `None` where process 1 is not systemd.
fn bus() -> Option<Bus> {
    Path::new("/run/systemd/system").is_dir().then_some(())?;
    let directory = fs::File::open("/run/dbus").expect("the system's bus is there");
    Some(Bus(directory.into_raw_fd()))
}

impl Bus {
    fn lab(&self) -> Lab {
        let mut lab = Lab::new();
        let place = format!("/proc/{}/fd/{}", std::process::id(), self.0);
        lab.by_systemd(&format!("unix:path={place}/system_bus_socket"));
        lab
    }
}

/// Skips the calling test unless systemd is process 1 and cgroup version 2 is all there is.
macro_rules! lab_by_systemd {
    () => {
        match bus() {
            Some(bus) if cgroups::is_unified() => bus.lab(),
            Some(_) => skip!("cgroup version 2 is not all there is here"),
            None => skip!("systemd is not process 1 here"),
        }
    };
}

/// `systemctl` outside of the lab's mounts.
fn systemctl(words: &[&str]) -> String {
    let output = Command::new("nsenter").args(["-t", "1", "-m", "systemctl"]).args(words).output().expect("nsenter");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", "--value", "-p", name, unit])
}

fn unit_of(container: &Container<'_>) -> String {
    format!("runc-{}.scope", container.id())
}

fn sleeper<'l>(lab: &'l Lab, change: &[(&str, Value)]) -> Container<'l> {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "600"]);
    for (pointer, value) in change {
        bundle.set(pointer, value.clone());
    }
    lab.container(&bundle).detached()
}

/// Files of the cgroup with a line that each must have.
fn holds(container: &Container<'_>, expected: &[(&str, &str)]) {
    for (file, line) in expected {
        let text = cgroups::read(container.pid(), "", file);
        assert!(text.lines().any(|is| is.trim() == *line), "{file} has no {line:?}: {text}");
    }
}

#[test]
fn every_resource_is_read_back() {
    let lab = lab_by_systemd!();
    let mib = |number: u64| json!(number << 20);
    let resources = json!({
        "memory": {"limit": mib(64), "reservation": mib(32), "swap": mib(96)},
        "cpu": {"shares": 512, "quota": 4001, "period": 10_000, "burst": 1000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 50},
        "blockIO": {"weight": 100},
        "hugepageLimits": [{"pageSize": "2MB", "limit": mib(4)}],
        "unified": {"memory.high": "50331648", "cgroup.max.descendants": "7"},
    });
    let container = sleeper(&lab, &[("/linux/resources", resources)]);
    holds(
        &container,
        &[
            ("memory.max", "67108864"),
            ("memory.low", "33554432"),
            ("memory.swap.max", "33554432"),
            ("memory.high", "50331648"),
            ("cpu.weight", "59"),
            // Rounded up to a percent of a processor, as systemd does.
            ("cpu.max", "4100 10000"),
            ("cpuset.cpus", "0"),
            ("cpuset.mems", "0"),
            ("pids.max", "50"),
            ("hugetlb.2MB.max", "4194304"),
            ("cgroup.max.descendants", "7"),
        ],
    );
    let unit = unit_of(&container);
    for (name, value) in [
        ("MemoryMax", "67108864"),
        ("MemoryLow", "33554432"),
        ("MemorySwapMax", "33554432"),
        ("MemoryHigh", "50331648"),
        ("CPUWeight", "59"),
        ("CPUQuotaPerSecUSec", "410ms"),
        ("CPUQuotaPeriodUSec", "10ms"),
        ("AllowedCPUs", "0"),
        ("AllowedMemoryNodes", "0"),
        ("TasksMax", "50"),
        ("DevicePolicy", "strict"),
        ("Delegate", "yes"),
        ("Slice", "system.slice"),
        ("DefaultDependencies", "no"),
    ] {
        assert_eq!(property(&unit, name), value, "{name}");
    }
    let update = json!({
        "memory": {"limit": mib(48), "reservation": mib(16), "swap": mib(80)},
        "cpu": {"shares": 1024, "quota": 5000, "period": 20_000},
        "pids": {"limit": 20},
        "unified": {"memory.high": "max"},
    });
    container.command("update").args(["-r", "-"]).stdin_text(&update.to_string()).run().assert_code(0);
    let updated = [
        ("memory.max", "50331648"),
        ("memory.low", "16777216"),
        ("memory.swap.max", "33554432"),
        ("memory.high", "max"),
        ("cpu.weight", "100"),
        ("cpu.max", "5000 20000"),
        ("pids.max", "20"),
        ("cpuset.cpus", "0"),
    ];
    holds(&container, &updated);
    assert_eq!((property(&unit, "MemoryMax"), property(&unit, "TasksMax")), ("50331648".into(), "20".into()));
    // systemd writes again what it knows; nothing may fall back.
    systemctl(&["daemon-reload"]);
    holds(&container, &updated);
    assert_eq!(container.inside("echo x > /dev/null && echo allowed"), "allowed\n");
}

#[test]
fn a_scope_comes_and_goes_with_its_container() {
    let lab = lab_by_systemd!();
    let container = sleeper(&lab, &[]);
    let unit = unit_of(&container);
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read the cgroup");
    assert_eq!(text, format!("0::/system.slice/{unit}\n"));
    assert_eq!(cgroups::read(container.pid(), "", "cgroup.procs"), container.pid().to_string(), "nobody else is in it");
    assert_eq!(property(&unit, "ActiveState"), "active");
    container.command("pause").ok();
    assert_eq!(container.status(), "paused");
    container.command("resume").ok();
    container.command("verify").ok();
    assert!(container.command("ps").ok().stdout.contains("sleep 600"));
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    container.delete().assert_code(0);
    eventually("the unit to be gone", || (property(&unit, "LoadState") == "not-found").then_some(()));
    assert!(!Path::new("/sys/fs/cgroup/system.slice").join(&unit).exists());
}

#[test]
fn a_limit_of_one_task_is_met_by_init_alone() {
    let lab = lab_by_systemd!();
    let container = sleeper(&lab, &[("/linux/resources/pids", json!({"limit": 1}))]);
    assert_eq!(cgroups::read(container.pid(), "", "pids.max"), "1");
    assert_eq!(property(&unit_of(&container), "TasksMax"), "1");
}

#[test]
fn slices_names_and_annotations() {
    let lab = lab_by_systemd!();
    let name = lab.name().replace('-', "_");
    let container = sleeper(
        &lab,
        &[
            ("/linux/cgroupsPath", json!(format!("machine-{name}.slice:engine:{name}"))),
            (
                "/annotations",
                json!({"org.systemd.property.TimeoutStopSec": "7",
                    "org.systemd.property.CollectMode": "'inactive-or-failed'"}),
            ),
        ],
    );
    let unit = format!("engine-{name}.scope");
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read the cgroup");
    assert_eq!(text, format!("0::/machine.slice/machine-{name}.slice/{unit}\n"));
    assert_eq!(property(&unit, "TimeoutStopUSec"), "7s");
    assert_eq!(property(&unit, "CollectMode"), "inactive-or-failed");
    container.delete_force().assert_code(0);
    systemctl(&["stop", &format!("machine-{name}.slice")]);
}

#[test]
fn what_systemd_refuses_leaves_nothing() {
    let lab = lab_by_systemd!();
    for (annotation, value, words) in [
        ("org.systemd.property.NoSuchThing", "1", ["NoSuchThing", "/linux/cgroupsPath"]),
        ("org.systemd.property.Slice", "'machine.slice'", ["/machine.slice/", "/linux/cgroupsPath"]),
    ] {
        let mut bundle = lab.bundle();
        bundle.set("/annotations", json!({annotation: value}));
        let container = lab.container(&bundle);
        container.create().fails_with(&words);
        assert_eq!(property(&unit_of(&container), "ActiveState"), "inactive");
    }
}
