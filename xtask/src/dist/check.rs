// SPDX-License-Identifier: Apache-2.0
//! Whether what was made is what it should be.

use std::fs;
use std::path::{Path, PathBuf};

use super::deb::files_below;
use super::{afresh, make};
use crate::shell::{output, program, root, run as execute, target};

/// Makes everything once more from a clone elsewhere; every byte must be the same.
pub(super) fn reproducible(first: &[PathBuf]) -> Result<(), String> {
    let changed = output(program("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
    if !changed.is_empty() {
        return Err(format!("a clone would differ; commit first:\n{changed}"));
    }
    let place = target().join("dist-again");
    afresh(&place)?;
    let clone = place.join("a clone at another path");
    execute(program("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(root()).arg(&clone))?;
    let second = make(&clone, &place.join("build"), &place.join("out"))?;
    for (one, other) in first.iter().zip(&second) {
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        if read(one)? != read(other)? {
            return Err(format!("{} and {} differ", one.display(), other.display()));
        }
    }
    println!("the same from a clone at another path: {} files", second.len());
    fs::remove_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))
}

/// The validators of the documents' own formats: Python packages, since nothing else has the schemas.
const VALIDATORS: [&str; 2] = ["kubernetes-validate==1.37.0", "spdx-tools==0.8.5"];

/// Checks the bill of materials and the Kubernetes documents against their schemas.
pub(super) fn valid(out: &Path) -> Result<(), String> {
    let venv = target().join("validators");
    if !venv.join("ready").exists() {
        execute(program("python3").args(["-m", "venv"]).arg(&venv))?;
        execute(program(&venv.join("bin/pip").to_string_lossy()).args(["install", "--quiet"]).args(VALIDATORS))?;
        fs::write(venv.join("ready"), "").map_err(|error| error.to_string())?;
    }
    let tool = |name: &str| program(&venv.join("bin").join(name).to_string_lossy());
    for path in files_below(out)?.iter().filter(|path| path.to_string_lossy().ends_with(".spdx.json")) {
        execute(tool("pyspdxtools").arg("--infile").arg(path))?;
    }
    let documents = files_below(&root().join("dist/kubernetes"))?;
    for path in documents.iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
        execute(tool("kubernetes-validate").arg("--strict").arg(path))?;
    }
    println!("the bill of materials and the Kubernetes documents follow their schemas");
    Ok(())
}

/// What must be there once the package is installed.
const INSTALLED: [&str; 8] = [
    "usr/bin/insula",
    "usr/share/man/man8/insula.8.gz",
    "usr/share/man/man8/insula-run.8.gz",
    "usr/share/bash-completion/completions/insula",
    "usr/share/zsh/vendor-completions/_insula",
    "usr/share/fish/vendor_completions.d/insula.fish",
    "etc/containers/containers.conf.d/50-insula.conf",
    "usr/share/doc/insula/copyright",
];

/// Installs the package in an empty root, uses it, and removes it: nothing may stay.
pub(super) fn installable(out: &Path) -> Result<(), String> {
    let packages = files_below(out)?;
    let package = packages.iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.ok_or("no package was made")?;
    let place = target().join("dist-root");
    afresh(&place)?;
    let database = place.join("var/lib/dpkg");
    for name in ["updates", "info", "triggers"] {
        fs::create_dir_all(database.join(name)).map_err(|error| error.to_string())?;
    }
    fs::write(database.join("status"), "").map_err(|error| error.to_string())?;
    let dpkg = || {
        let mut command = program("dpkg");
        command.arg(format!("--root={}", place.display())).args(["--force-not-root", "--log=/dev/null"]);
        command
    };
    execute(dpkg().arg("--install").arg(package))?;
    for name in INSTALLED {
        if !place.join(name).is_file() {
            return Err(format!("{name} is not in the package"));
        }
    }
    let version = output(
        program("unshare")
            .args(["--user", "--map-root-user", "--root"])
            .arg(&place)
            .args(["/usr/bin/insula", "--version"]),
    )?;
    if !version.contains(env!("CARGO_PKG_VERSION")) {
        return Err(format!("insula --version, with nothing else in the root, printed {version:?}"));
    }
    execute(dpkg().args(["--purge", "insula"]))?;
    let left: Vec<_> = files_below(&place)?.into_iter().filter(|path| !path.starts_with(&database)).collect();
    if !left.is_empty() {
        return Err(format!("the package leaves {left:?}"));
    }
    println!("installed in an empty root, run there, and purged: nothing is left");
    fs::remove_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))
}
