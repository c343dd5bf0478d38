// SPDX-License-Identifier: Apache-2.0
//! `process.apparmorProfile` with a profile that the kernel has: the label of the process, and what it forbids.
//! Source: apparmor.d(5), apparmor_parser(8).

use insula_tests::{Bundle, Lab, json, skip};
use std::path::Path;

/// A profile in the kernel, for as long as this lives.
struct Profile<'lab> {
    lab: &'lab Lab,
    text: String,
    name: String,
}

impl<'lab> Profile<'lab> {
    /// Allows everything but to read the file `denied`.
    fn load(lab: &'lab Lab, name: &str, denied: &str) -> Self {
        let name = format!("{}-{name}", lab.name());
        let text = format!(
            "profile {name} flags=(attach_disconnected,mediate_deleted) {{\n  file,\n  capability,\n  network,\n  mount,\n  \
             umount,\n  pivot_root,\n  signal,\n  ptrace,\n  unix,\n  deny {denied} r,\n}}\n"
        );
        let profile = Self { lab, text, name };
        profile.parser("--replace");
        profile
    }

    fn parser(&self, action: &str) {
        self.lab.command("apparmor_parser").args([action, "--skip-cache"]).stdin_text(&self.text).ok();
    }
}

impl Drop for Profile<'_> {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

/// Skips the calling test where the kernel has no AppArmor or there is no parser for its profiles.
macro_rules! needs_apparmor {
    () => {
        if !Path::new("/sys/kernel/security/apparmor/.replace").exists() {
            skip!("the kernel has no AppArmor");
        }
        if !["/sbin", "/usr/sbin"].iter().any(|place| Path::new(place).join("apparmor_parser").exists()) {
            skip!("there is no apparmor_parser");
        }
    };
}

/// A bundle with files /etc/first and /etc/second, that runs a script.
fn bundle_of(lab: &Lab, script: &str) -> Bundle {
    let mut bundle = lab.bundle();
    for name in ["first", "second"] {
        std::fs::write(bundle.rootfs().join("etc").join(name), format!("{name}\n")).expect("write a file of the image");
    }
    bundle.shell(script);
    bundle
}

const LOOK: &str = "cat /proc/self/attr/current; cat /etc/first; cat /etc/second; true";

#[test]
fn a_profile_confines_the_container_and_exec() {
    needs_apparmor!();
    let lab = Lab::new();
    let (one, other) = (Profile::load(&lab, "one", "/etc/first"), Profile::load(&lab, "other", "/etc/second"));
    let mut bundle = bundle_of(&lab, LOOK);
    bundle.set("/process/apparmorProfile", json!(one.name));
    assert_eq!(lab.output_of(&bundle), format!("{} (enforce)\nsecond\n", one.name));

    bundle.args(&["sleep", "600"]);
    let container = lab.container(&bundle).detached();
    assert_eq!(container.inside(LOOK), format!("{} (enforce)\nsecond\n", one.name));
    // No new privileges would leave it no way to another profile.
    let exec = lab.insula().args(["exec", "--apparmor", &other.name, container.id(), "sh", "-c", LOOK]).ok();
    assert_eq!(exec.stdout, format!("{} (enforce)\nfirst\n", other.name));
}

#[test]
fn no_new_privileges_and_a_user_namespace_change_nothing() {
    needs_apparmor!();
    let lab = Lab::new();
    let profile = Profile::load(&lab, "one", "/etc/first");
    let mut bundle = bundle_of(&lab, LOOK);
    bundle.set("/process/apparmorProfile", json!(profile.name)).set("/process/noNewPrivileges", json!(true));
    assert_eq!(lab.output_of(&bundle), format!("{} (enforce)\nsecond\n", profile.name));
    bundle.user_namespace();
    assert_eq!(lab.output_of(&bundle), format!("{} (enforce)\nsecond\n", profile.name));
}

#[test]
fn a_profile_that_is_not_loaded_is_named() {
    needs_apparmor!();
    let lab = Lab::new();
    let mut bundle = bundle_of(&lab, "echo never");
    bundle.set("/process/apparmorProfile", json!("insula-no-such-profile"));
    let container = lab.container(&bundle);
    container.run().fails_with(&["/process/apparmorProfile", "insula-no-such-profile"]);
}
