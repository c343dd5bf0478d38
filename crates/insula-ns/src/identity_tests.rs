// SPDX-License-Identifier: Apache-2.0
use super::*;
use rustix::fs::CWD;

fn own(kind: Kind) -> OwnedFd {
    open_at(CWD, format!("/proc/self/ns/{}", kind.namespace().proc_name)).unwrap()
}

#[test]
fn ways_to_the_same_namespace_agree() {
    let pid = i32::try_from(std::process::id()).unwrap();
    let process = open_at(CWD, format!("/proc/{pid}")).unwrap();
    let (by_pid, by_dir, by_self) =
        (all_of_process(pid).unwrap(), all_at(process.as_fd()).unwrap(), all_of_self().unwrap());
    for kind in Kind::all() {
        let by_fd = Identity::of_fd(own(kind).as_fd(), kind).unwrap();
        assert_eq!(kind_of(own(kind).as_fd()).unwrap(), kind);
        for other in [by_pid[kind].unwrap(), by_dir[kind].unwrap(), by_self[kind].unwrap()] {
            assert!(by_fd.same_object(&other), "{by_fd} {other}");
        }
        assert!(by_fd.same_object(&Identity::of_process(process.as_fd(), kind).unwrap()));
    }
    assert!(!by_pid[Kind::NETWORK].unwrap().same_object(&by_pid[Kind::UTS].unwrap()));
}

#[test]
fn ids_decide_where_both_are_known() {
    let one = Identity { kind: Kind::UTS, dev: 4, ino: 7, id: Some(1) };
    let recycled = Identity { id: Some(2), ..one };
    let elsewhere = Identity { ino: 8, ..one };
    assert!(!one.same_object(&recycled));
    assert!(one.same_object(&Identity { id: None, ..recycled }));
    assert!(one.same_object(&elsewhere), "an inode number may be fixed later, an id never changes");
    assert!(!one.same_object(&Identity { kind: Kind::IPC, ..one }));
}

#[test]
fn ids_are_stable_and_differ() {
    let (net, uts) = (id(own(Kind::NETWORK).as_fd()), id(own(Kind::UTS).as_fd()));
    assert_eq!(net, id(own(Kind::NETWORK).as_fd()));
    if net.is_some() {
        assert_ne!(net, uts);
    }
}

#[test]
fn owner_and_parent_of_own_namespaces() {
    let (_, owner_of_net) = owner(own(Kind::NETWORK).as_fd()).unwrap().unwrap();
    assert_eq!(owner_of_net.kind, Kind::USER);
    assert!(parent(own(Kind::NETWORK).as_fd(), Kind::NETWORK).unwrap().is_none());
    assert!(parent(own(Kind::USER).as_fd(), Kind::USER).unwrap().is_none(), "our own parent is outside our view");
    assert!(owner_uid(own(Kind::USER).as_fd()).is_ok());
    assert_ne!(pid_namespace_alive(own(Kind::PID).as_fd()), Some(false));
}

#[test]
fn missing_processes_are_errors() {
    assert_eq!(all_of_process(0x7fff_ffff).unwrap_err().errno(), Some(2));
    assert_eq!(kind_of(open_at(CWD, "/dev/null").unwrap().as_fd()).unwrap_err().errno(), Some(25));
}

#[test]
fn displayed_as_procfs_does() {
    let identity = Identity { kind: Kind::NETWORK, dev: 4, ino: 4_026_531_840, id: None };
    assert_eq!(identity.to_string(), "net:[4026531840]");
    assert_eq!(format!("{identity:>18}"), "  net:[4026531840]");
}

#[test]
fn texts_name_kind_and_inode() {
    assert_eq!(parse("net:[4026531840]"), Some((Kind::NETWORK, 4_026_531_840)));
    for other in ["socket:[12]", "net:[12", "net:12", "network:[12]", "net:[x]", "/dev/null", ""] {
        assert_eq!(parse(other), None, "{other}");
    }
}
