//! Kernels that read or make int16, for every combination of types.

use escarp_runtime::{
    Dtype, Error,
    kernels::{
        Activation, AddWide, Combine, Conv, Depthwise, Epilogue, Groups, Kernels, MulWide, PADDING, Residual, Runs,
    },
};

use crate::{Cpu, PLAIN, Random, Values, for_each_cpu, parameters};

/// Values of a type: random, every few at its ends, or one of its ends throughout.
fn numbers<T: Activation>(random: &mut Random, len: usize, fixed: Option<i8>) -> Vec<T> {
    let (least, most) = if T::DTYPE == Dtype::I8 { (-128, 127) } else { (-32768, 32767) };
    let mut number = || match (fixed, random.within(0, 9)) {
        (Some(i8::MIN), _) | (None, 0) => least,
        (Some(_), _) | (None, 1) => most,
        _ => random.within(least, most),
    };
    (0..len).map(|_| T::saturated(number())).collect()
}

/// Limits of a type: those of int8, or as many times as far apart.
fn limits<T: Activation>(values: Values) -> [i16; 2] {
    let wide = T::DTYPE == Dtype::I16;
    [values.min, values.max].map(|limit| if wide { (limit * 256).saturating_add(limit) } else { limit })
}

/// Parameters whose shifts bring a sum of products of `X` into the range of `Y`; as they are where they are at an end.
fn scaling<X: Activation, Y: Activation>(random: &mut Random, blocks: usize, values: Values) -> Vec<u8> {
    let least = if Y::DTYPE == Dtype::I16 || values.residual.is_some() { 16 } else { 32 };
    let by = 8 * ((X::DTYPE == Dtype::I16) as i32 - (Y::DTYPE == Dtype::I16) as i32);
    let moved = |shift: u8| match shift {
        62 => 62,
        _ => (shift as i32 + by).clamp(least, 62) as u8,
    };
    parameters(random, blocks, Values { shifts: values.shifts.map(moved), ..values })
}

fn residual<Y: Activation>(values: Values) -> Option<Residual> {
    values.residual.map(|residual| match Y::DTYPE {
        Dtype::I8 => residual,
        // Q20; the largest is a ratio twice that of Q12.
        _ => Residual { multiplier: residual.multiplier << 9, ..residual },
    })
}

fn offsets(random: &mut Random, count: usize, last: usize) -> Vec<u32> {
    let mut offset = |_| if random.within(0, 4) == 0 { PADDING } else { random.within(0, last as i32) as u32 };
    let mut offsets: Vec<u32> = (0..count).map(&mut offset).collect();
    if let [first, .., end] = offsets.as_mut_slice() {
        (*first, *end) = (PADDING, last as u32);
    }
    offsets
}

/// Strip, taps, channels, output blocks.
type Sizes = [usize; 4];

fn check_conv<X: Activation, Y: Activation + std::fmt::Debug>(
    kernels: &Kernels,
    sizes @ [pixels, taps, channels, blocks]: Sizes,
    values: Values,
    groups: Option<Groups>,
) {
    let random = &mut Random((pixels * 1000 + taps * 100 + channels * 10 + blocks) as u64);
    let runs = Runs::new(groups, channels as u16);
    let run = channels.next_multiple_of(8);
    let input: Vec<X> = numbers(random, run * (pixels + 3), values.input);
    let [min, max] = limits::<Y>(values);
    let conv = Conv {
        input: &input,
        offsets: &offsets(random, pixels * taps, input.len() - run),
        zeros: &numbers::<X>(random, runs.span(), None),
        taps,
        runs,
        weights: &random.bytes(blocks * taps * runs.span() * 8, -127, values.weights),
        params: &scaling::<X, Y>(random, blocks, values),
        epilogue: Epilogue { zero_point: random.within(-128, 127) as i8, min, max, residual: residual::<Y>(values) },
    };
    let before: Vec<Y> = numbers(random, pixels * 8 * blocks, None);
    let (mut want, mut got) = (before.clone(), before);
    Kernels::for_cpu(Cpu::PORTABLE).conv(&conv, &mut want).expect("the sizes fit");
    kernels.conv(&conv, &mut got).expect("the sizes fit");
    assert_eq!(got, want, "{:?} to {:?}: {sizes:?}, {groups:?}, {values:?}", X::DTYPE, Y::DTYPE);
}

fn check_depthwise<X: Activation, Y: Activation + std::fmt::Debug>(
    kernels: &Kernels,
    sizes @ [pixels, taps, blocks]: [usize; 3],
    in_a_row: bool,
    values: Values,
) {
    let random = &mut Random((pixels * 1000 + taps * 100 + blocks) as u64);
    let run = 8 * blocks;
    let input: Vec<X> = numbers(random, run * (3 * pixels + 3 * taps), values.input);
    // A column to the right for each pixel, three rows of three taps; or anywhere.
    let row = (pixels + 2) * run;
    let windows = (0..pixels).flat_map(|x| (0..taps).map(move |tap| (tap / 3 * row + (x + tap % 3) * run) as u32));
    let offsets = match in_a_row {
        true => windows.collect(),
        false => offsets(random, pixels * taps, input.len() - run),
    };
    let [min, max] = limits::<Y>(values);
    let depthwise = Depthwise {
        input: &input,
        offsets: &offsets,
        zeros: &numbers::<X>(random, run, None),
        taps,
        weights: &random.bytes(run * taps, -127, values.weights),
        params: &scaling::<X, Y>(random, blocks, values),
        zero_point: random.within(-128, 127) as i8,
        min,
        max,
    };
    let before: Vec<Y> = numbers(random, pixels * run, None);
    let (mut want, mut got) = (before.clone(), before);
    Kernels::for_cpu(Cpu::PORTABLE).depthwise(&depthwise, &mut want).expect("the sizes fit");
    kernels.depthwise(&depthwise, &mut got).expect("the sizes fit");
    assert_eq!(got, want, "{:?} to {:?}: {sizes:?}, in a row: {in_a_row}, {values:?}", X::DTYPE, Y::DTYPE);
}

/// What sums and results may be at the ends of: inputs and weights, shifts, biases that wrap, limits.
fn ends() -> impl Iterator<Item = Values> {
    let inputs = [Some(-128), Some(127), None].into_iter();
    let products = inputs.flat_map(|input| [Some(-127), Some(127), None].map(|weights| (input, weights)));
    let ends = products.flat_map(|(input, weights)| {
        let scales = [[32, 32], [62, 62], [32, 62], [16, 40]].into_iter();
        scales
            .flat_map(move |shifts| [0, 1 << 30, i32::MAX].map(|bias| Values { input, weights, shifts, bias, ..PLAIN }))
    });
    ends.chain([(0, 127), (-128, -3), (5, 5)].map(|(min, max)| Values { min, max, ..PLAIN }))
}

fn convs<X: Activation, Y: Activation + std::fmt::Debug>(kernels: &Kernels) {
    for pixels in [1, 2, 3, 8] {
        for (taps, channels) in [(1, 8), (1, 32), (2, 16), (3, 24), (9, 8), (9, 20)] {
            for blocks in [1, 2, 3] {
                check_conv::<X, Y>(kernels, [pixels, taps, channels, blocks], PLAIN, None);
            }
        }
    }
    for values in ends() {
        for sizes in [[1, 1, 8, 1], [3, 9, 8, 1], [2, 1, 24, 2]] {
            check_conv::<X, Y>(kernels, sizes, values, None);
        }
    }
    for values in crate::residual_values() {
        for bias in [1000, i32::MAX] {
            check_conv::<X, Y>(kernels, [5, 9, 16, 2], Values { bias, ..values }, None);
        }
    }
    for (inputs, outputs) in [(4, 4usize), (5, 7), (24, 16), (3, 40)] {
        let sizes = [3, 2, 3 * inputs, (3 * outputs).div_ceil(8)];
        let groups = Groups { inputs: inputs as u16, outputs: outputs as u16 };
        check_conv::<X, Y>(kernels, sizes, PLAIN, Some(groups));
    }
}

fn depthwises<X: Activation, Y: Activation + std::fmt::Debug>(kernels: &Kernels) {
    for pixels in [1, 2, 3, 4, 5, 9] {
        for taps in [1, 2, 3, 4, 9, 25, 64, 65] {
            for blocks in [1, 3] {
                check_depthwise::<X, Y>(kernels, [pixels, taps, blocks], false, PLAIN);
            }
        }
        check_depthwise::<X, Y>(kernels, [pixels, 9, 2], true, PLAIN);
        check_depthwise::<X, Y>(kernels, [pixels, 3, 2], true, PLAIN);
    }
    for values in ends() {
        for taps in [1, 3, 9, 25] {
            check_depthwise::<X, Y>(kernels, [5, taps, 2], taps == 9, values);
        }
    }
}

#[test]
fn convolutions_equal_portable() {
    for_each_cpu("conv int16", |_, kernels| {
        convs::<i8, i16>(kernels);
        convs::<i16, i8>(kernels);
        convs::<i16, i16>(kernels);
        convs::<i8, i8>(kernels);
    });
}

#[test]
fn depthwise_convolutions_equal_portable() {
    for_each_cpu("depthwise int16", |_, kernels| {
        depthwises::<i8, i16>(kernels);
        depthwises::<i16, i8>(kernels);
        depthwises::<i16, i16>(kernels);
        depthwises::<i8, i8>(kernels);
    });
}

#[test]
fn gemv_equals_portable() {
    for_each_cpu("gemv int16", |cpu, kernels| {
        for (k8, n8) in [1, 2, 3, 8, 33].into_iter().flat_map(|k8| [(k8, 1), (k8, 3)]) {
            for (x, w) in [(None, None), (Some(-128), Some(-127)), (Some(127), Some(127)), (Some(-128), Some(127))] {
                let random = &mut Random((k8 * 100 + n8) as u64);
                let x: Vec<i16> = numbers(random, 8 * k8, x);
                let weights = random.bytes(64 * k8 * n8, -127, w);
                let (mut want, mut got) = (vec![1; 8 * n8], vec![-1; 8 * n8]);
                Kernels::for_cpu(Cpu::PORTABLE).gemv(&x, &weights, &mut want).expect("the sizes fit");
                kernels.gemv(&x, &weights, &mut got).expect("the sizes fit");
                assert_eq!(got, want, "{}: {k8} groups, {n8} blocks", cpu.isa().name());
            }
        }
    });
}

#[test]
fn sums_equal_portable() {
    for_each_cpu("add int16", |cpu, kernels| {
        let random = &mut Random(75);
        for combine in [Combine::Sum, Combine::Maximum, Combine::Minimum] {
            for len in [0, 1, 7, 8, 9, 31, 256] {
                for [m, n] in [[1 << 30; 2], [-(1 << 30); 2], [1 << 30, -(1 << 30)], [1 << 20, -3000], [0, 7]] {
                    for (min, max) in [(-32768, 32767), (-128, 127), (5, 5)] {
                        let (multipliers, zero_point) = ([m, n], random.within(-128, 127) as i8);
                        let add = AddWide { combine, multipliers, zero_point, min, max };
                        let fixed = [None, Some(-128), Some(127)];
                        let [a, b] = [len % 3, len / 3 % 3].map(|at| numbers::<i16>(random, len, fixed[at]));
                        let (mut want, mut got) = (a.clone(), a);
                        Kernels::for_cpu(Cpu::PORTABLE).add_wide(&add, &mut want, &b).expect("as many");
                        kernels.add_wide(&add, &mut got, &b).expect("as many");
                        assert_eq!(got, want, "{}: {len}, {add:?}", cpu.isa().name());
                    }
                }
            }
        }
        let (combine, multipliers) = (Combine::Sum, [1; 2]);
        let add = AddWide { combine, multipliers, zero_point: 0, min: -5, max: 5 };
        assert_eq!(kernels.add_wide(&add, &mut [0; 8], &[0; 7]), Err(Error::Kernel));
    });
}

#[test]
fn products_equal_portable() {
    for_each_cpu("mul int16", |cpu, kernels| {
        let random = &mut Random(76);
        for len in [0, 1, 7, 8, 9, 31, 256] {
            for shift in [16, 17, 30, 31, 32, 33, 45, 62] {
                for multiplier in [1 << 30, i32::MAX, 1_431_655_765] {
                    for (min, max) in [(-32768, 32767), (-128, 127), (5, 5)] {
                        let zero_point = random.within(-128, 127) as i8;
                        let mul = MulWide { multiplier, shift, zero_point, min, max };
                        let fixed = [None, Some(-128), Some(127)];
                        let [a, b] = [len % 3, len / 3 % 3].map(|at| numbers::<i16>(random, len, fixed[at]));
                        let (mut want, mut got) = (a.clone(), a);
                        Kernels::for_cpu(Cpu::PORTABLE).mul_wide(&mul, &mut want, &b).expect("as many");
                        kernels.mul_wide(&mul, &mut got, &b).expect("as many");
                        assert_eq!(got, want, "{}: {len}, {mul:?}", cpu.isa().name());
                    }
                }
            }
        }
        let mul = MulWide { multiplier: 1 << 30, shift: 32, zero_point: 0, min: -5, max: 5 };
        assert_eq!(kernels.mul_wide(&mul, &mut [0; 8], &[0; 7]), Err(Error::Kernel));
    });
}
