//! An assembler for classic BPF that writes a program from its end.
//!
//! All jumps of such a program go forward, so what is written last runs first, and where a jump leads has been written
//! already. A conditional jump reaches 255 instructions; an unconditional one stands in between where that is too few.

use super::rules::Verdict;

/// One instruction, as the kernel reads it (linux/filter.h, `struct sock_filter`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// Load 32 bits of `seccomp_data` at an offset.
pub const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
/// Keep some bits of what was loaded.
pub const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
/// Return a verdict.
pub const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// Jump.
pub const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;

/// What is asked of the loaded number; the code of the jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Is {
    /// `==`
    Equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
    /// `>=`
    AtLeast = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16,
    /// `>`
    More = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16,
}

/// An instruction that has been written, counted from the program's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// A program that grows towards its beginning.
#[derive(Debug, Default)]
pub struct Assembler {
    backwards: Vec<Instruction>,
    returns: Vec<(Verdict, Label)>,
}

impl Assembler {
    /// Returns `verdict`. A return that is near is used again.
    pub fn ret(&mut self, verdict: Verdict) -> Label {
        let near = self.backwards.len().saturating_sub(128);
        let same = self.returns.iter().rev().find(|(known, label)| *known == verdict && label.0 >= near);
        match same {
            Some((_, label)) => *label,
            None => self.new_return(verdict),
        }
    }

    /// Loads the 32 bits at `offset`, then goes on at `then`.
    pub fn load(&mut self, offset: u32, then: Label) -> Label {
        self.follow(then);
        self.push(LOAD, offset, 0, 0)
    }

    /// Keeps the bits `mask` of what was loaded, then goes on at `then`.
    pub fn and(&mut self, mask: u32, then: Label) -> Label {
        self.follow(then);
        self.push(AND, mask, 0, 0)
    }

    /// Goes on at `yes` or at `no`.
    pub fn branch(&mut self, is: Is, value: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let yes = self.near(yes, 1); // what the next line may write lies in between
        let no = self.near(no, 0);
        let (jt, jf) = (self.distance(yes) as u8, self.distance(no) as u8);
        self.push(is as u16, value, jt, jf)
    }

    /// The program, which begins at `start`.
    pub fn finish(mut self, start: Label) -> Vec<Instruction> {
        self.follow(start);
        self.backwards.reverse();
        self.backwards
    }

    /// Makes `label` what runs after the instruction that is written next.
    fn follow(&mut self, label: Label) {
        if self.distance(label) > 0 {
            self.go_to(label);
        }
    }

    /// `label`, or a way there that a conditional jump reaches, also when `more` instructions come in between.
    fn near(&mut self, label: Label, more: usize) -> Label {
        if self.distance(label) + more <= usize::from(u8::MAX) { label } else { self.go_to(label) }
    }

    fn go_to(&mut self, label: Label) -> Label {
        let there = self.backwards[label.0];
        if there.code == RETURN {
            return self.new_return(Verdict(there.k));
        }
        let distance = self.distance(label) as u32;
        self.push(JUMP, distance, 0, 0)
    }

    fn new_return(&mut self, verdict: Verdict) -> Label {
        let label = self.push(RETURN, verdict.0, 0, 0);
        self.returns.push((verdict, label));
        label
    }

    /// How many instructions lie between the one that is written next and `label`.
    fn distance(&self, label: Label) -> usize {
        self.backwards.len() - 1 - label.0
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> Label {
        self.backwards.push(Instruction { code, jt, jf, k });
        Label(self.backwards.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_jumps_take_a_step_in_between() {
        let mut asm = Assembler::default();
        let end = asm.ret(Verdict::ALLOW);
        let mut label = asm.load(0, end);
        let far = label;
        for value in 0..300 {
            let other = asm.ret(Verdict::NOSYS);
            label = asm.branch(Is::Equal, value, other, label);
        }
        let start = asm.branch(Is::More, 7, far, label);
        let program = asm.finish(start);
        let Instruction { jt, k: 7, .. } = program[0] else { panic!("{:?}", program[0]) };
        let step = 1 + usize::from(jt);
        assert_eq!(program[step].code, JUMP);
        assert_eq!(program[step + 1 + program[step].k as usize].code, LOAD);
        assert!(program.len() < 310, "returns are shared: {}", program.len());
    }
}
