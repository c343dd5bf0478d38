// SPDX-License-Identifier: Apache-2.0
//! fish: one `complete` line per command and flag.

use alloc::string::String;
use alloc::vec::Vec;

use super::Script;
use crate::command::{COMMANDS, Command, GLOBALS};
use crate::flag::{Flag, Means, Takes};
use crate::signal;

pub(super) fn render(script: &mut Script) {
    script.put(format_args!(
        r#"
# The flags of command $argv[1] that have a value, one a line; without command, the global ones.
function __insula_valued
    switch "$argv[1]"
"#
    ));
    for command in COMMANDS {
        valued(script, command.name, command.flags().chain(GLOBALS));
    }
    valued(script, "''", GLOBALS.iter());
    script.put(format_args!("{WALK}"));
    let none = "-n 'test -z \"$(__insula_words)\"'";
    for command in COMMANDS {
        script.line(format_args!("complete -c insula {none} -a {} -d '{}'", command.name, quoted(command.summary)));
    }
    for flag in GLOBALS.iter().filter(|flag| flag.long != "help") {
        complete(script, none, flag);
    }
    for flag in GLOBALS.iter().filter(|flag| flag.long == "help") {
        complete(script, "", flag);
    }
    for command in COMMANDS {
        let here = String::from("-n '__insula_command ") + command.name + "'";
        for flag in command.flags() {
            complete(script, &here, flag);
        }
        words(script, command);
    }
}

const WALK: &str = r#"    end
end

# The command on the line and the words after it, without flags and their values.
function __insula_words
    set -l tokens (commandline -opc)
    set -l words
    while set -e tokens[1]; and set -q tokens[1]
        if contains -- $tokens[1] (__insula_valued $words[1])
            set -e tokens[1]
        else if not string match -q -- '-*' $tokens[1]
            set -a words $tokens[1]
        end
    end
    string join \n -- $words
end

# Whether the command is $argv[1] and, if $argv[2] is given, that many words follow it.
function __insula_command
    set -l words (__insula_words)
    test "$words[1]" = "$argv[1]"; or return
    test (count $argv) -lt 2; or test (count $words) -eq (math 1 + $argv[2])
end

# The --root on the line, as arguments.
function __insula_root
    set -l tokens (commandline -opc)
    if set -l at (contains -i -- --root $tokens)
        printf '%s\n' --root $tokens[(math $at + 1)]
    else
        string match -- '--root=*' $tokens
    end
end

complete -c insula -f
"#;

fn valued(script: &mut Script, command: &str, flags: impl Iterator<Item = &'static Flag>) {
    let mut names = String::new();
    for flag in flags.filter(|flag| !flag.hidden && flag.takes != Takes::Nothing) {
        names.extend([" --", flag.long]);
        if let Some(short) = flag.short {
            names.extend([' ', '-', short]);
        }
    }
    script.line(format_args!("        case {command}\n            string join \\n --{names}"));
}

fn complete(script: &mut Script, condition: &str, flag: &Flag) {
    if flag.hidden {
        return;
    }
    let words = flag.takes.words();
    let value = match flag.takes {
        Takes::Nothing => String::new(),
        Takes::Path(_) => " -r -F".into(),
        _ if !words.is_empty() => String::from(" -x -a '") + &words.join(" ") + "'",
        _ => " -x".into(),
    };
    let mut names = String::from("-l ") + flag.long;
    if let Some(short) = flag.short {
        names.extend([' ', '-', 's', ' ', short]);
    }
    script.line(format_args!("complete -c insula {condition} {names}{value} -d '{}'", quoted(flag.summary)));
}

fn words(script: &mut Script, command: &Command) {
    for (place, positional) in command.positionals.iter().enumerate() {
        let words = match positional.means {
            Means::NewContainer => continue,
            Means::Container => "(insula (__insula_root) list --quiet 2>/dev/null)".into(),
            Means::Signal => signal::names().collect::<Vec<_>>().join(" "),
            Means::Command => COMMANDS.iter().map(|command| command.name).collect::<Vec<_>>().join(" "),
            Means::OneOf(words) => words.join(" "),
        };
        script.line(format_args!("complete -c insula -n '__insula_command {} {place}' -a '{words}'", command.name));
    }
    // Only a program of this host can be completed, not one inside a container.
    if command.positionals.is_empty() && command.rest.is_some() {
        script.line(format_args!(
            "complete -c insula -n '__insula_command {}' -a '(__fish_complete_subcommand)'",
            command.name
        ));
    }
}

/// For single quotes.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
