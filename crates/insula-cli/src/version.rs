// SPDX-License-Identifier: Apache-2.0
//! The text of `--version`.
//!
//! COMPAT(runc): three lines, because engines take them apart. Docker takes name and version from a line with the word
//! "version" (before 23: only from `runc version`) and the commit from the line that starts with `commit:`, and
//! complains if it finds neither; older containerd wants exactly these three lines.

use alloc::format;
use alloc::string::String;

/// `commit` is shown as `unknown` if it is empty; `spec` is the newest runtime specification understood.
pub fn render(version: &str, commit: &str, spec: &str) -> String {
    let commit = if commit.is_empty() { "unknown" } else { commit };
    format!("insula version {version}\ncommit: {commit}\nspec: {spec}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_lines_in_runcs_shape() {
        assert_eq!(render("0.1.0", "abc", "1.3.0"), "insula version 0.1.0\ncommit: abc\nspec: 1.3.0\n");
        assert_eq!(render("0.1.0", "", "1.3.0"), "insula version 0.1.0\ncommit: unknown\nspec: 1.3.0\n");
    }
}
