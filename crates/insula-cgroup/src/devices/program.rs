// SPDX-License-Identifier: Apache-2.0
//! Device rules as a program of type BPF_PROG_TYPE_CGROUP_DEVICE, as short as it goes: the verifier's time is per
//! instruction, and a container pays it at every start.
//!
//! Per device type, exceptions with the same access share one test of the access; minors of one major below 64 become
//! a bit mask, runs become ranges, and all masks share the code that tests them. Jumps lead forward only.
//! Source: linux/bpf.h (struct bpf_cgroup_dev_ctx), the kernel's Documentation/bpf/standardization.

use super::{DeviceAccess, DeviceKind, DeviceRules, Exception, Target};
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_sys::bpf::Instruction;

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const MASK: u8 = 6;

// Operation codes: class | source (0 immediate, 8 register) | operation.
const LOAD_WORD: u8 = 0x61;
const LOAD_IMMEDIATE_64: u8 = 0x18;
const MOVE_32: u8 = 0xb4;
const MOVE_REGISTER_32: u8 = 0xbc;
const AND_32: u8 = 0x54;
const SHIFT_RIGHT_32: u8 = 0x74;
const SHIFT_RIGHT_REGISTER_64: u8 = 0x7f;
const JUMP: u8 = 0x05;
const JUMP_EQUAL: u8 = 0x16;
const JUMP_NOT_EQUAL: u8 = 0x56;
const JUMP_BITS: u8 = 0x46;
const JUMP_GREATER: u8 = 0x26;
const JUMP_LESS: u8 = 0xa6;
const JUMP_LESS_OR_EQUAL: u8 = 0xb6;
const EXIT: u8 = 0x95;

/// BPF_DEVCG_DEV_BLOCK and BPF_DEVCG_DEV_CHAR.
const SECTIONS: [(DeviceKind, i32); 2] = [(DeviceKind::Character, 2), (DeviceKind::Block, 1)];

/// A place in the program that is not known yet.
#[derive(Clone, Copy)]
struct Label(usize);

#[derive(Default)]
struct Assembler {
    code: Vec<Instruction>,
    /// Where each label is, once it is placed.
    places: Vec<usize>,
    /// Jumps and the labels they lead to.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn label(&mut self) -> Label {
        self.places.push(usize::MAX);
        Label(self.places.len() - 1)
    }

    fn place(&mut self, label: Label) {
        self.places[label.0] = self.code.len();
    }

    fn emit(&mut self, code: u8, destination: u8, source: u8, offset: i16, immediate: u32) {
        let registers = destination | source << 4;
        self.code.push(Instruction { code, registers, offset, immediate: immediate.cast_signed() });
    }

    fn jump(&mut self, code: u8, register: u8, immediate: u32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.emit(code, register, 0, 0, immediate);
    }

    fn load_mask(&mut self, mask: u64) {
        if mask > u64::from(u32::MAX) {
            self.emit(LOAD_IMMEDIATE_64, MASK, 0, 0, mask as u32);
            self.emit(0, 0, 0, 0, (mask >> 32) as u32);
        } else {
            self.emit(MOVE_32, MASK, 0, 0, mask as u32);
        }
    }

    fn finish(mut self) -> Option<Vec<Instruction>> {
        for &(from, label) in &self.jumps {
            let distance = self.places[label.0] - from - 1;
            self.code[from].offset = i16::try_from(distance).ok()?;
        }
        Some(self.code)
    }
}

/// The minors of one major that one access is about: sorted, each once.
struct Minors {
    major: u32,
    minors: Vec<u32>,
}

impl Minors {
    /// Maximal runs of neighbours.
    fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for &minor in &self.minors {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(minor) => *last = minor,
                _ => ranges.push((minor, minor)),
            }
        }
        ranges
    }

    /// Instructions that testing the minors one after the other takes.
    fn listed_length(&self) -> usize {
        1 + self.ranges().iter().map(|(first, last)| if first == last { 1 } else { 2 }).sum::<usize>()
    }

    fn mask(&self) -> Option<u64> {
        self.minors.iter().try_fold(0_u64, |mask, &minor| (minor < 64).then(|| mask | 1 << minor))
    }
}

/// Instructions that testing a mask takes, once for all majors.
const MASK_TEST: usize = 3;

impl DeviceRules {
    /// The program that decides as [`DeviceRules::decide`] does: it returns 1 to allow and 0 to deny.
    ///
    /// # Errors
    /// `InvalidConfig` if there are so many rules that a jump would be longer than BPF can express.
    pub fn program(&self) -> Result<Vec<Instruction>> {
        let common = self.wildcard(DeviceKind::Character).intersection(self.wildcard(DeviceKind::Block));
        let default = u32::from(self.default_allow);
        // The verifier refuses code that nothing leads to, so these two are their own programs.
        if self.exceptions.is_empty() || common == DeviceAccess::ALL {
            return Ok(constant(if self.exceptions.is_empty() { default } else { 1 - default }));
        }
        let mut assembler = Assembler::default();
        assembler.emit(LOAD_WORD, TYPE, CONTEXT, 0, 0);
        assembler.emit(LOAD_WORD, MAJOR, CONTEXT, 4, 0);
        assembler.emit(LOAD_WORD, MINOR, CONTEXT, 8, 0);
        assembler.emit(MOVE_REGISTER_32, ACCESS, TYPE, 0, 0);
        assembler.emit(SHIFT_RIGHT_32, ACCESS, 0, 0, 16);
        assembler.emit(AND_32, TYPE, 0, 0, 0xffff);
        let excepted = assembler.label();
        if !common.is_empty() {
            access_test(&mut assembler, common, self.default_allow, |assembler| assembler.jump(JUMP, 0, 0, excepted));
        }
        for (kind, number) in SECTIONS {
            let rules = self.needed(kind, common);
            if !rules.is_empty() {
                let end = assembler.label();
                assembler.jump(JUMP_NOT_EQUAL, TYPE, number.cast_unsigned(), end);
                section(&mut assembler, &rules, self.default_allow, excepted);
                assembler.place(end);
            }
        }
        assembler.emit(MOVE_32, RESULT, 0, 0, default);
        assembler.emit(EXIT, 0, 0, 0, 0);
        assembler.place(excepted);
        assembler.emit(MOVE_32, RESULT, 0, 0, 1 - default);
        assembler.emit(EXIT, 0, 0, 0, 0);
        assembler.finish().ok_or_else(|| {
            Error::invalid("/linux/resources/devices", "compile the device rules", "there are too many rules")
        })
    }

    /// The access that an exception for all devices of `kind` names.
    fn wildcard(&self, kind: DeviceKind) -> DeviceAccess {
        self.access_of(Target { major: None, minor: None, kind })
    }

    /// The exceptions of `kind` that neither a wider one nor the exception of `common` for all devices includes.
    fn needed(&self, kind: DeviceKind, common: DeviceAccess) -> Vec<Exception> {
        let of_kind = || self.exceptions.iter().filter(|exception| exception.target.kind == kind);
        let wide: Vec<&Exception> =
            of_kind().filter(|wide| wide.target.major.is_none() || wide.target.minor.is_none()).collect();
        let included = |exception: &Exception| {
            common.contains(exception.access)
                || wide.iter().any(|wide| {
                    wide.target != exception.target
                        && wide.target.major.is_none_or(|major| exception.target.major == Some(major))
                        && wide.target.minor.is_none_or(|minor| exception.target.minor == Some(minor))
                        && wide.access.contains(exception.access)
                })
        };
        of_kind().filter(|exception| !included(exception)).copied().collect()
    }
}

/// The program that always answers `result`.
fn constant(result: u32) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    assembler.emit(MOVE_32, RESULT, 0, 0, result);
    assembler.emit(EXIT, 0, 0, 0, 0);
    assembler.code
}

/// Runs what `body` emits only if everything asked is within `access`, with `partly` if anything asked is; else goes on
/// behind it.
fn access_test(assembler: &mut Assembler, access: DeviceAccess, partly: bool, body: impl FnOnce(&mut Assembler)) {
    let next = assembler.label();
    if access != DeviceAccess::ALL && partly {
        let inside = assembler.label();
        assembler.jump(JUMP_BITS, ACCESS, u32::from(access.bits()), inside);
        assembler.jump(JUMP, 0, 0, next);
        assembler.place(inside);
    } else if access != DeviceAccess::ALL {
        let others = DeviceAccess::ALL.without(access);
        assembler.jump(JUMP_BITS, ACCESS, u32::from(others.bits()), next);
    }
    body(assembler);
    assembler.place(next);
}

/// The exceptions of one device type, class by class of equal access.
fn section(assembler: &mut Assembler, rules: &[Exception], partly: bool, excepted: Label) {
    for bits in (1..=DeviceAccess::ALL.bits()).rev() {
        let access = DeviceAccess::from_bits(bits);
        let class: Vec<&Exception> = rules.iter().filter(|rule| rule.access == access).collect();
        if !class.is_empty() {
            access_test(assembler, access, partly, |assembler| class_tests(assembler, &class, excepted));
        }
    }
}

/// Exceptions of one type and one access: jumps to `excepted` if one matches, else falls through.
fn class_tests(assembler: &mut Assembler, class: &[&Exception], excepted: Label) {
    let mut by_major: Vec<Minors> = Vec::new();
    for rule in class {
        match (rule.target.major, rule.target.minor) {
            (None, None) => assembler.jump(JUMP, 0, 0, excepted),
            (None, Some(minor)) => assembler.jump(JUMP_EQUAL, MINOR, minor, excepted),
            (Some(major), None) => assembler.jump(JUMP_EQUAL, MAJOR, major, excepted),
            (Some(major), Some(minor)) => match by_major.last_mut() {
                Some(group) if group.major == major => group.minors.push(minor),
                _ => by_major.push(Minors { major, minors: Vec::from([minor]) }),
            },
        }
    }
    let (masked, listed) = split(by_major);
    for group in listed {
        let next = assembler.label();
        assembler.jump(JUMP_NOT_EQUAL, MAJOR, group.major, next);
        for (first, last) in group.ranges() {
            if first == last {
                assembler.jump(JUMP_EQUAL, MINOR, first, excepted);
            } else {
                let above = assembler.label();
                assembler.jump(JUMP_LESS, MINOR, first, above);
                assembler.jump(JUMP_LESS_OR_EQUAL, MINOR, last, excepted);
                assembler.place(above);
            }
        }
        assembler.place(next);
    }
    mask_tests(assembler, &masked, excepted);
}

/// Those majors for which a mask is shorter than a list, with their masks; and the others.
fn split(groups: Vec<Minors>) -> (Vec<(u32, u64)>, Vec<Minors>) {
    let chain = |mask: u64| if mask > u64::from(u32::MAX) { 3 } else { 2 };
    let mut saved = 0;
    for group in &groups {
        if let Some(mask) = group.mask() {
            saved += group.listed_length().saturating_sub(chain(mask));
        }
    }
    if saved <= MASK_TEST {
        return (Vec::new(), groups);
    }
    let mut masked = Vec::new();
    let mut listed = Vec::new();
    for group in groups {
        match group.mask() {
            Some(mask) if group.listed_length() > chain(mask) => masked.push((group.major, mask)),
            _ => listed.push(group),
        }
    }
    (masked, listed)
}

fn mask_tests(assembler: &mut Assembler, masked: &[(u32, u64)], excepted: Label) {
    let Some((&(last, last_mask), others)) = masked.split_last() else { return };
    let (test, next) = (assembler.label(), assembler.label());
    for &(major, mask) in others {
        assembler.load_mask(mask);
        assembler.jump(JUMP_EQUAL, MAJOR, major, test);
    }
    assembler.load_mask(last_mask);
    assembler.jump(JUMP_NOT_EQUAL, MAJOR, last, next);
    assembler.place(test);
    assembler.jump(JUMP_GREATER, MINOR, 63, next);
    assembler.emit(SHIFT_RIGHT_REGISTER_64, MASK, MINOR, 0, 0);
    assembler.jump(JUMP_BITS, MASK, 1, excepted);
    assembler.place(next);
}
