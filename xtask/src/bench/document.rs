// SPDX-License-Identifier: Apache-2.0
//! The measured part of `docs/performance.md`.

use std::path::Path;

const BEGIN: &str = "<!-- measured: written by `cargo xtask bench` -->\n";
const END: &str = "<!-- end of what was measured -->\n";

/// Puts `text` between the markers of the file.
pub(crate) fn update(path: &Path, text: &str) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    let old = std::fs::read_to_string(path).map_err(fail)?;
    let new = splice(&old, text).ok_or_else(|| format!("{}: the markers are missing", path.display()))?;
    std::fs::write(path, new).map_err(fail)
}

fn splice(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let old = format!("a\n{BEGIN}old\n{END}z\n");
        let new = splice(&old, "new").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n{END}z\n"));
        assert_eq!(splice(&new, "new"), Some(new));
        assert_eq!(splice("no markers", "new"), None);
    }
}
