//! What the conversion cost, measured by running the file that was written: the real runtime, on the host.

use escarp_runtime::{
    Cpu, Dtype, Meaning, Model, Port, Session, Tensor,
    frontend::{quantize, quantize_wide},
    ops::Step,
};
use rayon::prelude::*;

use crate::{
    error::Error,
    eval::{Evaluator, share},
    graph::Graph,
    oracle::FloatRunner,
    plan::Plan,
    qgraph::QNode,
    samples::Samples,
    scale::narrow,
    shape::show_shape,
};

/// One sample's answers: of the first output.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Which sample.
    pub index: usize,
    /// Its class, if known.
    pub label: Option<usize>,
    /// Outputs of the original ONNX in f32.
    pub float: Vec<f32>,
    /// Outputs of the int8 file, as real numbers, any final softmax or sigmoid left off.
    pub int8: Vec<f32>,
    /// The class the float network chooses.
    pub float_top: usize,
    /// The class the int8 network chooses.
    pub int8_top: usize,
}

/// All answers, counted.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// Samples.
    pub total: usize,
    /// Samples with a known class.
    pub labelled: usize,
    /// Float right.
    pub float_correct: usize,
    /// int8 right.
    pub int8_correct: usize,
    /// Same choice.
    pub agree: usize,
    /// One for each sample, in order, of a network that decides between classes.
    pub answers: Vec<Answer>,
    /// One for each output.
    pub outputs: Vec<Lost>,
}

/// What an output lost.
#[derive(Clone, Debug)]
pub struct Lost {
    /// ONNX's name.
    pub name: String,
    /// `HxWxC`
    pub shape: String,
    /// `10 log10(sum float^2 / sum (float - int8)^2)` over all samples; infinite where nothing is lost.
    pub snr_db: f64,
    /// Mean of `|float - int8|`.
    pub mean: f64,
    /// Largest `|float - int8|`.
    pub most: f64,
}

impl Scores {
    /// `[class][chosen by int8]` over the labelled samples.
    pub fn confusion(&self, outputs: usize) -> Vec<Vec<usize>> {
        let mut table = vec![vec![0; outputs]; outputs];
        for a in &self.answers {
            if let Some(row) = a.label.and_then(|l| table.get_mut(l)) {
                row[a.int8_top] += 1;
            }
        }
        table
    }
}

/// The first of the largest; a single output chooses by its sign around `threshold`.
pub(crate) fn top(values: &[f32], threshold: f32) -> usize {
    match values {
        [one] => usize::from(*one > threshold),
        _ => values.iter().enumerate().fold(0, |best, (i, v)| if *v > values[best] { i } else { best }),
    }
}

/// A file that [`crate::pack::pack`] has checked, and memory for it.
pub(crate) fn open(file: &[u8]) -> Result<(Model<'_>, Vec<i8>), Error> {
    let model = Model::parse(file).map_err(|e| Error::Pack(format!("the runtime refuses the file: {e}")))?;
    let arena = vec![0; model.buffer_len()];
    Ok((model, arena))
}

/// Values of one step: of all inputs.
fn step_len(model: &Model) -> usize {
    model.inputs().map(|port| len(&port.tensor)).sum()
}

/// Gives a session one step of a sample: the values of all inputs, one after the other.
pub(crate) fn give(session: &mut Session, mut step: &[f32]) -> Result<(), Error> {
    let inputs = session.model().inputs();
    for (index, Port { tensor, .. }) in inputs.enumerate() {
        let (values, rest) = step.split_at(len(&tensor));
        let failed = |e| Error::Pack(format!("running the file: {e}"));
        if tensor.dtype == Dtype::I16 {
            let values: Vec<i16> = values.iter().map(|&v| quantize_wide(v, tensor.scale)).collect();
            session.set_input(index, &values).map_err(failed)?;
        } else {
            let values: Vec<i8> = values.iter().map(|&v| quantize(v, tensor.scale, tensor.zero_point)).collect();
            session.set_input(index, &values).map_err(failed)?;
        }
        step = rest;
    }
    Ok(())
}

/// What a session's output says, in real numbers.
fn taken(session: &Session, index: usize) -> Result<Vec<f32>, Error> {
    let failed = |e| Error::Pack(format!("running the file: {e}"));
    let tensor =
        session.model().outputs().at(index).ok_or_else(|| Error::Pack(format!("there is no output {index}")))?.tensor;
    let real = |q: f32| tensor.scale * (q - f32::from(tensor.zero_point));
    Ok(match tensor.dtype {
        Dtype::I8 => session.output::<i8>(index).map_err(failed)?.iter().map(|&q| real(q.into())).collect(),
        Dtype::I16 => session.output::<i16>(index).map_err(failed)?.iter().map(|&q| real(q.into())).collect(),
        Dtype::I32 => session.output::<i32>(index).map_err(failed)?.iter().map(|&q| real(q as f32)).collect(),
    })
}

/// Values of a tensor: the loader has bounded the arena, and with it every tensor.
fn len(tensor: &Tensor) -> usize {
    usize::try_from(tensor.elements()).unwrap_or(usize::MAX)
}

pub(crate) fn failed(e: escarp_runtime::Error) -> Error {
    Error::Pack(format!("running the file: {e}"))
}

/// What a file answers to one sample, in real numbers: all outputs, `[height][width][channel]`, after the last step.
///
/// # Errors
/// [`Error::Pack`] if the runtime refuses the file, [`Error::Samples`] if the sample has another length.
pub fn answer(file: &[u8], sample: &[f32], cpu: Cpu) -> Result<Vec<Vec<f32>>, Error> {
    let (model, mut arena) = open(file)?;
    let mut session = Session::new(&model, &mut arena, cpu).map_err(failed)?;
    let needed = step_len(&model);
    if sample.is_empty() || !sample.len().is_multiple_of(needed.max(1)) {
        return Err(Error::Samples(format!("a sample of {} values; needed: steps of {needed}", sample.len())));
    }
    for step in sample.chunks_exact(needed) {
        give(&mut session, step)?;
        session.infer().map_err(failed)?;
    }
    (0..model.outputs().len()).map(|at| taken(&session, at)).collect()
}

/// What a file answers to samples, in real numbers: `[sample][output]`.
///
/// # Errors
/// As [`answer`].
pub(crate) fn answers(
    file: &[u8],
    samples: &dyn Samples,
    picks: &[usize],
    cpu: Cpu,
) -> Result<Vec<Vec<Vec<f32>>>, Error> {
    let share = picks.len().div_ceil(rayon::current_num_threads() * 8).max(1);
    let parts = picks.par_chunks(share).map(|picks| {
        let (model, mut arena) = open(file)?;
        let mut session = Session::new(&model, &mut arena, cpu).map_err(failed)?;
        let mut all = vec![];
        for &index in picks {
            session.reset();
            for step in samples.get(index)?.chunks_exact(step_len(&model)) {
                give(&mut session, step)?;
                session.infer().map_err(failed)?;
            }
            let outputs = (0..model.outputs().len()).map(|at| taken(&session, at));
            all.push(outputs.collect::<Result<Vec<_>, Error>>()?);
        }
        Ok(all)
    });
    Ok(parts.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect())
}

/// Runs float and int8 on every pick, on all cores. `done` is called after each sample.
///
/// # Errors
/// [`Error::Samples`] for a sample that cannot be read or a label beyond the outputs, [`Error::Oracle`] if tract fails.
pub fn measure(
    file: &[u8],
    float: &FloatRunner,
    samples: &dyn Samples,
    picks: &[usize],
    cpu: Cpu,
    done: &(dyn Fn() + Sync),
) -> Result<Scores, Error> {
    let share = picks.len().div_ceil(rayon::current_num_threads() * 8).max(1);
    let parts: Vec<(Vec<Answer>, Vec<Sums>)> = picks
        .par_chunks(share)
        .map(|picks| {
            let (model, mut arena) = open(file)?;
            let mut session = Session::new(&model, &mut arena, cpu).map_err(failed)?;
            let width = len(&model.output());
            let decides = model.outputs().len() == 1 && model.output().pixels() == 1;
            let (mut answers, mut sums) = (vec![], vec![Sums::default(); model.outputs().len()]);
            for &index in picks {
                let sample = samples.get(index)?;
                let label = samples.label(index);
                if let Some(label) = label.filter(|&l| l >= width.max(2)) {
                    let name = samples.name(index);
                    return Err(Error::Labels(format!("{name}: class {label}; the network has {width} outputs")));
                }
                let expected = float.run_all(&sample)?;
                session.reset();
                for step in sample.chunks_exact(step_len(&model)) {
                    give(&mut session, step)?;
                    session.infer().map_err(failed)?;
                }
                done();
                for (at, (expected, sums)) in expected.iter().zip(&mut sums).enumerate() {
                    let int8 = float.as_original(at, &taken(&session, at)?);
                    expected.iter().zip(int8).for_each(|(&f, q)| sums.add(f, q.into()));
                }
                if !decides {
                    continue;
                }
                let (expected, int8) = (expected.into_iter().next().unwrap_or_default(), taken(&session, 0)?);
                // A sigmoid that was taken off: its half is its logit's 0.
                let int8_half = if model.meaning() == Meaning::Probabilities { 0.5 } else { 0.0 };
                let (float_top, int8_top) = (top(&expected, float.half()), top(&int8, int8_half));
                answers.push(Answer { index, label, float: expected, int8, float_top, int8_top });
            }
            Ok((answers, sums))
        })
        .collect::<Result<_, Error>>()?;
    let (model, _) = open(file)?;
    let mut sums = vec![Sums::default(); model.outputs().len()];
    parts.iter().for_each(|(_, part)| sums.iter_mut().zip(part).for_each(|(sum, part)| sum.join(part)));
    let lost = |(port, sums): (Port, Sums)| Lost {
        name: port.name.into(),
        shape: show_shape([port.tensor.height, port.tensor.width, port.tensor.channels].map(usize::from)),
        snr_db: sums.snr_db(),
        mean: sums.absolute / (sums.count as f64).max(1.0),
        most: sums.most,
    };
    let outputs = model.outputs().zip(sums).map(lost).collect();
    let answers: Vec<Answer> = parts.into_iter().flat_map(|(answers, _)| answers).collect();
    let count = |f: &dyn Fn(&Answer) -> bool| answers.iter().filter(|a| f(a)).count();
    Ok(Scores {
        total: picks.len(),
        labelled: count(&|a| a.label.is_some()),
        float_correct: count(&|a| a.label == Some(a.float_top)),
        int8_correct: count(&|a| a.label == Some(a.int8_top)),
        agree: count(&|a| a.float_top == a.int8_top),
        answers,
        outputs,
    })
}

/// How far a layer's int8 output is from its float output.
#[derive(Clone, Debug)]
pub struct Layer {
    /// ONNX name of the node.
    pub name: String,
    /// ONNX operators it stands for.
    pub operator: String,
    /// `HxWxC` of its output.
    pub shape: String,
    /// `10 log10(sum float^2 / sum (float - int8)^2)`; infinite where nothing is lost.
    pub snr_db: f64,
}

/// Compares every step's output with the float graph's, all errors before it included.
///
/// # Errors
/// As [`measure`].
pub fn layers(
    file: &[u8],
    graph: &Graph,
    plan: &Plan,
    samples: &dyn Samples,
    picks: &[usize],
    cpu: Cpu,
) -> Result<Vec<Layer>, Error> {
    let nodes = &plan.graph.nodes;
    let start = || vec![Sums::default(); nodes.len()];
    let parts: Vec<Vec<Sums>> = picks
        .par_chunks(share(graph, picks.len(), 4))
        .map(|picks| {
            let (model, mut arena) = open(file)?;
            let mut session = Session::new(&model, &mut arena, cpu).map_err(failed)?;
            let (mut evaluator, mut sums) = (Evaluator::new(graph), start());
            for &index in picks {
                let sample = samples.get(index)?;
                let mut floats: Vec<Vec<f32>> = vec![];
                evaluator.run(&sample, |id, values| {
                    // The inputs are seen once a step, before the nodes.
                    if !graph.is_input(id) {
                        floats.push(values.to_vec());
                    }
                });
                session.reset();
                for (step, floats) in sample.chunks_exact(graph.step_len()).zip(floats.chunks(nodes.len())) {
                    give(&mut session, step)?;
                    let see = |at: usize, step: &Step, stored: &[i8]| {
                        // Of several steps that make an output together, the last one has it whole.
                        let node = plan.nodes[at];
                        let last = plan.nodes.get(at + 1) != Some(&node);
                        if let Some(tensor) = model.tensor(step.output()).filter(|_| last) {
                            sums[node].tensor(&floats[node], stored, &tensor);
                        }
                    };
                    session.infer_traced(see).map_err(failed)?;
                }
            }
            Ok(sums)
        })
        .collect::<Result<_, Error>>()?;
    let mut total = start();
    parts.iter().for_each(|part| total.iter_mut().zip(part).for_each(|(total, part)| total.join(part)));
    let layer = |(node, sums): (&QNode, &Sums)| Layer {
        name: node.name.clone(),
        operator: node.operator.clone(),
        shape: show_shape(graph.shape(node.output)),
        snr_db: sums.snr_db(),
    };
    Ok(nodes.iter().zip(&total).map(layer).collect())
}

/// What a tensor holds, without the padding channels behind each pixel.
pub(crate) fn reals(stored: &[i8], tensor: &Tensor) -> Vec<f32> {
    let (channels, padded) = (usize::from(tensor.channels), tensor.padded_channels());
    let pixels = numbers(stored, tensor.dtype);
    let real = |q: &f64| narrow(f64::from(tensor.scale) * (q - f64::from(tensor.zero_point)));
    pixels.chunks_exact(padded).flat_map(|pixel| pixel[..channels].iter().map(real)).collect()
}

/// Stored numbers of that type.
fn numbers(stored: &[i8], dtype: Dtype) -> Vec<f64> {
    let bytes: Vec<u8> = stored.iter().map(|q| q.cast_unsigned()).collect();
    match dtype {
        Dtype::I8 => stored.iter().map(|&q| q.into()).collect(),
        Dtype::I16 => bytes.as_chunks().0.iter().map(|&b| i16::from_ne_bytes(b).into()).collect(),
        Dtype::I32 => bytes.as_chunks().0.iter().map(|&b| i32::from_ne_bytes(b).into()).collect(),
    }
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Sums {
    signal: f64,
    pub(crate) noise: f64,
    absolute: f64,
    pub(crate) most: f64,
    pub(crate) count: u64,
}

impl Sums {
    /// A tensor's values; `stored` are the bytes of its own, with padding channels behind each pixel.
    fn tensor(&mut self, float: &[f32], stored: &[i8], tensor: &Tensor) {
        let (channels, padded) = (usize::from(tensor.channels), tensor.padded_channels());
        for (float, stored) in float.chunks_exact(channels).zip(numbers(stored, tensor.dtype).chunks_exact(padded)) {
            for (&f, q) in float.iter().zip(stored) {
                self.add(f, f64::from(tensor.scale) * (q - f64::from(tensor.zero_point)));
            }
        }
    }

    pub(crate) fn add(&mut self, float: f32, other: f64) {
        let error = f64::from(float) - other;
        self.signal += f64::from(float).powi(2);
        self.noise += error * error;
        self.absolute += error.abs();
        self.most = self.most.max(error.abs());
        self.count += 1;
    }

    pub(crate) fn join(&mut self, other: &Sums) {
        self.signal += other.signal;
        self.noise += other.noise;
        self.absolute += other.absolute;
        self.most = self.most.max(other.most);
        self.count += other.count;
    }

    pub(crate) fn snr_db(&self) -> f64 {
        10.0 * (self.signal / self.noise).log10()
    }
}
