//! A filter of system calls with ways around it.
//!
//! `filter_arch mount ptrace` prints a seccomp filter for an x86_64 machine that refuses these calls with EPERM and
//! allows all others. It is classic BPF, an instruction a line: code, jump if true, jump if false, operand (`tcpdump
//! -ddd` prints filters so). The kernel would run it before every system call of a container.
//!
//! The filter below compares the number of the call and nothing else. Three things are wrong with that:
//!
//! - An x86_64 kernel runs i386 programs too. There `mount` is call 21, and 165 is another call.
//! - Call 165 with bit 30 set (0x400000a5) is `mount` as well: the x32 table.
//! - `clone3` is to be answered with ENOSYS, so that the C library falls back to `clone`. With EPERM no program could
//!   start a thread any more.
//!
//! Close all three. A call of a table that you do not know must not be made: refuse it, or end the process.
//!
//! Read: the book, chapter 9, "The filter of system calls"; seccomp(2), which has a filter as an example.

#![allow(unused, reason = "until the gap is filled")]

use security::seccomp::Arch;
use security::seccomp::numbers::number;

/// One instruction, `struct sock_filter` of linux/filter.h.
struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    operand: u32,
}

/// Load 32 bits of `struct seccomp_data`, from the offset in `operand`.
const LOAD: u16 = 0x20;
/// Go on `jump_true` instructions further if the loaded number is `operand`, else `jump_false` further.
const IF_EQUAL: u16 = 0x15;
/// The same, if it is `operand` or more.
const IF_AT_LEAST: u16 = 0x35;
/// End, with the verdict in `operand`.
const RETURN: u16 = 0x06;

/// Where `struct seccomp_data` has the number of the call, and the architecture whose table it is from.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// `AUDIT_ARCH_X86_64` of linux/audit.h.
const X86_64: u32 = Arch::X86_64.audit();
/// The bit that calls of the x32 table have.
const X32: u32 = 0x4000_0000;

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
/// With an errno in the lower 16 bits.
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

fn main() {
    let refused: Vec<String> = std::env::args().skip(1).collect();
    let program = filter(&refused);
    for Instruction { code, jump_true, jump_false, operand } in program {
        println!("{code} {jump_true} {jump_false} {operand}");
    }
}

/// The program that refuses these calls.
fn filter(refused: &[String]) -> Vec<Instruction> {
    let mut program = vec![load(NUMBER)];
    for name in refused {
        let number = number(name, Arch::X86_64).unwrap_or_else(|| panic!("no system call {name:?}"));
        program.push(check(IF_EQUAL, number, 0, 1));
        program.push(end(ERRNO | EPERM));
    }
    program.push(end(ALLOW));
    program
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, jump_true: 0, jump_false: 0, operand: offset }
}

fn check(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, operand }
}

fn end(verdict: u32) -> Instruction {
    Instruction { code: RETURN, jump_true: 0, jump_false: 0, operand: verdict }
}
