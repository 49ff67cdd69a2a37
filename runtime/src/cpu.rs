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

/// For which core the order of instructions is chosen: a wrong guess costs speed and changes no result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Core {
    /// Out of order (Cortex-A57, A72 and later, x86-64).
    #[default]
    Generic,
    /// Cortex-A53: in order, two instructions at a time.
    A53,
}

impl Core {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Core::Generic => "generic",
            Core::A53 => "a53",
        }
    }
}

/// Proof that the running CPU has an instruction set, and for which kind of core the kernels are to be ordered: only
/// [`Cpu::assume`] can claim more than the compiler knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    isa: Isa,
    core: Core,
}

impl Cpu {
    /// No special instructions: valid everywhere.
    pub const PORTABLE: Cpu = Cpu::generic(Isa::Portable);

    const fn generic(isa: Isa) -> Cpu {
        Cpu { isa, core: Core::Generic }
    }

    /// What the compilation target guarantees.
    pub const fn compiled() -> Cpu {
        if cfg!(all(target_arch = "aarch64", target_feature = "neon")) {
            Cpu::generic(Isa::Neon)
        } else if cfg!(all(target_arch = "x86_64", target_feature = "avx2")) {
            Cpu::generic(Isa::Avx2)
        } else {
            Cpu::PORTABLE
        }
    }

    /// The caller has asked the machine.
    ///
    /// # Safety
    /// The CPU that runs the kernels must implement `isa`.
    #[expect(unsafe_code, reason = "the one declaration that cannot be checked here")]
    pub const unsafe fn assume(isa: Isa) -> Cpu {
        Cpu::generic(isa)
    }

    /// The same instructions, ordered for that kind of core.
    #[must_use]
    pub const fn tuned_for(self, core: Core) -> Cpu {
        Cpu { core, ..self }
    }

    /// The instruction set proved.
    pub const fn isa(self) -> Isa {
        self.isa
    }

    /// The kind of core.
    pub const fn core(self) -> Core {
        self.core
    }
}
