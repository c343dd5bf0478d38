// SPDX-License-Identifier: Apache-2.0
//! The containers of a state root whose first process lives, each held by pidfd as long as the caller looks.

use crate::handle::Handle;
use crate::launch::Log;
use crate::record::Record;
use crate::store::Root;
use alloc::format;
use alloc::vec::Vec;
use insula_error::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A container with its first process.
#[derive(Debug)]
pub struct Running {
    /// What is remembered of it.
    pub record: Record,
    /// Its first process.
    pub init: Handle,
}

/// All of them, by id. A record that cannot be read is warned of and passed over.
pub fn all(root: &Root, log: &dyn Log) -> Result<Vec<Running>> {
    // One descriptor a container is held.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let mut running = Vec::new();
    for id in root.ids()? {
        match root.home(&id).and_then(|home| home.map_or(Ok(None), |home| home.record())) {
            Ok(Some(record)) => {
                if let Some(init) = record.init() {
                    running.push(Running { record, init });
                }
            }
            Ok(None) => {}
            Err(e) => log.warn(&format!("{e}")),
        }
    }
    Ok(running)
}

impl Running {
    /// Path of its cgroup as /proc/\<pid\>/cgroup shows it, of one hierarchy.
    pub fn cgroup(&self) -> Option<&str> {
        self.record.cgroup.first()?.splitn(3, ':').nth(2)
    }
}
