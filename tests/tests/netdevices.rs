// SPDX-License-Identifier: Apache-2.0
//! `linux.netDevices`, with a pair of virtual devices in a network namespace of the test's own. Source: runtime-spec,
//! config-linux.md "Network Devices".

use insula_tests::{Bundle, Lab, Output, json, runtime, skip};

/// What the made device has before it moves.
const DEVICE: &str = "ip link add nd0 type veth peer name nd1 || exit 77; ip address add 10.9.8.7/24 dev nd0; \
    ip link set nd0 mtu 1400; exec \"$@\"";

/// Runs `bundle` by a runtime in a network namespace that has the device nd0.
fn run(lab: &Lab, bundle: &Bundle) -> Output {
    let words = ["-n", "sh", "-c", DEVICE, "sh"];
    lab.command("unshare")
        .args(words)
        .arg(runtime())
        .arg("--root")
        .arg(lab.state_root())
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(lab.fresh_id())
        .run()
}

fn moved(lab: &Lab, name: &str) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.set("/linux/netDevices", json!({"nd0": {"name": name}}));
    bundle.shell("ip -o address; ip -o link");
    bundle
}

/// Skips the calling test if this kernel has no veth.
macro_rules! needs_device {
    ($output:expr) => {
        if $output.code() == 77 {
            skip!("this kernel makes no veth devices");
        }
    };
}

#[test]
fn a_device_moves_with_its_address_and_comes_up() {
    let lab = Lab::new();
    let output = run(&lab, &moved(&lab, "inside"));
    needs_device!(output);
    output.assert_code(0);
    let address = output.stdout.lines().find(|line| line.contains("inet ") && line.contains("inside"));
    assert!(address.is_some_and(|line| line.contains("10.9.8.7/24")), "{output}");
    let link = output.stdout.lines().find(|line| line.contains("inside@")).unwrap_or_default();
    assert!(link.contains("mtu 1400") && link.contains(",UP"), "{output}");
}

#[test]
fn the_kernel_completes_a_name() {
    let lab = Lab::new();
    let output = run(&lab, &moved(&lab, "wan%d"));
    needs_device!(output);
    assert!(output.stdout.contains("wan0"), "{output}");
}

#[test]
fn what_cannot_move_is_named() {
    let lab = Lab::new();
    let mut bundle = moved(&lab, "lo");
    let output = run(&lab, &bundle);
    needs_device!(output);
    output.fails_with(&["/linux/netDevices/nd0", "as lo"]);
    bundle.set("/linux/netDevices", json!({"absent": {}}));
    run(&lab, &bundle).fails_with(&["/linux/netDevices/absent", "no such device"]);
    bundle.inherit("network");
    run(&lab, &bundle).fails_with(&["/linux/netDevices", "network"]);
}
