// SPDX-License-Identifier: Apache-2.0
//! What is handed out: a tarball, a Debian package, a bill of materials, checksums. The same commit gives the same bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::docs;
use crate::shell::{cargo, output, program, root, run as execute, target};

mod check;
mod deb;
mod materials;

/// The architecture that is built: the one this runs on.
const ARCHITECTURE: &str = std::env::consts::ARCH;

/// What is said of the release in every file.
#[derive(Debug)]
struct Release {
    version: &'static str,
    /// The commit that is built, in hexadecimal.
    commit: String,
    /// Its time in seconds since 1970: the time of every file.
    time: String,
}

impl Release {
    /// Of the commit that `checkout` has.
    fn of(checkout: &Path) -> Result<Self, String> {
        let git =
            |args: &[&str]| output(program("git").current_dir(checkout).args(args)).map(|text| text.trim().into());
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: git(&["rev-parse", "HEAD"])?,
            time: git(&["log", "-1", "--format=%ct"])?,
        })
    }

    /// `insula-VERSION-ARCH-linux`
    fn name(&self) -> String {
        format!("insula-{}-{ARCHITECTURE}-linux", self.version)
    }
}

/// `cargo xtask dist [--check]`: writes the files to target/dist; with `--check` does it a second time from a clone
/// elsewhere, compares every byte, installs and removes the package, and builds for aarch64.
pub(crate) fn run(args: &[String]) -> Outcome {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("only --check may follow".into()),
    };
    let (out, build) = (target().join("dist"), target().join("dist-build"));
    let made = make(root(), &build, &out)?;
    for file in &made {
        println!("{}", file.display());
    }
    if check {
        check::reproducible(&made)?;
        check::installable(&out)?;
        check::valid(&out)?;
        crate::cross::check()?;
        crate::book::check()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The Debian package with a program that is built already, for trying the package out: its path.
pub(crate) fn package_with(program: &Path) -> Result<PathBuf, String> {
    let (out, release) = (target().join("dist-tried"), Release::of(root())?);
    let tree = out.join(release.name());
    afresh(&tree)?;
    fill(&tree, root(), program)?;
    deb::build(root(), &tree, &out, &release)
}

/// Builds what `checkout` has in `build` and writes the files to `out`; their paths.
fn make(checkout: &Path, build: &Path, out: &Path) -> Result<Vec<PathBuf>, String> {
    let release = Release::of(checkout)?;
    let program = compile(checkout, build, &release)?;
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let tree = out.join(release.name());
    afresh(&tree)?;
    fill(&tree, checkout, &program)?;
    let archive = out.join(format!("{}.tar.gz", release.name()));
    archive_of(&tree, &archive, &release)?;
    let package = deb::build(checkout, &tree, out, &release)?;
    let materials = out.join(format!("insula-{}.spdx.json", release.version));
    write(&materials, &materials::document(checkout, &release, &program)?)?;
    let sums = out.join("SHA256SUMS");
    let files = [archive, package, materials];
    write(&sums, &checksums(out, &files)?)?;
    Ok(files.into_iter().chain([sums]).collect())
}

/// The static program, without a trace of where it was built.
fn compile(checkout: &Path, build: &Path, release: &Release) -> Result<PathBuf, String> {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .map_err(|_| "neither CARGO_HOME nor HOME is set")?;
    let mut flags = vec![
        format!("--remap-path-prefix={}=/insula", checkout.display()),
        format!("--remap-path-prefix={}=/build", build.display()),
        format!("--remap-path-prefix={home}=/cargo"),
    ];
    if ARCHITECTURE == "aarch64" {
        // As in .cargo/config.toml, which the variable below replaces.
        flags.push("-Ctarget-feature=-outline-atomics".into());
    }
    let mut command = cargo(["build", "--release", "--locked", "--package", "insula", "--target-dir"]);
    command.arg(build).current_dir(checkout);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env_remove("CARGO_TARGET_DIR");
    command.env("INSULA_COMMIT", &release.commit).env("SOURCE_DATE_EPOCH", &release.time);
    execute(&mut command)?;
    Ok(build.join("release/insula"))
}

/// Files of the tarball that are copied as they are: from, to.
const PLAIN: [(&str, &str); 5] = [
    ("LICENSE", "LICENSE"),
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("SECURITY.md", "SECURITY.md"),
    ("dist/README.md", "dist/README.md"),
];

/// Directories of the tarball that are copied as they are.
const DIRECTORIES: [&str; 5] = ["dist/containerd", "dist/crio", "dist/docker", "dist/kubernetes", "dist/podman"];

/// The tarball's tree: the program, its pages, completions, and snippets for engines.
fn fill(tree: &Path, checkout: &Path, program: &Path) -> Result<(), String> {
    copy(program, &tree.join("insula"))?;
    docs::write_all(tree)?;
    for (from, to) in PLAIN {
        copy(&checkout.join(from), &tree.join(to))?;
    }
    for directory in DIRECTORIES {
        let from = checkout.join(directory);
        for entry in fs::read_dir(&from).map_err(|error| format!("{}: {error}", from.display()))? {
            let path = entry.map_err(|error| format!("{}: {error}", from.display()))?.path();
            copy(&path, &tree.join(directory).join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// tar(1) of `tree` in which nothing depends on who made it or when.
fn archive_of(tree: &Path, archive: &Path, release: &Release) -> Result<(), String> {
    let (parent, name) = (tree.parent().unwrap_or(Path::new("/")), tree.file_name().unwrap_or_default());
    let mut command = program("tar");
    command.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"]);
    command.args(["--mode=u=rwX,go=rX", "--use-compress-program=gzip -9n"]).arg(format!("--mtime=@{}", release.time));
    execute(command.arg("--file").arg(archive).arg("--directory").arg(parent).arg(name))
}

/// A line for each file, as sha256sum(1) reads them.
fn checksums(directory: &Path, files: &[PathBuf]) -> Result<String, String> {
    let names = files.iter().filter_map(|file| file.file_name());
    output(program("sha256sum").current_dir(directory).args(names))
}

/// An empty directory.
fn afresh(path: &Path) -> Result<(), String> {
    let fail = |error| format!("{}: {error}", path.display());
    if path.exists() {
        fs::remove_dir_all(path).map_err(fail)?;
    }
    fs::create_dir_all(path).map_err(fail)
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let fail = |error| format!("{} to {}: {error}", from.display(), to.display());
    fs::create_dir_all(to.parent().unwrap_or(Path::new("/"))).map_err(fail)?;
    fs::copy(from, to).map(drop).map_err(fail)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// A command that must have no output on success, with the release's time for whatever it stamps.
fn dated(name: &str, release: &Release) -> Command {
    let mut command = program(name);
    command.env("SOURCE_DATE_EPOCH", &release.time);
    command
}
