// SPDX-License-Identifier: Apache-2.0
//! Reading counters out of the files of one directory.

use super::{Pressure, Stall};
use crate::file;
use crate::group::Entry;
use crate::members::{each_child, is_gone};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_error::{Error, Result};
use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

const ATTEMPTED: &str = "read the counters of the cgroup";

/// The directory of one hierarchy.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) &'a Entry);

impl Source<'_> {
    /// The file's text, `None` if the kernel or the cgroup does not have it.
    pub(super) fn text(self, name: &str) -> Result<Option<String>> {
        match self.0.dir().and_then(|dir| file::read(dir, name)) {
            Ok(text) => Ok(Some(text)),
            // EOPNOTSUPP: pressure is not counted.
            Err(e) if is_gone(e) || e == Errno::OPNOTSUPP => Ok(None),
            Err(e) => Err(self.0.error(e, ATTEMPTED, name)),
        }
    }

    pub(super) fn malformed(self, name: &str, line: &str) -> Error {
        let object = format!("{}/{name}", self.0.display());
        Error::state(ATTEMPTED, format!("{line:?} is not understood")).object(object)
    }

    /// The number in a file that has only one.
    pub(super) fn number(self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        number(text.trim_end()).map(Some).ok_or_else(|| self.malformed(name, &text))
    }

    /// The lines `key number` of a file, sorted by key.
    pub(super) fn pairs(self, name: &str) -> Result<Vec<(String, u64)>> {
        let text = self.text(name)?.unwrap_or_default();
        let pair = |line: &str| {
            let parts = line.split_once(' ').and_then(|(key, value)| Some((key.to_string(), number(value)?)));
            parts.ok_or_else(|| self.malformed(name, line))
        };
        let mut pairs = text.lines().map(pair).collect::<Result<Vec<_>>>()?;
        pairs.sort_unstable();
        Ok(pairs)
    }

    /// A list such as `0-2,7`.
    pub(super) fn list(self, name: &str) -> Result<Vec<u16>> {
        let text = self.text(name)?.unwrap_or_default();
        let mut list = Vec::new();
        for part in text.trim_end().split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first), Ok(last)) if first <= last => list.extend(first..=last),
                _ => return Err(self.malformed(name, part)),
            }
        }
        Ok(list)
    }

    /// Pressure stall information.
    pub(super) fn pressure(self, name: &str) -> Result<Option<Pressure>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let mut pressure = Pressure::default();
        for line in text.lines() {
            let (kind, values) = line.split_once(' ').ok_or_else(|| self.malformed(name, line))?;
            let stall = stall(values).ok_or_else(|| self.malformed(name, line))?;
            match kind {
                "some" => pressure.some = stall,
                "full" => pressure.full = stall,
                _ => {}
            }
        }
        Ok(Some(pressure))
    }
}

/// A number; `max` is the greatest, and the negative ones that some kernels show are zero.
pub(super) fn number(text: &str) -> Option<u64> {
    match text {
        "max" => Some(u64::MAX),
        text => text.parse().ok().or_else(|| text.parse::<i64>().ok().filter(|value| *value < 0).map(|_| 0)),
    }
}

fn stall(values: &str) -> Option<Stall> {
    let mut stall = Stall::default();
    for value in values.split(' ') {
        let (key, value) = value.split_once('=')?;
        match key {
            "avg10" => stall.avg10 = percent(value)?,
            "avg60" => stall.avg60 = percent(value)?,
            "avg300" => stall.avg300 = percent(value)?,
            "total" => stall.total = value.parse().ok()?,
            _ => {}
        }
    }
    Some(stall)
}

/// The kernel prints two digits behind the point, always.
fn percent(text: &str) -> Option<f64> {
    let (whole, hundredths) = text.split_once('.')?;
    let (whole, hundredths): (u32, u32) = (whole.parse().ok()?, hundredths.parse().ok()?);
    Some(f64::from(whole.checked_mul(100)?.checked_add(hundredths)?) / 100.0)
}

/// The host's sizes of huge pages, as the cgroup's files name them: `64KB`, `2MB`, `1GB`.
pub(super) fn huge_page_sizes() -> Vec<String> {
    let mut sizes = Vec::new();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(dir) = rustix::fs::openat(CWD, "/sys/kernel/mm/hugepages", flags, Mode::empty()) else { return sizes };
    let _ = each_child(dir.as_fd(), |_, name| {
        let size = name.to_str().ok().and_then(page_size);
        sizes.extend(size);
        Ok(())
    });
    sizes.sort_unstable();
    sizes
}

/// `hugepages-2048kB` is `2MB`.
pub(super) fn page_size(directory: &str) -> Option<String> {
    let kilobytes: u64 = directory.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kilobytes {
        0x10_0000.. => format!("{}GB", kilobytes >> 20),
        0x400.. => format!("{}MB", kilobytes >> 10),
        _ => format!("{kilobytes}KB"),
    })
}
