extern crate std;

use super::*;
use crate::{
    element::Dtype,
    format::{STEP, Tensor},
};

/// Every field has a value of its own, so that a mixed-up offset shows.
const CONV: ConvStep = ConvStep {
    input: 0x0102,
    output: 0x0304,
    kernel: [5, 6],
    stride: [7, 8],
    dilation: [9, 10],
    pad: [11, 12],
    weights: 0x0d0e_0f10,
    params: 0x1112_1314,
    min: -21,
    max: 22,
    residual: Some((-23, 0x0018_191a)),
    groups: Some(Groups { inputs: 0x1b1c, outputs: 0x1d1e }),
};
const PLAIN: ConvStep =
    ConvStep { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], residual: None, groups: None, ..CONV };
const LINEAR: LinearStep =
    LinearStep { input: 0x0102, output: 0x0304, weights: 0x0506_0708, params: 9, min: -10, max: 11 };
const ADD: AddStep =
    AddStep { combine: Combine::Sum, a: 1, b: 2, output: 3, multipliers: [4, 0x0020_0000], min: -5, max: 6 };
const MEAN: PoolStep = PoolStep {
    input: 1,
    output: 2,
    kernel: [0x0304, 0x0506],
    stride: [7, 8],
    pad: [9, 10],
    average: Some(Divisor::All(0x4b0c_0d0e, 62)),
    min: -15,
    max: 16,
};
const COUNTED: PoolStep = PoolStep { average: Some(Divisor::Inside(0x0506_0708)), ..MEAN };
const GRU: GruStep = GruStep {
    input: 1,
    output: 2,
    state: 3,
    hidden: 0x0405,
    reset_after: true,
    input_weights: 0x0607_0809,
    input_params: 10,
    state_weights: 11,
    state_params: 12,
};
const LOOKUP: LookupStep = LookupStep { input: 0x0102, output: 0x0304, table: 0x0506_0708 };
const MUL: MulStep = MulStep { a: 1, b: 0x0203, output: 4, multiplier: 0x0506_0708, shift: 9, min: -10, max: 11 };
const RESIZE: ResizeStep = ResizeStep { input: 1, output: 2, factor: [3, 4] };
const DEPTHWISE: DepthwiseStep = DepthwiseStep {
    input: 0x0102,
    output: 0x0304,
    kernel: [5, 6],
    stride: [7, 8],
    dilation: [9, 10],
    pad: [11, 12],
    weights: 0x0d0e_0f10,
    params: 0x1112_1314,
    min: -21,
    max: 22,
};
const COPY: CopyStep = CopyStep {
    input: 1,
    output: 2,
    fill: Some(-3),
    table: Some(0x0405_0607),
    loops: 8,
    loops_at: 0x090a_0b0c,
    from: 0x0d0e_0f10,
    to: 0x1112_1314,
    values: 0x1516_1718,
};
const SOFTMAX: SoftmaxStep = SoftmaxStep { input: 0x0102, output: 0x0304, table: 0x0506_0708 };
const INTERPOLATE: InterpolateStep =
    InterpolateStep { input: 0x0102, output: 0x0304, rows: 0x0506_0708, columns: 0x090a_0b0c };
const SCALE: ScaleStep =
    ScaleStep { input: 0x0102, output: 0x0304, multiplier: 0x0506_0708, shift: 9, min: -10, max: 11 };
const ARGMAX: ArgmaxStep = ArgmaxStep { input: 0x0102, output: 0x0304 };

fn round_trip<O: Operator + PartialEq>(operator: O) -> Record {
    let step = Step::from(operator);
    assert_eq!(step.get::<O>(), Some(operator));
    assert_eq!(Step::parse(&step.emit()), Ok(step));
    assert_eq!([step.kind(), OPERATORS[O::KIND as usize].kind()], [O::KIND; 2]);
    step.emit()
}

#[test]
fn records_round_trip() {
    let conv = round_trip(CONV);
    let head = [0, 0, 1, 0, 2, 1, 4, 3, 235, 22, 5, 6, 7, 8, 9, 10, 11, 12, 233, 0];
    assert_eq!(conv[..20], head);
    assert_eq!(conv[20..32], [16, 15, 14, 13, 20, 19, 18, 17, 26, 25, 24, 0]);
    assert_eq!(conv[32..36], [28, 27, 30, 29]);
    assert_eq!(conv[36..], [0; 28]);
    assert_eq!(round_trip(PLAIN)[32..], [0; 32]);
    let gru = round_trip(GRU);
    assert_eq!(gru[..16], [4, 0, 1, 0, 1, 0, 2, 0, 0, 0, 3, 0, 5, 4, 0, 0]);
    assert_eq!(gru[16..32], [9, 8, 7, 6, 10, 0, 0, 0, 11, 0, 0, 0, 12, 0, 0, 0]);
    assert_eq!(round_trip(LOOKUP)[..16], [5, 0, 0, 0, 2, 1, 4, 3, 0, 0, 0, 0, 8, 7, 6, 5]);
    assert_eq!(round_trip(MUL)[..17], [6, 0, 0, 0, 1, 0, 4, 0, 246, 11, 3, 2, 8, 7, 6, 5, 9]);
    assert_eq!(round_trip(RESIZE)[..12], [7, 0, 0, 0, 1, 0, 2, 0, 0, 0, 3, 4]);
    let depthwise = round_trip(DEPTHWISE);
    assert_eq!(depthwise[..2], [8, 0]);
    assert_eq!(depthwise[4..18], conv[4..18]);
    assert_eq!(depthwise[18..], [&[0, 0, 16, 15, 14, 13, 20, 19, 18, 17], &[0; 36][..]].concat());
    let copy = round_trip(COPY);
    assert_eq!(copy[..20], [9, 0, 2, 0, 1, 0, 2, 0, 253, 0, 8, 0, 7, 6, 5, 4, 12, 11, 10, 9]);
    assert_eq!(copy[20..32], [16, 15, 14, 13, 20, 19, 18, 17, 24, 23, 22, 21]);
    assert_eq!(round_trip(CopyStep { fill: None, ..COPY })[2..10], [3, 0, 1, 0, 2, 0, 0, 0]);
    round_trip(CopyStep { table: None, loops: 0, loops_at: 0, ..COPY });
    assert_eq!(round_trip(SOFTMAX)[..16], [10, 0, 0, 0, 2, 1, 4, 3, 0, 0, 0, 0, 8, 7, 6, 5]);
    let interpolate = round_trip(INTERPOLATE);
    assert_eq!(interpolate[..12], [11, 0, 0, 0, 2, 1, 4, 3, 0, 0, 0, 0]);
    assert_eq!(interpolate[12..20], [8, 7, 6, 5, 12, 11, 10, 9]);
    assert_eq!(round_trip(ARGMAX)[..8], [12, 0, 0, 0, 2, 1, 4, 3]);
    assert_eq!(round_trip(SCALE)[..17], [13, 0, 0, 0, 2, 1, 4, 3, 246, 11, 0, 0, 8, 7, 6, 5, 9]);
    round_trip(LINEAR);
    assert_eq!(round_trip(ADD)[2..4], [0, 0]);
    assert_eq!(round_trip(AddStep { combine: Combine::Maximum, ..ADD })[2..4], [1, 0]);
    assert_eq!(round_trip(AddStep { combine: Combine::Minimum, ..ADD })[2..4], [2, 0]);
    round_trip(MEAN);
    round_trip(PoolStep { average: None, ..MEAN });
    let counted = round_trip(COUNTED);
    assert_eq!(
        (&counted[2..4], &counted[10..11], &counted[20..28]),
        (&[3, 0][..], &[0][..], &[0, 0, 0, 0, 8, 7, 6, 5][..])
    );
    assert_eq!(Step::from(ADD).get::<ConvStep>(), None);
}

/// In every record each bit is a number that comes back, or is refused where it stands.
#[test]
fn what_a_record_says_is_read_or_refused() {
    let plain = Step::from(PoolStep { average: None, ..MEAN });
    let windows: [Step; 5] = [PLAIN.into(), CONV.into(), MEAN.into(), COUNTED.into(), plain];
    let others: [Step; 7] =
        [LINEAR.into(), ADD.into(), GRU.into(), LOOKUP.into(), MUL.into(), RESIZE.into(), DEPTHWISE.into()];
    let moves: [Step; 2] = [COPY.into(), CopyStep { fill: None, table: None, ..COPY }.into()];
    let channels: [Step; 4] = [SOFTMAX.into(), INTERPOLATE.into(), ARGMAX.into(), SCALE.into()];
    for step in windows.into_iter().chain(others).chain(moves).chain(channels) {
        for bit in 16..8 * STEP {
            let mut record = step.emit();
            record[bit / 8] ^= 1 << (bit % 8);
            match Step::parse(&record) {
                Ok(other) => assert_eq!(other.emit(), record, "{} bit {bit}", step.name()),
                Err(error) => {
                    assert_eq!(error, StepError::Reserved { at: at(&step, bit) }, "{} bit {bit}", step.name())
                }
            }
        }
        // All bytes from 36 on are free in every record so far, but for wide limits.
        assert_eq!(step.emit()[36..], [0; STEP - 36], "{}", step.name());
    }
}

/// Limits that int8 does not hold stand at the end of the record, and nowhere else; each pair has one form.
#[test]
fn limits_have_one_form() {
    let limits = |min, max| {
        let record = Step::from(LinearStep { min, max, ..LINEAR }).emit();
        ([record[8], record[9]], [record[60], record[61], record[62], record[63]])
    };
    assert_eq!(limits(-128, 127), ([128, 127], [0; 4]));
    assert_eq!(limits(0, 0), ([0; 2], [0; 4]));
    assert_eq!(limits(0, 128), ([0; 2], [0, 0, 128, 0]));
    assert_eq!(limits(-32768, 32767), ([0; 2], [0, 128, 255, 127]));
    for (min, max) in [(-32768, 32767), (-129, 0), (0, 300), (5, 400), (-128, 127)] {
        round_trip(LinearStep { min, max, ..LINEAR });
        round_trip(ConvStep { min, max, ..CONV });
        round_trip(DepthwiseStep { min, max, ..DEPTHWISE });
        round_trip(AddStep { min, max, ..ADD });
        round_trip(MulStep { min, max, ..MUL });
        round_trip(PoolStep { min, max, ..MEAN });
        round_trip(ScaleStep { min, max, ..SCALE });
    }
    let linear = |min, max| Step::from(LinearStep { min, max, ..LINEAR });
    let mut record = linear(0, 300).emit();
    record[9] = 1;
    assert_eq!(Step::parse(&record), Err(StepError::Reserved { at: 9 }), "in both places");
    record = linear(0, 0).emit();
    record[60] = 1;
    assert_eq!(Step::parse(&record), Err(StepError::Reserved { at: 8 }), "1 and 0 belong there");
}

/// Where a flipped bit is refused: its own byte; wide limits beside others, where those stand; a flag that takes others' meaning away, where the first of those stands.
fn at(step: &Step, bit: usize) -> u8 {
    match step.get() {
        Some(CopyStep { fill: Some(_), .. }) if bit == 16 => return 8,
        Some(CopyStep { table: Some(_), .. }) if bit == 17 => return 12,
        // Fewer loops, or none: 8 has one bit.
        Some(CopyStep { .. }) if bit == 8 * 10 + 3 => return 16,
        _ => {}
    }
    if bit >= 8 * 60 && matches!(step.name(), "conv" | "depthwise" | "linear" | "add" | "mul" | "pool" | "scale") {
        return 8;
    }
    match (step.get::<ConvStep>(), step.get::<PoolStep>()) {
        (Some(ConvStep { residual: Some(_), .. }), _) if bit == 16 => 18,
        (_, Some(PoolStep { average: Some(Divisor::All(..)), .. })) if bit == 16 || bit == 17 => 10,
        (_, Some(PoolStep { average: Some(Divisor::Inside(_)), .. })) if bit == 16 => 2,
        (_, Some(PoolStep { average: Some(Divisor::Inside(_)), .. })) if bit == 17 => 24,
        _ => (bit / 8) as u8,
    }
}

/// The rule again, for every row of the table, on records drawn at random: what is read comes back to the byte.
#[test]
fn any_record_comes_back_or_is_refused() {
    let mut seed = 1u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    for row in OPERATORS {
        let mut read = 0;
        for _ in 0..20_000 {
            let mut record = [0; STEP];
            record[..2].copy_from_slice(&row.kind().to_le_bytes());
            // The last bytes are free in every record so far, so most of them stay zero.
            record[2..36].iter_mut().for_each(|byte| *byte = if random() < 220 { 0 } else { random() });
            if let Ok(step) = Step::parse(&record) {
                assert_eq!(step.emit(), record);
                assert_eq!((step.kind(), step.name()), (row.kind(), row.name()));
                read += 1;
            }
        }
        assert!(read > 10, "{}: {read} of 20000 records", row.name());
    }
}

#[test]
fn unknown_kinds_are_refused_by_number() {
    for kind in 0..=u16::MAX {
        let mut record = [0; STEP];
        record[..2].copy_from_slice(&kind.to_le_bytes());
        match Step::parse(&record) {
            Ok(step) => assert_eq!(step.kind(), kind),
            Err(error) => assert_eq!(error, StepError::Kind { found: kind }),
        }
        assert_eq!(Step::parse(&record).is_ok(), (kind as usize) < OPERATORS.len());
    }
    let names: std::collections::BTreeSet<_> = OPERATORS.iter().map(|row| row.name()).collect();
    assert_eq!(names.len(), OPERATORS.len(), "no two share a name");
}

const fn shape(height: u16, width: u16, channels: u16) -> Tensor {
    let (scale, zero_point, dtype) = (1.0, 0, Dtype::I8);
    Tensor { offset: 0, height, width, channels, scale, zero_point, dtype, state: false }
}

#[test]
fn costs_by_hand() {
    let tensors = [shape(32, 32, 3), shape(32, 32, 16), shape(1, 1, 10), shape(1, 1, 1000)];
    let cost = |step: Step| step.cost(&tensors[..]).unwrap();
    // The first layer of ResNet-8: a strip of 108 pixels, 9 offsets of 4 bytes for each, 8 zero points.
    let first = ConvStep { input: 0, output: 1, ..PLAIN };
    let scratch = 108 * 36 + 16; // 8, rounded up
    let macs = 32 * 32 * 16 * 27;
    assert_eq!(cost(first.into()), Cost { macs, work: 1024 * 9 * (8 * 16 + 1), scratch, worker_scratch: scratch });
    assert_eq!(first.weights_len(&tensors[0], &tensors[1]), 9 * 8 * 16);
    assert_eq!(first.params_len(&tensors[1]), 2 * 72);
    // 16 channels in 4 groups of 4, the output's likewise: a block of 8 reads 8.
    let grouped = ConvStep { input: 1, output: 1, groups: Some(Groups { inputs: 4, outputs: 4 }), ..PLAIN };
    let Cost { macs, work, .. } = cost(grouped.into());
    assert_eq!((macs, work), (1024 * 16 * 9 * 4, 1024 * 9 * (8 * 16 + 1)));
    assert_eq!(grouped.weights_len(&tensors[1], &tensors[1]), 9 * 8 * 16);
    let depthwise = DepthwiseStep { input: 0, output: 0, kernel: [3, 3], ..DEPTHWISE };
    let work = 8 * 1024 * 9 * 8;
    let expected = Cost { macs: 32 * 32 * 3 * 9, work, scratch, worker_scratch: scratch };
    assert_eq!(cost(depthwise.into()), expected);
    assert_eq!(depthwise.weights_len(&tensors[0]), 8 * 9);
    assert_eq!(depthwise.params_len(&tensors[1]), 2 * 72);
    let head = LinearStep { input: 2, output: 3, ..LINEAR };
    assert_eq!(cost(head.into()).scratch, 64 * 8 * 4);
    assert_eq!(head.weights_len(&tensors[2], &tensors[3]), 16 * 1000);
    let layer = GruStep { input: 2, hidden: 20, reset_after: false, ..GRU };
    let scratch = (2u64 * 3 * 24 * 4 + 24).next_multiple_of(16);
    let work = 3 * 24 * (16 + 24 + 1);
    assert_eq!(cost(layer.into()), Cost { macs: 3 * 20 * (10 + 20), work, scratch, worker_scratch: 0 });
    assert_eq!(layer.input_weights_len(&tensors[2]), 72 * 16);
    assert_eq!(layer.state_weights_len(), 72 * 24);
    assert_eq!(Step::from(LINEAR).cost(&tensors[..]), None, "no tensor 0x304");
}

#[test]
fn costs_of_functions_and_products_by_hand() {
    let apart = Tensor { offset: 64, ..shape(2, 3, 9) };
    let tensors = [shape(2, 3, 9), shape(2, 3, 9), apart, shape(1, 1, 9), shape(4, 9, 9)];
    let cost = |step: Step| step.cost(&tensors[..]).unwrap();
    // 9 channels are stored as 16; what is not in place is copied first.
    let stored = 2 * 3 * 16;
    let lookup = |output| cost(LookupStep { input: 0, output, ..LOOKUP }.into());
    assert_eq!(lookup(1), Cost { work: stored, ..Cost::default() });
    assert_eq!(lookup(2), Cost { work: 2 * stored, ..Cost::default() });
    let mul = |b, output| cost(MulStep { a: 0, b, output, ..MUL }.into());
    assert_eq!(mul(2, 1), Cost { macs: 2 * 3 * 9, work: 2 * stored, ..Cost::default() });
    assert_eq!(mul(3, 1), mul(2, 1), "a value for each channel is read again for each pixel");
    assert_eq!(mul(3, 2), Cost { macs: 2 * 3 * 9, work: 3 * stored, ..Cost::default() });
    let resize = ResizeStep { input: 0, output: 4, factor: [2, 3] };
    assert_eq!(cost(resize.into()), Cost { work: 4 * 9 * 16, ..Cost::default() });
    assert_eq!(Step::from(LOOKUP).cost(&tensors[..]), None, "no tensor 0x102");
    assert_eq!(Step::from(ResizeStep { output: 5, ..resize }).cost(&tensors[..]), None, "no tensor 5");
    let interpolate = InterpolateStep { input: 0, output: 4, ..INTERPOLATE };
    assert_eq!(cost(interpolate.into()), Cost { work: 16 * 4 * 9 * 16, ..Cost::default() });
    let argmax = ArgmaxStep { input: 4, output: 0 };
    assert_eq!(cost(argmax.into()), Cost { work: 4 * 9 * 16 + stored, ..Cost::default() });
    let softmax = SoftmaxStep { input: 0, output: 2, ..SOFTMAX };
    assert_eq!(cost(softmax.into()), Cost { work: 16 * stored, ..Cost::default() });
    let copy = CopyStep { input: 0, output: 2, values: 70, ..COPY };
    assert_eq!(cost(copy.into()), Cost { work: 70 + stored, ..Cost::default() });
    assert_eq!(cost(CopyStep { fill: None, ..copy }.into()), Cost { work: 70, ..Cost::default() });
}

#[test]
fn costs_of_int16_by_hand() {
    let wide = Tensor { dtype: Dtype::I16, ..shape(2, 3, 9) };
    let tensors = [shape(2, 3, 9), wide, wide];
    let work = |step: Step| step.cost(&tensors[..]).unwrap().work;
    let stored = 2 * 3 * 16;
    for [a, b, output] in [[1, 1, 2], [0, 1, 2], [0, 0, 2], [1, 1, 0], [0, 1, 0]] {
        assert_eq!(work(AddStep { a, b, output, ..ADD }.into()), 8 * stored);
        assert_eq!(work(MulStep { a, b, output, ..MUL }.into()), 8 * stored);
    }
    assert_eq!(work(ScaleStep { input: 0, output: 1, ..SCALE }.into()), 8 * stored);
    for (input, output) in [(0, 1), (1, 0), (1, 2)] {
        assert_eq!(work(LookupStep { input, output, ..LOOKUP }.into()), 16 * stored);
    }
    assert_eq!(work(LookupStep { input: 0, output: 0, ..LOOKUP }.into()), stored);
    for (input, output) in [(0, 1), (1, 0), (1, 2)] {
        assert_eq!(work(ConvStep { input, output, ..PLAIN }.into()), 3 * 6 * 9 * (16 * 16 + 1));
        assert_eq!(work(LinearStep { input, output, ..LINEAR }.into()), 3 * stored * 16);
        assert_eq!(work(DepthwiseStep { input, output, kernel: [3, 3], ..DEPTHWISE }.into()), 3 * 8 * 9 * stored);
    }
    let resize = ResizeStep { input: 1, output: 2, factor: [1, 1] };
    assert_eq!(work(resize.into()), 2 * stored);
    assert_eq!(work(InterpolateStep { input: 1, output: 2, ..INTERPOLATE }.into()), 2 * 16 * stored);
    // One pixel of padding, of 2 bytes a channel, behind the offsets of 6 pixels of 9 taps.
    let scratch = |input| Step::from(ConvStep { input, output: 0, ..PLAIN }).cost(&tensors[..]).unwrap().scratch;
    assert_eq!([0, 1].map(scratch), [6 * 36 + 16, 6 * 36 + 32].map(|bytes: u64| bytes.next_multiple_of(16)));
}
