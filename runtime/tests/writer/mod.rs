//! A small writer of model files: packs weights and lays tensors out one after the other.
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod every;

pub use every::every_net;

use escarp_runtime::{
    Dtype, Meaning, Tensor, TensorId,
    format::{ARENA_ALIGN, HEADER, Header, PARAMS_ALIGN, PORT, PortRecord, SECTION_ALIGN, STEP, TENSOR, seal},
    meta::{Tag, emit_entry, emit_label},
    ops::{AddStep, Between, Combine, ConvStep, CopyStep, Divisor, GruStep, LinearStep, Loop, PoolStep, Step, Totals},
};

/// Numbers that are the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }

    pub fn weight(&mut self) -> i8 {
        (self.below(255) as i32 - 127) as i8
    }

    pub fn activations(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.next() as i8).collect()
    }
}

/// How one row of weights becomes an output: `requantize(sum + bias, multiplier, shift)`.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub bias: i32,
    pub multiplier: i32,
    pub shift: u8,
}

/// Weights before packing, `[rows][taps][inputs]`.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub rows: usize,
    pub taps: usize,
    pub inputs: usize,
    pub weights: Vec<i8>,
    pub scaling: Vec<Row>,
}

impl Matrix {
    /// Random weights; outputs spread over some 100 units at `shift`.
    pub fn random(random: &mut Random, rows: usize, taps: usize, inputs: usize, shift: u8) -> Matrix {
        let weights = (0..rows * taps * inputs).map(|_| random.weight()).collect();
        let scaling = (0..rows)
            .map(|_| Row {
                bias: random.below(20_000) as i32 - 10_000,
                multiplier: (1 << 30) + random.below(1 << 30) as i32,
                shift,
            })
            .collect();
        Matrix { rows, taps, inputs, weights, scaling }
    }

    pub fn at(&self, row: usize, tap: usize, input: usize) -> i8 {
        self.weights[(row * self.taps + tap) * self.inputs + input]
    }

    /// N8C8: `[blocks][taps][groups][8 rows][8 inputs]`, padding is zero.
    pub fn packed(&self) -> Vec<i8> {
        let (blocks, groups) = (self.rows.div_ceil(8), self.inputs.div_ceil(8));
        let mut packed = vec![0; blocks * self.taps * groups * 64];
        for row in 0..self.rows {
            for tap in 0..self.taps {
                for input in 0..self.inputs {
                    let step = ((row / 8) * self.taps + tap) * groups + input / 8;
                    packed[step * 64 + row % 8 * 8 + input % 8] = self.at(row, tap, input);
                }
            }
        }
        packed
    }

    /// Rows of several gates, each padded to 8.
    pub fn gates(gates: [Matrix; 3]) -> Matrix {
        let [first, ..] = &gates;
        let (taps, inputs, padded) = (first.taps, first.inputs, first.rows.next_multiple_of(8));
        let (mut weights, mut scaling) = (Vec::new(), Vec::new());
        for gate in gates {
            weights.extend(&gate.weights);
            weights.resize(weights.len() + (padded - gate.rows) * taps * inputs, 0);
            scaling.extend(&gate.scaling);
            scaling.resize(scaling.len() + padded - gate.rows, Row { bias: 0, multiplier: 0, shift: 32 });
        }
        Matrix { rows: 3 * padded, taps, inputs, weights, scaling }
    }
}

/// Makes a changed file's totals and checksum right again, as far as its records can be read.
pub fn restate(file: &mut [u8]) {
    let Some(bytes) = file.first_chunk::<HEADER>() else { return };
    let mut sealed = *bytes;
    sealed[16..20].copy_from_slice(&(HEADER as u32).to_le_bytes());
    seal(&mut sealed);
    if let Ok(header) = Header::parse(&sealed) {
        let stated = u32::from_le_bytes(bytes[16..20].try_into().unwrap());
        let records = |at: u32, count: u16, len: usize| file.get(at as usize..)?.get(..count as usize * len);
        let tensors = records(header.tensors_at, header.tensors, TENSOR).unwrap_or_default().as_chunks::<TENSOR>().0;
        let tensors: Vec<Tensor> = tensors.iter().map_while(|record| Tensor::parse(record).ok()).collect();
        let steps = records(header.steps_at, header.steps, STEP).unwrap_or_default().as_chunks::<STEP>().0;
        let steps = steps.iter().map_while(|record| Step::parse(record).ok());
        let ports = header.inputs.saturating_add(header.outputs);
        let ports = records(header.ports_at, ports, PORT).unwrap_or_default().as_chunks::<PORT>().0;
        let ports: Option<Vec<Tensor>> =
            ports.iter().map(|port| tensors.get(PortRecord::parse(port).ok()?.tensor as usize).copied()).collect();
        if let Some(ports) = ports {
            let Totals { macs, work, .. } = steps.fold(Totals::new(ports), |sum, s| sum.and(&s, &tensors[..]));
            let header = Header { file_len: stated, macs, work, ..header };
            file[..HEADER].copy_from_slice(&header.emit());
        }
    }
    seal(file);
}

#[derive(Clone, Default)]
pub struct Writer {
    pub tensors: Vec<Tensor>,
    pub steps: Vec<Step>,
    pub consts: Vec<u8>,
    pub meta: Vec<u8>,
    pub states_len: u32,
    pub activations_len: u32,
}

impl Writer {
    /// A tensor of its own place.
    pub fn tensor(&mut self, [height, width, channels]: [u16; 3], scale: f32, zero_point: i8) -> TensorId {
        let offset = self.activations_len;
        let tensor = Tensor { offset, height, width, channels, scale, zero_point, dtype: Dtype::I8, state: false };
        self.activations_len += tensor.bytes().next_multiple_of(ARENA_ALIGN as u64) as u32;
        self.push(tensor)
    }

    /// Another tensor at the place of `other`.
    pub fn alias(&mut self, other: TensorId, scale: f32, zero_point: i8) -> TensorId {
        self.push(Tensor { scale, zero_point, ..self.tensors[other as usize] })
    }

    /// A tensor of wider elements, without zero point.
    pub fn wide(&mut self, [height, width, channels]: [u16; 3], dtype: Dtype) -> TensorId {
        let offset = self.activations_len;
        let tensor = Tensor { offset, height, width, channels, scale: 1.0, zero_point: 0, dtype, state: false };
        self.activations_len += tensor.bytes().next_multiple_of(ARENA_ALIGN as u64) as u32;
        self.push(tensor)
    }

    /// A tensor of that type, with the zero point if it has one.
    pub fn typed(&mut self, shape: [u16; 3], dtype: Dtype, zero_point: i8) -> TensorId {
        if dtype == Dtype::I8 { self.tensor(shape, 1.0, zero_point) } else { self.wide(shape, dtype) }
    }

    pub fn state(&mut self, channels: u16) -> TensorId {
        let (dtype, scale, offset) = (Dtype::I16, 1.0 / 32768.0, self.states_len);
        let tensor = Tensor { offset, height: 1, width: 1, channels, scale, zero_point: 0, dtype, state: true };
        self.states_len += tensor.bytes().next_multiple_of(ARENA_ALIGN as u64) as u32;
        self.push(tensor)
    }

    fn push(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        self.tensors.len() as TensorId - 1
    }

    /// Appends packed weights and parameter blocks; returns where they start.
    pub fn matrix(&mut self, matrix: &Matrix) -> [u32; 2] {
        self.weights(&matrix.packed(), &matrix.scaling)
    }

    /// The same for a depthwise convolution, whose rows have one input: `[blocks][taps][8]`.
    pub fn depthwise(&mut self, matrix: &Matrix) -> [u32; 2] {
        let mut packed = vec![0; matrix.rows.next_multiple_of(8) * matrix.taps];
        for (row, tap) in (0..matrix.rows).flat_map(|row| (0..matrix.taps).map(move |tap| (row, tap))) {
            packed[(row / 8 * matrix.taps + tap) * 8 + row % 8] = matrix.at(row, tap, 0);
        }
        self.weights(&packed, &matrix.scaling)
    }

    /// The same for a convolution in groups, whose rows have the inputs of their group, by the definition of the format.
    pub fn grouped(&mut self, matrix: &Matrix, count: usize) -> [u32; 2] {
        let &Matrix { rows, taps, inputs, .. } = matrix;
        let (made, channels, blocks) = (rows / count, inputs * count, rows.div_ceil(8));
        let from = |block: usize| inputs * (8 * block / made) / 8 * 8;
        let to = |block: usize| (inputs * ((8 * block + 7).min(rows - 1) / made + 1)).next_multiple_of(8);
        let span = (0..blocks).map(|block| to(block) - from(block)).max().unwrap();
        let mut packed = vec![0; blocks * taps * span * 8];
        for (row, tap) in (0..rows).flat_map(|row| (0..taps).map(move |tap| (row, tap))) {
            let start = from(row / 8).min(channels.next_multiple_of(8) - span);
            for input in 0..inputs {
                let k = row / made * inputs + input - start;
                let step = (row / 8 * taps + tap) * (span / 8) + k / 8;
                packed[step * 64 + row % 8 * 8 + k % 8] = matrix.at(row, tap, input);
            }
        }
        self.weights(&packed, &matrix.scaling)
    }

    fn weights(&mut self, packed: &[i8], scaling: &[Row]) -> [u32; 2] {
        self.consts.resize(self.consts.len().next_multiple_of(SECTION_ALIGN), 0);
        let weights = self.consts.len() as u32;
        self.consts.extend(packed.iter().map(|w| w.cast_unsigned()));
        self.consts.resize(self.consts.len().next_multiple_of(PARAMS_ALIGN), 0);
        let params = self.consts.len() as u32;
        for block in scaling.chunks(8) {
            let lane = |i: usize| block.get(i).copied().unwrap_or(Row { bias: 0, multiplier: 0, shift: 32 });
            (0..8).for_each(|i| self.consts.extend(lane(i).bias.to_le_bytes()));
            (0..8).for_each(|i| self.consts.extend(lane(i).multiplier.to_le_bytes()));
            (0..8).for_each(|i| self.consts.push(lane(i).shift));
        }
        [weights, params]
    }

    /// Appends other constants; returns where they start.
    pub fn constants(&mut self, bytes: impl IntoIterator<Item = u8>) -> u32 {
        self.consts.resize(self.consts.len().next_multiple_of(PARAMS_ALIGN), 0);
        let start = self.consts.len() as u32;
        self.consts.extend(bytes);
        start
    }

    /// Appends a table; returns where it starts.
    pub fn table(&mut self, table: [i8; 256]) -> u32 {
        self.constants(table.map(i8::cast_unsigned))
    }

    /// Appends a table of int16; returns where it starts.
    pub fn wide_table(&mut self, table: &[i16]) -> u32 {
        self.constants(table.iter().flat_map(|entry| entry.to_le_bytes()))
    }

    /// Appends exponentials of a softmax.
    pub fn exponentials(&mut self, table: [u32; 256]) -> u32 {
        self.constants(table.into_iter().flat_map(u32::to_le_bytes))
    }

    /// Appends an axis of an interpolation.
    pub fn axis(&mut self, axis: &[Between]) -> u32 {
        self.constants(axis.iter().flat_map(Between::emit))
    }

    /// Appends factors of an average: multiplier and shift for 1, 2, ... pixels.
    pub fn factors(&mut self, factors: &[(i32, u32)]) -> u32 {
        self.constants(
            factors.iter().flat_map(|(multiplier, shift)| [multiplier.to_le_bytes(), shift.to_le_bytes()]).flatten(),
        )
    }

    /// Appends loops and a step that moves values through them.
    pub fn copy(&mut self, loops: &[Loop], step: CopyStep) {
        let (count, values) = (loops.len() as u16, loops.iter().map(|next| next.count).product());
        let loops_at = if count == 0 { 0 } else { self.constants(loops.iter().flat_map(Loop::emit)) };
        self.steps.push(Step::from(CopyStep { loops: count, loops_at, values, ..step }));
    }

    /// The file of a model with one input `x` and one output `y`, with labels `0`, `1`, ...
    pub fn finish(mut self, input: TensorId, output: TensorId, sequence: u16) -> Vec<u8> {
        let mut labels = Vec::new();
        (0..self.tensors[output as usize].elements()).for_each(|i| emit_label(&mut labels, &i.to_string()));
        emit_entry(&mut self.meta, Tag::Labels, 0, &labels);
        emit_entry(&mut self.meta, Tag::Name, 0, b"test");
        self.finish_with(&[("x", input, Meaning::Plain)], &[("y", output, Meaning::Softmax)], sequence)
    }

    /// The file of a model with inputs `a`, `b`, `c` as far as there are any, and one output `y`.
    pub fn finish_plain(self, inputs: &[TensorId], output: TensorId) -> Vec<u8> {
        let inputs: Vec<_> =
            ["a", "b", "c"].into_iter().zip(inputs).map(|(name, &id)| (name, id, Meaning::Plain)).collect();
        self.finish_with(&inputs, &[("y", output, Meaning::Plain)], 1)
    }

    /// The file, with totals as the format wants them.
    pub fn finish_with(
        mut self,
        inputs: &[(&str, TensorId, Meaning)],
        outputs: &[(&str, TensorId, Meaning)],
        sequence: u16,
    ) -> Vec<u8> {
        for tensor in &mut self.tensors {
            if !tensor.state {
                tensor.offset += self.states_len;
            }
        }
        let tensors = self.tensors.as_slice();
        let ports = [inputs, outputs].concat();
        let totals = Totals::new(ports.iter().map(|(_, id, _)| tensors[*id as usize]));
        let totals = self.steps.iter().fold(totals, |sum, step| sum.and(step, tensors));
        let (scratch, mut names) = (totals.scratch as u32, String::new());
        let mut port_records = Vec::new();
        for (name, tensor, meaning) in ports {
            let (at, name_len) = (names.len() as u32, name.len() as u16);
            port_records.extend(PortRecord { tensor, meaning, name: at, name_len }.emit());
            names.push_str(name);
        }
        let aligned = |at: usize| at.next_multiple_of(SECTION_ALIGN);
        let tensors_at = HEADER;
        let ports_at = aligned(tensors_at + self.tensors.len() * TENSOR);
        let steps_at = aligned(ports_at + port_records.len());
        let consts_at = aligned(steps_at + self.steps.len() * STEP);
        let names_at = aligned(consts_at + self.consts.len());
        let meta_at = aligned(names_at + names.len());
        let header = Header {
            checksum: 0,
            file_len: (meta_at + self.meta.len()) as u32,
            extensions: 0,
            arena_len: self.states_len + self.activations_len + scratch,
            scratch_len: scratch,
            worker_len: totals.worker_scratch as u32,
            state_len: self.states_len,
            sequence,
            inputs: inputs.len() as u16,
            outputs: outputs.len() as u16,
            tensors: self.tensors.len() as u16,
            steps: self.steps.len() as u16,
            macs: totals.macs,
            work: totals.work,
            tensors_at: tensors_at as u32,
            ports_at: ports_at as u32,
            steps_at: steps_at as u32,
            consts_at: consts_at as u32,
            consts_len: self.consts.len() as u32,
            names_at: names_at as u32,
            names_len: names.len() as u32,
            meta_at: meta_at as u32,
            meta_len: self.meta.len() as u32,
        };
        let mut file = header.emit().to_vec();
        self.tensors.iter().for_each(|tensor| file.extend(tensor.emit()));
        file.resize(ports_at, 0);
        file.extend(port_records);
        file.resize(steps_at, 0);
        self.steps.iter().for_each(|step| file.extend(step.emit()));
        file.resize(consts_at, 0);
        file.extend(&self.consts);
        file.resize(names_at, 0);
        file.extend(names.bytes());
        file.resize(meta_at, 0);
        file.extend(&self.meta);
        seal(&mut file);
        file
    }
}

/// Convolution, convolution with a residual in place, maximum pool, strided convolution, add, average pool, linear.
pub fn residual_net() -> Vec<u8> {
    let mut random = Random(1);
    let mut net = Writer::default();
    let input = net.tensor([5, 6, 3], 0.5, -3);
    let x = net.tensor([5, 6, 10], 0.25, -128);
    let y = net.tensor([5, 6, 10], 0.25, 4);
    let sum = net.alias(x, 0.25, -100);
    let pooled = net.tensor([3, 3, 10], 0.25, -100);
    let narrow = net.tensor([3, 3, 10], 0.5, 7);
    let added = net.tensor([3, 3, 10], 0.5, 0);
    let mean = net.tensor([1, 1, 10], 0.5, 1);
    let logits = net.tensor([1, 1, 4], 1.0, -2);

    let conv = |net: &mut Writer, matrix: &Matrix, step: ConvStep| {
        let [weights, params] = net.matrix(matrix);
        net.steps.push(Step::from(ConvStep { weights, params, ..step }));
    };
    let same = ConvStep {
        input,
        output: x,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
        weights: 0,
        params: 0,
        min: -128,
        max: 127,
        residual: None,
        groups: None,
    };
    conv(&mut net, &Matrix::random(&mut random, 10, 9, 3, 41), same);
    conv(&mut net, &Matrix::random(&mut random, 10, 9, 10, 42), ConvStep { input: x, output: y, min: -100, ..same });
    let residual = Some((-128, 3000));
    let fused = Matrix::random(&mut random, 10, 9, 10, 30);
    conv(&mut net, &fused, ConvStep { input: y, output: sum, min: -100, residual, ..same });
    net.steps.push(Step::from(PoolStep {
        input: sum,
        output: pooled,
        kernel: [3, 3],
        stride: [2, 2],
        pad: [1, 1],
        average: None,
        min: -128,
        max: 127,
    }));
    let strided = ConvStep { input: y, output: narrow, stride: [2, 2], dilation: [1, 2], pad: [1, 2], max: 90, ..same };
    conv(&mut net, &Matrix::random(&mut random, 10, 9, 10, 42), strided);
    net.steps.push(Step::from(AddStep {
        combine: Combine::Sum,
        a: pooled,
        b: narrow,
        output: added,
        multipliers: [2048, 4096],
        min: -120,
        max: 120,
    }));
    net.steps.push(Step::from(PoolStep {
        input: added,
        output: mean,
        kernel: [3, 3],
        stride: [1, 1],
        pad: [0, 0],
        average: Some(Divisor::All(1_908_874_354, 34)),
        min: -128,
        max: 127,
    }));
    let [weights, params] = net.matrix(&Matrix::random(&mut random, 4, 1, 10, 38));
    net.steps.push(Step::from(LinearStep { input: mean, output: logits, weights, params, min: -120, max: 110 }));
    net.finish(input, logits, 1)
}

/// Weights of a GRU layer, gates z, r, n.
pub fn gru_layer(random: &mut Random, hidden: usize, inputs: usize) -> [Matrix; 2] {
    [inputs, hidden].map(|inputs| {
        let gate = |random: &mut Random| Matrix::random(random, hidden, 1, inputs, 33);
        Matrix::gates([gate(random), gate(random), gate(random)])
    })
}

/// Two GRU layers, one of each kind of reset, and a linear head.
pub fn gru_net() -> Vec<u8> {
    let mut random = Random(2);
    let mut net = Writer::default();
    let input = net.tensor([1, 1, 5], 0.5, -3);
    let mut below = input;
    for (hidden, inputs, reset_after) in [(10, 5, true), (9, 10, false)] {
        let output = net.tensor([1, 1, hidden], 1.0 / 128.0, 0);
        let state = net.state(hidden);
        let [w, u] = gru_layer(&mut random, hidden as usize, inputs);
        let [input_weights, input_params] = net.matrix(&w);
        let [state_weights, state_params] = net.matrix(&u);
        net.steps.push(Step::from(GruStep {
            input: below,
            output,
            state,
            hidden,
            reset_after,
            input_weights,
            input_params,
            state_weights,
            state_params,
        }));
        below = output;
    }
    let logits = net.tensor([1, 1, 3], 1.0, 5);
    let [weights, params] = net.matrix(&Matrix::random(&mut random, 3, 1, 9, 40));
    net.steps.push(Step::from(LinearStep { input: below, output: logits, weights, params, min: -128, max: 127 }));
    net.finish(input, logits, 8)
}
