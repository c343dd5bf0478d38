// SPDX-License-Identifier: Apache-2.0
//! libseccomp driven as runc drives it, with runc's own instructions for newer calls told in Rust.
#![allow(unsafe_code)]

use crate::interpreter::{Call, I386, X32_BIT, X86_64, run};
use crate::meaning::{self, ABIS, Abi, Meaning, action};
use insula_seccomp::Instruction;
use insula_spec::{Seccomp, Syscall, SyscallArg};
use std::collections::BTreeSet;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::io::Read;
use std::os::fd::AsRawFd;

#[repr(C)]
#[derive(Clone, Copy)]
struct ArgCmp {
    arg: c_uint,
    op: c_int,
    datum_a: u64,
    datum_b: u64,
}

#[link(name = "seccomp")]
unsafe extern "C" {
    fn seccomp_init(default: u32) -> *mut c_void;
    fn seccomp_release(filter: *mut c_void);
    fn seccomp_attr_set(filter: *mut c_void, attribute: c_int, value: u32) -> c_int;
    fn seccomp_arch_add(filter: *mut c_void, arch: u32) -> c_int;
    fn seccomp_rule_add_array(filter: *mut c_void, action: u32, nr: c_int, count: c_uint, args: *const ArgCmp)
    -> c_int;
    fn seccomp_export_bpf(filter: *const c_void, descriptor: c_int) -> c_int;
    fn seccomp_syscall_resolve_name_arch(arch: u32, name: *const c_char) -> c_int;
}

/// `SCMP_FLTATR_CTL_OPTIMIZE`.
const OPTIMIZE: c_int = 8;

/// `__NR_SCMP_ERROR`.
const UNKNOWN: c_int = -1;

const EINVAL: c_int = 22;

/// `SECCOMP_RET_ERRNO` with `ENOSYS`.
const ENOSYS: u32 = 0x0005_0026;

const BOUNDS: [&str; 4] = ["SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT"];
const MASKED_EQ: &str = "SCMP_CMP_MASKED_EQ";

/// libseccomp's number for a call: negative if it knows the name and the ABI has no such call of its own.
pub(crate) fn number(abi: Abi, name: &str) -> Option<c_int> {
    let name = CString::new(name).expect("no NUL");
    // SAFETY: `name` is a string that ends with NUL and outlives the call.
    let number = unsafe { seccomp_syscall_resolve_name_arch(abi as u32, name.as_ptr()) };
    (number != UNKNOWN).then_some(number)
}

/// Whether both know the name, with the same number on every ABI.
pub(crate) fn agrees(name: &str) -> bool {
    ABIS.iter().all(|&abi| match number(abi, name) {
        // A call of socketcall or ipc, which says nothing about the number of its own.
        Some(-299..=-100) => true,
        Some(theirs) => meaning::number(abi, name) == u32::try_from(theirs).ok(),
        None => false,
    })
}

/// Whether libseccomp mixes up the rules of a call: of two that bound one 64-bit argument, where one has further
/// conditions, it tests the upper half but once for both, and then goes on with the conditions of either.
pub(crate) fn mixed_up(meaning: &Meaning<'_>, arch: u32, nr: u32) -> bool {
    let rules = if arch == X86_64 { meaning.rules(Abi::X86_64, nr) } else { &[] };
    let bounds = |rule: &Syscall<'_>, index: u32| {
        let of_index = rule.args.iter().filter(|condition| condition.index == index);
        of_index.filter(|condition| BOUNDS.contains(&condition.op.as_str())).count()
    };
    (0..6).any(|index| {
        let bounding = || rules.iter().map(|(rule, _)| rule).filter(|rule| bounds(rule, index) > 0);
        bounding().count() > 1 && bounding().any(|rule| rule.args.len() > bounds(rule, index))
    })
}

/// Whether the rules that match a call have different actions, and one of them a mask: which comes first is no promise.
pub(crate) fn unordered(meant: Option<u32>, matching: &[&Syscall<'_>]) -> bool {
    meant.is_none() && matching.iter().any(|rule| rule.args.iter().any(|condition| condition.op == MASKED_EQ))
}

/// What libseccomp makes of a profile.
pub(crate) struct Reference {
    program: Vec<Instruction>,
    /// ABIs with the greatest number that the profile names, where calls above get `ENOSYS`.
    newest: Vec<(Abi, u32)>,
    /// Positions of comparisons that come upon different loaded words, depending on the path.
    ambiguous: BTreeSet<usize>,
}

struct Context(*mut c_void);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer is from `seccomp_init` and is released only here.
        unsafe { seccomp_release(self.0) }
    }
}

fn condition(argument: &SyscallArg<'_>) -> ArgCmp {
    let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let word = argument.op.strip_prefix("SCMP_CMP_").expect("an operator");
    let op = operators.iter().position(|known| *known == word).expect("a known operator") as c_int + 1;
    ArgCmp { arg: argument.index, op, datum_a: argument.value, datum_b: argument.value_two }
}

impl Reference {
    /// `Err` with the errno if libseccomp refuses the profile.
    pub(crate) fn new(profile: &Seccomp<'_>) -> Result<Self, c_int> {
        let refused = |result: c_int| if result < 0 { Err(-result) } else { Ok(()) };
        let default = action(&profile.default_action, profile.default_errno_ret);
        // SAFETY: it takes any value and gives NULL for those that it does not know.
        let filter = Context(unsafe { seccomp_init(default) });
        if filter.0.is_null() {
            // 4095 is no errno to it.
            return Err(EINVAL);
        }
        let mut abis = vec![Abi::X86_64];
        for word in &profile.architectures {
            let abi = match word.as_str() {
                "SCMP_ARCH_X86" => Abi::X86,
                "SCMP_ARCH_X32" => Abi::X32,
                _ => continue,
            };
            if !abis.contains(&abi) {
                abis.push(abi);
                // SAFETY: the filter is alive; unknown architectures are an error.
                refused(unsafe { seccomp_arch_add(filter.0, abi as u32) })?;
            }
        }
        if profile.syscalls.iter().map(|rule| rule.names.len()).sum::<usize>() > 32 {
            // SAFETY: the filter is alive; an attribute that it does not know is an error.
            refused(unsafe { seccomp_attr_set(filter.0, OPTIMIZE, 2) })?;
        }
        for rule in &profile.syscalls {
            let value = action(&rule.action, rule.errno_ret);
            let conditions: Vec<_> = rule.args.iter().map(condition).collect();
            let mut indices: Vec<_> = conditions.iter().map(|condition| condition.arg).collect();
            indices.sort_unstable();
            let alternatives: Vec<&[ArgCmp]> = if indices.windows(2).any(|pair| pair[0] == pair[1]) {
                conditions.iter().map(std::slice::from_ref).collect()
            } else {
                vec![&conditions]
            };
            for name in &rule.names {
                let Some(nr) = number(Abi::X86_64, name) else { continue };
                if value == default {
                    continue;
                }
                for conditions in &alternatives {
                    let count = conditions.len() as c_uint;
                    // SAFETY: the filter is alive; `conditions` has `count` elements and is only read.
                    refused(unsafe { seccomp_rule_add_array(filter.0, value, nr, count, conditions.as_ptr()) })?;
                }
            }
        }
        let newest = if ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].contains(&profile.default_action.as_str())
        {
            Vec::new()
        } else {
            abis.iter().filter_map(|&abi| Some((abi, newest(profile, abi)?))).collect()
        };
        let program = export(&filter)?;
        Ok(Self { ambiguous: ambiguous(&program), program, newest })
    }

    /// The answer to a call; `Err` with it if a comparison on the way was compiled wrongly.
    pub(crate) fn verdict(&self, call: &Call) -> Result<u32, u32> {
        let wants_x32 = call.nr & X32_BIT != 0;
        let newest = self.newest.iter().find(|(abi, _)| match abi {
            Abi::X86 => call.arch == I386,
            Abi::X86_64 => call.arch == X86_64 && !wants_x32,
            Abi::X32 => call.arch == X86_64 && wants_x32,
        });
        match newest {
            Some(&(_, newest)) if call.nr > newest => Ok(ENOSYS),
            _ => {
                let (answer, path) = run(&self.program, call);
                if path.iter().any(|position| self.ambiguous.contains(position)) { Err(answer) } else { Ok(answer) }
            }
        }
    }
}

/// Where libseccomp's program is wrong whatever the profile: it forgets to load a word again when a comparison is
/// reached from two places, one of which has loaded another half of the argument. (Seen in 2.5.4 and 2.6.1, with
/// several conditions on one argument. 2.5.4 also compares the architecture with numbers, if x32 comes first.)
fn ambiguous(program: &[Instruction]) -> BTreeSet<usize> {
    /// What the accumulator holds: the offset of the word and the bits that were kept.
    type Loaded = BTreeSet<(u32, u32)>;
    let mut loaded = vec![Loaded::new(); program.len() + 1];
    let mut ambiguous = BTreeSet::new();
    for (position, instruction) in program.iter().enumerate() {
        let before = loaded[position].clone();
        let next = position + 1;
        let k = instruction.k;
        match instruction.code {
            0x06 => {}
            0x20 => loaded[next].extend([(k, u32::MAX)]),
            0x54 => loaded[next].extend(before.iter().map(|&(offset, mask)| (offset, mask & k))),
            0x05 => loaded[next + k as usize].extend(&before),
            _ => {
                let is_architecture = [I386, X86_64].contains(&k);
                if before.len() > 1 || before.contains(&(4, u32::MAX)) && !is_architecture {
                    ambiguous.insert(position);
                }
                for jump in [instruction.jt, instruction.jf] {
                    loaded[next + usize::from(jump)].extend(&before);
                }
            }
        }
    }
    ambiguous
}

/// The greatest number that a profile names, as runc looks for it.
fn newest(profile: &Seccomp<'_>, abi: Abi) -> Option<u32> {
    let names = profile.syscalls.iter().flat_map(|rule| &rule.names);
    names.filter_map(|name| u32::try_from(number(abi, name)?).ok()).max().filter(|&number| number != 0)
}

fn export(filter: &Context) -> Result<Vec<Instruction>, c_int> {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let exported = std::thread::scope(|scope| {
        let bytes = scope.spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        // SAFETY: the filter is alive and only this thread uses it; the descriptor is open until `writer` is dropped.
        let result = unsafe { seccomp_export_bpf(filter.0, writer.as_raw_fd()) };
        drop(writer);
        let bytes = bytes.join().expect("the reader does not panic").expect("a pipe can be read");
        if result < 0 { Err(-result) } else { Ok(bytes) }
    })?;
    let instructions = exported.chunks_exact(8).map(|bytes| Instruction {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    });
    Ok(instructions.collect())
}
