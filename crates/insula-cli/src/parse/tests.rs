// SPDX-License-Identifier: Apache-2.0
use super::*;
use insula_error::Kind;
use std::ffi::CString;

/// Parses a line split at spaces; `''` is an empty argument. Leaks, as the program's own arguments live for ever.
fn line(text: &str) -> Result<Parsed<'static>> {
    let args: Vec<CString> =
        text.split_whitespace().map(|w| CString::new(if w == "''" { "" } else { w }).unwrap()).collect();
    parse(args.leak().iter().map(CString::as_c_str))
}

fn ok(text: &str) -> Parsed<'static> {
    line(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The message of a line that must be refused as a usage error.
fn refused(text: &str) -> String {
    let error = line(text).expect_err(text);
    assert_eq!(error.kind(), Kind::Usage, "{text}");
    error.to_string()
}

fn rest(parsed: &Parsed<'_>) -> Vec<String> {
    parsed.rest().iter().map(|arg| arg.to_str().unwrap().to_string()).collect()
}

#[test]
fn what_containerd_sends() {
    // go-runc's command lines, as the containerd shim and dockerd use them.
    let p = ok("--root /run/docker/runtime-runc/moby --log /run/log.json --log-format json --systemd-cgroup create \
                --bundle /run/b --pid-file /run/b/init.pid --console-socket /tmp/pty.sock c1");
    assert_eq!(p.command.unwrap().name, "create");
    assert_eq!(
        *p.globals(),
        Globals {
            root: Some("/run/docker/runtime-runc/moby"),
            log: Some("/run/log.json"),
            log_format: Format::Json,
            systemd_cgroup: true,
            ..Globals::default()
        }
    );
    assert_eq!(p.flag("bundle"), Some("/run/b"));
    assert_eq!(p.flag("pid-file"), Some("/run/b/init.pid"));
    assert_eq!(p.flag("console-socket"), Some("/tmp/pty.sock"));
    assert_eq!(p.positional(0), Some("c1"));
    assert_eq!(p.positional(1), None);
    let p = ok("--root=/r --rootless=true exec --process /tmp/p.json --detach --pid-file /p c1");
    assert_eq!((p.flag("process"), p.is_set("detach"), p.positional(0)), (Some("/tmp/p.json"), true, Some("c1")));
    assert_eq!(p.globals().rootless, Some(true));
    assert!(p.rest().is_empty());
    let p = ok("kill --all c1 9");
    assert_eq!((p.is_set("all"), p.positional(0), p.positional(1)), (true, Some("c1"), Some("9")));
    let p = ok("delete --force c1");
    assert_eq!((p.is_set("force"), p.positional(0)), (true, Some("c1")));
}

#[test]
fn every_spelling_of_a_flag() {
    for text in [
        "run --bundle /b c1",
        "run --bundle=/b c1",
        "run -bundle /b c1",
        "run -bundle=/b c1",
        "run -b /b c1",
        "run -b=/b c1",
        "run --b /b c1",
        "run c1 --bundle /b",
        "run c1 -b=/b",
        "run --bundle /a --bundle /b c1",
        "run -b /b -- c1",
    ] {
        let p = ok(text);
        assert_eq!((p.flag("bundle"), p.positional(0)), (Some("/b"), Some("c1")), "{text}");
    }
}

#[test]
fn switches() {
    for (text, on, given) in [
        ("run c1", false, None),
        ("run -d c1", true, Some(true)),
        ("run --detach c1", true, Some(true)),
        ("run --detach= c1", true, Some(true)),
        ("run --detach=true c1", true, Some(true)),
        ("run --detach=T c1", true, Some(true)),
        ("run --detach=false c1", false, Some(false)),
        ("run --detach --detach=0 c1", false, Some(false)),
    ] {
        let p = ok(text);
        assert_eq!((p.is_set("detach"), p.switch("detach")), (on, given), "{text}");
    }
    assert_eq!(ok("run -b /b c1").switch("bundle"), None, "not a switch");
    assert!(refused("run --detach=maybe c1").contains("--detach is a switch: \"maybe\" is not true or false"));
}

#[test]
fn defaults_and_empty_values() {
    let p = ok("list");
    assert_eq!((p.flag("format"), p.is_set("format")), (Some("table"), false));
    let p = ok("run --pid-file= c1");
    assert_eq!((p.flag("pid-file"), p.is_set("pid-file")), (None, true));
    let p = ok("run --bundle '' c1");
    assert_eq!(p.flag("bundle"), Some("."));
    assert_eq!(ok("run c1").integer("preserve-fds"), Some(0));
    assert_eq!(ok("run --preserve-fds 3 c1").integer("preserve-fds"), Some(3));
    assert_eq!(ok("update --pids-limit -1 c1").integer("pids-limit"), Some(-1));
    assert_eq!(ok("update --memory -1 c1").flag("memory"), Some("-1"));
    assert_eq!(ok("update c1").integer("pids-limit"), None);
    assert_eq!(ok("run c1").flag("no-such"), None);
    assert_eq!(refused("--root= list"), "--root needs a directory; see insula --help");
}

#[test]
fn repeated_flags_keep_their_order() {
    let p = ok("exec -e A=1 --env B=2 --env= -e=C=x=y c1 env");
    assert_eq!(p.values("env").collect::<Vec<_>>(), ["A=1", "B=2", "", "C=x=y"]);
    assert_eq!(rest(&p), ["env"]);
    assert_eq!(ok("exec -g 1 -g=2 c1 id").values("additional-gids").collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn exec_leaves_the_command_alone() {
    for (text, tty, command) in [
        ("exec c1 ls -l --tty", false, &["ls", "-l", "--tty"][..]),
        ("exec -t c1 ls", true, &["ls"]),
        ("exec c1 -t ls", true, &["ls"]),
        ("exec c1 -- ls -t", false, &["ls", "-t"]),
        ("exec -- c1 ls -t", false, &["ls", "-t"]),
        ("exec c1 -- -odd -t", false, &["-odd", "-t"]),
        ("exec c1 -- -- x", false, &["--", "x"]),
        ("exec c1 ls -- x", false, &["ls", "--", "x"]),
        ("exec c1 ls --help", false, &["ls", "--help"]),
    ] {
        let p = ok(text);
        assert_eq!((p.is_set("tty"), p.positional(0)), (tty, Some("c1")), "{text}");
        assert_eq!(rest(&p), command, "{text}");
        assert!(!p.wants_help(), "{text}");
    }
    assert_eq!(refused("exec c1 --odd ls"), "exec: unknown flag --odd; see insula exec --help");
}

#[test]
fn try_needs_no_positional() {
    let p = ok("try --ro --hostname box sh -c true --report");
    assert_eq!((p.is_set("ro"), p.flag("hostname"), p.is_set("report")), (true, Some("box"), false));
    assert_eq!(rest(&p), ["sh", "-c", "true", "--report"]);
    assert_eq!(rest(&ok("try -- ls -l")), ["ls", "-l"]);
    assert!(ok("try").rest().is_empty());
    assert!(ok("try --help ls").wants_help());
}

#[test]
fn ps_gives_everything_after_the_id_to_ps() {
    let p = ok("ps -f json c1");
    assert_eq!((p.flag("format"), p.rest().len()), (Some("json"), 0));
    let p = ok("ps c1 -e -o pid,comm");
    assert_eq!((p.flag("format"), rest(&p)), (Some("table"), vec!["-e".into(), "-o".into(), "pid,comm".into()]));
    assert_eq!(rest(&ok("ps c1 -- aux")), ["aux"]);
}

#[test]
fn words_that_look_like_flags() {
    let p = ok("kill c1 -9");
    assert_eq!(p.positional(1), Some("-9"));
    assert_eq!(ok("state -- -odd").positional(0), Some("-odd"));
    assert_eq!(ok("state -").positional(0), Some("-"));
    assert_eq!(ok("state ''").positional(0), Some(""));
}

#[test]
fn globals_after_the_command() {
    let p = ok("run --debug c1 --root /r");
    assert!(p.globals().debug);
    assert_eq!(p.globals().root, Some("/r"));
    let p = ok("--rootless false spec --rootless");
    assert_eq!((p.globals().rootless, p.is_set("rootless")), (Some(false), true));
    assert_eq!(ok("--rootless auto list").globals().rootless, None);
    assert!(refused("--rootless perhaps list").contains("\"perhaps\" is none of true, false, auto"));
    assert!(refused("--log-format xml list").contains("\"xml\" is none of text, json"));
    assert_eq!(ok("--criu /usr/sbin/criu list").command.unwrap().name, "list");
}

#[test]
fn help_and_version() {
    for text in ["", "--help", "-h", "--debug"] {
        let p = ok(text);
        assert!(p.wants_help() && p.command.is_none() && !p.wants_version(), "{text}");
    }
    for text in ["create --help", "create -h", "--help create", "create a b c --help"] {
        let p = ok(text);
        assert!(p.wants_help() && p.command.unwrap().name == "create", "{text}");
    }
    for text in ["-v", "--version"] {
        assert!(ok(text).wants_version() && !ok(text).wants_help(), "{text}");
    }
    assert_eq!(refused("state -v c1"), "state: unknown flag -v; see insula state --help");
    assert_eq!(ok("h run").positional(0), Some("run"));
}

#[test]
fn usage_errors_name_what_is_wrong() {
    for (text, message) in [
        ("create", "create: missing <container-id>; see insula create --help"),
        ("create --bundle", "create: flag needs an argument: --bundle DIR; see insula create --help"),
        ("create --bundel /b c1", "create: unknown flag --bundel, did you mean --bundle?; see insula create --help"),
        ("create -x c1", "create: unknown flag -x; see insula create --help"),
        ("create --odd=1 c1", "create: unknown flag --odd; see insula create --help"),
        ("state a b", "state: one argument too many: \"b\" (state takes 1); see insula state --help"),
        ("list c1", "list: one argument too many: \"c1\" (list takes 0); see insula list --help"),
        ("kill a 9 c", "kill: one argument too many: \"c\" (kill takes 2); see insula kill --help"),
        ("run --preserve-fds x c1", "run: --preserve-fds: \"x\" is not a whole number; see insula run --help"),
        ("list -f xml", "list: --format: \"xml\" is none of table, json; see insula list --help"),
        ("completion csh", "completion: shell: \"csh\" is none of bash, zsh, fish; see insula completion --help"),
        ("--rot /x list", "unknown flag --rot, did you mean --root?; see insula --help"),
        ("--log", "flag needs an argument: --log FILE; see insula --help"),
        ("crate c1", "No help topic for 'crate': no such command, did you mean create?; see insula --help"),
        ("foo -h", "No help topic for 'foo': no such command; see insula --help"),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn only_the_other_programs_part_may_be_other_than_utf8() {
    let odd = c"\xff\xfe";
    let p = parse([c"exec", c"c1", c"echo", odd].into_iter()).unwrap();
    assert_eq!(p.rest(), [c"echo", odd]);
    assert_eq!(parse([c"try", odd].into_iter()).unwrap().rest(), [odd]);
    for args in
        [&[odd][..], &[c"state", odd], &[c"run", c"--bundle", odd, c"c1"], &[c"list", odd], &[c"run", c"--\xff"]]
    {
        let error = parse(args.iter().copied()).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains("is not UTF-8"), "{error}");
    }
}

#[test]
fn every_flag_of_the_table_can_be_given() {
    for command in COMMANDS {
        for flag in command.flags() {
            let value = match flag.takes {
                Takes::Nothing => None,
                Takes::Integer(_) => Some("7"),
                Takes::OneOf(words) => words.first().copied(),
                Takes::Text(_) | Takes::Path(_) => Some("word"),
            };
            let long = format!("{} --{} {} --help", command.name, flag.long, value.unwrap_or(""));
            assert!(ok(&long).is_set(flag.long), "{long}");
            if let Some(value) = value {
                assert_eq!(ok(&long).values(flag.long).collect::<Vec<_>>(), [value], "{long}");
            }
        }
    }
}
