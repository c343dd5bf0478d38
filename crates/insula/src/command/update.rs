// SPDX-License-Identifier: Apache-2.0
//! `insula update`: flags or a document to limits.

use crate::context::Context;
use alloc::format;
use alloc::vec::Vec;
use insula_cli::{Parsed, amount};
use insula_error::{Error, Result};
use insula_run::{Log, file, status, update};
use insula_spec::{BlockIo, Cpu, IntelRdt, Memory, Pids, Resources, Str};
use rustix::fs::CWD;

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let (home, record) = status::find(context.root()?.as_ref(), super::id(parsed)?)?;
    let document = match parsed.flag("resources").filter(|path| !path.is_empty()) {
        Some("-") => Some(standard_input()?),
        Some(path) => Some(file::read_stream(CWD, path, insula_spec::MAX_DOCUMENT, "read the resources")?),
        None => None,
    };
    let mut wanted = match &document {
        Some(bytes) => insula_spec::load_resources(bytes)?,
        None => from_flags(parsed)?,
    };
    insula_spec::validate_resources(&wanted)?;
    let schema = |name| parsed.flag(name).filter(|schema| !schema.is_empty()).map(Str::from);
    let rdt = IntelRdt {
        l3_cache_schema: schema("l3-cache-schema"),
        mem_bw_schema: schema("mem-bw-schema"),
        ..IntelRdt::default()
    };
    settle(&mut wanted, context);
    update::update(&home, record, wanted, &rdt)?;
    Ok(0)
}

fn standard_input() -> Result<Vec<u8>> {
    let attempted = "read the resources from standard input";
    file::read_all(insula_sys::memory::borrow(0), insula_spec::MAX_DOCUMENT)
        .map_err(|e| Error::kernel(e.raw_os_error(), attempted))?
        .ok_or_else(|| Error::state(attempted, "they are too large"))
}

/// What goes together, as runc has it.
fn settle(wanted: &mut Resources<'_>, context: &Context<'_>) {
    if let Some(memory) = &mut wanted.memory
        && (memory.kernel.take().is_some() | memory.kernel_tcp.take().is_some())
    {
        context.warn("Kernel memory settings are ignored and will be removed");
    }
}

fn number<T: core::str::FromStr>(parsed: &Parsed<'_>, flag: &'static str) -> Result<Option<T>> {
    let Some(text) = parsed.flag(flag).filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = |_| Error::usage(format!("invalid value for {flag}: {text:?} is not a number that it takes"));
    text.parse().map(Some).map_err(wrong)
}

fn size(parsed: &Parsed<'_>, flag: &'static str) -> Result<Option<i64>> {
    let given = parsed.flag(flag).filter(|text| !text.is_empty());
    given
        .map(|text| amount::bytes(text).map_err(|e| Error::usage(format!("invalid value for {flag}: {e}"))))
        .transpose()
}

fn from_flags<'a>(parsed: &Parsed<'a>) -> Result<Resources<'a>> {
    let text = |flag| parsed.flag(flag).filter(|text| !text.is_empty()).map(Str::from);
    let cpu = Cpu {
        shares: number(parsed, "cpu-share")?,
        quota: number(parsed, "cpu-quota")?,
        burst: number(parsed, "cpu-burst")?,
        period: number(parsed, "cpu-period")?,
        realtime_runtime: number(parsed, "cpu-rt-runtime")?,
        realtime_period: number(parsed, "cpu-rt-period")?,
        cpus: text("cpuset-cpus"),
        mems: text("cpuset-mems"),
        idle: number(parsed, "cpu-idle")?,
    };
    let memory = Memory {
        limit: size(parsed, "memory")?,
        reservation: size(parsed, "memory-reservation")?,
        swap: size(parsed, "memory-swap")?,
        kernel: size(parsed, "kernel-memory")?,
        kernel_tcp: size(parsed, "kernel-memory-tcp")?,
        ..Memory::default()
    };
    let weight = parsed.integer("blkio-weight").filter(|weight| *weight != 0);
    let weight = weight.map(u16::try_from).transpose().map_err(|_| Error::usage("--blkio-weight is 10 to 1000"))?;
    Ok(Resources {
        cpu: Some(cpu),
        memory: Some(memory),
        pids: parsed.integer("pids-limit").map(|limit| Pids { limit: Some(limit) }),
        block_io: weight.map(|weight| BlockIo { weight: Some(weight), ..BlockIo::default() }),
        ..Resources::default()
    })
}
