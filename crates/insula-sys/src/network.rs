// SPDX-License-Identifier: Apache-2.0
//! Interface flags by ioctl (netdevice(7)).

use crate::raw::{number, syscall};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// struct ifreq, as far as its flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Brings the loopback interface of the caller's network namespace up (SIOCSIFFLAGS, IFF_UP|IFF_RUNNING) through any socket.
pub fn loopback_up(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    let request = InterfaceRequest { name, flags: 0x41, rest: [0; 22] };
    // SAFETY: the request has the size of struct ifreq and outlives the call.
    unsafe { syscall(number::IOCTL, [socket.as_raw_fd() as usize, 0x8914, &raw const request as usize, 0, 0, 0]) }
        .map(drop)
}
