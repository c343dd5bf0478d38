// SPDX-License-Identifier: Apache-2.0
//! What the host side does for a container, in order: one list, which `create` walks and `plan` prints.
//!
//! What init does is the plan's own list of steps; at [`Deed::Serve`] init walks that, and asks for the host's parts.

use crate::create::Request;
use alloc::vec::Vec;
use insula_plan::{Facts, Plan};
use insula_spec::Spec;

/// One thing that the host side does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Claims the id, which makes its directory.
    Claim,
    /// Writes down what is about to exist, so that `delete` finds it should this command die.
    Intend,
    /// Keeps the text of the document.
    KeepDocument,
    /// Makes the socket at which the program says that it is ready.
    NotifySocket,
    /// Makes the fifo that `start` writes to.
    Fifo,
    /// Makes the directory that the root is mounted on, where the mount namespace is the caller's.
    Anchor,
    /// Makes the cgroups.
    Groups,
    /// Sets their limits, and those of access to devices.
    Limits,
    /// Makes the class of service.
    Class,
    /// Fills the plan's slots with descriptors.
    Fill,
    /// Makes the first process.
    Launch,
    /// Ends the process that systemd's scope began with: init is in it.
    Inhabited,
    /// Sets oom_score_adj.
    OomScore,
    /// Writes the id maps before init is executed.
    Maps,
    /// Serves init until it is ready.
    Serve,
    /// Puts init into the class of service.
    EnterClass,
    /// Compares the namespaces with the plan.
    Prove,
    /// Writes the record.
    Record,
    /// Writes the pid file.
    PidFile,
    /// Hands a pidfd over.
    PidfdSocket,
    /// Runs startContainer hooks.
    StartHooks,
    /// Lets init go on.
    Go,
    /// Serves init until it has become the program.
    Executed,
}

/// What is done before there is a process.
pub(crate) fn before(plan: &Plan, spec: &Spec<'_>, request: &Request<'_>) -> Vec<Deed> {
    let mut deeds = Vec::from([Deed::Claim, Deed::Intend, Deed::KeepDocument]);
    if request.notify.is_some() {
        deeds.push(Deed::NotifySocket);
    }
    if !request.options.run || spec.process.is_none() {
        deeds.push(Deed::Fifo);
    }
    if plan.anchored() {
        deeds.push(Deed::Anchor);
    }
    deeds.extend([Deed::Groups, Deed::Limits]);
    if spec.linux.intel_rdt.is_some() {
        deeds.push(Deed::Class);
    }
    deeds.push(Deed::Fill);
    deeds
}

/// What `restore` does before CRIU makes the processes, which does without the rest.
pub(crate) fn before_restore(plan: &Plan, spec: &Spec<'_>, request: &Request<'_>) -> Vec<Deed> {
    let mut deeds = before(plan, spec, request);
    deeds.retain(|deed| !matches!(deed, Deed::NotifySocket | Deed::Fifo | Deed::Anchor | Deed::Fill));
    deeds
}

/// What is done from the first process on.
pub(crate) fn from_launch(plan: &Plan, facts: &Facts, spec: &Spec<'_>, request: &Request<'_>) -> Vec<Deed> {
    let run = request.options.run;
    let scored = plan.oom_score_adj.is_some();
    let deeds = [
        (true, Deed::Launch),
        (request.systemd && plan.born_in_cgroup, Deed::Inhabited),
        // At once, while an ordinary user's child is still dumpable and waits.
        (scored, Deed::OomScore),
        (plan.mapped_first, Deed::Maps),
        (true, Deed::Serve),
        (request.systemd && !plan.born_in_cgroup, Deed::Inhabited),
        // Init may have been forked before the intermediate process had its value.
        (scored && plan.staged && facts.euid == 0, Deed::OomScore),
        (spec.linux.intel_rdt.is_some(), Deed::EnterClass),
        (true, Deed::Prove),
        (true, Deed::Record),
        (request.pid_file.is_some(), Deed::PidFile),
        (request.pidfd_socket.is_some(), Deed::PidfdSocket),
        (run && !spec.hooks.start_container.is_empty(), Deed::StartHooks),
        (true, Deed::Go),
        (run, Deed::Executed),
    ];
    deeds.into_iter().filter_map(|(wanted, deed)| wanted.then_some(deed)).collect()
}
