//! What the loader refuses of steps where a tensor is int16: one wrong thing at a time in a model that is right otherwise.

mod writer;

use escarp_runtime::{
    Dtype::{self, I8, I16, I32},
    Error, Field, Model, StepError, TensorId,
    ops::{AddStep, Combine, Divisor, LookupStep, MulStep, PoolStep, ScaleStep, Step},
};
use writer::Writer;

const SHAPE: [u16; 3] = [2, 3, 5];

/// Why a model is refused for its only step, if it is.
fn result(mut net: Writer, inputs: &[TensorId], step: impl Into<Step>) -> Result<(), StepError> {
    let step = step.into();
    net.steps.push(step);
    match Model::parse(&net.finish_plain(inputs, step.output())).map(drop) {
        Ok(()) => Ok(()),
        Err(Error::Step { index: 0, reason }) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

fn wrong(field: Field, found: i32) -> Result<(), StepError> {
    Err(StepError::Value { field, found })
}

/// A sound change of scale of tensor 0 into 1 after a change.
fn scale([from, to]: [Dtype; 2], edit: impl FnOnce(&mut Writer, &mut ScaleStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.typed(SHAPE, from, 3), net.typed(SHAPE, to, 4));
    let mut step = ScaleStep { input, output, multiplier: 1 << 30, shift: 40, min: -100, max: 100 };
    edit(&mut net, &mut step);
    result(net, &[input], step)
}

#[test]
fn changes_of_scale() {
    for [from, to] in [[I8, I8], [I8, I16], [I16, I8], [I16, I16]] {
        let same = from == to;
        let scale = |edit: fn(&mut Writer, &mut ScaleStep)| scale([from, to], edit);
        assert_eq!(scale(|_, _| ()), Ok(()));
        let overlap = if same { Ok(()) } else { Err(StepError::Overlap { a: 0, b: 1 }) };
        assert_eq!(scale(|net, _| net.tensors[1].offset = 0), overlap, "in place of values as large alone");
        let shifted = scale(|net, _| net.tensors[1].offset = 16);
        assert_eq!(shifted, Err(StepError::Overlap { a: 0, b: 1 }), "not quite in place");
        assert_eq!(scale(|_, step| step.input = 2), Err(StepError::NoTensor { id: 2, count: 2 }));
        assert_eq!(scale(|net, _| net.tensors[1].channels = 4), Err(StepError::Shape { id: 1 }));
        let sums = Err(StepError::Dtype { id: 2 });
        assert_eq!(scale(|net, step| step.output = net.wide(SHAPE, I32)), sums);
        assert_eq!(scale(|net, step| step.input = net.wide(SHAPE, I32)), sums);
        assert_eq!(scale(|net, step| step.output = net.state(5)), Err(StepError::State { id: 2 }));
        assert_eq!(scale(|_, step| step.multiplier = (1 << 30) - 1), wrong(Field::Multiplier, (1 << 30) - 1));
        assert_eq!(scale(|_, step| step.shift = 63), wrong(Field::Shift, 63));
        assert_eq!(scale(|_, step| step.shift = 15), wrong(Field::Shift, 15));
        let below = scale(|_, step| step.shift = 31);
        assert_eq!(below, if to == I8 { wrong(Field::Shift, 31) } else { Ok(()) });
        assert_eq!(scale(|_, step| step.max = -101), wrong(Field::Maximum, -101));
        let (least, most) = (scale(|_, step| step.min = -32768), scale(|_, step| step.max = 32767));
        match to {
            I8 => assert_eq!((least, most), (wrong(Field::Minimum, -32768), wrong(Field::Maximum, 32767))),
            _ => assert_eq!((least, most), (Ok(()), Ok(()))),
        }
    }
}

/// A sound table of tensor 0 into 1, of so many entries of int16.
fn lookup([from, to]: [Dtype; 2], entries: usize, edit: impl FnOnce(&mut Writer)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.typed(SHAPE, from, 3), net.typed(SHAPE, to, 4));
    let table = net.wide_table(&vec![5; entries]);
    edit(&mut net);
    result(net, &[input], LookupStep { input, output, table })
}

#[test]
fn tables() {
    for (types, entries) in [([I8, I16], 256), ([I16, I8], 513), ([I16, I16], 513)] {
        assert_eq!(lookup(types, entries, |_| ()), Ok(()));
        let short = lookup(types, entries - 1, |_| ());
        assert!(matches!(short, Err(StepError::Range { field: Field::Table, .. })), "{short:?}");
        let in_place = lookup(types, entries, |net| net.tensors[1].offset = 0);
        assert_eq!(in_place, if types == [I16; 2] { Ok(()) } else { Err(StepError::Overlap { a: 0, b: 1 }) });
    }
    for types in [[I32, I8], [I32, I16], [I8, I32], [I16, I32]] {
        let id = if types[0] == I32 { 0 } else { 1 };
        assert_eq!(lookup(types, 513, |_| ()), Err(StepError::Dtype { id }));
    }
}

#[test]
fn sums() {
    let sum = |types: [Dtype; 3], edit: fn(&mut Writer, &mut AddStep)| {
        let mut net = Writer::default();
        let [a, b, output] = types.map(|dtype| net.typed(SHAPE, dtype, 0));
        let (combine, multipliers) = (Combine::Maximum, [1 << 30, -(1 << 30)]);
        let mut step = AddStep { combine, a, b, output, multipliers, min: -100, max: 100 };
        edit(&mut net, &mut step);
        result(net, &[a, b], step)
    };
    for types in [[I16, I8, I8], [I8, I16, I8], [I8, I8, I16], [I16; 3]] {
        assert_eq!(sum(types, |_, _| ()), Ok(()));
        for found in [i32::MIN, -(1 << 30) - 1, (1 << 30) + 1] {
            let mut net = Writer::default();
            let [a, b, output] = types.map(|dtype| net.typed(SHAPE, dtype, 0));
            let (combine, multipliers) = (Combine::Sum, [0, found]);
            let step = AddStep { combine, a, b, output, multipliers, min: -100, max: 100 };
            assert_eq!(result(net, &[a, b], step), wrong(Field::Multiplier, found));
        }
        let most = sum(types, |_, step| step.max = 128);
        assert_eq!(most, if types[2] == I8 { wrong(Field::Maximum, 128) } else { Ok(()) });
        let in_place = sum(types, |net, _| net.tensors[2].offset = 0);
        assert_eq!(in_place, if types[0] == types[2] { Ok(()) } else { Err(StepError::Overlap { a: 0, b: 2 }) });
    }
    assert_eq!(sum([I8; 3], |_, _| ()), wrong(Field::Multiplier, 1 << 30), "Q12 of int8 alone");
}

#[test]
fn products() {
    let product = |types: [Dtype; 3], shift| {
        let mut net = Writer::default();
        let [a, b, output] = types.map(|dtype| net.typed(SHAPE, dtype, 0));
        result(net, &[a, b], MulStep { a, b, output, multiplier: 1 << 30, shift, min: -100, max: 100 })
    };
    assert_eq!([16, 31, 62].map(|shift| product([I8, I8, I16], shift)), [Ok(()), Ok(()), Ok(())]);
    assert_eq!(product([I8, I8, I16], 15), wrong(Field::Shift, 15));
    assert_eq!(product([I16, I16, I8], 32), Ok(()));
    assert_eq!(product([I16, I16, I8], 31), wrong(Field::Shift, 31));
    assert_eq!(product([I16, I32, I8], 32), Err(StepError::Dtype { id: 1 }));
}

#[test]
fn pools() {
    let pool = |[from, to]: [Dtype; 2], rows: u16, average| {
        let mut net = Writer::default();
        let (input, output) = (net.typed([rows, 256, 1], from, 0), net.typed([1, 1, 1], to, 0));
        let (kernel, stride, pad) = ([rows, 256], [1, 1], [0, 0]);
        result(net, &[input], PoolStep { input, output, kernel, stride, pad, average, min: -100, max: 100 })
    };
    let average = Some(Divisor::All(1 << 30, 40));
    for types in [[I8, I16], [I16, I8], [I16, I16]] {
        assert_eq!(pool(types, 255, average), Ok(()));
        let maximum = if types == [I16; 2] { Ok(()) } else { Err(StepError::Dtype { id: 1 }) };
        assert_eq!(pool(types, 255, None), maximum);
        // 65536 values of -32768 do not fit an int32.
        let most = if types[0] == I8 { Ok(()) } else { wrong(Field::Kernel, 65_536) };
        assert_eq!(pool(types, 256, average), most);
    }
}
