// SPDX-License-Identifier: Apache-2.0
//! Making a container: facts, plan, intent, launch, proof, commit.

use crate::confine::Confinement;
use crate::deeds::{self, Deed};
use crate::expect::Expectation;
use crate::gather;
use crate::handle::{Handle, Identity};
use crate::hooks::Subject;
use crate::launch::{Host, Launch, Log};
use crate::maps;
use crate::notify::Notify;
use crate::preparation::{Preparation, gone};
use crate::prepare::Filled;
use crate::record::{Held, Record, Status, this_boot};
use crate::resctrl::Class;
use crate::share::Pinned;
use crate::spawn::Place;
use crate::store::{Home, Root};
use crate::{file, foreground, handover, verify};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cgroup::{Created, DeviceRules, Driver, Group, Layout};
use insula_error::{Error, Result};
use insula_ns::{Kind, PerKind};
use insula_plan::{Facts, Options, Plan, Want, compile};
use insula_spec::{Resources, Spec};
use insula_steps::Step;
use insula_steps::message::Part;
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::CWD;

/// What `create` and `run` are told.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// The container's id, valid.
    pub id: &'a str,
    /// Absolute path of the bundle.
    pub bundle: &'a str,
    /// `--pid-file`
    pub pid_file: Option<&'a str>,
    /// `--console-socket`
    pub console_socket: Option<&'a str>,
    /// `--pidfd-socket`
    pub pidfd_socket: Option<&'a str>,
    /// Without a console socket the terminal is served by this command.
    pub serve_terminal: bool,
    /// What the plan needs.
    pub options: Options,
    /// `--systemd-cgroup`
    pub systemd: bool,
    /// Namespaces that are open already, instead of by the document's path.
    pub pinned: Pinned,
    /// `NOTIFY_SOCKET`, for whose sake the document was extended.
    pub notify: Option<&'a str>,
    /// When it is created: RFC 3339.
    pub created: String,
}

/// A container that was made, and its process as our child.
#[derive(Debug)]
pub struct Container {
    /// Its state directory, locked.
    pub home: Home,
    /// Its record, committed.
    pub record: Record,
    /// Its first process.
    pub child: Handle,
    /// The signals of this command.
    pub signals: OwnedFd,
    /// Its terminal, if this command serves it.
    pub console: Option<OwnedFd>,
    /// Where its program says that it is ready.
    pub notify: Option<Notify>,
    /// Its cgroup.
    pub group: Group,
}

/// Makes the container of `spec`, whose text is `config`. With `options.run` its program runs already when this
/// returns, otherwise it waits for `start`.
///
/// # Errors
/// Whatever failed. Nothing is left behind: no process, mount, cgroup or state.
pub fn create(root: &Root, spec: &Spec<'_>, config: &[u8], request: &Request<'_>, log: &dyn Log) -> Result<Container> {
    check_terminal(spec, request)?;
    let drafted = draft(spec, request, Some(root), false).map_err(|e| match root.home(request.id) {
        // Its cgroup is in use because the container is there: that is the plainer word.
        Ok(Some(home)) if e.pointer() == Some("/linux/cgroupsPath") => crate::store::exists(&home.id, &home.path),
        _ => e,
    })?;
    tell_filter(&drafted.plan, log);
    for text in spec.linux.resources.iter().flat_map(passed_over) {
        log.warn(&text);
    }
    // From here on something exists that a signal must not leave behind.
    let signals = foreground::take_signals()?;
    let rootless = drafted.rootless;
    let mut preparation = Preparation::new(drafted, spec, config, request, log);
    for deed in deeds::before(&preparation.plan, spec, request) {
        preparation.perform(root, deed)?;
    }
    let Preparation { plan, facts, making, filled, class, notify, .. } = preparation;
    let (home, created) = (making.home()?, making.cgroup()?);
    let annotations = annotations(spec);
    let subject = Subject::new(spec, request, &annotations, home);
    let host = CreateHost { spec, plan: &plan, request, subject, console: None, rootless, hooked: false };
    let mut making_of = Underway {
        home,
        created,
        class,
        facts: &facts,
        host,
        log,
        filled,
        signals: Some(signals),
        launch: None,
        namespaces: Vec::new(),
        record: None,
    };
    let deeds = deeds::from_launch(&plan, &facts, spec, request);
    let made = deeds.into_iter().try_for_each(|deed| making_of.perform(deed));
    made.inspect_err(|_| making_of.take_back())?;
    let Underway { launch, record, mut host, .. } = making_of;
    let (Some(launch), Some(record)) = (launch, record) else {
        return Err(Error::state("create the container", "there is no process"));
    };
    let console = host.console.take();
    let (child, signals) = launch.into_parts();
    let (home, group) = making.done()?;
    Ok(Container { home, record, child, signals, console, notify, group })
}

/// What there is from the first process on.
struct Underway<'a> {
    home: &'a Home,
    created: &'a Created,
    class: Option<Class>,
    facts: &'a Facts,
    host: CreateHost<'a>,
    log: &'a dyn Log,
    filled: Option<Filled>,
    signals: Option<OwnedFd>,
    launch: Option<Launch<'a>>,
    namespaces: Vec<Held>,
    record: Option<Record>,
}

impl Underway<'_> {
    fn perform(&mut self, deed: Deed) -> Result<()> {
        let (spec, plan, request) = (self.host.spec, self.host.plan, self.host.request);
        if deed == Deed::Launch {
            let late = enters_late(spec, self.facts);
            let doors = self.created.open_for_join(&[])?;
            let target = doors.clone_target().filter(|_| !late);
            let filled = self.filled.take().ok_or_else(gone)?;
            let signals = self.signals.take().ok_or_else(gone)?;
            self.launch = Some(Launch::start(plan, filled, target, signals)?);
            return Ok(());
        }
        let launch = self.launch.as_mut().ok_or_else(gone)?;
        match (deed, &self.record) {
            (Deed::OomScore, _) => self.host.oom_score(launch),
            (Deed::Maps, _) => {
                maps::write_ids(launch.directory()?, launch.child.pid, spec)?;
                launch.go()
            }
            (Deed::Inhabited, _) => self.created.inhabited(),
            (Deed::Serve, _) => {
                let served = launch.until_ready(&mut self.host, self.log);
                let memory = spec.linux.resources.as_ref().and_then(|resources| resources.memory.as_ref());
                let limited =
                    launch.killed && memory.is_some_and(|memory| memory.limit.is_some_and(|limit| limit >= 0));
                served.map_err(|e| if limited { e.field("/linux/resources/memory/limit") } else { e })
            }
            (Deed::EnterClass, _) => self.class.as_ref().map_or(Ok(()), |class| class.enter(launch.child.pid)),
            (Deed::Prove, _) => {
                self.namespaces = verify::namespaces(plan, self.facts, &launch.child, None)?;
                Ok(())
            }
            (Deed::Record, _) => {
                let boot = if self.home.outlives_boot() { this_boot() } else { None };
                let init = Identity::during(launch.child.pid, launch.child.pidfd.as_fd(), boot.as_deref());
                let record = self.record_of(init, boot);
                self.home.commit(&record)?;
                self.record = Some(record);
                Ok(())
            }
            (Deed::PidFile, Some(record)) => match request.pid_file {
                Some(path) => write_pid_file(path, record.init.pid),
                None => Ok(()),
            },
            (Deed::PidfdSocket, _) => match request.pidfd_socket {
                Some(path) => handover::process(path, launch.child.pidfd.as_fd()),
                None => Ok(()),
            },
            (Deed::StartHooks, Some(record)) => start_hooks(self.home, spec, record, launch, plan),
            (Deed::Go, _) => launch.go(),
            (Deed::Executed, _) => launch.until_executed(&mut self.host, self.log),
            _ => Err(Error::state("create the container", format!("{deed:?} is done earlier"))),
        }
    }

    fn record_of(&mut self, init: Identity, boot: Option<String>) -> Record {
        let (spec, request) = (self.host.spec, self.host.request);
        Record {
            version: Record::VERSION,
            oci_version: String::from(spec.oci_version.as_str()),
            id: String::from(request.id),
            bundle: String::from(request.bundle),
            rootfs: rootfs(spec, request.bundle),
            created: request.created.clone(),
            owner: self.facts.euid,
            init,
            namespaces: core::mem::take(&mut self.namespaces),
            cgroup: self.created.record(),
            unit: self.created.unit_record(),
            rootless: self.host.rootless,
            hooks: !(spec.hooks.start_container.is_empty()
                && spec.hooks.poststart.is_empty()
                && spec.hooks.poststop.is_empty()),
            startable: spec.process.is_some(),
            resctrl: self.class.is_some(),
            expect: Some(Expectation::of(self.host.plan, spec)),
            boot,
            annotations: self.host.subject.annotations.clone(),
            pipes: if self.host.plan.terminal { [0; 3] } else { self.facts.streams.pipes },
            restored: false,
        }
    }

    /// Ends the process and lets hooks take back what hooks have done.
    fn take_back(&mut self) {
        let Some(launch) = &mut self.launch else { return };
        launch.end();
        if let Some(path) = self.host.request.pid_file {
            take_back_pid_file(path, launch.child.pid);
        }
        // Hooks that ran may have something to take back (runtime.md, "Lifecycle", 4 to 7).
        if self.host.hooked {
            let hooks = &self.host.spec.hooks.poststop;
            let subject = Subject { signals: Some(launch.signals.as_fd()), ..self.host.subject.clone() };
            for error in subject.run_all(hooks, "poststop", Status::Stopped) {
                self.log.warn(&format!("{error}"));
            }
        }
    }
}

/// Everything that is decided before anything is made: what `plan` prints and `create` carries out.
pub(crate) struct Draft {
    pub(crate) joins: gather::Joins,
    pub(crate) hierarchies: Vec<(String, String)>,
    pub(crate) facts: Facts,
    pub(crate) group: Group,
    pub(crate) devices: DeviceRules,
    pub(crate) plan: Plan,
    pub(crate) rootless: bool,
    pub(crate) class: Option<Class>,
}

/// Looks at the host and compiles the plan. Changes nothing. `root` has the containers whose namespaces may be joined.
/// With `as_root` it plans what root would do.
pub(crate) fn draft(spec: &Spec<'_>, request: &Request<'_>, root: Option<&Root>, as_root: bool) -> Result<Draft> {
    let (joins, join_facts) = gather::joins(spec, &request.pinned, root)?;
    let layout = Layout::probe()?;
    let hierarchies = gather::hierarchies(&layout);
    let mut facts = gather::facts(spec, request.bundle);
    facts.joins = join_facts;
    facts.joined_maps = gather::joined_maps(spec, &joins, &facts.joins);
    if as_root {
        (facts.euid, facts.egid) = (0, 0);
    }
    let rootless = is_rootless(&facts);
    let none = Resources::default();
    let resources = spec.linux.resources.as_ref().unwrap_or(&none);
    let devices = DeviceRules::for_container(&resources.devices, &spec.linux.devices)?;
    let cgroups_path = spec.linux.cgroups_path.as_deref().unwrap_or("");
    let mut annotations = spec.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let driver = if request.systemd { Driver::Systemd(&mut annotations) } else { Driver::Cgroupfs };
    let group = Group::plan_by(driver, layout, request.id, cgroups_path, resources, rootless)?;
    // What will be there if the cgroups can be made: the plan is compiled before anything is.
    let legacy = hierarchies.iter().filter(|(list, _)| !list.is_empty()).count();
    let unified = legacy < hierarchies.len();
    let late = enters_late(spec, &facts);
    let files = legacy + usize::from(late && unified);
    facts.cgroup = gather::cgroup_view(&hierarchies, &group, files, unified && !late);
    let plan = compile(spec, &facts, &request.options)?;
    let class = spec.linux.intel_rdt.as_ref().map(|rdt| Class::of(rdt, request.id)).transpose()?;
    Ok(Draft { joins, hierarchies, facts, group, devices, plan, rootless, class })
}

/// Whether init is forked by an intermediate process that is in the container's user namespace by then. From in there
/// nobody may give birth in the cgroup; init writes itself into it, through a file that was opened out here.
pub(crate) fn enters_late(spec: &Spec<'_>, facts: &Facts) -> bool {
    let own = |kind: Kind| facts.joins[kind].is_some_and(|fact| fact.own);
    let kind_of = |name: &str| Kind::from_spec_name(name).ok();
    let entries =
        || spec.linux.namespaces.iter().filter_map(|entry| Some((kind_of(&entry.kind)?, entry.path.is_some())));
    let user = entries().any(|(kind, _)| kind == Kind::USER && !own(kind));
    user && (!spec.linux.time_offsets.is_empty() || entries().any(|(kind, path)| path && !own(kind)))
}

/// Says the flags of the seccomp filter, for whoever looks closely.
pub(crate) fn tell_filter(plan: &Plan, log: &dyn Log) {
    for planned in &plan.steps {
        if let Step::Seccomp { flags, .. } = planned.step {
            log.debug(&format!("seccomp filter flags: {flags}"));
        }
    }
}

/// Limits that no kernel has any more, and an access that is none (COMPAT(runc): which takes them, too).
fn passed_over(resources: &Resources<'_>) -> Vec<String> {
    let mut list = Vec::new();
    for (index, rule) in resources.devices.iter().enumerate() {
        if rule.access.as_ref().is_some_and(|access| access.contains('a')) {
            list.push(format!("config.json: /linux/resources/devices/{index}/access: \"a\" is no access; ignored"));
        }
    }
    if let Some(memory) = &resources.memory {
        for (given, name) in [
            (memory.kernel.is_some_and(|limit| limit != 0), "kernel"),
            (memory.kernel_tcp.is_some_and(|limit| limit != 0), "kernelTCP"),
            (memory.use_hierarchy.is_some(), "useHierarchy"),
        ] {
            if given {
                list.push(format!("config.json: /linux/resources/memory/{name}: deprecated, without effect; ignored"));
            }
        }
    }
    list
}

/// An ordinary user, or root of a user namespace only: cgroups are then what somebody delegated, if anything.
fn is_rootless(facts: &Facts) -> bool {
    facts.euid != 0 || facts.inner_user
}

/// Whether this process is in another user namespace than the initial one.
pub fn in_user_namespace() -> bool {
    let initial = |own: insula_ns::Identity| own.same_object(&insula_ns::Identity::initial_user(own.dev));
    !insula_ns::Identity::of_self(Kind::USER).is_ok_and(initial)
}

/// Absolute path of the root file system.
pub(crate) fn rootfs(spec: &Spec<'_>, bundle: &str) -> String {
    let path = spec.root.as_ref().map_or("", |root| root.path.as_str());
    if path.starts_with('/') { String::from(path) } else { format!("{bundle}/{path}") }
}

pub(crate) fn annotations(spec: &Spec<'_>) -> BTreeMap<String, String> {
    spec.annotations.iter().map(|(key, value)| (String::from(key.as_str()), String::from(value.as_str()))).collect()
}

/// A terminal needs somebody to serve it, and a console socket needs a terminal (runc's words).
pub(crate) fn check_terminal(spec: &Spec<'_>, request: &Request<'_>) -> Result<()> {
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    match (terminal, request.console_socket, request.serve_terminal) {
        (true, None, false) => {
            Err(Error::usage("cannot allocate tty if runc will detach without setting console socket")
                .field("/process/terminal"))
        }
        (false, Some(_), _) => Err(Error::usage("cannot use console socket if runc will not detach or allocate tty")
            .field("/process/terminal")),
        _ => Ok(()),
    }
}

/// Puts the number under `path` in one step; a link or fifo there is replaced, not followed. Being killed in the middle
/// leaves nothing under another name.
pub(crate) fn write_pid_file(path: &str, pid: i32) -> Result<()> {
    let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
    let dir = if dir.is_empty() { "/" } else { dir };
    let failed = |e: rustix::io::Errno| Error::kernel(e.raw_os_error(), "write the pid file").object(path);
    if weak::is(Weakness::FollowFiles) {
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CREATE | rustix::fs::OFlags::TRUNC;
        let fd = rustix::fs::open(path, flags, rustix::fs::Mode::from_raw_mode(0o644)).map_err(failed)?;
        return file::write_all(fd.as_fd(), format!("{pid}").as_bytes()).map_err(failed);
    }
    let fd = file::open_dir(CWD, dir).map_err(failed)?;
    file::put(fd.as_fd(), name, format!("{pid}").as_bytes(), 0o644).map_err(failed)
}

/// Removes the file if it holds the number of a process that is no more.
pub(crate) fn take_back_pid_file(path: &str, pid: i32) {
    if file::read(CWD, path, 32, "read the pid file").is_ok_and(|text| text == format!("{pid}").as_bytes()) {
        let _ = rustix::fs::unlink(path);
    }
}

/// Hooks that come between `created` and the user's program: in the container.
pub(crate) fn start_hooks(
    home: &Home,
    spec: &Spec<'_>,
    record: &Record,
    launch: &Launch<'_>,
    plan: &Plan,
) -> Result<()> {
    if spec.hooks.start_container.is_empty() {
        return Ok(());
    }
    let subject = Subject::of(record, home, Some(launch.signals.as_fd()));
    let env = process_env(spec);
    let confinement = Confinement::of(spec)?;
    let place = Place {
        pidfd: launch.child.pidfd.as_fd(),
        kinds: kinds(&plan.wants),
        root_of: chrooted(record).then_some(record.init.pid),
        cwd: "",
        env: &env,
        confinement: Some(&confinement),
    };
    subject.run(&spec.hooks.start_container, "startContainer", Status::Created, Some(place))
}

/// The environment of startContainer hooks that have none of their own: the process's (COMPAT(runc)).
pub(crate) fn process_env(spec: &Spec<'_>) -> Vec<String> {
    let env = spec.process.iter().flat_map(|process| &process.env);
    let mut env: Vec<String> = env.map(|entry| String::from(entry.as_str())).collect();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(String::from("HOME=/"));
    }
    env
}

/// Whether the container is in its root by chroot(2) alone, in the caller's mount namespace.
pub(crate) fn chrooted(record: &Record) -> bool {
    record.held(Kind::MOUNT).is_some_and(|held| held.how == "inherited")
}

/// Clone flags of the kinds in which the container differs from the caller.
fn kinds(wants: &PerKind<Want>) -> u64 {
    Kind::all().filter(|kind| wants[*kind].leaves()).map(|kind| kind.namespace().clone_flag).fold(0, |a, b| a | b)
}

/// The host side's parts of a creation.
struct CreateHost<'a> {
    spec: &'a Spec<'a>,
    plan: &'a Plan,
    request: &'a Request<'a>,
    subject: Subject<'a>,
    console: Option<OwnedFd>,
    rootless: bool,
    /// Hooks have run.
    hooked: bool,
}

impl CreateHost<'_> {
    /// Written at once, while an ordinary user's child is still dumpable and waits.
    fn oom_score(&self, launch: &Launch<'_>) -> Result<()> {
        match self.plan.oom_score_adj {
            // The intermediate process hands its value on to the one it forks.
            Some(value) => maps::write_oom_score(launch.directory()?, value, self.rootless),
            None => Ok(()),
        }
    }

    fn hooks(&mut self, child: &Handle, signals: BorrowedFd<'_>) -> Result<()> {
        self.hooked = true;
        let subject = Subject { pid: child.pid, signals: Some(signals), ..self.subject.clone() };
        let hooks = &self.spec.hooks;
        subject.run(&hooks.prestart, "prestart", Status::Creating, None)?;
        subject.run(&hooks.create_runtime, "createRuntime", Status::Creating, None)?;
        // The root file system lies at its path still, and is where they begin (COMPAT(runc)).
        let cwd = if matches!(self.plan.wants[Kind::MOUNT], Want::New(_)) {
            rootfs(self.spec, self.request.bundle)
        } else {
            String::new()
        };
        let place = Place {
            pidfd: child.pidfd.as_fd(),
            kinds: kinds(&self.plan.wants),
            root_of: None,
            cwd: &cwd,
            env: &[],
            confinement: None,
        };
        subject.run(&hooks.create_container, "createContainer", Status::Creating, Some(place))
    }
}

impl Host for CreateHost<'_> {
    fn part(&mut self, part: Part, child: &Handle, directory: BorrowedFd<'_>, signals: BorrowedFd<'_>) -> Result<()> {
        match part {
            Part::Maps => maps::write_ids(directory, child.pid, self.spec),
            Part::Offsets => maps::write_offsets(directory, &self.plan.time_offsets),
            Part::Hooks => self.hooks(child, signals),
            Part::Devices => crate::netdevices::attach(&self.spec.linux.net_devices, directory),
        }
    }

    fn terminal(&mut self, master: OwnedFd) -> Result<()> {
        self.console = foreground::hand_over(master, self.request.console_socket)?;
        Ok(())
    }

    fn listener(&mut self, listener: OwnedFd, child: &Handle) -> Result<()> {
        let state = crate::record::State {
            oci_version: self.subject.oci_version,
            id: self.subject.id,
            pid: child.pid,
            status: Status::Creating.name(),
            bundle: self.subject.bundle,
            rootfs: None,
            created: None,
            annotations: (!self.subject.annotations.is_empty()).then_some(self.subject.annotations),
            owner: None,
        };
        handover::listener(self.spec, &state, child.pid, listener.as_fd())
    }
}

/// Hooks after the program was started; one that fails stops the container (runtime.md, "Lifecycle", 9). A signal that
/// can be read from `signals` and ends commands ends them, too.
pub fn poststart(home: &Home, spec: &Spec<'_>, record: &Record, signals: BorrowedFd<'_>) -> Result<()> {
    let subject = Subject::of(record, home, Some(signals));
    subject.run(&spec.hooks.poststart, "poststart", Status::Running, None).inspect_err(|_| {
        if let Some(init) = record.init() {
            let _ = init.signal(9);
            init.wait(5000);
        }
    })
}
