// SPDX-License-Identifier: Apache-2.0
//! Completions and man pages, from insula's own table of commands.

use std::path::Path;
use std::process::ExitCode;

use insula_cli::COMMANDS;
use insula_cli::completion::{Shell, render};
use insula_cli::help::{Page, render as render_help};

use crate::Outcome;
use crate::man;
use crate::shell::{root, target};

/// Where each shell looks for the file of that name.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "completions/bash/insula"),
    (Shell::Zsh, "completions/zsh/_insula"),
    (Shell::Fish, "completions/fish/insula.fish"),
];

/// `cargo xtask completions`
pub(crate) fn completions(_args: &[String]) -> Outcome {
    let place = target().join("dist");
    write_completions(&place)?;
    println!("{}", place.join("completions").display());
    Ok(ExitCode::SUCCESS)
}

/// `cargo xtask man`
pub(crate) fn man_pages(_args: &[String]) -> Outcome {
    let place = target().join("dist");
    write_pages(&place)?;
    println!("{}", place.join("man").display());
    Ok(ExitCode::SUCCESS)
}

/// `cargo xtask reference`: docs/reference.md from the table of commands.
pub(crate) fn reference(_args: &[String]) -> Outcome {
    let path = root().join("docs/reference.md");
    std::fs::write(&path, reference_page()).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Every command's help, as one page.
fn reference_page() -> String {
    let page = |command| render_help(command, Page { width: 100, bold: false });
    let mut text = format!(
        "# Commands\n\nWritten by `cargo xtask reference` from the table that also parses the command line.\n\n\
         ## insula\n\n```text\n{}```\n",
        page(None)
    );
    for command in COMMANDS {
        text += &format!("\n## insula {}\n\n```text\n{}```\n", command.name, page(Some(*command)));
    }
    text
}

/// `cargo xtask dist-docs`
pub(crate) fn all(args: &[String]) -> Outcome {
    completions(args)?;
    man_pages(args)
}

/// Writes completions and man pages below `directory`.
pub(crate) fn write_all(directory: &Path) -> Result<(), String> {
    write_completions(directory)?;
    write_pages(directory)
}

fn write_completions(directory: &Path) -> Result<(), String> {
    COMPLETIONS.iter().try_for_each(|(shell, name)| write(directory, name, &render(*shell)))
}

fn write_pages(directory: &Path) -> Result<(), String> {
    write(directory, "man/insula.8", &man::overview())?;
    COMMANDS
        .iter()
        .try_for_each(|command| write(directory, &format!("man/insula-{}.8", command.name), &man::page(command)))
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = directory.join(name);
    let fail = |error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(fail)?;
    std::fs::write(&path, text).map_err(fail)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod runc;
