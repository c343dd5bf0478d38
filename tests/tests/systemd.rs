// SPDX-License-Identifier: Apache-2.0
//! Cgroups as units of the systemd that runs here. Values are read back from the kernel and from systemd.

#[cfg(target_arch = "x86_64")]
use insula_tests::injector::{Fault, Point, inject};
use insula_tests::{Container, Lab, Snapshot, Value, cgroups, eventually, json, skip};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Skips the calling test unless systemd is process 1; `unified`: and cgroup version 2 is all there is.
macro_rules! lab_by_systemd {
    () => {
        match Lab::with_hosts_systemd() {
            Some(lab) => lab,
            None => skip!("systemd is not process 1 here"),
        }
    };
    (unified) => {
        match Lab::with_hosts_systemd() {
            Some(lab) if cgroups::is_unified() => lab,
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

/// The container's cgroup is `path` in every hierarchy.
fn is_in(container: &Container<'_>, path: &str) {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read the cgroups");
    assert!(text.lines().all(|line| line.splitn(3, ':').nth(2) == Some(path)), "not all are {path}:\n{text}");
}

#[test]
fn every_resource_is_read_back() {
    let lab = lab_by_systemd!(unified);
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

/// systemd has properties of its own for block devices and devices; what it writes again must not undo ours.
#[test]
fn what_systemd_does_not_know_of_stays() {
    let lab = lab_by_systemd!(unified);
    let numbers = fs::read_to_string("/sys/block/vda/dev").unwrap_or_default();
    let Some((major, minor)) = numbers.trim().split_once(':') else { skip!("there is no disk called vda") };
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let device = |key: &str, value: u32| json!([{"major": number(major), "minor": number(minor), key: value}]);
    let resources = json!({
        "blockIO": {"weight": 300, "weightDevice": device("weight", 500),
            "throttleReadBpsDevice": device("rate", 1_048_576), "throttleWriteIOPSDevice": device("rate", 1000)},
        "memory": {"limit": 64 << 20},
        "devices": [{"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}],
    });
    let container = sleeper(&lab, &[("/linux/resources", resources)]);
    let unit = unit_of(&container);
    let throttles = format!("{numbers} rbps=1048576 wbps=max riops=max wiops=1000", numbers = numbers.trim());
    let weight = format!("{} 500", numbers.trim());
    let pid = container.pid();
    let has_bfq = cgroups::directory_of(pid, "").is_some_and(|directory| directory.join("io.bfq.weight").exists());
    assert!(has_bfq, "the virtual machine's disk has the BFQ scheduler");
    let stands = |when: &str| {
        println!("{when}");
        holds(&container, &[("io.bfq.weight", "default 300"), ("io.bfq.weight", &weight), ("io.max", &throttles)]);
        let probe = "mknod /dev/probe c $0 $1 && (: <>/dev/probe) 2>/dev/null && echo opened; rm -f /dev/probe";
        let opens = |major: &str, minor: &str| {
            let exec =
                lab.insula().args(["exec", "--cap", "CAP_MKNOD", container.id(), "sh", "-c", probe, major, minor]);
            exec.run().stdout
        };
        assert_eq!(opens("1", "3"), "opened\n", "every container has the null device");
        assert_eq!(opens("10", "229"), "opened\n", "the document allows FUSE");
        assert_eq!(opens("10", "237"), "", "nobody allows the control of loop devices");
    };
    stands("after the start");
    systemctl(&["daemon-reload"]);
    stands("after daemon-reload");
    systemctl(&["set-property", "--runtime", &unit, "MemoryHigh=50M", "CPUWeight=200", "TasksMax=44"]);
    stands("after properties were set by somebody else");
    holds(&container, &[("cpu.weight", "200"), ("pids.max", "44"), ("memory.max", "67108864")]);
    assert!(property(&unit, "DeviceAllow").contains("/dev/char/10:229 rw"), "{}", property(&unit, "DeviceAllow"));
    container.delete_force().assert_code(0);
}

/// A name that ends in `.slice` is a slice: a cgroup of systemd's without processes of its own in systemd's eyes.
#[test]
fn a_slice_as_the_containers_unit() {
    let lab = lab_by_systemd!();
    let unit = format!("machine-{}.slice", lab.name().replace('-', "_"));
    let resources = json!({"pids": {"limit": 30}});
    let path = json!(format!("machine.slice::{unit}"));
    let container = sleeper(&lab, &[("/linux/cgroupsPath", path), ("/linux/resources", resources)]);
    is_in(&container, &format!("/machine.slice/{unit}"));
    let hierarchy = cgroups::hierarchy_with("pids").expect("systemd has the controller");
    assert_eq!(cgroups::read(container.pid(), hierarchy, "pids.max"), "30");
    assert_eq!((property(&unit, "TasksMax"), property(&unit, "ActiveState")), ("30".into(), "active".into()));
    let update = json!({"pids": {"limit": 20}}).to_string();
    container.command("update").args(["-r", "-"]).stdin_text(&update).run().assert_code(0);
    assert_eq!(cgroups::read(container.pid(), hierarchy, "pids.max"), "20");
    container.delete_force().assert_code(0);
    eventually("the unit to be gone", || (property(&unit, "ActiveState") == "inactive").then_some(()));
}

#[test]
fn a_scope_comes_and_goes_with_its_container() {
    let lab = lab_by_systemd!();
    let container = sleeper(&lab, &[]);
    let unit = unit_of(&container);
    is_in(&container, &format!("/system.slice/{unit}"));
    let hierarchy = cgroups::hierarchy_with("pids").expect("systemd has the controller");
    assert_eq!(cgroups::read(container.pid(), hierarchy, "cgroup.procs"), container.pid().to_string(), "nobody else");
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
    assert_eq!(cgroups::named(container.id()), Vec::<PathBuf>::new());
}

#[test]
fn a_limit_of_one_task_is_met_by_init_alone() {
    let lab = lab_by_systemd!();
    let container = sleeper(&lab, &[("/linux/resources/pids", json!({"limit": 1}))]);
    let hierarchy = cgroups::hierarchy_with("pids").expect("systemd has the controller");
    assert_eq!(cgroups::read(container.pid(), hierarchy, "pids.max"), "1");
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
    is_in(&container, &format!("/machine.slice/machine-{name}.slice/{unit}"));
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

/// Commands that are killed on their way, at some of their calls (all with `INSULA_SWEEP`): one `delete --force` leaves no
/// unit, no cgroup, and nothing else.
#[cfg(target_arch = "x86_64")]
#[test]
fn killed_on_the_way_no_unit_stays() {
    let lab = lab_by_systemd!();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "600"]);
    let path = bundle.path().to_str().expect("paths are text").to_owned();
    let before = Snapshot::take(&lab);
    let commands: [(bool, &[&str], usize); 2] =
        [(false, &["create", "--bundle", &path], 12), (true, &["delete", "--force"], 5)];
    for (exists, words, few) in commands {
        let attempt = |target: Option<(Point, Fault)>| {
            let container = lab.container(&bundle);
            if exists {
                container.create().assert_code(0);
            }
            let injected = inject(lab.insula().args(words).arg(container.id()), target);
            let deleted = container.delete_force();
            assert_eq!(deleted.code(), 0, "{target:?}: {deleted}");
            let unit = unit_of(&container);
            eventually(&format!("{unit} to be gone after {target:?}"), || {
                (property(&unit, "LoadState") == "not-found").then_some(())
            });
            before.assert_clean(&lab);
            injected
        };
        // The first one makes the state root, which those after it find.
        attempt(None);
        let points = attempt(None).points;
        let step = if std::env::var_os("INSULA_SWEEP").is_some() { 1 } else { points.len() / few };
        let chosen: Vec<_> = points.iter().step_by(step).collect();
        let killed = chosen.iter().filter(|point| attempt(Some((***point, Fault::Kill))).hit).count();
        // How often systemd is asked whether it is done differs, so that the last points may not be reached.
        assert!(killed * 4 > chosen.len() * 3, "only {killed} of {} were reached", chosen.len());
    }
}
