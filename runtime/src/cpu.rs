//! Which instructions the kernels may use.

/// An instruction set the kernels know. One ladder per architecture: a higher one contains the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust: the definition of every kernel.
    Portable,
    /// Armv8.0-A Advanced SIMD (Cortex-A53, A57, A72).
    Neon,
    /// x86-64 AVX2, for the host.
    Avx2,
}

impl Isa {
    /// The name that `ESCARP_ISA` and `--isa` take.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
        }
    }
}

/// Proof that the running CPU has `isa`: only [`Cpu::assume`] can claim more than the compiler knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu(Isa);

impl Cpu {
    /// No special instructions: valid everywhere.
    pub const PORTABLE: Cpu = Cpu(Isa::Portable);

    /// What the compilation target guarantees.
    pub const fn compiled() -> Cpu {
        if cfg!(all(target_arch = "aarch64", target_feature = "neon")) {
            Cpu(Isa::Neon)
        } else if cfg!(all(target_arch = "x86_64", target_feature = "avx2")) {
            Cpu(Isa::Avx2)
        } else {
            Cpu(Isa::Portable)
        }
    }

    /// The caller has asked the machine.
    ///
    /// # Safety
    /// The CPU that runs the kernels must implement `isa`.
    #[expect(unsafe_code, reason = "the one declaration that cannot be checked here")]
    pub const unsafe fn assume(isa: Isa) -> Cpu {
        Cpu(isa)
    }

    /// The instruction set proved.
    pub const fn isa(self) -> Isa {
        self.0
    }
}
