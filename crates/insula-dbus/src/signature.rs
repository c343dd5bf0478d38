// SPDX-License-Identifier: Apache-2.0
//! Signatures: one letter a type. Source: D-Bus specification, "Summary of types", "Valid signatures".

/// Deepest nesting that is taken; the specification allows 32 arrays and 32 structures.
pub(crate) const DEEPEST: usize = 32;
/// Longest signature.
const LONGEST: usize = 255;

/// Cuts the first complete type off a signature.
pub(crate) fn first(signature: &str) -> Option<(&str, &str)> {
    if signature.len() > LONGEST || !signature.is_ascii() {
        return None;
    }
    signature.split_at_checked(length(signature.as_bytes(), DEEPEST)?)
}

/// Length of the first complete type.
fn length(signature: &[u8], depth: usize) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    match *signature.first()? {
        b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'v' => Some(1),
        b'a' if signature.get(1) == Some(&b'{') => {
            let key = signature.get(2).filter(|letter| b"ybnqiuxtdsog".contains(letter))?;
            let _ = key;
            let value = length(signature.get(3..)?, depth)?;
            (signature.get(3 + value) == Some(&b'}')).then_some(4 + value)
        }
        b'a' => Some(1 + length(signature.get(1..)?, depth)?),
        b'(' => {
            let mut end = 1;
            while *signature.get(end)? != b')' {
                end += length(signature.get(end..)?, depth)?;
            }
            // There are no empty structures.
            (end > 1).then_some(end + 1)
        }
        _ => None,
    }
}

/// Whether this is any number of complete types.
pub(crate) fn is_valid(mut signature: &str) -> bool {
    if signature.len() > LONGEST {
        return false;
    }
    while !signature.is_empty() {
        let Some((_, rest)) = first(signature) else { return false };
        signature = rest;
    }
    true
}

/// What a value of this type is aligned to.
pub(crate) fn alignment(kind: u8) -> usize {
    match kind {
        b'y' | b'g' | b'v' => 1,
        b'n' | b'q' => 2,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_complete_type_is_cut_off() {
        for (signature, expected) in [
            ("sso", Some(("s", "so"))),
            ("a(sv)a(sa(sv))", Some(("a(sv)", "a(sa(sv))"))),
            ("a{sv}u", Some(("a{sv}", "u"))),
            ("aay", Some(("aay", ""))),
            ("(y(nq)x)t", Some(("(y(nq)x)", "t"))),
            ("", None),
            ("a", None),
            ("()", None),
            ("(s", None),
            ("{sv}", None),
            ("a{vs}", None),
            ("a{ss", None),
            ("z", None),
            ("ä", None),
        ] {
            assert_eq!(first(signature), expected, "{signature}");
        }
        assert!(is_valid("") && is_valid("ssa(sv)a(sa(sv))") && !is_valid("sz"));
        assert!(first(&("a".repeat(31) + "y")).is_some() && first(&("a".repeat(32) + "y")).is_none());
        assert!(first(&("(".repeat(40) + "y" + &")".repeat(40))).is_none());
    }
}
