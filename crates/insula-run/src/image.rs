// SPDX-License-Identifier: Apache-2.0
//! Init's program with its steps behind it, in one sealed memfd: the container can neither reach the host's binary
//! (CVE-2019-5736) nor change what init does, and the host side needs no file of it.

use alloc::format;
use insula_error::{Error, Result};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, IoSlice};

static PROGRAM: &[u8] = include_bytes!(env!("INSULA_INIT"));

/// Where a mapping can begin.
const PAGE: usize = 4096;

static ZEROS: [u8; PAGE] = [0; PAGE];

fn failed(errno: Errno, what: &'static str) -> Error {
    Error::kernel(errno.raw_os_error(), "make init's image").object(what)
}

/// A program to execute with the steps it will find.
#[derive(Debug)]
pub(crate) struct Image {
    fd: OwnedFd,
    length: usize,
}

impl Image {
    /// Begins an image. It is not close-on-exec: init maps its steps from it and closes it.
    pub(crate) fn begin() -> Result<OwnedFd> {
        // KERNEL(6.3): MFD_EXEC, which vm.memfd_noexec wants said.
        let flags = MemfdFlags::ALLOW_SEALING;
        match memfd_create(c"insula-init", flags | MemfdFlags::EXEC) {
            Err(Errno::INVAL) => memfd_create(c"insula-init", flags),
            made => made,
        }
        .map_err(|e| failed(e, "memfd_create"))
    }

    /// Finishes the image that was begun as `fd`.
    pub(crate) fn finish(fd: OwnedFd, steps: &[u8]) -> Result<Self> {
        let padding = &ZEROS[..PROGRAM.len().next_multiple_of(PAGE) - PROGRAM.len()];
        let mut parts = [PROGRAM, padding, steps];
        while parts.iter().any(|part| !part.is_empty()) {
            let slices = parts.map(IoSlice::new);
            let mut written = match rustix::io::writev(&fd, &slices) {
                Err(Errno::INTR) => continue,
                done => done.map_err(|e| failed(e, "write"))?,
            };
            for part in &mut parts {
                let taken = written.min(part.len());
                *part = &part[taken..];
                written -= taken;
            }
        }
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&fd, seals).map_err(|e| failed(e, "F_ADD_SEALS"))?;
        Ok(Self { fd, length: steps.len() })
    }

    /// The memfd itself.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Becomes init. Returns only on failure.
    pub(crate) fn execute(&self) -> Errno {
        let place = insula_plan::c_str(&format!(
            "P={},{},{}",
            self.fd.as_raw_fd(),
            PROGRAM.len().next_multiple_of(PAGE),
            self.length
        ));
        #[cfg(feature = "weak")]
        return self.execute_weakened(place, PROGRAM);
        #[cfg(not(feature = "weak"))]
        insula_sys::process::execveat(self.fd.as_fd(), &[c"insula", c"init"], &[place])
    }

    /// The memfd.
    #[cfg(feature = "weak")]
    pub(crate) fn fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
