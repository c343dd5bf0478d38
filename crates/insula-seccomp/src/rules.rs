// SPDX-License-Identifier: Apache-2.0
//! What the filter answers to each call: `linux.seccomp` as runc and libseccomp understand it.
//!
//! - A rule whose action is the default's is passed over, as is a name that no ABI of this machine has.
//! - Of the rules of one call, one without conditions wins over those with; of several without, the first.
//! - i386 reaches some calls both directly and through socketcall(2) or ipc(2): a rule covers both ways.
//! - Calls with numbers above all that the profile names get `ENOSYS` unless the default lets calls through, so that
//!   programs fall back from calls which the profile's author did not know. The names of *all* rules count.
//!
//! Sources: runc, libcontainer/seccomp and its patchbpf; libseccomp, src/db.c and src/syscalls.c.

use crate::ATTEMPTED;
use crate::abi::{Abi, Family, SLOTS};
use crate::condition::{self, Condition};
use crate::names::{Entry, NONE};
use crate::words::{
    ACTIONS, ARCHITECTURES, Action, Architecture, FLAG_NEW_LISTENER, FLAG_SPEC_ALLOW, FLAG_WAIT_KILLABLE_RECV, FLAGS,
    look_up,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::Error;
use insula_spec::{Seccomp, Syscall};

/// The answer to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No rule names it.
    Default,
    /// Return this.
    Return(u32),
    /// Try the rules of [`Filter::chains`] with this index, then return the default.
    Chain(u32),
}

/// The answers to the calls of one ABI.
#[derive(Debug)]
pub(crate) struct Calls {
    /// By slot.
    pub(crate) verdicts: Vec<Verdict>,
    /// Greatest number that any rule names, or 0. Calls that are also multiplexed do not count for libseccomp.
    pub(crate) last: u32,
}

/// A rule with conditions.
#[derive(Debug)]
pub(crate) struct Rule {
    /// All must hold. At least one.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) action: u32,
    /// The index in `syscalls` that it comes from.
    source: usize,
}

/// All answers.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) family: &'static Family,
    /// Returned for calls without a matching rule.
    pub(crate) default: u32,
    /// Whether calls newer than the profile get `ENOSYS` instead of the default.
    pub(crate) refuses_newer: bool,
    /// Per ABI of the family; `None` if the profile leaves it out.
    pub(crate) calls: Vec<Option<Calls>>,
    pub(crate) rules: Vec<Rule>,
    /// Rules (indices) in the order in which they are tried.
    pub(crate) chains: Vec<Vec<u32>>,
    pub(crate) uses_notify: bool,
}

impl Filter {
    pub(crate) fn new(family: &'static Family, seccomp: &Seccomp<'_>) -> Result<Self, Error> {
        let action = look_up(ACTIONS, &seccomp.default_action, "an action", || "/linux/seccomp/defaultAction".into())?;
        if action == Action::Notify {
            let reason = "as the default action it would also suspend the runtime, which must first send the listener";
            return Err(Error::invalid("/linux/seccomp/defaultAction", ATTEMPTED, reason));
        }
        let default = value(action, seccomp.default_errno_ret, || "/linux/seccomp/defaultErrnoRet".into())?;
        let mut builder = Builder {
            filter: Self {
                family,
                default,
                refuses_newer: !matches!(action, Action::Allow | Action::Log | Action::Trace),
                calls: selected(family, seccomp)?,
                rules: Vec::new(),
                chains: Vec::new(),
                uses_notify: false,
            },
            links: Vec::new(),
        };
        for (index, syscall) in seccomp.syscalls.iter().enumerate() {
            builder.add(index, syscall)?;
        }
        builder.finish()
    }
}

/// The flags for seccomp(2). As with runc, a profile without a list of flags gets one.
pub(crate) fn flags(seccomp: &Seccomp<'_>, uses_notify: bool) -> Result<u32, Error> {
    let mut bits = if uses_notify { FLAG_NEW_LISTENER } else { 0 };
    for (index, word) in seccomp.flags.iter().flatten().enumerate() {
        let pointer = || format!("/linux/seccomp/flags/{index}");
        let bit = look_up(FLAGS, word, "a flag", pointer)?;
        if bit == FLAG_WAIT_KILLABLE_RECV && !uses_notify {
            return Err(Error::invalid(pointer(), ATTEMPTED, "the flag is for filters that notify, and no rule does"));
        }
        bits |= bit;
    }
    if seccomp.flags.is_none() {
        bits |= FLAG_SPEC_ALLOW;
    }
    Ok(bits)
}

/// Empty answers for the native ABI and those that the profile lists.
fn selected(family: &Family, seccomp: &Seccomp<'_>) -> Result<Vec<Option<Calls>>, Error> {
    let empty = || Some(Calls { verdicts: alloc::vec![Verdict::Default; SLOTS], last: 0 });
    let mut calls: Vec<Option<Calls>> = family.abis.iter().map(|_| None).collect();
    calls[0] = empty();
    for (index, word) in seccomp.architectures.iter().enumerate() {
        let pointer = || format!("/linux/seccomp/architectures/{index}");
        let architecture = look_up(ARCHITECTURES, word, "an architecture", pointer)?;
        if architecture == Architecture::ForeignBigEndian {
            let reason = format!("{word} is big-endian, which this machine is not, and a filter is for one byte order");
            return Err(Error::invalid(pointer(), ATTEMPTED, reason));
        }
        // Others that this machine cannot run have no calls to answer.
        if let Some(column) = family.abis.iter().position(|abi| abi.architecture == architecture)
            && calls[column].is_none()
        {
            calls[column] = empty();
        }
    }
    Ok(calls)
}

/// What the filter returns for an action.
fn value(action: Action, data: Option<u32>, pointer: impl Fn() -> String) -> Result<u32, Error> {
    // What the kernel takes more for it cuts down without a word.
    let (most, what) = match action {
        Action::Errno => (4095, "an errno"),
        Action::Trace => (0xffff, "the message to a tracer"),
        _ => return Ok(action.value(data)),
    };
    match data {
        Some(data) if data > most => {
            Err(Error::invalid(pointer(), ATTEMPTED, format!("{what} is at most {most}, not {data}")))
        }
        _ => Ok(action.value(data)),
    }
}

struct Builder {
    filter: Filter,
    /// (rule, link before it). Until [`Self::finish`], [`Verdict::Chain`] holds the last link of its list.
    links: Vec<(u32, Option<u32>)>,
}

/// One alternative of a rule, kept for each width of arguments once a call needs it.
struct Alternative {
    conditions: Vec<Condition>,
    /// By `Abi::wide`.
    matches: [Option<Match>; 2],
}

/// When a rule matches on an ABI.
#[derive(Clone, Copy)]
enum Match {
    Always,
    /// If the conditions of this rule hold.
    If(u32),
}

impl Builder {
    /// Adds `syscalls[index]`.
    fn add(&mut self, index: usize, syscall: &Syscall<'_>) -> Result<(), Error> {
        let field = |name: &str| format!("/linux/seccomp/syscalls/{index}/{name}");
        let action = look_up(ACTIONS, &syscall.action, "an action", || field("action"))?;
        let value = value(action, syscall.errno_ret, || field("errnoRet"))?;
        let alternatives = condition::alternatives(&syscall.args, index)?.into_iter();
        let mut alternatives: Vec<_> =
            alternatives.map(|conditions| Alternative { conditions, matches: [None; 2] }).collect();
        for (position, name) in syscall.names.iter().enumerate() {
            let pointer = || field(&format!("names/{position}"));
            if name.is_empty() {
                return Err(Error::invalid(pointer(), ATTEMPTED, "an empty string names no system call"));
            }
            if action == Action::Notify {
                // The listener's number is written to the runtime after the filter is in place.
                if name == "write" {
                    let reason =
                        "a notification for write would suspend the runtime, which must first send the listener";
                    return Err(Error::invalid(pointer(), ATTEMPTED, reason));
                }
                self.filter.uses_notify = true;
            }
            if let Some(entry) = self.filter.family.names.find(name) {
                self.add_call(entry, value, &mut alternatives, index);
            }
        }
        Ok(())
    }

    /// Adds a rule for one call, on every ABI that has it.
    fn add_call(&mut self, entry: &Entry, action: u32, alternatives: &mut [Alternative], source: usize) {
        let abis = self.filter.family.abis;
        for (column, abi) in abis.iter().enumerate() {
            let Some(calls) = &mut self.filter.calls[column] else { continue };
            let slot = Some(entry.numbers[column]).filter(|&slot| slot != NONE);
            let multiplexed = abi.multiplexed(entry);
            if let (Some(slot), None) = (slot, multiplexed) {
                calls.last = calls.last.max(abi.number(slot));
            }
            if action == self.filter.default {
                continue;
            }
            for alternative in &mut *alternatives {
                if let Some((slot, call)) = multiplexed {
                    let conditions = condition::multiplexed(&alternative.conditions, call);
                    let matches = self.matches(&conditions, abi, action, source);
                    self.add_rule(column, slot, matches, action);
                }
                if let Some(slot) = slot {
                    let known = alternative.matches[usize::from(abi.wide)];
                    let matches = known.unwrap_or_else(|| self.matches(&alternative.conditions, abi, action, source));
                    alternative.matches[usize::from(abi.wide)] = Some(matches);
                    self.add_rule(column, slot, matches, action);
                }
            }
        }
    }

    /// Stores a rule, if it needs to look at arguments.
    fn matches(&mut self, conditions: &[Condition], abi: &Abi, action: u32, source: usize) -> Match {
        let conditions = condition::for_width(conditions, abi.wide);
        if conditions.is_empty() {
            return Match::Always;
        }
        self.filter.rules.push(Rule { conditions, action, source });
        Match::If(self.filter.rules.len() as u32 - 1)
    }

    fn add_rule(&mut self, column: usize, slot: u16, matches: Match, action: u32) {
        let Some(calls) = &mut self.filter.calls[column] else { return };
        let verdict = &mut calls.verdicts[usize::from(slot)];
        let before = match *verdict {
            Verdict::Return(_) => return,
            Verdict::Default => None,
            Verdict::Chain(link) => Some(link),
        };
        *verdict = match matches {
            Match::Always => Verdict::Return(action),
            Match::If(rule) => {
                self.links.push((rule, before));
                Verdict::Chain(self.links.len() as u32 - 1)
            }
        };
    }

    /// Turns the lists of rules into chains, one for all calls that have the same.
    fn finish(mut self) -> Result<Filter, Error> {
        let Filter { calls, rules, chains, .. } = &mut self.filter;
        for verdict in calls.iter_mut().flatten().flat_map(|calls| &mut calls.verdicts) {
            if let Verdict::Chain(last) = *verdict {
                let chain = chain(&self.links, last, rules)?;
                let index = chains.iter().position(|known| *known == chain).unwrap_or_else(|| {
                    chains.push(chain);
                    chains.len() - 1
                });
                *verdict = Verdict::Chain(index as u32);
            }
        }
        Ok(self.filter)
    }
}

/// The rules of the list that ends with link `last`, in the order in which they are tried, without repetitions.
fn chain(links: &[(u32, Option<u32>)], last: u32, rules: &[Rule]) -> Result<Vec<u32>, Error> {
    let links =
        core::iter::successors(Some(links[last as usize]), |(_, before)| before.map(|link| links[link as usize]));
    let mut chain: Vec<u32> = links.map(|(rule, _)| rule).collect();
    chain.reverse();
    let rule = |index: u32| &rules[index as usize];
    chain.sort_by(|&a, &b| condition::order(&rule(a).conditions, &rule(b).conditions));
    for (a, b) in chain.iter().zip(chain.iter().skip(1)).map(|(&a, &b)| (rule(a), rule(b))) {
        if a.conditions == b.conditions && a.action != b.action {
            let reason = format!("it has the conditions of rule {} and another action, for the same call", a.source);
            return Err(Error::invalid(format!("/linux/seccomp/syscalls/{}", b.source), ATTEMPTED, reason));
        }
    }
    chain.dedup_by(|b, a| rule(*a).conditions == rule(*b).conditions);
    Ok(chain)
}
