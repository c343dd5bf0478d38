// SPDX-License-Identifier: Apache-2.0
//! Waiting with a deadline. No test waits for anything without one.

use std::time::{Duration, Instant};

/// How long one command may take before the test fails: `$INSULA_PATIENCE` seconds, 120 by default: what waits less long tells nothing
/// more of a machine that is slow and busy.
pub fn patience() -> Duration {
    let seconds = std::env::var("INSULA_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    Duration::from_secs(seconds)
}

/// Asks `probe` again and again until it answers, for at most [`patience`]; panics with `what` after that.
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
