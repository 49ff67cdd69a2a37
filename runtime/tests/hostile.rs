//! Any bytes as a model: an error, or a clean run. Never a panic, never an access outside.

mod writer;

use escarp_runtime::{
    Cpu, Dtype, Error, Meaning, Model, Port, Session, Tensor,
    format::{HEADER, Header, PORT, PortRecord, STEP, TENSOR},
    ops::{
        AddStep, ArgmaxStep, Between, Combine, ConvStep, CopyStep, DepthwiseStep, Divisor, Groups, GruStep,
        InterpolateStep, LinearStep, LookupStep, Loop, MulStep, OPERATORS, PoolStep, ResizeStep, ScaleStep,
        SoftmaxStep, Step,
    },
};
use proptest::prelude::*;
use writer::{Random, every_net, gru_net, residual_net, restate};

/// A model that parses must run: every error of `run` but the input's length would be a hole in the checks.
/// Returns whether it parsed.
fn parse_and_run(file: &[u8]) -> bool {
    const LARGEST: usize = 1 << 22;
    let Ok(model) = Model::parse(file) else { return false };
    if model.arena_len() > LARGEST {
        let (needed, got) = (model.arena_len() as u32, 0);
        assert_eq!(Session::new(&model, &mut [], Cpu::PORTABLE).err(), Some(Error::Arena { needed, got }));
        return true;
    }
    if model.work() > 1 << 22 {
        return true;
    }
    // What memory held before does not matter, nor where it starts.
    let (mut arena, mut other) = (vec![-0x5b; model.buffer_len()], vec![0x31; model.buffer_len() + 1]);
    let mut session = Session::new(&model, &mut arena, Cpu::compiled()).unwrap();
    let mut twin = Session::new(&model, &mut other[1..], Cpu::PORTABLE).unwrap();
    for seed in 0..2 {
        let outputs = infer(&mut session, seed);
        if model.is_simple() {
            let input = Random(seed).activations(model.input().elements() as usize);
            assert_eq!(outputs, [widened(twin.run(&input).unwrap())]);
        } else {
            assert_eq!(outputs, infer(&mut twin, seed));
        }
        for (output, port) in outputs.iter().zip(model.outputs()) {
            let writer = model.steps().filter(|step| step.output() == port.id).last();
            if let Some((min, max)) = writer.and_then(|step| clamps(&step)) {
                let allowed = min.into()..=max.into();
                assert!(output.iter().all(|y| allowed.contains(y)), "outside {allowed:?}: {output:?}");
            }
        }
    }
    true
}

/// One run on inputs that follow from `seed`; all outputs.
fn infer(session: &mut Session, seed: u64) -> Vec<Vec<i32>> {
    let model = *session.model();
    for (index, port) in model.inputs().enumerate() {
        let (len, mut random) = (port.tensor.elements() as usize, Random(seed + index as u64));
        let set = match port.tensor.dtype {
            Dtype::I8 => session.set_input(index, &random.activations(len)),
            Dtype::I16 => session.set_input(index, &Vec::from_iter((0..len).map(|_| random.next() as i16))),
            Dtype::I32 => session.set_input(index, &Vec::from_iter((0..len).map(|_| (random.next() << 1) as i32))),
        };
        set.unwrap();
    }
    session.infer().unwrap();
    let read = |(index, port): (usize, Port)| match port.tensor.dtype {
        Dtype::I8 => widened::<i8>(session.output(index).unwrap()),
        Dtype::I16 => widened::<i16>(session.output(index).unwrap()),
        Dtype::I32 => widened::<i32>(session.output(index).unwrap()),
    };
    model.outputs().enumerate().map(read).collect()
}

fn widened<T: Copy + Into<i32>>(values: &[T]) -> Vec<i32> {
    values.iter().map(|&value| value.into()).collect()
}

/// The last clamp of the operators that have one.
fn clamps(step: &Step) -> Option<(i16, i16)> {
    let conv = step.get().map(|ConvStep { min, max, .. }| (min, max));
    let depthwise = step.get().map(|DepthwiseStep { min, max, .. }| (min, max));
    let linear = step.get().map(|LinearStep { min, max, .. }| (min, max));
    let add = step.get().map(|AddStep { min, max, .. }| (min, max));
    let mul = step.get().map(|MulStep { min, max, .. }| (min, max));
    let scale = step.get().map(|ScaleStep { min, max, .. }| (min, max));
    conv.or(depthwise).or(linear).or(add).or(mul).or(scale).or(step.get().map(|PoolStep { min, max, .. }| (min, max)))
}

#[test]
fn every_truncation_and_extension_is_an_error() {
    for file in [residual_net(), gru_net(), every_net()] {
        for len in 0..file.len() {
            assert!(Model::parse(&file[..len]).is_err(), "{len} bytes of {}", file.len());
        }
        let longer = [&file[..], &[0]].concat();
        assert!(matches!(Model::parse(&longer), Err(Error::Trailing { .. })));
    }
}

#[test]
fn every_bit_flip_is_an_error() {
    for mut file in [residual_net(), gru_net(), every_net()] {
        for bit in 0..8 * file.len() {
            file[bit / 8] ^= 1 << (bit % 8);
            assert!(Model::parse(&file).is_err(), "bit {bit}");
            file[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn every_bit_flip_with_a_new_checksum_is_an_error_or_a_clean_run() {
    for original in [residual_net(), gru_net(), every_net()] {
        let mut clean = 0;
        for bit in 0..8 * original.len() {
            let mut file = original.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            restate(&mut file);
            clean += parse_and_run(&file) as usize;
        }
        assert!(clean > 1000, "weights and the like may differ: {clean} runs");
    }
}

/// Several bytes at once in the records, where one flip alone would always be refused.
#[test]
fn random_damage_to_header_and_records() {
    let mut random = Random(30);
    for original in [residual_net(), gru_net(), every_net()] {
        let records = Header::parse(&original).unwrap().consts_at;
        let mut clean = 0;
        for _ in 0..60_000 {
            let mut file = original.clone();
            for _ in 0..1 + random.below(4) {
                let at = if random.below(8) == 0 { random.below(HEADER as u32) } else { random.below(records) };
                let nearby = file[at as usize].wrapping_add(random.below(5) as u8).wrapping_sub(2);
                file[at as usize] = [random.next() as u8, nearby, 0, 0xff][random.below(4) as usize];
            }
            restate(&mut file);
            clean += parse_and_run(&file) as usize;
        }
        assert!(clean > 1000, "{clean} runs");
    }
}

/// Where [`random_model`] keeps constants: weights of 0x11, valid parameter blocks, both once more for a GRU's state, loops, factors of an average, exponentials, rows and columns.
const PARAMS: u32 = 8192;
const STATE_WEIGHTS: u32 = PARAMS + 7232;
const STATE_PARAMS: u32 = STATE_WEIGHTS + 768;
const LOOPS: u32 = STATE_PARAMS + 8 * 72;
const FACTORS: u32 = LOOPS + 3 * 16;
const EXPONENTIALS: u32 = FACTORS + 9 * 8;
const AXIS: u32 = EXPONENTIALS + 256 * 4;
const CONSTS: usize = AXIS as usize + 20 * 8;
/// Two loops of two rounds, and one of three.
const ROUNDS: [Loop; 3] =
    [Loop { count: 2, from: 1, to: 16 }, Loop { count: 3, from: 8, to: -8 }, Loop { count: 2, from: 0, to: 1 }];

/// Tensors of [`random_model`].
const TENSORS: usize = 8;

fn random_tensors(random: &mut Random, hidden: u16) -> Vec<Tensor> {
    let state = Tensor {
        offset: 0,
        height: 1,
        width: 1,
        channels: hidden,
        scale: 1.0 / 32768.0,
        zero_point: 0,
        dtype: Dtype::I16,
        state: true,
    };
    let activation = |random: &mut Random| Tensor {
        offset: 32 + 16 * random.below(60),
        height: [1, 1, 1, 2, 5][random.below(5) as usize],
        width: [1, 1, 1, 3, 4][random.below(5) as usize],
        channels: if random.below(5) == 0 { 1 + random.below(20) as u16 } else { hidden },
        scale: 1.0 / 128.0,
        zero_point: if random.below(4) == 0 { random.next() as i8 } else { 0 },
        dtype: Dtype::I8,
        state: false,
    };
    let mut tensors: Vec<Tensor> = (0..5).map(|_| activation(random)).chain([state]).collect();
    let wide = random.below(2) == 0;
    for tensor in tensors.iter_mut().take(5).filter(|_| wide && random.below(2) == 0) {
        (tensor.dtype, tensor.zero_point) = (Dtype::I16, 0);
    }
    // As a softmax and an argmax of the first one want theirs.
    tensors.push(Tensor { scale: 1.0 / 256.0, zero_point: -128, dtype: Dtype::I8, ..tensors[0] });
    tensors[6].offset = [tensors[0].offset, 32 + 16 * random.below(60)][random.below(2) as usize];
    tensors.push(Tensor { dtype: Dtype::I32, channels: 1, zero_point: 0, scale: 1.0, ..tensors[0] });
    tensors[7].offset = 32 + 16 * random.below(60);
    tensors
}

fn random_step(random: &mut Random, hidden: u16) -> Step {
    let (input, output, b) = (random.below(6) as u16, random.below(6) as u16, random.below(6) as u16);
    let mut two_of = |choices: &[u8]| [(); 2].map(|()| choices[random.below(choices.len() as u32) as usize]);
    let (kernel, stride) = (two_of(&[1, 1, 1, 2, 3, 0, 255]), two_of(&[1, 1, 1, 2, 0]));
    let (dilation, pad) = (two_of(&[1, 1, 1, 2, 0]), two_of(&[0, 0, 0, 1, 2]));
    let (weights, params) = (64 * random.below(40), PARAMS + 72 * random.below(99) + random.below(9) / 8);
    let max = [-101, 200][random.below(2) as usize];
    let (min, max) = (-100, if random.below(20) == 0 { max } else { 100 });
    match random.below(15) {
        6 => Step::from(LookupStep { input, output, table: PARAMS + 8 * random.below(99) + random.below(9) / 8 }),
        7 => {
            let (multiplier, shift) = (1 << 30, if random.below(9) == 0 { 31 } else { 33 });
            Step::from(MulStep { a: input, b, output, multiplier, shift, min, max })
        }
        8 => Step::from(ResizeStep { input, output, factor: kernel }),
        9 => {
            let step = DepthwiseStep { input, output, kernel, stride, dilation, pad, weights, params, min, max };
            Step::from(step)
        }
        14 => {
            let (multiplier, shift) = (1 << 30, [33, 33, 31, 15][random.below(4) as usize]);
            Step::from(ScaleStep { input, output, multiplier, shift, min, max })
        }
        13 => Step::from(ArgmaxStep { input: random.below(2) as u16, output: 7 }),
        12 => {
            let (rows, columns) = (AXIS + 8 * random.below(9), AXIS + 8 * random.below(19));
            Step::from(InterpolateStep { input, output, rows, columns })
        }
        11 => {
            let table = EXPONENTIALS + random.below(9) / 8;
            Step::from(SoftmaxStep { input: random.below(2) as u16, output: 6, table })
        }
        10 => {
            let (skipped, loops) = (random.below(3), random.below(4) as u16);
            let rounds = ROUNDS.iter().skip(skipped as usize).take(loops.into());
            let fill = (random.below(3) != 0).then_some(7);
            let table = (random.below(2) == 0).then_some(PARAMS + 8 * random.below(99));
            let loops_at = if loops == 0 { 0 } else { LOOPS + 16 * skipped };
            let (from, to) = (random.below(30), 16 + random.below(30));
            let values = rounds.map(|next| next.count).product();
            Step::from(CopyStep { input, output, fill, table, loops, loops_at, from, to, values })
        }
        0 => {
            let residual = (random.below(2) == 0).then_some(([5, 5, 0][random.below(3) as usize], 5000));
            let channels = [(); 2].map(|()| random.below(5) as u16);
            let groups = (random.below(3) == 0).then_some(Groups { inputs: channels[0], outputs: channels[1] });
            Step::from(ConvStep {
                input,
                output,
                kernel,
                stride,
                dilation,
                pad,
                weights,
                params,
                min,
                max,
                residual,
                groups,
            })
        }
        1 => Step::from(LinearStep { input, output, weights, params, min, max }),
        2 => Step::from(AddStep {
            combine: [Combine::Sum, Combine::Maximum, Combine::Minimum][random.below(3) as usize],
            a: input,
            b: if random.below(2) == 0 { input } else { b },
            output,
            multipliers: [4096, -9000],
            min,
            max,
        }),
        3 => {
            let factors = FACTORS - 8 * random.below(2) + random.below(9) / 8;
            let average = [None, Some(Divisor::All(1 << 30, 33)), Some(Divisor::Inside(factors))];
            let average = average[random.below(3) as usize];
            Step::from(PoolStep { input, output, kernel: kernel.map(u16::from), stride, pad, average, min, max })
        }
        _ => Step::from(GruStep {
            input,
            output,
            state: 5,
            hidden,
            reset_after: random.below(2) == 0,
            input_weights: weights,
            input_params: params,
            state_weights: STATE_WEIGHTS,
            state_params: STATE_PARAMS + 72 * random.below(4),
        }),
    }
}

/// A step, whether its first input or its output is int16, and the file of a model of this step.
fn random_model(random: &mut Random) -> (Step, bool, Vec<u8>) {
    let hidden = 1 + random.below(12) as u16;
    let (tensors, step) = (random_tensors(random, hidden), random_step(random, hidden));
    let scratch_len = 16 * random.below(120);
    let consts_at = HEADER + TENSORS * TENSOR + 2 * PORT + STEP;
    let names_at = (consts_at + CONSTS).next_multiple_of(64);
    let header = Header {
        checksum: 0,
        file_len: names_at as u32 + 64,
        arena_len: 32 + 16 * (40 + random.below(100)) + scratch_len,
        scratch_len,
        worker_len: scratch_len,
        state_len: 32,
        sequence: 1,
        inputs: 1,
        outputs: 1,
        tensors: TENSORS as u16,
        steps: 1,
        tensors_at: HEADER as u32,
        ports_at: (HEADER + TENSORS * TENSOR) as u32,
        steps_at: (HEADER + TENSORS * TENSOR + 2 * PORT) as u32,
        consts_at: consts_at as u32,
        consts_len: CONSTS as u32,
        names_at: names_at as u32,
        names_len: 2,
        meta_at: names_at as u32 + 64,
        ..Header::default()
    };
    let port = |tensor, name| PortRecord { tensor, meaning: Meaning::Plain, name, name_len: 1 };
    let ports = [port(step.reads().inputs[0].unwrap_or(0).min(4), 0), port(step.output(), 1)];
    let mut file = header.emit().to_vec();
    tensors.iter().for_each(|tensor| file.extend(tensor.emit()));
    ports.iter().for_each(|port| file.extend(port.emit()));
    file.extend(step.emit());
    file.resize(consts_at + CONSTS, 0x11);
    for (from, to) in [(PARAMS, STATE_WEIGHTS), (STATE_PARAMS, LOOPS)] {
        for block in file[consts_at + from as usize..consts_at + to as usize].chunks_exact_mut(72) {
            block[32..64].fill(0x55);
            block[64..].fill(40);
        }
    }
    file.truncate(consts_at + LOOPS as usize);
    ROUNDS.iter().for_each(|next| file.extend(next.emit()));
    (0..9).for_each(|_| file.extend([[0x55; 4], 40u32.to_le_bytes()].concat()));
    (0..256).for_each(|d| file.extend((100 - d.min(100) / 2 * 2 + 1u32).to_le_bytes()));
    for n in 0..20u16 {
        file.extend(Between { low: n / 8 % 2, high: n / 12, weight: 100 * n as u32 }.emit());
    }
    file.resize(names_at, 0);
    file.extend(b"xy");
    file.resize(names_at + 64, 0);
    restate(&mut file);
    let wide = |id: Option<u16>| {
        tensors.get(id.unwrap_or(5) as usize).is_some_and(|tensor| tensor.dtype == Dtype::I16 && !tensor.state)
    };
    let wide = wide(step.reads().inputs[0]) || wide(Some(step.output()));
    (step, wide, file)
}

/// Models drawn at random from small tensors and nearly fitting steps: the checks alone stand between them and memory.
#[test]
fn random_models() {
    let mut random = Random(31);
    let mut runs = vec![0; OPERATORS.len()];
    let mut of_int16 = runs.clone();
    for _ in 0..200_000 {
        let (step, wide, file) = random_model(&mut random);
        let clean = parse_and_run(&file) as usize;
        runs[step.kind() as usize] += clean;
        of_int16[step.kind() as usize] += if wide { clean } else { 0 };
    }
    assert!(runs.iter().all(|&runs| runs > 50), "clean runs by kind of step: {runs:?}");
    // Convolutions, matrices, sums, pools, tables, products, copies, changes of scale.
    for kind in [0, 1, 2, 3, 5, 6, 8, 9, 13] {
        assert!(of_int16[kind] > 10, "clean runs of int16 by kind of step: {of_int16:?}");
    }
}

proptest! {
    /// Sections may say anything about themselves.
    #[test]
    fn any_header(words in prop::array::uniform28(any::<u32>()), near in prop::array::uniform28(0u8..8)) {
        let mut file = residual_net();
        for (i, (word, near)) in words.iter().zip(near).enumerate() {
            let at = 16 + 4 * i;
            let field = u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            let field = match near { 0 => *word, 1 => field.wrapping_add(64), 2 => field.wrapping_sub(64), _ => field };
            file[at..at + 4].copy_from_slice(&field.to_le_bytes());
        }
        restate(&mut file);
        parse_and_run(&file);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Model::parse(&bytes).is_err());
    }
}
