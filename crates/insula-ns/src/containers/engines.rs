// SPDX-License-Identifier: Apache-2.0
//! What engines and other runtimes leave in their state directories: ids, process numbers, names.

use alloc::format;
use alloc::string::{String, ToString};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, fstat};

use super::Container;
use crate::identity::open_at;
use crate::procfs::{names, place, text};

/// Most of a state file that is read: what is looked for comes early in all but the largest.
const READ: usize = 64 * 1024;

/// A container that a state file speaks of.
pub(super) struct Stated {
    pub(super) container: Container,
    /// When the file was last written, in seconds since 1970.
    written: u64,
}

impl Stated {
    /// Whether its process started before its number was written, so that it is not a later one of that number.
    pub(super) fn started_before_written(&self) -> bool {
        started(self.container.pid).is_some_and(|started| started <= self.written + 1)
    }
}

/// Where containers have directories, and which file in them names what.
struct Source {
    engine: &'static str,
    /// Directory whose entries, at `depth` levels down, are named after containers.
    path: &'static str,
    depth: u8,
    /// File with the number of the init.
    pid_file: &'static str,
    /// JSON key of the number in that file; empty if it holds nothing else.
    pid_key: &'static str,
    /// File with the name.
    name_file: &'static str,
    /// What comes before the name in it.
    name_keys: &'static [&'static str],
}

/// Annotations that hold names, in config.json of the runtime specification.
const ANNOTATIONS: &[&str] =
    &["\"io.kubernetes.cri.container-name\":\"", "\"io.kubernetes.cri-o.Name\":\"", "\"nerdctl/name\":\""];

const SOURCES: &[Source] = &[
    Source {
        engine: "docker",
        path: "/var/lib/docker/containers",
        depth: 1,
        pid_file: "config.v2.json",
        pid_key: "\"Pid\":",
        name_file: "config.v2.json",
        name_keys: &["\"Name\":\"/"],
    },
    Source {
        engine: "containerd",
        path: "/run/containerd/io.containerd.runtime.v2.task",
        depth: 2,
        pid_file: "init.pid",
        pid_key: "",
        name_file: "config.json",
        name_keys: ANNOTATIONS,
    },
    Source {
        engine: "podman",
        path: "/run/containers/storage/overlay-containers",
        depth: 1,
        pid_file: "userdata/pidfile",
        pid_key: "",
        name_file: "userdata/config.json",
        name_keys: ANNOTATIONS,
    },
    Source {
        engine: "podman",
        path: "/run/containers/storage/vfs-containers",
        depth: 1,
        pid_file: "userdata/pidfile",
        pid_key: "",
        name_file: "userdata/config.json",
        name_keys: ANNOTATIONS,
    },
    Source {
        engine: "runc",
        path: "/run/runc",
        depth: 1,
        pid_file: "state.json",
        pid_key: "\"init_process_pid\":",
        name_file: "",
        name_keys: &[],
    },
    Source {
        engine: "crun",
        path: "/run/crun",
        depth: 1,
        pid_file: "status",
        pid_key: "\"pid\":",
        name_file: "",
        name_keys: &[],
    },
];

/// Lists of all containers with their names, which Podman keeps apart.
const NAME_LISTS: &[&str] = &[
    "/var/lib/containers/storage/overlay-containers/containers.json",
    "/var/lib/containers/storage/overlay-containers/volatile-containers.json",
    "/var/lib/containers/storage/vfs-containers/containers.json",
    "/var/lib/containers/storage/vfs-containers/volatile-containers.json",
];

/// Calls `each` for every container that the state directories below `root` (empty for this machine) speak of.
pub(super) fn read_state(root: &str, mut each: impl FnMut(Stated)) {
    let mut buffer = alloc::vec![0; READ];
    for source in SOURCES {
        let base = format!("{root}{}", source.path);
        for first in names(CWD, &base) {
            if source.depth == 1 {
                each_container(source, &format!("{base}/{first}"), &first, "", &mut buffer, &mut each);
            } else {
                for second in names(CWD, format!("{base}/{first}")) {
                    let dir = format!("{base}/{first}/{second}");
                    each_container(source, &dir, &second, &first, &mut buffer, &mut each);
                }
            }
        }
    }
    for list in NAME_LISTS {
        for (id, name) in listed_names(text(CWD, format!("{root}{list}"), &mut buffer).unwrap_or_default()) {
            let container = Container { engine: "podman", id, name: Some(name), ..Container::default() };
            each(Stated { container, written: 0 });
        }
    }
}

fn each_container(source: &Source, dir: &str, id: &str, group: &str, buffer: &mut [u8], each: &mut impl FnMut(Stated)) {
    let Ok(dir) = place(CWD, dir) else { return };
    let Some((pid, written)) = pid_in(source, &dir, buffer) else { return };
    let json = text(dir.as_fd(), source.name_file, buffer).unwrap_or_default();
    let name = source.name_keys.iter().find_map(|key| string_after(json, key));
    let engine = match source.engine {
        // containerd works for Docker, in a namespace (its own sort) of that name; CRI-O shares Podman's storage.
        "containerd" if group == "moby" => "docker",
        "podman" if json.contains("io.kubernetes.cri-o.") => "cri-o",
        engine => engine,
    };
    let container = Container { engine, id: id.into(), name, pid, ..Container::default() };
    each(Stated { container, written });
}

/// The number of the init and when it was written; `None` if the file says that it is not running.
fn pid_in(source: &Source, dir: &OwnedFd, buffer: &mut [u8]) -> Option<(i32, u64)> {
    let file = open_at(dir.as_fd(), source.pid_file).ok()?;
    let written = fstat(&file).ok()?.st_mtime as u64;
    let content = text(dir.as_fd(), source.pid_file, buffer)?;
    let after = content.split_once(source.pid_key).map_or(content, |(_, after)| after);
    let after = after.trim_start();
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let pid = after[..digits].parse().ok()?;
    (pid > 0).then_some((pid, written))
}

/// The JSON string whose opening quote ends `key` in `json`; names hold no escapes.
fn string_after(json: &str, key: &str) -> Option<String> {
    let (_, after) = json.split_once(key)?;
    let (name, _) = after.split_once('"')?;
    (!name.is_empty() && !name.contains('\\')).then(|| name.to_string())
}

/// Ids and first names in Podman's list: `[{"id":"…","names":["…"],…`.
fn listed_names(json: &str) -> impl Iterator<Item = (String, String)> {
    json.split("{\"id\":\"").skip(1).filter_map(|item| {
        let (id, rest) = item.split_once('"')?;
        Some((id.to_string(), string_after(rest, "\"names\":[\"")?))
    })
}

/// When process `pid` started, in seconds since 1970; `None` if there is none.
fn started(pid: i32) -> Option<u64> {
    /// USER_HZ, the same on every architecture that insula supports.
    const TICKS: u64 = 100;
    let mut buffer = [0; 1024];
    let stat = text(CWD, format!("/proc/{pid}/stat"), &mut buffer)?;
    // The name in parentheses may hold anything; start time is field 22, the state after it field 3.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(boot_time()? + ticks / TICKS)
}

fn boot_time() -> Option<u64> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
    u64::try_from(now - up).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, remove_dir_all, write};

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn state_directories_are_read() {
        let root = std::env::temp_dir().join(format!("insula-ns-engines-{}", std::process::id()));
        let file = |path: &str, content: &str| {
            let path = root.join(path.replace("ID", ID));
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, content).unwrap();
        };
        file(
            "var/lib/docker/containers/ID/config.v2.json",
            r#"{"State":{"Running":true,"Pid":41},"Name":"/web","HostConfig":{"RestartPolicy":{"Name":"no"}}}"#,
        );
        file("var/lib/docker/containers/ended/config.v2.json", r#"{"State":{"Running":false,"Pid":0},"Name":"/x"}"#);
        file("run/containerd/io.containerd.runtime.v2.task/k8s.io/cc/init.pid", "42");
        file(
            "run/containerd/io.containerd.runtime.v2.task/k8s.io/cc/config.json",
            r#"{"annotations":{"io.kubernetes.cri.container-name":"api"}}"#,
        );
        file("run/containerd/io.containerd.runtime.v2.task/moby/dd/init.pid", "43");
        file("run/containers/storage/overlay-containers/pp/userdata/pidfile", "44\n");
        file("run/containers/storage/overlay-containers/oo/userdata/pidfile", "45");
        file(
            "run/containers/storage/overlay-containers/oo/userdata/config.json",
            r#"{"annotations":{"io.kubernetes.cri-o.Name":"k8s_x"}}"#,
        );
        file(
            "var/lib/containers/storage/overlay-containers/containers.json",
            r#"[{"id":"pp","names":["db"],"image":"i"},{"id":"qq","names":["other"]}]"#,
        );
        file("run/runc/rr/state.json", r#"{"id":"rr","init_process_pid":46,"init_process_start":9}"#);
        file("run/crun/uu/status", "{\n \"pid\": 47,\n \"process-start-time\": 9\n}");
        file("run/crun/empty/other", "");
        let mut found = Vec::new();
        read_state(root.to_str().unwrap(), |stated| {
            let Container { engine, id, name, pid, .. } = stated.container;
            found.push((engine, id, name, pid));
        });
        remove_dir_all(&root).unwrap();
        found.sort();
        let row = |engine, id: &str, name: Option<&str>, pid| (engine, id.to_string(), name.map(String::from), pid);
        let expected = [
            row("containerd", "cc", Some("api"), 42),
            row("cri-o", "oo", Some("k8s_x"), 45),
            row("crun", "uu", None, 47),
            row("docker", ID, Some("web"), 41),
            row("docker", "dd", None, 43),
            row("podman", "pp", None, 44),
            row("podman", "pp", Some("db"), 0),
            row("podman", "qq", Some("other"), 0),
            row("runc", "rr", None, 46),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_recycled_process_number_is_noticed() {
        let pid = std::process::id() as i32;
        let stated = |written| Stated { container: Container { pid, ..Container::default() }, written };
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec as u64;
        assert!(stated(now).started_before_written());
        assert!(!stated(now - 3600).started_before_written(), "this test has not run for an hour");
        assert!(started(0x7fff_ffff).is_none());
    }
}
