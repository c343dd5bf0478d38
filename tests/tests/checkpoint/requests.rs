// SPDX-License-Identifier: Apache-2.0
//! What the flags tell CRIU, as a stand-in for it notes it down: also where no CRIU works. Source: images/rpc.proto of CRIU.

use crate::counter::{checkpoint, counting, images, restore};
use crate::failures::{sleeping, stand_in};
use insula_tests::{Container, Invocation, Lab, is_insula, skip};
use std::collections::BTreeMap;
use std::fs;

/// Says that it is CRIU 4.1 and can do everything, notes the first request that is something to be done, and ends.
const NOTING: &str = r#"while dd bs=65536 count=1 <&3 >"$0.request" 2>/dev/null; do
    case $(od -An -tu1 -j1 -N1 "$0.request" | tr -d ' ') in
        10) printf '\010\012\020\001\122\004\010\004\020\001' >&3 ;;
        9) printf '\010\011\020\001\102\004\010\001\020\001' >&3 ;;
        *) exit 1 ;;
    esac
done"#;

/// Fields of a protobuf message: numbers as text, anything else as it is.
fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    fn number(bytes: &mut &[u8]) -> u64 {
        let end = bytes.iter().position(|byte| byte & 0x80 == 0).expect("a number ends");
        let (these, rest) = bytes.split_at(end + 1);
        *bytes = rest;
        these.iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f))
    }
    let mut found = BTreeMap::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes);
        let value = number(&mut bytes);
        let content = if tag & 7 == 2 {
            let (content, rest) = bytes.split_at(usize::try_from(value).expect("a length"));
            bytes = rest;
            content.to_vec()
        } else {
            value.to_string().into_bytes()
        };
        found.insert(tag >> 3, content);
    }
    found
}

/// The request's kind and options that `command` sends.
#[track_caller]
fn sent(lab: &Lab, command: Invocation) -> (Vec<u8>, BTreeMap<u64, Vec<u8>>) {
    let path = stand_in(lab, NOTING);
    let output = command.env("PATH", path).run();
    output.fails_with(&["CRIU"]);
    let request = fields(&fs::read(lab.path("bin/criu.request")).expect("a request"));
    (request[&1].clone(), fields(&request[&2]))
}

/// A flag with its value, the field that it sets, and to what.
type Row<'a> = (&'a [&'a str], u64, &'a [u8]);

const BOTH: &[Row<'_>] = &[
    (&["--ext-unix-sk"], 4, b"1"),
    (&["--tcp-established"], 5, b"1"),
    (&["--shell-job"], 7, b"1"),
    (&["--file-locks"], 8, b"1"),
    (&["--auto-dedup"], 16, b"1"),
    (&["--lazy-pages"], 48, b"1"),
    (&["--manage-cgroups-mode", "ignore"], 34, b"0"),
    (&["--manage-cgroups-mode", "soft"], 34, b"3"),
    (&["--manage-cgroups-mode", "full"], 34, b"4"),
    (&["--manage-cgroups-mode", "strict"], 34, b"5"),
];

const CHECKPOINT: &[Row<'_>] = &[
    (&["--leave-running"], 3, b"1"),
    (&["--page-server", "127.0.0.1:27"], 11, b"\x0a\x09127.0.0.1\x10\x1b"),
    (&["--parent-path", "../bin"], 14, b"../bin"),
    (&["--parent-path", "../bin"], 15, b"1"),
    (&["--link-remap"], 18, b"1"),
    (&["--tcp-skip-in-flight"], 46, b"1"),
];

const RESTORE: &[Row<'_>] =
    &[(&["--lsm-profile", "apparmor:p"], 53, b"apparmor:p"), (&["--lsm-mount-context", "c"], 63, b"c")];

/// CLONE_NEWNET
const NETWORK: &[u8] = b"1073741824";

#[track_caller]
fn each_is_told(lab: &Lab, rows: &[Row<'_>], command: &dyn Fn() -> Invocation) {
    let (_, usual) = sent(lab, command());
    assert_eq!(usual[&38], NETWORK, "what is in a network namespace is never CRIU's");
    for (flag, field, value) in rows {
        assert_ne!(usual.get(field).map(Vec::as_slice), Some(*value), "{flag:?} makes no difference");
        let (_, options) = sent(lab, command().args(*flag));
        assert_eq!(options.get(field).map(Vec::as_slice), Some(*value), "{flag:?}: {options:?}");
    }
    let (_, options) = sent(lab, command().args(["--empty-ns", "network"]));
    assert_eq!(options[&38], NETWORK);
}

/// `restore` of `container` from images of which only the runtime's own part is there.
fn restoring(lab: &Lab, container: &Container<'_>) -> Invocation {
    fs::create_dir_all(images(lab)).expect("a directory");
    fs::write(images(lab).join("descriptors.json"), "[]").expect("write");
    restore(lab, container).arg(container.id())
}

#[test]
fn flags_of_checkpoint_reach_criu() {
    if !is_insula() {
        skip!("peers ask in another way");
    }
    let lab = Lab::new();
    let container = sleeping(&lab);
    for rows in [BOTH, CHECKPOINT] {
        each_is_told(&lab, rows, &|| checkpoint(&lab, &container));
    }
    let (kind, options) = sent(&lab, checkpoint(&lab, &container).arg("--pre-dump"));
    assert_eq!((kind.as_slice(), options[&15].as_slice()), (&b"4"[..], &b"1"[..]), "memory is tracked");
    assert_eq!(container.status(), "running");
}

#[test]
fn flags_of_restore_reach_criu() {
    if !is_insula() {
        skip!("peers ask in another way");
    }
    let lab = Lab::new();
    let container = lab.container(&counting(&lab));
    for rows in [BOTH, RESTORE] {
        each_is_told(&lab, rows, &|| restoring(&lab, &container));
    }
    let (kind, _) = sent(&lab, restoring(&lab, &container));
    assert_eq!(kind, b"2");
}
