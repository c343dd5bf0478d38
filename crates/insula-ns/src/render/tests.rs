// SPDX-License-Identifier: Apache-2.0
use super::made_up::{bare_host, entry, identity, random, small};
use super::*;
use crate::kind::Kind;
use crate::survey::Selection;

#[test]
fn table_has_a_line_for_each_namespace() {
    let survey = small();
    let text = table(&survey);
    assert_eq!(text.lines().count(), 1 + survey.namespaces.len());
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().split_whitespace();
    let header: Vec<_> = line("        NS").collect();
    assert_eq!(header.join(" "), "NS TYPE NPROCS PID USER OWNER CONTAINERS KEPT BY COMMAND");
    let pod: Vec<_> = line("4026532022").collect();
    assert_eq!(pod.join(" "), "4026532022 net 2 1000 root 4026531830 web,db - web --serve");
    let kept: Vec<_> = line("4026531920").collect();
    assert_eq!(kept.join(" "), "4026531920 net 0 - - 4026531830 - mount /run/netns/blue -");
}

#[test]
fn table_columns_begin_where_the_header_does() {
    for seed in 0..10 {
        let text = table(&random(12, seed));
        let header = text.lines().next().unwrap();
        for column in ["TYPE", "CONTAINERS", "KEPT BY", "COMMAND"] {
            let start = header.find(column).unwrap();
            for line in text.lines() {
                let around: Vec<char> = line.chars().skip(start - 1).take(2).collect();
                assert!(around[0] == ' ' && around[1] != ' ', "{column}: {line}");
            }
        }
    }
}

#[test]
fn tree_puts_what_is_owned_below_its_owner() {
    let mut survey = small();
    let user = identity(Kind::USER, 4_026_532_060);
    let owned = |kind, ino, owner| Entry { owner: Some(owner), ..entry(kind, ino) };
    let host_pid = survey.of_kind(Kind::PID).next().unwrap().identity;
    survey.namespaces.extend([
        Entry { parent: survey.namespaces[0].identity.into(), ..entry(Kind::USER, user.ino) },
        Entry { parent: Some(host_pid), ..owned(Kind::PID, 4_026_532_070, user) },
        Entry { parent: Some(identity(Kind::PID, 4_026_532_070)), ..owned(Kind::PID, 4_026_532_071, user) },
        owned(Kind::NETWORK, 4_026_532_072, user),
    ]);
    survey.namespaces.sort_by_key(|entry| (entry.identity.kind, entry.identity.ino));
    let text = tree(&survey);
    assert_eq!(text.lines().count(), survey.namespaces.len());
    let starts = |line: &str| text.lines().any(|known| known.starts_with(line));
    assert!(starts("user:[4026531830] own  2 processes, 1 /sbin/init, made by root"), "{text}");
    assert!(starts("├─ pid:[4026531831] own"), "{text}");
    assert!(text.contains("├─ pid:[4026532070]  0 processes, kept by parent of 1\n"), "{text}");
    assert!(text.contains("│  └─ pid:[4026532071]  0 processes\n"), "{text}");
    assert!(text.contains("└─ net:[4026532072]  0 processes\n"), "{text}");
}

#[test]
fn a_tree_of_part_of_a_survey_has_all_of_that_part() {
    let part = small().select(&Selection { kind: Some(Kind::NETWORK), ..Selection::default() });
    assert_eq!(tree(&part).lines().count(), part.namespaces.len());
    assert!(tree(&part).lines().all(|line| line.starts_with("net:[")));
}

#[test]
fn a_circle_of_owners_is_drawn_once_or_not_at_all() {
    let mut survey = bare_host();
    let (a, b) = (identity(Kind::USER, 4_026_532_090), identity(Kind::USER, 4_026_532_091));
    survey.namespaces.push(Entry { owner: Some(b), ..entry(Kind::USER, a.ino) });
    survey.namespaces.push(Entry { owner: Some(a), ..entry(Kind::USER, b.ino) });
    survey.namespaces.sort_by_key(|entry| (entry.identity.kind, entry.identity.ino));
    assert!(tree(&survey).lines().count() <= survey.namespaces.len());
}

#[test]
fn json_is_json_and_complete() {
    let mut survey = random(9, 3);
    survey.unreadable = 2;
    survey.namespaces[0].command = "quote \" back\\slash \n \u{1} 容".into();
    survey.namespaces[0].kept_by = vec![
        Keeper::Thread { pid: 1, tid: 2 },
        Keeper::ForChildren { pid: 1, tid: 2 },
        Keeper::Descriptor { pid: 1, fd: 3 },
        Keeper::Socket { pid: 1, fd: 4 },
        Keeper::Mount { path: "/a\tb".into(), within: identity(Kind::MOUNT, 4_026_531_833) },
    ];
    let value = parse(&json(&survey));
    let python = value.as_str();
    assert!(python.starts_with(&format!("{} {} 2 ", survey.namespaces.len(), survey.containers.len())), "{python}");
    assert!(python.contains("quote \" back\\slash \n \u{1} 容"), "{python}");
    assert!(python.ends_with("5 mnt:[4026531833]\n"), "{python}");
}

/// Lets another program read the document, and tell what is in it.
fn parse(document: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let program = "import json,sys; d=json.load(sys.stdin); n=d['namespaces'][0]; sys.stdout.reconfigure(encoding='utf8'); \
                   print(len(d['namespaces']), len(d['containers']), d['unreadable'], n['command'], len(n['keptBy']), \
                   n['keptBy'][4]['within'])";
    let mut python = Command::new("python3")
        .args(["-X", "utf8", "-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn graphs_connect_a_pod_through_what_it_shares() {
    let survey = small();
    let net = survey.position(&identity(Kind::NETWORK, 4_026_532_022)).unwrap();
    let host = survey.position(&identity(Kind::NETWORK, 4_026_531_832)).unwrap();
    let dot = dot(&survey);
    for edge in
        [format!("c0 -- n{net} [style=solid]"), format!("c1 -- n{net} "), format!("c3 -- n{host} [style=dashed]")]
    {
        assert!(dot.contains(&edge), "{edge}\n{dot}");
    }
    assert!(!dot.contains("c2 -- "), "{dot}");
    assert_eq!(dot.matches("subgraph").count(), 1);
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    let mermaid = mermaid(&survey);
    for line in [format!("  c0 --- n{net}\n"), format!("  c1 --- n{net}\n"), format!("  c3 -.- n{host}\n")] {
        assert!(mermaid.contains(&line), "{line}\n{mermaid}");
    }
    assert!(mermaid.contains("mount /run/netns/blue"));
}

#[test]
fn names_cannot_break_out_of_their_place() {
    let mut survey = small();
    survey.containers[0].name = Some("a\"];\nx\\\u{1b}[31m<b>&;".into());
    let (dot, mermaid) = (dot(&survey), mermaid(&survey));
    assert!(dot.contains("label=\"a\\\"];\\\\nx\\\\\\\\u{1b}[31m<b>&;\\n"), "{dot}");
    assert!(mermaid.contains("[\"a#34;]#59;#92;nx#92;#92;u{1b}[31m#60;b#62;#38;#59;<br/>"), "{mermaid}");
    for text in [dot, mermaid, table(&survey), tree(&survey), svg(&survey)] {
        assert!(!text.contains('\u{1b}'));
    }
}

#[test]
fn selections_keep_what_was_asked_for() {
    let survey = small();
    let by = |selection: Selection<'_>| survey.select(&selection).namespaces;
    assert!(
        by(Selection { kind: Some(Kind::UTS), ..Selection::default() }).iter().all(|e| e.identity.kind == Kind::UTS)
    );
    let web = by(Selection { container: Some("web"), ..Selection::default() });
    assert_eq!(web.len(), 8);
    assert!(web.iter().all(|entry| entry.containers.contains(&0)));
    assert_eq!(by(Selection { pid: Some(1003), ..Selection::default() }).len(), 8);
    assert_eq!(by(Selection { pid: Some(1003), kind: Some(Kind::PID), container: Some("hostnet") }).len(), 1);
    assert!(by(Selection { container: Some("nobody"), ..Selection::default() }).is_empty());
    assert_eq!(survey.container(&survey.containers[2].id[..12]), Some(0), "made-up ids begin alike");
    assert_eq!(survey.container("0000"), None, "too short to mean an id");
}

#[test]
fn keepers_are_put_into_words() {
    let survey = small();
    let mut entry = entry(Kind::NETWORK, 4_026_532_099);
    assert_eq!(kept_by(&survey, &entry), "");
    entry.kept_by = vec![Keeper::Descriptor { pid: 5, fd: 3 }, Keeper::Socket { pid: 6, fd: 4 }];
    assert_eq!(kept_by(&survey, &entry), "descriptor 3 of 5 and 1 more");
    entry
        .kept_by
        .push(Keeper::Mount { path: "/a\nb".into(), within: survey.of_kind(Kind::MOUNT).nth(1).unwrap().identity });
    entry.pids.push(9);
    assert_eq!(kept_by(&survey, &entry), "mount /a\\nb in mnt:[4026531943]");
}
