//! The architectures whose programs a kernel may run, and what it calls them.

use oci_spec::runtime::Arch as OciArch;

/// An instruction set with a table of system calls of its own. The order is that of the table in `numbers.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86, whose programs an x86_64 kernel runs too.
    I386,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM, whose programs an aarch64 kernel may run too.
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::I386, Self::Aarch64, Self::Arm, Self::Riscv64];

    /// The one that this program is built for.
    pub const fn native() -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::Aarch64
        } else if cfg!(target_arch = "riscv64") {
            Self::Riscv64
        } else if cfg!(target_arch = "x86") {
            Self::I386
        } else if cfg!(target_arch = "arm") {
            Self::Arm
        } else {
            Self::X86_64
        }
    }

    /// The value of `seccomp_data.arch` (linux/audit.h, `AUDIT_ARCH_*`): machine number of ELF, 64-bit and endian flags.
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
            Self::Riscv64 => 0xc000_00f3,
        }
    }

    /// As people say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I386 => "i386",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
        }
    }

    /// What a profile of Docker calls it in `includes.arches` and `excludes.arches`.
    pub const fn docker(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::I386 => "x86",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
        }
    }

    /// What OCI's config.json and libseccomp call it.
    pub const fn oci(self) -> OciArch {
        match self {
            Self::X86_64 => OciArch::ScmpArchX86_64,
            Self::I386 => OciArch::ScmpArchX86,
            Self::Aarch64 => OciArch::ScmpArchAarch64,
            Self::Arm => OciArch::ScmpArchArm,
            Self::Riscv64 => OciArch::ScmpArchRiscv64,
        }
    }
}
