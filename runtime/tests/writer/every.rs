//! A net of everything that a model may be made of.

use escarp_runtime::{
    Dtype, Meaning, Tensor, TensorId,
    ops::{
        AddStep, ArgmaxStep, Between, Combine, ConvStep, CopyStep, DepthwiseStep, Divisor, Groups, GruStep,
        InterpolateStep, LinearStep, LookupStep, Loop, MulStep, PoolStep, ResizeStep, SOFTMAX_SCALE, ScaleStep,
        SoftmaxStep, Step,
    },
};

use super::{Matrix, Random, Writer, gru_layer};

/// All kinds of steps: lookup and product in place and apart among them, copies onto others' values and through a table; inputs
/// and outputs of int8, int16 and int32; inputs that are outputs as they are, a state that is one, and a state that nobody
/// writes.
pub fn every_net() -> Vec<u8> {
    let mut random = Random(9);
    let mut net = Writer::default();
    let image = net.tensor([2, 2, 5], 0.5, -3);
    let gains = net.tensor([1, 1, 5], 0.25, 7);
    let (short, long) = (net.wide([2, 1, 3], Dtype::I16), net.wide([1, 3, 3], Dtype::I32));
    let apart = net.tensor([2, 2, 5], 0.125, 2);
    let again = net.alias(apart, 0.25, -9);
    let scaled = net.tensor([2, 2, 5], 0.25, -9);
    let product = net.alias(scaled, 0.25, -9);
    let wide = net.tensor([4, 6, 5], 0.25, -9);
    let filtered = net.tensor([4, 6, 5], 0.25, 11);
    let [x, largest, total] = [-9, -9, 5].map(|zero_point| net.tensor([4, 6, 9], 0.25, zero_point));
    let sum = net.alias(largest, 0.25, 1);
    let (offset, shifted) = (net.tensor([1, 1, 9], 0.5, 100), net.alias(total, 0.25, 9));
    let mixed = net.tensor([4, 6, 9], 0.25, 5);
    let mean = net.tensor([1, 1, 9], 0.25, 1);
    let (state, idle) = (net.state(10), net.state(3));
    let hidden = net.tensor([1, 1, 10], 1.0 / 128.0, 0);
    let scores = net.tensor([1, 1, 4], 1.0, 0);

    for (input, output) in [(image, apart), (apart, again)] {
        let table = net.table(std::array::from_fn(|_| random.next() as i8));
        net.steps.push(Step::from(LookupStep { input, output, table }));
    }
    for (a, b, output) in [(again, gains, scaled), (scaled, again, product)] {
        net.steps.push(Step::from(MulStep { a, b, output, multiplier: 1 << 30, shift: 35, min: -100, max: 99 }));
    }
    net.steps.push(Step::from(ResizeStep { input: product, output: wide, factor: [2, 3] }));
    depthwise(&mut net, &mut random, [wide, filtered]);
    conv(&mut net, &mut random, [filtered, x], None);
    pool(&mut net, [x, largest], 3, None);
    conv(&mut net, &mut random, [wide, sum], Some((3, 4000)));
    let multipliers = [3000, 4096];
    net.steps.push(Step::from(AddStep {
        combine: Combine::Sum,
        a: sum,
        b: x,
        output: total,
        multipliers,
        min: -110,
        max: 120,
    }));
    grouped(&mut net, &mut random, [total, mixed]);
    let (combine, multipliers) = (Combine::Maximum, [-4096, 5000]);
    net.steps.push(Step::from(AddStep {
        combine,
        a: total,
        b: offset,
        output: shifted,
        multipliers,
        min: -128,
        max: 127,
    }));
    pool(&mut net, [mixed, mean], 4, Some(Divisor::All(1_908_874_354, 35)));
    let smooth = net.tensor([2, 3, 9], 0.25, 5);
    counted(&mut net, [shifted, smooth]);
    let shares = softmax(&mut net, smooth);
    let chosen = net.wide([2, 3, 1], Dtype::I32);
    net.steps.push(Step::from(ArgmaxStep { input: shares, output: chosen }));
    let between = interpolate(&mut net, smooth);
    let (moved, kept) = (net.tensor([1, 2, 5], 0.25, 1), net.wide([1, 3, 3], Dtype::I32));
    copies(&mut net, &mut random, [sum, moved], [long, kept]);
    let (fine, coarse) = int16(&mut net, &mut random, smooth);
    let [w, u] = gru_layer(&mut random, 10, 9);
    let [input_weights, input_params] = net.matrix(&w);
    let [state_weights, state_params] = net.matrix(&u);
    net.steps.push(Step::from(GruStep {
        input: mean,
        output: hidden,
        state,
        hidden: 10,
        reset_after: false,
        input_weights,
        input_params,
        state_weights,
        state_params,
    }));
    let [weights, params] = net.matrix(&Matrix::random(&mut random, 4, 1, 10, 38));
    net.steps.push(Step::from(LinearStep { input: hidden, output: scores, weights, params, min: -120, max: 110 }));

    let plain = |name, id| (name, id, Meaning::Plain);
    let vectors = [plain("gains", gains), plain("offset", offset), plain("short", short), plain("long", long)];
    let inputs = [&[plain("image", image)], &vectors[..]].concat();
    let remembered = [("state", state, Meaning::State), ("idle", idle, Meaning::State)];
    let outputs = [plain("scores", scores), plain("sum", sum), plain("long", long), plain("short", short)];
    let copied = [
        plain("smooth", smooth),
        plain("shares", shares),
        plain("chosen", chosen),
        plain("between", between),
        plain("moved", moved),
        plain("kept", kept),
        plain("fine", fine),
        plain("coarse", coarse),
    ];
    net.finish_with(&inputs, &[&outputs[..], &[plain("gains", gains)], &copied, &remembered].concat(), 3)
}

/// A 1 x 1 convolution, onto what lies at its output if there is a residual.
fn conv(net: &mut Writer, random: &mut Random, [input, output]: [TensorId; 2], residual: Option<(i8, i32)>) {
    let [inputs, rows] = [input, output].map(|id| net.tensors[id as usize].channels as usize);
    let matrix = Matrix::random(random, rows, 1, inputs, if residual.is_some() { 28 } else { 39 });
    let [weights, params] = net.matrix(&matrix);
    let (kernel, stride, dilation, pad) = ([1, 1], [1, 1], [1, 1], [0, 0]);
    let (min, max) = (-128, 127);
    let groups = None;
    let step = ConvStep { input, output, kernel, stride, dilation, pad, weights, params, min, max, residual, groups };
    net.steps.push(Step::from(step));
}

/// A 1 x 2 convolution of 9 channels in three groups.
fn grouped(net: &mut Writer, random: &mut Random, [input, output]: [TensorId; 2]) {
    let [weights, params] = net.grouped(&Matrix::random(random, 9, 2, 3, 39), 3);
    let (kernel, stride, dilation, pad) = ([1, 2], [1, 1], [1, 1], [0, 1]);
    let (min, max, residual, groups) = (-128, 127, None, Some(Groups { inputs: 3, outputs: 3 }));
    let step = ConvStep { input, output, kernel, stride, dilation, pad, weights, params, min, max, residual, groups };
    net.steps.push(Step::from(step));
}

/// A 3 x 3 depthwise convolution of the same size.
fn depthwise(net: &mut Writer, random: &mut Random, [input, output]: [TensorId; 2]) {
    let rows = net.tensors[output as usize].channels as usize;
    let [weights, params] = net.depthwise(&Matrix::random(random, rows, 9, 1, 39));
    let (kernel, stride, dilation, pad) = ([3, 3], [1, 1], [1, 1], [1, 1]);
    let (min, max) = (-90, 111);
    let step = DepthwiseStep { input, output, kernel, stride, dilation, pad, weights, params, min, max };
    net.steps.push(Step::from(step));
}

/// The largest of each pixel and its neighbours, or the average of windows of `height` rows and all 6 columns.
fn pool(net: &mut Writer, [input, output]: [TensorId; 2], height: u16, average: Option<Divisor>) {
    let (kernel, pad) = if average.is_some() { ([height, 6], [0, 0]) } else { ([height, 3], [1, 1]) };
    let (stride, min, max) = ([1, 1], -128, 127);
    net.steps.push(Step::from(PoolStep { input, output, kernel, stride, pad, average, min, max }));
}

/// The average of every second pixel and its neighbours inside the map.
fn counted(net: &mut Writer, [input, output]: [TensorId; 2]) {
    let average =
        Some(Divisor::Inside(net.factors(&[1, 2, 3, 4, 5, 6, 7, 8, 9].map(|n| (i32::MAX / n * (n / 2 + 1), 31)))));
    let (kernel, stride, pad, min, max) = ([3, 3], [2, 2], [1, 1], -128, 127);
    net.steps.push(Step::from(PoolStep { input, output, kernel, stride, pad, average, min, max }));
}

/// A map of 2 x 3 on 3 x 2.
fn interpolate(net: &mut Writer, input: TensorId) -> TensorId {
    let Tensor { channels, scale, zero_point, .. } = net.tensors[input as usize];
    let output = net.tensor([3, 2, channels], scale, zero_point);
    let rows = net.axis(&[0, 700, 2048].map(|weight| Between { low: 0, high: 1, weight }));
    let columns = net.axis(&[0, 1].map(|low| Between { low, high: low + 1, weight: 1300 }));
    net.steps.push(Step::from(InterpolateStep { input, output, rows, columns }));
    output
}

/// The softmax of a map, apart from it.
fn softmax(net: &mut Writer, input: TensorId) -> TensorId {
    let output = net.tensor(net.tensors[input as usize].shape(), SOFTMAX_SCALE, -128);
    let table = net.exponentials(std::array::from_fn(|d| 30_000 >> (d / 4).min(20)));
    net.steps.push(Step::from(SoftmaxStep { input, output, table }));
    output
}

/// Of a map in int16: itself, a table of it, both tables' product, their sum, convolutions onto these; what is largest around
/// each pixel; the average again in int8.
fn int16(net: &mut Writer, random: &mut Random, input: TensorId) -> (TensorId, TensorId) {
    let shape @ [_, _, channels] = net.tensors[input as usize].shape();
    let (min, max) = (-32768, 32767);
    let [x, y, z] = [(); 3].map(|()| net.wide(shape, Dtype::I16));
    net.steps.push(Step::from(ScaleStep { input, output: x, multiplier: 1 << 30, shift: 23, min, max }));
    let table = net.wide_table(&Vec::from_iter((0..256).map(|_| random.next() as i16)));
    net.steps.push(Step::from(LookupStep { input, output: y, table }));
    let table = net.wide_table(&Vec::from_iter((0..513).map(|i| (i - 256) * (i / 5))));
    net.steps.push(Step::from(LookupStep { input: x, output: z, table }));
    net.steps.push(Step::from(MulStep { a: z, b: y, output: z, multiplier: 1 << 30, shift: 45, min: 0, max }));
    let (combine, multipliers) = (Combine::Sum, [1 << 20, -3000]);
    net.steps.push(Step::from(AddStep { combine, a: z, b: x, output: z, multipliers, min, max: 30_000 }));
    conv(net, random, [x, z], Some((0, 700_000)));
    depthwise(net, random, [z, y]);
    let largest = net.wide(shape, Dtype::I16);
    pool(net, [z, largest], 3, None);
    let mean = net.tensor([1, 1, channels], 0.5, 3);
    let average = Some(Divisor::All(1_431_655_765, 43));
    let (kernel, stride, pad) = ([shape[0], shape[1]], [1, 1], [0, 0]);
    let step = PoolStep { input: largest, output: mean, kernel, stride, pad, average, min: -128, max: 127 };
    net.steps.push(Step::from(step));
    (largest, mean)
}

/// Some of a map's values backwards and through a table, then others onto them; the pixels of an int32 vector turned round.
fn copies(net: &mut Writer, random: &mut Random, [input, output]: [TensorId; 2], wide: [TensorId; 2]) {
    let table = Some(net.table(std::array::from_fn(|_| random.next() as i8)));
    let step = CopyStep { input, output, fill: Some(-7), table, loops: 0, loops_at: 0, from: 5, to: 8, values: 0 };
    let backwards = [Loop { count: 3, from: 16, to: -1 }, Loop { count: 2, from: 1, to: 3 }];
    net.copy(&backwards, CopyStep { to: 6, ..step });
    net.copy(&[Loop { count: 4, from: 1, to: 1 }], CopyStep { fill: None, table: None, ..step });
    let turned = [Loop { count: 3, from: 8, to: -8 }, Loop { count: 8, from: 1, to: 1 }];
    let step = CopyStep { input: wide[0], output: wide[1], fill: Some(3), table: None, from: 0, to: 16, ..step };
    net.copy(&turned, step);
}
