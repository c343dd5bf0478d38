// SPDX-License-Identifier: Apache-2.0
//! Emits instructions from the last to the first, so that every jump knows how far its targets are.

use crate::Instruction;
use crate::condition::Condition;
use crate::words::Operator;
use alloc::vec::Vec;

/// Load a word of `struct seccomp_data` (linux/bpf_common.h: `BPF_LD | BPF_W | BPF_ABS`).
const LOAD: u16 = 0x20;
/// Keep the bits of the operand (`BPF_ALU | BPF_AND | BPF_K`).
const AND: u16 = 0x54;
/// Skip (`BPF_JMP | BPF_JA`).
const SKIP: u16 = 0x05;
/// Return the operand (`BPF_RET | BPF_K`).
const RETURN: u16 = 0x06;

/// A comparison of the loaded word with the operand (`BPF_JMP | BPF_K`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Compare {
    Equal = 0x15,
    Greater = 0x25,
    GreaterOrEqual = 0x35,
    AnyBit = 0x45,
}

/// Where `nr` stands in `struct seccomp_data` (linux/seccomp.h).
pub(crate) const NUMBER: u32 = 0;
/// Where `arch` stands.
pub(crate) const ARCHITECTURE: u32 = 4;
/// Where `args` start, 8 bytes each, the lower half first on all of our machines.
const ARGUMENTS: u32 = 16;

/// Where a jump leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// To an instruction that returns this.
    Return(u32),
    /// To an instruction, counted from the program's end.
    At(usize),
}

/// A program in the making.
#[derive(Debug, Default)]
pub(crate) struct Emitter {
    /// Last instruction first.
    reversed: Vec<Instruction>,
    /// The nearest instruction that does what its target does: returns the value, or skips there.
    nearest: Vec<(Target, usize)>,
}

impl Emitter {
    /// The program, which starts at `target`.
    pub(crate) fn finish(mut self, target: Target) -> Vec<Instruction> {
        let start = self.reach(target, 0);
        self.reversed.truncate(start + 1);
        self.reversed.reverse();
        self.reversed
    }

    /// Goes to `yes` if the loaded word compares, else to `no`.
    pub(crate) fn compare(&mut self, compare: Compare, operand: u32, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        // Reaching `no` may put one instruction in between.
        let yes = self.reach(yes, 1);
        let no = self.reach(no, 0);
        let here = self.reversed.len();
        self.push(compare as u16, (here - yes - 1) as u8, (here - no - 1) as u8, operand)
    }

    /// Loads a word of the call's data, then goes to `next`.
    pub(crate) fn load(&mut self, offset: u32, next: Target) -> Target {
        self.before(LOAD, offset, next)
    }

    /// Goes to `yes` if all conditions hold, else to `no`. The arguments have 64 bits if `wide`.
    pub(crate) fn conditions(&mut self, conditions: &[Condition], wide: bool, yes: Target, no: Target) -> Target {
        conditions.iter().rev().fold(yes, |yes, condition| self.condition(condition, wide, yes, no))
    }

    /// Goes to the target of the first value that the argument has, else to `no`. All values have the same upper half.
    pub(crate) fn values(&mut self, index: u8, values: &[(u64, Target)], wide: bool, no: Target) -> Target {
        let mut target = no;
        for &(value, yes) in values.iter().rev() {
            target = self.compare(Compare::Equal, low(value), yes, target);
        }
        target = self.load(low_half(index), target);
        match values.first() {
            Some(&(value, _)) if wide => {
                let same = self.compare(Compare::Equal, high(value), target, no);
                self.load(high_half(index), same)
            }
            _ => target,
        }
    }

    fn condition(&mut self, condition: &Condition, wide: bool, yes: Target, no: Target) -> Target {
        let Condition { index, operator, value, mask } = *condition;
        match operator {
            Operator::Equal | Operator::MaskedEqual => self.equal(index, value, mask, wide, yes, no),
            Operator::NotEqual => self.equal(index, value, mask, wide, no, yes),
            Operator::Greater => self.above(Compare::Greater, index, value, wide, yes, no),
            Operator::GreaterOrEqual => self.above(Compare::GreaterOrEqual, index, value, wide, yes, no),
            Operator::LessOrEqual => self.above(Compare::Greater, index, value, wide, no, yes),
            Operator::Less => self.above(Compare::GreaterOrEqual, index, value, wide, no, yes),
        }
    }

    fn equal(&mut self, index: u8, value: u64, mask: u64, wide: bool, yes: Target, no: Target) -> Target {
        let target = self.equal_half(low_half(index), low(value), low(mask), yes, no);
        if wide { self.equal_half(high_half(index), high(value), high(mask), target, no) } else { target }
    }

    fn equal_half(&mut self, offset: u32, value: u32, mask: u32, yes: Target, no: Target) -> Target {
        let target = match (value, mask) {
            (_, 0) => return yes,
            (_, u32::MAX) => self.compare(Compare::Equal, value, yes, no),
            (0, _) => self.compare(Compare::AnyBit, mask, no, yes),
            _ => {
                let target = self.compare(Compare::Equal, value, yes, no);
                self.before(AND, mask, target)
            }
        };
        self.load(offset, target)
    }

    fn above(&mut self, compare: Compare, index: u8, value: u64, wide: bool, yes: Target, no: Target) -> Target {
        let target = self.compare(compare, low(value), yes, no);
        let target = self.load(low_half(index), target);
        if !wide {
            return target;
        }
        // An upper half that is not 0 is above 0.
        let otherwise = if high(value) == 0 { yes } else { self.compare(Compare::Greater, high(value), yes, no) };
        let target = self.compare(Compare::Equal, high(value), target, otherwise);
        self.load(high_half(index), target)
    }

    /// Puts an instruction that does not jump right before `next`.
    fn before(&mut self, code: u16, operand: u32, next: Target) -> Target {
        let next = self.reach(next, 0);
        if next + 1 != self.reversed.len() {
            self.skip(next);
        }
        self.push(code, 0, 0, operand)
    }

    fn skip(&mut self, to: usize) -> Target {
        self.push(SKIP, 0, 0, (self.reversed.len() - to - 1) as u32)
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Target {
        self.reversed.push(Instruction { code, jt, jf, k });
        Target::At(self.reversed.len() - 1)
    }

    /// The position of an instruction that leads to `target`, near enough for a conditional jump that is emitted
    /// after up to `between` further instructions. Emits one instruction if there is none.
    fn reach(&mut self, target: Target, between: usize) -> usize {
        const FARTHEST: usize = u8::MAX as usize;
        let here = self.reversed.len() + between;
        if let Target::At(position) = target
            && here - position - 1 <= FARTHEST
        {
            return position;
        }
        let known = self.nearest.iter().position(|(of, _)| *of == target);
        if let Some(known) = known
            && here - self.nearest[known].1 - 1 <= FARTHEST
        {
            return self.nearest[known].1;
        }
        match target {
            Target::Return(value) => self.push(RETURN, 0, 0, value),
            Target::At(position) => self.skip(position),
        };
        let position = self.reversed.len() - 1;
        match known {
            Some(known) => self.nearest[known].1 = position,
            None => self.nearest.push((target, position)),
        }
        position
    }
}

fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

fn low_half(index: u8) -> u32 {
    ARGUMENTS + 8 * u32::from(index)
}

fn high_half(index: u8) -> u32 {
    low_half(index) + 4
}
