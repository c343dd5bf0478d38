// SPDX-License-Identifier: Apache-2.0
//! Bundles: a `config.json` to edit and a root file system of busybox.

use crate::runtime::runtime;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A bundle directory. The document is written when a container is made of it.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    document: Value,
}

impl Bundle {
    #[track_caller]
    pub(crate) fn new(path: PathBuf) -> Self {
        fs::create_dir(&path).expect("make the bundle's directory");
        let mut bundle = Self { path, document: default_document().clone() };
        populate_rootfs(&bundle.rootfs());
        bundle.set("/process/terminal", json!(false));
        bundle.args(&["true"]);
        bundle
    }

    /// The bundle's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root file system's directory.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// The document as it stands.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Sets the value at `pointer` (RFC 6901), making the objects on the way; `/-` appends to an array.
    #[track_caller]
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut place = &mut self.document;
        for key in keys(pointer) {
            place = descend(place, &key, pointer);
        }
        *place = value;
        self.write()
    }

    /// Appends to the array at `pointer`, making it if it is absent.
    #[track_caller]
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        if !self.document.pointer(pointer).is_some_and(Value::is_array) {
            self.set(pointer, json!([]));
        }
        self.set(&format!("{pointer}/-"), value)
    }

    /// Removes what is at `pointer`. It must be there.
    #[track_caller]
    pub fn remove(&mut self, pointer: &str) -> &mut Self {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
        let key = unescape(key);
        let removed = match self.document.pointer_mut(parent) {
            Some(Value::Object(members)) => members.remove(&key).is_some(),
            Some(Value::Array(elements)) => key.parse().is_ok_and(|index: usize| {
                index < elements.len() && {
                    elements.remove(index);
                    true
                }
            }),
            _ => false,
        };
        assert!(removed, "nothing to remove at {pointer}");
        self.write()
    }

    /// Sets what the container runs.
    #[track_caller]
    pub fn args(&mut self, args: &[&str]) -> &mut Self {
        self.set("/process/args", json!(args))
    }

    /// Lets the container run a shell script.
    #[track_caller]
    pub fn shell(&mut self, script: &str) -> &mut Self {
        self.args(&["sh", "-c", script])
    }

    /// Makes the root file system writable.
    #[track_caller]
    pub fn writable(&mut self) -> &mut Self {
        self.set("/root/readonly", json!(false))
    }

    /// Asks for a new namespace of `kind`, once.
    #[track_caller]
    pub fn namespace(&mut self, kind: &str) -> &mut Self {
        self.inherit(kind).push("/linux/namespaces", json!({"type": kind}))
    }

    /// Joins the namespace of `kind` at `path`.
    #[track_caller]
    pub fn join(&mut self, kind: &str, path: impl AsRef<Path>) -> &mut Self {
        let path = path.as_ref().to_str().expect("paths are text");
        self.inherit(kind).push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    /// Asks for no namespace of `kind`: the container shares the runtime's.
    #[track_caller]
    pub fn inherit(&mut self, kind: &str) -> &mut Self {
        let entries = self.document.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
        entries.expect("the document lists namespaces").retain(|entry| entry["type"] != kind);
        self.write()
    }

    /// The JSON pointer of the entry for namespace `kind`.
    #[track_caller]
    pub fn namespace_pointer(&self, kind: &str) -> String {
        let entries = self.document.pointer("/linux/namespaces").and_then(Value::as_array);
        let index = entries.and_then(|entries| entries.iter().position(|entry| entry["type"] == kind));
        format!("/linux/namespaces/{}", index.unwrap_or_else(|| panic!("no {kind} namespace")))
    }

    /// A new user namespace in which ids 0..65536 are the host's 100000.., for a root file system owned so.
    #[track_caller]
    pub fn user_namespace(&mut self) -> &mut Self {
        let mapping = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        self.namespace("user").set("/linux/uidMappings", mapping.clone()).set("/linux/gidMappings", mapping);
        let status = Command::new("chown").args(["-hR", "100000:100000"]).arg(self.rootfs()).status();
        assert!(status.expect("run chown").success(), "chown the root file system");
        self
    }

    /// Adds a bind mount with `options` besides `bind`.
    #[track_caller]
    pub fn bind(&mut self, source: impl AsRef<Path>, destination: &str, options: &[&str]) -> &mut Self {
        let source = source.as_ref().to_str().expect("paths are text");
        let options: Vec<_> = std::iter::once("bind").chain(options.iter().copied()).collect();
        self.push("/mounts", json!({"destination": destination, "source": source, "type": "bind", "options": options}))
    }

    /// Adds a tmpfs.
    #[track_caller]
    pub fn tmpfs(&mut self, destination: &str, options: &[&str]) -> &mut Self {
        self.push(
            "/mounts",
            json!({"destination": destination, "source": "tmpfs", "type": "tmpfs", "options": options}),
        )
    }

    /// The index of the mount on `destination`.
    #[track_caller]
    pub fn mount_index(&self, destination: &str) -> usize {
        let mounts = self.document.pointer("/mounts").and_then(Value::as_array).expect("the document lists mounts");
        mounts.iter().position(|mount| mount["destination"] == destination).expect("the mount is listed")
    }

    /// Replaces `config.json` by bytes that need not be JSON. A later edit undoes it.
    #[track_caller]
    pub fn write_raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        fs::write(self.path.join("config.json"), bytes).expect("write config.json");
        self
    }

    fn write(&mut self) -> &mut Self {
        let text = serde_json::to_string_pretty(&self.document).expect("JSON is text");
        fs::write(self.path.join("config.json"), text).expect("write config.json");
        self
    }
}

/// The member or element `key` of `place`, made if it is absent.
#[track_caller]
fn descend<'a>(place: &'a mut Value, key: &str, pointer: &str) -> &'a mut Value {
    if let Value::Array(elements) = place {
        let index = if key == "-" {
            elements.push(Value::Null);
            elements.len() - 1
        } else {
            key.parse().unwrap_or_else(|_| panic!("{pointer}: {key:?} is no index"))
        };
        return elements.get_mut(index).unwrap_or_else(|| panic!("{pointer}: no element {index}"));
    }
    if !place.is_object() {
        *place = json!({});
    }
    place.as_object_mut().expect("made an object").entry(key).or_insert(Value::Null)
}

/// Parses a document that the runtime wrote.
#[track_caller]
pub fn parse_json(bytes: impl AsRef<[u8]>) -> Value {
    let text = String::from_utf8_lossy(bytes.as_ref());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn keys(pointer: &str) -> impl Iterator<Item = String> + '_ {
    pointer.split('/').skip(1).map(unescape)
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

/// What `insula spec` writes.
fn default_document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let directory =
            std::env::temp_dir().join(format!("insula-lab-spec-{}{}", crate::lab::pid_namespace(), std::process::id()));
        fs::create_dir_all(&directory).expect("make a directory for the default document");
        let output = Command::new(runtime()).arg("spec").arg("--bundle").arg(&directory).output().expect("run spec");
        assert!(output.status.success(), "spec fails: {}", String::from_utf8_lossy(&output.stderr));
        let text = fs::read_to_string(directory.join("config.json")).expect("spec writes config.json");
        fs::remove_dir_all(&directory).expect("remove the directory of the default document");
        serde_json::from_str(&text).expect("spec writes JSON")
    })
}

/// Makes a root file system at `path`: a static busybox with a link for every applet, the usual directories, and
/// `/etc/passwd` and `/etc/group`.
#[track_caller]
pub fn populate_rootfs(path: &Path) {
    for directory in ["", "bin", "dev", "etc", "proc", "run", "sys", "tmp", "root", "mnt", "usr", "usr/bin"] {
        fs::create_dir(path.join(directory)).expect("make a directory of the root file system");
    }
    fs::copy(busybox(), path.join("bin/busybox")).expect("copy busybox");
    for applet in applets() {
        symlink("busybox", path.join("bin").join(applet)).expect("link an applet");
    }
    fs::write(path.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
        .expect("write passwd");
    fs::write(path.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n").expect("write group");
}

fn busybox() -> &'static Path {
    ["/bin/busybox", "/usr/bin/busybox"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.exists())
        .expect("no busybox: run `cargo xtask setup`, which installs busybox-static")
}

fn applets() -> &'static [String] {
    static APPLETS: OnceLock<Vec<String>> = OnceLock::new();
    APPLETS.get_or_init(|| {
        let output = Command::new(busybox()).arg("--list").output().expect("run busybox");
        let list = String::from_utf8(output.stdout).expect("busybox prints text");
        list.lines().filter(|&applet| applet != "busybox").map(String::from).collect()
    })
}
