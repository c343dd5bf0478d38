// SPDX-License-Identifier: Apache-2.0
//! The program that attacks: tests/hostile/hostile.c, static.

use crate::Bundle;
use std::fs;
use std::path::Path;

/// Where it was built.
pub fn hostile() -> &'static Path {
    Path::new(env!("INSULA_HOSTILE"))
}

impl Bundle {
    /// Puts it into the root file system as `/hostile`.
    #[track_caller]
    pub fn hostile(&mut self) -> &mut Self {
        fs::copy(hostile(), self.rootfs().join("hostile")).expect("copy the hostile program");
        self
    }

    /// Adds capabilities to the bounding, effective and permitted sets.
    #[track_caller]
    pub fn capabilities(&mut self, names: &[&str]) -> &mut Self {
        for set in ["bounding", "effective", "permitted"] {
            for name in names {
                self.push(&format!("/process/capabilities/{set}"), crate::json!(name));
            }
        }
        self
    }
}

/// Whether this is the long form, of minutes rather than seconds (`INSULA_LONG`).
pub fn long() -> bool {
    std::env::var_os("INSULA_LONG").is_some()
}
