// SPDX-License-Identifier: Apache-2.0
//! `insula update`: other limits for a running container.

use super::{Command, EMPTY, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "update",
    summary: "change the limits of a container",
    about: "\
Changes only what is given. Sizes are in bytes or have a suffix k, m, g, t (powers of 1024); times are in microseconds.

With --resources, FILE (or standard input for -) holds a `linux.resources` object of the runtime specification, and the \
other flags, but for the two of Intel RDT, are ignored:

    {\"memory\": {\"limit\": 67108864}, \"cpu\": {\"quota\": 50000, \"period\": 100000}}",
    positionals: &[shared::CONTAINER],
    options: &[Group {
        heading: "OPTIONS",
        flags: &[
            Flag::path("resources", "FILE", "read the limits from FILE, or from standard input for -").short('r'),
            Flag::text("memory", "SIZE", "most memory; -1 for no limit"),
            Flag::text("memory-reservation", "SIZE", "memory it keeps when the host runs short"),
            Flag::text("memory-swap", "SIZE", "most memory and swap together; -1 for no limit"),
            Flag::text("cpu-share", "N", "weight against other containers, 2 to 262144"),
            Flag::text("cpu-quota", "USEC", "processor time in each period; -1 for no limit"),
            Flag::text("cpu-period", "USEC", "length of a period"),
            Flag::text("cpu-burst", "USEC", "unused quota that may be saved up"),
            Flag::text("cpu-rt-runtime", "USEC", "real-time processor time in each real-time period"),
            Flag::text("cpu-rt-period", "USEC", "length of a real-time period"),
            Flag::text("cpu-idle", "0|1", "1 to run only when the processors are otherwise idle (SCHED_IDLE)"),
            Flag::text("cpuset-cpus", "LIST", "processors it may use, such as 0-3,7"),
            Flag::text("cpuset-mems", "LIST", "memory nodes it may use"),
            Flag::integer("blkio-weight", "N", "weight of its disk access, 10 to 1000"),
            Flag::integer("pids-limit", "N", "most processes and threads; -1 for no limit"),
            Flag::text("l3-cache-schema", "SCHEMA", "share of the L3 cache (Intel RDT)"),
            Flag::text("mem-bw-schema", "SCHEMA", "share of the memory bandwidth (Intel RDT)"),
            Flag::text("kernel-memory", "SIZE", "obsolete; ignored with a warning").hidden(),
            Flag::text("kernel-memory-tcp", "SIZE", "obsolete; ignored with a warning").hidden(),
        ],
    }],
    examples: &[
        Example { what: "give web1 at most 64 MiB and half a processor", line: "insula update --memory 64m --cpu-quota 50000 --cpu-period 100000 web1" },
        Example { what: "limit its processes with a document", line: "echo '{\"pids\": {\"limit\": 20}}' | insula update --resources - web1" },
    ],
    ..EMPTY
};
