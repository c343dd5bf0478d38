// SPDX-License-Identifier: Apache-2.0
//! `insula checkpoint` and `insula restore`

use super::create::{document, read, stay};
use crate::context::{Context, absolute, now};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_cli::time::rfc3339_nano;
use insula_error::{Error, Result};
use insula_plan::Options;
use insula_run::checkpoint::{CgroupMode, Choices, Dump, Restore, checkpoint, restore};
use insula_run::create::Request;
use insula_run::{Log, delete, status};

/// Where images are kept if nothing else is said (COMPAT(runc)).
const IMAGES: &str = "checkpoint";

/// Paths and environment that [`Choices`] borrow.
struct Given {
    image_path: String,
    work_path: Option<String>,
    env: Vec<String>,
}

impl Given {
    fn of(parsed: &Parsed<'_>) -> Self {
        Self {
            image_path: absolute(parsed.flag("image-path").unwrap_or(IMAGES)),
            work_path: parsed.flag("work-path").map(absolute),
            env: insula_start::env().filter_map(|entry| entry.to_str().ok().map(String::from)).collect(),
        }
    }

    fn choices(&self, parsed: &Parsed<'_>) -> Result<Choices<'_>> {
        let mode = parsed.flag("manage-cgroups-mode").unwrap_or("");
        let cgroups = CgroupMode::named(mode).ok_or_else(|| {
            Error::usage(format!("--manage-cgroups-mode: {mode:?} is none of soft, full, strict, ignore"))
        })?;
        // CRIU knows no other, and it is what is always done.
        if let Some(other) = parsed.values("empty-ns").find(|kind| *kind != "network") {
            return Err(Error::usage(format!("--empty-ns: namespace {other:?} is not supported, only network is")));
        }
        Ok(Choices {
            image_path: &self.image_path,
            work_path: self.work_path.as_deref(),
            tcp_established: parsed.is_set("tcp-established"),
            ext_unix_sk: parsed.is_set("ext-unix-sk"),
            shell_job: parsed.is_set("shell-job"),
            file_locks: parsed.is_set("file-locks"),
            lazy_pages: parsed.is_set("lazy-pages"),
            auto_dedup: parsed.is_set("auto-dedup"),
            cgroups,
            env: &self.env,
        })
    }
}

/// `checkpoint`
pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    let (home, record) = status::find(context.root()?.as_ref(), id)?;
    let given = Given::of(parsed);
    let (leave_running, pre_dump) = (parsed.is_set("leave-running"), parsed.is_set("pre-dump"));
    let dump = Dump {
        choices: given.choices(parsed)?,
        parent_path: parsed.flag("parent-path"),
        leave_running,
        pre_dump,
        tcp_skip_in_flight: parsed.is_set("tcp-skip-in-flight"),
        link_remap: parsed.is_set("link-remap"),
        page_server: parsed.flag("page-server").map(page_server).transpose()?,
        status_fd: parsed.integer("status-fd").filter(|fd| *fd != -1).map(|fd| i32::try_from(fd).unwrap_or(i32::MAX)),
    };
    checkpoint(&home, &record, &dump, context)?;
    if !leave_running && !pre_dump {
        // The processes are in the images; what is left of the container is its record and cgroup.
        if let Err(error) = delete::delete(home, true, context) {
            context.warn(&format!("{error}"));
        }
    }
    Ok(0)
}

/// `ADDRESS:PORT`, an IPv6 address in brackets.
fn page_server(text: &str) -> Result<(&str, i32)> {
    let wrong = || Error::usage(format!("--page-server {text}: use ADDRESS:PORT to specify the page server"));
    let (address, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    match port.parse::<u16>() {
        Ok(port) if port != 0 && !address.is_empty() => Ok((address, i32::from(port))),
        _ => Err(wrong()),
    }
}

/// `restore`
pub(super) fn perform_restore(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    let (bundle, config) = read(parsed)?;
    let (spec, pinned) = document(parsed, &config, context)?;
    let given = Given::of(parsed);
    let told = Restore {
        choices: given.choices(parsed)?,
        lsm_profile: parsed.flag("lsm-profile"),
        lsm_mount_context: parsed.flag("lsm-mount-context"),
    };
    let (seconds, nanoseconds) = now();
    let detach = parsed.is_set("detach");
    let request = Request {
        id,
        bundle: &bundle,
        pid_file: parsed.flag("pid-file"),
        console_socket: parsed.flag("console-socket"),
        serve_terminal: !detach,
        systemd: parsed.globals().systemd_cgroup,
        options: Options { id: String::from(id), run: true, no_pivot: parsed.is_set("no-pivot"), ..Options::default() },
        pinned,
        created: rfc3339_nano(seconds, nanoseconds),
        ..Request::default()
    };
    let container = restore(&context.make_root()?, &spec, &config, &request, &told, context)?;
    if detach {
        return Ok(0);
    }
    stay(container, false, context)
}
