//! What this machine's CPU can do: the only place that asks, and the only caller of [`Cpu::assume`] outside tests.
//!
//! The runtime has no `std` to ask with, and is told ([`Cpu`] is a proof); every program that runs models on the machine it
//! runs on asks here: `escarp-run` on a board, converter and trainer on the host.
#![expect(unsafe_code, reason = "Cpu::assume, each time right after the question")]
#![warn(missing_docs)]

use escarp_runtime::{Core, Cpu, Isa};

/// Every instruction set that kernels exist for, lower ones first.
const ISAS: [Isa; 3] = [Isa::Portable, Isa::Neon, Isa::Avx2];
/// Every kind of core.
const CORES: [Core; 2] = [Core::Generic, Core::A53];
/// Arm's part number of Cortex-A53 in /proc/cpuinfo.
const A53: &str = "0xd03";

/// The best this CPU has. The answer comes from the kernel (HWCAP) on aarch64: reading ID registers faults on the Linux 4.4
/// and 4.9 of the boards.
pub fn detect() -> Cpu {
    ISAS.into_iter().rev().find_map(cpu).unwrap_or(Cpu::PORTABLE).tuned_for(core())
}

/// Everything this CPU has, portable first: each instruction set, ordered for each kind of core. For tests and benchmarks.
pub fn all() -> Vec<Cpu> {
    let isas = ISAS.into_iter().filter_map(cpu);
    isas.flat_map(|cpu| CORES.map(|core| cpu.tuned_for(core))).collect()
}

/// The kind of core that runs this: [`Core::A53`] where the machine has no other, as a thread may move between cores.
fn core() -> Core {
    core_of(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
}

fn core_of(cpuinfo: &str) -> Core {
    let mut parts = cpuinfo.lines().filter_map(|line| line.strip_prefix("CPU part")?.split_once(':'));
    let first = parts.next().map(|(_, part)| part.trim());
    let all = first == Some(A53) && parts.all(|(_, part)| part.trim() == A53);
    if all { Core::A53 } else { Core::Generic }
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
    cpu(isa).map(|cpu| cpu.tuned_for(core())).ok_or_else(|| Error::Lacking {
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
        assert_eq!(named("portable").unwrap().isa(), Isa::Portable);
        assert_eq!(all().first(), Some(&Cpu::PORTABLE));
        assert!(all().contains(&detect()));
        if cfg!(target_arch = "aarch64") {
            assert_eq!(detect().isa(), Isa::Neon, "every aarch64 Linux has Advanced SIMD");
        }
    }

    /// As Linux prints it; rk3399 has both kinds of core.
    #[test]
    fn a_machine_of_one_kind_of_core_is_that_core() {
        let cpuinfo = |parts: &[&str]| {
            parts
                .iter()
                .map(|part| format!("processor\t: 0\nCPU part\t: {part}\nCPU revision\t: 4\n\n"))
                .collect::<String>()
        };
        assert_eq!(core_of(&cpuinfo(&["0xd03"; 4])), Core::A53);
        assert_eq!(core_of(&cpuinfo(&["0xd03", "0xd03", "0xd08"])), Core::Generic);
        assert_eq!(core_of(&cpuinfo(&["0xd07"; 4])), Core::Generic);
        assert_eq!([core_of(""), core_of("model name : x86")], [Core::Generic; 2]);
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
