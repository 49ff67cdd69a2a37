//! What is made of all channels of a pixel: each operator against its definition, and what of it is refused.

mod writer;

use escarp_runtime::{
    Cpu, Dtype, Element, Error, Field, Model, Session, StepError, TensorId,
    ops::{ArgmaxStep, CopyStep, EXPONENTIAL_MAX, Loop, SOFTMAX_SCALE, SoftmaxStep, Step},
};
use writer::{Random, Writer};

/// The output, the same on the portable kernels and this machine's, whatever the arena held before.
fn run<T: Element + PartialEq + std::fmt::Debug>(file: &[u8], input: &[i8]) -> Vec<T> {
    let model = Model::parse(file).unwrap();
    let on = |cpu, held| {
        let mut arena = vec![held; model.buffer_len()];
        let mut session = Session::new(&model, &mut arena, cpu).unwrap();
        session.set_input(0, input).unwrap();
        session.infer().unwrap();
        session.output::<T>(0).unwrap().to_vec()
    };
    let portable = on(Cpu::PORTABLE, 0x55);
    assert_eq!(portable, on(escarp_detect::detect(), -3));
    portable
}

/// Small maps whose channels fill groups of 8 or do not.
const SHAPES: [[u16; 3]; 6] = [[1, 1, 1], [2, 3, 5], [1, 4, 8], [3, 1, 9], [2, 2, 16], [5, 7, 19]];

/// Lays a tensor out as it lies in memory: padding channels become channels of the result.
fn unpadded(net: &mut Writer, input: TensorId) -> TensorId {
    let tensor = net.tensors[input as usize];
    let shape = [tensor.height, tensor.width, tensor.padded_channels() as u16];
    let output = match tensor.dtype {
        Dtype::I8 => net.tensor(shape, tensor.scale, tensor.zero_point),
        wide => net.wide(shape, wide),
    };
    let whole = [Loop { count: tensor.padded_elements() as u32, from: 1, to: 1 }];
    let step = CopyStep { input, output, fill: Some(0), table: None, loops: 0, loops_at: 0, from: 0, to: 0, values: 0 };
    net.copy(&whole, step);
    output
}

/// Random values, equal ones among them, and sometimes all of them.
fn values(random: &mut Random, [height, width, channels]: [u16; 3]) -> Vec<i8> {
    let spread = [1, 2, 10, 256][random.below(4) as usize];
    let lowest = random.below(257 - spread) as i32 - 128;
    let len = height as u32 * width as u32 * channels as u32;
    (0..len).map(|_| (lowest + random.below(spread) as i32) as i8).collect()
}

/// The exponential of `-d * unit`, or something that falls in steps, or at once.
fn exponentials(random: &mut Random) -> [u32; 256] {
    let first = [1, EXPONENTIAL_MAX, 1 + random.below(EXPONENTIAL_MAX)][random.below(3) as usize];
    let unit = [0.0, 0.01, 0.1, 1.0, 10.0][random.below(5) as usize];
    std::array::from_fn(|d| (first as f64 * (-(d as f64) * unit).exp()).round() as u32)
}

#[test]
fn a_softmax_equals_its_definition() {
    let mut random = Random(80);
    for case in 0..600 {
        let shape = SHAPES[case % 6];
        let mut net = Writer::default();
        let input = net.tensor(shape, 0.1, [0, -128, 55][case % 3]);
        let output = match case & 8 == 0 {
            true => net.alias(input, SOFTMAX_SCALE, -128),
            false => net.tensor(shape, SOFTMAX_SCALE, -128),
        };
        let e = exponentials(&mut random);
        let table = net.exponentials(e);
        net.steps.push(Step::from(SoftmaxStep { input, output, table }));
        let stored = unpadded(&mut net, output);
        let values = values(&mut random, shape);
        let got: Vec<i8> = run(&net.finish_plain(&[input], stored), &values);

        let (channels, padded) = (shape[2] as usize, shape[2].next_multiple_of(8) as usize);
        for (pixel, got) in values.chunks(channels).zip(got.chunks(padded)) {
            let max = *pixel.iter().max().unwrap() as i64;
            let exponential = |x: i8| e[(max - x as i64) as usize] as u64;
            let sum: u64 = pixel.iter().map(|&x| exponential(x)).sum();
            let y = |x: i8| ((exponential(x) * 256 + sum / 2) / sum) as i64 - 128;
            let want: Vec<i64> = pixel.iter().map(|&x| y(x).min(127)).chain([-128; 8]).take(padded).collect();
            assert_eq!(got.iter().map(|&y| y as i64).collect::<Vec<_>>(), want, "{pixel:?} by {e:?}");
        }
    }
}

#[test]
fn a_softmax_by_hand() {
    // e = 8, 4, 2, 1, 0 ...: 3, 2, 2, -9 have 8, 4, 4, 0 of 16: 128, 64, 64, 0 of 256, minus 128.
    let mut net = Writer::default();
    let (input, output) = (net.tensor([1, 1, 4], 0.7, 0), net.tensor([1, 1, 4], SOFTMAX_SCALE, -128));
    let table = net.exponentials(std::array::from_fn(|d| if d < 4 { 8 >> d } else { 0 }));
    net.steps.push(Step::from(SoftmaxStep { input, output, table }));
    assert_eq!(run::<i8>(&net.finish_plain(&[input], output), &[3, 2, 2, -9]), [0, -64, -64, -128]);
}

/// As many channels as there can be, all of them the largest, in 32 bits.
#[test]
fn a_softmax_of_all_channels() {
    let channels = u16::MAX as usize;
    for (first, want) in [(EXPONENTIAL_MAX, -128), (1, -128)] {
        let mut net = Writer::default();
        let input = net.tensor([1, 1, u16::MAX], 0.7, 0);
        let output = net.alias(input, SOFTMAX_SCALE, -128);
        let table = net.exponentials([first; 256]);
        net.steps.push(Step::from(SoftmaxStep { input, output, table }));
        assert_eq!(run::<i8>(&net.finish_plain(&[input], output), &vec![127; channels]), vec![want; channels]);
    }
    // One channel stands out by all there is: 1 of 1 is limited to 255 of 256.
    let mut net = Writer::default();
    let input = net.tensor([1, 1, u16::MAX], 0.7, 0);
    let output = net.tensor([1, 1, u16::MAX], SOFTMAX_SCALE, -128);
    let table = net.exponentials(std::array::from_fn(|d| if d == 0 { EXPONENTIAL_MAX } else { 0 }));
    net.steps.push(Step::from(SoftmaxStep { input, output, table }));
    let mut values = vec![5; channels];
    values[40_000] = 6;
    let mut want = vec![-128; channels];
    want[40_000] = 127;
    assert_eq!(run::<i8>(&net.finish_plain(&[input], output), &values), want);
}

/// Why a model of one step is refused, if it is.
fn result(mut net: Writer, input: TensorId, step: impl Into<Step>) -> Result<(), StepError> {
    let step = step.into();
    net.steps.push(step);
    match Model::parse(&net.finish_plain(&[input], step.output())).map(drop) {
        Ok(()) => Ok(()),
        Err(Error::Step { index: 0, reason }) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

/// A sound softmax of tensor 0 into 1 after a change.
fn softmax(edit: impl FnOnce(&mut Writer, &mut SoftmaxStep, &mut [u32; 256])) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([2, 3, 5], 1.0, 0), net.tensor([2, 3, 5], SOFTMAX_SCALE, -128));
    let mut table = std::array::from_fn(|d| EXPONENTIAL_MAX >> (d / 8).min(20));
    let mut step = SoftmaxStep { input, output, table: 0 };
    edit(&mut net, &mut step, &mut table);
    net.exponentials(table);
    result(net, 0, step)
}

/// One row, column or channel less: the tensor stays within its bytes.
const LESS: [fn(&mut escarp_runtime::Tensor); 3] = [|t| t.height -= 1, |t| t.width -= 1, |t| t.channels -= 1];

#[test]
fn softmaxes_that_are_refused() {
    assert_eq!(softmax(|_, _, _| ()), Ok(()));
    let place = |net: &mut Writer, at: u32| net.tensors[1].offset = at;
    assert_eq!(softmax(|net, _, _| place(net, 0)), Ok(()), "in place");
    assert_eq!(softmax(|net, _, _| place(net, 16)), Err(StepError::Overlap { a: 0, b: 1 }));
    assert_eq!(softmax(|_, step, _| step.input = 2), Err(StepError::NoTensor { id: 2, count: 2 }));
    let wide = softmax(|net, step, _| step.input = net.wide([2, 3, 5], Dtype::I16));
    assert_eq!(wide, Err(StepError::Dtype { id: 2 }));
    for less in LESS {
        assert_eq!(softmax(|net, _, _| less(&mut net.tensors[1])), Err(StepError::Shape { id: 1 }));
    }
    let quantization = Err(StepError::Quantization { id: 1 });
    assert_eq!(softmax(|net, _, _| net.tensors[1].zero_point = -127), quantization);
    assert_eq!(softmax(|net, _, _| net.tensors[1].scale = 1.0 / 255.0), quantization);
    let wrong = |found| Err(StepError::Value { field: Field::Table, found });
    assert_eq!(softmax(|_, _, e| e.fill(0)), wrong(0), "a sum of 0");
    assert_eq!(softmax(|_, _, e| e.fill(1)), Ok(()));
    assert_eq!(softmax(|_, _, e| e[0] = EXPONENTIAL_MAX + 1), wrong(32_769));
    assert_eq!(softmax(|_, _, e| e[0] = u32::MAX), wrong(i32::MAX));
    assert_eq!(softmax(|_, _, e| e[255] = e[254] + 1), wrong((EXPONENTIAL_MAX as i32 >> 20) + 1), "a rise");
    let unaligned = StepError::Unaligned { field: Field::Table, offset: 4 };
    assert_eq!(softmax(|_, step, _| step.table = 4), Err(unaligned));
    let short = softmax(|_, step, _| step.table = 8);
    assert!(matches!(short, Err(StepError::Range { field: Field::Table, .. })), "{short:?}");
}

#[test]
fn an_argmax_is_the_first_of_the_largest() {
    let mut random = Random(81);
    for case in 0..300 {
        let shape @ [height, width, channels] = SHAPES[case % 6];
        let mut net = Writer::default();
        // Padding channels hold the zero point, which is larger than any value here.
        let input = net.tensor(shape, 0.1, 127);
        let output = net.wide([height, width, 1], Dtype::I32);
        net.steps.push(Step::from(ArgmaxStep { input, output }));
        let stored = unpadded(&mut net, output);
        let values = values(&mut random, shape);
        let got: Vec<i32> = run(&net.finish_plain(&[input], stored), &values);
        for (pixel, got) in values.chunks(channels.into()).zip(got.chunks(8)) {
            let max = pixel.iter().max().unwrap();
            let place = pixel.iter().position(|x| x == max).unwrap() as i32;
            assert_eq!(got, [place, 0, 0, 0, 0, 0, 0, 0], "{pixel:?}");
        }
    }
}

#[test]
fn an_argmax_of_all_channels() {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([1, 1, u16::MAX], 0.1, 0), net.wide([1, 1, 1], Dtype::I32));
    net.steps.push(Step::from(ArgmaxStep { input, output }));
    let file = net.finish_plain(&[input], output);
    let mut values = vec![-128; u16::MAX as usize];
    assert_eq!(run::<i32>(&file, &values), [0]);
    values[65_534] = -127;
    assert_eq!(run::<i32>(&file, &values), [65_534]);
}

/// A sound argmax of tensor 0 into 1 after a change.
fn argmax(edit: impl FnOnce(&mut Writer, &mut ArgmaxStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([2, 3, 5], 0.5, 4), net.wide([2, 3, 1], Dtype::I32));
    let mut step = ArgmaxStep { input, output };
    edit(&mut net, &mut step);
    result(net, 0, step)
}

#[test]
fn argmaxes_that_are_refused() {
    assert_eq!(argmax(|_, _| ()), Ok(()));
    assert_eq!(argmax(|_, step| step.input = 2), Err(StepError::NoTensor { id: 2, count: 2 }));
    assert_eq!(argmax(|net, _| net.tensors[1].offset = 32), Err(StepError::Overlap { a: 0, b: 1 }));
    assert_eq!(argmax(|net, _| net.tensors[1].scale = 0.5), Err(StepError::Quantization { id: 1 }));
    for less in &LESS[..2] {
        assert_eq!(argmax(|net, _| less(&mut net.tensors[1])), Err(StepError::Shape { id: 1 }));
    }
    assert_eq!(argmax(|net, _| net.tensors[1].channels = 2), Err(StepError::Shape { id: 1 }));
    for dtype in [Dtype::I8, Dtype::I16] {
        assert_eq!(argmax(|net, _| net.tensors[1].dtype = dtype), Err(StepError::Dtype { id: 1 }));
    }
    let wide = argmax(|net, step| step.input = net.wide([2, 3, 5], Dtype::I32));
    assert_eq!(wide, Err(StepError::Dtype { id: 2 }));
    assert_eq!(argmax(|net, step| step.output = net.state(1)), Err(StepError::State { id: 2 }));
}
