// SPDX-License-Identifier: Apache-2.0
//! What is asked of CRIU: `criu_req` and `criu_opts` of rpc.proto.

use crate::wire::Writer;
use alloc::string::String;
use alloc::vec::Vec;

/// What CRIU does with control groups (`criu_cg_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupMode {
    /// Neither looks at them nor changes them.
    Ignore,
    /// Makes what is missing and sets the properties of what it made.
    Soft,
    /// Sets the properties of all.
    Full,
    /// As `Full`, and none may exist before.
    Strict,
    /// CRIU's own choice, which is `Soft`.
    #[default]
    Default,
}

/// Values of `--manage-cgroups-mode`, and CRIU's numbers.
const CGROUP_MODES: &[(&str, CgroupMode, i64)] = &[
    ("ignore", CgroupMode::Ignore, 0),
    ("soft", CgroupMode::Soft, 3),
    ("full", CgroupMode::Full, 4),
    ("strict", CgroupMode::Strict, 5),
    ("", CgroupMode::Default, 6),
];

impl CgroupMode {
    /// The mode of that name; an empty one leaves it to CRIU.
    pub fn named(name: &str) -> Option<Self> {
        CGROUP_MODES.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    fn number(self) -> i64 {
        CGROUP_MODES.iter().find(|row| row.1 == self).map_or(6, |row| row.2)
    }
}

/// How a dump or restore is done. Fields are named as in rpc.proto, which explains them; criu(8) says what they mean.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Options<'a> {
    /// Descriptors are this process's numbers: CRIU looks them up through /proc.
    pub images_dir_fd: i32,
    pub work_dir_fd: Option<i32>,
    /// A name without directory, made in the work directory.
    pub log_file: &'a str,
    /// 0 (silent) to 4 (everything).
    pub log_level: i32,
    /// The first process, to be dumped with all below it.
    pub pid: Option<i32>,
    pub root: Option<&'a str>,
    /// The image directory of an earlier pre-dump, relative to this one's.
    pub parent_img: Option<&'a str>,
    pub track_mem: bool,
    pub leave_running: bool,
    pub tcp_established: bool,
    pub tcp_skip_in_flight: bool,
    pub link_remap: bool,
    pub ext_unix_sk: bool,
    pub shell_job: bool,
    pub file_locks: bool,
    pub auto_dedup: bool,
    pub lazy_pages: bool,
    pub evasive_devices: bool,
    pub orphan_pts_master: bool,
    /// The restored process becomes a child of whoever started CRIU.
    pub rst_sibling: bool,
    pub notify_scripts: bool,
    /// Address and port of a page server.
    pub page_server: Option<(&'a str, i32)>,
    pub cgroups: CgroupMode,
    /// On restore: controllers as /proc/\<pid\>/cgroup has them, and the path that takes the place of the dumped one.
    pub cgroup_roots: Vec<(String, String)>,
    pub freeze_cgroup: Option<String>,
    /// Clone flags; only CLONE_NEWNET is possible.
    pub empty_ns: u32,
    /// `mnt[…]:…`, `net[…]:…` and the like.
    pub external: Vec<String>,
    /// Key and number of descriptors that CRIU inherited.
    pub inherit_fd: Vec<(String, i32)>,
    /// Kind (`ipc`) and path of namespaces to be joined.
    pub join_ns: Vec<(&'a str, String)>,
    pub config_file: Option<&'a str>,
    pub lsm_profile: Option<&'a str>,
    pub lsm_mount_context: Option<&'a str>,
}

impl Options<'_> {
    fn write(&self, w: &mut Writer) {
        w.number(1, i64::from(self.images_dir_fd));
        w.maybe(2, self.pid);
        w.switch(3, self.leave_running);
        w.switch(4, self.ext_unix_sk);
        w.switch(5, self.tcp_established);
        w.switch(6, self.evasive_devices);
        w.switch(7, self.shell_job);
        w.switch(8, self.file_locks);
        w.number(9, i64::from(self.log_level));
        w.text(10, Some(self.log_file));
        if let Some((address, port)) = self.page_server {
            w.message(11, |ps| {
                ps.text(1, Some(address));
                ps.number(2, i64::from(port));
            });
        }
        w.switch(12, self.notify_scripts);
        w.text(13, self.root);
        w.text(14, self.parent_img);
        w.switch(15, self.track_mem);
        w.switch(16, self.auto_dedup);
        w.maybe(17, self.work_dir_fd);
        w.switch(18, self.link_remap);
        for (controllers, path) in &self.cgroup_roots {
            w.message(25, |root| {
                root.text(1, Some(controllers));
                root.text(2, Some(path));
            });
        }
        w.switch(26, self.rst_sibling);
        for (key, fd) in &self.inherit_fd {
            w.message(27, |inherited| {
                inherited.text(1, Some(key));
                inherited.number(2, i64::from(*fd));
            });
        }
        w.number(34, self.cgroups.number());
        for external in &self.external {
            w.text(37, Some(external));
        }
        w.number(38, i64::from(self.empty_ns));
        for (kind, path) in &self.join_ns {
            w.message(39, |joined| {
                joined.text(1, Some(kind));
                joined.text(2, Some(path));
            });
        }
        w.text(44, self.freeze_cgroup.as_deref());
        w.switch(46, self.tcp_skip_in_flight);
        w.switch(48, self.lazy_pages);
        w.switch(50, self.orphan_pts_master);
        w.text(51, self.config_file);
        w.text(53, self.lsm_profile);
        w.text(63, self.lsm_mount_context);
    }
}

/// What a kernel and this CRIU can do (`criu_features`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Changed memory is tracked, which a chain of pre-dumps needs.
    pub mem_track: bool,
    /// Memory can follow later.
    pub lazy_pages: bool,
}

/// One request (`criu_req`).
#[derive(Debug)]
pub enum Request<'a> {
    /// Which version is it? The connection stays open for more.
    Version,
    /// Which of these can you do? The connection stays open for more.
    Features(Features),
    /// Write the processes to image files.
    Dump(&'a Options<'a>),
    /// Write their memory only, and let them go on.
    PreDump(&'a Options<'a>),
    /// Bring the processes back.
    Restore(&'a Options<'a>),
    /// What a notification asked for is done, or failed.
    Notified(bool),
}

pub(crate) const DUMP: i64 = 1;
pub(crate) const RESTORE: i64 = 2;
pub(crate) const PRE_DUMP: i64 = 4;
pub(crate) const NOTIFY: i64 = 6;
pub(crate) const FEATURE_CHECK: i64 = 9;
pub(crate) const VERSION: i64 = 10;

impl Request<'_> {
    /// The request as bytes, one packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            Self::Version => {
                w.number(1, VERSION);
                w.switch(4, true);
            }
            Self::Features(features) => {
                w.number(1, FEATURE_CHECK);
                w.switch(4, true);
                w.message(5, |wanted| {
                    wanted.switch(1, features.mem_track);
                    wanted.switch(2, features.lazy_pages);
                });
            }
            Self::Dump(options) => Self::with(&mut w, DUMP, options),
            Self::PreDump(options) => Self::with(&mut w, PRE_DUMP, options),
            Self::Restore(options) => Self::with(&mut w, RESTORE, options),
            Self::Notified(success) => {
                w.number(1, NOTIFY);
                w.number(3, i64::from(*success));
            }
        }
        w.finish()
    }

    fn with(w: &mut Writer, kind: i64, options: &Options<'_>) {
        w.number(1, kind);
        w.message(2, |inner| options.write(inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Reader;
    use std::vec;

    /// The fields of the message inside field 2.
    fn fields(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let inner = Reader::new(bytes).flatten().find(|(field, _)| *field == 2).and_then(|(_, v)| v.bytes()).unwrap();
        Reader::new(inner)
            .flatten()
            .map(|(field, value)| {
                let bytes = value.bytes().map_or_else(|| value.number().unwrap().to_string().into_bytes(), Vec::from);
                (field, bytes)
            })
            .collect()
    }

    #[test]
    fn what_is_off_is_not_sent() {
        let options = Options { log_file: "dump.log", images_dir_fd: 7, ..Options::default() };
        let sent = fields(&Request::Dump(&options).encode());
        let numbers: Vec<u32> = sent.iter().map(|(field, _)| *field).collect();
        assert_eq!(numbers, [1, 9, 10, 34, 38]);
        assert_eq!(sent[0].1, b"7");
        assert_eq!(sent[3].1, b"6", "cgroups are left to CRIU");
    }

    #[test]
    fn every_option_has_its_number_of_rpc_proto() {
        let options = Options {
            images_dir_fd: 3,
            work_dir_fd: Some(4),
            log_file: "l",
            log_level: 4,
            pid: Some(11),
            root: Some("/r"),
            parent_img: Some("../p"),
            track_mem: true,
            leave_running: true,
            tcp_established: true,
            tcp_skip_in_flight: true,
            link_remap: true,
            ext_unix_sk: true,
            shell_job: true,
            file_locks: true,
            auto_dedup: true,
            lazy_pages: true,
            evasive_devices: true,
            orphan_pts_master: true,
            rst_sibling: true,
            notify_scripts: true,
            page_server: Some(("127.0.0.1", 27)),
            cgroups: CgroupMode::Full,
            cgroup_roots: vec![("cpu".into(), "/c".into())],
            freeze_cgroup: Some("/sys/fs/cgroup/c".into()),
            empty_ns: 0x4000_0000,
            external: vec!["mnt[/a]:/a".into(), "net[5]:extRootNetNS".into()],
            inherit_fd: vec![("pipe:[9]".into(), 1)],
            join_ns: vec![("ipc", "/proc/1/ns/ipc".into())],
            config_file: Some("/etc/criu/runc.conf"),
            lsm_profile: Some("apparmor:p"),
            lsm_mount_context: Some("c"),
        };
        let sent = fields(&Request::Restore(&options).encode());
        let numbers: Vec<u32> = sent.iter().map(|(field, _)| *field).collect();
        assert_eq!(
            numbers,
            [
                1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 25, 26, 27, 34, 37, 37, 38, 39, 44, 46,
                48, 50, 51, 53, 63
            ]
        );
        let of = |number: u32| sent.iter().find(|(field, _)| *field == number).map(|(_, bytes)| bytes.clone()).unwrap();
        assert_eq!(of(11), b"\x0a\x09127.0.0.1\x10\x1b");
        assert_eq!(of(25), b"\x0a\x03cpu\x12\x02/c");
        assert_eq!(of(27), b"\x0a\x08pipe:[9]\x10\x01");
        assert_eq!(of(39), b"\x0a\x03ipc\x12\x0e/proc/1/ns/ipc");
        assert_eq!(of(38), b"1073741824");
    }

    #[test]
    fn requests_begin_with_their_type() {
        let options = Options::default();
        for (request, kind) in [
            (Request::Version, VERSION),
            (Request::Features(Features::default()), FEATURE_CHECK),
            (Request::Dump(&options), DUMP),
            (Request::PreDump(&options), PRE_DUMP),
            (Request::Restore(&options), RESTORE),
            (Request::Notified(true), NOTIFY),
        ] {
            assert_eq!(request.encode()[..2], [8, kind as u8], "{request:?}");
        }
        assert_eq!(Request::Notified(false).encode(), [8, 6, 24, 0], "a failure is said, not left out");
    }

    #[test]
    fn modes_are_found_by_runcs_words() {
        for (name, mode) in [("soft", CgroupMode::Soft), ("ignore", CgroupMode::Ignore), ("", CgroupMode::Default)] {
            assert_eq!(CgroupMode::named(name), Some(mode));
        }
        assert_eq!(CgroupMode::named("hard"), None);
    }
}
