//! Convolutions and products with int16 inputs or outputs against their definitions, for every combination of types, and what
//! of them is refused.

mod typed;
mod writer;

use escarp_runtime::{
    Dtype::{self, I8, I16, I32},
    Error, Field, Model, StepError,
    ops::{ConvStep, DepthwiseStep, Groups, LinearStep, Step},
};
use typed::{limits, run, scaled, values};
use writer::{Matrix, Random, Row, Writer};

const TYPES: [[Dtype; 2]; 4] = [[I8, I16], [I16, I8], [I16, I16], [I8, I8]];

/// Shifts that spread results over some of the output's units: a sum of so many products.
fn shift(random: &mut Random, [from, to]: [Dtype; 2], products: usize) -> u8 {
    let sum = if from == I16 { 22 } else { 14 } + products.ilog2() as u8 / 2;
    let units = if to == I16 { 15 } else { 7 };
    let least = if to == I16 { 16 } else { 32 };
    // Sometimes the largest results lie beyond the output's ends.
    (31 + sum - units.min(sum) - random.below(3) as u8).max(least)
}

/// Windows of a random convolution.
struct Shapes {
    shape: [u16; 3],
    kernel: [u8; 2],
    stride: [u8; 2],
    dilation: [u8; 2],
    pad: [u8; 2],
    /// Height and width.
    target: [u16; 2],
}

impl Shapes {
    fn random(random: &mut Random, channels: u16) -> Shapes {
        let mut pick = |from: u32, to: u32| from + random.below(to - from + 1);
        let shape = [pick(1, 6) as u16, pick(1, 9) as u16, channels];
        let kernel = if pick(0, 2) == 0 { [3, 3] } else { [pick(1, 4), pick(1, 4)].map(|n| n as u8) };
        let [stride, dilation] = [(); 2].map(|()| [pick(1, 2), pick(1, 2)].map(|n| n as u8));
        let pad = [pick(0, kernel[0] as u32), pick(0, kernel[1] as u32)].map(|n| n as u8);
        let size = |axis: usize| (shape[axis] + pad[axis] as u16 - 1) / stride[axis] as u16 + 1;
        Shapes { shape, kernel, stride, dilation, pad, target: [size(0), size(1)] }
    }

    fn taps(&self) -> usize {
        self.kernel[0] as usize * self.kernel[1] as usize
    }

    /// The input's values that a tap of an output reads at a channel, or the zero point.
    fn at(&self, x: &[i32], zero: i32, pixel: usize, tap: usize, channel: usize) -> i64 {
        let &Shapes { shape: [height, width, channels], kernel, stride, dilation, pad, target } = self;
        let [y, x_at] = [pixel / target[1] as usize, pixel % target[1] as usize];
        let [i, j] = [tap / kernel[1] as usize, tap % kernel[1] as usize];
        let row = (y * stride[0] as usize + i * dilation[0] as usize).wrapping_sub(pad[0] as usize);
        let column = (x_at * stride[1] as usize + j * dilation[1] as usize).wrapping_sub(pad[1] as usize);
        let inside = row < height as usize && column < width as usize;
        let at = (row.wrapping_mul(width as usize).wrapping_add(column))
            .wrapping_mul(channels as usize)
            .wrapping_add(channel);
        if inside { x[at].into() } else { zero.into() }
    }
}

#[test]
fn convolutions_equal_their_definition() {
    let mut random = Random(90);
    for case in 0..400 {
        let types @ [from, to] = TYPES[case % 4];
        let mut pick = |from: u32, to: u32| from + random.below(to - from + 1);
        // Whole, or in groups.
        let count = [1, 1, pick(2, 4)][case % 3] as usize;
        let (inputs, outputs) = (pick(1, 20) as usize, pick(1, 12) as usize);
        let rows = count * outputs;
        let sizes = Shapes::random(&mut random, (count * inputs) as u16);
        let (taps, target) = (sizes.taps(), [sizes.target[0], sizes.target[1], rows as u16]);
        let [zero, zero_out] = [from, to].map(|dtype| if dtype == I8 { random.next() as i8 } else { 0 });
        let mut net = Writer::default();
        let input = net.typed(sizes.shape, from, zero);
        let other = net.typed(target, to, zero_out);
        let residual = (case % 5 == 0).then(|| match to {
            I8 => (zero_out, [0, 4096, 1 << 21, random.below(1 << 14) as i32][random.below(4) as usize]),
            _ => (0, [0, 1 << 20, 1 << 30, random.below(1 << 22) as i32][random.below(4) as usize]),
        });
        let shift = shift(&mut random, types, taps * inputs) - if residual.is_some() { 12 } else { 0 };
        let matrix = Matrix::random(&mut random, rows, taps, inputs, shift.max(16));
        let groups = (count > 1).then_some(Groups { inputs: inputs as u16, outputs: outputs as u16 });
        let packed = |net: &mut Writer| if count > 1 { net.grouped(&matrix, count) } else { net.matrix(&matrix) };
        let [weights, params] = packed(&mut net);
        let &Shapes { kernel, stride, dilation, pad, .. } = &sizes;
        let [min, max] = limits(&mut random, to);
        let output = if residual.is_some() { net.alias(other, 1.0, zero_out) } else { other };
        let step =
            ConvStep { input, output, kernel, stride, dilation, pad, weights, params, min, max, residual, groups };
        net.steps.push(Step::from(step));
        let x = values(&mut random, from, sizes.shape.map(usize::from).iter().product());
        let r = values(&mut random, to, target.map(usize::from).iter().product());
        // The operand is an input of the model, which lies where the output will.
        let got = match residual {
            None => run(&net.finish_plain(&[input], output), &[&x]),
            Some(_) => run(&net.finish_plain(&[input, other], output), &[&x, &r]),
        };
        for (at, &got) in got.iter().enumerate() {
            let (pixel, row) = (at / rows, at % rows);
            let mut sum = matrix.scaling[row].bias as i64;
            for (tap, k) in (0..taps).flat_map(|tap| (0..inputs).map(move |k| (tap, k))) {
                let channel = row / outputs * inputs + k;
                sum += sizes.at(&x, zero.into(), pixel, tap, channel) * matrix.at(row, tap, k) as i64;
            }
            let Row { multiplier, shift, .. } = matrix.scaling[row];
            let t = scaled(sum, multiplier, shift);
            let y = match residual {
                None => t,
                Some((zero_point, m)) => {
                    let bits = if to == I8 { 12 } else { 20 };
                    let r = (r[at] as i64 - zero_point as i64) * m as i64;
                    let t = t.clamp(-(1 << 30), 1 << 30) << (bits - 12);
                    (t + r + (1 << (bits - 1))).div_euclid(1 << bits)
                }
            };
            let want = (y + zero_out as i64).clamp(min.into(), max.into());
            assert_eq!(got as i64, want, "case {case} {at}, {from:?} to {to:?}: {step:?}");
        }
    }
}

#[test]
fn depthwise_convolutions_equal_their_definition() {
    let mut random = Random(91);
    for case in 0..300 {
        let types @ [from, to] = TYPES[case % 4];
        let channels = 1 + random.below(30) as usize;
        let sizes = Shapes::random(&mut random, channels as u16);
        let (taps, target) = (sizes.taps(), [sizes.target[0], sizes.target[1], channels as u16]);
        let [zero, zero_out] = [from, to].map(|dtype| if dtype == I8 { random.next() as i8 } else { 0 });
        let mut net = Writer::default();
        let (input, output) = (net.typed(sizes.shape, from, zero), net.typed(target, to, zero_out));
        let shift = shift(&mut random, types, taps);
        let matrix = Matrix::random(&mut random, channels, taps, 1, shift);
        let [weights, params] = net.depthwise(&matrix);
        let &Shapes { kernel, stride, dilation, pad, .. } = &sizes;
        let [min, max] = limits(&mut random, to);
        let step = DepthwiseStep { input, output, kernel, stride, dilation, pad, weights, params, min, max };
        net.steps.push(Step::from(step));
        let x = values(&mut random, from, sizes.shape.map(usize::from).iter().product());
        let got = run(&net.finish_plain(&[input], output), &[&x]);
        for (at, &got) in got.iter().enumerate() {
            let (pixel, c) = (at / channels, at % channels);
            let product = |tap| sizes.at(&x, zero.into(), pixel, tap, c) * matrix.at(c, tap, 0) as i64;
            let sum = matrix.scaling[c].bias as i64 + (0..taps).map(product).sum::<i64>();
            let Row { multiplier, shift, .. } = matrix.scaling[c];
            let want = (scaled(sum, multiplier, shift) + zero_out as i64).clamp(min.into(), max.into());
            assert_eq!(got as i64, want, "case {case} {at}, {from:?} to {to:?}: {step:?}");
        }
    }
}

#[test]
fn matrices_equal_their_definition() {
    let mut random = Random(92);
    for (case, shape) in [[1, 1, 1], [1, 1, 17], [2, 3, 8], [1, 1, 30], [1, 2, 24]].into_iter().enumerate() {
        for (types @ [from, to], rows) in TYPES.into_iter().flat_map(|types| [(types, 1), (types, 9), (types, 530)]) {
            let mut net = Writer::default();
            let (input, output) = (net.typed(shape, from, 4), net.typed([1, 1, rows], to, -5));
            let inputs = shape.iter().map(|&n| n as usize).product();
            let shift = shift(&mut random, types, inputs);
            let matrix = Matrix::random(&mut random, rows as usize, 1, inputs, shift);
            let [weights, params] = net.matrix(&matrix);
            let [min, max] = limits(&mut random, to);
            net.steps.push(Step::from(LinearStep { input, output, weights, params, min, max }));
            let zero_out = net.tensors[output as usize].zero_point as i64;
            let x = values(&mut random, from, inputs);
            let got = run(&net.finish_plain(&[input], output), &[&x]);
            for (row, &got) in got.iter().enumerate() {
                let dot: i64 = x.iter().enumerate().map(|(k, &x)| x as i64 * matrix.at(row, 0, k) as i64).sum();
                let Row { bias, multiplier, shift } = matrix.scaling[row];
                let want = scaled(dot + bias as i64, multiplier, shift) + zero_out;
                assert_eq!(got as i64, want.clamp(min.into(), max.into()), "case {case}, row {row} of {rows}");
            }
        }
    }
}

/// Why a sound 1 x 1 convolution of tensor 0 into 1 with a residual is refused after a change.
fn changed(types: [Dtype; 2], shift: u8, edit: impl FnOnce(&mut Writer, &mut ConvStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let [input, output] = types.map(|dtype| net.typed([2, 3, 5], dtype, 0));
    let [weights, params] = net.matrix(&Matrix::random(&mut Random(93), 5, 1, 5, shift));
    let ones = [1; 2];
    let step = ConvStep {
        input,
        output,
        kernel: ones,
        stride: ones,
        dilation: ones,
        pad: [0; 2],
        weights,
        params,
        min: -100,
        max: 100,
        residual: None,
        groups: None,
    };
    let mut changed = step;
    edit(&mut net, &mut changed);
    net.steps.push(Step::from(changed));
    match Model::parse(&net.finish_plain(&[input, output], changed.output)).map(drop) {
        Ok(()) => Ok(()),
        Err(Error::Step { index: 0, reason }) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn refused() {
    for types in TYPES {
        let wide = types[1] == I16;
        assert_eq!(changed(types, 40, |_, _| ()), Ok(()));
        let found = StepError::Channel { field: Field::Shift, channel: 0, found: 31 };
        assert_eq!(changed(types, 31, |_, _| ()), if wide { Ok(()) } else { Err(found) });
        let found = StepError::Channel { field: Field::Shift, channel: 0, found: 15 };
        assert_eq!(changed(types, 15, |_, _| ()), Err(found));
        let most = if wide { 1 << 30 } else { 1 << 21 };
        for (multiplier, allowed) in [(0, true), (most, true), (most + 1, false), (-1, false)] {
            let result = changed(types, 20, |_, step| step.residual = Some((0, multiplier)));
            let reason = StepError::Value { field: Field::Multiplier, found: multiplier };
            assert_eq!(result, if allowed { Ok(()) } else { Err(reason) });
        }
        let shifted = changed(types, 20, |_, step| step.residual = Some((1, 100)));
        assert_eq!(shifted, if wide { Err(StepError::Quantization { id: 1 }) } else { Ok(()) });
        let sums = Err(StepError::Dtype { id: 2 });
        assert_eq!(changed(types, 40, |net, step| step.output = net.wide([2, 3, 5], I32)), sums);
        assert_eq!(changed(types, 40, |net, step| step.input = net.wide([2, 3, 5], I32)), sums);
        let lowest = changed(types, 40, |_, step| step.min = -32768);
        let reason = StepError::Value { field: Field::Minimum, found: -32768 };
        assert_eq!(lowest, if wide { Ok(()) } else { Err(reason) });
    }
}
