// SPDX-License-Identifier: Apache-2.0
//! Which runtime is tested.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The runtime under test. Panics with advice if there is none.
pub fn runtime() -> &'static Path {
    static RUNTIME: OnceLock<PathBuf> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let path = std::env::var_os("INSULA").map_or_else(built, PathBuf::from);
        let path = path.canonicalize().unwrap_or_else(|error| {
            panic!(
                "no runtime to test at {}: {error}; run `cargo build --release`, or name one in $INSULA",
                path.display()
            )
        });
        // Every lab puts a file system of its own there.
        assert!(!path.starts_with("/run"), "{}: the tests hide /run; keep the runtime elsewhere", path.display());
        path
    })
}

/// Where `cargo build --release` leaves insula.
fn built() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("release/insula")
}

/// Whether the runtime under test is insula, not a peer: a peer lacks the commands and promises that only insula has.
pub fn is_insula() -> bool {
    static IS_INSULA: OnceLock<bool> = OnceLock::new();
    *IS_INSULA.get_or_init(|| {
        let output = Command::new(runtime()).arg("--version").output().expect("run the runtime");
        output.stdout.starts_with(b"insula")
    })
}
