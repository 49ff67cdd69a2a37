//! Written before read, and work as stated: models that would give out what memory held before, or run for longer than they
//! say, are refused.

mod writer;

use escarp_runtime::{
    Cpu, Error, Field, LOOKS_MAX, Model, PortError, Session, StepError, TensorId,
    format::{Header, seal},
    ops::{AddStep, Combine, ConvStep, LookupStep, MulStep, PoolStep, Step},
};
use writer::{Matrix, Random, Writer, residual_net};

fn pool(input: TensorId, output: TensorId) -> Step {
    Step::from(PoolStep {
        input,
        output,
        kernel: [1, 1],
        stride: [1, 1],
        pad: [0, 0],
        average: None,
        min: -128,
        max: 127,
    })
}

fn add(a: TensorId, b: TensorId, output: TensorId) -> Step {
    Step::from(AddStep { combine: Combine::Sum, a, b, output, multipliers: [4096, 4096], min: -128, max: 127 })
}

/// Tensors of 8 values, each at a place of its own.
fn vectors(net: &mut Writer, count: usize) -> Vec<TensorId> {
    (0..count).map(|_| net.tensor([1, 1, 8], 1.0, 0)).collect()
}

fn refusal(file: &[u8]) -> Error {
    Model::parse(file).map(drop).expect_err("refused")
}

/// The first output is left there by nobody.
fn unwritten(id: TensorId) -> Error {
    Error::Port { field: Field::Output, index: 0, reason: PortError::Unwritten { id } }
}

#[test]
fn a_tensor_that_no_step_has_written_is_not_read() {
    let mut net = Writer::default();
    let [input, output, never] = vectors(&mut net, 3)[..] else { panic!() };
    net.steps = vec![pool(never, output)];
    let error = refusal(&net.finish(input, output, 1));
    assert_eq!(error, Error::Step { index: 0, reason: StepError::Unwritten { id: never } });
    assert_eq!(error.to_string(), "step 0: reads tensor 2, which no earlier step has left there, nor is it an input");

    let mut net = Writer::default();
    let [input, output, later] = vectors(&mut net, 3)[..] else { panic!() };
    net.steps = vec![add(input, later, output), pool(input, later)];
    let reason = StepError::Unwritten { id: later };
    assert_eq!(refusal(&net.finish(input, output, 1)), Error::Step { index: 0, reason }, "written too late");
}

#[test]
fn an_output_that_no_step_has_written_is_not_given_out() {
    let mut net = Writer::default();
    let [input, output] = vectors(&mut net, 2)[..] else { panic!() };
    assert_eq!(refusal(&net.finish(input, output, 1)), unwritten(output));
    let mut net = Writer::default();
    let [input, output, other] = vectors(&mut net, 3)[..] else { panic!() };
    net.steps = vec![pool(input, other)];
    assert_eq!(refusal(&net.finish(input, output, 1)), unwritten(output));
}

#[test]
fn without_steps_the_input_is_the_output() {
    let mut net = Writer::default();
    let input = net.tensor([1, 1, 5], 1.0, 0);
    let file = net.finish(input, input, 1);
    let model = Model::parse(&file).unwrap();
    let mut arena = vec![7; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Cpu::PORTABLE).unwrap();
    assert_eq!(session.run(&[1, 2, 3, 4, 5]).unwrap(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_tensor_that_another_has_overwritten_is_not_read() {
    let mut net = Writer::default();
    let [input, x, y] = vectors(&mut net, 3)[..] else { panic!() };
    let over_input = net.alias(input, 1.0, 0);
    net.steps = vec![pool(input, x), pool(x, over_input), add(input, x, y)];
    let reason = StepError::Unwritten { id: input };
    assert_eq!(refusal(&net.finish(input, y, 1)), Error::Step { index: 2, reason });

    let mut net = Writer::default();
    let [input, x] = vectors(&mut net, 2)[..] else { panic!() };
    let sum = net.alias(x, 1.0, 0);
    net.steps = vec![pool(input, x), add(x, input, sum)];
    assert_eq!(refusal(&net.finish(input, x, 1)), unwritten(x), "the sum lies there now");
}

/// A lookup or a product in place leaves nothing of its operand, though the bytes are those of a tensor of the same shape.
#[test]
fn the_operand_of_a_step_in_place_is_not_read_afterwards() {
    let lookup = |input, _, output| Step::from(LookupStep { input, output, table: 0 });
    let mul = |a, b, output| {
        let (multiplier, shift, min, max) = (1 << 30, 34, -128, 127);
        Step::from(MulStep { a, b, output, multiplier, shift, min, max })
    };
    for in_place in [lookup as fn(TensorId, TensorId, TensorId) -> Step, mul] {
        let parsed = |read_new: bool, output_new: bool| {
            let mut net = Writer::default();
            let [input, x, y] = vectors(&mut net, 3)[..] else { panic!() };
            let result = net.alias(x, 0.5, 3);
            net.table([1; 256]);
            let read = if read_new { result } else { x };
            net.steps = vec![pool(input, x), in_place(x, input, result), add(read, input, y)];
            (x, Model::parse(&net.finish(input, if output_new { result } else { x }, 1)).map(drop))
        };
        assert_eq!(parsed(true, true).1, Ok(()));
        let (x, refused) = parsed(false, true);
        assert_eq!(refused, Err(Error::Step { index: 2, reason: StepError::Unwritten { id: x } }));
        let (x, refused) = parsed(true, false);
        assert_eq!(refused, Err(unwritten(x)), "nor given out");
    }
}

#[test]
fn a_residual_operand_must_lie_where_the_output_goes() {
    // Index 2 adds to what index 0 left at the same place; without index 0's output there, nothing lies there.
    let stated = residual_net();
    let header = Header::parse(&stated).unwrap();
    let mut net = Writer::default();
    let [input, x, operand] = vectors(&mut net, 3)[..] else { panic!() };
    let sum = net.alias(operand, 1.0, 0);
    let [weights, params] = net.matrix(&Matrix::random(&mut Random(4), 8, 1, 8, 30));
    let first = Model::parse(&stated).unwrap().steps().nth(2).unwrap();
    let fused: ConvStep = first.get().unwrap_or_else(|| panic!("{header:?}"));
    let fused = Step::from(ConvStep { input: x, output: sum, kernel: [1, 1], pad: [0, 0], weights, params, ..fused });
    for (steps, refused) in [
        (vec![pool(input, x), pool(input, operand), fused], false),
        (vec![pool(input, operand), pool(input, x), fused], false),
        (vec![pool(input, x), fused], true),
    ] {
        let net = Writer {
            steps,
            tensors: net.tensors.clone(),
            consts: net.consts.clone(),
            activations_len: net.activations_len,
            ..Writer::default()
        };
        let result = Model::parse(&net.finish(input, sum, 1)).map(drop);
        let reason = StepError::Unwritten { id: sum };
        assert_eq!(result, if refused { Err(Error::Step { index: 1, reason }) } else { Ok(()) });
    }
}

/// Every step reads the input again: the loader looks back over all steps before, and gives up where it has said it would.
#[test]
fn looking_back_is_bounded() {
    let net = |steps: u16| {
        let mut net = Writer::default();
        let [input, even, odd] = vectors(&mut net, 3)[..] else { panic!() };
        net.steps.push(pool(input, even));
        for step in 1..steps {
            let [from, to] = if step % 2 == 1 { [even, odd] } else { [odd, even] };
            net.steps.push(add(from, input, to));
        }
        let last = net.steps.last().map_or(even, Step::output);
        net.finish(input, last, 1)
    };
    assert_eq!(Model::parse(&net(2000)).map(drop), Ok(()));
    let error = refusal(&net(65_535));
    assert!(matches!(error, Error::Step { reason: StepError::Lifetimes { limit: LOOKS_MAX }, .. }), "{error}");
}

#[test]
fn the_header_states_all_work() {
    let mut net = Writer::default();
    let input = net.tensor([4, 6, 3], 1.0, 0);
    let half = net.tensor([2, 3, 3], 1.0, 0);
    net.steps.push(Step::from(PoolStep {
        input,
        output: half,
        kernel: [2, 2],
        stride: [2, 2],
        pad: [0, 0],
        average: None,
        min: -128,
        max: 127,
    }));
    let sum = net.tensor([2, 3, 3], 1.0, 0);
    net.steps.push(add(half, half, sum));
    let file = net.finish(input, sum, 1);
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.macs(), 0);
    // Values as stored: the input's, the output's, the windows' 16 times, an add that copies its first operand; two steps.
    assert_eq!(model.work(), 4 * 6 * 8 + 2 * 3 * 8 + 16 * 2 * 3 * 8 * 4 + 3 * 2 * 3 * 8 + 2 * 256);
    let mut less = file.clone();
    let header = Header { work: model.work() - 1, ..*model.header() };
    less[..header.emit().len()].copy_from_slice(&header.emit());
    seal(&mut less);
    let (stated, needed) = (header.work as u32, model.work() as u32);
    assert_eq!(refusal(&less), Error::Header { field: Field::Work, stated, needed });
}

/// 256 bytes that would run for minutes: windows of 65535 x 65535 over a map of 512 x 512.
#[test]
fn a_window_is_no_larger_than_the_input_and_its_padding() {
    let bomb = |kernel: u16, pad: u8| {
        let mut net = Writer::default();
        let input = net.tensor([512, 512, 8], 1.0, 0);
        let output = net.tensor([512, 512, 8], 1.0, 0);
        let (kernel, stride, pad) = ([kernel; 2], [1, 1], [pad; 2]);
        net.steps.push(Step::from(PoolStep { input, output, kernel, stride, pad, average: None, min: -128, max: 127 }));
        net.finish(input, output, 1)
    };
    let refused = |found| Error::Step { index: 0, reason: StepError::Value { field: Field::Kernel, found } };
    assert_eq!(refusal(&bomb(65_535, 1)), refused(65_535));
    assert_eq!(refusal(&bomb(514, 1)), refused(514));
    let file = bomb(513, 1);
    assert_eq!(Model::parse(&file).unwrap().work(), 512 * 512 * 8 * (16 * 513 * 513 + 2) + 256, "and it says so");
}
