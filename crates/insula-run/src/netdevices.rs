// SPDX-License-Identifier: Apache-2.0
//! `linux.netDevices`: network devices of the host that move into the container, with their addresses, and come up there.
//! The kernel sends a physical one back when the namespace ends. Source: runtime-spec, config-linux.md "Network Devices";
//! rtnetlink(7).

use crate::netlink::{Address, Socket};
use alloc::format;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::{Map, NetDevice};
use insula_sys::process::{clone, setns};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// Moves `devices` into the network namespace of the process whose /proc directory is `process`.
pub(crate) fn attach(devices: &Map<'_, NetDevice<'_>>, process: BorrowedFd<'_>) -> Result<()> {
    let attempted = "move network devices into the container";
    let failed = |e: Errno| Error::kernel(e.raw_os_error(), attempted).field("/linux/netDevices");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let target = openat(process, "ns/net", flags, Mode::empty()).map_err(failed)?;
    let own = openat(CWD, "/proc/self/ns/net", flags, Mode::empty()).map_err(failed)?;
    let mut here = Socket::open().map_err(failed)?;
    let mut there = socket_in(&target, &own).map_err(failed)?;
    for (name, device) in devices {
        let new_name = device.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(name);
        one(&mut here, &mut there, &target, name, new_name).map_err(|e| explained(e, name, new_name))?;
    }
    Ok(())
}

/// A socket that stays with the namespace `target`, which this process visits for as long as it takes to make it.
fn socket_in(target: &OwnedFd, own: &OwnedFd) -> core::result::Result<Socket, Errno> {
    setns(target.as_fd(), clone::NEWNET)?;
    let socket = Socket::open();
    setns(own.as_fd(), clone::NEWNET)?;
    socket
}

fn one(
    here: &mut Socket,
    there: &mut Socket,
    target: &OwnedFd,
    name: &str,
    new_name: &str,
) -> core::result::Result<(), Errno> {
    let index = here.index_of(name)?;
    let addresses: Vec<Address> =
        here.addresses()?.into_iter().filter(|address| address.index == index && address.stays()).collect();
    let before = there.links()?;
    here.move_link(index, target.as_raw_fd(), new_name)?;
    // A name such as eth%d is the kernel's to complete, and the number may be another one there.
    let index = there.links()?.into_iter().find(|index| !before.contains(index)).ok_or(Errno::NODEV)?;
    for address in &addresses {
        there.add_address(address, index)?;
    }
    there.bring_up(index)
}

fn explained(errno: Errno, name: &str, new_name: &str) -> Error {
    let error =
        Error::kernel(errno.raw_os_error(), format!("move network device {name} into the container as {new_name}"))
            .field(format!("/linux/netDevices/{}", name.replace('~', "~0")));
    match errno {
        Errno::NODEV => error.reason("there is no such device in the runtime's network namespace"),
        Errno::EXIST => error.reason("the container's network namespace has a device of that name"),
        Errno::INVAL => {
            error.reason("the device belongs to its network namespace and cannot be moved, or the name is taken")
        }
        _ => error,
    }
}
