// SPDX-License-Identifier: Apache-2.0
//! Mounts with mapped ids, attributes of bind mounts, sources inside the root file system. Source: mount_setattr(2),
//! mount_namespaces(7); runtime-spec, config.md "Mounts".

use insula_tests::{Bundle, Lab, MountEntry, json, parse_mounts};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// A directory with one file that belongs to `owner`.
fn owned(lab: &Lab, name: &str, owner: u32) -> PathBuf {
    let source = lab.path(name);
    fs::create_dir(&source).expect("make a directory");
    fs::write(source.join("file"), "content").expect("write a file");
    chown(source.join("file"), Some(owner), Some(owner)).expect("chown");
    source
}

fn map(bundle: &mut Bundle, destination: &str, inside: u32, outside: u32) {
    let mapping = json!([{"containerID": inside, "hostID": outside, "size": 1000}]);
    let index = bundle.mount_index(destination);
    bundle.set(&format!("/mounts/{index}/uidMappings"), mapping.clone());
    bundle.set(&format!("/mounts/{index}/gidMappings"), mapping);
}

#[test]
fn ids_are_mapped_by_the_mount_alone() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.bind(owned(&lab, "source", 7), "/mapped", &[]).bind(lab.path("source"), "/plain", &[]);
    map(&mut bundle, "/mapped", 0, 5000);
    bundle.shell("stat -c '%u %g' /mapped/file /plain/file");
    assert_eq!(lab.output_of(&bundle).trim(), "5007 5007\n7 7");
}

#[test]
fn ids_are_mapped_as_the_containers_where_only_the_option_says_so() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.user_namespace().bind(owned(&lab, "source", 7), "/mapped", &["idmap"]);
    bundle.bind(lab.path("source"), "/plain", &[]);
    bundle.shell("stat -c '%u' /mapped/file; test $(stat -c '%u' /plain/file) = 65534 && echo nobody");
    assert_eq!(lab.output_of(&bundle).trim(), "7\nnobody");
}

#[test]
fn half_a_map_and_no_map_are_refused() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.bind(owned(&lab, "source", 7), "/mapped", &["idmap"]);
    let index = bundle.mount_index("/mapped");
    lab.container(&bundle).run().fails_with(&[&format!("/mounts/{index}/options"), "no mappings"]);
    bundle.set(&format!("/mounts/{index}/uidMappings"), json!([{"containerID": 0, "hostID": 9, "size": 1}]));
    lab.container(&bundle).run().fails_with(&[&format!("/mounts/{index}/gidMappings"), "go together"]);
}

/// What `destination` shows in a container.
fn mounted(lab: &Lab, bundle: &mut Bundle, destination: &str) -> MountEntry {
    bundle.shell("cat /proc/mounts");
    parse_mounts(&lab.output_of(bundle)).remove(destination).expect("the mount is there")
}

/// A tmpfs with attributes, in the test's own mount namespace.
fn host_mount(lab: &Lab, flags: MsFlags) -> PathBuf {
    let source = lab.path("host");
    fs::create_dir(&source).expect("make a directory");
    mount(Some("tmpfs"), &source, Some("tmpfs"), flags, None::<&str>).expect("mount a tmpfs");
    source
}

fn unmount(source: &Path) {
    umount2(source, MntFlags::MNT_DETACH).expect("unmount");
}

#[test]
fn a_bind_mount_has_what_the_document_names_and_nothing_else() {
    let lab = Lab::new();
    let source = host_mount(&lab, MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME);
    let mut bundle = lab.bundle();
    bundle.bind(&source, "/kept", &["rprivate"]).bind(&source, "/named", &["nodev"]);
    let kept = mounted(&lab, &mut bundle, "/kept");
    assert!(kept.has("nosuid") && kept.has("noexec"), "no attribute was named: {kept:?}");
    let named = mounted(&lab, &mut bundle, "/named");
    assert!(named.has("nodev") && !named.has("nosuid") && !named.has("noexec"), "{named:?}");
    assert!(named.has("noatime"), "how access times are kept was not named: {named:?}");
    unmount(&source);
}

#[test]
fn a_user_namespace_keeps_what_locks_the_source() {
    let lab = Lab::new();
    let source = host_mount(&lab, MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC);
    let mut bundle = lab.bundle();
    bundle.user_namespace().bind(&source, "/locked", &["nodev"]);
    let locked = mounted(&lab, &mut bundle, "/locked");
    assert!(locked.has("nodev") && locked.has("nosuid") && locked.has("noexec"), "{locked:?}");
    bundle.bind(&source, "/freed", &["exec"]);
    let index = bundle.mount_index("/freed");
    lab.container(&bundle).run().fails_with(&[&format!("/mounts/{index}"), "EPERM", "locked"]);
    unmount(&source);
}

#[test]
fn a_source_inside_the_root_is_what_earlier_entries_made_of_it() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    fs::create_dir(bundle.rootfs().join("place")).expect("make a directory");
    fs::write(bundle.rootfs().join("place/file"), "of the image").expect("write a file");
    let source = owned(&lab, "source", 7);
    bundle.bind(&source, "/place", &[]);
    let inside = bundle.rootfs().join("place");
    bundle.bind(&inside, "/again", &["rbind"]);
    // The destination may be written with the root's path before it.
    let outside = bundle.rootfs().join("third");
    bundle.bind(&inside, outside.to_str().expect("paths are text"), &["rbind"]);
    map(&mut bundle, outside.to_str().expect("paths are text"), 0, 5000);
    bundle.shell("cat /again/file; stat -c ' %u' /third/file");
    assert_eq!(lab.output_of(&bundle).trim(), "content 5007");
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_covers() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    fs::create_dir(bundle.rootfs().join("covered")).expect("make a directory");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o710);
    fs::set_permissions(bundle.rootfs().join("covered"), mode).expect("chmod");
    bundle.tmpfs("/covered", &[]).tmpfs("/covered/given", &["mode=1500"]).tmpfs("/covered/new", &[]);
    bundle.writable().tmpfs("/not/even/above", &[]);
    bundle.shell("stat -c %a /covered /covered/given /covered/new /not/even/above");
    assert_eq!(lab.output_of(&bundle).split_whitespace().collect::<Vec<_>>(), ["710", "1500", "1777", "1777"]);
}

#[test]
fn a_read_only_tmpfs_can_hold_later_mounts() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.tmpfs("/outer", &["ro"]).tmpfs("/outer/inner", &[]);
    bundle.shell("touch /outer/inner/file && ! touch /outer/file 2>/dev/null && echo good");
    assert_eq!(lab.output_of(&bundle).trim(), "good");
}

#[test]
fn without_pivot_root_no_bare_procfs_stays_behind() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    // What mapping root takes.
    bundle.push("/process/capabilities/bounding", json!("CAP_SETFCAP"));
    bundle.push("/process/capabilities/permitted", json!("CAP_SETFCAP"));
    bundle.shell("unshare -mrpf mount -t proc none /mnt && echo mounted");
    let container = lab.container(&bundle);
    let output = container.finish(container.launch("run").arg("--no-pivot"));
    assert!(output.stderr.contains("ermission denied") && !output.stdout.contains("mounted"), "{output}");
}
