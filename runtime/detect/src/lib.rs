//! What this machine's CPU can do: the only place that asks, and the only caller of [`Cpu::assume`] outside tests.
//!
//! The runtime has no `std` to ask with, and is told ([`Cpu`] is a proof); every program that runs models on the machine it
//! runs on asks here: `escarp-run` on a board, converter and trainer on the host.
#![expect(unsafe_code, reason = "Cpu::assume, each time right after the question")]
#![warn(missing_docs)]

use escarp_runtime::{Cpu, Isa};

/// Every instruction set that kernels exist for.
const ISAS: [Isa; 3] = [Isa::Portable, Isa::Neon, Isa::Avx2];

/// The best this CPU has. The answer comes from the kernel (HWCAP) on aarch64: reading ID registers faults on the Linux 4.4
/// and 4.9 of the boards.
pub fn detect() -> Cpu {
    ISAS.into_iter().rev().find_map(cpu).unwrap_or(Cpu::PORTABLE)
}

/// The proof that this CPU has `isa`, if it has.
fn cpu(isa: Isa) -> Option<Cpu> {
    let has = match isa {
        Isa::Portable => true,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
        _ => false,
    };
    // SAFETY: the machine has just said that it has `isa`.
    has.then(|| unsafe { Cpu::assume(isa) })
}

/// Why there is no proof of an instruction set that was asked for by name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a name of an instruction set.
    #[error("{given}: unknown instruction set; there are: {allowed}")]
    Unknown {
        /// What was asked for.
        given: String,
        /// What there is.
        allowed: String,
    },
    /// This CPU cannot do that.
    #[error("{asked}: this {arch} CPU does not have it; it has: {has}")]
    Lacking {
        /// What was asked for.
        asked: &'static str,
        /// The machine's architecture.
        arch: &'static str,
        /// What it has.
        has: String,
    },
}

/// The instruction set of that name ([`Isa::name`]).
///
/// # Errors
/// [`Error::Unknown`]; [`Error::Lacking`] if this CPU cannot do it.
pub fn named(name: &str) -> Result<Cpu, Error> {
    let names = |isas: &mut dyn Iterator<Item = Isa>| isas.map(Isa::name).collect::<Vec<_>>().join(", ");
    let isa = ISAS.into_iter().find(|isa| isa.name() == name);
    let isa = isa.ok_or_else(|| Error::Unknown { given: name.into(), allowed: names(&mut ISAS.into_iter()) })?;
    cpu(isa).ok_or_else(|| Error::Lacking {
        asked: isa.name(),
        arch: std::env::consts::ARCH,
        has: names(&mut ISAS.into_iter().filter(|i| cpu(*i).is_some())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_one_that_can_be_named() {
        assert_eq!(named(detect().isa().name()).unwrap(), detect());
        assert_eq!(named("portable").unwrap(), Cpu::PORTABLE);
        if cfg!(target_arch = "aarch64") {
            assert_eq!(detect().isa(), Isa::Neon, "every aarch64 Linux has Advanced SIMD");
        }
    }

    #[test]
    fn what_the_cpu_lacks_is_refused() {
        let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        let error = named(foreign).unwrap_err();
        assert!(matches!(error, Error::Lacking { .. }), "{error:?}");
        assert!(error.to_string().contains(foreign) && error.to_string().contains("portable"), "{error}");
        let error = named("sse9").unwrap_err();
        assert_eq!(error.to_string(), "sse9: unknown instruction set; there are: portable, neon, avx2");
    }
}
