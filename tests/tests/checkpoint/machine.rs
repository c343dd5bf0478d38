// SPDX-License-Identifier: Apache-2.0
//! With what only the virtual machine has: systemd's cgroups, devices to hand over, AppArmor.

use crate::counter::{checkpoint, counter, needs_criu, restored, there_and_back};
use insula_tests::{Lab, cgroups, json, skip};
use std::fs;
use std::os::fd::IntoRawFd as _;
use std::path::Path;
use std::process::Command;

/// Skips the calling test outside of the virtual machine.
macro_rules! needs_machine {
    () => {
        if std::env::var_os("INSULA_VM").is_none() {
            skip!("only in the virtual machine");
        }
        needs_criu!();
    };
}
pub(crate) use needs_machine;

/// A program on the machine itself, outside of the lab's mounts; what it prints, if it succeeds.
fn outside(words: &[&str]) -> Result<String, String> {
    let output = Command::new("nsenter").args(["-t", "1", "-m"]).args(words).output().expect("nsenter");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn systemd_makes_the_scope_again() {
    needs_machine!();
    if !Path::new("/run/systemd/system").is_dir() || !cgroups::is_unified() {
        skip!("systemd is not process 1 here");
    }
    // The lab hides the directory of the bus.
    let bus = fs::File::open("/run/dbus").expect("the system's bus is there").into_raw_fd();
    let mut lab = Lab::new();
    lab.by_systemd(&format!("unix:path=/proc/{}/fd/{bus}/system_bus_socket", std::process::id()));
    let container = counter(&lab, |bundle| bundle.set("/linux/resources/pids/limit", json!(55)));
    let unit = format!("runc-{}.scope", container.id());
    let property = |name| outside(&["systemctl", "show", "--value", "-p", name, &unit]).expect("systemctl");
    let invocation = property("InvocationID");
    assert_eq!(property("ActiveState"), "active");
    there_and_back(&lab, &container, &["--manage-cgroups-mode", "ignore"]);
    assert_eq!((property("ActiveState").as_str(), property("TasksMax").as_str()), ("active", "55"));
    assert_ne!(property("InvocationID"), invocation, "another scope");
    let path = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("its cgroup");
    assert!(path.trim().ends_with(&unit), "{path}");
    container.delete_force().assert_code(0);
    assert_eq!(property("ActiveState"), "inactive");
}

#[test]
fn a_device_stays_in_the_named_network() {
    needs_machine!();
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "1000"]);
    let owner = lab.container(&bundle).detached();
    let device = format!("ck{}", std::process::id());
    lab.command("ip").args(["link", "add", &device, "mtu", "1789", "type", "dummy"]).ok();
    let container = counter(&lab, |bundle| {
        bundle.join("network", owner.namespace_path("network"));
        bundle.set(&format!("/linux/netDevices/{device}"), json!({}))
    });
    for _ in 0..2 {
        assert!(container.inside(&format!("ip link show {device}")).contains("mtu 1789"));
        there_and_back(&lab, &container, &[]);
    }
    container.inside(&format!("ip link show {device}"));
}

#[test]
fn another_profile_at_restore() {
    needs_machine!();
    let lab = Lab::new();
    for name in ["insula-saved", "insula-restored"] {
        let rules = "capability, network, file, mount, umount, pivot_root, signal, ptrace, unix, change_profile,";
        let path =
            lab.write(name, format!("profile {name} flags=(attach_disconnected,mediate_deleted) {{ {rules} }}\n"));
        lab.command("apparmor_parser").arg("--replace").arg(path).ok();
    }
    let container = counter(&lab, |bundle| bundle.set("/process/apparmorProfile", json!("insula-saved")));
    let label = || container.inside("cat /proc/1/attr/current").trim().to_owned();
    assert_eq!(label(), "insula-saved (enforce)");
    checkpoint(&lab, &container).ok();
    restored(&lab, &container, &[]);
    assert_eq!(label(), "insula-saved (enforce)");
    checkpoint(&lab, &container).ok();
    container
        .finish(crate::counter::restore(&lab, &container).args(["--lsm-profile", "apparmor:insula-restored"]))
        .assert_code(0);
    assert_eq!(label(), "insula-restored (enforce)");
}
