// SPDX-License-Identifier: Apache-2.0
//! Runs classic BPF programs as the kernel runs seccomp filters.

use insula_seccomp::Instruction;

/// `seccomp_data.arch` of the x86 ABIs; x32 has that of x86_64.
pub(crate) const X86_64: u32 = 0xc000_003e;
/// See [`X86_64`].
pub(crate) const I386: u32 = 0x4000_0003;
/// The bit in the numbers of x32.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// One call (`struct seccomp_data` without the instruction pointer).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) arch: u32,
    pub(crate) nr: u32,
    pub(crate) args: [u64; 6],
}

/// A call without arguments.
pub(crate) fn call(arch: u32, nr: u32) -> Call {
    Call { arch, nr, args: [0; 6] }
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        assert_eq!(offset % 4, 0, "unaligned load");
        match offset {
            0 => self.nr,
            4 => self.arch,
            8 | 12 => 0,
            16..64 => {
                let argument = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            _ => panic!("load at {offset}, beyond the call's data"),
        }
    }
}

/// What the program returns, and the positions of the instructions on the way.
pub(crate) fn run(program: &[Instruction], call: &Call) -> (u32, Vec<usize>) {
    let mut accumulator = 0;
    let mut counter = 0;
    let mut path = Vec::new();
    loop {
        path.push(counter);
        let Instruction { code, jt, jf, k } = program[counter];
        let jump = |condition: bool| usize::from(if condition { jt } else { jf });
        counter += 1;
        match code {
            0x20 => accumulator = call.word(k),
            0x54 => accumulator &= k,
            0x05 => counter += k as usize,
            0x15 => counter += jump(accumulator == k),
            0x25 => counter += jump(accumulator > k),
            0x35 => counter += jump(accumulator >= k),
            0x45 => counter += jump(accumulator & k != 0),
            0x06 => return (k, path),
            _ => panic!("instruction {code:#x} is not one of a filter"),
        }
    }
}

/// Fails unless the kernel would take the program: it has 1 to 4096 instructions, jumps stay inside, and every path
/// returns (`bpf_check_classic`).
pub(crate) fn check(program: &[Instruction]) {
    assert!((1..=4096).contains(&program.len()), "{} instructions", program.len());
    for (position, instruction) in program.iter().enumerate() {
        let farthest = match instruction.code {
            0x06 => continue,
            0x05 => instruction.k as usize,
            _ => usize::from(instruction.jt.max(instruction.jf)),
        };
        assert!(position + farthest + 1 < program.len(), "jump out of the program at {position}");
    }
}
