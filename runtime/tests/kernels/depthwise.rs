//! Depthwise convolution at every size, at the ends of its arithmetic, and refused.

use escarp_runtime::{
    Cpu, Error,
    kernels::{Depthwise, Kernels, PADDING},
};

use crate::{PLAIN, Random, Values, for_each_cpu, parameters};

/// Where the taps lie.
#[derive(Clone, Copy, Debug)]
enum Places {
    /// Anywhere, and here and there in the padding.
    Scattered,
    /// `[kernel height, width]` windows of a padded map of so many columns, one stride apart.
    Windows([usize; 2], usize, usize),
}

impl Places {
    /// `[pixels][taps]` offsets, and the length of the input.
    fn offsets(self, random: &mut Random, [pixels, taps, blocks]: [usize; 3]) -> (Vec<u32>, usize) {
        let run = 8 * blocks;
        match self {
            Places::Scattered => {
                let len = run * (pixels + 3);
                let last = (len - run) as i32;
                let mut offset = |_| if random.within(0, 4) == 0 { PADDING } else { random.within(0, last) as u32 };
                let mut offsets: Vec<u32> = (0..pixels * taps).map(&mut offset).collect();
                if let [first, .., end] = offsets.as_mut_slice() {
                    (*first, *end) = (PADDING, last as u32);
                }
                (offsets, len)
            }
            Places::Windows([tall, wide], columns, stride) => {
                assert_eq!(tall * wide, taps);
                let rows = pixels.div_ceil(columns) * stride + tall;
                let width = columns * stride;
                let mut offsets = Vec::new();
                for pixel in 0..pixels {
                    for (i, j) in (0..tall).flat_map(|i| (0..wide).map(move |j| (i, j))) {
                        // One row and column of padding at top, left, and what the last windows need.
                        let (y, x) = (pixel / columns * stride + i, pixel % columns * stride + j);
                        let inside = (1..rows).contains(&y) && (1..=width).contains(&x);
                        let offset = |(y, x): (usize, usize)| ((y - 1) * width + x - 1) * run;
                        offsets.push(if inside { offset((y, x)) as u32 } else { PADDING });
                    }
                }
                (offsets, rows * width * run)
            }
        }
    }
}

fn check(cpu: Cpu, kernels: &Kernels, places: Places, sizes: [usize; 3], values: Values) {
    let [pixels, taps, blocks] = sizes;
    let random = &mut Random((pixels * 1000 + taps * 100 + blocks) as u64);
    let (offsets, len) = places.offsets(random, sizes);
    let depthwise = Depthwise {
        input: &random.bytes(len, -128, values.input),
        offsets: &offsets,
        zeros: &vec![random.within(-128, 127) as i8; 8 * blocks],
        taps,
        weights: &random.bytes(8 * blocks * taps, -127, values.weights),
        params: &parameters(random, blocks, values),
        zero_point: random.within(-128, 127) as i8,
        min: values.min,
        max: values.max,
    };
    let before = random.bytes(pixels * 8 * blocks, -128, None);
    let (mut want, mut got) = (before.clone(), before);
    Kernels::for_cpu(Cpu::PORTABLE).depthwise(&depthwise, &mut want).expect("the sizes fit");
    kernels.depthwise(&depthwise, &mut got).expect("the sizes fit");
    assert_eq!(
        got,
        want,
        "{}: {pixels} pixels, {taps} taps, {blocks} blocks, {places:?}, {values:?}",
        cpu.isa().name()
    );
}

#[test]
fn equals_portable_at_every_size() {
    for_each_cpu("depthwise sizes", |cpu, kernels| {
        for pixels in [1, 2, 3, 4, 5, 7, 12] {
            for taps in [1, 2, 3, 4, 5, 8, 9, 10, 25, 31, 32, 33, 49, 64, 65] {
                for blocks in [1, 2, 3, 5] {
                    check(cpu, kernels, Places::Scattered, [pixels, taps, blocks], PLAIN);
                }
            }
        }
    });
}

#[test]
fn equals_portable_on_windows_of_a_map() {
    for_each_cpu("depthwise windows", |cpu, kernels| {
        for kernel in [[3, 3], [1, 9], [9, 1], [3, 1], [1, 3], [5, 5], [1, 1]] {
            for columns in [1, 2, 3, 4, 5, 7, 8, 9, 14] {
                for (stride, blocks) in [(1, 1), (1, 3), (2, 2)] {
                    for pixels in [columns, 2 * columns, 3 * columns - 1] {
                        let places = Places::Windows(kernel, columns, stride);
                        check(cpu, kernels, places, [pixels, kernel[0] * kernel[1], blocks], PLAIN);
                    }
                }
            }
        }
    });
}

#[test]
fn equals_portable_at_the_ends_of_its_arithmetic() {
    for_each_cpu("depthwise ends", |cpu, kernels| {
        // Products at the end of int16: 2 * 128 * 127; saturating outputs; shifts at both limits; wrapping sums.
        for input in [Some(-128), Some(127), None] {
            for weights in [Some(-127), Some(127), None] {
                for shifts in [[32, 32], [62, 62], [32, 62]] {
                    for bias in [0, 1 << 30, i32::MAX] {
                        let values = Values { input, weights, shifts, bias, ..PLAIN };
                        for sizes in [[1, 1, 1], [5, 9, 2], [7, 3, 1], [3, 25, 2]] {
                            check(cpu, kernels, Places::Scattered, sizes, values);
                        }
                        check(cpu, kernels, Places::Windows([3, 3], 5, 1), [10, 9, 2], values);
                    }
                }
            }
        }
        for (min, max) in [(0, 127), (-128, -3), (-20, 20), (5, 5)] {
            check(cpu, kernels, Places::Windows([3, 3], 9, 1), [18, 9, 2], Values { min, max, ..PLAIN });
        }
    });
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_written() {
    for_each_cpu("depthwise refusals", |cpu, kernels| {
        let (input, zeros, weights) = ([1i8; 48], [0; 16], [1; 2 * 2 * 8]);
        let mut params = [0; 144];
        for block in params.chunks_exact_mut(72) {
            block[64..].fill(32); // shifts; multipliers of 0 make zeros of every sum
        }
        let good = Depthwise {
            input: &input,
            offsets: &[0, PADDING, 32, 7],
            zeros: &zeros,
            taps: 2,
            weights: &weights,
            params: &params,
            zero_point: 0,
            min: -128,
            max: 127,
        };
        let mut out = [9i8; 32];
        assert_eq!(kernels.depthwise(&Depthwise { offsets: &[PADDING; 4], ..good }, &mut out), Ok(()));
        assert_eq!(kernels.depthwise(&good, &mut out), Ok(()));
        assert_eq!(out, [0; 32]);
        let mut out = [9i8; 32];
        let bad = [
            ("an offset whose run ends behind the input", Depthwise { offsets: &[0, PADDING, 33, 7], ..good }),
            ("the largest offset", Depthwise { offsets: &[PADDING - 1, 0, 0, 0], ..good }),
            ("half a pixel", Depthwise { offsets: &[0, 0, 0], ..good }),
            ("an input shorter than a run", Depthwise { input: &input[..15], ..good }),
            ("zeros shorter than a run", Depthwise { zeros: &zeros[..15], ..good }),
            ("weights cut off", Depthwise { weights: &weights[..24], ..good }),
            ("parameters cut off", Depthwise { params: &params[..143], ..good }),
            ("no parameters", Depthwise { params: &[], ..good }),
            ("no taps", Depthwise { taps: 0, ..good }),
            ("sizes whose product overflows", Depthwise { taps: usize::MAX / 4, ..good }),
        ];
        for (what, depthwise) in bad {
            assert_eq!(kernels.depthwise(&depthwise, &mut out), Err(Error::Kernel), "{}: {what}", cpu.isa().name());
        }
        let short = kernels.depthwise(&good, &mut out[..16]);
        assert_eq!(short, Err(Error::Kernel), "{}: output too short", cpu.isa().name());
        assert_eq!(out, [9; 32]);
    });
}
