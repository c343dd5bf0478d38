// SPDX-License-Identifier: Apache-2.0
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::*;
use crate::identity::Identity;

/// A directory of this test's own, removed with its contents.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("insula-ns-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().into()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn error(path: &str) -> (ErrorKind, String) {
    let error = open_path(path).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn own_namespaces_open_as_what_they_are() {
    for kind in Kind::all() {
        let path = format!("/proc/self/ns/{}", kind.namespace().proc_name);
        let (fd, found) = open_path(&path).unwrap();
        assert_eq!(found, kind);
        let identity = Identity::of_fd(fd.as_fd(), kind).unwrap();
        assert!(identity.same_object(&Identity::of_self(kind).unwrap()));
        assert_eq!(std::fs::read_link(&path).unwrap().to_str().unwrap(), identity.to_string());
    }
}

#[test]
fn links_commas_and_newlines_are_followed() {
    let scratch = Scratch::new("links");
    for name in ["plain", "with,comma", "with\nnewline", "with:colon"] {
        symlink("/proc/self/ns/uts", scratch.path(name)).unwrap();
        assert_eq!(open_path(&scratch.path(name)).unwrap().1, Kind::UTS);
    }
}

#[test]
fn another_kind_is_named() {
    let error = open_path_as("/proc/self/ns/uts", Kind::NETWORK).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().ends_with("/proc/self/ns/uts: is a uts namespace, not network"), "{error}");
    assert!(open_path_as("/proc/self/ns/pid", Kind::PID).is_ok());
}

#[test]
fn what_is_no_namespace_is_refused_at_once() {
    let scratch = Scratch::new("odd");
    std::fs::write(scratch.path("file"), "").unwrap();
    symlink("loop", scratch.path("loop")).unwrap();
    symlink("nowhere", scratch.path("dangling")).unwrap();
    assert!(Command::new("mkfifo").arg(scratch.path("fifo")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(scratch.path("socket")).unwrap();
    let started = Instant::now();
    let invalid = [
        ("", "the path is empty"),
        ("proc/self/ns/net", "the path must be absolute"),
        ("/proc/self/ns/net\0/x", "NUL"),
        (&scratch.path("file"), "is a plain file, not a namespace"),
        (&scratch.path("fifo"), "is a FIFO"),
        (&scratch.path("socket"), "is a socket"),
        ("/tmp", "is a directory"),
        ("/dev/null", "is a device"),
        ("/dev/tty", "is a device"),
        ("/proc/0/ns/net", "not running when the config was made"),
        ("/proc/1/ns/xyz", "no kind of namespace \"xyz\""),
    ];
    for (path, text) in invalid {
        let (kind, message) = error(path);
        assert_eq!(kind, ErrorKind::InvalidConfig, "{message}");
        assert!(message.contains(text), "{message}");
    }
    assert_eq!(error(&scratch.path("loop")).0, ErrorKind::Kernel(40));
    assert_eq!(error(&scratch.path("dangling")).0, ErrorKind::Kernel(2));
    assert_eq!(error(&format!("/{}", "x".repeat(5000))).0, ErrorKind::Kernel(36));
    assert!(started.elapsed() < Duration::from_millis(500));
}

#[test]
fn processes_that_ended_are_told_apart() {
    let mut child = Command::new("true").spawn().unwrap();
    let path = format!("/proc/{}/ns/net", child.id());
    let deadline = Instant::now() + Duration::from_secs(5);
    while state_of(child.id()) != Some(b'Z') {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
    let (kind, message) = error(&path);
    assert_eq!(kind, ErrorKind::State);
    assert!(message.contains("is a zombie"), "{message}");
    child.wait().unwrap();
    let (kind, message) = error(&path);
    assert_eq!(kind, ErrorKind::State);
    assert!(message.contains("is gone"), "{message}");
}
