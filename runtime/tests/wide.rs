//! Element-wise operators and pools where a tensor is int16: each against its definition, for every combination of types.

mod typed;
mod writer;

use escarp_runtime::{
    Dtype::{self, I8, I16, I32},
    ops::{
        AddStep, ArgmaxStep, Between, Combine, Divisor, InterpolateStep, LookupStep, MulStep, PoolStep, ResizeStep,
        ScaleStep, Step,
    },
};
use typed::{limits, run, scaled, values};
use writer::{Random, Writer};

/// Small maps whose channels fill groups of 8 or do not, and one whose channels fill more than a piece.
const SHAPES: [[u16; 3]; 7] = [[1, 1, 1], [2, 3, 5], [1, 4, 8], [3, 1, 9], [2, 2, 40], [9, 7, 19], [2, 1, 700]];

fn len(shape: [u16; 3]) -> usize {
    shape.map(usize::from).iter().product()
}

fn types(random: &mut Random) -> [Dtype; 3] {
    [(); 3].map(|()| [I8, I16][random.below(2) as usize])
}

/// What an int8 tensor's zero point may be; an int16 one has none.
fn zero_point(random: &mut Random, dtype: Dtype) -> i8 {
    if dtype == I16 { 0 } else { [-128, 127, 0, random.next() as i8][random.below(4) as usize] }
}

#[test]
fn another_scale_equals_its_definition() {
    let mut random = Random(80);
    for case in 0..400 {
        let (shape, [from, to, _]) = (SHAPES[case % 7], types(&mut random));
        let [zero, zero_out] = [from, to].map(|dtype| zero_point(&mut random, dtype));
        let mut net = Writer::default();
        let input = net.typed(shape, from, zero);
        let in_place = from == to && case % 2 == 0;
        let output = if in_place { net.alias(input, 1.0, zero_out) } else { net.typed(shape, to, zero_out) };
        let multiplier = [i32::MAX, 1 << 30, (1 << 30) + random.below(1 << 30) as i32][random.below(3) as usize];
        let shift = [if to == I8 { 32 } else { 16 }, 62, 32 + random.below(9) as u8, 40][random.below(4) as usize];
        let [min, max] = limits(&mut random, to);
        let step = ScaleStep { input, output, multiplier, shift, min, max };
        net.steps.push(Step::from(step));
        let x = values(&mut random, from, len(shape));
        let got = run(&net.finish_plain(&[input], output), &[&x]);
        let result = |&x: &i32| scaled(x as i64 - zero as i64, multiplier, shift) + zero_out as i64;
        let want: Vec<i32> = x.iter().map(|x| result(x).clamp(min.into(), max.into()) as i32).collect();
        assert_eq!(got, want, "case {case}, {shape:?}, {from:?} to {to:?}: {step:?}");
    }
}

#[test]
fn there_and_back_by_hand() {
    // int8 of zero point 10 in units of 1, int16 in units of 1/128: 128 = 2^30 / 2^23. Back: 2^30 / 2^37.
    let mut net = Writer::default();
    let (x, wide, y) = (net.typed([1, 1, 4], I8, 10), net.typed([1, 1, 4], I16, 0), net.typed([1, 1, 4], I8, -1));
    let (multiplier, min, max) = (1 << 30, -32768, 16000);
    net.steps.push(Step::from(ScaleStep { input: x, output: wide, multiplier, shift: 23, min, max }));
    let values = [10, -128, 127, 11];
    assert_eq!(run(&net.clone().finish_plain(&[x], wide), &[&values]), [0, -138 * 128, 117 * 128, 128]);
    net.steps.push(Step::from(ScaleStep { input: wide, output: y, multiplier, shift: 37, min: -128, max: 100 }));
    assert_eq!(run(&net.finish_plain(&[x], y), &[&values]), [-1, -128, 100, 0]);
}

#[test]
fn a_table_equals_its_definition() {
    let mut random = Random(81);
    for case in 0..90 {
        let (shape, (from, to)) = (SHAPES[case % 7], [(I8, I16), (I16, I8), (I16, I16)][case % 3]);
        let mut net = Writer::default();
        let input = net.typed(shape, from, -7);
        let output = if from == to && case % 2 == 0 { net.alias(input, 1.0, 0) } else { net.typed(shape, to, 9) };
        let entries = if from == I8 { 256 } else { 513 };
        let table: Vec<i16> = values(&mut random, I16, entries).into_iter().map(|y| y as i16).collect();
        let step = LookupStep { input, output, table: net.wide_table(&table) };
        net.steps.push(Step::from(step));
        let x = values(&mut random, from, len(shape));
        let got = run(&net.finish_plain(&[input], output), &[&x]);
        let result = |&x: &i32| {
            let (i, f) = ((x + 32768).div_euclid(128) as usize, (x as i64).rem_euclid(128));
            let between = |at: usize| table[at] as i64 * (128 - f) + table[at + 1] as i64 * f;
            match (from, to) {
                (I8, _) => table[(x + 128) as usize].into(),
                (_, I8) => (between(i) + (1 << 14)).div_euclid(1 << 15).min(127) as i32,
                _ => (between(i) + 64).div_euclid(128) as i32,
            }
        };
        let want: Vec<i32> = x.iter().map(result).collect();
        assert_eq!(got, want, "case {case}, {shape:?}, {from:?} to {to:?}");
    }
}

/// Operands of an element-wise step with at least one int16 tensor: the model so far, `[a, b, output]`, their zero points.
fn operands(random: &mut Random, case: usize) -> (Writer, [u16; 3], [i64; 3]) {
    let shape = SHAPES[case % 7];
    let mut types = types(random);
    if types == [I8; 3] {
        types[case % 3] = I16;
    }
    let zero_points = types.map(|dtype| zero_point(random, dtype));
    let ([ta, tb, ty], [za, zb, zy]) = (types, zero_points);
    let (each_pixel, in_place, twice) = (case & 8 == 0, case & 16 == 0 && ta == ty, case.is_multiple_of(5));
    let mut net = Writer::default();
    let a = net.typed(shape, ta, za);
    let b = match (twice, each_pixel) {
        (true, _) => a,
        (_, true) => net.typed(shape, tb, zb),
        _ => net.typed([1, 1, shape[2]], tb, zb),
    };
    // A result would lie on its second operand.
    let output = if in_place && !twice { net.alias(a, 1.0, zy) } else { net.typed(shape, ty, zy) };
    let zero_points = [a, b, output].map(|id| net.tensors[id as usize].zero_point.into());
    (net, [a, b, output], zero_points)
}

/// Runs a step of [`operands`] and compares with `result`, of differences from zero points.
fn compare(
    (mut net, [a, b, output], [za, zb, zy]): (Writer, [u16; 3], [i64; 3]),
    random: &mut Random,
    [min, max]: [i16; 2],
    step: Step,
    result: impl Fn(i64, i64) -> i64,
) {
    net.steps.push(step);
    let tensors = [a, b, output].map(|id| net.tensors[id as usize]);
    let [x, y] = [tensors[0], tensors[1]].map(|tensor| values(random, tensor.dtype, tensor.elements() as usize));
    let (got, y) = if a == b {
        (run(&net.finish_plain(&[a], output), &[&x]), &x)
    } else {
        (run(&net.finish_plain(&[a, b], output), &[&x, &y]), &y)
    };
    let want = x.iter().zip(y.iter().cycle()).map(|(&x, &y)| {
        let y = result(x as i64 - za, y as i64 - zb) + zy;
        y.clamp(min.into(), max.into()) as i32
    });
    assert_eq!(got, want.collect::<Vec<_>>(), "{step:?} of {tensors:?}");
}

#[test]
fn a_sum_a_difference_and_the_larger_equal_their_definition() {
    let mut random = Random(82);
    for case in 0..800 {
        let operands = operands(&mut random, case);
        let (net, [a, b, output], _) = &operands;
        if [a, b, output].iter().all(|&&id| net.tensors[id as usize].dtype == I8) {
            continue; // the second operand was the int16 one, and is the first once more
        }
        let combine = [Combine::Sum, Combine::Maximum, Combine::Minimum][random.below(3) as usize];
        let mut multiplier = || match random.below(4) {
            0 => 1 << 30,
            1 => -(1 << 30),
            2 => random.below(1 << 22) as i32 - (1 << 21),
            _ => random.below(1 << 14) as i32,
        };
        let multipliers = [multiplier(), multiplier()];
        let [min, max] = limits(&mut random, net.tensors[*output as usize].dtype);
        let step = AddStep { combine, a: *a, b: *b, output: *output, multipliers, min, max };
        let [m, n] = multipliers.map(i64::from);
        compare(operands, &mut random, [min, max], step.into(), |x, y| {
            let q20 = match combine {
                Combine::Sum => x * m + y * n,
                Combine::Maximum => (x * m).max(y * n),
                Combine::Minimum => (x * m).min(y * n),
            };
            (q20 + (1 << 19)).div_euclid(1 << 20)
        });
    }
}

#[test]
fn a_product_equals_its_definition() {
    let mut random = Random(83);
    for case in 0..800 {
        let operands = operands(&mut random, case);
        let (net, [a, b, output], _) = &operands;
        let to = net.tensors[*output as usize].dtype;
        let multiplier = [i32::MAX, 1 << 30, (1 << 30) + random.below(1 << 30) as i32][random.below(3) as usize];
        let shift = [if to == I8 { 32 } else { 16 }, 62, 33 + random.below(14) as u8, 45][random.below(4) as usize];
        let [min, max] = limits(&mut random, to);
        let step = MulStep { a: *a, b: *b, output: *output, multiplier, shift, min, max };
        compare(operands, &mut random, [min, max], step.into(), |x, y| scaled(x * y, multiplier, shift));
    }
}

#[test]
fn pools_equal_their_definition() {
    let mut random = Random(84);
    for case in 0..300 {
        let mut pick = |from: u32, to: u32| from + random.below(to - from + 1);
        let shape @ [height, width, channels] = [pick(1, 7), pick(1, 7), pick(1, 20)].map(|n| n as u16);
        let kernel = [pick(1, height.into()), pick(1, width.into())].map(|n| n as u16);
        let pad = kernel.map(|n| pick(0, n as u32 - 1) as u8);
        let stride = [pick(1, 3), pick(1, 3)].map(|n| n as u8);
        let size = |axis: usize| (shape[axis] + pad[axis] as u16 - 1) / stride[axis] as u16 + 1;
        let target = [size(0), size(1), channels];
        let [from, mut to, _] = types(&mut random);
        let factors: Vec<(i32, u32)> = (1..=kernel[0] * kernel[1]).map(|n| (i32::MAX - n as i32 * 1000, 36)).collect();
        let mut net = Writer::default();
        let average = match case % 3 {
            0 => None,
            1 => Some(Divisor::All(1_431_655_765, 35)),
            _ => Some(Divisor::Inside(net.factors(&factors))),
        };
        if average.is_none() {
            to = from;
        }
        let [zero, mut zero_out] = [from, to].map(|dtype| zero_point(&mut random, dtype));
        if average.is_none() {
            zero_out = zero;
        }
        let (input, output) = (net.typed(shape, from, zero), net.typed(target, to, zero_out));
        let [min, max] = limits(&mut random, to);
        let step = PoolStep { input, output, kernel, stride, pad, average, min, max };
        net.steps.push(Step::from(step));
        let x = values(&mut random, from, len(shape));
        let got = run(&net.finish_plain(&[input], output), &[&x]);
        for (at, &got) in got.iter().enumerate() {
            let (pixel, c) = (at / channels as usize, at % channels as usize);
            let place = [pixel / target[1] as usize, pixel % target[1] as usize];
            let span = |axis: usize| {
                let first = place[axis] as i64 * stride[axis] as i64 - pad[axis] as i64;
                (first..first + kernel[axis] as i64).filter(move |at| (0..shape[axis] as i64).contains(at))
            };
            let pixels = span(0).flat_map(|row| span(1).map(move |cell| row * width as i64 + cell));
            let window: Vec<i64> = pixels.map(|pixel| x[pixel as usize * channels as usize + c] as i64).collect();
            let sum: i64 = window.iter().map(|x| x - zero as i64).sum();
            let y = match average {
                None => *window.iter().max().unwrap(),
                Some(Divisor::All(multiplier, shift)) => scaled(sum, multiplier, shift) + zero_out as i64,
                Some(Divisor::Inside(_)) => {
                    let (multiplier, shift) = factors[window.len() - 1];
                    scaled(sum, multiplier, shift as u8) + zero_out as i64
                }
            };
            assert_eq!(got as i64, y.clamp(min.into(), max.into()), "case {case} {at}, {from:?} to {to:?}: {step:?}");
        }
    }
}

#[test]
fn other_sizes_equal_their_definition() {
    let mut random = Random(85);
    for (case, shape @ [height, width, channels]) in SHAPES.into_iter().take(6).enumerate().cycle().take(60) {
        let x = values(&mut random, I16, len(shape));
        let at = |y: u16, x_at: u16, c: u16| x[((y * width + x_at) * channels + c) as usize] as i64;
        let target = [2 * height, 3 * width, channels];
        let pixels = (0..target[0]).flat_map(|y| (0..target[1]).map(move |x_at| (y, x_at)));

        let mut net = Writer::default();
        let (input, output) = (net.wide(shape, I16), net.wide(target, I16));
        net.steps.push(Step::from(ResizeStep { input, output, factor: [2, 3] }));
        let repeated = pixels.clone().flat_map(|(y, x_at)| (0..channels).map(move |c| (y / 2, x_at / 3, c)));
        let want: Vec<i32> = repeated.map(|(y, x_at, c)| at(y, x_at, c) as i32).collect();
        assert_eq!(run(&net.finish_plain(&[input], output), &[&x]), want, "case {case}");

        let mut net = Writer::default();
        let (input, output) = (net.wide(shape, I16), net.wide(target, I16));
        let mut axis = |from: u16, to: u16| -> Vec<Between> {
            let mut index = || random.below(from.into()) as u16;
            let pairs: Vec<[u16; 2]> = (0..to).map(|_| [index(), index()]).collect();
            pairs.into_iter().map(|[low, high]| Between { low, high, weight: random.below(2049) }).collect()
        };
        let [vertical, horizontal] = [axis(height, target[0]), axis(width, target[1])];
        let [rows, columns] = [&vertical, &horizontal].map(|axis| net.axis(axis));
        net.steps.push(Step::from(InterpolateStep { input, output, rows, columns }));
        let got = run(&net.finish_plain(&[input], output), &[&x]);
        let parts = |b: &Between| [(b.low, 2048 - b.weight as i64), (b.high, b.weight as i64)];
        let mut got = got.into_iter();
        for (y, x_at) in pixels {
            for c in 0..channels {
                let four =
                    parts(&vertical[y as usize]).map(|row| parts(&horizontal[x_at as usize]).map(|cell| (row, cell)));
                let sum: i64 = four.as_flattened().iter().map(|&((y, wy), (x, wx))| wy * wx * at(y, x, c)).sum();
                assert_eq!(got.next().unwrap() as i64, (sum + (1 << 21)).div_euclid(1 << 22), "case {case}");
            }
        }
    }
}

#[test]
fn the_largest_channel_is_the_first_of_the_largest() {
    let mut random = Random(86);
    for shape @ [height, width, channels] in SHAPES {
        let mut net = Writer::default();
        let (input, output) = (net.wide(shape, I16), net.wide([height, width, 1], I32));
        net.steps.push(Step::from(ArgmaxStep { input, output }));
        let x = values(&mut random, I16, len(shape));
        let largest = |pixel: &[i32]| pixel.iter().position(|y| y == pixel.iter().max().unwrap()).unwrap() as i32;
        let want: Vec<i32> = x.chunks(channels.into()).map(largest).collect();
        assert_eq!(run(&net.finish_plain(&[input], output), &[&x]), want, "{shape:?}");
    }
}
