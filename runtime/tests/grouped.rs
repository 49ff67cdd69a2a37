//! Convolution in groups against its definition, and what the loader refuses of it.

mod writer;

use escarp_runtime::{
    Cpu, Error, Field, Model, Session, StepError,
    ops::{ConvStep, Groups, Step},
};
use writer::{Matrix, Random, Row, Writer};

/// A step of tensors 0 and 1, 1 x 1 unless changed.
const STEP: ConvStep = ConvStep {
    input: 0,
    output: 1,
    kernel: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pad: [0, 0],
    weights: 0,
    params: 0,
    min: -128,
    max: 127,
    residual: None,
    groups: None,
};

/// The output, the same on the portable kernels and this machine's.
fn run(file: &[u8], input: &[i8]) -> Vec<i8> {
    let model = Model::parse(file).unwrap();
    let on = |cpu| {
        let mut arena = vec![0x55; model.buffer_len()];
        Session::new(&model, &mut arena, cpu).unwrap().run(input).unwrap().to_vec()
    };
    let portable = on(Cpu::PORTABLE);
    assert_eq!(portable, on(escarp_detect::detect()));
    portable
}

#[test]
fn by_hand() {
    // Two groups: channels 0 and 1 make channel 0 as 1, 2; channels 2 and 3 make channel 1 as 3, -1. The input is 10, 20, 30, 40, the
    // zero points 0: 50 and 50, with 2 in the second's bias 52, times 1/4, ties up: 13 and 13.
    let mut net = Writer::default();
    let (input, output) = (net.tensor([1, 1, 4], 1.0, 0), net.tensor([1, 1, 2], 1.0, 0));
    let row = |bias| Row { bias, multiplier: 1 << 30, shift: 32 };
    let matrix = Matrix { rows: 2, taps: 1, inputs: 2, weights: vec![1, 2, 3, -1], scaling: vec![row(0), row(2)] };
    let [weights, params] = net.grouped(&matrix, 2);
    let groups = Some(Groups { inputs: 2, outputs: 1 });
    net.steps.push(Step::from(ConvStep { input, output, weights, params, groups, ..STEP }));
    assert_eq!(run(&net.finish_plain(&[input], output), &[10, 20, 30, 40]), [13, 13]);
}

#[test]
fn equals_its_definition() {
    let mut random = Random(70);
    for case in 0..400 {
        let mut pick = |from: u32, to: u32| from + random.below(to - from + 1);
        let most = if case % 5 == 0 { 40 } else { 12 };
        let [count, inputs, outputs] = [pick(2, 11), pick(1, most), pick(1, most)].map(|n| n as usize);
        let shape = [pick(1, 5), pick(1, 6), (count * inputs) as u32].map(|n| n as u16);
        let kernel = [pick(1, 3), pick(1, 3)].map(|n| n as u8);
        let stride = [pick(1, 2), pick(1, 2)].map(|n| n as u8);
        let pad = [pick(0, kernel[0] as u32), pick(0, kernel[1] as u32)].map(|n| n as u8);
        let size = |axis: usize| (shape[axis] + pad[axis] as u16 - 1) / stride[axis] as u16 + 1;
        let (rows, taps) = (count * outputs, kernel[0] as usize * kernel[1] as usize);
        let target = [size(0), size(1), rows as u16];
        // The operand of a residual is what a 1 x 1 convolution without weights makes of its biases.
        let residual = (case % 3 == 0).then(|| (pick(0, 255) as u8 as i8, pick(0, 1 << 14) as i32));

        let mut net = Writer::default();
        let (input, other) = (net.tensor(shape, 1.0, -7), net.tensor(target, 1.0, 3));
        let output = net.alias(other, 1.0, 12);
        let groups = Some(Groups { inputs: inputs as u16, outputs: outputs as u16 });
        let biases = |c: usize| Row { bias: 40 * c as i32 - 80, multiplier: 1 << 30, shift: 32 };
        let flat =
            Matrix { rows, taps: 1, inputs, weights: vec![0; rows * inputs], scaling: (0..rows).map(biases).collect() };
        let [weights, params] = net.grouped(&flat, count);
        net.steps.push(Step::from(ConvStep { input, output: other, pad: [255; 2], weights, params, groups, ..STEP }));
        let matrix = Matrix::random(&mut random, rows, taps, inputs, if residual.is_some() { 28 } else { 40 });
        let [weights, params] = net.grouped(&matrix, count);
        let step = ConvStep { input, output, kernel, stride, pad, weights, params, residual, groups, ..STEP };
        net.steps.push(Step::from(step));
        let channels = shape[2] as usize;
        let values = random.activations(shape.iter().map(|&n| n as usize).product());
        let got = run(&net.finish_plain(&[input], output), &values);

        let [height, width] = [shape[0] as usize, shape[1] as usize];
        for (at, &got) in got.iter().enumerate() {
            let (pixel, c) = (at / rows, at % rows);
            let (y, x) = (pixel / target[1] as usize, pixel % target[1] as usize);
            let mut sum = matrix.scaling[c].bias as i128;
            for tap in 0..taps {
                let [i, j] = [tap / kernel[1] as usize, tap % kernel[1] as usize];
                let row = (y * stride[0] as usize + i).wrapping_sub(pad[0] as usize);
                let column = (x * stride[1] as usize + j).wrapping_sub(pad[1] as usize);
                let inside = row < height && column < width;
                for k in 0..inputs {
                    let from = c / outputs * inputs + k;
                    let value = if inside { values[(row * width + column) * channels + from] } else { -7 };
                    sum += value as i128 * matrix.at(c, tap, k) as i128;
                }
            }
            let Row { multiplier, shift, .. } = matrix.scaling[c];
            let t = (sum * multiplier as i128 + (1 << (shift - 1))).div_euclid(1 << shift);
            let t = match residual {
                None => t,
                Some((zero_point, multiplier)) => {
                    let operand = (10 * c as i128 - 20 + 3).clamp(-128, 127);
                    let r = (operand - zero_point as i128) * multiplier as i128;
                    (t.clamp(-(1 << 30), 1 << 30) + r + 2048).div_euclid(4096)
                }
            };
            assert_eq!(got as i128, (t + 12).clamp(-128, 127), "case {case} ({y}, {x}, {c}): {step:?}");
        }
    }
}

/// Why 12 channels that become 18 are refused in groups of these sizes; weights and parameters would do for any.
fn refused(inputs: u16, outputs: u16) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([2, 3, 12], 1.0, 0), net.tensor([2, 3, 18], 1.0, 0));
    let [weights, params] = net.matrix(&Matrix::random(&mut Random(71), 18, 1, 12, 40));
    let groups = Some(Groups { inputs, outputs });
    net.steps.push(Step::from(ConvStep { input, output, weights, params, groups, ..STEP }));
    match Model::parse(&net.finish_plain(&[input], output)).map(drop) {
        Ok(()) => Ok(()),
        Err(Error::Step { index: 0, reason }) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn groups_of_other_sizes() {
    for (inputs, outputs) in [(6, 9), (4, 6), (2, 3)] {
        assert_eq!(refused(inputs, outputs), Ok(()), "{inputs}, {outputs}");
    }
    for found in [0, 5, 7, 8, 12, 24, u16::MAX] {
        let reason = StepError::Value { field: Field::GroupInputs, found: found.into() };
        assert_eq!(refused(found, 1), Err(reason), "{found} do not divide 12 channels into two groups or more");
    }
    for (inputs, outputs) in [(6, 0), (6, 8), (6, 18), (4, 9), (1, 1), (2, 6), (3, u16::MAX)] {
        let reason = StepError::Value { field: Field::GroupOutputs, found: outputs.into() };
        assert_eq!(refused(inputs, outputs), Err(reason), "{inputs}, {outputs}");
    }
    let text = StepError::Value { field: Field::GroupInputs, found: 5 }.to_string();
    assert_eq!(text, "number of channels that a group reads is out of range (5)");
}
