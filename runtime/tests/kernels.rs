//! Every kernel of every instruction set that this CPU has equals the portable one bit for bit.
//!
//! The run says which architecture and instruction sets it exercised. `ESCARP_ISA=neon|avx2|portable` names one that must have
//! been among them: a test run that silently tested something else fails.

#[path = "kernels/depthwise.rs"]
mod depthwise;
#[path = "kernels/wide.rs"]
mod wide;

use escarp_runtime::{
    Cpu, Error,
    kernels::{Add, Combine, Conv, Epilogue, Groups, Kernels, Mul, PADDING, Residual, Runs, Table},
    quant::requantize,
};

/// Runs `check` on the table of each instruction set and kind of core, asserting what `ESCARP_ISA` promises.
fn for_each_cpu(test: &str, check: impl Fn(Cpu, &Kernels)) {
    let cpus = escarp_detect::all();
    let names: Vec<&str> = cpus.iter().map(|cpu| cpu.isa().name()).collect();
    let shown: Vec<String> = cpus.iter().map(|cpu| format!("{} ({})", cpu.isa().name(), cpu.core().name())).collect();
    eprintln!("{test}: {} with {}", std::env::consts::ARCH, shown.join(", "));
    if let Ok(wanted) = std::env::var("ESCARP_ISA") {
        assert!(names.contains(&wanted.as_str()), "ESCARP_ISA={wanted}, but this machine has {}", names.join(", "));
    }
    let mut seen: Vec<*const Kernels> = Vec::new();
    for cpu in cpus {
        let table = Kernels::for_cpu(cpu);
        // Cores that like the same order share a table.
        if !seen.contains(&std::ptr::from_ref(table)) {
            seen.push(table);
            check(cpu, table);
        }
    }
}

/// A 64-bit linear congruential generator (Knuth's MMIX constants); the high bits are the good ones.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// One of `low..=high`.
    fn within(&mut self, low: i32, high: i32) -> i32 {
        let count = (i64::from(high) - i64::from(low) + 1) as u64;
        (i64::from(low) + ((u64::from(self.bits()) * count) >> 32) as i64) as i32
    }

    /// Random bytes, or one value throughout where `fixed` says so.
    fn bytes(&mut self, len: usize, low: i8, fixed: Option<i8>) -> Vec<i8> {
        (0..len).map(|_| fixed.unwrap_or_else(|| self.within(low.into(), 127) as i8)).collect()
    }
}

/// What a convolution's values are made of.
#[derive(Clone, Copy, Debug)]
struct Values {
    /// `None`: random.
    input: Option<i8>,
    weights: Option<i8>,
    /// Largest |bias|; beyond 2^30 the sums wrap, and must do so alike.
    bias: i32,
    /// Range of the shifts.
    shifts: [u8; 2],
    residual: Option<Residual>,
    min: i16,
    max: i16,
}

const PLAIN: Values =
    Values { input: None, weights: None, bias: 100_000, shifts: [38, 46], residual: None, min: -128, max: 127 };

fn residual_values() -> impl Iterator<Item = Values> {
    let operands = [(0, 4096), (-128, 1 << 21), (127, 1 << 21), (5, 0), (-7, 1)];
    let shifts = [[24, 34], [16, 16], [62, 62], [16, 62]];
    operands.into_iter().flat_map(move |(zero_point, multiplier)| {
        let residual = Some(Residual { zero_point, multiplier });
        shifts.into_iter().map(move |shifts| Values { shifts, residual, ..PLAIN })
    })
}

/// Parameter blocks.
fn parameters(random: &mut Random, blocks: usize, values: Values) -> Vec<u8> {
    let mut params = Vec::new();
    for _ in 0..blocks {
        let bias = (0..8).flat_map(|_| random.within(-values.bias, values.bias).to_le_bytes()).collect::<Vec<_>>();
        let multiplier = (0..8).flat_map(|_| {
            match random.within(0, 9) {
                0 => 1 << 30,
                1 => i32::MAX,
                2 => 0, // a channel that is only padding
                _ => random.within(1 << 30, i32::MAX),
            }
            .to_le_bytes()
        });
        params.extend(bias);
        params.extend(multiplier.collect::<Vec<_>>());
        params.extend((0..8).map(|_| random.within(values.shifts[0].into(), values.shifts[1].into()) as u8));
    }
    params
}

/// Sizes of a convolution: strip, taps, input groups, output blocks.
type Sizes = [usize; 4];

fn check_conv(cpu: Cpu, kernels: &Kernels, seed: u64, [pixels, taps, groups, blocks]: Sizes, values: Values) {
    check_runs(cpu, kernels, seed, [pixels, taps, 8 * groups, blocks], values, None);
}

/// The same with channels in groups, for a number of channels instead of input groups.
fn check_runs(cpu: Cpu, kernels: &Kernels, seed: u64, sizes: Sizes, values: Values, groups: Option<Groups>) {
    let [pixels, taps, channels, blocks] = sizes;
    let random = &mut Random(seed);
    let runs = Runs::new(groups, channels as u16);
    let run = channels.next_multiple_of(8);
    // Runs overlap at any byte, and the last one ends where the input ends.
    let input = random.bytes(run * (pixels + 3), -128, values.input);
    let last = (input.len() - run) as i32;
    let mut offsets: Vec<u32> = (0..pixels * taps).map(|_| random.within(0, last) as u32).collect();
    for offset in &mut offsets {
        if random.within(0, 4) == 0 {
            *offset = PADDING;
        }
    }
    if let [first, .., end] = offsets.as_mut_slice() {
        (*first, *end) = (PADDING, last as u32);
    }
    let zeros = vec![random.within(-128, 127) as i8; runs.span()];
    let weights = random.bytes(blocks * taps * runs.span() * 8, -127, values.weights);
    let params = parameters(random, blocks, values);
    let epilogue = Epilogue {
        zero_point: random.within(-128, 127) as i8,
        min: values.min,
        max: values.max,
        residual: values.residual,
    };
    let conv = Conv {
        input: &input,
        offsets: &offsets,
        zeros: &zeros,
        taps,
        runs,
        weights: &weights,
        params: &params,
        epilogue,
    };
    let before = random.bytes(pixels * 8 * blocks, -128, None);
    let (mut want, mut got) = (before.clone(), before);
    Kernels::for_cpu(Cpu::PORTABLE).conv(&conv, &mut want).expect("the sizes fit");
    kernels.conv(&conv, &mut got).expect("the sizes fit");
    let sizes = format!("{pixels} pixels, {taps} taps, {channels} channels, {groups:?}, {blocks} blocks");
    assert_eq!(got, want, "{}: {sizes}, {values:?}, seed {seed}", cpu.isa().name());
}

#[test]
fn conv_equals_portable_at_every_size() {
    for_each_cpu("conv sizes", |cpu, kernels| {
        for pixels in [1, 2, 3, 8, 9] {
            for taps in [1, 2, 3, 9] {
                for groups in [1, 2, 3, 4, 7, 8] {
                    for blocks in [1, 2, 3] {
                        let seed = (pixels * 1000 + taps * 100 + groups * 10 + blocks) as u64;
                        check_conv(cpu, kernels, seed, [pixels, taps, groups, blocks], PLAIN);
                    }
                }
            }
        }
        check_conv(cpu, kernels, 7, [4, 49, 1, 8], PLAIN); // 7 x 7 on RGB
        check_conv(cpu, kernels, 8, [3, 9, 64, 2], PLAIN); // 512 channels
    });
}

#[test]
fn conv_equals_portable_at_the_ends_of_its_arithmetic() {
    for_each_cpu("conv ends", |cpu, kernels| {
        // Products at the end of int16: 2 * 128 * 127; saturating outputs; shifts at both limits; wrapping sums.
        let extremes = [Some(-128), Some(127), None];
        for input in extremes {
            for weights in [Some(-127), Some(127), None] {
                for shifts in [[32, 32], [62, 62], [32, 62]] {
                    for bias in [0, 1 << 30, i32::MAX] {
                        let values = Values { input, weights, shifts, bias, ..PLAIN };
                        for sizes in [[1, 1, 1, 1], [3, 9, 1, 1], [5, 9, 8, 2], [2, 1, 3, 1]] {
                            check_conv(cpu, kernels, 11, sizes, values);
                        }
                    }
                }
            }
        }
        for (min, max) in [(0, 127), (-128, -3), (-20, 20), (5, 5)] {
            check_conv(cpu, kernels, 12, [7, 9, 2, 2], Values { min, max, ..PLAIN });
        }
    });
}

#[test]
fn conv_of_groups_equals_portable() {
    for_each_cpu("conv groups", |cpu, kernels| {
        for (inputs, outputs) in
            [(1, 1usize), (2, 3), (4, 4), (5, 7), (8, 8), (16, 16), (24, 16), (17, 33), (3, 40), (40, 3)]
        {
            for (count, pixels, taps) in [(2, 1, 1), (3, 5, 9), (8, 2, 2), (9, 3, 1)] {
                let sizes = [pixels, taps, count * inputs, (count * outputs).div_ceil(8)];
                let groups = Groups { inputs: inputs as u16, outputs: outputs as u16 };
                for values in [PLAIN, residual_values().next().unwrap_or(PLAIN)] {
                    check_runs(cpu, kernels, (inputs * 100 + count) as u64, sizes, values, Some(groups));
                }
            }
        }
    });
}

#[test]
fn conv_with_residual_equals_portable() {
    for_each_cpu("conv residual", |cpu, kernels| {
        for (case, values) in residual_values().enumerate() {
            for bias in [1000, i32::MAX] {
                for sizes in [[1, 1, 1, 1], [5, 9, 2, 2], [4, 1, 3, 1]] {
                    check_conv(cpu, kernels, 100 + case as u64, sizes, Values { bias, ..values });
                }
            }
        }
    });
}

#[test]
fn requantization_is_exact_for_many_sums() {
    for_each_cpu("requantization", |cpu, kernels| {
        // No products: the sum is the bias, over the whole of int32.
        let values = Values { input: Some(0), bias: i32::MAX, shifts: [32, 62], ..PLAIN };
        let wide = Values { shifts: [16, 62], residual: Some(Residual { zero_point: 3, multiplier: 3000 }), ..values };
        for seed in 0..40 {
            check_conv(cpu, kernels, seed, [2, 1, 1, 64], values);
            check_conv(cpu, kernels, seed, [2, 1, 1, 64], wide);
        }
    });
}

#[test]
fn gemv_equals_portable() {
    for_each_cpu("gemv", |cpu, kernels| {
        for k8 in [1, 2, 3, 4, 5, 8, 16, 33] {
            for n8 in [1, 2, 3, 24] {
                for (x, weights) in
                    [(None, None), (Some(-128), Some(-127)), (Some(-128), Some(127)), (Some(127), Some(127))]
                {
                    let random = &mut Random((k8 * 100 + n8) as u64);
                    let x = random.bytes(8 * k8, -128, x);
                    let weights = random.bytes(64 * k8 * n8, -127, weights);
                    let (mut want, mut got) = (vec![1; 8 * n8], vec![-1; 8 * n8]);
                    Kernels::for_cpu(Cpu::PORTABLE).gemv(&x, &weights, &mut want).expect("the sizes fit");
                    kernels.gemv(&x, &weights, &mut got).expect("the sizes fit");
                    assert_eq!(got, want, "{}: {k8} groups, {n8} blocks", cpu.isa().name());
                }
            }
        }
    });
}

#[test]
fn add_equals_portable() {
    for_each_cpu("add", |cpu, kernels| {
        let mut random = Random(5);
        let (lengths, combine) = ([1, 7, 8, 9, 16, 40, 1027], [Combine::Sum, Combine::Maximum, Combine::Minimum]);
        let ends = [[1 << 21, 1 << 21], [-(1 << 21), -(1 << 21)], [1 << 21, -(1 << 21)], [1 << 21, 0]];
        for (len, combine) in lengths.into_iter().flat_map(|len| combine.map(|combine| (len, combine))) {
            for multipliers in ends.into_iter().chain([[4096, 4096], [0, 1], [3000, -700]]) {
                for zero_points in [[0, 0], [-128, -128], [127, 127], [-128, 127]] {
                    for (min, max) in [(-128, 127), (-5, 127), (3, 3)] {
                        let zero_point = random.within(-128, 127) as i8;
                        let add = Add { combine, zero_points, multipliers, zero_point, min, max };
                        let fixed = [None, Some(-128), Some(127)][len % 3];
                        let pixels = random.within(0, 3) as usize;
                        let (a, b) = (random.bytes(pixels * len, -128, fixed), random.bytes(len, -128, fixed));
                        let (mut want, mut got) = (a.clone(), a);
                        Kernels::for_cpu(Cpu::PORTABLE).add(&add, &mut want, &b).expect("the lengths fit");
                        kernels.add(&add, &mut got, &b).expect("the lengths fit");
                        assert_eq!(got, want, "{}: {pixels} x {len}, {add:?}", cpu.isa().name());
                    }
                }
            }
        }
        let (combine, multipliers) = (Combine::Sum, [4096; 2]);
        let add = Add { combine, zero_points: [0; 2], multipliers, zero_point: 0, min: -128, max: 127 };
        for (out, b) in [(8, 0), (8, 3), (7, 8)] {
            let refused = kernels.add(&add, &mut vec![0; out], &vec![0; b]);
            assert_eq!(refused, Err(Error::Kernel), "{}: {out}, {b}", cpu.isa().name());
        }
    });
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_written() {
    for_each_cpu("refusals", |cpu, kernels| {
        let (input, zeros, weights) = ([1i8; 48], [0; 16], [1; 2 * 2 * 64]);
        let mut params = [0; 72];
        params[64..].fill(32); // shifts; multipliers of 0 make zeros of every sum
        let epilogue = Epilogue { zero_point: 0, min: -128, max: 127, residual: None };
        let good = Conv {
            input: &input,
            offsets: &[0, PADDING, 32, 7],
            zeros: &zeros,
            taps: 2,
            runs: Runs::new(None, 16),
            weights: &weights,
            params: &params,
            epilogue,
        };
        let mut out = [9i8; 16];
        assert_eq!(kernels.conv(&Conv { offsets: &[PADDING; 4], ..good }, &mut out), Ok(()));
        assert_eq!(kernels.conv(&good, &mut out), Ok(()));
        assert_eq!(out, [0; 16]);
        let mut out = [9i8; 16];
        let bad = [
            ("an offset whose run ends behind the input", Conv { offsets: &[0, PADDING, 33, 7], ..good }),
            ("the largest offset", Conv { offsets: &[PADDING - 1, 0, 0, 0], ..good }),
            ("half a pixel", Conv { offsets: &[0, 0, 0], ..good }),
            ("an input shorter than a run", Conv { input: &input[..15], ..good }),
            ("zeros shorter than a run", Conv { zeros: &zeros[..15], ..good }),
            ("weights cut off", Conv { weights: &weights[..192], ..good }),
            ("parameters cut off", Conv { params: &params[..71], ..good }),
            ("no taps", Conv { taps: 0, ..good }),
            ("longer runs", Conv { runs: Runs::new(None, 17), ..good }),
            ("shorter runs", Conv { runs: Runs::new(None, 8), ..good }),
            ("sizes whose product overflows", Conv { taps: usize::MAX / 4, ..good }),
        ];
        for (what, conv) in bad {
            assert_eq!(kernels.conv(&conv, &mut out), Err(Error::Kernel), "{}: {what}", cpu.isa().name());
        }
        // Of 24 channels a block reads 16, from 8 on at most: the last offset may be 24.
        let groups = Groups { inputs: 12, outputs: 8 };
        let grouped = Conv { runs: Runs::new(Some(groups), 24), ..good };
        let one_more = kernels.conv(&Conv { offsets: &[0, PADDING, 25, 7], ..grouped }, &mut out);
        assert_eq!(one_more, Err(Error::Kernel), "{}: a group's run", cpu.isa().name());
        let fits = kernels.conv(&Conv { offsets: &[0, PADDING, 24, 7], ..grouped }, &mut [9i8; 16]);
        assert_eq!(fits, Ok(()), "{}: a group's run", cpu.isa().name());
        assert_eq!(kernels.conv(&good, &mut out[..8]), Err(Error::Kernel), "{}: output too short", cpu.isa().name());
        assert_eq!(out, [9; 16]);

        let mut acc = [9; 8];
        for (x, weights) in [(8, 63), (7, 64), (0, 0), (16, 64)] {
            let refused = kernels.gemv(&input[..x], &vec![1; weights], &mut acc);
            assert_eq!(refused, Err(Error::Kernel), "{}: {x} inputs, {weights} weights", cpu.isa().name());
        }
        assert_eq!(acc, [9; 8]);
    });
}

/// Every length around a vector's, every value, against the definition written out once more.
#[test]
fn lookup_equals_its_table() {
    for_each_cpu("lookup", |cpu, kernels| {
        let random = &mut Random(71);
        for len in (0..200).chain([1000, 4097]) {
            let table: Table = std::array::from_fn(|_| random.within(-128, 127) as i8);
            let values = random.bytes(len, -128, None);
            let want: Vec<i8> = values.iter().map(|&v| table[(v as i32 + 128) as usize]).collect();
            let mut got = values.clone();
            kernels.lookup(&table, &mut got);
            assert_eq!(got, want, "{}: {len} values {values:?}", cpu.isa().name());
        }
        let all: Vec<i8> = (-128..=127).collect();
        let table: Table = std::array::from_fn(|i| (i as u8).wrapping_mul(37).wrapping_add(11).cast_signed());
        let mut got = all.clone();
        kernels.lookup(&table, &mut got);
        assert_eq!(got, table, "{}", cpu.isa().name());
    });
}

#[test]
fn products_equal_their_definition() {
    for_each_cpu("mul", |cpu, kernels| {
        let random = &mut Random(72);
        for b_len in [1, 7, 8, 9, 16, 24, 40, 64] {
            for (pixels, shift) in [(0, 32), (1, 40), (1, 62), (5, 38), (33, 44)] {
                let mul = Mul {
                    zero_points: [random.within(-128, 127) as i8, random.within(-128, 127) as i8],
                    multiplier: [1 << 30, i32::MAX, random.within(1 << 30, i32::MAX)][random.within(0, 2) as usize],
                    shift,
                    zero_point: random.within(-128, 127) as i8,
                    min: random.within(-128, 0) as i16,
                    max: random.within(0, 127) as i16,
                };
                let (a, b) = (random.bytes(pixels * b_len, -128, None), random.bytes(b_len, -128, None));
                let want: Vec<i8> = a
                    .iter()
                    .zip(b.iter().cycle())
                    .map(|(&a, &b)| {
                        let [za, zb] = mul.zero_points.map(i32::from);
                        let y = requantize((a as i32 - za) * (b as i32 - zb), mul.multiplier, mul.shift);
                        (y + mul.zero_point as i32).clamp(mul.min.into(), mul.max.into()) as i8
                    })
                    .collect();
                let mut got = a.clone();
                kernels.mul(&mul, &mut got, &b).unwrap();
                assert_eq!(got, want, "{}: {pixels} x {b_len}, {mul:?}", cpu.isa().name());
            }
        }
        let mul = Mul { zero_points: [0; 2], multiplier: 1 << 30, shift: 32, zero_point: 0, min: -128, max: 127 };
        for (out, b) in [(8, 0), (8, 3), (7, 8)] {
            let refused = kernels.mul(&mul, &mut vec![0; out], &vec![0; b]);
            assert_eq!(refused, Err(Error::Kernel), "{}: {out}, {b}", cpu.isa().name());
        }
    });
}
