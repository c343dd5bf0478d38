// SPDX-License-Identifier: Apache-2.0
//! Installs the Debian packages of `packages.apt` and `packages-vm.apt` that are missing.

use std::process::ExitCode;

use crate::Outcome;
use crate::shell::{as_root, program, root, run as execute};

/// `cargo xtask setup`
pub(crate) fn run(_args: &[String]) -> Outcome {
    ensure()?;
    if let Some(reason) = ensure_machine()? {
        eprintln!("cargo xtask vm-test will be skipped: {reason}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs what is missing of `packages.apt`; does nothing, quickly, if nothing is.
pub(crate) fn ensure() -> Result<(), String> {
    install(&read("packages.apt")?)
}

/// The same for `packages-vm.apt`; `Some` is the reason why no virtual machine can be had here.
pub(crate) fn ensure_machine() -> Result<Option<String>, String> {
    Ok(install(&read("packages-vm.apt")?).err())
}

fn read(name: &str) -> Result<String, String> {
    let path = root().join(name);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn install(list: &str) -> Result<(), String> {
    let missing = missing(&packages(list))?;
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", missing.join(", "));
    execute(as_root("apt-get")?.args(["update", "--quiet"]))?;
    let mut install = as_root("env")?;
    install.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
    ]);
    execute(install.args(missing))
}

/// The names in the list: one a line, after `#` comes a comment.
fn packages(list: &str) -> Vec<&str> {
    list.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|name| !name.is_empty()).collect()
}

/// Those that are not completely installed.
fn missing<'a>(names: &[&'a str]) -> Result<Vec<&'a str>, String> {
    // dpkg-query fails if it does not know one of them, but prints the others.
    let mut query = program("dpkg-query");
    query.args(["--show", "--showformat=${Package} ${db:Status-Status}\\n"]).args(names);
    let known = match query.output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => {
            let wanted = names.join(" ");
            return Err(format!(
                "dpkg-query: {error}; this is not Debian: install by hand what these stand for: {wanted}"
            ));
        }
    };
    let installed = |name: &str| known.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    Ok(names.iter().copied().filter(|name| !installed(name)).collect())
}

/// Fails with advice if a program that a test needs is not there.
#[cfg(test)]
pub(crate) fn require(name: &str) {
    let found = crate::shell::output(program("sh").args(["-c", "command -v \"$0\"", name]));
    assert!(found.is_ok(), "{name} is not installed; run `cargo xtask setup`");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(packages("# tools\n\njq  # for JSON\n  crun\n#no\n"), ["jq", "crun"]);
    }

    #[test]
    fn the_repositorys_list_names_each_package_once() {
        let list = read("packages.apt").unwrap() + &read("packages-vm.apt").unwrap();
        let names = packages(&list);
        assert!(names.len() > 8);
        for (index, name) in names.iter().enumerate() {
            assert!(!names[index + 1..].contains(name), "{name} twice");
            assert!(!name.contains(char::is_whitespace), "one a line: {name:?}");
        }
    }

    #[test]
    fn what_is_missing() {
        assert_eq!(missing(&["dpkg", "no-such-package-of-insula"]).unwrap(), ["no-such-package-of-insula"]);
    }
}
