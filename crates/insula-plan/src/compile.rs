// SPDX-License-Identifier: Apache-2.0
//! From the document to the plan.

use crate::facts::{ExecTarget, Facts, Options};
use crate::field::Field;
use crate::namespaces::{self, Phase, Want};
use crate::{label, process, rootfs, sysctl, text, trees};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_ns::{Kind, PerKind};
use insula_spec::{Process, Spec};
use insula_steps::{Fd, Step};
use insula_sys::weak::{self, Weakness};

/// A tree of mounts that the host side copies before init exists (open_tree(2)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeSource {
    /// Absolute path on the host.
    pub path: String,
    /// With everything mounted below it.
    pub recursive: bool,
    /// Attributes to set and to clear on the top mount.
    pub set: u64,
    /// See `set`.
    pub clear: u64,
    /// The same for the whole tree.
    pub set_all: u64,
    /// See `set_all`.
    pub clear_all: u64,
    /// Attributes that the document clears by name: the container's user namespace must not lift what locks the source.
    pub explicit: u64,
    /// The container has a user namespace: what the kernel would lock for it stays (mount_namespaces(7)).
    pub locked: bool,
    /// Ids of the mount: (inside, outside, count) for users, the same for groups, and whether for the whole tree.
    pub ids: Option<MountIds>,
    /// Propagation to give, in order: type, and whether to the whole tree.
    pub propagation: Vec<(u64, bool)>,
    /// The source must be a procfs: it goes over /proc.
    pub procfs: bool,
    /// The source must be a character or block device with these numbers.
    pub device: Option<(u32, u32)>,
    /// The source must be a directory.
    pub directory: bool,
}

/// How a mount's ids are mapped (mount_setattr(2), MOUNT_ATTR_IDMAP).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountIds {
    /// Ranges of user ids: first inside, first outside, count; empty with `groups` for those of the joined user namespace.
    pub users: Vec<[u32; 3]>,
    /// Ranges of group ids.
    pub groups: Vec<[u32; 3]>,
    /// With all mounts below.
    pub recursive: bool,
}

/// A file system that is mounted, attached nowhere, by a process with rights over the namespace that it shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EarlyMount {
    /// Its type.
    pub fstype: &'static str,
    /// `key=value` or `flag` for fsconfig(2).
    pub options: Vec<String>,
    /// MOUNT_ATTR_*
    pub attributes: u64,
    /// The intermediate process makes it, inside the joined namespace; otherwise the launch does.
    pub inside: bool,
}

/// A descriptor that the launch opens for init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// The namespace to join.
    Namespace(Kind),
    /// A version 1 `tasks` file of the container's group, by number.
    TaskFile(usize),
    /// The container's version 2 group.
    CgroupDir,
    /// A detached copy of host mounts.
    Tree(TreeSource),
    /// A new file system, or the number that the intermediate process puts one under.
    Early(EarlyMount),
    /// The directory of the container's state that the root is mounted on without a mount namespace of its own.
    Anchor,
    /// A directory of the host, to be the root without a mount.
    Directory(String),
    /// The fifo that `start` writes to.
    Fifo,
    /// A handle of the container's init (exec).
    Init,
    /// A user namespace with these maps.
    Users(MountIds),
}

/// A step with where it belongs and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is done.
    pub step: Step<'static>,
    /// When and by whom.
    pub phase: Phase,
    /// What asked for it.
    pub field: Field,
}

/// What will be asked of the kernel.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What becomes of each kind of namespace.
    pub wants: PerKind<Want>,
    /// Flags of the first clone3(2).
    pub clone_flags: u64,
    /// That clone3(2) also places the process in its version 2 group.
    pub born_in_cgroup: bool,
    /// Ids are mapped, and the process is root of its user namespace, before it becomes init.
    pub mapped_first: bool,
    /// The first process does nothing until the host side has written what it can write only now.
    pub held: bool,
    /// An intermediate process enters the namespaces and forks init.
    pub staged: bool,
    /// What init (and before it the intermediate process) does, in order.
    pub steps: Vec<Planned>,
    /// What [`Fd`] numbers in the steps stand for.
    pub slots: Vec<(Slot, Field)>,
    /// /proc/<pid>/oom_score_adj, written by the host side.
    pub oom_score_adj: Option<i64>,
    /// Lines for /proc/<pid>/timens_offsets.
    pub time_offsets: Vec<String>,
    /// The process has a terminal.
    pub terminal: bool,
    /// A user namespace is joined, in which setgroups(2) may be forbidden.
    pub joins_user: bool,
    /// Init copies the host's mounts itself, in its own mount namespace: the caller may not.
    pub trees_inside: bool,
}

/// Collects steps.
#[derive(Debug)]
pub struct Planner<'s> {
    pub(crate) spec: &'s Spec<'s>,
    pub(crate) facts: &'s Facts,
    pub(crate) options: &'s Options,
    pub(crate) wants: PerKind<Want>,
    /// Mounts that turn read-only when all is in place.
    pub(crate) read_only_later: Vec<(Field, String)>,
    pub(crate) plan: Plan,
    /// Where in the steps the intermediate process enters the user namespace.
    pub(crate) before_user: usize,
}

impl Plan {
    /// Whether the container's mounts lie in the caller's mount namespace, to be taken back from there.
    pub fn anchored(&self) -> bool {
        self.slots.iter().any(|(slot, _)| *slot == Slot::Anchor)
    }
}

impl Planner<'_> {
    /// Appends a step.
    pub(crate) fn step(&mut self, phase: Phase, field: Field, step: Step<'static>) {
        self.plan.steps.push(Planned { step, phase, field });
    }

    /// The descriptor that will stand for `slot`.
    pub(crate) fn slot(&mut self, slot: Slot) -> Fd {
        self.slot_for(slot, Field::None)
    }

    /// As `slot`, asked for by `field`; trees are never shared, since attaching one uses it up.
    pub(crate) fn slot_for(&mut self, slot: Slot, field: Field) -> Fd {
        if !matches!(slot, Slot::Tree(_) | Slot::Early(_))
            && let Some(known) = self.plan.slots.iter().position(|(known, _)| *known == slot)
        {
            return Fd(known as u32);
        }
        self.plan.slots.push((slot, field));
        Fd(self.plan.slots.len() as u32 - 1)
    }

    /// The document's entry for `kind`.
    pub(crate) fn entry(&self, kind: Kind) -> Field {
        match self.wants[kind] {
            Want::New(index) | Want::Join(index) | Want::Stay(index) => Field::Entry("/linux/namespaces", index),
            Want::Inherit => Field::None,
        }
    }

    /// The joined namespace of `kind`, for messages.
    pub(crate) fn joined_text(&self, kind: Kind) -> String {
        self.facts.joins[kind].map_or_else(|| format!("the {kind} namespace"), |fact| format!("{}", fact.identity))
    }

    /// Whether the process will be in a user namespace other than the caller's.
    pub(crate) fn other_user(&self) -> bool {
        self.wants[Kind::USER].leaves()
    }

    /// Whether the container's user namespace will have no rights over its namespace of `kind`: it is another user
    /// namespace's than the one that the process enters, or one below that.
    pub(crate) fn foreign(&self, kind: Kind) -> bool {
        self.other_user()
            && match self.wants[kind] {
                Want::New(_) => false,
                Want::Inherit | Want::Stay(_) => true,
                Want::Join(_) => !self.facts.joins[kind].is_some_and(|fact| fact.owned_by_joined_user),
            }
    }

    /// A mount that the container could not make itself, since it shows the foreign namespace of `kind`.
    ///
    /// # Errors
    /// `Unsupported` for an ordinary user, who has no rights over that namespace either.
    pub(crate) fn early(
        &mut self,
        field: Field,
        kind: Kind,
        fstype: &'static str,
        options: Vec<String>,
        attributes: u64,
    ) -> Result<Fd> {
        if self.facts.euid != 0 {
            let target = if fstype == "sysfs" {
                "/sys"
            } else if fstype == "mqueue" {
                "/dev/mqueue"
            } else {
                "/proc"
            };
            return Err(Error::unsupported(
                format!("{field}"),
                format!("mount {fstype}"),
                format!("it shows the {kind} namespace, which is owned outside the container's user namespace"),
            )
            .advice(format!("make the {kind} namespace new as well, or bind the host's: {{\"type\": \"bind\", \"source\": \"{target}\", \"options\": [\"rbind\"]}}")));
        }
        let inside = matches!(self.wants[kind], Want::Join(_));
        let packed = text::strings(options.iter().map(String::as_str));
        let fd = self.slot_for(Slot::Early(EarlyMount { fstype, options, attributes, inside }), field);
        if inside {
            let step = Step::Early { fd, fstype: text::c_str(fstype), options: packed, attributes };
            self.plan.steps.insert(self.before_user, Planned { step, phase: Phase::Stage, field });
            self.before_user += 1;
        }
        Ok(fd)
    }

    /// Whether the mount namespace is the caller's.
    pub(crate) fn callers_mounts(&self) -> bool {
        matches!(self.wants[Kind::MOUNT], Want::Inherit | Want::Stay(_))
    }

    /// Whether the mount namespace is the container's own, to be filled by us.
    pub(crate) fn own_mounts(&self) -> bool {
        matches!(self.wants[Kind::MOUNT], Want::New(_))
    }
}

/// Compiles the document. Validated already by `insula_spec::validate`.
///
/// # Errors
/// Whatever the document asks for that is contradictory or that insula does not do, naming the field.
pub fn compile(spec: &Spec<'_>, facts: &Facts, options: &Options) -> Result<Plan> {
    refuse_unknown_parts(spec)?;
    let wants = namespaces::wants(spec, |kind| facts.joins[kind].is_some_and(|fact| fact.own))?;
    namespaces::check_owned_fields(spec, &wants, facts)?;
    namespaces::check_new(spec, &wants, facts.uptime)?;
    namespaces::check_names(spec)?;
    sysctl::check(spec, &wants, facts)?;
    label::check(spec, facts)?;
    rootless(facts, &wants)?;
    let mut planner = Planner {
        spec,
        facts,
        options,
        read_only_later: Vec::new(),
        plan: Plan {
            wants,
            time_offsets: namespaces::offset_lines(spec),
            // A few more than the default document needs.
            steps: Vec::with_capacity(96),
            slots: Vec::with_capacity(24),
            ..Plan::default()
        },
        wants,
        before_user: 0,
    };
    namespaces::enter(&mut planner)?;
    process::all_cpus(&mut planner);
    process::early(&mut planner);
    if planner.own_mounts() {
        rootfs::plan(&mut planner)?;
    } else {
        rootfs::without_namespace(&mut planner)?;
    }
    sysctl::plan(&mut planner)?;
    process::plan(&mut planner)?;
    if facts.euid != 0 && planner.own_mounts() {
        trees::inside(&mut planner.plan)?;
    }
    Ok(planner.plan)
}

/// Compiles what `exec` does: all of the container's namespaces are joined at once, then `process` is started as the
/// container's own would be. `spec` has the container's seccomp section and nothing else that matters.
///
/// # Errors
/// As [`compile`].
pub fn compile_exec(spec: &Spec<'_>, target: &ExecTarget, facts: &Facts, options: &Options) -> Result<Plan> {
    let mut planner = Planner {
        spec,
        facts,
        options,
        wants: PerKind::from_fn(|_| Want::Inherit),
        read_only_later: Vec::new(),
        plan: Plan::default(),
        before_user: 0,
    };
    planner.plan.staged = true;
    // First of all: inside a user namespace, or a pid namespace, the container's processes can see this one, with every
    // right that it brings along (user_namespaces(7), ptrace(2)).
    planner.step(Phase::Stage, Field::None, Step::Undumpable {});
    // An ordinary user's runtime can write the value only as long as the process is dumpable.
    planner.plan.held = facts.euid != 0 && process_of(spec)?.oom_score_adj.is_some();
    let init = planner.slot(Slot::Init);
    let pinned = process::exec_cpus(&mut planner, "initial")?;
    if target.user && facts.euid == 0 {
        planner.step(Phase::Stage, Field::None, Step::DropGroups {});
    }
    planner.plan.joins_user = target.user;
    // With the mount option nsdelegate, nobody gives birth across the root of his cgroup namespace (ENOENT): that one is
    // joined by the child.
    let late = if target.born { target.kinds & Kind::CGROUP.namespace().clone_flag } else { 0 };
    if target.kinds & !late != 0 {
        planner.step(Phase::Stage, Field::None, Step::Join { fd: init, kinds: target.kinds & !late });
    }
    if target.user {
        planner.step(Phase::Stage, Field::None, Step::BecomeRoot {});
    }
    if let Some(root) = &target.root {
        let fd = planner.slot(Slot::Directory(root.clone()));
        planner.step(Phase::Stage, Field::None, Step::Chroot { fd });
    }
    if target.fork || target.born {
        let cgroup = if target.born { planner.slot(Slot::CgroupDir) } else { Fd::NONE };
        planner.step(Phase::Stage, Field::None, Step::Fork { flags: 0, cgroup });
    }
    if late != 0 {
        // By itself: through a pidfd it would take the right to trace init, which this process no longer has.
        let fd = planner.slot(Slot::Namespace(Kind::CGROUP));
        planner.step(Phase::Enter, Field::None, Step::Join { fd, kinds: late });
    }
    for file in 0..target.task_files {
        let fd = planner.slot(Slot::TaskFile(file));
        planner.step(Phase::Enter, Field::None, Step::WriteTo { fd, text: b"0" });
    }
    if !process::exec_cpus(&mut planner, "final")? && !pinned {
        process::all_cpus(&mut planner);
    }
    process::early(&mut planner);
    if target.kinds & Kind::MOUNT.namespace().clone_flag != 0 {
        rootfs::null_streams(&mut planner);
    }
    process::plan_exec(&mut planner)?;
    if target.fork && !target.user && facts.euid == 0 && !weak::is(Weakness::FullRights) {
        process::lower_before_fork(&mut planner)?;
    }
    Ok(planner.plan)
}

/// Parts of the specification that insula does not do are errors, never passed over.
fn refuse_unknown_parts(spec: &Spec<'_>) -> Result<()> {
    for (present, pointer) in [
        (spec.solaris.is_some(), "/solaris"),
        (spec.windows.is_some(), "/windows"),
        (spec.vm.is_some(), "/vm"),
        (spec.zos.is_some(), "/zos"),
        (spec.freebsd.is_some(), "/freebsd"),
    ] {
        if present {
            return Err(Error::unsupported(pointer, "run the document", "this part is for another platform"));
        }
    }
    Ok(())
}

/// An ordinary user can make other namespaces only inside a user namespace of its own.
fn rootless(facts: &Facts, wants: &PerKind<Want>) -> Result<()> {
    if facts.euid == 0 || wants[Kind::USER].leaves() {
        return Ok(());
    }
    let attempted = match Kind::all().find(|kind| wants[*kind].leaves()) {
        None => format!("change the root as user {}", facts.euid),
        Some(kind) => format!("make or join a {kind} namespace as user {}", facts.euid),
    };
    let reason = "an ordinary user can do so only inside a user namespace of its own";
    Err(Error::invalid("/linux/namespaces", attempted, reason)
        .advice("add {\"type\": \"user\"} with mappings; `insula spec --rootless` writes such a document"))
}

/// The process of the document.
pub(crate) fn process_of<'s>(spec: &'s Spec<'s>) -> Result<&'s Process<'s>> {
    spec.process.as_ref().ok_or_else(|| Error::invalid("/process", "start the container", "there is no process"))
}
