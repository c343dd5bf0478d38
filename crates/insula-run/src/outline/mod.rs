// SPDX-License-Identifier: Apache-2.0
//! `insula plan`: the draft that `create` carries out, in words. Nothing here decides anything.
//!
//! Owns: the printed form. Its JSON is stable: fields are added, never renamed or removed while `version` is 1.

mod calls;

use crate::create::{Draft, Request, draft};
use crate::deeds::{self, Deed};
use crate::explain::purpose;
use crate::launch::Log;
use crate::running;
use crate::store::Root;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_cgroup::Instance;
use insula_error::Result;
use insula_ns::Kind;
use insula_plan::{Field, Phase, Planned, Slot, Want};
use insula_spec::{Hook, Resources, Spec};
use insula_steps::Step;
use insula_steps::message::Part;
use serde::Serialize;

/// A whole plan.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outline {
    /// Version of this form.
    pub version: u32,
    /// The bundle.
    pub bundle: String,
    /// The document's properties that the specification does not know; they are ignored.
    pub unknown_properties: Vec<String>,
    /// What the reader should know of the plan as a whole.
    pub notes: Vec<String>,
    /// What becomes of each kind.
    pub namespaces: Vec<Summary>,
    /// What is done, in order.
    pub steps: Vec<Action>,
}

/// What becomes of one kind.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// As the document names it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `created`, `joined` or `inherited`.
    pub how: &'static str,
    /// The entry that asks for it, as a JSON pointer.
    pub field: Option<String>,
    /// Of a joined or inherited one.
    pub identity: Option<String>,
    /// The user namespace that owns a joined one, where the caller may know.
    pub owner: Option<String>,
    /// Running containers that are in a joined one.
    pub shared_with: Vec<String>,
    /// What an inherited one means for the host.
    pub exposes: Option<&'static str>,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// `prepare`, `launch`, `intermediate`, `enter`, `rootfs`, `process`, `start`, `commit`.
    pub phase: &'static str,
    /// `runtime` (the command itself), `intermediate` (a process that ends) or `init` (the container's first process).
    pub by: &'static str,
    /// What it is for.
    pub purpose: String,
    /// System calls that change something, in order.
    pub calls: Vec<String>,
    /// The place in the document that asks for it, as a JSON pointer; none where insula always does it.
    pub field: Option<String>,
    /// The calls depend on what the root file system holds: they are made if there is something to act on.
    pub conditional: bool,
}

/// Compiles `spec` as `create` would and puts it into words. `root` is asked for containers that share what is joined.
/// With `as_root` it is root's `create`, whoever asks.
///
/// # Errors
/// Those of `create`, as far as they show before anything is made.
pub fn outline(
    spec: &Spec<'_>,
    config: &[u8],
    request: &Request<'_>,
    root: Option<&Root>,
    as_root: bool,
    log: &dyn Log,
) -> Result<Outline> {
    let mut notes = Vec::new();
    let user = rustix::process::geteuid().as_raw();
    if as_root && user != 0 {
        notes.push(format!("planned as for root: of what user {user} may do, nothing is said"));
    }
    let draft = draft(spec, request, root, as_root)?;
    if draft.rootless && !draft.group.is_none() {
        notes.push(String::from("cgroups that the caller may not make are left out, and create says so"));
    }
    let mut outline = Outline {
        version: 1,
        bundle: request.bundle.to_string(),
        unknown_properties: insula_spec::unknown_properties(config),
        notes,
        namespaces: summaries(&draft, root, log),
        steps: Vec::new(),
    };
    let mut writer = Writer { spec, draft: &draft, steps: &mut outline.steps, procfs: false };
    // The namespaces are open already, as they are when `create` begins with its list.
    writer.joins();
    let later = deeds::from_launch(&draft.plan, &draft.facts, spec, request);
    for deed in deeds::before(&draft.plan, spec, request).into_iter().chain(later) {
        writer.deed(deed)?;
    }
    Ok(outline)
}

fn whose(instance: Instance) -> &'static str {
    if instance == Instance::System { "systemd" } else { "the user's systemd" }
}

fn pointer(field: Field) -> Option<String> {
    field.is_some().then(|| field.to_string())
}

fn summaries(draft: &Draft, root: Option<&Root>, log: &dyn Log) -> Vec<Summary> {
    let joined = Kind::all().any(|kind| matches!(draft.plan.wants[kind], Want::Join(_)));
    let running = match root.filter(|_| joined) {
        Some(root) => running::all(root, log).unwrap_or_default(),
        None => Vec::new(),
    };
    let one = |kind: Kind| {
        let want = draft.plan.wants[kind];
        let fact = draft.facts.joins[kind];
        let own = insula_ns::Identity::of_self(kind).ok();
        let (how, identity) = match want {
            Want::New(_) => ("created", None),
            Want::Join(_) => ("joined", fact.map(|fact| fact.identity)),
            Want::Inherit | Want::Stay(_) => ("inherited", own),
        };
        let field = match want {
            Want::Inherit => None,
            Want::New(index) | Want::Join(index) | Want::Stay(index) => Some(format!("/linux/namespaces/{index}")),
        };
        let shares = |one: &&running::Running| {
            how == "joined" && one.record.held(kind).zip(identity).is_some_and(|(held, is)| held.is(&is))
        };
        Summary {
            kind: kind.namespace().spec_name,
            how,
            field,
            identity: identity.map(|identity| identity.to_string()),
            owner: fact.filter(|_| how == "joined").and_then(|fact| fact.owner).map(|owner| owner.to_string()),
            shared_with: running.iter().filter(shares).map(|one| one.record.id.clone()).collect(),
            exposes: (how == "inherited").then_some(kind.namespace().exposes),
        }
    };
    Kind::all().map(one).collect()
}

struct Writer<'a> {
    spec: &'a Spec<'a>,
    draft: &'a Draft,
    steps: &'a mut Vec<Action>,
    /// A procfs for kernel parameters is mounted (and attached nowhere).
    procfs: bool,
}

impl Writer<'_> {
    fn add(
        &mut self,
        phase: &'static str,
        by: &'static str,
        purpose: impl Into<String>,
        calls: Vec<String>,
        field: Option<String>,
    ) {
        self.steps.push(Action { phase, by, purpose: purpose.into(), calls, field, conditional: false });
    }

    fn runtime(&mut self, phase: &'static str, purpose: impl Into<String>, calls: &[&str], field: Option<&str>) {
        let calls = calls.iter().map(ToString::to_string).collect();
        self.add(phase, "runtime", purpose, calls, field.map(String::from));
    }

    fn joins(&mut self) {
        for (slot, field) in &self.draft.plan.slots {
            if let Slot::Namespace(kind) = slot {
                let identity = self.draft.facts.joins[*kind].map(|fact| fact.identity.to_string()).unwrap_or_default();
                let field = pointer(*field).or_else(|| self.entry(*kind));
                let purpose = format!("open the {kind} namespace {identity} and check it");
                self.add("prepare", "runtime", purpose, Vec::from([String::from("openat")]), field);
            }
        }
    }

    /// One thing that the host side does.
    fn deed(&mut self, deed: Deed) -> Result<()> {
        let plan = &self.draft.plan;
        let ready = plan.steps.iter().position(|planned| matches!(planned.step, Step::Ready {}));
        let ready = ready.map_or(plan.steps.len(), |at| at + 1);
        match deed {
            Deed::Claim => self.runtime("prepare", "claim the id and make its directory", &["mkdirat"], None),
            Deed::Intend => {
                self.runtime(
                    "prepare",
                    "write down what is about to exist",
                    &["openat(intent)", "write(intent)"],
                    None,
                );
            }
            Deed::KeepDocument => {
                let calls = ["openat(config.json)", "write(config.json)"];
                self.runtime("prepare", "keep the document's text", &calls, None);
            }
            Deed::Fifo => {
                self.runtime("prepare", "make the fifo that start will write to", &["mknodat(exec.fifo)"], None);
            }
            Deed::Anchor => {
                let purpose = "make the directory that the root is mounted on, in the caller's mount namespace";
                self.runtime("prepare", purpose, &["mkdirat(mounts)", "mkdirat(mounts/rootfs)"], Some("/root/path"));
            }
            Deed::NotifySocket => {
                let purpose = "make the directory of the socket at which the program says that it is ready";
                self.runtime("prepare", purpose, &["mkdirat(notify)"], None);
            }
            Deed::Class => {
                let calls = ["mkdirat", "write(schemata)"];
                self.runtime("prepare", "make the class of service", &calls, Some("/linux/intelRdt"));
            }
            Deed::EnterClass => {
                self.runtime(
                    "launch",
                    "put init into the class of service",
                    &["write(tasks)"],
                    Some("/linux/intelRdt"),
                );
            }
            Deed::Groups => self.groups(),
            Deed::Limits => return self.limits(),
            Deed::Fill => self.fill(),
            Deed::Launch => self.launch(),
            Deed::Inhabited => {
                let purpose = "end the process that the scope began with";
                self.runtime("launch", purpose, &["pidfd_send_signal"], None);
            }
            Deed::OomScore => {
                let purpose = format!("set oom_score_adj to {}", plan.oom_score_adj.unwrap_or_default());
                self.runtime("launch", purpose, &["write(oom_score_adj)"], Some("/process/oomScoreAdj"));
            }
            Deed::Maps => self.maps("launch"),
            Deed::Serve => {
                self.runtime("launch", "execute init from sealed memory", &["execveat"], None);
                plan.steps[..ready].iter().for_each(|planned| self.step(planned));
            }
            Deed::Prove => {
                let purpose =
                    "compare the eight namespaces that the kernel gave with this plan; end everything if one differs";
                self.runtime("commit", purpose, &["fstatat"], None);
            }
            Deed::Record => {
                let calls = ["openat(state.json)", "write(state.json)", "renameat(state.json)"];
                self.runtime("commit", "write the container's record", &calls, None);
            }
            Deed::PidFile => self.runtime("commit", "write the pid file", &["renameat"], None),
            Deed::PidfdSocket => self.runtime("commit", "hand a pidfd over", &["sendmsg"], None),
            Deed::StartHooks => self.hooks("commit", "startContainer", &self.spec.hooks.start_container),
            Deed::Go => {
                self.runtime("commit", "let init go on", &["sendto"], None);
                plan.steps[ready..].iter().for_each(|planned| self.step(planned));
            }
            // Init ends the connection by becoming the program; nothing is called.
            Deed::Executed => {}
        }
        Ok(())
    }

    fn groups(&mut self) {
        self.unit();
        let by_systemd = self.draft.group.unit_record().is_some();
        for (controllers, path) in self.draft.group.paths() {
            let of = if controllers.is_empty() { "version 2" } else { controllers };
            let field = self.spec.linux.cgroups_path.as_ref().map(|_| String::from("/linux/cgroupsPath"));
            if by_systemd {
                self.conditional(
                    &format!("make the cgroup {path} ({of}), where systemd has not"),
                    Vec::from([format!("mkdirat({path})")]),
                );
            } else {
                let calls = Vec::from([format!("mkdirat({path})")]);
                self.add("prepare", "runtime", format!("make the cgroup {path} ({of})"), calls, field);
            }
            // A group is of no use without what those above it hand on.
            if controllers.is_empty() {
                let purpose = "have the controllers handed on by the groups above, where they are not yet";
                self.conditional(purpose, Vec::from([String::from("write(cgroup.subtree_control)")]));
            } else if controllers.split(',').any(|controller| controller == "cpuset") {
                let calls = ["cpuset.cpus", "cpuset.mems"].map(|file| format!("write({path}/{file})"));
                self.conditional("hand the processors and memory nodes of the group above on", Vec::from(calls));
            }
        }
    }

    /// What systemd is asked for.
    fn unit(&mut self) {
        let Some((name, instance, start)) = self.draft.group.planned_unit() else { return };
        let field = "/linux/cgroupsPath";
        let purpose = format!("ask {} for the unit {name}", whose(instance));
        let call = format!("sendto(StartTransientUnit {name} {})", start.join(" "));
        if name.rsplit('.').next() != Some("slice") {
            let purpose = "start a process for the scope to begin with, until init is in it";
            self.runtime("prepare", purpose, &["clone3"], Some(field));
        }
        self.add("prepare", "runtime", purpose, Vec::from([call]), Some(String::from(field)));
    }

    /// What systemd limits by itself.
    fn unit_limits(&mut self) {
        let none = Resources::default();
        let resources = self.spec.linux.resources.as_ref().unwrap_or(&none);
        let Some((name, instance, _)) = self.draft.group.planned_unit() else { return };
        let limits = self.draft.group.planned_properties(resources, &self.draft.devices);
        let purpose = format!("have {} limit {name}", whose(instance));
        let call = format!("sendto(SetUnitProperties {name} {})", limits.join(" "));
        self.add("prepare", "runtime", purpose, Vec::from([call]), Some(String::from("/linux/resources")));
    }

    fn conditional(&mut self, purpose: &str, calls: Vec<String>) {
        let purpose = String::from(purpose);
        self.steps.push(Action { phase: "prepare", by: "runtime", purpose, calls, field: None, conditional: true });
    }

    fn limits(&mut self) -> Result<()> {
        let none = Resources::default();
        let resources = self.spec.linux.resources.as_ref().unwrap_or(&none);
        let planned = self.draft.group.planned(resources)?;
        if self.draft.group.is_none() {
            return Ok(());
        }
        self.unit_limits();
        for (path, value, field) in planned {
            let calls = Vec::from([format!("write({path})")]);
            self.add("prepare", "runtime", format!("set {path} to {value}"), calls, Some(field));
        }
        let purpose = format!("limit access to devices with {} rules", self.draft.devices.len());
        self.runtime("prepare", purpose, &["write(devices) or bpf"], Some("/linux/resources/devices"));
        Ok(())
    }

    /// The descriptors that init will need.
    fn fill(&mut self) {
        let phase = "prepare";
        for (slot, field) in &self.draft.plan.slots {
            match slot {
                Slot::CgroupDir => {
                    let purpose =
                        "open the cgroup for the intermediate process, so that nothing above it can be reached";
                    self.runtime(phase, purpose, &["open_tree"], Some("/linux/cgroupsPath"));
                }
                Slot::Early(mount) if !mount.inside => {
                    let purpose =
                        format!("mount {}, attached nowhere, before the user namespace is entered", mount.fstype);
                    let mut calls = Vec::from([format!("fsopen({})", mount.fstype)]);
                    calls.extend(mount.options.iter().map(|option| format!("fsconfig({option})")));
                    calls.extend(["fsconfig(create)", "fsmount"].map(String::from));
                    self.add(phase, "runtime", purpose, calls, pointer(*field));
                }
                Slot::Tree(tree) if self.draft.plan.trees_inside => {
                    let purpose = format!("look at {}", tree.path);
                    self.add(phase, "runtime", purpose, Vec::from([String::from("openat")]), pointer(*field));
                }
                Slot::Tree(tree) => {
                    let purpose = format!("copy the mount of {}, detached", tree.path);
                    self.add(phase, "runtime", purpose, calls::tree(tree), pointer(*field));
                }
                Slot::Directory(path) => {
                    let calls = Vec::from([String::from("openat")]);
                    self.add(phase, "runtime", format!("open {path}"), calls, pointer(*field));
                }
                _ => {}
            }
        }
    }

    fn entry(&self, kind: Kind) -> Option<String> {
        match self.draft.plan.wants[kind] {
            Want::Inherit => None,
            Want::New(index) | Want::Join(index) | Want::Stay(index) => Some(format!("/linux/namespaces/{index}/path")),
        }
    }

    /// The first process.
    fn launch(&mut self) {
        let plan = &self.draft.plan;
        self.runtime("launch", "write init and its steps into sealed memory", &["memfd_create"], None);
        let who = if plan.staged { "start the intermediate process" } else { "start the container's first process" };
        let call = calls::clone3(plan.clone_flags, plan.born_in_cgroup);
        let field = (plan.clone_flags != 0).then(|| String::from("/linux/namespaces"));
        self.add("launch", "runtime", who, Vec::from([call]), field);
    }

    fn maps(&mut self, phase: &'static str) {
        let linux = &self.spec.linux;
        for (name, mappings, field) in [
            ("gid_map", &linux.gid_mappings, "/linux/gidMappings"),
            ("uid_map", &linux.uid_mappings, "/linux/uidMappings"),
        ] {
            let lines: Vec<[u32; 3]> = mappings.iter().map(|m| [m.container_id, m.host_id, m.size]).collect();
            let purpose = format!("write {name} {}", crate::audit::shown_map(&lines));
            self.add(phase, "runtime", purpose, Vec::from([format!("write({name})")]), Some(String::from(field)));
        }
    }

    /// One of the plan's own steps, and what the runtime does at it.
    fn step(&mut self, planned: &Planned) {
        let phase = planned.phase.name();
        let by = if planned.phase == Phase::Stage { "intermediate" } else { "init" };
        let (mut calls, conditional) = calls::of(&planned.step);
        if matches!(planned.step, Step::Sysctl { .. }) && !core::mem::replace(&mut self.procfs, true) {
            calls.splice(0..0, ["fsopen(proc)", "fsconfig(create)", "fsmount"].map(String::from));
        }
        let mut purpose = purpose(&planned.step).into_owned();
        if let Some(about) = self.about(&planned.step) {
            purpose = format!("{purpose} {about}");
        }
        let mut field = pointer(planned.field);
        if let Some(slot) = calls::slot(&planned.step) {
            field = field.or_else(|| self.draft.plan.slots.get(slot.0 as usize).and_then(|(_, field)| pointer(*field)));
        }
        match planned.step {
            Step::Ask { part } => self.part(phase, part),
            _ => self.steps.push(Action { phase, by, purpose, calls, field, conditional }),
        }
        // `start` runs them; of `run` they are this command's own.
        if matches!(planned.step, Step::AwaitStart { .. }) {
            self.hooks(phase, "startContainer", &self.spec.hooks.start_container);
        }
    }

    fn about(&self, step: &Step<'_>) -> Option<String> {
        match step {
            Step::Join { fd, .. } => match self.draft.plan.slots.get(fd.0 as usize) {
                Some((Slot::Namespace(kind), _)) => self.draft.facts.joins[*kind].map(|fact| fact.identity.to_string()),
                _ => None,
            },
            Step::Unshare { kinds } => Some(calls::kinds(*kinds)),
            _ => None,
        }
    }

    fn part(&mut self, phase: &'static str, part: u32) {
        match Part::from_number(part) {
            Some(Part::Maps) => self.maps(phase),
            Some(Part::Offsets) => {
                let lines: Vec<&str> = self.draft.plan.time_offsets.iter().map(|line| line.trim_end()).collect();
                let purpose = format!("write timens_offsets {}", lines.join(", "));
                self.runtime(phase, purpose, &["write(timens_offsets)"], Some("/linux/timeOffsets"));
            }
            Some(Part::Hooks) => {
                let hooks = &self.spec.hooks;
                self.hooks(phase, "prestart", &hooks.prestart);
                self.hooks(phase, "createRuntime", &hooks.create_runtime);
                self.hooks(phase, "createContainer", &hooks.create_container);
            }
            Some(Part::Devices) => {
                for (name, _) in &self.spec.linux.net_devices {
                    let field = format!("/linux/netDevices/{}", name.as_str());
                    let purpose = format!("move the network device {} into the container", name.as_str());
                    self.runtime(phase, purpose, &["sendto(netlink)"], Some(&field));
                }
            }
            None => {}
        }
    }

    fn hooks(&mut self, phase: &'static str, name: &str, hooks: &[Hook<'_>]) {
        for (index, hook) in hooks.iter().enumerate() {
            let purpose = format!("run the {name} hook {}", hook.path.as_str());
            self.add(
                phase,
                "runtime",
                purpose,
                Vec::from([String::from("execve")]),
                Some(format!("/hooks/{name}/{index}")),
            );
        }
    }
}
