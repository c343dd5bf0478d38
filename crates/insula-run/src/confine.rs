// SPDX-License-Identifier: Apache-2.0
//! What a startContainer hook may do: as much as the container's own process. Its program comes from the image, so with
//! the caller's rights whoever made the image would have them too.

use alloc::vec::Vec;
use insula_error::Result;
use insula_seccomp::Program;
use insula_spec::{Spec, Str};
use insula_sys::credentials::{Capabilities, capset, install_filter, set_gid, set_groups, set_uid};
use insula_sys::process::{PrctlOp, prctl};
use rustix::io::Errno;

/// The highest capability number that any kernel could have (two 32-bit words).
const CAPABILITIES: u64 = 64;
const AMBIENT_RAISE: u64 = 2;
const AMBIENT_CLEAR_ALL: u64 = 4;

/// The process's user, capabilities and filter.
#[derive(Debug)]
pub struct Confinement {
    uid: u32,
    gid: u32,
    /// Little-endian u32 after u32.
    groups: Vec<u8>,
    bounding: u64,
    sets: Capabilities,
    ambient: u64,
    no_new_privileges: bool,
    filter: Option<Program>,
}

impl Confinement {
    /// Of the document's process; nothing may be done where there is none. A filter with a listener is left out: the agent
    /// answers for the container's process only.
    ///
    /// # Errors
    /// As [`insula_seccomp::compile`].
    pub(crate) fn of(spec: &Spec<'_>) -> Result<Self> {
        let process = spec.process.as_ref();
        let bits = |list: &[Str<'_>]| {
            list.iter().filter_map(|name| insula_plan::capability(name)).fold(0, |set, number| set | 1_u64 << number)
        };
        let given = process.and_then(|process| process.capabilities.as_ref());
        let filter = spec.linux.seccomp.as_ref().map(insula_seccomp::compile).transpose()?.flatten();
        Ok(Self {
            uid: process.map_or(0, |process| process.user.uid),
            gid: process.map_or(0, |process| process.user.gid),
            groups: process
                .map(|process| process.user.additional_gids.iter().flat_map(|gid| gid.to_le_bytes()).collect())
                .unwrap_or_default(),
            bounding: given.map_or(0, |given| bits(&given.bounding)),
            sets: given.map_or_else(Capabilities::default, |given| Capabilities {
                effective: bits(&given.effective),
                permitted: bits(&given.permitted),
                inheritable: bits(&given.inheritable),
            }),
            ambient: given.map_or(0, |given| bits(&given.ambient)),
            no_new_privileges: process.is_some_and(|process| process.no_new_privileges),
            filter: filter.filter(|filter| !filter.uses_notify),
        })
    }

    /// Gives up everything else, in the order in which init does. The next call is execve.
    pub(crate) fn apply(&self) -> core::result::Result<(), Errno> {
        for capability in (0..CAPABILITIES).filter(|capability| self.bounding & (1 << capability) == 0) {
            match prctl(PrctlOp::DropBounding, capability, 0) {
                Ok(_) => {}
                // The first number that the kernel does not know.
                Err(Errno::INVAL) => break,
                Err(errno) => return Err(errno),
            }
        }
        prctl(PrctlOp::SetKeepCaps, 1, 0)?;
        match set_groups(&self.groups) {
            // An ordinary user's namespace of a single group.
            Err(Errno::PERM) if self.groups.is_empty() => {}
            done => done?,
        }
        set_gid(self.gid)?;
        set_uid(self.uid)?;
        let filter = self.filter.as_ref().map(|filter| (filter.bytes(), filter.flags));
        let install = || filter.as_ref().map_or(Ok(()), |(bytes, flags)| install_filter(bytes, *flags).map(drop));
        if !self.no_new_privileges {
            // Needs CAP_SYS_ADMIN, which another user than root gets back first.
            let mut all = insula_sys::credentials::capget()?;
            all.effective = all.permitted;
            capset(all)?;
            install()?;
        }
        capset(self.sets)?;
        match prctl(PrctlOp::Ambient, AMBIENT_CLEAR_ALL, 0) {
            Ok(_) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
        for capability in (0..CAPABILITIES).filter(|capability| self.ambient & (1 << capability) != 0) {
            // One that is not both permitted and inheritable is refused, as it is for init.
            let _ = prctl(PrctlOp::Ambient, AMBIENT_RAISE, capability);
        }
        if self.no_new_privileges {
            prctl(PrctlOp::SetNoNewPrivs, 1, 0)?;
            install()?;
        }
        Ok(())
    }
}
