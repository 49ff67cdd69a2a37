//! Each kernel on each instruction set, at the layer shapes of ResNet-8 on 32 x 32 images and of GRUs of 64 and 128.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use escarp_benches::{cpus, criterion, values};
use escarp_runtime::kernels::{Add, Combine, Conv, Epilogue, Kernels, PADDING, PARAM_BLOCK, Residual, Runs};

/// Most pixels of a strip: about what a session gives a kernel at once.
const STRIP: usize = 96;

/// A square convolution, padded so that the output has `size` / `stride` rows.
struct Layer {
    name: &'static str,
    size: usize,
    kernel: usize,
    stride: usize,
    inputs: usize,
    outputs: usize,
    /// The layer's block ends in an addition, fused here.
    residual: bool,
}

const fn layer(
    name: &'static str,
    [size, kernel, stride]: [usize; 3],
    [inputs, outputs]: [usize; 2],
    residual: bool,
) -> Layer {
    Layer { name, size, kernel, stride, inputs, outputs, residual }
}

const RESNET8: [Layer; 8] = [
    layer("3x3 3->16 of 32x32", [32, 3, 1], [3, 16], false),
    layer("3x3 16->16 of 32x32", [32, 3, 1], [16, 16], false),
    layer("3x3 16->16 of 32x32 + residual", [32, 3, 1], [16, 16], true),
    layer("3x3/2 16->32 of 32x32", [32, 3, 2], [16, 32], false),
    layer("3x3 32->32 of 16x16 + residual", [16, 3, 1], [32, 32], true),
    layer("1x1/2 16->32 of 32x32", [32, 1, 2], [16, 32], false),
    layer("3x3/2 32->64 of 16x16", [16, 3, 2], [32, 64], false),
    layer("3x3 64->64 of 8x8 + residual", [8, 3, 1], [64, 64], true),
];

impl Layer {
    /// Where each tap of the map's first pixels reads.
    fn offsets(&self, groups: usize) -> Vec<u32> {
        let side = self.size / self.stride;
        let pad = if self.stride == 1 { self.kernel / 2 } else { 0 }; // SAME, as ONNX from TensorFlow has it
        let at = |out: usize, tap: usize| (out * self.stride + tap).checked_sub(pad).filter(|&i| i < self.size);
        let mut offsets = Vec::new();
        for pixel in 0..STRIP.min(side * side) {
            for tap in 0..self.kernel * self.kernel {
                let place = at(pixel / side, tap / self.kernel).zip(at(pixel % side, tap % self.kernel));
                offsets.push(place.map_or(PADDING, |(y, x)| ((y * self.size + x) * 8 * groups) as u32));
            }
        }
        offsets
    }
}

fn conv(c: &mut Criterion) {
    for layer in &RESNET8 {
        let (groups, blocks, taps) = (layer.inputs.div_ceil(8), layer.outputs.div_ceil(8), layer.kernel * layer.kernel);
        let input = values(layer.size * layer.size * 8 * groups, -128);
        let offsets = layer.offsets(groups);
        let pixels = offsets.len() / taps;
        let weights = values(blocks * taps * groups * 64, -127);
        // 8 biases, 8 multipliers of 0.75 * 2^31, 8 shifts.
        let mut block = [0; PARAM_BLOCK];
        block[32..64].as_chunks_mut::<4>().0.fill(0x6000_0000_i32.to_le_bytes());
        block[64..].fill(if layer.residual { 32 } else { 42 });
        let residual = layer.residual.then_some(Residual { zero_point: -9, multiplier: 3000 });
        let conv = Conv {
            input: &input,
            offsets: &offsets,
            zeros: &vec![-9; 8 * groups],
            taps,
            runs: Runs::new(None, u16::try_from(layer.inputs).expect("few channels")),
            weights: &weights,
            params: &block.repeat(blocks),
            epilogue: Epilogue { zero_point: -9, min: -9, max: 127, residual },
        };
        let mut out = values(pixels * 8 * blocks, -128);
        let mut group = c.benchmark_group(format!("conv/{}", layer.name));
        group.throughput(Throughput::Elements((pixels * taps * layer.inputs * layer.outputs) as u64));
        for cpu in cpus() {
            let kernels = Kernels::for_cpu(cpu);
            group.bench_function(BenchmarkId::from_parameter(cpu.isa().name()), |b| {
                b.iter(|| kernels.conv(black_box(&conv), &mut out).expect("the sizes fit"));
            });
        }
        group.finish();
    }
}

fn gemv(c: &mut Criterion) {
    // A GRU's step is one product with its input and one with its state; three gates of rows each. Then a classifier.
    for (name, inputs, outputs) in [
        ("gru-64 state", 64, 3 * 64),
        ("gru-128 state", 128, 3 * 128),
        ("gru-128 input of 32 bands", 32, 3 * 128),
        ("classifier 64->10", 64, 10_usize),
    ] {
        let rows = outputs.next_multiple_of(8);
        let (x, weights, mut acc) = (values(inputs, -128), values(inputs * rows, -127), vec![0; rows]);
        let mut group = c.benchmark_group(format!("gemv/{name}"));
        group.throughput(Throughput::Elements((inputs * outputs) as u64));
        for cpu in cpus() {
            let kernels = Kernels::for_cpu(cpu);
            group.bench_function(BenchmarkId::from_parameter(cpu.isa().name()), |b| {
                b.iter(|| kernels.gemv(black_box(&x), &weights, &mut acc).expect("the sizes fit"));
            });
        }
        group.finish();
    }
}

fn add(c: &mut Criterion) {
    let add = Add {
        combine: Combine::Sum,
        zero_points: [-9, 4],
        multipliers: [3000, 4000],
        zero_point: -20,
        min: -20,
        max: 127,
    };
    let len = 32 * 32 * 16;
    let (mut out, b) = (values(len, -128), values(len, -128));
    let mut group = c.benchmark_group("add/32x32x16");
    group.throughput(Throughput::Elements(len as u64));
    for cpu in cpus() {
        let kernels = Kernels::for_cpu(cpu);
        group.bench_function(BenchmarkId::from_parameter(cpu.isa().name()), |bench| {
            bench.iter(|| kernels.add(black_box(&add), &mut out, &b).expect("the lengths agree"));
        });
    }
    group.finish();
}

criterion_group! { name = kernels; config = criterion(); targets = conv, gemv, add }
criterion_main!(kernels);
