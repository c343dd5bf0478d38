// SPDX-License-Identifier: Apache-2.0
//! A lane's image: a disk, a kernel and an initrd, made by mmdebstrap and kept until its recipe changes.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::lane::Lane;
use crate::shell::{is_root, program, succeeds};

/// Where the packages come from, unless `$INSULA_VM_MIRROR` says otherwise.
const MIRROR: &str = "http://deb.debian.org/debian";

/// The files of the recipe, as they lie beside this one.
const RECIPE: &[(&str, &str)] = &[
    ("packages.txt", include_str!("packages.txt")),
    ("customize.sh", include_str!("customize.sh")),
    ("initrd.sh", include_str!("initrd.sh")),
    ("as-user.sh", include_str!("as-user.sh")),
    ("insula-vm.service", include_str!("insula-vm.service")),
];

/// What no machine of ours needs of a package: most of it are drivers of devices that qemu does not have.
const LEFT_OUT: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/*",
    "/usr/lib/modules/*/kernel/drivers/media/*",
    "/usr/lib/modules/*/kernel/drivers/net/wireless/*",
    "/usr/lib/modules/*/kernel/sound/*",
    "/lib/modules/*/kernel/drivers/gpu/*",
    "/lib/modules/*/kernel/drivers/media/*",
    "/lib/modules/*/kernel/drivers/net/wireless/*",
    "/lib/modules/*/kernel/sound/*",
];

/// The image of the lane's release: a directory with `disk`, `vmlinuz` and `initrd`. Made if there is none of this recipe.
pub(super) fn ensure(lane: &Lane) -> Result<PathBuf, String> {
    let images = images()?;
    let image = images.join(format!("{}-{:016x}", lane.release, recipe(lane)));
    if image.join("disk").exists() {
        return Ok(image);
    }
    eprintln!("vm-test: making the image of Debian {}", lane.release);
    // Made beside its place, so that what is in its place is whole.
    let making = images.join(format!("making-{}-{}", lane.release, std::process::id()));
    let made = make(lane, &making).and_then(|()| put(&making.join("out"), &image));
    let _ = fs::remove_dir_all(&making);
    made?;
    remove_older(&images, lane, &image);
    Ok(image)
}

/// `$INSULA_VM_IMAGES`, else a directory of the user's cache: an image outlives a clone of the repository.
fn images() -> Result<PathBuf, String> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = from("INSULA_VM_IMAGES")
        .or_else(|| from("XDG_CACHE_HOME").map(|dir| dir.join("insula/vm")))
        .or_else(|| from("HOME").map(|dir| dir.join(".cache/insula/vm")))
        .ok_or("neither INSULA_VM_IMAGES nor XDG_CACHE_HOME nor HOME is set")?;
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(dir)
}

/// A number that changes with anything the image depends on, but for what the mirror has.
fn recipe(lane: &Lane) -> u64 {
    let mut hasher = DefaultHasher::new();
    // A package of the other release alone, or a comment, is nothing to this image.
    (&RECIPE[1..], packages(RECIPE[0].1, lane.release), LEFT_OUT, lane.release).hash(&mut hasher);
    hasher.finish()
}

/// The names in the list that are for this release.
fn packages<'a>(list: &'a str, release: &str) -> Vec<&'a str> {
    list.lines()
        .filter_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let name = words.next()?;
            words.next().is_none_or(|only| only == release).then_some(name)
        })
        .collect()
}

fn make(lane: &Lane, making: &Path) -> Result<(), String> {
    let fail = |error| format!("{}: {error}", making.display());
    let (out, here) = (making.join("out"), making.join("recipe"));
    for dir in [&out, &here] {
        fs::create_dir_all(dir).map_err(fail)?;
    }
    // As an ordinary user, mmdebstrap and its hooks run under other user ids.
    fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).map_err(fail)?;
    for (name, text) in RECIPE {
        fs::write(here.join(name), text).map_err(fail)?;
    }
    let mirror = std::env::var("INSULA_VM_MIRROR").unwrap_or_else(|_| MIRROR.into());
    let mode = if is_root()? { "root" } else { "unshare" };
    // Without PATH of a system administrator, some users lack mke2fs.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut debootstrap = program("mmdebstrap");
    debootstrap
        .env("PATH", path)
        // The kernel's package need not make an initrd: this image has one of its own.
        .env("INITRD", "No")
        .args(["--quiet", "--variant=minbase", "--format=null", "--components=main"])
        .arg(format!("--mode={mode}"))
        .arg(format!("--include={}", packages(RECIPE[0].1, lane.release).join(",")))
        .args(["--aptopt=Apt::Install-Recommends \"false\"", "--dpkgopt=force-unsafe-io"])
        .args(LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")))
        .arg(format!("--customize-hook=sh '{0}/customize.sh' \"$1\" '{1}' '{0}'", here.display(), out.display()))
        .args([lane.release, "/dev/null", &mirror]);
    // Mirrors fail now and then.
    if succeeds(&mut debootstrap)? || succeeds(&mut debootstrap)? {
        return Ok(());
    }
    Err(format!(
        "mmdebstrap made no image of Debian {}; $INSULA_VM_MIRROR names another mirror than {mirror}",
        lane.release
    ))
}

/// Moves it into its place, where another run may have been faster.
fn put(made: &Path, image: &Path) -> Result<(), String> {
    match fs::rename(made, image) {
        Err(_) if image.join("disk").exists() => Ok(()),
        result => result.map_err(|error| format!("{} to {}: {error}", made.display(), image.display())),
    }
}

/// Removes the release's images of other recipes. A machine that runs on one goes on: it has the file open.
fn remove_older(images: &Path, lane: &Lane, image: &Path) {
    for entry in fs::read_dir(images).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&format!("{}-", lane.release)) && entry.path() != image {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lane::LANES;
    use super::*;

    #[test]
    fn packages_of_a_release() {
        let list = "# machine\n\nudev\ncriu trixie # not in 12\n";
        assert_eq!(packages(list, "trixie"), ["udev", "criu"]);
        assert_eq!(packages(list, "bookworm"), ["udev"]);
    }

    #[test]
    fn releases_have_images_of_their_own() {
        for (one, other) in LANES.iter().zip(&LANES[1..]) {
            assert_eq!(recipe(one) == recipe(other), one.release == other.release, "{one:?} {other:?}");
        }
    }
}
