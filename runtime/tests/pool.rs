//! Averages whose windows leave the image: against their definition, and what of them is refused.

mod writer;

use escarp_runtime::{
    Cpu, Error, Field, Model, Session, StepError,
    ops::{Divisor, PoolStep, Step},
};
use writer::{Random, Writer};

fn run(file: &[u8], input: &[i8]) -> Vec<i8> {
    let model = Model::parse(file).unwrap();
    let mut arena = vec![-0x5b; model.buffer_len()];
    Session::new(&model, &mut arena, Cpu::PORTABLE).unwrap().run(input).unwrap().to_vec()
}

/// `floor(sum * m / 2^s + 1/2)`.
fn scaled(sum: i64, (multiplier, shift): (i32, u32)) -> i64 {
    (sum as i128 * multiplier as i128 + (1 << (shift - 1))).div_euclid(1 << shift) as i64
}

#[test]
fn averages_equal_their_definition() {
    let mut random = Random(70);
    let (mut whole, mut cut) = (0, 0);
    for case in 0..600 {
        let mut pick = |from: u32, to: u32| from + random.below(to - from + 1);
        let shape @ [height, width, channels] = [pick(1, 9), pick(1, 9), pick(1, 20)].map(|n| n as u16);
        let pad = [pick(0, 3), pick(0, 3)].map(|n| n as u8);
        let kernel = [0, 1].map(|axis| {
            let (least, most) = (pad[axis] as u32 + 1, (shape[axis] + pad[axis] as u16) as u32);
            pick(least, most.min(least + 4)) as u16
        });
        let stride = [pick(1, 3), pick(1, 3)].map(|n| n as u8);
        let size = |axis: usize| (shape[axis] + pad[axis] as u16 - 1) / stride[axis] as u16 + 1;
        let target = [pick(1, size(0) as u32) as u16, pick(1, size(1) as u32) as u16, channels];
        let factors: Vec<(i32, u32)> = (0..kernel[0] * kernel[1])
            .map(|n| {
                // Near 1 / (n + 1), but not it: each number has a factor of its own.
                let exact = i32::MAX / (n as i32 + 1) - random.below(1 << 20) as i32;
                (exact << (exact.leading_zeros() - 1), 31 + exact.leading_zeros() - 1)
            })
            .collect();
        assert!(factors.iter().all(|&(m, s)| m >= 1 << 30 && (16..=62).contains(&s)), "{factors:?}");
        let counted = case % 2 == 0;
        let mut net = Writer::default();
        let (input, output) = (net.tensor(shape, 1.0, -7), net.tensor(target, 1.0, 12));
        let average = if counted {
            Divisor::Inside(net.factors(&factors))
        } else {
            let (multiplier, shift) = *factors.last().unwrap();
            Divisor::All(multiplier, shift as u8)
        };
        let (min, max) = [(-128, 127), (-60, 50)][case / 2 % 2];
        let step = PoolStep { input, output, kernel, stride, pad, average: Some(average), min, max };
        net.steps.push(Step::from(step));
        let values = random.activations((height * width * channels) as usize);
        let got = run(&net.finish(input, output, 1), &values);

        let mut got = got.into_iter();
        for (y, x) in (0..target[0] as i64).flat_map(|y| (0..target[1] as i64).map(move |x| (y, x))) {
            let span = |axis: usize, position: i64| {
                let first = position * stride[axis] as i64 - pad[axis] as i64;
                (first..first + kernel[axis] as i64).filter(move |at| (0..shape[axis] as i64).contains(at))
            };
            let pixels: Vec<(i64, i64)> = span(0, y).flat_map(|row| span(1, x).map(move |cell| (row, cell))).collect();
            assert!(!pixels.is_empty());
            if pixels.len() == factors.len() {
                whole += 1
            } else {
                cut += 1
            }
            for c in 0..channels as i64 {
                let value = |&(row, cell): &(i64, i64)| {
                    values[((row * width as i64 + cell) * channels as i64 + c) as usize] as i64 + 7
                };
                let sum = pixels.iter().map(value).sum();
                let factor = if counted { factors[pixels.len() - 1] } else { *factors.last().unwrap() };
                let want = (scaled(sum, factor) + 12).clamp(min.into(), max.into());
                assert_eq!(got.next().unwrap() as i64, want, "case {case} ({y}, {x}, {c}): {step:?}");
            }
        }
    }
    assert!(whole > 100 && cut > 100, "{whole} whole windows, {cut} cut off");
}

#[test]
fn an_average_by_hand() {
    // 10, 20, 30 with zero point 10: 0, 10, 20. Windows of three around each: 0 + 10, 0 + 10 + 20, 10 + 20; by all three, or
    // by 2, 3, 2; ties up.
    let third = (1_431_655_765, 32);
    for (counted, want) in [(false, [3, 10, 10]), (true, [5, 10, 15])] {
        let mut net = Writer::default();
        let (input, output) = (net.tensor([1, 3, 1], 1.0, 10), net.tensor([1, 3, 1], 1.0, 0));
        let average = match counted {
            false => Divisor::All(third.0, 32),
            true => Divisor::Inside(net.factors(&[(1 << 30, 30), (1 << 30, 31), third])),
        };
        let (kernel, stride, pad) = ([1, 3], [1, 1], [0, 1]);
        let step = PoolStep { input, output, kernel, stride, pad, average: Some(average), min: -128, max: 127 };
        net.steps.push(Step::from(step));
        assert_eq!(run(&net.finish(input, output, 1), &[10, 20, 30]), want);
    }
}

/// A sound average over two by two pixels inside the image after a change: why it is refused.
fn refused(edit: impl FnOnce(&mut Vec<(i32, u32)>, &mut PoolStep)) -> Result<(), StepError> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([3, 3, 5], 0.5, 4), net.tensor([2, 2, 5], 0.5, 4));
    let average = Some(Divisor::Inside(0));
    let (kernel, stride, pad) = ([2, 2], [2, 2], [1, 1]);
    let mut step = PoolStep { input, output, kernel, stride, pad, average, min: -128, max: 127 };
    let mut factors = vec![(1 << 30, 32); 4];
    edit(&mut factors, &mut step);
    net.factors(&factors);
    net.steps.push(Step::from(step));
    match Model::parse(&net.finish_plain(&[input], output)).map(drop) {
        Ok(()) => Ok(()),
        Err(Error::Step { index: 0, reason }) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn windows_that_do_not_fit() {
    assert_eq!(refused(|_, _| ()), Ok(()));
    let wrong = |field, found| Err(StepError::Value { field, found });
    for average in [Divisor::Inside(0), Divisor::All(1 << 30, 32)] {
        let refused = |edit: fn(&mut PoolStep)| {
            refused(|factors, step| {
                factors.resize(16, factors[0]);
                step.average = Some(average);
                edit(step);
            })
        };
        assert_eq!(refused(|step| step.kernel = [4, 4]), Ok(()), "as far as the image and its padding");
        assert_eq!(refused(|step| step.kernel = [2, 5]), wrong(Field::Kernel, 5));
        assert_eq!(refused(|step| step.pad = [2, 1]), wrong(Field::Padding, 2), "a window of padding alone");
        assert_eq!(refused(|step| step.stride = [4, 1]), Err(StepError::Shape { id: 1 }), "one behind the image");
        assert_eq!(refused(|step| step.stride = [3, 3]), Ok(()), "the last pixel");
    }
}

#[test]
fn factors_that_do_not_fit() {
    let wrong = |field, found| Err(StepError::Value { field, found });
    for at in [0, 3] {
        for found in [0, -1, (1 << 30) - 1] {
            assert_eq!(refused(|factors, _| factors[at].0 = found), wrong(Field::Multiplier, found));
        }
        for shift in [0, 15, 63, 32 + 256, u32::MAX] {
            let found = i32::try_from(shift).unwrap_or(i32::MAX);
            assert_eq!(refused(|factors, _| factors[at].1 = shift), wrong(Field::Shift, found));
        }
        for shift in [16, 62] {
            assert_eq!(refused(|factors, _| factors[at].1 = shift), Ok(()));
        }
    }
    let unaligned = StepError::Unaligned { field: Field::Factors, offset: 4 };
    assert_eq!(refused(|_, step| step.average = Some(Divisor::Inside(4))), Err(unaligned));
    let short = refused(|factors, _| factors.truncate(3));
    assert!(matches!(short, Err(StepError::Range { field: Field::Factors, .. })), "{short:?}");
    assert_eq!(Divisor::emit(0x0102_0304, 62), [4, 3, 2, 1, 62, 0, 0, 0]);
}

/// As many factors as a step may have, and one row more.
#[test]
fn windows_that_are_counted_have_4096_pixels_at_most() {
    let net = |height: u16, counted: bool| {
        let mut net = Writer::default();
        let (input, output) = (net.tensor([70, 64, 1], 0.5, 4), net.tensor([1, 1, 1], 0.5, 4));
        let factors = Divisor::Inside(net.factors(&vec![(1 << 30, 40); 70 * 64]));
        let average = Some(if counted { factors } else { Divisor::All(1 << 30, 40) });
        let (kernel, stride, pad) = ([height, 64], [1, 1], [0, 0]);
        let step = PoolStep { input, output, kernel, stride, pad, average, min: -128, max: 127 };
        net.steps.push(Step::from(step));
        net.finish_plain(&[input], output)
    };
    assert_eq!(Model::parse(&net(64, true)).map(drop), Ok(()));
    let reason = StepError::Value { field: Field::Kernel, found: 65 * 64 };
    assert_eq!(Model::parse(&net(65, true)).map(drop), Err(Error::Step { index: 0, reason }));
    assert_eq!(Model::parse(&net(65, false)).map(drop), Ok(()));
}
