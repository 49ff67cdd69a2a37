//! Copies: against their definition on any element type, and what of them is refused.

mod writer;

use escarp_runtime::{
    Cpu, Dtype, Element, Error, Field, Model, Session, StepError, TensorId,
    ops::{CopyStep, LOOPS_MAX, Loop, Step},
};
use writer::{Random, Writer};

/// Values as they lie in memory, of the tensors that [`moved`] makes.
fn stored<T: Element>(values: &[T], channels: usize, zero: T) -> Vec<T> {
    let padded = channels.next_multiple_of(8);
    let pixel = |pixel: &[T]| (0..padded).map(|c| pixel.get(c).copied().unwrap_or(zero)).collect::<Vec<T>>();
    values.chunks(channels).flat_map(pixel).collect()
}

/// All pairs of places, written from the sum alone.
fn places(loops: &[Loop], from: i64, to: i64) -> Vec<(i64, i64)> {
    match loops {
        [] => vec![(from, to)],
        [next, rest @ ..] => (0..next.count as i64)
            .flat_map(|round| places(rest, from + round * next.from as i64, to + round * next.to as i64))
            .collect(),
    }
}

/// Loops that stay within both lengths, and where they start.
fn loops(random: &mut Random, from_len: usize, to_len: usize) -> (Vec<Loop>, u32, u32) {
    loop {
        let mut stride = || [1, 1, 8, -1, 0, random.below(40) as i32 - 20][random.below(6) as usize];
        let strides: Vec<[i32; 2]> = (0..8).map(|_| [stride(), stride()]).collect();
        let most = [1, 2, 3, 8][random.below(4) as usize];
        let count = random.below(most + 1) as usize;
        let loops: Vec<Loop> = strides[..count]
            .iter()
            .map(|&[from, to]| Loop { count: [1, 2, 3, 1 + random.below(40)][random.below(4) as usize], from, to })
            .collect();
        let start = |stride: fn(&Loop) -> i32, len: usize, random: &mut Random| {
            let reach = |sign: i64| -> i64 {
                loops.iter().map(|l| (sign * (l.count as i64 - 1) * stride(l) as i64).max(0)).sum()
            };
            let room = len as i64 - reach(-1) - reach(1);
            (room > 0).then(|| (reach(-1) + random.below(room as u32) as i64) as u32)
        };
        let values = loops.iter().map(|l| l.count as u64).product::<u64>();
        let (from, to) = (start(|l| l.from, from_len, random), start(|l| l.to, to_len, random));
        if let (Some(from), Some(to), 0..20_000) = (from, to, values) {
            return (loops, from, to);
        }
    }
}

/// One copy on random values, in memory as it is: a second one lays the result out without padding channels.
fn check<T: Element + Into<i32> + PartialEq + std::fmt::Debug>(random: &mut Random, value: impl Fn(u32) -> T) {
    let shape = |random: &mut Random| [5, 4, 20].map(|most| 1 + random.below(most) as u16);
    let (from, to) = (shape(random), shape(random));
    let (scale, zero_point) = if T::DTYPE == Dtype::I8 { (0.5, -7) } else { (1.0, 0) };
    let mut net = Writer::default();
    let mut tensor = |shape| match T::DTYPE {
        Dtype::I8 => net.tensor(shape, scale, zero_point),
        wide => net.wide(shape, wide),
    };
    let (input, before, output) = (tensor(from), tensor(to), tensor(to));
    let len = |id: TensorId, net: &Writer| net.tensors[id as usize].padded_elements() as usize;
    let (from_len, to_len) = (len(input, &net), len(output, &net));
    let flat = match T::DTYPE {
        Dtype::I8 => net.tensor([1, 1, to_len as u16], scale, zero_point),
        wide => net.wide([1, 1, to_len as u16], wide),
    };
    // What lay there before was an input too.
    net.tensors[output as usize].offset = net.tensors[before as usize].offset;
    let table: Option<[i8; 256]> =
        (T::DTYPE == Dtype::I8 && random.below(2) == 0).then(|| std::array::from_fn(|_| random.next() as i8));
    if table.is_some() {
        // Another meaning.
        (net.tensors[input as usize].scale, net.tensors[input as usize].zero_point) = (0.25, 3);
    }
    let (loops, start, target) = loops(random, from_len, to_len);
    let fill = (random.below(2) == 0).then_some(random.next() as i8);
    let table_at = table.map(|table| net.table(table));
    let step =
        CopyStep { input, output, fill, table: table_at, loops: 0, loops_at: 0, from: start, to: target, values: 0 };
    net.copy(&loops, step);
    let whole = [Loop { count: to_len as u32, from: 1, to: 1 }];
    net.copy(&whole, CopyStep { input: output, output: flat, fill: Some(0), table: None, from: 0, to: 0, ..step });

    let [values, others] = [input, before]
        .map(|id| (0..net.tensors[id as usize].elements()).map(|_| value(random.next())).collect::<Vec<T>>());
    let zero = T::from(net.tensors[input as usize].zero_point);
    let source = stored(&values, from[2] as usize, zero);
    let mut want = match fill {
        Some(fill) => vec![T::from(fill); to_len],
        None => stored(&others, to[2] as usize, T::from(zero_point)),
    };
    for (from, to) in places(&loops, start.into(), target.into()) {
        let value = source[usize::try_from(from).unwrap()];
        want[usize::try_from(to).unwrap()] = match table {
            Some(table) => T::from(table[(value.into() + 128) as usize]),
            None => value,
        };
    }
    let file = net.finish_plain(&[input, before], flat);
    let model = Model::parse(&file).unwrap();
    for (cpu, held) in [(Cpu::PORTABLE, 0x55), (escarp_detect::detect(), -3)] {
        let mut arena = vec![held; model.buffer_len()];
        let mut session = Session::new(&model, &mut arena, cpu).unwrap();
        session.set_input(0, &values).unwrap();
        session.set_input(1, &others).unwrap();
        session.infer().unwrap();
        assert_eq!(session.output::<T>(0).unwrap(), want, "{step:?} {loops:?}, {from:?} to {to:?}");
    }
}

#[test]
fn copies_equal_their_definition() {
    let mut random = Random(60);
    for _ in 0..1500 {
        check::<i8>(&mut random, |bits| bits as i8);
        check::<i16>(&mut random, |bits| bits as i16);
        check::<i32>(&mut random, |bits| (bits << 1) as i32);
    }
}

/// The right half of a map beside another's left half, by hand.
#[test]
fn a_join_of_channels_by_hand() {
    let mut net = Writer::default();
    let [a, b] = [(); 2].map(|()| net.tensor([1, 2, 3], 1.0, 5));
    let output = net.tensor([1, 2, 4], 1.0, 5);
    let two = [Loop { count: 2, from: 8, to: 8 }, Loop { count: 2, from: 1, to: 1 }];
    let step =
        CopyStep { input: a, output, fill: Some(5), table: None, loops: 0, loops_at: 0, from: 1, to: 0, values: 0 };
    net.copy(&two, step);
    net.copy(&two, CopyStep { input: b, fill: None, from: 0, to: 2, ..step });
    let file = net.finish_plain(&[a, b], output);
    let model = Model::parse(&file).unwrap();
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Cpu::PORTABLE).unwrap();
    session.set_input(0, &[1i8, 2, 3, 4, 5, 6]).unwrap();
    session.set_input(1, &[11i8, 12, 13, 14, 15, 16]).unwrap();
    session.infer().unwrap();
    assert_eq!(session.output::<i8>(0).unwrap(), [2, 3, 11, 12, 5, 6, 14, 15]);
    // 4 values each, the second time without filling 16 first.
    assert_eq!(model.work(), 3 * 16 + 4 + 16 + 4 + 2 * 256);
}

/// A sound copy of tensor 0 into 1 after a change of its tensors, loops or itself: why it is refused.
fn refused(edit: impl FnOnce(&mut Writer, &mut Vec<Loop>, &mut CopyStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([2, 3, 5], 0.5, 4), net.tensor([1, 1, 20], 0.5, 4));
    let mut step =
        CopyStep { input, output, fill: Some(0), table: None, loops: 2, loops_at: 0, from: 8, to: 20, values: 6 };
    let mut loops = vec![Loop { count: 2, from: 24, to: 1 }, Loop { count: 3, from: 5, to: -10 }];
    edit(&mut net, &mut loops, &mut step);
    let at = net.constants(loops.iter().flat_map(Loop::emit));
    net.steps.push(Step::from(CopyStep { loops_at: step.loops_at.wrapping_add(at), ..step }));
    match Model::parse(&net.finish_plain(&[0], step.output)).map(drop) {
        Ok(()) => Ok(()),
        Err(Error::Step { index: 0, reason }) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn tensors_that_do_not_fit() {
    assert_eq!(refused(|_, _, _| ()), Ok(()));
    assert_eq!(refused(|_, _, step| step.input = 2), Err(StepError::NoTensor { id: 2, count: 2 }));
    assert_eq!(refused(|net, _, step| step.output = net.state(20)), Err(StepError::State { id: 2 }));
    let wide = |net: &mut Writer| net.wide([1, 1, 20], Dtype::I16);
    assert_eq!(refused(|net, _, step| step.output = wide(net)), Err(StepError::Dtype { id: 2 }));
    let quantization = Err(StepError::Quantization { id: 1 });
    assert_eq!(refused(|net, _, _| net.tensors[1].scale = 0.25), quantization);
    assert_eq!(refused(|net, _, _| net.tensors[1].zero_point = 5), quantization);
    let overlap = Err(StepError::Overlap { a: 0, b: 1 });
    assert_eq!(refused(|net, _, _| net.tensors[1].offset = 32), overlap);
    assert_eq!(refused(|_, _, step| step.output = 0), Err(StepError::Overlap { a: 0, b: 0 }));
    assert_eq!(refused(|_, _, step| step.fill = None), Err(StepError::Unwritten { id: 1 }), "nothing lies there");
}

#[test]
fn tables_that_do_not_fit() {
    let table = |net: &mut Writer| Some(net.table([1; 256]));
    let meaning = |net: &mut Writer| (net.tensors[1].scale, net.tensors[1].zero_point) = (0.25, 9);
    assert_eq!(refused(|net, _, step| (step.table, ()) = (table(net), meaning(net))), Ok(()));
    let wide = |net: &mut Writer, _: &mut Vec<Loop>, step: &mut CopyStep| {
        (step.table, step.input) = (table(net), net.wide([2, 3, 5], Dtype::I32));
        step.output = net.wide([1, 1, 20], Dtype::I32);
    };
    assert_eq!(refused(wide), Err(StepError::Dtype { id: 2 }));
    let unaligned = StepError::Unaligned { field: Field::Table, offset: 4 };
    assert_eq!(refused(|_, _, step| step.table = Some(4)), Err(unaligned));
    let behind = refused(|net, _, step| {
        net.constants([0; 256 + 8]);
        step.table = Some(8);
        step.loops_at = -8i32 as u32;
    });
    assert!(matches!(behind, Err(StepError::Order { field: Field::Loops, .. })), "{behind:?}");
}

#[test]
fn loops_that_do_not_fit() {
    let loops = Field::Loops;
    let nine = |_: &mut Writer, loops: &mut Vec<Loop>, step: &mut CopyStep| {
        loops.resize(9, Loop { count: 1, from: i32::MIN, to: i32::MAX });
        step.loops = 9;
    };
    assert_eq!(refused(nine), Err(StepError::Value { field: loops, found: 9 }));
    let eight = |net: &mut Writer, loops: &mut Vec<Loop>, step: &mut CopyStep| {
        nine(net, loops, step);
        step.loops = LOOPS_MAX;
    };
    assert_eq!(refused(eight), Ok(()), "one round leads nowhere");
    assert_eq!(refused(|_, _, step| step.loops_at = 4), Err(StepError::Unaligned { field: loops, offset: 4 }));
    let far = refused(|_, _, step| step.loops_at = 8);
    assert!(matches!(far, Err(StepError::Range { field: Field::Loops, .. })), "{far:?}");
    let none = refused(|_, loops, step| {
        loops.clear();
        (step.loops, step.values, step.loops_at) = (0, 1, 0);
    });
    assert_eq!(none, Ok(()), "one value");
    let reserved = refused(|net, loops, step| {
        let mut record = loops[1].emit();
        record[13] = 1;
        net.constants(loops[0].emit().into_iter().chain(record));
        step.loops_at = -32i32 as u32;
    });
    assert_eq!(reserved, Err(StepError::Value { field: loops, found: 256 }));
    for (at, count) in [(0, 0), (1, 0)] {
        let reason = StepError::Value { field: Field::Count, found: 0 };
        assert_eq!(refused(|_, loops, step| (loops[at].count, step.values) = (count, 0)), Err(reason));
    }
    for values in [0, 5, 7, u32::MAX] {
        let found = i32::try_from(values).unwrap_or(i32::MAX);
        let reason = StepError::Value { field: Field::Count, found };
        assert_eq!(refused(|_, _, step| step.values = values), Err(reason));
    }
    // 2^32 values are more than a record can state, on one place or on many.
    let many = refused(|_, loops, step| {
        *loops = vec![Loop { count: 1 << 16, from: 0, to: 0 }; 2];
        step.values = 0;
    });
    assert_eq!(many, Err(StepError::Value { field: Field::Count, found: 0 }));
}

#[test]
fn places_that_do_not_exist() {
    let outside = |id, at| Err(StepError::Element { id, at });
    // Tensor 0 has 48 values, the last that is reached is 8 + 24 + 10 = 42; tensor 1 has 24, and 0 to 21 are reached.
    assert_eq!(refused(|_, _, step| step.from = 13), Ok(()));
    assert_eq!(refused(|_, _, step| step.from = 14), outside(0, 48));
    assert_eq!(refused(|_, _, step| step.to = 22), Ok(()));
    assert_eq!(refused(|_, _, step| step.to = 23), outside(1, 24));
    assert_eq!(refused(|_, _, step| step.to = 19), outside(1, -1));
    assert_eq!(refused(|_, loops, _| loops[1].from = -5), outside(0, -2));
    assert_eq!(refused(|_, _, step| step.from = u32::MAX), outside(0, i32::MAX));
    for (from, to, id, at) in [(i32::MAX, 0, 0, i32::MAX), (i32::MIN, 0, 0, i32::MIN), (0, i32::MIN, 1, i32::MIN)] {
        let far = refused(|_, loops, step| {
            *loops = vec![Loop { count: u32::MAX, from, to }; 1];
            (step.loops, step.values) = (1, u32::MAX);
        });
        assert_eq!(far, outside(id, at));
        // Eight of them, whose sums are beyond 64 bits.
        let further = refused(|_, loops, step| {
            *loops = vec![Loop { count: u32::MAX, from, to }; 8];
            (step.loops, step.values) = (8, u32::MAX);
        });
        assert!(matches!(further, Err(StepError::Value { field: Field::Count, .. })), "{further:?}");
    }
    assert_eq!(StepError::Element { id: 3, at: -1 }.to_string(), "reaches element -1, outside tensor 3");
}
