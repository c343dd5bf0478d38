// SPDX-License-Identifier: Apache-2.0
//! What people write, and what it means. The examples are of GLib's description of the format and of runc's documents.

use super::*;

fn texts(values: &[&str]) -> Value {
    Value::texts(values.iter().copied())
}

#[test]
fn values_are_read() {
    let entry = |key: &str, value: Value| Value::Entry(Box::new((Value::text(key), value)));
    for (text, value) in [
        ("uint64 123456789", Value::U64(123_456_789)),
        ("'inactive-or-failed'", Value::text("inactive-or-failed")),
        ("\"it's\"", Value::text("it's")),
        (r"'a\n\t\'\\\u00e9'", Value::text("a\n\t'\\é")),
        ("true", Value::Bool(true)),
        ("boolean false", Value::Bool(false)),
        ("  42 ", Value::I32(42)),
        ("-7", Value::I32(-7)),
        ("0x1f", Value::I32(31)),
        ("010", Value::I32(8)),
        ("0", Value::I32(0)),
        ("byte 255", Value::Byte(255)),
        ("int16 -1", Value::I16(-1)),
        ("uint16 1", Value::U16(1)),
        ("uint32 1", Value::U32(1)),
        ("int64 -9223372036854775808", Value::I64(i64::MIN)),
        ("uint64 18446744073709551615", Value::U64(u64::MAX)),
        ("double 3", Value::Double(3_f64.to_bits())),
        ("@d -1024", Value::Double((-1024_f64).to_bits())),
        ("objectpath '/a/b'", Value::Path("/a/b".into())),
        ("['a', 'b']", texts(&["a", "b"])),
        ("@as []", texts(&[])),
        ("@at [1, 2]", Value::Array("t".into(), vec![Value::U64(1), Value::U64(2)])),
        ("[uint64 1, 2]", Value::Array("t".into(), vec![Value::U64(1), Value::U64(2)])),
        ("b'hi'", Value::bytes(b"hi\0")),
        ("<'v'>", Value::text("v").variant()),
        ("('a', 1)", Value::Struct(vec![Value::text("a"), Value::I32(1)])),
        (
            "@a(ss) [('/dev/null', 'rw')]",
            Value::Array("(ss)".into(), vec![Value::Struct(vec![Value::text("/dev/null"), Value::text("rw")])]),
        ),
        ("{'k': <1>}", Value::Array("{sv}".into(), vec![entry("k", Value::I32(1).variant())])),
        ("@a{ss} {}", Value::Array("{ss}".into(), vec![])),
    ] {
        assert_eq!(parse(text), Ok(value), "{text}");
    }
}

#[test]
fn what_is_no_value_is_refused() {
    for (text, part) in [
        ("", "a value was expected"),
        ("inactive", "quotes"),
        ("'open", "not closed"),
        (r"'\u12'", "\\u"),
        ("[]", "needs its type"),
        ("{}", "needs its type"),
        ("()", "fewer fields"),
        ("['a', 1]", "no \"s\""),
        ("[1, 'a']", "not \"i\""),
        ("byte 256", "range"),
        ("uint32 -1", "range"),
        ("2147483648", "range"),
        ("99999999999999999999", "range"),
        ("1.5", "fraction"),
        ("string 5", "no \"s\""),
        ("@(ss) ('a')", "fewer fields"),
        ("@(s) ('a', 'b')", "more fields"),
        ("@z 1", "a type was expected"),
        ("@v 1", "no \"v\""),
        ("true false", "the end was expected"),
        ("'a' 'b'", "the end was expected"),
        ("[1 2]", "','"),
        ("{'a' 1}", "':'"),
        ("{<1>: 2}", "type of keys"),
        ("'\0'", "NUL"),
        (&"[".repeat(40), "too deeply"),
        ("[1, <2>]", "no \"i\""),
        ("[1, b'x']", "not \"i\""),
        ("[byte 1, double 2]", "not \"y\""),
        ("[byte 1, @q 2]", "not \"y\""),
        ("@ai [1, int64 2]", "not \"i\""),
        ("objectpath 'a'", "no path"),
        ("objectpath '/a//b'", "no path"),
        (&format!("({})", "1,".repeat(300)), "too long"),
        (&format!("[<({})>]", "1,".repeat(300)), "too long"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    let mut state = 88_172_645_463_325_252_u64;
    let letters: Vec<char> = "@<>[](){}'\"\\,: \n0x19-+.eubtsav ändoubleint6432".chars().collect();
    for _ in 0..50_000 {
        let mut text = String::new();
        for _ in 0..state % 24 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push(letters[(state % letters.len() as u64) as usize]);
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let _ = parse(&text);
    }
}
