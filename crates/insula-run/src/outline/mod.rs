// SPDX-License-Identifier: Apache-2.0
//! `insula plan`: the draft that `create` carries out, in words. Nothing here decides anything.
//!
//! Owns: the printed form. Its JSON is stable: fields are added, never renamed or removed while `version` is 1.

mod calls;

use crate::create::{Draft, Request, draft};
use crate::explain::purpose;
use crate::launch::Log;
use crate::running;
use crate::store::Root;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
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
///
/// # Errors
/// Those of `create`, as far as they show before anything is made.
pub fn outline(
    spec: &Spec<'_>,
    config: &[u8],
    request: &Request<'_>,
    root: Option<&Root>,
    log: &dyn Log,
) -> Result<Outline> {
    let mut notes = Vec::new();
    let user = rustix::process::geteuid().as_raw();
    let has_user = spec.linux.namespaces.iter().any(|entry| entry.kind == "user");
    let as_root = user != 0 && !has_user;
    if as_root {
        notes.push(format!(
            "planned as for root: user {user} could not do this without a user namespace in the document"
        ));
    }
    let draft = draft(spec, request, as_root)?;
    let mut outline = Outline {
        version: 1,
        bundle: request.bundle.to_string(),
        unknown_properties: insula_spec::unknown_properties(config),
        notes,
        namespaces: summaries(&draft, root, log),
        steps: Vec::new(),
    };
    let mut writer = Writer { spec, draft: &draft, steps: &mut outline.steps, procfs: false };
    writer.prepare(request)?;
    writer.launch();
    for planned in &draft.plan.steps {
        writer.step(planned);
    }
    Ok(outline)
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

    /// What the runtime does before there is a process.
    fn prepare(&mut self, request: &Request<'_>) -> Result<()> {
        let phase = "prepare";
        for (slot, field) in &self.draft.plan.slots {
            if let Slot::Namespace(kind) = slot {
                let identity = self.draft.facts.joins[*kind].map(|fact| fact.identity.to_string()).unwrap_or_default();
                let field = pointer(*field).or_else(|| self.entry(*kind));
                self.add(
                    phase,
                    "runtime",
                    format!("open the {kind} namespace {identity} and check it"),
                    Vec::from([String::from("openat")]),
                    field,
                );
            }
        }
        self.runtime(phase, "claim the id and write down what is about to exist", &["mkdirat"], None);
        if !request.options.run || self.spec.process.is_none() {
            self.runtime(phase, "make the fifo that start will write to", &["mknodat"], None);
        }
        for (controllers, path) in self.draft.group.paths() {
            let purpose =
                format!("make the cgroup {path} ({})", if controllers.is_empty() { "version 2" } else { controllers });
            self.steps.push(Action {
                phase,
                by: "runtime",
                purpose,
                calls: Vec::from([format!("mkdirat({path})")]),
                field: self.spec.linux.cgroups_path.as_ref().map(|_| String::from("/linux/cgroupsPath")),
                conditional: false,
            });
        }
        let none = Resources::default();
        if !self.draft.group.is_none() {
            let resources = self.spec.linux.resources.as_ref().unwrap_or(&none);
            for (path, value, field) in self.draft.group.planned(resources)? {
                self.add(
                    phase,
                    "runtime",
                    format!("set {path} to {value}"),
                    Vec::from([format!("write({path})")]),
                    Some(field),
                );
            }
            let purpose = format!("limit access to devices with {} rules", self.draft.devices.len());
            self.runtime(phase, purpose, &["write or bpf"], Some("/linux/resources/devices"));
        }
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
                    self.add(
                        phase,
                        "runtime",
                        format!("open {path}"),
                        Vec::from([String::from("openat")]),
                        pointer(*field),
                    );
                }
                _ => {}
            }
        }
        Ok(())
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
        if let Some(value) = plan.oom_score_adj {
            self.runtime(
                "launch",
                format!("set oom_score_adj to {value}"),
                &["write(oom_score_adj)"],
                Some("/process/oomScoreAdj"),
            );
        }
        if plan.mapped_first {
            self.maps("launch");
        }
        self.runtime("launch", "execute init from sealed memory", &["execveat"], None);
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
            // What the runtime does while init waits for its word.
            Step::Ready {} => {
                self.steps.push(Action { phase, by, purpose, calls, field, conditional });
                self.commit();
            }
            _ => self.steps.push(Action { phase, by, purpose, calls, field, conditional }),
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

    /// Between init's last preparation and its going on.
    fn commit(&mut self) {
        let phase = "commit";
        self.runtime(
            phase,
            "compare the eight namespaces that the kernel gave with this plan; end everything if one differs",
            &["fstatat"],
            None,
        );
        self.runtime(phase, "write the container's record", &["renameat"], None);
        let hooks = &self.spec.hooks;
        self.hooks(phase, "startContainer", &hooks.start_container);
    }
}
