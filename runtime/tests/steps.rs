//! Each operator against its definition, written once more on unpacked weights, in wide integers or in f64.

mod writer;

use escarp_runtime::{
    Cpu, Model, Session, Tensor,
    ops::{AddStep, Combine, ConvStep, Divisor, GruStep, LinearStep, PoolStep, Step},
};
use writer::{Matrix, Random, Row, Writer, gru_layer};

/// `floor(acc * m / 2^s + 1/2)`.
fn scaled(acc: i64, row: Row) -> i64 {
    let y = (acc as i128 * row.multiplier as i128 + (1 << (row.shift - 1))).div_euclid(1 << row.shift);
    y.clamp(i32::MIN as i128, i32::MAX as i128) as i64
}

/// Runs a model of one input in an arena that holds the input's bytes everywhere else too.
fn run(file: &[u8], input: &[i8]) -> Vec<i8> {
    let model = Model::parse(file).unwrap();
    let mut arena = vec![-0x5b; model.buffer_len()];
    Session::new(&model, &mut arena, Cpu::PORTABLE).unwrap().run(input).unwrap().to_vec()
}

/// `[row][column][channel]` of an unpadded map.
fn at(map: &[i8], tensor: &Tensor, row: usize, column: usize, channel: usize) -> i8 {
    map[(row * tensor.width as usize + column) * tensor.channels as usize + channel]
}

#[test]
fn conv_by_hand() {
    // One channel, 1 x 3 kernel (1, -2, 3), padded by one at the left; input 10, 20, 30 with zero point 10, so 0, 10, 20;
    // the padding is 0 as well. Sums 0*1 + 0*-2 + 10*3 = 30; 0*1 + 10*-2 + 20*3 = 40; 10*1 + 20*-2 + 0 = -30, bias 2 - 20:
    // the zero point's share -10 * (1 - 2 + 3) is in the bias. Times 1/4, ties up: 8, 10.5 -> 11, -7; zero point 1; ReLU.
    let mut net = Writer::default();
    let (input, output) = (net.tensor([1, 3, 1], 1.0, 10), net.tensor([1, 3, 1], 1.0, 1));
    let matrix = Matrix {
        rows: 1,
        taps: 3,
        inputs: 1,
        weights: vec![1, -2, 3],
        scaling: vec![Row { bias: 2 - 20, multiplier: 1 << 30, shift: 32 }],
    };
    let [weights, params] = net.matrix(&matrix);
    net.steps.push(Step::from(ConvStep {
        input,
        output,
        kernel: [1, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 1],
        weights,
        params,
        min: 1,
        max: 127,
        residual: None,
        groups: None,
    }));
    assert_eq!(run(&net.finish(input, output, 1), &[10, 20, 30]), [9, 12, 1]);
}

#[test]
fn conv_equals_its_definition() {
    let mut random = Random(20);
    for case in 0..300 {
        let mut pick = |from: u32, to: u32| from + random.below(to - from + 1);
        let shape = [pick(1, 9), pick(1, 14), pick(1, 20)].map(|n| n as u16);
        let kernel = [pick(1, 4), pick(1, 4)].map(|n| n as u8);
        let [stride, dilation] = [(); 2].map(|()| [pick(1, 3), pick(1, 2)].map(|n| n as u8));
        let pad = [pick(0, kernel[0] as u32), pick(0, kernel[1] as u32)].map(|n| n as u8);
        let size = |axis: usize| (shape[axis] + pad[axis] as u16 - 1) / stride[axis] as u16 + 1;
        let target = [pick(1, size(0) as u32) as u16, pick(1, size(1) as u32) as u16, pick(1, 20) as u16];
        let residual = (case % 3 == 0).then(|| (pick(0, 255) as u8 as i8, pick(0, 1 << 14) as i32));
        let (min, max) = if case % 2 == 0 { (-128, 127) } else { (-40, 90) };

        let mut net = Writer::default();
        let input = net.tensor(shape, 1.0, -7);
        let other = net.tensor(target, 1.0, 3);
        let output = net.alias(other, 1.0, 12);
        let (taps, shift) = (kernel[0] as usize * kernel[1] as usize, if residual.is_some() { 28 } else { 40 });
        let matrix = Matrix::random(&mut random, target[2] as usize, taps, shape[2] as usize, shift);
        // The residual operand is made by a 1 x 1 convolution of the input's first pixel: weights 0, so its bias alone.
        let flat = Matrix {
            rows: target[2] as usize,
            taps: 1,
            inputs: shape[2] as usize,
            weights: vec![0; (target[2] * shape[2]) as usize],
            scaling: (0..target[2]).map(|c| Row { bias: 40 * c as i32 - 80, multiplier: 1 << 30, shift: 32 }).collect(),
        };
        let groups = None;
        let step = ConvStep {
            input,
            output,
            kernel,
            stride,
            dilation,
            pad,
            weights: 0,
            params: 0,
            min,
            max,
            residual,
            groups,
        };
        let [weights, params] = net.matrix(&flat);
        let unit = ConvStep { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [255; 2], ..step };
        net.steps.push(Step::from(ConvStep {
            output: other,
            residual: None,
            weights,
            params,
            min: -128,
            max: 127,
            ..unit
        }));
        let [weights, params] = net.matrix(&matrix);
        net.steps.push(Step::from(ConvStep { weights, params, ..step }));
        let (source, result) = (net.tensors[input as usize], net.tensors[output as usize]);
        let values = random.activations(source.elements() as usize);
        let got = run(&net.finish(input, output, 1), &values);

        for y in 0..target[0] as usize {
            for x in 0..target[1] as usize {
                for c in 0..target[2] as usize {
                    let mut sum = matrix.scaling[c].bias as i64;
                    for tap in 0..taps {
                        let [i, j] = [tap / kernel[1] as usize, tap % kernel[1] as usize];
                        let row = (y * stride[0] as usize + i * dilation[0] as usize).wrapping_sub(pad[0] as usize);
                        let column = (x * stride[1] as usize + j * dilation[1] as usize).wrapping_sub(pad[1] as usize);
                        for k in 0..shape[2] as usize {
                            let inside = row < shape[0] as usize && column < shape[1] as usize;
                            let value = if inside { at(&values, &source, row, column, k) } else { -7 };
                            sum += value as i64 * matrix.at(c, tap, k) as i64;
                        }
                    }
                    let t = scaled(sum, matrix.scaling[c]);
                    let sum = match residual {
                        None => t,
                        Some((zero_point, multiplier)) => {
                            let operand = (10 * c as i64 - 20 + 3).clamp(-128, 127);
                            let r = (operand - zero_point as i64) * multiplier as i64;
                            (t.clamp(-(1 << 30), 1 << 30) + r + 2048).div_euclid(4096)
                        }
                    };
                    let want = (sum + 12).clamp(min as i64, max as i64);
                    assert_eq!(at(&got, &result, y, x, c) as i64, want, "case {case} ({y}, {x}, {c}): {step:?}");
                }
            }
        }
    }
}

#[test]
fn linear_equals_its_definition() {
    let mut random = Random(21);
    // 530 rows are more than one strip.
    for (shape, rows) in [([1, 1, 1], 1), ([1, 1, 17], 9), ([2, 3, 8], 5), ([1, 1, 30], 530)] {
        let mut net = Writer::default();
        let (input, output) = (net.tensor(shape, 1.0, 4), net.tensor([1, 1, rows], 1.0, -5));
        let inputs = shape.iter().map(|&n| n as usize).product();
        let matrix = Matrix::random(&mut random, rows as usize, 1, inputs, 39);
        let [weights, params] = net.matrix(&matrix);
        net.steps.push(Step::from(LinearStep { input, output, weights, params, min: -100, max: 101 }));
        let values = random.activations(inputs);
        let got = run(&net.finish(input, output, 1), &values);
        for (row, &got) in got.iter().enumerate() {
            let dot: i64 = values.iter().enumerate().map(|(k, &x)| x as i64 * matrix.at(row, 0, k) as i64).sum();
            let want = (scaled(dot + matrix.scaling[row].bias as i64, matrix.scaling[row]) - 5).clamp(-100, 101);
            assert_eq!(got as i64, want, "row {row} of {rows}");
        }
    }
}

#[test]
fn add_equals_its_definition_in_place_and_apart() {
    let mut random = Random(22);
    for in_place in [true, false] {
        let mut net = Writer::default();
        // 1 x 1 maximum pools copy the input, so that both operands are tensors of their own.
        let input = net.tensor([2, 3, 9], 1.0, -4);
        let [a, b] = [(); 2].map(|()| net.tensor([2, 3, 9], 1.0, -4));
        let output = if in_place { net.alias(a, 1.0, 6) } else { net.tensor([2, 3, 9], 1.0, 6) };
        for output in [a, b] {
            let (kernel, stride, pad) = ([1, 1], [1, 1], [0, 0]);
            let step = PoolStep { input, output, kernel, stride, pad, average: None, min: -128, max: 127 };
            net.steps.push(Step::from(step));
        }
        net.steps.push(Step::from(AddStep {
            combine: Combine::Sum,
            a,
            b,
            output,
            multipliers: [3000, 1777],
            min: -90,
            max: 100,
        }));
        let values = random.activations(54);
        let got = run(&net.finish(input, output, 1), &values);
        for (&x, got) in values.iter().zip(got) {
            let sum = ((x as i64 + 4) * (3000 + 1777) + 2048).div_euclid(4096) + 6;
            assert_eq!(got as i64, sum.clamp(-90, 100), "{x}");
        }
    }
}

#[test]
fn pools_equal_their_definition() {
    let mut random = Random(23);
    for (average, pad) in [(None, [0, 0]), (None, [1, 2]), (Some(Divisor::All(1 << 30, 33)), [0, 0])] {
        let mut net = Writer::default();
        let zero_point = if average.is_some() { 3 } else { -4 };
        let (input, output) = (net.tensor([7, 8, 11], 1.0, -4), net.tensor([3, 2, 11], 1.0, zero_point));
        let (kernel, stride) = ([2, 3], [2, 4]);
        net.steps.push(Step::from(PoolStep { input, output, kernel, stride, pad, average, min: -60, max: 70 }));
        let (source, result) = (net.tensors[input as usize], net.tensors[output as usize]);
        let values = random.activations(7 * 8 * 11);
        let got = run(&net.finish(input, output, 1), &values);
        for (y, x, c) in (0..3usize).flat_map(|y| (0..2usize).flat_map(move |x| (0..11).map(move |c| (y, x, c)))) {
            let rows = (2 * y..2 * y + 2).filter_map(|row| row.checked_sub(pad[0] as usize));
            let window: Vec<i64> = rows
                .flat_map(|row| (4 * x..4 * x + 3).map(move |column| (row, column)))
                .filter_map(|(row, column)| Some((row, column.checked_sub(pad[1] as usize)?)))
                .filter(|&(row, column)| row < 7 && column < 8)
                .map(|(row, column)| at(&values, &source, row, column, c) as i64)
                .collect();
            let want = match average {
                None => *window.iter().max().unwrap(),
                Some(Divisor::Inside(_)) => unreachable!(),
                Some(Divisor::All(multiplier, shift)) => {
                    let sum: i64 = window.iter().map(|v| v + 4).sum();
                    scaled(sum, Row { bias: 0, multiplier, shift }) + 3
                }
            };
            assert_eq!(at(&got, &result, y, x, c) as i64, want.clamp(-60, 70), "({y}, {x}, {c})");
        }
    }
}

/// The real GRU on the same (dequantized) numbers: the fixed-point state stays within two steps of its int8 copy.
#[test]
fn gru_follows_the_real_one() {
    for reset_after in [true, false] {
        let (hidden, inputs) = (11usize, 7usize);
        let mut random = Random(24);
        let mut net = Writer::default();
        let input = net.tensor([1, 1, inputs as u16], 1.0 / 64.0, 9);
        let output = net.tensor([1, 1, hidden as u16], 1.0 / 128.0, 0);
        let state = net.state(hidden as u16);
        let [w, u] = gru_layer(&mut random, hidden, inputs);
        let [input_weights, input_params] = net.matrix(&w);
        let [state_weights, state_params] = net.matrix(&u);
        net.steps.push(Step::from(GruStep {
            input,
            output,
            state,
            hidden: hidden as u16,
            reset_after,
            input_weights,
            input_params,
            state_weights,
            state_params,
        }));
        let file = net.finish(input, output, 1);
        let model = Model::parse(&file).unwrap();
        let mut arena = vec![0; model.buffer_len()];
        let mut session = Session::new(&model, &mut arena, Cpu::PORTABLE).unwrap();

        // A row's product in Q3.12: (sum + bias) * m / 2^s / 4096, the vector in units of its int8 form.
        let row = |matrix: &Matrix, row: usize, x: &[f64]| {
            let dot: f64 = x.iter().enumerate().map(|(k, x)| x * matrix.at(row, 0, k) as f64).sum();
            let Row { bias, multiplier, shift } = matrix.scaling[row];
            ((dot + bias as f64) * multiplier as f64 / 2f64.powi(shift.into()) / 4096.0).clamp(-8.0, 8.0)
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut h = vec![0.0; hidden];
        let mut largest: f64 = 0.0;
        for _ in 0..40 {
            let values = random.activations(inputs);
            let got = session.run(&values).unwrap();
            let x: Vec<f64> = values.iter().map(|&x| x as f64).collect();
            let h8: Vec<f64> = h.iter().map(|h| 128.0 * h).collect();
            let gate = |g: usize, i: usize| sigmoid(row(&w, 16 * g + i, &x) + row(&u, 16 * g + i, &h8));
            let rh8: Vec<f64> = (0..hidden).map(|i| gate(1, i) * h8[i]).collect();
            h = (0..hidden)
                .map(|i| {
                    let from_state =
                        if reset_after { gate(1, i) * row(&u, 32 + i, &h8) } else { row(&u, 32 + i, &rh8) };
                    let n = (row(&w, 32 + i, &x) + from_state).tanh();
                    n + gate(0, i) * (h[i] - n)
                })
                .collect();
            for (&got, h) in got.iter().zip(&h) {
                largest = largest.max((got as f64 - (128.0 * h).min(127.0)).abs());
            }
        }
        assert!(largest < 2.0, "{largest}");
    }
}
