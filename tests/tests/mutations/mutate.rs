// SPDX-License-Identifier: Apache-2.0
//! What can be changed about a document, and which pointers a refusal may name for it.

use crate::documents::Base;
use insula_tests::{Value, json};

/// One change.
pub(crate) struct Mutation {
    /// The pointer and what became of it, for people.
    pub(crate) what: String,
    /// What was changed.
    pub(crate) pointer: String,
    /// The document that results; none where the text is no document at all.
    pub(crate) document: Option<Value>,
    /// The text that results.
    pub(crate) text: String,
}

impl Mutation {
    /// The document as it is.
    pub(crate) fn none(document: Value) -> Self {
        Self { what: "nothing".into(), pointer: String::new(), text: document.to_string(), document: Some(document) }
    }
}

/// Every change of every value that the base is there for.
pub(crate) fn mutations(base: &Base) -> Vec<Mutation> {
    let mut pointers = Vec::new();
    collect(&base.document, "", &mut pointers);
    pointers.retain(|pointer| {
        let below =
            |part: &&str| pointer.strip_prefix(*part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        base.parts.iter().any(below)
    });
    let mut list = Vec::new();
    for pointer in &pointers {
        let value = base.document.pointer(pointer).expect("it was there");
        for new in replacements(value, pointer) {
            let mut document = base.document.clone();
            *document.pointer_mut(pointer).expect("it was there") = new.clone();
            list.push(mutation(pointer, &format!("= {}", short(&new)), document));
        }
        let mut document = base.document.clone();
        if remove(&mut document, pointer) {
            list.push(mutation(pointer, "removed", document));
        }
    }
    list.extend(broken_texts(base));
    list
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

fn mutation(pointer: &str, what: &str, document: Value) -> Mutation {
    Mutation {
        what: format!("{pointer} {what}"),
        pointer: pointer.into(),
        text: document.to_string(),
        document: Some(document),
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn collect(value: &Value, at: &str, list: &mut Vec<String>) {
    list.push(at.into());
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                collect(value, &format!("{at}/{}", escape(key)), list);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                collect(value, &format!("{at}/{index}"), list);
            }
        }
        _ => {}
    }
}

fn remove(document: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    let key = key.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => members.remove(&key).is_some(),
        Some(Value::Array(elements)) => {
            elements.remove(key.parse().expect("an index"));
            true
        }
        _ => false,
    }
}

/// Values to put in the place of `value`: of other types, out of range, unknown, odd.
fn replacements(value: &Value, pointer: &str) -> Vec<Value> {
    let mut list = vec![Value::Null, json!(true), json!(7), json!(-7), json!(1.5), json!("x"), json!([]), json!({})];
    list.push(json!([value]));
    list.push(json!({"x": value}));
    match value {
        Value::Bool(value) => list.push(json!(!value)),
        Value::Number(number) => list.extend(numbers(number.as_i64().unwrap_or(0))),
        Value::String(text) => list.extend(texts(text, pointer)),
        Value::Array(elements) => {
            let with = |more: Value| Value::Array(elements.iter().cloned().chain([more]).collect());
            list.extend([with(Value::Null), with(json!({})), with(json!(0)), with(json!(""))]);
            list.extend(elements.first().map(|first| with(first.clone())));
            list.push(Value::Array(elements.iter().rev().cloned().collect()));
        }
        Value::Object(members) => {
            let mut members = members.clone();
            members.insert("x-unknown".into(), json!({"deep": [1, {"er": null}]}));
            list.push(Value::Object(members));
        }
        Value::Null => {}
    }
    list.retain(|new| new != value);
    list
}

fn numbers(value: i64) -> Vec<Value> {
    let mut list: Vec<Value> =
        [-1, 0, 1, 2, value - 1, value + 1, 255, 1000, 65535, 65536, 1 << 31, u32::MAX.into(), 1 << 32]
            .map(Value::from)
            .to_vec();
    list.extend([i64::MAX, i64::MIN, -(1 << 31), -(1 << 31) - 1].map(Value::from));
    list.extend([1 << 63, u64::MAX].map(Value::from));
    list.extend([json!(1e20), json!(1e300), json!("0")]);
    list
}

fn texts(text: &str, pointer: &str) -> Vec<Value> {
    let mut list: Vec<String> = [
        "",
        "bogus",
        "..",
        "a/../b",
        "/nosuch/place",
        "1",
        "-1",
        "0-1",
        "x=y",
        "é",
        "\u{1}",
        "a\0b",
        "a\nb",
        "%d",
        "%s%n",
    ]
    .map(String::from)
    .to_vec();
    list.extend([
        format!("{text}x"),
        format!("x{text}"),
        format!(" {text}"),
        format!("{text} "),
        text.to_uppercase(),
        text.to_lowercase(),
        format!("{text}/"),
        format!("/{text}"),
        "x".repeat(5000),
    ]);
    // The host's own root is nobody's root file system, and its root cgroup no container's.
    if pointer != "/root/path" && pointer != "/linux/cgroupsPath" {
        list.push("/".into());
    }
    // Groups above the container's own stay behind, so there must be none but the root.
    list.retain(|new| pointer != "/linux/cgroupsPath" || !new.trim_matches('/').contains('/'));
    list.into_iter().map(Value::from).collect()
}

/// Texts that are no JSON, or none that can be a document.
fn broken_texts(base: &Base) -> Vec<Mutation> {
    let text = base.document.to_string();
    let mut list = Vec::new();
    let mut broken = |what: String, text: String| {
        list.push(Mutation { what, pointer: String::new(), document: None, text });
    };
    for part in 1..60 {
        let mut end = text.len() * part / 60;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        broken(format!("cut after {end} bytes"), text[..end].into());
        broken(format!("a brace more after {end} bytes"), format!("{}}}{}", &text[..end], &text[end..]));
    }
    // An unescaped brace inside a string is part of it.
    list.retain(|mutation| serde_json::from_str::<Value>(&mutation.text).is_err());
    list
}

/// A generator of numbers that look random (splitmix64).
fn shuffled(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Puts `list` into the order that `seed` stands for.
pub(crate) fn shuffle<T>(list: &mut [T], seed: u64) {
    let mut state = seed;
    for end in (1..list.len()).rev() {
        let other = shuffled(&mut state) % (end as u64 + 1);
        list.swap(end, usize::try_from(other).expect("it is small"));
    }
}

/// Fields whose change makes another one wrong: what was changed, what is named then.
const TOGETHER: &[(&str, &[&str])] = &[
    ("/linux/namespaces", &["/hostname", "/domainname", "/linux", "/mounts", "/root", "/process", "/hooks"]),
    ("/linux/uidMappings", &["/process/user", "/linux", "/mounts", "/root"]),
    ("/linux/gidMappings", &["/process/user", "/linux", "/mounts", "/root"]),
    ("/root", &["/process", "/mounts", "/linux", "/hooks"]),
    ("/mounts", &["/mounts", "/process", "/linux"]),
    ("/process/user", &["/process"]),
    ("/process/env", &["/process"]),
    ("/process/rlimits", &["/process"]),
    ("/process/capabilities", &["/process/capabilities", "/process"]),
    ("/linux/seccomp", &["/linux/seccomp", "/process"]),
    ("/linux/resources/memory", &["/linux/resources/memory"]),
    ("/linux/resources/cpu", &["/linux/resources/cpu", "/process"]),
    ("/linux/devices", &["/linux"]),
    ("/linux/cgroupsPath", &["/linux/resources"]),
    ("/process/scheduler", &["/process/scheduler"]),
];

/// Whether a refusal that names `named` is about the change at `changed`: the one holds the other, or both go together.
pub(crate) fn goes_with(changed: &str, named: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    holds(changed, named)
        || (holds(named, changed) && !named.is_empty())
        || TOGETHER
            .iter()
            .any(|(part, named_too)| holds(part, changed) && named_too.iter().any(|one| holds(one, named)))
}
