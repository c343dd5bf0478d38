// SPDX-License-Identifier: Apache-2.0
//! How wide text is, without a font at hand: at most as wide as in the widest of the usual sans-serif fonts.

use alloc::string::String;

/// Widths of the characters from space to tilde in DejaVu Sans, the widest of the fonts that the drawing names, in
/// thousandths of the font size.
const ASCII: [u16; 95] = [
    318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 500, 838, 318, 361, 318, 337, 637, 637, 637, 637, 637, 637, 637,
    637, 637, 637, 337, 337, 838, 838, 838, 531, 1000, 685, 687, 699, 771, 632, 576, 775, 752, 295, 295, 656, 558, 863,
    749, 788, 604, 788, 695, 635, 611, 732, 685, 989, 686, 611, 686, 391, 337, 391, 838, 500, 500, 613, 635, 550, 635,
    616, 353, 635, 634, 278, 278, 580, 278, 975, 634, 612, 635, 635, 412, 521, 393, 634, 592, 818, 592, 592, 525, 637,
    337, 637, 838,
];

/// Width of any other character: none of the usual scripts has wider ones.
const OTHER: u16 = 1100;

/// Upper bound of the width of `text` in pixels, at font size `size`.
pub(super) fn width(text: &str, size: i32) -> i32 {
    let thousandths: i32 = text.chars().map(|c| of(c, size)).sum();
    (thousandths + 999) / 1000
}

/// As much of `text` as is at most `most` pixels wide, ending in an ellipsis if that is not all.
pub(super) fn fit(text: &str, size: i32, most: i32) -> String {
    if width(text, size) <= most {
        return text.into();
    }
    let mut left = most * 1000 - of('…', size);
    let mut short: String = text
        .chars()
        .take_while(|c| {
            left -= of(*c, size);
            left >= 0
        })
        .collect();
    short.push('…');
    short
}

/// Width of `c` in thousandths of a pixel. Hinting moves every character to a whole pixel, which may be the next one.
fn of(c: char, size: i32) -> i32 {
    let index = (c as usize).wrapping_sub(0x20);
    let relative = if c == '…' { 1000 } else { ASCII.get(index).copied().unwrap_or(OTHER) };
    let exact = i32::from(relative) * size;
    exact.max((exact + 500) / 1000 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_add_up() {
        assert_eq!(width("", 10), 0);
        assert_eq!(width("il", 100), 56);
        assert_eq!(width("ss", 11), 12, "5.7 pixels each, 6 when hinted");
        assert_eq!(width("W", 100), 99);
        assert_eq!(width("容", 10), 11);
    }

    #[test]
    fn what_is_fitted_fits() {
        for text in ["", "a", "a rather long name of a container", "容器容器容器容器容器"] {
            for most in [12, 20, 50, 100] {
                let short = fit(text, 11, most);
                assert!(width(&short, 11) <= most, "{short} in {most}");
                assert_eq!(short == text, width(text, 11) <= most);
            }
        }
    }
}
