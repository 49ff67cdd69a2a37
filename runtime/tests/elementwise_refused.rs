//! Tables, sums, products and other sizes that the loader refuses: one wrong thing at a time in a model that is right otherwise.

mod writer;

use escarp_runtime::{
    Dtype, Error, Field, Model, StepError, Tensor, TensorId,
    format::{Header, STEP},
    ops::{AddStep, Between, Combine, InterpolateStep, LookupStep, MulStep, ResizeStep, Step, WEIGHT_ONE},
};
use writer::Writer;

/// Why a model is refused for its last step, if it is.
fn result(mut net: Writer, inputs: &[TensorId], step: impl Into<Step>) -> Result<(), StepError> {
    let (step, last) = (step.into(), net.steps.len());
    net.steps.push(step);
    match Model::parse(&net.finish_plain(inputs, step.output())).map(drop) {
        Ok(()) => Ok(()),
        Err(Error::Step { index, reason }) if index as usize == last => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

fn sound_lookup() -> (Writer, LookupStep) {
    let mut net = Writer::default();
    let [input, output] = [(); 2].map(|()| net.tensor([2, 3, 5], 1.0, 0));
    let table = net.table([1; 256]);
    (net, LookupStep { input, output, table })
}

/// A sound lookup after a change of its tensors, 0 and 1, or of itself.
fn lookup(edit: impl FnOnce(&mut Writer, &mut LookupStep)) -> Result<(), StepError> {
    let (mut net, mut step) = sound_lookup();
    edit(&mut net, &mut step);
    result(net, &[0], step)
}

/// A sound product of tensors 0 and 1 in 2, likewise.
fn mul(edit: impl FnOnce(&mut Writer, &mut MulStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let [a, b, output] = [(); 3].map(|()| net.tensor([2, 3, 5], 1.0, 0));
    let mut step = MulStep { a, b, output, multiplier: 1 << 30, shift: 34, min: -128, max: 127 };
    edit(&mut net, &mut step);
    result(net, &[a, b], step)
}

/// A sound sum, likewise.
fn add(edit: impl FnOnce(&mut Writer, &mut AddStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let [a, b, output] = [(); 3].map(|()| net.tensor([2, 3, 5], 1.0, 0));
    let (combine, multipliers) = (Combine::Minimum, [4096, -4096]);
    let mut step = AddStep { combine, a, b, output, multipliers, min: -128, max: 127 };
    edit(&mut net, &mut step);
    result(net, &[a, b], step)
}

/// A sound enlargement of tensor 0 into 1, likewise.
fn resize(edit: impl FnOnce(&mut Writer, &mut ResizeStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([2, 3, 5], 0.5, 4), net.tensor([4, 9, 5], 0.5, 4));
    let mut step = ResizeStep { input, output, factor: [2, 3] };
    edit(&mut net, &mut step);
    result(net, &[input], step)
}

/// One row, column or channel less: the tensor stays within its bytes.
const LESS: [fn(&mut Tensor); 3] = [|t| t.height -= 1, |t| t.width -= 1, |t| t.channels -= 1];

#[test]
fn lookups() {
    assert_eq!(lookup(|_, _| ()), Ok(()));
    assert_eq!(lookup(|net, _| net.tensors[1].offset = 0), Ok(()), "in place");
    assert_eq!(lookup(|_, step| step.output = step.input), Ok(()), "the same tensor");
    assert_eq!(lookup(|_, step| step.input = 2), Err(StepError::NoTensor { id: 2, count: 2 }));
    let wide = lookup(|net, step| step.output = net.wide([2, 3, 5], Dtype::I32));
    assert_eq!(wide, Err(StepError::Dtype { id: 2 }));
    for less in LESS {
        assert_eq!(lookup(|net, _| less(&mut net.tensors[1])), Err(StepError::Shape { id: 1 }));
    }
    let state = lookup(|net, step| step.output = net.state(5));
    assert_eq!(state, Err(StepError::State { id: 2 }));
    let shifted = lookup(|net, _| net.tensors[1].offset = 16);
    assert_eq!(shifted, Err(StepError::Overlap { a: 0, b: 1 }), "not quite in place");
}

#[test]
fn tables() {
    let field = Field::Table;
    assert_eq!(lookup(|_, step| step.table = 4), Err(StepError::Unaligned { field, offset: 4 }));
    let (mut net, step) = sound_lookup();
    net.steps.push(Step::from(step));
    let consts_at = Header::parse(&net.finish_plain(&[0], 1)).unwrap().consts_at;
    let limit = consts_at + 256;
    let beyond = lookup(|_, step| step.table = 8);
    assert_eq!(beyond, Err(StepError::Range { field, end: limit + 8, limit }));
    let far = lookup(|_, step| step.table = u32::MAX - 7);
    assert_eq!(far, Err(StepError::Range { field, end: u32::MAX, limit }));
    let short = lookup(|net, _| net.consts.truncate(255));
    assert_eq!(short, Err(StepError::Range { field, end: limit, limit: limit - 1 }));
    let shared = lookup(|net, step| net.steps.push(Step::from(*step)));
    // The constants stand behind one step more.
    let (start, previous) = (consts_at + STEP as u32, limit + STEP as u32);
    assert_eq!(shared, Err(StepError::Order { field, start, previous }));
}

#[test]
fn products() {
    assert_eq!(mul(|_, _| ()), Ok(()));
    assert_eq!(mul(|net, _| net.tensors[2].offset = 0), Ok(()), "in place");
    assert_eq!(mul(|_, step| step.b = step.a), Ok(()), "a square");
    assert_eq!(mul(|_, step| step.b = 3), Err(StepError::NoTensor { id: 3, count: 3 }));
    assert_eq!(mul(|net, _| (net.tensors[1].height, net.tensors[1].width) = (1, 1)), Ok(()), "for each channel");
    for less in LESS {
        assert_eq!(mul(|net, _| less(&mut net.tensors[1])), Err(StepError::Shape { id: 1 }));
        assert_eq!(mul(|net, _| less(&mut net.tensors[2])), Err(StepError::Shape { id: 2 }));
    }
    let narrow = mul(|net, _| {
        let b = &mut net.tensors[1];
        (b.height, b.width, b.channels) = (1, 1, 4);
    });
    assert_eq!(narrow, Err(StepError::Shape { id: 1 }));
    let operands: [fn(&mut MulStep) -> &mut TensorId; 3] = [|s| &mut s.a, |s| &mut s.b, |s| &mut s.output];
    for operand in operands {
        let wide = mul(|net, step| *operand(step) = net.wide([2, 3, 5], Dtype::I32));
        assert_eq!(wide, Err(StepError::Dtype { id: 3 }));
    }
}

#[test]
fn sums() {
    assert_eq!(add(|_, _| ()), Ok(()));
    assert_eq!(add(|net, _| (net.tensors[1].height, net.tensors[1].width) = (1, 1)), Ok(()), "for each channel");
    for less in LESS {
        assert_eq!(add(|net, _| less(&mut net.tensors[1])), Err(StepError::Shape { id: 1 }));
        assert_eq!(add(|net, _| less(&mut net.tensors[2])), Err(StepError::Shape { id: 2 }));
    }
    let narrow = add(|net, _| {
        let b = &mut net.tensors[1];
        (b.height, b.width, b.channels) = (1, 1, 4);
    });
    assert_eq!(narrow, Err(StepError::Shape { id: 1 }));
    let over_b = add(|net, _| net.tensors[2].offset = net.tensors[1].offset);
    assert_eq!(over_b, Err(StepError::Overlap { a: 1, b: 2 }));
    assert_eq!(add(|_, step| step.multipliers = [1 << 21, -(1 << 21)]), Ok(()));
    for found in [i32::MIN, -(1 << 21) - 1, (1 << 21) + 1, i32::MAX] {
        let reason = StepError::Value { field: Field::Multiplier, found };
        assert_eq!(add(|_, step| step.multipliers[0] = found), Err(reason));
        assert_eq!(add(|_, step| step.multipliers[1] = found), Err(reason));
    }
}

#[test]
fn products_in_shared_bytes() {
    let shifted = mul(|net, _| net.tensors[2].offset = 16);
    assert_eq!(shifted, Err(StepError::Overlap { a: 0, b: 2 }), "not quite in place");
    let over_b = mul(|net, _| net.tensors[2].offset = net.tensors[1].offset);
    assert_eq!(over_b, Err(StepError::Overlap { a: 1, b: 2 }), "in place of the second operand");
    let square = mul(|_, step| (step.b, step.output) = (step.a, step.a));
    assert_eq!(square, Err(StepError::Overlap { a: 0, b: 0 }), "a square in place");
}

/// The second operand, a value for each channel, is a pixel of the first.
#[test]
fn a_product_with_one_of_its_own_pixels() {
    let within = |in_place: bool| {
        let mut net = Writer::default();
        let a = net.tensor([1, 4, 16], 1.0, 0);
        let x = net.tensor([1, 1, 16], 1.0, 0);
        let b = net.tensor([1, 1, 16], 1.0, 0);
        net.tensors[b as usize].offset = net.tensors[a as usize].offset + 32;
        let output = if in_place { net.alias(a, 1.0, 0) } else { net.tensor([1, 4, 16], 1.0, 0) };
        let table = net.table([1; 256]);
        net.steps.push(Step::from(LookupStep { input: x, output: b, table }));
        net.steps.push(Step::from(MulStep { a, b, output, multiplier: 1 << 30, shift: 34, min: -128, max: 127 }));
        Model::parse(&net.finish_plain(&[a, x], output)).map(drop)
    };
    let refused = |reason| Err(Error::Step { index: 1, reason });
    assert_eq!(within(true), refused(StepError::Overlap { a: 2, b: 3 }));
    assert_eq!(within(false), refused(StepError::Unwritten { id: 0 }), "the pixel has overwritten a part of it");
}

#[test]
fn numbers_of_products() {
    for found in [i32::MIN, -1, 0, 1, (1 << 30) - 1] {
        let reason = StepError::Value { field: Field::Multiplier, found };
        assert_eq!(mul(|_, step| step.multiplier = found), Err(reason));
    }
    assert_eq!(mul(|_, step| step.multiplier = i32::MAX), Ok(()));
    for shift in [0, 16, 31, 63, 255] {
        let reason = StepError::Value { field: Field::Shift, found: shift.into() };
        assert_eq!(mul(|_, step| step.shift = shift), Err(reason));
    }
    for shift in [32, 62] {
        assert_eq!(mul(|_, step| step.shift = shift), Ok(()));
    }
    assert_eq!(mul(|_, step| (step.min, step.max) = (5, 5)), Ok(()));
    let reason = StepError::Value { field: Field::Maximum, found: 4 };
    assert_eq!(mul(|_, step| (step.min, step.max) = (5, 4)), Err(reason));
}

#[test]
fn enlargements() {
    assert_eq!(resize(|_, _| ()), Ok(()));
    assert_eq!(resize(|_, step| step.input = 2), Err(StepError::NoTensor { id: 2, count: 2 }));
    for less in LESS {
        assert_eq!(resize(|net, _| less(&mut net.tensors[0])), Err(StepError::Shape { id: 1 }));
        assert_eq!(resize(|net, _| less(&mut net.tensors[1])), Err(StepError::Shape { id: 1 }));
    }
    for factor in [[0, 3], [2, 0]] {
        let reason = StepError::Value { field: Field::Factor, found: 0 };
        assert_eq!(resize(|_, step| step.factor = factor), Err(reason));
    }
    for factor in [[1, 3], [2, 4], [255, 255]] {
        assert_eq!(resize(|_, step| step.factor = factor), Err(StepError::Shape { id: 1 }));
    }
    let quantization = Err(StepError::Quantization { id: 1 });
    assert_eq!(resize(|net, _| net.tensors[1].zero_point = 5), quantization);
    assert_eq!(resize(|net, _| net.tensors[1].scale = 0.25), quantization);
    let sums = resize(|net, step| step.input = net.wide([2, 3, 5], Dtype::I32));
    assert_eq!(sums, Err(StepError::Dtype { id: 2 }));
    let mixed = resize(|net, step| step.input = net.wide([2, 3, 5], Dtype::I16));
    assert_eq!(mixed, Err(StepError::Dtype { id: 1 }), "the output keeps its type");
    let overlap = Err(StepError::Overlap { a: 0, b: 1 });
    assert_eq!(resize(|net, _| net.tensors[1].offset = 32), overlap);
    let same = |net: &mut Writer, step: &mut ResizeStep| {
        (net.tensors[1], step.factor) = (net.tensors[0], [1, 1]);
    };
    assert_eq!(resize(same), overlap, "not even in place");
}

/// A sound interpolation of tensor 0 into 1 after a change.
fn interpolate(edit: impl FnOnce(&mut Writer, &mut InterpolateStep, [&mut Vec<Between>; 2])) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([2, 3, 5], 0.5, 4), net.tensor([4, 6, 5], 0.5, 4));
    let mut rows = vec![Between { low: 1, high: 0, weight: 7 }; 4];
    let mut columns = vec![Between { low: 1, high: 2, weight: WEIGHT_ONE }; 6];
    // The columns stand behind four rows.
    let mut step = InterpolateStep { input, output, rows: 0, columns: 32 };
    edit(&mut net, &mut step, [&mut rows, &mut columns]);
    net.axis(&rows);
    net.axis(&columns);
    result(net, &[input], step)
}

#[test]
fn interpolations() {
    assert_eq!(interpolate(|_, _, _| ()), Ok(()));
    assert_eq!(interpolate(|_, step, _| step.input = 2), Err(StepError::NoTensor { id: 2, count: 2 }));
    let channels = interpolate(|net, _, _| net.tensors[1].channels = 4);
    assert_eq!(channels, Err(StepError::Shape { id: 1 }));
    let quantization = Err(StepError::Quantization { id: 1 });
    assert_eq!(interpolate(|net, _, _| net.tensors[1].zero_point = 5), quantization);
    assert_eq!(interpolate(|net, _, _| net.tensors[1].scale = 0.25), quantization);
    let sums = interpolate(|net, step, _| step.input = net.wide([2, 3, 5], Dtype::I32));
    assert_eq!(sums, Err(StepError::Dtype { id: 2 }));
    let mixed = interpolate(|net, step, _| step.input = net.wide([2, 3, 5], Dtype::I16));
    assert_eq!(mixed, Err(StepError::Dtype { id: 1 }), "the output keeps its type");
    let overlap = Err(StepError::Overlap { a: 0, b: 1 });
    assert_eq!(interpolate(|net, _, _| net.tensors[1].offset = 32), overlap);
    let beyond = |field, found| Err(StepError::Value { field, found });
    assert_eq!(interpolate(|_, _, [rows, _]| rows[3].low = 2), beyond(Field::Rows, 2));
    assert_eq!(interpolate(|_, _, [rows, _]| rows[0].high = u16::MAX), beyond(Field::Rows, 65_535));
    assert_eq!(interpolate(|_, _, [_, columns]| columns[5].high = 3), beyond(Field::Columns, 3));
    assert_eq!(interpolate(|_, _, [_, columns]| columns[0].low = 3), beyond(Field::Columns, 3));
    assert_eq!(interpolate(|_, _, [rows, _]| rows[2].weight = 2049), beyond(Field::Weights, 2049));
    assert_eq!(interpolate(|_, _, [_, columns]| columns[2].weight = u32::MAX), beyond(Field::Weights, i32::MAX));
    let unaligned = StepError::Unaligned { field: Field::Rows, offset: 4 };
    assert_eq!(interpolate(|_, step, _| step.rows = 4), Err(unaligned));
    let order = interpolate(|_, step, _| step.columns = 24);
    assert!(matches!(order, Err(StepError::Order { field: Field::Columns, .. })), "{order:?}");
    let short = interpolate(|_, _, [_, columns]| columns.truncate(5));
    assert!(matches!(short, Err(StepError::Range { field: Field::Columns, .. })), "{short:?}");
}
