// SPDX-License-Identifier: Apache-2.0
//! Lists of numbers as bit sets.

/// A list such as `0-2,7` as bits, `words` words of 64.
pub(super) fn bit_list(list: &str, words: usize) -> Option<alloc::vec::Vec<u8>> {
    let mut bits = alloc::vec![0_u64; words];
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
        if first > last || last >= words * 64 {
            return None;
        }
        for bit in first..=last {
            bits[bit / 64] |= 1 << (bit % 64);
        }
    }
    Some(bits.iter().flat_map(|word| word.to_le_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(bit_list("0-1,3", 1), Some(vec![0b1011, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(bit_list("2-1", 1), None);
        assert_eq!(bit_list("64", 1), None);
    }
}
