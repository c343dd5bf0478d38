// SPDX-License-Identifier: Apache-2.0
//! The known name closest to a mistyped one.

use alloc::vec::Vec;

/// The candidate that `word` most likely meant, if one is near enough: at most a third of its letters differ, or it
/// is the only one that starts with `word`.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    if word.len() > 40 {
        return None;
    }
    let allowed = (word.len() / 3).max(1);
    let best = candidates.clone().map(|name| (distance(word.as_bytes(), name.as_bytes()), name)).min();
    if let Some((_, name)) = best.filter(|(away, _)| *away <= allowed) {
        return Some(name);
    }
    let mut longer = candidates.filter(|name| word.len() > 1 && name.starts_with(word));
    longer.next().filter(|_| longer.next().is_none())
}

/// Levenshtein distance over bytes: insertions, deletions and replacements, one row at a time.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, away) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("bundel", "bundle", 2)]
        {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), away, "{from} {to}");
        }
    }

    #[test]
    fn near_names_only() {
        let names = ["create", "checkpoint", "start", "state", "list"];
        let near = |word| nearest(word, names.iter().copied());
        assert_eq!(near("crate"), Some("create"));
        assert_eq!(near("check"), Some("checkpoint"));
        assert_eq!(near("stat"), Some("start"), "of equally near ones the first in the alphabet");
        assert_eq!(near("sta"), None, "start or state");
        assert_eq!(near("banana"), None);
        assert_eq!(near(""), None);
    }
}
