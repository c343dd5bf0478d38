// SPDX-License-Identifier: Apache-2.0
//! Joining and creating in processes without threads, and what becomes of a PID namespace without init. Needs root.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use insula_ns::{Identity, Kind, join_all, open_path, open_path_as, unshare};
use insula_sys::process::{Cloned, clone3};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// A process in namespaces of its own, until dropped.
struct Donor(Child);

impl Donor {
    fn new(options: &[&str], kind: Kind) -> Self {
        let child = Command::new("unshare").args(options).args(["sleep", "60"]).stdin(Stdio::null()).spawn().unwrap();
        let donor = Self(child);
        let own = Identity::of_self(kind).unwrap();
        donor.wait_for(|| {
            let link = std::fs::read_link(donor.path(kind)).unwrap_or_default();
            link.to_str().is_some_and(|link| !link.is_empty() && *link != own.to_string())
        });
        donor
    }

    fn wait_for(&self, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done() {
            assert!(Instant::now() < deadline, "{:?}", self.0);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn path(&self, kind: Kind) -> String {
        format!("/proc/{}/ns/{}", self.0.id(), kind.namespace().proc_name)
    }
}

impl Drop for Donor {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Whether `work` holds in a child process, which has no threads.
fn in_child(work: impl FnOnce() -> Result<bool, insula_error::Error>) -> bool {
    match clone3(0, None).unwrap() {
        Cloned::Child => {
            let held = work().unwrap_or_else(|error| {
                eprintln!("{error}");
                false
            });
            std::process::exit(i32::from(!held))
        }
        Cloned::Parent { pidfd, .. } => {
            let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
            status.exit_status() == Some(0)
        }
    }
}

// One test, so that no other thread holds a lock while children are made.
#[test]
fn namespaces_of_mixed_owners_are_joined_in_any_order_given() {
    let ours = Donor::new(&["--user", "--net"], Kind::NETWORK);
    let sibling = Donor::new(&["--user", "--ipc"], Kind::IPC);
    let host_owned = Donor::new(&["--uts", "--mount", "--cgroup"], Kind::CGROUP);
    let wanted = [
        (&ours, Kind::USER),
        (&ours, Kind::NETWORK),
        (&sibling, Kind::IPC),
        (&host_owned, Kind::MOUNT),
        (&host_owned, Kind::UTS),
        (&host_owned, Kind::CGROUP),
    ];
    let opened: Vec<_> = wanted.iter().map(|(donor, kind)| open_path_as(&donor.path(*kind), *kind).unwrap()).collect();
    let mut list: Vec<_> = wanted.iter().zip(&opened).map(|((_, kind), fd)| (fd.as_fd(), *kind)).collect();
    for _ in 0..list.len() {
        list.rotate_left(1);
        assert!(in_child(|| {
            join_all(&list)?;
            // The joined mount namespace has the same /proc.
            list.iter().try_fold(true, |all, (fd, kind)| {
                Ok(all && Identity::of_fd(*fd, *kind)?.same_object(&Identity::of_self(*kind)?))
            })
        }));
    }

    // Too late for anything of the host or a sibling once the user namespace is new.
    assert!(in_child(|| {
        unshare([Kind::USER])?;
        let error = join_all(&[list_entry(&list, Kind::IPC)]).unwrap_err();
        Ok(error.errno() == Some(1) && error.to_string().contains("before entering that"))
    }));

    // All kinds at once: the new user namespace owns the others.
    assert!(in_child(|| {
        unshare([Kind::UTS, Kind::NETWORK, Kind::USER])?;
        let (fd, _) = open_path("/proc/self/ns/net")?;
        let (_, owner) = insula_ns::identity::owner(fd.as_fd())?.unwrap();
        Ok(owner.same_object(&Identity::of_self(Kind::USER)?))
    }));

    dead_pid_namespace();
}

fn list_entry<'f>(list: &[(BorrowedFd<'f>, Kind)], kind: Kind) -> (BorrowedFd<'f>, Kind) {
    *list.iter().find(|(_, of)| *of == kind).unwrap()
}

fn dead_pid_namespace() {
    let donor = Donor::new(&["--pid", "--net", "--fork", "--kill-child"], Kind::NETWORK);
    let path = format!("/proc/{}/ns/pid_for_children", donor.0.id());
    donor.wait_for(|| open_path(&path).is_ok());
    let (fd, kind) = open_path(&path).unwrap();
    assert_eq!(kind, Kind::PID);
    // Only then has it asked to be killed with its parent.
    let children = format!("/proc/{0}/task/{0}/children", donor.0.id());
    donor.wait_for(|| {
        let child = std::fs::read_to_string(&children).unwrap();
        std::fs::read_to_string(format!("/proc/{}/comm", child.trim())).is_ok_and(|name| name == "sleep\n")
    });
    assert_ne!(insula_ns::identity::pid_namespace_alive(fd.as_fd()), Some(false));
    let pinned = format!("/proc/self/fd/{}", fd.as_raw_fd());
    assert!(open_path_as(&pinned, Kind::PID).is_ok());
    drop(donor);
    let deadline = Instant::now() + Duration::from_secs(10);
    let error = loop {
        if let Err(error) = open_path_as(&pinned, Kind::PID) {
            break error;
        }
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    };
    assert_eq!(error.kind(), insula_error::Kind::State);
    assert!(error.to_string().contains("its init has exited"), "{error}");
}
