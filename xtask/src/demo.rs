// SPDX-License-Identifier: Apache-2.0
//! Shows insula at work: the same look around, on the host and in eight new namespaces.

use std::process::ExitCode;

use crate::Outcome;
use crate::shell::{cargo, program, run as execute};

const LOOK: &str = "echo \"host name: $(hostname)\"; echo \"processes: $(ps aux | tail -n +2 | wc -l)\"; \
                    for kind in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$kind; done";

const SHOW: &str = "hostname; ps aux; ls -l /proc/self/ns";

/// `cargo xtask demo`
pub(crate) fn run(_args: &[String]) -> Outcome {
    execute(&mut cargo(["build", "--release", "--package", "insula"]))?;
    eprintln!("\nOn this host:");
    execute(program("sh").args(["-c", LOOK]))?;
    eprintln!("\nIn a container that insula makes from nothing:");
    execute(cargo(["run", "--quiet", "--release", "--", "try", "sh", "-c"]).arg(SHOW))?;
    Ok(ExitCode::SUCCESS)
}
