//! Tables, sums, products and other sizes: each against its definition, on the portable kernels and this machine's.

mod writer;

use escarp_runtime::{
    Cpu, Model, Session,
    ops::{AddStep, Between, Combine, InterpolateStep, LookupStep, MulStep, ResizeStep, Step, WEIGHT_ONE},
};
use writer::{Random, Writer};

/// The output, the same on the portable kernels and this machine's, whatever the arena held before.
fn run(file: &[u8], inputs: &[&[i8]]) -> Vec<i8> {
    let model = Model::parse(file).unwrap();
    let on = |cpu, held| {
        let mut arena = vec![held; model.buffer_len()];
        let mut session = Session::new(&model, &mut arena, cpu).unwrap();
        inputs.iter().enumerate().for_each(|(at, values)| session.set_input(at, values).unwrap());
        session.infer().unwrap();
        session.output::<i8>(0).unwrap().to_vec()
    };
    let portable = on(Cpu::PORTABLE, 0x55);
    assert_eq!(portable, on(escarp_detect::detect(), -3));
    portable
}

/// Small maps whose channels fill groups of 8 or do not.
const SHAPES: [[u16; 3]; 6] = [[1, 1, 1], [2, 3, 5], [1, 4, 8], [3, 1, 9], [2, 2, 16], [5, 7, 19]];

fn len(shape: [u16; 3]) -> usize {
    shape.map(usize::from).iter().product()
}

#[test]
fn a_lookup_equals_its_table_in_place_and_apart() {
    let mut random = Random(50);
    for (shape, in_place) in SHAPES.into_iter().flat_map(|shape| [(shape, true), (shape, false)]) {
        let mut net = Writer::default();
        let input = net.tensor(shape, 0.5, -7);
        let output = if in_place { net.alias(input, 0.25, 3) } else { net.tensor(shape, 0.25, 3) };
        // The second stands behind the first one's results.
        let tables = [(); 2].map(|()| std::array::from_fn(|_| random.next() as i8));
        for (input, table) in [input, output].into_iter().zip(tables) {
            let table = net.table(table);
            net.steps.push(Step::from(LookupStep { input, output, table }));
        }
        let values = random.activations(len(shape));
        let got = run(&net.finish_plain(&[input], output), &[&values]);
        let function = |table: usize, x: i8| tables[table][(x as i32 + 128) as usize];
        let want: Vec<i8> = values.iter().map(|&x| function(1, function(0, x))).collect();
        assert_eq!(got, want, "{shape:?}, in place: {in_place}");
    }
}

#[test]
fn every_value_has_its_place_in_the_table() {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([1, 1, 256], 1.0, 0), net.tensor([1, 1, 256], 1.0, 0));
    // A negation that keeps -128: the entry of x stands at x + 128.
    let table = net.table(std::array::from_fn(|at| (128 - at as i32).min(127) as i8));
    net.steps.push(Step::from(LookupStep { input, output, table }));
    let values: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    let want: Vec<i8> = values.iter().map(|x| x.saturating_neg()).collect();
    assert_eq!(run(&net.finish_plain(&[input], output), &[&values]), want);
}

/// `floor(((a - za) * ma + (b - zb) * mb) / 2^12 + 1/2) + z`, clamped, or with the larger or smaller of the two.
fn combined(a: i8, b: i8, zero_points: [i8; 3], step: &AddStep) -> i8 {
    let [x, y] = [(a, 0), (b, 1)].map(|(q, i)| (q as i64 - zero_points[i] as i64) * step.multipliers[i] as i64);
    let q12 = match step.combine {
        Combine::Sum => x + y,
        Combine::Maximum => x.max(y),
        Combine::Minimum => x.min(y),
    };
    ((q12 + 2048).div_euclid(4096) + zero_points[2] as i64).clamp(step.min.into(), step.max.into()) as i8
}

#[test]
fn a_sum_a_difference_and_the_larger_equal_their_definition() {
    let mut random = Random(53);
    for case in 0..600 {
        let shape = SHAPES[case % 6];
        let (in_place, each_pixel, twice) = (case & 8 == 0, case & 16 == 0, case % 7 == 0);
        let zero_points @ [za, zb, z] = [(); 3].map(|()| [-128, 127, 0, random.next() as i8][random.below(4) as usize]);
        let mut net = Writer::default();
        let a = net.tensor(shape, 1.0, za);
        let b = match (twice, each_pixel) {
            (true, _) => a,
            (_, true) => net.tensor(shape, 1.0, zb),
            _ => net.tensor([1, 1, shape[2]], 1.0, zb),
        };
        // The result would lie on its second operand.
        let output = if in_place && !twice { net.alias(a, 1.0, z) } else { net.tensor(shape, 1.0, z) };
        let combine = [Combine::Sum, Combine::Maximum, Combine::Minimum][random.below(3) as usize];
        let mut multiplier = || [1 << 21, -(1 << 21), random.below(16384) as i32 - 8192][random.below(3) as usize];
        let multipliers = [multiplier(), multiplier()];
        let (min, max) = [(-128, 127), (-100, 99), (z.into(), z.into()), (0, 127)][random.below(4) as usize];
        let step = AddStep { combine, a, b, output, multipliers, min, max };
        net.steps.push(Step::from(step));
        let left = random.activations(len(shape));
        let right = random.activations(net.tensors[b as usize].elements() as usize);
        let (got, want): (_, Vec<i8>) = if twice {
            let got = run(&net.finish_plain(&[a], output), &[&left]);
            (got, left.iter().map(|&x| combined(x, x, [za, za, z], &step)).collect())
        } else {
            let got = run(&net.finish_plain(&[a, b], output), &[&left, &right]);
            let pairs = left.iter().zip(right.iter().cycle());
            (got, pairs.map(|(&x, &y)| combined(x, y, zero_points, &step)).collect())
        };
        assert_eq!(got, want, "case {case}, {shape:?}: {step:?}");
    }
}

/// `floor((a - za) * (b - zb) * m / 2^s + 1/2) + z`, clamped.
fn product(a: i8, b: i8, zero_points: [i8; 3], step: &MulStep) -> i8 {
    let [a, b] = [a as i128 - zero_points[0] as i128, b as i128 - zero_points[1] as i128];
    let scaled = (a * b * step.multiplier as i128 + (1 << (step.shift - 1))).div_euclid(1 << step.shift);
    (scaled + zero_points[2] as i128).clamp(step.min.into(), step.max.into()) as i8
}

#[test]
fn a_product_equals_its_definition() {
    let mut random = Random(51);
    for case in 0..400 {
        let shape = SHAPES[case % 6];
        let (in_place, each_pixel, square) = (case & 8 == 0, case & 16 == 0, case % 7 == 0);
        let zero_points @ [za, zb, z] = [(); 3].map(|()| [-128, 127, 0, random.next() as i8][random.below(4) as usize]);
        let mut net = Writer::default();
        let a = net.tensor(shape, 1.0, za);
        let b = match (square, each_pixel) {
            (true, _) => a,
            (_, true) => net.tensor(shape, 1.0, zb),
            _ => net.tensor([1, 1, shape[2]], 1.0, zb),
        };
        // The square's output would lie on its second operand.
        let output = if in_place && !square { net.alias(a, 1.0, z) } else { net.tensor(shape, 1.0, z) };
        let multiplier = [i32::MAX, 1 << 30, (1 << 30) + random.below(1 << 30) as i32][random.below(3) as usize];
        let shift = [32, 62, 33 + random.below(14) as u8, 37][random.below(4) as usize];
        let (min, max) = [(-128, 127), (-100, 99), (z.into(), z.into()), (0, 127)][random.below(4) as usize];
        let step = MulStep { a, b, output, multiplier, shift, min, max };
        net.steps.push(Step::from(step));
        let left = random.activations(len(shape));
        let right = random.activations(net.tensors[b as usize].elements() as usize);
        let (got, want): (_, Vec<i8>) = if square {
            let got = run(&net.finish_plain(&[a], output), &[&left]);
            (got, left.iter().map(|&x| product(x, x, [za, za, z], &step)).collect())
        } else {
            let got = run(&net.finish_plain(&[a, b], output), &[&left, &right]);
            let pairs = left.iter().zip(right.iter().cycle());
            (got, pairs.map(|(&x, &y)| product(x, y, zero_points, &step)).collect())
        };
        assert_eq!(got, want, "case {case}, {shape:?}: {step:?}");
    }
}

#[test]
fn a_product_by_hand() {
    // (10 - 4) * (-3 - 2) = -30 and 6 * 5 = 30, times 1/4: -7.5 and 7.5, ties up: -7 and 8; zero point 1; at most 8.
    let mut net = Writer::default();
    let [a, b, output] = [4, 2, 1].map(|zero_point| net.tensor([1, 1, 2], 1.0, zero_point));
    net.steps.push(Step::from(MulStep { a, b, output, multiplier: 1 << 30, shift: 32, min: -128, max: 8 }));
    assert_eq!(run(&net.finish_plain(&[a, b], output), &[&[10, 10], &[-3, 7]]), [-6, 8]);
}

#[test]
fn an_enlargement_repeats_pixels() {
    let mut random = Random(52);
    for (shape, tall) in SHAPES.into_iter().flat_map(|shape| (1..=3).map(move |tall| (shape, tall))) {
        for wide in 1..=3 {
            let [height, width, channels] = shape;
            let target = [height * tall, width * wide, channels];
            let mut net = Writer::default();
            let (input, output) = (net.tensor(shape, 0.5, 9), net.tensor(target, 0.5, 9));
            net.steps.push(Step::from(ResizeStep { input, output, factor: [tall as u8, wide as u8] }));
            let values = random.activations(len(shape));
            let got = run(&net.finish_plain(&[input], output), &[&values]);
            let at = |y: u16, x: u16, c| values[((y / tall * width + x / wide) * channels + c) as usize];
            let pixels = (0..target[0]).flat_map(|y| (0..target[1]).map(move |x| (y, x)));
            let want: Vec<i8> = pixels.flat_map(|(y, x)| (0..channels).map(move |c| at(y, x, c))).collect();
            assert_eq!(got, want, "{shape:?} by {tall} and {wide}");
        }
    }
}

#[test]
fn an_interpolation_equals_its_definition() {
    let mut random = Random(54);
    for case in 0..200 {
        let shape @ [height, width, channels] = SHAPES[case % 6];
        let target = [1 + random.below(9) as u16, 1 + random.below(9) as u16, channels];
        let mut net = Writer::default();
        let (input, output) = (net.tensor(shape, 0.5, 9), net.tensor(target, 0.5, 9));
        let mut axis = |from: u16, to: u16| -> Vec<Between> {
            let mut index = || random.below(from.into()) as u16;
            let pairs: Vec<[u16; 2]> = (0..to).map(|_| [index(), index()]).collect();
            let mut weight = || [0, WEIGHT_ONE, WEIGHT_ONE / 2, random.below(2049)][random.below(4) as usize];
            pairs.into_iter().map(|[low, high]| Between { low, high, weight: weight() }).collect()
        };
        let [vertical, horizontal] = [axis(height, target[0]), axis(width, target[1])];
        let [rows, columns] = [&vertical, &horizontal].map(|axis| net.axis(axis));
        net.steps.push(Step::from(InterpolateStep { input, output, rows, columns }));
        let values = match case % 3 {
            0 => vec![[-128, 127][case % 2]; len(shape)],
            _ => random.activations(len(shape)),
        };
        let got = run(&net.finish_plain(&[input], output), &[&values]);
        let at = |y: u16, x: u16, c| values[((y * width + x) * channels + c) as usize] as i64;
        let parts = |b: &Between| [(b.low, 2048 - b.weight as i64), (b.high, b.weight as i64)];
        let mut got = got.into_iter();
        for (row, column) in vertical.iter().flat_map(|row| horizontal.iter().map(move |column| (row, column))) {
            for c in 0..channels {
                let four = parts(row).into_iter().flat_map(|row| parts(column).map(|column| (row, column)));
                let sum: i64 = four.map(|((y, wy), (x, wx))| wy * wx * at(y, x, c)).sum();
                let want = (sum + (1 << 21)).div_euclid(1 << 22);
                assert_eq!(got.next().unwrap() as i64, want, "case {case}: {row:?} {column:?}");
            }
        }
    }
}

#[test]
fn an_interpolation_by_hand() {
    // A quarter of the way from 10 to 20 is 12.5, from 30 to 41 it is 32.75; half way between: 22.625; three quarters: 27.6875.
    let mut net = Writer::default();
    let (input, output) = (net.tensor([2, 2, 1], 1.0, 3), net.tensor([3, 1, 1], 1.0, 3));
    let rows = net.axis(&[0, 1024, 1536].map(|weight| Between { low: 0, high: 1, weight }));
    let columns = net.axis(&[Between { low: 0, high: 1, weight: 512 }]);
    net.steps.push(Step::from(InterpolateStep { input, output, rows, columns }));
    assert_eq!(run(&net.finish_plain(&[input], output), &[&[10, 20, 30, 41]]), [13, 23, 28]);
}
