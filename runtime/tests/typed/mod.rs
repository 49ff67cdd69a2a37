//! Values of int8 and int16 tensors alike, as i32.
#![allow(dead_code, reason = "each test file uses its part")]

use escarp_runtime::{Cpu, Dtype, Model, Session};

use crate::writer::Random;

/// Values of a type; every fourth is at one of its ends.
pub fn values(random: &mut Random, dtype: Dtype, len: usize) -> Vec<i32> {
    let [least, most] = ends(dtype);
    let mut value = || match random.below(8) {
        0 => least,
        1 => most,
        _ => least + (random.next() & (most - least) as u32) as i32,
    };
    (0..len).map(|_| value()).collect()
}

/// The least and the most that a type holds.
pub fn ends(dtype: Dtype) -> [i32; 2] {
    match dtype {
        Dtype::I8 => [-128, 127],
        Dtype::I16 => [-32768, 32767],
        Dtype::I32 => [i32::MIN, i32::MAX],
    }
}

/// Limits of that type: all it holds, some, or one.
pub fn limits(random: &mut Random, dtype: Dtype) -> [i16; 2] {
    let [least, most] = ends(dtype).map(|end| end as i16);
    [[least, most], [least / 2 + 3, most / 3], [0, most], [5, 5]][random.below(4) as usize]
}

/// The output, the same on the portable kernels and this machine's, whatever the arena held before.
pub fn run(file: &[u8], inputs: &[&[i32]]) -> Vec<i32> {
    let model = Model::parse(file).unwrap();
    let on = |cpu, held| {
        let mut arena = vec![held; model.buffer_len()];
        let mut session = Session::new(&model, &mut arena, cpu).unwrap();
        for ((at, values), port) in inputs.iter().enumerate().zip(model.inputs()) {
            match port.tensor.dtype {
                Dtype::I8 => session.set_input(at, &Vec::from_iter(values.iter().map(|&x| i8::try_from(x).unwrap()))),
                _ => session.set_input(at, &Vec::from_iter(values.iter().map(|&x| i16::try_from(x).unwrap()))),
            }
            .unwrap();
        }
        session.infer().unwrap();
        match model.outputs().next().unwrap().tensor.dtype {
            Dtype::I8 => session.output::<i8>(0).unwrap().iter().map(|&y| y.into()).collect::<Vec<i32>>(),
            Dtype::I16 => session.output::<i16>(0).unwrap().iter().map(|&y| y.into()).collect(),
            Dtype::I32 => session.output::<i32>(0).unwrap().to_vec(),
        }
    };
    let portable = on(Cpu::PORTABLE, 0x55);
    assert_eq!(portable, on(escarp_detect::detect(), -3));
    portable
}

/// `floor(x * m / 2^s + 1/2)`, limited to int32.
pub fn scaled(x: i64, multiplier: i32, shift: u8) -> i64 {
    let y = (x as i128 * multiplier as i128 + (1 << (shift - 1))).div_euclid(1 << shift);
    y.clamp(i32::MIN.into(), i32::MAX.into()) as i64
}
