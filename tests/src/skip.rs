// SPDX-License-Identifier: Apache-2.0
//! Skipping aloud. A test that cannot run here says so on the real standard error (libtest shows captured output
//! only of failing tests) and in the file `$INSULA_SKIPS`, which lets CI refuse a growing number.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

static SKIPPED: AtomicU32 = AtomicU32::new(0);

/// Ends the test that calls it, with the reason.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::record_skip(&format!($($reason)*));
        return;
    }};
}

/// Prints `skipped: reason` with the test's name and counts it. Use [`skip!`](crate::skip!), which also returns.
pub fn record_skip(reason: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    let thread = std::thread::current();
    let line = format!("skipped: {reason} ({}, number {count} in this binary)\n", thread.name().unwrap_or("?"));
    // Not eprintln!, which libtest captures.
    std::io::stderr().write_all(line.as_bytes()).expect("write to standard error");
    if let Some(path) = std::env::var_os("INSULA_SKIPS") {
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("open $INSULA_SKIPS");
        file.write_all(line.as_bytes()).expect("write to $INSULA_SKIPS");
    }
}
