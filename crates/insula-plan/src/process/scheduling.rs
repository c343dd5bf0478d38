// SPDX-License-Identifier: Apache-2.0
//! Scheduler, I/O priority, memory policy, personality.

use super::bits;
use crate::compile::Planner;
use crate::field::Field;
use crate::namespaces::Phase;
use crate::text;
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use insula_spec::Process;
use insula_steps::Step;

const PHASE: Phase = Phase::Process;

pub(super) fn plan(planner: &mut Planner<'_>, process: &Process<'_>) -> Result<()> {
    scheduler(planner, process)?;
    io_priority(planner, process)?;
    memory_policy(planner)?;
    personality(planner)
}

fn unknown(pointer: &str, attempted: &'static str, name: &str) -> Error {
    Error::invalid(String::from(pointer), attempted, format!("there is no {name:?}"))
}

fn scheduler(planner: &mut Planner<'_>, process: &Process<'_>) -> Result<()> {
    let Some(scheduler) = &process.scheduler else { return Ok(()) };
    let attempted = "set the scheduler";
    let policy = insula_spec::SCHEDULER_POLICIES
        .number(&scheduler.policy)
        .ok_or_else(|| unknown("/process/scheduler/policy", attempted, &scheduler.policy))?;
    let mut flags = 0;
    for (index, name) in scheduler.flags.iter().enumerate() {
        flags |= insula_spec::SCHEDULER_FLAGS
            .number(name)
            .map(u64::from)
            .ok_or_else(|| unknown(&format!("/process/scheduler/flags/{index}"), attempted, name))?;
    }
    let priority = u32::try_from(scheduler.priority).map_err(|_| {
        Error::invalid("/process/scheduler/priority", attempted, format!("{} is negative", scheduler.priority))
    })?;
    let step = Step::Scheduler {
        policy,
        flags,
        nice: scheduler.nice,
        priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
    };
    planner.step(PHASE, Field::At("/process/scheduler"), step);
    Ok(())
}

fn io_priority(planner: &mut Planner<'_>, process: &Process<'_>) -> Result<()> {
    let Some(priority) = &process.io_priority else { return Ok(()) };
    let attempted = "set the I/O priority";
    let class = insula_spec::IO_PRIORITY_CLASSES
        .number(&priority.class)
        .ok_or_else(|| unknown("/process/ioPriority/class", attempted, &priority.class))?;
    let level = u32::try_from(priority.priority).ok().filter(|level| *level < 8).ok_or_else(|| {
        Error::invalid(
            "/process/ioPriority/priority",
            attempted,
            format!("{} is not between 0 and 7", priority.priority),
        )
    })?;
    planner.step(PHASE, Field::At("/process/ioPriority"), Step::IoPriority { priority: class << 13 | level });
    Ok(())
}

fn memory_policy(planner: &mut Planner<'_>) -> Result<()> {
    let Some(policy) = &planner.spec.linux.memory_policy else { return Ok(()) };
    let attempted = "set the memory policy";
    let mut mode = insula_spec::MEMORY_POLICY_MODES
        .number(&policy.mode)
        .ok_or_else(|| unknown("/linux/memoryPolicy/mode", attempted, &policy.mode))?;
    for (index, name) in policy.flags.iter().enumerate() {
        mode |= insula_spec::MEMORY_POLICY_FLAGS
            .number(name)
            .ok_or_else(|| unknown(&format!("/linux/memoryPolicy/flags/{index}"), attempted, name))?;
    }
    let nodes = policy.nodes.as_deref().unwrap_or("");
    let nodes = bits::bit_list(nodes, 16).ok_or_else(|| {
        Error::invalid("/linux/memoryPolicy/nodes", attempted, format!("{nodes:?} is no list of nodes"))
    })?;
    planner.step(PHASE, Field::At("/linux/memoryPolicy"), Step::MemoryPolicy { mode, nodes: text::bytes(&nodes) });
    Ok(())
}

/// PER_LINUX32 (sys/personality.h)
const LINUX32: u32 = 8;

fn personality(planner: &mut Planner<'_>) -> Result<()> {
    let Some(personality) = &planner.spec.linux.personality else { return Ok(()) };
    let attempted = "set the personality";
    if !personality.flags.is_empty() {
        return Err(Error::unsupported("/linux/personality/flags", attempted, "the specification defines no flags"));
    }
    let persona = match personality.domain.as_str() {
        "LINUX" => 0,
        "LINUX32" => LINUX32,
        other => return Err(unknown("/linux/personality/domain", attempted, other)),
    };
    planner.step(PHASE, Field::At("/linux/personality"), Step::Personality { persona });
    Ok(())
}
