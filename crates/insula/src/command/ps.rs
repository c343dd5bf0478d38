// SPDX-License-Identifier: Apache-2.0
//! `insula ps`: ps(1)'s own lines, those of the container's processes.

use crate::context::Context;
use crate::output;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_error::{Error, Kind, Result};
use insula_run::spawn::Program;
use insula_run::status;

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    let (_, record) = status::find(context.root()?.as_ref(), id)?;
    let group = status::group(&record)?;
    if group.is_none() {
        return Err(Error::new(Kind::Unsupported, format!("list the processes of container {id}"))
            .reason("it has no cgroup, so they cannot be known"));
    }
    let pids = group.pids(true)?;
    if parsed.flag("format") == Some("json") {
        let numbers: Vec<String> = pids.iter().map(|pid| format!("{pid}")).collect();
        output::print(&if pids.is_empty() { String::from("null") } else { format!("[{}]", numbers.join(",")) })?;
        return Ok(0);
    }
    let mut arguments = Vec::from([String::from("ps")]);
    let given: Vec<String> =
        parsed.rest().iter().map(|arg| String::from(arg.to_string_lossy())).filter(|arg| !arg.is_empty()).collect();
    if given.is_empty() {
        arguments.push(String::from("-ef"));
    }
    arguments.extend(given);
    let text = run_ps(&arguments)?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let Some(column) = header.split_whitespace().position(|title| title == "PID") else {
        return Err(Error::usage("ps must be asked for a PID column"));
    };
    let mut out = format!("{header}\n");
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|text| text.parse::<i32>().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            out += line;
            out.push('\n');
        }
    }
    output::print(&out)?;
    Ok(0)
}

fn run_ps(arguments: &[String]) -> Result<String> {
    let path = ["/usr/bin/ps", "/bin/ps"].into_iter().find(|path| rustix::fs::stat(*path).is_ok());
    let Some(path) = path else {
        return Err(Error::new(Kind::Unsupported, "run ps").reason("ps is not installed").advice("use --format json"));
    };
    let env = Vec::from([String::from("PATH=/usr/bin:/bin"), String::from("LC_ALL=C.UTF-8")]);
    let program =
        Program { path, args: arguments, env: &env, input: &[], timeout: Some(10), note: None, signals: None };
    let ended = program.run_for_output(4 << 20)?;
    if ended.success() { Ok(ended.output) } else { Err(Error::new(Kind::State, "run ps").reason(ended.output)) }
}
