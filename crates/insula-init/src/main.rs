// SPDX-License-Identifier: Apache-2.0
//! What runs inside the container's namespaces before the user's program.
//!
//! It is executed from a sealed memfd, so that no container can reach the host's own binary through `/proc/self/exe`
//! (CVE-2019-5736). The host side leaves it one environment entry, `P=<fd>,<offset>,<length>`: where its list of steps
//! lies. It walks them, and reports the first failure as *(step, call, errno)*.
//!
//! Owns: how each step is performed. Must not know: `config.json`, or why a step is asked for. Start reading at
//! [`walk::Init::perform`].
#![no_std]
#![no_main]
#![deny(unsafe_code)]
#![allow(clippy::unused_self)] // every step is performed by the walker, whether it looks at what it knows or not

extern crate alloc;

mod devices;
mod fault;
mod mounts;
mod paths;
mod process;
mod program;
mod report;
mod temporary;
mod terminal;
mod walk;

use insula_steps::message::Call;
use insula_steps::{Fd, MAGIC, Reader, Wire};

/// Exit status when init fails after there is nobody left to tell.
const FAILED: i32 = 255;

#[allow(unsafe_code)] // the name by which insula-start calls it
#[unsafe(no_mangle)]
extern "C" fn insula_main() -> i32 {
    #[cfg(feature = "weak")]
    if let Some(name) = insula_start::env().nth(1).and_then(|entry| entry.to_bytes().strip_prefix(b"W=")) {
        insula_sys::weak::choose(name);
    }
    let Some((socket, steps, mut reader, count)) = list() else { return FAILED };
    let mut init = walk::Init::new(socket, steps);
    for step in 0..count {
        init.step = step;
        let done = match insula_steps::Step::read(&mut reader) {
            Ok(step) => init.perform(&step),
            Err(_) => Err(fault::Fault::new(Call::Plan, rustix::io::Errno::INVAL)),
        };
        if let Err(fault) = done {
            return init.report(&fault);
        }
        temporary::sweep_many();
    }
    0
}

/// The list of steps: socket to the host side, the mapping of the steps, the steps, their count.
fn list() -> Option<(rustix::fd::BorrowedFd<'static>, &'static [u8], Reader<'static>, u32)> {
    let place = insula_start::env().next()?.to_bytes().strip_prefix(b"P=")?;
    let mut numbers = place.split(|byte| *byte == b',').map(|digits| {
        digits.iter().try_fold(0_u64, |n, digit| n.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0')?)))
    });
    let (fd, offset, length) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let image = insula_sys::memory::borrow(i32::try_from(fd).ok()?);
    let bytes = insula_sys::memory::map_sealed(image, offset, length as usize).ok()?;
    temporary::done(image);
    let mut reader = Reader::new(bytes);
    if u32::get(&mut reader).ok()? != MAGIC {
        return None;
    }
    let count = u32::get(&mut reader).ok()?;
    let socket = Fd::get(&mut reader).ok()?;
    Some((insula_sys::memory::borrow(socket.0 as i32), bytes, reader, count))
}
