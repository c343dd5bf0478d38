// SPDX-License-Identifier: Apache-2.0
//! Weaknesses that are put in on purpose, one at a time, to show that the tests of attacks notice them.
//!
//! Only a build with the feature `weak` has any (`cargo xtask test --weak`); there `INSULA_WEAK` names the one of a run. In
//! every other build [`is`] is a constant, and nothing of this is left in the program.

macro_rules! weaknesses {
    ($($(#[doc = $text:literal])* $variant:ident = $name:literal),* $(,)?) => {
        /// A protection that is left out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Weakness { $($(#[doc = $text])* $variant),* }

        /// All names, as `INSULA_WEAK` has them.
        pub const NAMES: &[&str] = &[$($name),*];
    };
}

weaknesses! {
    /// Processes that enter, or wait for their start, can be looked into.
    Dumpable = "dumpable",
    /// Whoever `exec` brings in has all rights of the runtime until its program starts.
    FullRights = "full-rights",
    /// Init is executed from a plain file of the host, /run/insula-weak-init.
    PlainInit = "plain-init",
    /// Init gets the caller's environment.
    Environment = "environment",
    /// Paths below the container's root are resolved as any other path is.
    FollowLinks = "follow-links",
    /// Descriptors stay open in the user's program.
    KeepDescriptors = "keep-descriptors",
    /// Whatever lies at a device's place is taken for it.
    AnyDevice = "any-device",
    /// Files are masked by what the container has as /dev/null.
    MaskByName = "mask-by-name",
    /// Mounts may lie over parts of procfs.
    OverProc = "over-proc",
    /// Kernel parameters are written to the procfs at /proc.
    ProcByName = "proc-by-name",
    /// A process is taken for another that had its number.
    ByNumber = "by-number",
    /// Namespace paths are opened before it is known what they are.
    OpenFirst = "open-first",
    /// Namespace paths are opened again when they are joined.
    OpenTwice = "open-twice",
    /// State directories may be links, and may be written to by others.
    AnyState = "any-state",
    /// Whoever does not take a message holds the runtime up.
    NoDeadline = "no-deadline",
    /// A frozen cgroup is waited for.
    AwaitThaw = "await-thaw",
    /// The session keyring is the caller's.
    SharedKeyring = "shared-keyring",
    /// Hooks have as much time as they like.
    PatientHooks = "patient-hooks",
    /// A boot is as good as another.
    AnyBoot = "any-boot",
    /// `exec` enters the mount namespace and not the root.
    NoRoot = "no-root",
    /// The terminal's device is opened whatever file system it is on.
    AnyTerminal = "any-terminal",
    /// Init outlives its creator.
    Linger = "linger",
    /// What is about to exist is not written down before it does.
    NoIntent = "no-intent",
    /// A torn file is as good as a whole one.
    TrustTorn = "trust-torn",
    /// Signals do not reach a command whose hook runs.
    DeafHooks = "deaf-hooks",
    /// The program stays in the caller's session.
    CallersSession = "callers-session",
    /// `no_new_privs` is not set.
    NewPrivileges = "new-privileges",
    /// The sets of capabilities stay as they are.
    KeepCapabilities = "keep-capabilities",
    /// Supplementary groups stay as they are.
    KeepGroups = "keep-groups",
    /// Nothing is masked.
    NoMasks = "no-masks",
    /// Attributes of mounts, such as read-only, are not set.
    PlainMounts = "plain-mounts",
    /// Mounts of the container reach whoever shares them.
    SharedMounts = "shared-mounts",
    /// The root is only chrooted.
    ChrootOnly = "chroot-only",
    /// The standard streams are given to the container's user.
    GivenStreams = "given-streams",
    /// Documents are not checked once they are parsed.
    Unchecked = "unchecked",
    /// An id that is taken can be taken again.
    NoClaim = "no-claim",
    /// A cgroup may be somebody else's.
    AnyCgroup = "any-cgroup",
    /// Only init is killed.
    LeaveMembers = "leave-members",
    /// The document is read from the bundle again at the start.
    ReadAgain = "read-again",
    /// A hook that fails at the end keeps the container.
    StrictHooks = "strict-hooks",
    /// The caller's procfs may be anything.
    AnyProcfs = "any-procfs",
    /// Files that are written for the caller may be links.
    FollowFiles = "follow-files",
    /// Access to devices is not limited.
    AllDevices = "all-devices",
}

/// Whether this weakness is in.
#[cfg(not(feature = "weak"))]
#[inline(always)]
#[allow(clippy::inline_always)] // a constant
pub const fn is(_: Weakness) -> bool {
    false
}

#[cfg(feature = "weak")]
static CHOSEN: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(usize::MAX);

/// Whether this weakness is in.
#[cfg(feature = "weak")]
pub fn is(weakness: Weakness) -> bool {
    CHOSEN.load(core::sync::atomic::Ordering::Relaxed) == weakness as usize
}

/// Puts the weakness of this name in; whether there is one.
#[cfg(feature = "weak")]
pub fn choose(name: &[u8]) -> bool {
    let found = NAMES.iter().position(|known| known.as_bytes() == name);
    CHOSEN.store(found.unwrap_or(usize::MAX), core::sync::atomic::Ordering::Relaxed);
    found.is_some()
}

/// The name of the weakness that is in.
#[cfg(feature = "weak")]
pub fn chosen() -> Option<&'static str> {
    NAMES.get(CHOSEN.load(core::sync::atomic::Ordering::Relaxed)).copied()
}
