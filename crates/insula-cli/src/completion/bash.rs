// SPDX-License-Identifier: Apache-2.0
//! bash: one function that walks the line, and three tables as `case` lists.

use alloc::string::String;
use alloc::vec::Vec;

use super::Script;
use crate::command::{COMMANDS, Command, GLOBALS};
use crate::flag::{Flag, Means, Takes};
use crate::signal;

pub(super) fn render(script: &mut Script) {
    script.put(format_args!(
        r#"
# What the flag $2 of command $1 takes, in $takes: nothing, "path", "text" or "words ...".
_insula_takes() {{
    takes=
    case "$1 $2" in
"#
    ));
    for command in COMMANDS {
        takes(script, command.name, command.flags());
    }
    takes(script, "*", GLOBALS.iter());
    script.put(format_args!(
        r"    esac
}}

# The flags of command $1, in $flags.
_insula_flags() {{
    case $1 in
"
    ));
    for command in COMMANDS {
        script.line(format_args!("    {}) flags='{}' ;;", command.name, spellings(command.flags()).join(" ")));
    }
    script.put(format_args!(
        r#"    *) flags= ;;
    esac
    flags+=' {}'
}}

# What word number $2 of command $1 is, in $means: "container", "rest", "words ..." or nothing.
_insula_means() {{
    means=
    case "$1 $2" in
"#,
        spellings(GLOBALS.iter()).join(" ")
    ));
    for command in COMMANDS {
        means(script, command);
    }
    script.put(format_args!("{WALK}"));
    let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    script.put(format_args!(
        r#"    if [[ $current == -* && -z $words_only ]]; then
        _insula_flags "$command"
        COMPREPLY=($(compgen -W "$flags" -- "$current"))
    elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W '{}' -- "$current"))
    else
        _insula_means "$command" "$place"
        _insula_offer "$means"
    fi
}}
complete -F _insula insula
"#,
        names.join(" ")
    ));
}

/// The part of the script that does not depend on the table.
const WALK: &str = r#"    esac
}

_insula_offer() {
    case $1 in
    path) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
    container) COMPREPLY=($(compgen -W "$(insula "${root[@]}" list --quiet 2>/dev/null)" -- "$current")) ;;
    program) COMPREPLY=($(compgen -c -- "$current")) ;;
    words\ *) COMPREPLY=($(compgen -W "${1#words }" -- "$current")) ;;
    esac
}

_insula() {
    local IFS=$' \t\n' current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command= place=0 words_only= takes= flags= means= word index root=()
    # bash splits --flag=value at the equals sign.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for (( index = 1; index < COMP_CWORD; index++ )); do
        word=${COMP_WORDS[index]}
        if [[ -z $words_only && $word == -- ]]; then
            words_only=yes
        elif [[ -z $words_only && $word == -?* ]]; then
            _insula_takes "$command" "$word"
            [[ ${COMP_WORDS[index+1]} == = ]] && (( index++ ))
            [[ $word == --root ]] && root=(--root "${COMP_WORDS[index+1]}")
            [[ -n $takes ]] && (( index++ ))
        elif [[ -z $command ]]; then
            command=$word words_only=
        else
            (( place++ ))
        fi
    done
    # The word before a flag's value was stepped over together with it.
    if (( index > COMP_CWORD )); then
        _insula_takes "$command" "$previous"
        _insula_offer "$takes"
        return
    fi
"#;

fn spellings(flags: impl Iterator<Item = &'static Flag>) -> Vec<String> {
    let shown = flags.filter(|flag| !flag.hidden);
    shown
        .flat_map(|flag| {
            let short = flag.short.map(|letter| String::from_iter(['-', letter]));
            [Some(String::from("--") + flag.long), short]
        })
        .flatten()
        .collect()
}

fn takes(script: &mut Script, command: &str, flags: impl Iterator<Item = &'static Flag>) {
    for flag in flags.filter(|flag| !flag.hidden) {
        let words = flag.takes.words();
        let kind = match flag.takes {
            Takes::Nothing => String::new(),
            Takes::Path(_) => "path".into(),
            _ if !words.is_empty() => String::from("'words ") + &words.join(" ") + "'",
            _ => "text".into(),
        };
        let quoted = |name: &String| {
            if command == "*" { alloc::format!("*' {name}'") } else { alloc::format!("'{command} {name}'") }
        };
        let patterns: Vec<String> = spellings([flag].into_iter()).iter().map(quoted).collect();
        script.line(format_args!("    {}) takes={kind} ;;", patterns.join("|")));
    }
}

fn means(script: &mut Script, command: &Command) {
    for (place, positional) in command.positionals.iter().enumerate() {
        let words = match positional.means {
            Means::NewContainer => continue,
            Means::Container => "container".into(),
            Means::Signal => list(signal::names()),
            Means::Command => list(COMMANDS.iter().map(|command| command.name)),
            Means::OneOf(words) => list(words.iter().copied()),
        };
        script.line(format_args!("    '{} {place}') means={words} ;;", command.name));
    }
    // Only a program of this host can be completed, not one inside a container.
    if command.positionals.is_empty() && command.rest.is_some() {
        script.line(format_args!("    '{} 0') means=program ;;", command.name));
        script.line(format_args!("    '{} '*) means=path ;;", command.name));
    }
}

fn list(words: impl Iterator<Item = &'static str>) -> String {
    let words: Vec<&str> = words.collect();
    String::from("'words ") + &words.join(" ") + "'"
}
