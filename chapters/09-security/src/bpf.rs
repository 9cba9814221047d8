//! A very small assembler for the kernel's own machine, BPF (Documentation/bpf/standardization/instruction-set.rst).
//!
//! A program is a list of 64-bit instructions on eleven registers: `r1` holds a pointer to what the program is asked
//! about, `r0` the answer. The kernel's verifier admits it only if every path ends, nothing is read that was not
//! written, and no instruction is out of reach.

/// A register. `r0` is the answer, `r1` the question; the others are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reg(pub u8);

/// The answer.
pub const ANSWER: Reg = Reg(0);
/// The pointer to the question.
pub const CONTEXT: Reg = Reg(1);

/// One instruction. Numbers are 32 bits wide; `skip` counts the instructions that are jumped over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `to = *(u32 *)(CONTEXT + offset)`
    Load { to: Reg, offset: i16 },
    /// `to = from`
    Copy { to: Reg, from: Reg },
    /// `to = value`
    Set { to: Reg, value: u32 },
    /// `reg &= mask`
    And { reg: Reg, mask: u32 },
    /// `reg >>= by`
    Shift { reg: Reg, by: u32 },
    /// Always jumps.
    Jump { skip: u16 },
    /// Jumps if `reg != value`.
    Unless { reg: Reg, value: u32, skip: u16 },
    /// Jumps if `reg & bits != 0`.
    IfAny { reg: Reg, bits: u32, skip: u16 },
    /// Returns what is in [`ANSWER`].
    Exit,
}

impl Op {
    /// The instruction as the kernel reads it: code, registers (destination low, source high), offset, constant.
    pub fn encode(self) -> u64 {
        let (code, to, from, offset, value) = match self {
            Self::Load { to, offset } => (0x61, to, CONTEXT, offset.cast_unsigned(), 0),
            Self::Copy { to, from } => (0xbc, to, from, 0, 0),
            Self::Set { to, value } => (0xb4, to, Reg(0), 0, value),
            Self::And { reg, mask } => (0x54, reg, Reg(0), 0, mask),
            Self::Shift { reg, by } => (0x74, reg, Reg(0), 0, by),
            Self::Jump { skip } => (0x05, Reg(0), Reg(0), skip, 0),
            Self::Unless { reg, value, skip } => (0x56, reg, Reg(0), skip, value),
            Self::IfAny { reg, bits, skip } => (0x46, reg, Reg(0), skip, bits),
            Self::Exit => (0x95, Reg(0), Reg(0), 0, 0),
        };
        let bytes = [code, to.0 | from.0 << 4, offset.to_ne_bytes()[0], offset.to_ne_bytes()[1]];
        let mut all = [0; 8];
        all[..4].copy_from_slice(&bytes);
        all[4..].copy_from_slice(&value.to_ne_bytes());
        u64::from_ne_bytes(all)
    }
}

/// Runs a program as the kernel would, on a question of 32-bit words; none if the verifier would have refused it.
#[cfg(test)]
pub fn interpret(program: &[u64], question: &[u32]) -> Option<u32> {
    let mut registers = [None; 11];
    let mut at = 0_usize;
    loop {
        let instruction = program.get(at)?.to_ne_bytes();
        let [code, both, ..] = instruction;
        let (to, from) = (usize::from(both & 0xf), usize::from(both >> 4));
        let offset = i16::from_ne_bytes([instruction[2], instruction[3]]);
        let value = u32::from_ne_bytes(instruction[4..].try_into().ok()?);
        at += 1;
        let skip = usize::try_from(offset).ok()?;
        match code {
            0x61 if from == 1 => registers[to] = Some(*question.get(skip / 4)?),
            0xbc => registers[to] = Some(registers[from]?),
            0xb4 => registers[to] = Some(value),
            0x54 => registers[to] = Some(registers[to]? & value),
            0x74 => registers[to] = Some(registers[to]? >> value),
            0x05 => at += skip,
            0x56 if registers[to]? != value => at += skip,
            0x46 if registers[to]? & value != 0 => at += skip,
            0x56 | 0x46 => {}
            0x95 => return registers[0],
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_those_of_the_kernels_own_assembler() {
        // As `llvm-objdump` shows them: r2 = *(u32 *)(r1 + 4); w2 >>= 16; if w2 != 3 goto +2; exit
        let little = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
        if cfg!(target_endian = "little") {
            assert_eq!(Op::Load { to: Reg(2), offset: 4 }.encode(), little([0x61, 0x12, 4, 0, 0, 0, 0, 0]));
            assert_eq!(Op::Shift { reg: Reg(2), by: 16 }.encode(), little([0x74, 2, 0, 0, 16, 0, 0, 0]));
            assert_eq!(Op::Unless { reg: Reg(2), value: 3, skip: 2 }.encode(), little([0x56, 2, 2, 0, 3, 0, 0, 0]));
            assert_eq!(Op::Exit.encode(), little([0x95, 0, 0, 0, 0, 0, 0, 0]));
        }
    }
}
