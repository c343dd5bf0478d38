// SPDX-License-Identifier: Apache-2.0
//! Builds the C programs of `benches/floor`, without a C library.

use std::path::Path;

use crate::shell::{program, root, run};

const FLAGS: &[&str] = &[
    "-O2",
    "-std=gnu2x",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-static",
    "-nostdlib",
    "-nostartfiles",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pic",
    "-no-pie",
    "-Wl,--build-id=none,-z,norelro,-z,noseparate-code",
];

/// Each program and its sources; the floor comes last because init's image lies in it.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("payload", &["payload.c"]),
    ("init", &["init.c"]),
    ("stopwatch", &["stopwatch.c"]),
    ("steps", &["steps.c"]),
    ("floor", &["floor.c", "cgroup.c", "device_filter.c", "rootfs.c", "process.c"]),
];

/// Builds all of them into `dir`.
pub(crate) fn build(dir: &Path) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    for (name, sources) in PROGRAMS {
        let mut gcc = program("gcc");
        gcc.args(FLAGS).arg(format!("-DINIT=\"{}\"", dir.join("init").display())).arg("-o").arg(dir.join(name));
        run(gcc.args(sources.iter().map(|source| root().join("benches/floor").join(source))))?;
    }
    Ok(())
}
