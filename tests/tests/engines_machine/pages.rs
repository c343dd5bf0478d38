// SPDX-License-Identifier: Apache-2.0
//! README.md and the pages of docs/ on a clean Debian 13 with the package: each command as it stands there, `#` as root
//! and `$` as an ordinary user with a session, and what it prints compared with what the page shows. (docs/checkpoint.md is
//! run there by the tests of checkpoint.)

use crate::{machine, needs_machine, ok};
use insula_tests::page::{Example, follow, on_a_machine, run_into};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory in which a page's commands run, and files are that the page speaks of. It is the ordinary user's.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = Path::new("/var/tmp/pages").join(name);
        fs::create_dir_all(dir.join("dist/kubernetes")).expect("make a directory");
        let pod = include_str!("../../../dist/kubernetes/pod-shared.yaml");
        fs::write(dir.join("dist/kubernetes/pod-shared.yaml"), pod).expect("write a file");
        chown(&dir, Some(1000), Some(1000)).expect("give the directory away");
        Self(dir)
    }

    /// Runs one command of the page; its status and what it printed.
    fn run(&self, example: &Example) -> Option<(i32, String)> {
        let script = format!("cd {}; {}", self.0.display(), on_a_machine(&example.command)?);
        let mut command = Command::new("timeout");
        command.args(if example.ordinary { &["150", "as-user", "sh"][..] } else { &["150", "sh"] });
        Some(run_into(&self.0.with_extension("printed"), command.args(["-c", &script])))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A test for each page that needs nothing but the package.
macro_rules! pages {
    ($($page:ident)*) => {
        $(#[test] fn $page() {
            needs_machine!();
            let _machine = machine();
            let name = concat!("docs/", stringify!($page), ".md");
            let place = Place::new(stringify!($page));
            follow(name, include_str!(concat!("../../../docs/", stringify!($page), ".md")), 4, |example| place.run(example));
        })*
    };
}

pages! { introduction bundles namespaces sharing json rootless troubleshooting }

#[test]
fn engines() {
    needs_machine!();
    let _machine = machine();
    ok("systemctl start containerd; docker save busybox | ctr images import - >/dev/null");
    let place = Place::new("engines");
    follow("docs/engines.md", include_str!("../../../docs/engines.md"), 30, |example| place.run(example));
    let place = Place::new("kubernetes");
    follow("docs/kubernetes.md", include_str!("../../../docs/kubernetes.md"), 2, |example| place.run(example));
}

/// README.md installs insula in another place, and has Docker find it there.
#[test]
fn the_first_page() {
    needs_machine!();
    let _machine = machine();
    let text = include_str!("../../../README.md");
    let settings = text.split('`').find(|piece| piece.starts_with("{\"runtimes\"")).expect("settings for Docker");
    let place = Place::new("readme");
    let mut restarted = false;
    follow("README.md", text, 15, |example| {
        if example.command.starts_with("docker ") && !std::mem::replace(&mut restarted, true) {
            fs::write("/etc/docker/daemon.json", settings).expect("write Docker's settings");
            ok("systemctl restart docker");
        }
        place.run(example)
    });
    ok("rm /usr/local/bin/insula; cp /usr/share/doc/insula/examples/docker-daemon.json /etc/docker/daemon.json; \
        systemctl restart docker");
}
