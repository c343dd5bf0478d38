// SPDX-License-Identifier: Apache-2.0
//! The system calls that a step makes, as text. Those that only look (openat2(2), fstat(2)) are left out.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;
use insula_ns::Kind;
use insula_plan::TreeSource;
use insula_steps::message::Part;
use insula_steps::{Fd, MOUNT_COPY_UP, MOUNT_PARENT, Step};

/// `CLONE_NEWNS|CLONE_NEWPID`
pub(super) fn kinds(flags: u64) -> String {
    let names: Vec<String> = Kind::all()
        .filter(|kind| flags & kind.namespace().clone_flag != 0)
        .map(|kind| clone_name(kind).to_string())
        .collect();
    names.join("|")
}

fn clone_name(kind: Kind) -> &'static str {
    match kind.namespace().proc_name {
        "user" => "CLONE_NEWUSER",
        "pid" => "CLONE_NEWPID",
        "net" => "CLONE_NEWNET",
        "mnt" => "CLONE_NEWNS",
        "ipc" => "CLONE_NEWIPC",
        "uts" => "CLONE_NEWUTS",
        "cgroup" => "CLONE_NEWCGROUP",
        _ => "CLONE_NEWTIME",
    }
}

/// Arguments of clone3(2), in words.
pub(super) fn clone3(flags: u64, into_cgroup: bool) -> String {
    let namespaces = kinds(flags);
    let mut words = Vec::from(["CLONE_PIDFD"]);
    if !namespaces.is_empty() {
        words.push(&namespaces);
    }
    if into_cgroup {
        words.push("CLONE_INTO_CGROUP");
    }
    format!("clone3({})", words.join("|"))
}

/// The copy of a host tree that the runtime makes. Linux 6.15 and later take the copy and its first change in one
/// open_tree_attr(2).
pub(super) fn tree(source: &TreeSource) -> Vec<String> {
    let mut calls = Vec::from([format!("open_tree({})", source.path)]);
    let changes = source.propagation.len()
        + usize::from(source.set | source.clear != 0)
        + usize::from(source.set_all | source.clear_all != 0);
    calls.extend((0..changes).map(|_| String::from("mount_setattr")));
    calls
}

/// What `step` calls, and whether that depends on what the root file system holds.
pub(super) fn of(step: &Step<'_>) -> (Vec<String>, bool) {
    let quoted = |text: &CStr| text.to_string_lossy().into_owned();
    let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<String>>();
    let conditional = matches!(step, Step::Mask { .. } | Step::ReadOnly { .. } | Step::Link { .. } | Step::Home { .. });
    let calls = match step {
        Step::Join { kinds: flags, .. } => Vec::from([format!("setns({})", kinds(*flags))]),
        Step::Unshare { kinds: flags } => Vec::from([format!("unshare({})", kinds(*flags))]),
        Step::Fork { flags, cgroup } => Vec::from([clone3(*flags, cgroup.is_some())]),
        Step::BecomeRoot {} => list(&["setresgid(0)", "setresuid(0)"]),
        Step::Mount { fstype, propagation: 0, attributes, flags, .. }
            if attributes & insula_sys::mount::attr::RDONLY == 0 && flags & (MOUNT_COPY_UP | MOUNT_PARENT) == 0 =>
        {
            Vec::from([format!("mount({})", quoted(fstype))])
        }
        Step::Mount { fstype, options, propagation, .. } => {
            let mut calls = Vec::from([format!("fsopen({})", quoted(fstype))]);
            calls.extend(options.iter().map(|option| format!("fsconfig({})", quoted(option))));
            calls.extend(list(&["fsconfig(create)", "fsmount"]));
            if *propagation != 0 {
                calls.push(String::from("mount_setattr"));
            }
            calls.push(String::from("move_mount"));
            calls
        }
        Step::Early { fstype, options, .. } => {
            let mut calls = Vec::from([format!("fsopen({})", quoted(fstype))]);
            calls.extend(options.iter().map(|option| format!("fsconfig({})", quoted(option))));
            calls.extend(list(&["fsconfig(create)", "fsmount"]));
            calls
        }
        Step::Detach { path, .. } => Vec::from([format!("open_tree({})", quoted(path))]),
        Step::Root { at, .. } => {
            Vec::from([format!("move_mount({})", if at.is_empty() { "/".into() } else { quoted(at) })])
        }
        Step::Device { bind, .. } if bind.is_some() => list(&["move_mount"]),
        Step::Device { .. } => list(&["mknodat"]),
        Step::Mask { .. } => list(&["mount", "fsopen", "fsmount", "open_tree", "move_mount"]),
        Step::ReadOnly { alone: 1, .. } => list(&["open_tree_attr", "move_mount"]),
        Step::ReadOnly { .. } => list(&["open_tree", "mount_setattr", "move_mount"]),
        Step::Anchor { .. } => list(&["move_mount(mounts/rootfs)", "mount_setattr"]),
        Step::Pivot {} => list(&["pivot_root", "umount2"]),
        Step::MoveRoot {} => list(&["mount_setattr", "chroot"]),
        Step::Sysctl { name, .. } => Vec::from([format!("write(/proc/sys/{})", quoted(name))]),
        Step::Seccomp { program, .. } => Vec::from([format!("seccomp({} instructions)", program.len() / 8)]),
        Step::Terminal { console: 0, .. } => list(&["open(/dev/ptmx)", "ioctl(TIOCSCTTY)"]),
        Step::Terminal { .. } => list(&["open(/dev/ptmx)", "open_tree", "move_mount", "ioctl(TIOCSCTTY)"]),
        Step::User { set_groups: 0, .. } => list(&["setresgid", "setresuid"]),
        Step::User { .. } => list(&["setgroups", "setresgid", "setresuid"]),
        Step::Ask { part } => Vec::from([format!("wait for the runtime: {}", part_name(*part))]),
        other => list(plain(other)),
    };
    (calls, conditional)
}

/// Steps whose calls have no arguments worth showing.
fn plain(step: &Step<'_>) -> &'static [&'static str] {
    match step {
        Step::WriteTo { .. } => &["write"],
        Step::Loopback {} => &["ioctl(SIOCSIFFLAGS)"],
        Step::Hostname { .. } => &["sethostname"],
        Step::Domainname { .. } => &["setdomainname"],
        Step::HostnameIs { .. } | Step::DomainnameIs { .. } => &["uname"],
        Step::Session {} => &["setsid"],
        Step::Propagate { .. } | Step::Change { .. } | Step::Adjust { .. } => &["mount_setattr"],
        Step::Attach { .. } => &["move_mount"],
        Step::Link { .. } => &["symlinkat"],
        Step::Chroot { .. } => &["chroot"],
        Step::Limit { .. } => &["prlimit"],
        Step::Keyring { .. } => &["keyctl"],
        Step::Bounding { .. } => &["prctl(PR_CAPBSET_DROP)"],
        Step::Capabilities { .. } => &["capset", "prctl(PR_CAP_AMBIENT)"],
        Step::NullStreams { .. } => &["openat2(/dev/null)", "dup3"],
        Step::FileLabel { .. } => &["openat2", "fsetxattr"],
        Step::DropGroups {} => &["setgroups"],
        Step::Lower { .. } => &["capget", "capset"],
        Step::Umask { .. } => &["umask"],
        Step::NoNewPrivs {} => &["prctl(PR_SET_NO_NEW_PRIVS)"],
        Step::Undumpable {} => &["prctl(PR_SET_DUMPABLE)"],
        Step::Cwd { .. } => &["chdir"],
        Step::Home { .. } => &["open(/etc/passwd)"],
        Step::Find { .. } => &["faccessat"],
        Step::Ready {} => &["sendmsg"],
        Step::AwaitStart { .. } => &["read"],
        Step::CloseFrom { .. } => &["close_range"],
        Step::Exec { .. } => &["execve"],
        Step::Personality { .. } => &["personality"],
        Step::IoPriority { .. } => &["ioprio_set"],
        Step::Scheduler { .. } => &["sched_setattr"],
        Step::MemoryPolicy { .. } => &["set_mempolicy"],
        Step::Label { .. } => &["write(/proc/self/attr)"],
        Step::Place { .. } => &["dup3"],
        Step::Affinity { .. } => &["sched_setaffinity"],
        _ => &[],
    }
}

fn part_name(part: u32) -> &'static str {
    match Part::from_number(part) {
        Some(Part::Maps) => "id maps",
        Some(Part::Offsets) => "clock offsets",
        Some(Part::Hooks) => "hooks",
        Some(Part::Devices) => "network devices",
        None => "its part",
    }
}

/// The descriptor a step attaches, if it is a slot.
pub(super) fn slot(step: &Step<'_>) -> Option<Fd> {
    match step {
        Step::Join { fd, .. } | Step::WriteTo { fd, .. } => Some(*fd).filter(|fd| fd.is_some()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_named_as_in_the_manual() {
        assert_eq!(clone3(0x2002_0000, true), "clone3(CLONE_PIDFD|CLONE_NEWPID|CLONE_NEWNS|CLONE_INTO_CGROUP)");
        assert_eq!(clone3(0, false), "clone3(CLONE_PIDFD)");
    }

    #[test]
    fn a_mount_is_made_before_it_is_attached() {
        let mut storage = Vec::new();
        let options = insula_steps::Strings::pack(["mode=755"], &mut storage);
        let step = Step::Mount { fstype: c"tmpfs", options, attributes: 1, propagation: 0, target: c"/dev", flags: 0 };
        let (calls, conditional) = of(&step);
        assert_eq!(calls, ["fsopen(tmpfs)", "fsconfig(mode=755)", "fsconfig(create)", "fsmount", "move_mount"]);
        assert!(!conditional);
        assert!(of(&Step::Mask { path: c"/proc/kcore", null: Fd(0), options: insula_steps::Strings::EMPTY }).1);
    }
}
