// SPDX-License-Identifier: Apache-2.0
//! The seccomp compiler against the C library libseccomp, used as runc uses it. Where that is no judge
//! (crates/insula-seccomp/tests/differential.rs says why), the answer is compared with what the profile means.

use crate::entropy::Entropy;
use crate::interpreter::{I386, run};
use crate::meaning::Meaning;
use crate::reference::{Reference, agrees, mixed_up, unordered};
use crate::seccomp::calls;
use insula_seccomp::compile;
use std::sync::OnceLock;

/// The same answers to calls around the profile's values.
pub(crate) fn fuzz(bytes: &[u8]) {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    let names = NAMES.get_or_init(|| insula_seccomp::features::system_calls().filter(|name| agrees(name)).collect());
    let mut entropy = Entropy::new(bytes);
    let profile = entropy.profile(names);
    let Ok(Some(program)) = compile(&profile) else { return };
    let Ok(reference) = Reference::new(&profile) else { return };
    let meaning = Meaning::new(&profile);
    // It cuts values to 32 bits for such an ABI only after it has put the conditions in order by the whole ones.
    let values = profile.syscalls.iter().flat_map(|rule| &rule.args).flat_map(|arg| [arg.value, arg.value_two]);
    let wide = values.max().is_some_and(|value| value > u64::from(u32::MAX));
    for call in calls(&profile, &mut entropy) {
        let ours = run(&program.instructions, &call).0;
        let (meant, matching) = meaning.answer(&call);
        assert!(meant.is_none_or(|meant| ours == meant), "ours {ours:#x}, meant {meant:x?}: {call:x?} of {profile:?}");
        if mixed_up(&meaning, call.arch, call.nr) || unordered(meant, &matching) || call.arch == I386 && wide {
            continue;
        }
        if let Ok(theirs) = reference.verdict(&call) {
            assert_eq!(ours, theirs, "{call:x?} by {matching:x?} of {profile:?}");
        }
    }
}
