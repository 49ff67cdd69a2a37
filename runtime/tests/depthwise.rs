//! Depthwise convolution against its definition, and what the loader refuses of it.

mod writer;

use escarp_runtime::{
    Cpu, Dtype, Error, Field, Model, Session, StepError,
    ops::{DepthwiseStep, Step},
};
use writer::{Matrix, Random, Row, Writer};

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
    // Two channels, 1 x 3 kernels (1, -2, 3) and (0, 1, 0), padded by one at the left. The first channel is 10, 20, 30, its zero
    // point 10, as in the convolution by hand: 9, 12 and, below the clamp, 1. The second is 1, -2, 127: with the zero point's
    // share -10 in the bias and 4 more, -5, -8 and 121, times 1/4, ties up, plus 1: 0, -1, 31; clamped to 1.
    let mut net = Writer::default();
    let (input, output) = (net.tensor([1, 3, 2], 1.0, 10), net.tensor([1, 3, 2], 1.0, 1));
    let row = |bias| Row { bias, multiplier: 1 << 30, shift: 32 };
    let scaling = vec![row(2 - 20), row(4 - 10)];
    let [weights, params] =
        net.depthwise(&Matrix { rows: 2, taps: 3, inputs: 1, weights: vec![1, -2, 3, 0, 1, 0], scaling });
    net.steps.push(Step::from(DepthwiseStep {
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
    }));
    assert_eq!(run(&net.finish_plain(&[input], output), &[10, 1, 20, -2, 30, 127]), [9, 1, 12, 1, 1, 31]);
}

#[test]
fn equals_its_definition() {
    let mut random = Random(60);
    for case in 0..300 {
        let mut pick = |from: u32, to: u32| from + random.below(to - from + 1);
        let shape = [pick(1, 9), pick(1, 14), pick(1, 40)].map(|n| n as u16);
        // Every other one is 3 x 3, and of these every other one moves by one pixel, as most do.
        let kernel = if case % 2 == 0 { [3, 3] } else { [pick(1, 6), pick(1, 6)].map(|n| n as u8) };
        let stride = if case % 4 == 0 { [1, 1] } else { [pick(1, 3), pick(1, 3)].map(|n| n as u8) };
        let dilation = [pick(1, 2), if case % 4 == 0 { 1 } else { pick(1, 2) }].map(|n| n as u8);
        let pad = [pick(0, kernel[0] as u32), pick(0, kernel[1] as u32)].map(|n| n as u8);
        let size = |axis: usize| (shape[axis] + pad[axis] as u16 - 1) / stride[axis] as u16 + 1;
        let target = [pick(1, size(0) as u32) as u16, pick(1, size(1) as u32) as u16, shape[2]];
        let (min, max) = if case % 3 == 0 { (-40, 90) } else { (-128, 127) };

        let mut net = Writer::default();
        let (input, output) = (net.tensor(shape, 1.0, -7), net.tensor(target, 1.0, 12));
        let channels = shape[2] as usize;
        let taps = kernel[0] as usize * kernel[1] as usize;
        let matrix = Matrix::random(&mut random, channels, taps, 1, 39);
        let [weights, params] = net.depthwise(&matrix);
        let step = DepthwiseStep { input, output, kernel, stride, dilation, pad, weights, params, min, max };
        net.steps.push(Step::from(step));
        let values = random.activations(shape.iter().map(|&n| n as usize).product());
        let got = run(&net.finish_plain(&[input], output), &values);

        let [height, width] = [shape[0] as usize, shape[1] as usize];
        for (at, &got) in got.iter().enumerate() {
            let (pixel, c) = (at / channels, at % channels);
            let (y, x) = (pixel / target[1] as usize, pixel % target[1] as usize);
            let mut sum = matrix.scaling[c].bias as i64;
            for tap in 0..taps {
                let [i, j] = [tap / kernel[1] as usize, tap % kernel[1] as usize];
                let row = (y * stride[0] as usize + i * dilation[0] as usize).wrapping_sub(pad[0] as usize);
                let column = (x * stride[1] as usize + j * dilation[1] as usize).wrapping_sub(pad[1] as usize);
                let inside = row < height && column < width;
                let value = if inside { values[(row * width + column) * channels + c] } else { -7 };
                sum += value as i64 * matrix.at(c, tap, 0) as i64;
            }
            let Row { multiplier, shift, .. } = matrix.scaling[c];
            let scaled = (sum as i128 * multiplier as i128 + (1 << (shift - 1))).div_euclid(1 << shift);
            let want = (scaled + 12).clamp(min.into(), max.into());
            assert_eq!(got as i128, want, "case {case} ({y}, {x}, {c}): {step:?}");
        }
    }
}

/// Why a sound step, of tensors 0 and 1, is refused after a change.
fn changed(edit: impl FnOnce(&mut Writer, &mut DepthwiseStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([5, 6, 9], 1.0, 0), net.tensor([5, 6, 9], 1.0, 0));
    let [weights, params] = net.depthwise(&Matrix::random(&mut Random(61), 9, 9, 1, 39));
    let (kernel, stride, dilation, pad, min, max) = ([3; 2], [1; 2], [1; 2], [1; 2], -128, 127);
    let mut step = DepthwiseStep { input, output, kernel, stride, dilation, pad, weights, params, min, max };
    edit(&mut net, &mut step);
    net.steps.push(Step::from(step));
    match Model::parse(&net.finish_plain(&[input], step.output)).map(drop) {
        Ok(()) => Ok(()),
        Err(Error::Step { index: 0, reason }) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn refused() {
    let refused = |edit: fn(&mut DepthwiseStep)| changed(|_, step| edit(step)).unwrap_err();
    assert_eq!(changed(|_, _| ()), Ok(()));
    assert_eq!(refused(|s| s.input = 9), StepError::NoTensor { id: 9, count: 2 });
    assert_eq!(refused(|s| s.output = s.input), StepError::Overlap { a: 0, b: 0 });
    assert_eq!(refused(|s| s.kernel = [0, 3]), StepError::Value { field: Field::Kernel, found: 0 });
    assert_eq!(refused(|s| s.stride = [1, 0]), StepError::Value { field: Field::Stride, found: 0 });
    assert_eq!(refused(|s| s.dilation = [0, 1]), StepError::Value { field: Field::Dilation, found: 0 });
    assert_eq!(refused(|s| s.stride = [2, 1]), StepError::Shape { id: 1 });
    assert_eq!(refused(|s| s.kernel = [255, 3]), {
        StepError::Range { field: Field::Weights, end: limit() - 144 - 144 + 16 * 255 * 3, limit: limit() }
    });
    assert_eq!(
        refused(|s| (s.kernel, s.dilation) = ([255, 1], [2, 1])),
        StepError::Value { field: Field::Padding, found: 4 + 509 - 5 - 1 }
    );
    assert_eq!(refused(|s| (s.min, s.max) = (5, 4)), StepError::Value { field: Field::Maximum, found: 4 });
    assert_eq!(refused(|s| s.weights += 8), StepError::Unaligned { field: Field::Weights, offset: 8 });
    assert_eq!(refused(|s| s.params += 4), StepError::Unaligned { field: Field::Parameters, offset: 148 });
    assert_eq!(
        refused(|s| s.params += 8),
        StepError::Range { field: Field::Parameters, end: limit() + 8, limit: limit() }
    );
    let early = refused(|s| s.params = 136);
    let (start, previous) = (limit() - 144 - 8, limit() - 144);
    assert_eq!(early, StepError::Order { field: Field::Parameters, start, previous });
}

/// Where the constants of the sound step end in the file: 16 x 9 weights and two blocks of 72 bytes.
fn limit() -> u32 {
    match changed(|_, step| step.weights = 1 << 20) {
        Err(StepError::Range { limit, .. }) => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refused_tensors_and_constants() {
    let channels = changed(|net, _| net.tensors[1].channels = 8);
    assert_eq!(channels, Err(StepError::Shape { id: 1 }), "as many channels");
    let wide = changed(|net, step| step.output = net.wide([5, 6, 9], Dtype::I32));
    assert_eq!(wide, Err(StepError::Dtype { id: 2 }));
    let shifted = changed(|net, _| net.tensors[1].offset = 16);
    assert_eq!(shifted, Err(StepError::Overlap { a: 0, b: 1 }));
    assert_eq!(changed(|net, _| net.consts[70] = 0x80), Err(StepError::Weight { at: limit() - 288 + 70 }));
    for shift in [31, 63] {
        let reason = StepError::Channel { field: Field::Shift, channel: 9, found: shift.into() };
        assert_eq!(changed(|net, _| net.consts[144 + 72 + 64 + 1] = shift), Err(reason));
    }
    let reason = StepError::Channel { field: Field::Multiplier, channel: 0, found: 1 };
    assert_eq!(changed(|net, _| net.consts[144 + 32..][..4].copy_from_slice(&[1, 0, 0, 0])), Err(reason));
}
