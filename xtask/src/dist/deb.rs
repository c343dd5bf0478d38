// SPDX-License-Identifier: Apache-2.0
//! The Debian package, by dpkg-deb, which every Debian has: the package has no scripts and no dependencies.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{ARCHITECTURE, Release, afresh, copy, dated, write};
use crate::shell::{output, program, run as execute};

/// What the package has from the tarball's tree: from, to.
const FILES: [(&str, &str); 11] = [
    ("insula", "usr/bin/insula"),
    ("completions/bash/insula", "usr/share/bash-completion/completions/insula"),
    ("completions/zsh/_insula", "usr/share/zsh/vendor-completions/_insula"),
    ("completions/fish/insula.fish", "usr/share/fish/vendor_completions.d/insula.fish"),
    ("README.md", "usr/share/doc/insula/README.md"),
    ("SECURITY.md", "usr/share/doc/insula/SECURITY.md"),
    ("dist/docker/daemon.json", "usr/share/doc/insula/examples/docker-daemon.json"),
    ("dist/containerd/config.toml", "usr/share/doc/insula/examples/containerd-config.toml"),
    ("dist/containerd/config-v1.toml", "usr/share/doc/insula/examples/containerd-config-v1.toml"),
    ("dist/podman/50-insula.conf", "etc/containers/containers.conf.d/50-insula.conf"),
    ("dist/crio/50-insula.conf", "etc/crio/crio.conf.d/50-insula.conf"),
];

/// Debian's name of the architecture.
fn architecture() -> &'static str {
    match ARCHITECTURE {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Builds the package from the tarball's tree; its path.
pub(super) fn build(checkout: &Path, tree: &Path, out: &Path, release: &Release) -> Result<PathBuf, String> {
    let stage = out.join("deb");
    afresh(&stage)?;
    for (from, to) in FILES {
        copy(&tree.join(from), &stage.join(to))?;
    }
    compressed(&checkout.join("CHANGELOG.md"), &stage.join("usr/share/doc/insula/changelog.gz"))?;
    copy(&checkout.join("dist/debian/copyright"), &stage.join("usr/share/doc/insula/copyright"))?;
    for page in sorted(&tree.join("man"))? {
        let name = format!("{}.gz", page.file_name().unwrap_or_default().to_string_lossy());
        compressed(&page, &stage.join("usr/share/man/man8").join(name))?;
    }
    control(checkout, &stage, release)?;
    readable(&stage)?;
    fs::set_permissions(stage.join("usr/bin/insula"), fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())?;
    let package = out.join(format!("insula_{}_{}.deb", release.version, architecture()));
    let mut command = dated("dpkg-deb", release);
    command.args(["--root-owner-group", "-Zxz", "--build"]).arg(&stage).arg(&package);
    execute(&mut command)?;
    Ok(package)
}

/// DEBIAN/control, DEBIAN/conffiles and DEBIAN/md5sums (deb-control(5), deb-conffiles(5), deb-md5sums(5)).
fn control(checkout: &Path, stage: &Path, release: &Release) -> Result<(), String> {
    let files = files_below(stage)?;
    let names: Vec<String> = files
        .iter()
        .filter_map(|file| file.strip_prefix(stage).ok())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let sizes = files.iter().map(|file| fs::metadata(file).map_or(0, |data| data.len().div_ceil(1024)));
    let size: u64 = sizes.sum();
    let path = checkout.join("dist/debian/control");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = text
        .replace("@VERSION@", release.version)
        .replace("@ARCHITECTURE@", architecture())
        .replace("@SIZE@", &size.to_string());
    write(&stage.join("DEBIAN/control"), &text)?;
    let settings: String = names.iter().filter(|name| name.starts_with("etc/")).map(|n| format!("/{n}\n")).collect();
    write(&stage.join("DEBIAN/conffiles"), &settings)?;
    write(&stage.join("DEBIAN/md5sums"), &output(program("md5sum").current_dir(stage).args(&names))?)
}

/// gzip(1) without name and time.
fn compressed(from: &Path, to: &Path) -> Result<(), String> {
    let packed = program("gzip").args(["-9n", "--stdout"]).arg(from).output().map_err(|e| format!("gzip: {e}"))?;
    if !packed.status.success() {
        return Err(format!("gzip {}: {}", from.display(), String::from_utf8_lossy(&packed.stderr)));
    }
    fs::create_dir_all(to.parent().unwrap_or(Path::new("/")))
        .and_then(|()| fs::write(to, packed.stdout))
        .map_err(|error| format!("{}: {error}", to.display()))
}

/// Everybody may read everything, whatever the umask was.
fn readable(directory: &Path) -> Result<(), String> {
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|e| format!("{}: {e}", path.display()))
    };
    mode(directory, 0o755)?;
    for path in sorted(directory)? {
        if path.is_dir() { readable(&path)? } else { mode(&path, 0o644)? }
    }
    Ok(())
}

/// Every file below `directory`, in order.
pub(super) fn files_below(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in sorted(directory)? {
        if path.is_dir() && !path.is_symlink() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

/// What is in `directory`, in order.
fn sorted(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let fail = |error| format!("{}: {error}", directory.display());
    let entries: Result<Vec<_>, _> = fs::read_dir(directory).map_err(fail)?.collect();
    let mut paths: Vec<_> = entries.map_err(fail)?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
