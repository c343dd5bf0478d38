// SPDX-License-Identifier: Apache-2.0
// The device rules of the default document as a BPF program: each class of devices is one bit mask over minor numbers,
// which the verifier passes in half the time of a chain of comparisons.
#include "floor.h"

#include <linux/bpf.h>

#define I(code_, dst, src, offset, value)                                                                          \
    { .code = code_, .dst_reg = dst, .src_reg = src, .off = offset, .imm = value }

static const struct bpf_insn program[] = {
    I(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0),          //  0 r2 = access << 16 | type
    I(BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0),          //  1 r4 = major
    I(BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0),          //  2 r5 = minor
    I(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1),        //  3 r0 = allow
    I(BPF_ALU64 | BPF_MOV | BPF_X, 3, 2, 0, 0),        //  4
    I(BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16),         //  5 r3 = access
    I(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 13, 1),         //  6 only mknod: allow (20)
    I(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff),     //  7 r2 = type
    I(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 10, 2),         //  8 not a character device: deny (19)
    I(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 10, 136),       //  9 a pseudo-terminal: allow (20)
    I(BPF_ALU64 | BPF_MOV | BPF_K, 6, 0, 0, 0x3a8),    // 10 major 1: minors 3 5 7 8 9
    I(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 2, 1),          // 11
    I(BPF_ALU64 | BPF_MOV | BPF_K, 6, 0, 0, 5),        // 12 major 5: minors 0 2
    I(BPF_JMP | BPF_JNE | BPF_K, 4, 0, 5, 5),          // 13 any other: deny (19)
    I(BPF_JMP | BPF_JGT | BPF_K, 5, 0, 4, 31),         // 14
    I(BPF_ALU64 | BPF_RSH | BPF_X, 6, 5, 0, 0),        // 15
    I(BPF_ALU | BPF_AND | BPF_K, 6, 0, 0, 1),          // 16
    I(BPF_ALU64 | BPF_MOV | BPF_X, 0, 6, 0, 0),        // 17
    I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),                 // 18
    I(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),        // 19 deny
    I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),                 // 20
};

void device_filter_attach(int cgroup_dir) {
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insns = (uint64_t)program,
        .insn_cnt = sizeof program / sizeof *program,
        .license = (uint64_t) "GPL",
    };
    word filter = MUST(bpf, BPF_PROG_LOAD, &load, sizeof load);
    union bpf_attr attach = {
        .target_fd = cgroup_dir,
        .attach_bpf_fd = filter,
        .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI,
    };
    MUST(bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
    SYS(close, filter);
}
