// SPDX-License-Identifier: Apache-2.0
//! docs/ as a book: mdBook makes it, and everything that its pages lead to is there.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::Outcome;
use crate::shell::{output, program, root, target};

/// `cargo xtask book`: writes target/book.
pub(crate) fn run(_args: &[String]) -> Outcome {
    check()?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the book and follows the links of its pages. Says aloud if mdBook is not installed, which is no failure.
pub(crate) fn check() -> Result<(), String> {
    if output(program("mdbook").arg("--version")).is_err() {
        eprintln!(
            "book: SKIPPED, not built: mdbook is not installed (Debian 13 has it; else cargo install mdbook). `cargo xtask vm-test` builds it"
        );
        return Ok(());
    }
    let place = target().join("book");
    output(program("mdbook").arg("build").arg("--dest-dir").arg(&place).arg(root()))?;
    let entries = fs::read_dir(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let names: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    let mut pages = 0;
    for page in names.iter().filter(|path| path.extension().is_some_and(|end| end == "html")) {
        pages += 1;
        let text = fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
        if let Some(lost) = targets(&text).find(|target| !place.join(target).exists()) {
            return Err(format!("book: {} leads to {lost}, which is not there", page.display()));
        }
    }
    println!("book: {pages} pages in {}, and every link within leads somewhere", shown(&place));
    Ok(())
}

/// A path as people type it.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// What a page's links and pictures lead to within the book.
fn targets(html: &str) -> impl Iterator<Item = &str> {
    let values = ["href=\"", "src=\""].into_iter().flat_map(|name| html.split(name).skip(1));
    let targets = values.filter_map(|rest| rest.split(['"', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':') && !target.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_within_the_book() {
        let html = r##"<a href="sharing.html#pods">x</a><img src="pictures/pod.svg"><a href="https://example.org/">y</a><a href="#z">"##;
        assert_eq!(targets(html).collect::<Vec<_>>(), ["sharing.html", "pictures/pod.svg"]);
    }
}
