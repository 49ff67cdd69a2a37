//! What the benchmarks share: the instruction sets of this machine, reproducible values, and short criterion settings.
//!
//! `cargo bench -p escarp-benches` runs both; `--bench kernels -- 'conv/3x3 16->16'` one shape. Throughput is in
//! multiply-adds of the network's own shapes: padding to groups of 8 channels counts as time, not as work.
//!
//! | room | what stands there |
//! |---|---|
//! | `kernels`, `models` | the benchmarks: each kernel on each instruction set; whole networks, tract beside us |

use std::time::Duration;

use criterion::Criterion;
use escarp_detect::detect;
use escarp_runtime::Cpu;

/// The portable kernels and this machine's best, if it has better.
pub fn cpus() -> Vec<Cpu> {
    let mut cpus = vec![Cpu::PORTABLE];
    if detect() != Cpu::PORTABLE {
        cpus.push(detect());
    }
    cpus
}

/// Reproducible values in `low..=127`: time depends on shapes alone, but zeros might be cheap somewhere.
pub fn values(len: usize, low: i8) -> Vec<i8> {
    let mut seed = 0x9e37_79b9_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as i8
    };
    (0..len).map(|_| random().max(low)).collect()
}

/// Criterion with times that keep the whole run to a minute or two; a change of 5 % still shows.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}
