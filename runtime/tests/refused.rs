//! What the loader refuses, and what it says: one wrong thing at a time in a model that is right otherwise.

mod writer;

use escarp_runtime::{
    Error, Field, Model, StepError, Tensor, TensorError,
    format::{Header, STEP, TENSOR, seal},
    ops::{AddStep, ConvStep, Divisor, GruStep, LinearStep, Operator, PoolStep, Step},
};
use writer::{gru_net, residual_net};

/// Indices of the steps in [`residual_net`].
const CONV: usize = 0;
const RESIDUAL: usize = 2;
const MAXIMUM: usize = 3;
const ADD: usize = 5;
const AVERAGE: usize = 6;
const LINEAR: usize = 7;

fn change<const N: usize>(file: &mut [u8], at: usize, change: impl FnOnce(&[u8; N]) -> [u8; N]) {
    let record: &mut [u8; N] = (&mut file[at..at + N]).try_into().unwrap();
    *record = change(record);
    seal(file);
}

fn header(mut file: Vec<u8>, edit: impl FnOnce(&mut Header)) -> Result<(), Error> {
    let mut header = Header::parse(&file).unwrap();
    edit(&mut header);
    change(&mut file, 0, |_| header.emit());
    Model::parse(&file).map(drop)
}

fn tensor(mut file: Vec<u8>, index: usize, edit: impl FnOnce(&mut Tensor)) -> Result<(), Error> {
    let at = Header::parse(&file).unwrap().tensors_at as usize + index * TENSOR;
    change(&mut file, at, |record| {
        let mut tensor = Tensor::parse(record).unwrap();
        edit(&mut tensor);
        tensor.emit()
    });
    Model::parse(&file).map(drop)
}

fn edited_step(mut file: Vec<u8>, index: usize, edit: impl FnOnce(&mut Step)) -> Vec<u8> {
    let at = Header::parse(&file).unwrap().steps_at as usize + index * STEP;
    change(&mut file, at, |record| {
        let mut step = Step::parse(record).unwrap();
        edit(&mut step);
        step.emit()
    });
    file
}

/// The reason for which the edited step of [`residual_net`] is refused.
fn step(index: usize, edit: impl FnOnce(&mut Step)) -> StepError {
    match Model::parse(&edited_step(residual_net(), index, edit)).map(drop) {
        Err(Error::Step { index: at, reason }) if at as usize == index => reason,
        other => panic!("step {index}: {other:?}"),
    }
}

/// Changes the numbers of the operator that the step is.
fn of<O: Operator>(edit: impl FnOnce(&mut O)) -> impl FnOnce(&mut Step) {
    move |step| {
        let mut operator: O = step.get().expect("a step of that kind");
        edit(&mut operator);
        *step = operator.into();
    }
}

fn conv(edit: impl FnOnce(&mut ConvStep)) -> StepError {
    step(CONV, of(edit))
}

fn pool(index: usize, edit: impl FnOnce(&mut PoolStep)) -> StepError {
    step(index, of(edit))
}

fn add(edit: impl FnOnce(&mut AddStep)) -> StepError {
    step(ADD, of(edit))
}

fn linear(edit: impl FnOnce(&mut LinearStep)) -> StepError {
    step(LINEAR, of(edit))
}

fn gru(edit: impl FnOnce(&mut GruStep)) -> StepError {
    match Model::parse(&edited_step(gru_net(), 0, of(edit))).map(drop) {
        Err(Error::Step { index: 0, reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn header_fields() {
    let stated = Header::parse(&residual_net()).unwrap();
    let refused = |edit: fn(&mut Header)| header(residual_net(), edit).unwrap_err();
    let extension = refused(|h| h.extensions |= 1 << 9 | 1 << 30);
    assert_eq!(extension, Error::Extension { bit: 9 });
    assert!(extension.to_string().contains("extension 9"), "{extension}");
    assert_eq!(refused(|h| h.arena_len += 1).to_string(), {
        let (stated, needed) = (stated.arena_len + 1, stated.arena_len + 16);
        format!("model: header states arena {stated}, the model needs {needed}")
    });
    let parts = Error::Header { field: Field::Arena, stated: 16, needed: stated.scratch_len };
    assert_eq!(refused(|h| h.arena_len = 16), parts);
    assert!(matches!(refused(|h| h.arena_len = 1 << 31), Error::Header { field: Field::Arena, .. }));
    assert_eq!(refused(|h| h.sequence = 0), Error::Header { field: Field::Sequence, stated: 0, needed: 1 });
    assert!(matches!(refused(|h| h.macs += 1), Error::Header { field: Field::Macs, .. }));
    assert_eq!(refused(|h| h.inputs = 0), Error::Header { field: Field::Inputs, stated: 0, needed: 1 });
    assert_eq!(refused(|h| h.outputs = 33), Error::Header { field: Field::Outputs, stated: 33, needed: 32 });
    let section = |edit: fn(&mut Header)| match refused(edit) {
        Error::Section { field, .. } => field,
        other => panic!("{other}"),
    };
    assert_eq!(section(|h| h.tensors_at = 64), Field::Tensors);
    assert_eq!(section(|h| h.steps_at += 32), Field::Steps);
    assert_eq!(section(|h| h.consts_at = h.steps_at), Field::Constants);
    assert_eq!(section(|h| h.consts_len = u32::MAX), Field::Constants);
    assert_eq!(section(|h| h.meta_len += 1), Field::Metadata);
    assert_eq!(section(|h| h.ports_at = 64), Field::Ports);
    assert_eq!(section(|h| h.names_len = u32::MAX), Field::Names);
    let small = refused(|h| h.scratch_len -= 16);
    assert!(matches!(small, Error::Step { reason: StepError::Scratch { .. }, .. }), "{small}");
    let worker = refused(|h| h.worker_len += 1);
    assert!(matches!(worker, Error::Header { field: Field::WorkerScratch, .. }), "{worker}");
    let worker = refused(|h| h.worker_len -= 16);
    assert!(matches!(worker, Error::Step { reason: StepError::Scratch { .. }, .. }), "{worker}");
}

#[test]
fn tensors() {
    let limit = Header::parse(&residual_net()).map(|h| h.arena_len - h.scratch_len).unwrap();
    let outside = tensor(residual_net(), 0, |t| t.offset = limit);
    let reason = TensorError::Range { end: limit + 5 * 6 * 8, limit };
    assert_eq!(outside, Err(Error::Tensor { index: 0, reason }));
    let huge = tensor(residual_net(), 0, |t| (t.height, t.width, t.channels) = (u16::MAX, u16::MAX, u16::MAX));
    assert_eq!(huge, Err(Error::Tensor { index: 0, reason: TensorError::Range { end: u32::MAX, limit } }));
    let states = Header::parse(&gru_net()).unwrap().state_len;
    let in_state = tensor(gru_net(), 0, |t| t.offset = 0);
    assert_eq!(in_state, Err(Error::Tensor { index: 0, reason: TensorError::InState { start: 0, limit: states } }));
    let over = tensor(gru_net(), 4, |t| t.offset = 16);
    assert_eq!(over, Err(Error::Tensor { index: 4, reason: TensorError::StateOverlap { start: 16, limit: 32 } }));
    let beyond = tensor(gru_net(), 4, |t| t.offset += 16);
    assert_eq!(beyond, Err(Error::Tensor { index: 4, reason: TensorError::Range { end: states + 16, limit: states } }));
}

#[test]
fn convolutions() {
    assert_eq!(conv(|s| s.input = 9), StepError::NoTensor { id: 9, count: 9 });
    assert_eq!(conv(|s| s.output = s.input), StepError::Overlap { a: 0, b: 0 });
    assert_eq!(conv(|s| s.kernel = [0, 3]), StepError::Value { field: Field::Kernel, found: 0 });
    assert_eq!(conv(|s| s.stride = [1, 0]), StepError::Value { field: Field::Stride, found: 0 });
    assert_eq!(conv(|s| s.dilation = [0, 1]), StepError::Value { field: Field::Dilation, found: 0 });
    assert_eq!(conv(|s| s.stride = [2, 1]), StepError::Shape { id: 1 });
    assert_eq!(conv(|s| (s.min, s.max) = (5, 4)), StepError::Value { field: Field::Maximum, found: 4 });
    assert_eq!(conv(|s| s.min = -129), StepError::Value { field: Field::Minimum, found: -129 });
    assert_eq!(conv(|s| s.max = 128), StepError::Value { field: Field::Maximum, found: 128 });
    assert_eq!(conv(|s| s.weights += 8), StepError::Unaligned { field: Field::Weights, offset: 8 });
    assert_eq!(conv(|s| s.params = 0).to_string(), {
        let consts_at = Header::parse(&residual_net()).unwrap().consts_at;
        let previous = consts_at + 2 * 9 * 64;
        format!("parameters start at {consts_at}, before the end of earlier constants at {previous}")
    });
    let Header { consts_at, consts_len, .. } = Header::parse(&residual_net()).unwrap();
    let params = consts_len.next_multiple_of(8) - 72;
    assert_eq!(
        conv(|s| s.params = params),
        StepError::Range { field: Field::Parameters, end: consts_at + params + 144, limit: consts_at + consts_len }
    );
    let ratio = |multiplier| step(RESIDUAL, of(|s: &mut ConvStep| s.residual = Some((0, multiplier))));
    for found in [-1, (1 << 21) + 1] {
        assert_eq!(ratio(found), StepError::Value { field: Field::Multiplier, found });
    }
    let plain = step(RESIDUAL, of(|s: &mut ConvStep| s.residual = None));
    assert_eq!(plain, StepError::Channel { field: Field::Shift, channel: 0, found: 30 }, "needs a residual");
}

#[test]
fn constants() {
    let damaged = |at: usize, byte: u8| {
        let mut file = residual_net();
        let at = Header::parse(&file).unwrap().consts_at as usize + at;
        file[at] = byte;
        seal(&mut file);
        (at as u32, Model::parse(&file).map(drop).unwrap_err())
    };
    let (at, error) = damaged(70, 0x80);
    assert_eq!(error, Error::Step { index: 0, reason: StepError::Weight { at } });
    let params = 2 * 9 * 64;
    let (_, error) = damaged(params + 72 + 64 + 1, 63);
    let reason = StepError::Channel { field: Field::Shift, channel: 9, found: 63 };
    assert_eq!(error, Error::Step { index: 0, reason });
    let (_, error) = damaged(params + 32 + 3, 0x3f);
    let channel = matches!(
        error,
        Error::Step { reason: StepError::Channel { field: Field::Multiplier, channel: 0, found: 0x3f00_0000.. }, .. }
    );
    assert!(channel, "{error}");
    let (_, error) = damaged(params + 32 + 3, 0xff);
    assert!(matches!(error, Error::Step { reason: StepError::Channel { found: ..0, .. }, .. }), "{error}");
}

#[test]
fn other_operators() {
    assert_eq!(linear(|s| s.output = 5), StepError::Shape { id: 5 });
    assert_eq!(add(|s| s.b = 3), StepError::Shape { id: 3 });
    assert_eq!(add(|s| s.output = s.b), StepError::Overlap { a: 5, b: 5 });
    for found in [-(1 << 21) - 1, (1 << 21) + 1, i32::MIN, i32::MAX] {
        assert_eq!(add(|s| s.multipliers[1] = found), StepError::Value { field: Field::Multiplier, found });
    }
    assert_eq!(pool(MAXIMUM, |s| s.pad = [3, 0]), StepError::Value { field: Field::Padding, found: 3 });
    assert_eq!(pool(MAXIMUM, |s| s.output = 5), StepError::Quantization { id: 5 });
    assert_eq!(pool(MAXIMUM, |s| s.kernel = [3, 0]), StepError::Value { field: Field::Kernel, found: 0 });
    assert_eq!(pool(AVERAGE, |s| s.kernel = [4, 3]), StepError::Value { field: Field::Kernel, found: 4 });
    assert_eq!(pool(AVERAGE, |s| s.pad = [0, 3]), StepError::Value { field: Field::Padding, found: 3 });
    assert_eq!(
        pool(AVERAGE, |s| s.average = Some(Divisor::All(1, 34))),
        StepError::Value { field: Field::Multiplier, found: 1 }
    );
    let shift = pool(AVERAGE, |s| s.average = Some(Divisor::All(1 << 30, 15)));
    assert_eq!(shift, StepError::Value { field: Field::Shift, found: 15 });
    assert_eq!(gru(|s| s.state = 0), StepError::State { id: 0 });
    assert_eq!(gru(|s| s.output = 2), StepError::State { id: 2 });
    assert_eq!(gru(|s| s.hidden = 11), StepError::Shape { id: 1 });
    assert_eq!(gru(|s| s.input = 1), StepError::Overlap { a: 1, b: 1 });
    assert_eq!(gru(|s| s.output = 5), StepError::Shape { id: 5 });
}
