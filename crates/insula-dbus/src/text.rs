// SPDX-License-Identifier: Apache-2.0
//! Values as people write them: GVariant text format, which runc's annotations use. Numbers with and without a type,
//! booleans, texts, byte strings, arrays, tuples, dictionaries, variants, `@type value`.

use crate::signature;
use crate::value::Value;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Deepest nesting, and longest text.
const DEEPEST: usize = 16;
const LONGEST: usize = 64 * 1024;

type Parsed<T> = core::result::Result<T, String>;

/// What is said about a type beforehand: a signature, or nothing.
type Wanted<'a> = Option<&'a str>;

/// Words that stand for types, before a value.
static TYPES: [(&str, &str); 12] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "o"),
    ("signature", "g"),
];

/// Reads one value. A number without a type is an int32.
///
/// # Errors
/// Says what is wrong and where.
pub fn parse(text: &str) -> Parsed<Value> {
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(None, DEEPEST)?;
    parser.space();
    if parser.at < text.len() { Err(parser.unexpected("the end")) } else { typed(value) }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The next character that is no space, without taking it.
    fn peek(&mut self) -> Option<char> {
        self.space();
        self.rest().chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(wanted);
        if is {
            self.at += wanted.len_utf8();
        }
        is
    }

    fn expect(&mut self, wanted: char) -> Parsed<()> {
        if self.eat(wanted) { Ok(()) } else { Err(self.unexpected(&format!("{wanted:?}"))) }
    }

    fn unexpected(&mut self, wanted: &str) -> String {
        match self.peek() {
            Some(found) => format!("{wanted} was expected at {}, not {found:?}", self.at),
            None => format!("{wanted} was expected at its end"),
        }
    }

    /// Letters, digits and what numbers have.
    fn word(&mut self) -> &'t str {
        self.space();
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn value(&mut self, wanted: Wanted<'_>, depth: usize) -> Parsed<Value> {
        let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
        match self.peek() {
            Some('\'' | '"') => text_as(self.quoted()?, wanted),
            Some('b') if self.rest().starts_with("b'") || self.rest().starts_with("b\"") => {
                fits(self.byte_string()?, wanted)
            }
            Some('@') => {
                self.at += 1;
                self.space();
                let rest = self.rest();
                let (kind, _) = signature::first(rest.split_ascii_whitespace().next().unwrap_or_default())
                    .ok_or_else(|| self.unexpected("a type"))?;
                self.at += kind.len();
                agrees(kind, wanted)?;
                self.value(Some(kind), depth)
            }
            Some('<') => {
                self.at += 1;
                let inner = typed(self.value(None, depth)?)?;
                self.expect('>')?;
                match wanted {
                    Some(kind) if kind != "v" => Err(format!("a variant is no {kind:?}")),
                    _ => Ok(inner.variant()),
                }
            }
            Some('[') => self.array(wanted, depth),
            Some('(') => self.tuple(wanted, depth),
            Some('{') => self.dictionary(wanted, depth),
            _ => self.word_value(wanted, depth),
        }
    }

    fn word_value(&mut self, wanted: Wanted<'_>, depth: usize) -> Parsed<Value> {
        let start = self.at;
        let word = self.word();
        match word {
            "" => {
                self.at = start;
                Err(self.unexpected("a value"))
            }
            "true" => fits(Value::Bool(true), wanted),
            "false" => fits(Value::Bool(false), wanted),
            word => match TYPES.iter().find(|(name, _)| *name == word) {
                Some((_, kind)) => {
                    agrees(kind, wanted)?;
                    self.value(Some(kind), depth)
                }
                None => number(word, wanted),
            },
        }
    }

    /// What stands between two quotes.
    fn quoted(&mut self) -> Parsed<String> {
        let mut characters = self.rest().char_indices();
        let quote = characters.next().map_or('\'', |(_, quote)| quote);
        let mut out = String::new();
        while let Some((at, c)) = characters.next() {
            if c == quote {
                self.at += at + 1;
                return Ok(out);
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            match characters.next().map(|(_, c)| c) {
                Some('a') => out.push('\u{7}'),
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('v') => out.push('\u{b}'),
                Some(long @ ('u' | 'U')) => {
                    let count = if long == 'u' { 4 } else { 8 };
                    let number = (0..count)
                        .try_fold(0_u32, |sum, _| sum.checked_mul(16)?.checked_add(characters.next()?.1.to_digit(16)?));
                    let c = number.and_then(char::from_u32).ok_or("a \\u has no character's number after it")?;
                    out.push(c);
                }
                Some(c) => out.push(c),
                None => break,
            }
        }
        Err(String::from("a quote is not closed"))
    }

    /// `b'…'`: the bytes of a C string, with the zero at its end.
    fn byte_string(&mut self) -> Parsed<Value> {
        self.at += 1;
        let mut bytes = self.quoted()?.into_bytes();
        bytes.push(0);
        Ok(Value::bytes(&bytes))
    }

    fn array(&mut self, wanted: Wanted<'_>, depth: usize) -> Parsed<Value> {
        self.expect('[')?;
        let element = match wanted {
            None => None,
            Some(kind) => Some(kind.strip_prefix('a').ok_or_else(|| format!("an array is no {kind:?}"))?),
        };
        let mut values: Vec<Value> = Vec::new();
        let mut kind = element.map(String::from);
        while !self.eat(']') {
            if !values.is_empty() {
                self.expect(',')?;
            }
            let value = self.value(kind.as_deref(), depth)?;
            kind.get_or_insert_with(|| value.signature());
            values.push(value);
        }
        let kind = kind.ok_or("an empty array needs its type, as in `@as []`")?;
        Ok(Value::Array(kind, values))
    }

    fn tuple(&mut self, wanted: Wanted<'_>, depth: usize) -> Parsed<Value> {
        self.expect('(')?;
        let mut kinds = match wanted {
            None => None,
            Some(kind) => Some(
                kind.strip_prefix('(')
                    .and_then(|kind| kind.strip_suffix(')'))
                    .ok_or_else(|| format!("a tuple is no {kind:?}"))?,
            ),
        };
        let mut fields = Vec::new();
        while !self.eat(')') {
            if !fields.is_empty() {
                self.expect(',')?;
                if self.eat(')') {
                    break;
                }
            }
            let kind = match kinds {
                None => None,
                Some(list) => {
                    let (first, rest) = signature::first(list).ok_or("the tuple has more fields than its type")?;
                    kinds = Some(rest);
                    Some(first)
                }
            };
            fields.push(self.value(kind, depth)?);
        }
        if fields.is_empty() || kinds.is_some_and(|rest| !rest.is_empty()) {
            return Err(String::from("the tuple has fewer fields than it needs"));
        }
        Ok(Value::Struct(fields))
    }

    fn dictionary(&mut self, wanted: Wanted<'_>, depth: usize) -> Parsed<Value> {
        self.expect('{')?;
        let parts = match wanted {
            None => None,
            Some(kind) => Some(
                kind.strip_prefix("a{")
                    .and_then(|kind| signature::first(kind.strip_suffix('}')?))
                    .ok_or_else(|| format!("a dictionary is no {kind:?}"))?,
            ),
        };
        let mut kinds = parts.map(|(key, value)| (String::from(key), String::from(value)));
        let mut entries = Vec::new();
        while !self.eat('}') {
            if !entries.is_empty() {
                self.expect(',')?;
            }
            let key = self.value(kinds.as_ref().map(|kinds| &*kinds.0), depth)?;
            self.expect(':')?;
            let value = self.value(kinds.as_ref().map(|kinds| &*kinds.1), depth)?;
            kinds.get_or_insert_with(|| (key.signature(), value.signature()));
            entries.push(Value::Entry(Box::new((key, value))));
        }
        let (key, value) = kinds.ok_or("an empty dictionary needs its type, as in `@a{ss} {}`")?;
        let element = format!("{{{key}{value}}}");
        if signature::first(&format!("a{element}")).is_none() {
            return Err(format!("{key:?} cannot be the type of keys"));
        }
        Ok(Value::Array(element, entries))
    }
}

/// A type is written before each value that can be any, with its length in one byte.
fn typed(value: Value) -> Parsed<Value> {
    if signature::is_valid(&value.signature()) {
        Ok(value)
    } else {
        Err(String::from("its type is too long or too deep"))
    }
}

/// A type that the value says itself must be the one that its place has.
fn agrees(kind: &str, wanted: Wanted<'_>) -> Parsed<()> {
    match wanted {
        Some(place) if place != kind => Err(format!("it is of type {kind:?}, not {place:?}")),
        _ => Ok(()),
    }
}

fn fits(value: Value, wanted: Wanted<'_>) -> Parsed<Value> {
    let is = value.signature();
    match wanted {
        Some("v") => Err(String::from("a variant is written <value>")),
        Some(kind) if kind != is => Err(format!("it is of type {is:?}, not {kind:?}")),
        _ => Ok(value),
    }
}

fn text_as(text: String, wanted: Wanted<'_>) -> Parsed<Value> {
    if text.contains('\0') {
        return Err(String::from("a text cannot have a NUL in it"));
    }
    match wanted {
        Some("o") if is_path(&text) => Ok(Value::Path(text)),
        Some("o") => Err(format!("{text:?} is no path of an object")),
        Some("g") if signature::is_valid(&text) => Ok(Value::Signature(text)),
        Some("g") => Err(format!("{text:?} is no signature")),
        wanted => fits(Value::Text(text), wanted),
    }
}

/// `/`, or names of letters, digits and `_`, each after a `/`.
fn is_path(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    text == "/" || text.strip_prefix('/').is_some_and(|names| names.split('/').all(is_name))
}

fn number(word: &str, wanted: Wanted<'_>) -> Parsed<Value> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') && !digits.contains('.') => (&digits[1..], 8),
        None => (digits, 10),
    };
    let whole = u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    let Some(whole) = whole else {
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
        return Err(if is_number && digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) {
            format!("{word} is out of range, or has a fraction, which no property of systemd takes")
        } else {
            format!("{word:?} is no value; texts stand in quotes")
        });
    };
    let signed = if negative { -i128::from(whole) } else { i128::from(whole) };
    let range = || format!("{word} is out of the range of its type");
    Ok(match wanted.unwrap_or("i") {
        "y" => Value::Byte(u8::try_from(signed).map_err(|_| range())?),
        "n" => Value::I16(i16::try_from(signed).map_err(|_| range())?),
        "q" => Value::U16(u16::try_from(signed).map_err(|_| range())?),
        "i" => Value::I32(i32::try_from(signed).map_err(|_| range())?),
        "u" => Value::U32(u32::try_from(signed).map_err(|_| range())?),
        "x" => Value::I64(i64::try_from(signed).map_err(|_| range())?),
        "t" => Value::U64(u64::try_from(signed).map_err(|_| range())?),
        "d" => Value::Double(bits_of(negative, whole)),
        kind => return Err(format!("a number is no {kind:?}")),
    })
}

/// A whole number as an IEEE 754 double, cut to its 53 bits.
fn bits_of(negative: bool, number: u64) -> u64 {
    let sign = u64::from(negative) << 63;
    if number == 0 {
        return sign;
    }
    let exponent = u64::from(number.ilog2());
    let mantissa = if exponent > 52 { number >> (exponent - 52) } else { number << (52 - exponent) };
    sign | (exponent + 1023) << 52 | mantissa & ((1 << 52) - 1)
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
