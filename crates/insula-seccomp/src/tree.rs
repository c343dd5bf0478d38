// SPDX-License-Identifier: Apache-2.0
//! From answers to the program: ranges of numbers with the same answer, and a search tree over them.

use crate::Instruction;
use crate::abi::{Abi, X32_BIT};
use crate::emit::{ARCHITECTURE, Compare, Emitter, NUMBER, Target};
use crate::rules::{Calls, Filter, Rule, Verdict};
use crate::words::{Action, Architecture, ENOSYS, Operator};
use alloc::vec::Vec;

/// Single numbers inside a range that are picked out one after the other, at the leaves of the tree. More of them
/// make the program smaller and its paths longer.
const SINGLES: usize = 2;

/// Numbers from `start` to the next range's.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: u32,
    target: Target,
}

/// All ranges of an architecture, from number 0 on.
#[derive(Debug, Default)]
struct Ranges(Vec<Range>);

impl Ranges {
    /// Numbers from `start` on lead to `target`. No range starts after `start` yet.
    fn push(&mut self, start: u32, target: Target) {
        if self.0.last().is_some_and(|last| last.start == start) {
            self.0.pop();
        }
        if self.0.last().is_none_or(|last| last.target != target) {
            self.0.push(Range { start, target });
        }
    }
}

struct Compiler<'f> {
    filter: &'f Filter,
    emitter: Emitter,
    /// Per chain, once emitted.
    chains: Vec<Option<Target>>,
}

/// The whole program, however long.
pub(crate) fn program(filter: &Filter) -> Vec<Instruction> {
    let chains = alloc::vec![None; filter.chains.len()];
    let mut compiler = Compiler { filter, emitter: Emitter::default(), chains };
    // What libseccomp returns for a call of an architecture that the filter is not for.
    let mut target = Target::Return(Action::KillThread.value(None));
    for (column, abi) in filter.family.abis.iter().enumerate().rev() {
        // x32 is part of x86_64 to the kernel.
        if abi.architecture == Architecture::X32 || filter.calls[column].is_none() {
            continue;
        }
        let section = compiler.section(column, abi);
        target = compiler.emitter.compare(Compare::Equal, abi.audit, section, target);
    }
    let start = compiler.emitter.load(ARCHITECTURE, target);
    compiler.emitter.finish(start)
}

impl Compiler<'_> {
    /// What is done with calls of one architecture as the kernel counts them.
    fn section(&mut self, column: usize, abi: &Abi) -> Target {
        let mut ranges = Ranges::default();
        self.push_calls(&mut ranges, column, 0);
        if abi.architecture == Architecture::X86_64 {
            self.push_x32(&mut ranges, column);
        }
        let units = units(&ranges.0);
        let tree = self.tree(&units);
        self.emitter.load(NUMBER, tree)
    }

    /// The ranges of one ABI, which has no number below `start`.
    fn push_calls(&mut self, ranges: &mut Ranges, column: usize, start: u32) {
        let Filter { family, refuses_newer, .. } = *self.filter;
        let Some(calls) = &self.filter.calls[column] else { return };
        let newer = if refuses_newer { newer_than(calls) } else { None };
        let default = Target::Return(self.filter.default);
        ranges.push(start, default);
        for (slot, &verdict) in (0..).zip(&calls.verdicts) {
            let number = family.abis[column].number(slot);
            if newer.is_some_and(|newer| number >= newer) {
                break;
            }
            if verdict != Verdict::Default {
                ranges.push(number, self.target(verdict, family.abis[column].wide));
                ranges.push(number + 1, default);
            }
        }
        if let Some(newer) = newer {
            ranges.push(newer, Target::Return(ENOSYS));
        }
    }

    /// The ranges of x86_64 from where x32 starts. Only the kernel's numbers matter to anybody; the others are here
    /// answered as by runc with libseccomp.
    fn push_x32(&mut self, ranges: &mut Ranges, x86_64: usize) {
        let Filter { family, refuses_newer, default, .. } = *self.filter;
        let default = Target::Return(default);
        let newer = |calls: &Calls, otherwise| {
            if refuses_newer && newer_than(calls).is_some() { Target::Return(ENOSYS) } else { otherwise }
        };
        let x32 = family.abis.iter().position(|abi| abi.architecture == Architecture::X32);
        let x32 = x32.and_then(|column| Some((column, self.filter.calls[column].as_ref()?)));
        let (otherwise, beyond, no_call) = if let Some((column, calls)) = x32 {
            self.push_calls(ranges, column, X32_BIT);
            let beyond = newer(calls, default);
            (default, beyond, beyond)
        } else {
            let bad = Target::Return(Action::KillThread.value(None));
            ranges.push(X32_BIT, bad);
            (bad, bad, default)
        };
        if let Some(calls) = &self.filter.calls[x86_64] {
            ranges.push(0x8000_0000, newer(calls, otherwise));
        }
        ranges.push(0xc000_0000, beyond);
        // -1: a tracer skips the call.
        ranges.push(u32::MAX, no_call);
    }

    fn target(&mut self, verdict: Verdict, wide: bool) -> Target {
        match verdict {
            Verdict::Default => Target::Return(self.filter.default),
            Verdict::Return(value) => Target::Return(value),
            Verdict::Chain(chain) => self.chain(chain as usize, wide),
        }
    }

    fn chain(&mut self, index: usize, wide: bool) -> Target {
        if let Some(target) = self.chains[index] {
            return target;
        }
        let mut target = Target::Return(self.filter.default);
        let rule = |index: u32| &self.filter.rules[index as usize];
        for rules in self.filter.chains[index].chunk_by(|&a, &b| share_a_load(rule(a), rule(b))).rev() {
            let [first, ..] = rules else { continue };
            let Rule { conditions, action, .. } = rule(*first);
            target = if rules.len() > 1 {
                let values = rules.iter().map(|&index| rule(index));
                let values: Vec<_> =
                    values.map(|rule| (rule.conditions[0].value, Target::Return(rule.action))).collect();
                self.emitter.values(conditions[0].index, &values, wide, target)
            } else {
                self.emitter.conditions(conditions, wide, Target::Return(*action), target)
            };
        }
        self.chains[index] = Some(target);
        target
    }

    /// A balanced tree over the units of some ranges.
    fn tree(&mut self, units: &[&[Range]]) -> Target {
        match units {
            [] => Target::Return(self.filter.default),
            [unit] => self.unit(unit),
            _ => {
                let (lower, upper) = units.split_at(units.len() / 2);
                let boundary = upper[0][0].start;
                let upper = self.tree(upper);
                let lower = self.tree(lower);
                self.emitter.compare(Compare::GreaterOrEqual, boundary, upper, lower)
            }
        }
    }

    /// Picks out the single numbers; the rest of a unit has one target.
    fn unit(&mut self, unit: &[Range]) -> Target {
        let singles = unit.iter().skip(1).step_by(2).rev();
        singles.fold(unit[0].target, |rest, single| {
            self.emitter.compare(Compare::Equal, single.start, single.target, rest)
        })
    }
}

/// The least number above all that a profile names; `None` if it names no call of the ABI.
fn newer_than(calls: &Calls) -> Option<u32> {
    (calls.last != 0).then(|| calls.last + 1)
}

/// Whether both rules test one argument for equality with values that differ in the lower half alone.
fn share_a_load(a: &Rule, b: &Rule) -> bool {
    match (&*a.conditions, &*b.conditions) {
        ([a], [b]) => {
            let equal = a.operator == Operator::Equal && b.operator == Operator::Equal;
            equal && a.index == b.index && a.value >> 32 == b.value >> 32
        }
        _ => false,
    }
}

/// Cuts ranges into units: one range, or some of the same target with single numbers in between.
fn units(ranges: &[Range]) -> Vec<&[Range]> {
    let mut units = Vec::with_capacity(ranges.len());
    let mut rest = ranges;
    while let [first, ..] = rest {
        let mut length = 1;
        while let [single, next, ..] = rest[length..]
            && length < 2 * SINGLES
            && next.start == single.start + 1
            && next.target == first.target
        {
            length += 2;
        }
        let (unit, after) = rest.split_at(length);
        units.push(unit);
        rest = after;
    }
    units
}
