// SPDX-License-Identifier: Apache-2.0
//! Conditions on arguments of a call.

use crate::ATTEMPTED;
use crate::words::{OPERATORS, Operator, look_up};
use alloc::format;
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};
use insula_error::Error;
use insula_spec::SyscallArg;

/// Arguments of a system call.
const ARGUMENTS: u32 = 6;

/// One comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Which argument, 0 to 5.
    pub(crate) index: u8,
    pub(crate) operator: Operator,
    /// Has no bit that [`Self::mask`] lacks.
    pub(crate) value: u64,
    /// The bits that are compared; all of them unless the operator has a mask.
    pub(crate) mask: u64,
}

impl Condition {
    /// Argument 0 is `value`.
    pub(crate) fn first_argument_is(value: u64) -> Self {
        Self { index: 0, operator: Operator::Equal, value, mask: u64::MAX }
    }

    fn parse(argument: &SyscallArg<'_>, pointer: impl Fn(&str) -> alloc::string::String) -> Result<Self, Error> {
        let operator = look_up(OPERATORS, &argument.op, "a comparison", || pointer("op"))?;
        if argument.index >= ARGUMENTS {
            let reason =
                format!("there is no argument {}: a system call has {ARGUMENTS}, counted from 0", argument.index);
            return Err(Error::invalid(pointer("index"), ATTEMPTED, reason));
        }
        let (value, mask) = match operator {
            Operator::MaskedEqual => (argument.value_two & argument.value, argument.value),
            _ => (argument.value, u64::MAX),
        };
        Ok(Self { index: argument.index as u8, operator, value, mask })
    }

    /// The same for the lower 32 bits alone, as libseccomp compares the arguments of 32-bit ABIs.
    fn narrow(self) -> Self {
        let low = u64::from(u32::MAX);
        Self { value: self.value & low, mask: self.mask & low, ..self }
    }

    /// Orders by what libseccomp tests first: greater argument numbers, then tests for equality, then upper bounds
    /// (least first), then lower bounds (greatest first). Total, so that equal conditions end up side by side.
    fn precedence(&self) -> impl Ord + use<> {
        let class = match self.operator {
            Operator::Equal | Operator::NotEqual | Operator::MaskedEqual => 0,
            Operator::Less | Operator::LessOrEqual => 1,
            Operator::Greater | Operator::GreaterOrEqual => 2,
        };
        let value = if class == 1 { self.value } else { !self.value };
        (Reverse(self.index), class, value, self.operator as u8, self.mask)
    }
}

/// The order in which rules of one call are tried.
pub(crate) fn order(a: &[Condition], b: &[Condition]) -> Ordering {
    a.iter().map(Condition::precedence).cmp(b.iter().map(Condition::precedence))
}

/// What must hold for a rule of `syscalls[index]` to match: any of the lists, and of one list all conditions.
pub(crate) fn alternatives(arguments: &[SyscallArg<'_>], index: usize) -> Result<Vec<Vec<Condition>>, Error> {
    let mut all = Vec::with_capacity(arguments.len());
    for (position, argument) in arguments.iter().enumerate() {
        let pointer = |field: &str| format!("/linux/seccomp/syscalls/{index}/args/{position}/{field}");
        all.push(Condition::parse(argument, pointer)?);
    }
    all.sort_by_key(|condition| condition.index);
    // COMPAT(runc): two conditions on one argument make every condition of the rule a rule of its own.
    if all.is_sorted_by(|a, b| a.index < b.index) {
        Ok(alloc::vec![all])
    } else {
        Ok(all.into_iter().map(|condition| alloc::vec![condition]).collect())
    }
}

/// The conditions as an ABI tests them. None are left if they always hold.
pub(crate) fn for_width(conditions: &[Condition], wide: bool) -> Vec<Condition> {
    let widths = conditions.iter().map(|condition| if wide { *condition } else { condition.narrow() });
    widths.filter(|condition| condition.mask != 0).collect()
}

/// The conditions with argument 0 naming the call of a multiplexing call.
///
/// COMPAT(libseccomp): what the rule says of argument 0 is lost; of the others it is tested against the multiplexing
/// call's own arguments.
pub(crate) fn multiplexed(conditions: &[Condition], call: u64) -> Vec<Condition> {
    let others = conditions.iter().filter(|condition| condition.index != 0);
    core::iter::once(Condition::first_argument_is(call)).chain(others.copied()).collect()
}
