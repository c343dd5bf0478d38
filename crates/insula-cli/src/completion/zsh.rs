// SPDX-License-Identifier: Apache-2.0
//! zsh: a specification of `_arguments` for the program and for each command.

use alloc::string::String;
use alloc::vec::Vec;

use super::Script;
use crate::command::{COMMANDS, Command, GLOBALS};
use crate::flag::{Flag, Means, Takes};
use crate::signal;

pub(super) fn render(script: &mut Script) {
    script.0.insert_str(0, "#compdef insula\n");
    script.put(format_args!(
        r"
_insula_commands() {{
    local -a commands=(
"
    ));
    for command in COMMANDS {
        script.line(format_args!("        '{}:{}'", command.name, quoted(command.summary)));
    }
    script.put(format_args!(
        r#"    )
    _describe command commands
}}

_insula_containers() {{
    local -a root ids
    (( $+opt_args[--root] )) && root=(--root $opt_args[--root])
    (( $+insula_root )) && root=(--root $insula_root)
    ids=(${{(f)"$(insula $root list --quiet 2>/dev/null)"}})
    compadd -a ids
}}

_insula() {{
    local curcontext=$curcontext state line insula_root
    typeset -A opt_args
    _arguments -C -S \
"#
    ));
    flags(script, GLOBALS.iter());
    script.put(format_args!(
        r"        '1:command:_insula_commands' \
        '*:: :->argument' && return
    [[ $state == argument ]] || return 1
    (( $+opt_args[--root] )) && insula_root=$opt_args[--root] || unset insula_root
    curcontext=${{curcontext%:*:*}}:insula-$words[1]:
    case $words[1] in
"
    ));
    for command in COMMANDS {
        script.line(format_args!("    {})\n        _arguments -S \\", command.name));
        flags(script, command.flags());
        let own = |flag: &&Flag| flag.long != "version" && !command.flags().any(|f| f.long == flag.long);
        flags(script, GLOBALS.iter().filter(own));
        words(script, command);
        script.line(format_args!("        ;;"));
    }
    script.put(format_args!(
        r#"    esac
}}

_insula "$@"
"#
    ));
}

fn flags(script: &mut Script, flags: impl Iterator<Item = &'static Flag>) {
    for flag in flags.filter(|flag| !flag.hidden) {
        let text = quoted(flag.summary);
        let words = flag.takes.words();
        let value = match flag.takes {
            Takes::Nothing => String::new(),
            Takes::Path(meta) => colon(meta) + ":_files",
            _ if !words.is_empty() => String::from(":value:(") + &words.join(" ") + ")",
            takes => colon(&takes.meta()) + ":",
        };
        // `+` allows the value in the same word, `=` after an equals sign.
        let (plus, equals) = if value.is_empty() { ("", "") } else { ("+", "=") };
        match (flag.short, flag.repeat) {
            (Some(short), true) => {
                script.line(format_args!("        '*'{{-{short}{plus},--{}{equals}}}'[{text}]{value}' \\", flag.long));
            }
            (Some(short), false) => {
                let long = flag.long;
                script.line(format_args!(
                    "        '(-{short} --{long})'{{-{short}{plus},--{long}{equals}}}'[{text}]{value}' \\"
                ));
            }
            (None, repeat) => {
                let star = if repeat { "*" } else { "" };
                script.line(format_args!("        '{star}--{}{equals}[{text}]{value}' \\", flag.long));
            }
        }
    }
}

fn words(script: &mut Script, command: &Command) {
    let mut specifications: Vec<String> = Vec::new();
    for positional in command.positionals {
        let action = match positional.means {
            Means::NewContainer => String::new(),
            Means::Container => "_insula_containers".into(),
            Means::Command => "_insula_commands".into(),
            Means::Signal => list(signal::names()),
            Means::OneOf(words) => list(words.iter().copied()),
        };
        let optional = if positional.required { ":" } else { "::" };
        specifications.push(String::from(optional) + positional.name + ":" + &action);
    }
    if command.rest.is_some() {
        // Only a program of this host can be completed, not one inside a container.
        specifications.push(if command.positionals.is_empty() { "*:::command:_normal" } else { "*::argument:" }.into());
    }
    let quoted: Vec<String> = specifications.iter().map(|s| String::from("'") + s + "'").collect();
    script.line(format_args!("        {}", if quoted.is_empty() { "':: :'".into() } else { quoted.join(" ") }));
}

fn list(words: impl Iterator<Item = &'static str>) -> String {
    let words: Vec<&str> = words.collect();
    String::from("(") + &words.join(" ") + ")"
}

fn colon(meta: &str) -> String {
    String::from(":") + &quoted(meta)
}

/// For single quotes, brackets and colons of a specification.
fn quoted(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '\'' => safe.push_str("'\\''"),
            '[' | ']' | ':' | '\\' => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    safe
}
