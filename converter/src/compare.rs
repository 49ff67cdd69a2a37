//! Two model files side by side: what each takes, each step's numbers, and on samples what each answers.

mod html;
mod terminal;

use escarp_runtime::{Cpu, Dtype, Model, Tensor, meta::Accuracy};

use crate::{
    error::Error,
    front_end,
    graph::{self, Graph, Input, Output},
    measure::{Sums, answers, open, top},
    metadata::Metadata,
    samples::Samples,
    shape::{Shape, show_shape},
    view::{Axis, View},
};

/// A step of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The runtime's name of it.
    pub step: String,
    /// `HxWxC` of its output.
    pub shape: String,
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Real value of one unit.
    pub scale: f32,
    /// The smallest and the largest value.
    pub range: [f32; 2],
}

/// What a file says of itself.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its path, for people.
    pub path: String,
    /// Name of the model.
    pub name: String,
    /// Facts with what they are called: sizes, memory, work; those of both sides are the same ones.
    pub facts: Vec<(&'static str, String)>,
    /// What was measured at its conversion, if it was.
    pub accuracy: Option<Accuracy>,
    /// Its steps.
    pub lines: Vec<Line>,
}

/// What both answer to the same samples.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Samples.
    pub total: usize,
    /// Samples with a known class.
    pub labelled: usize,
    /// Of these, each right.
    pub right: [usize; 2],
    /// Same choice; `None` if they do not decide between classes.
    pub agree: Option<usize>,
    /// For each output its name, signal to noise of the second against the first (dB), and the largest difference.
    pub outputs: Vec<(String, f64, f64)>,
}

/// Both.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The first and the second.
    pub sides: [Side; 2],
    /// For each line the steps' numbers in both files; `None` where one has no such step.
    pub rows: Vec<[Option<usize>; 2]>,
    /// What they answer, if samples were given.
    pub answers: Option<Answers>,
}

impl Compared {
    /// The terminal's table.
    pub fn terminal(&self) -> String {
        terminal::render(self)
    }

    /// The page: one file, no references to others.
    pub fn html(&self) -> String {
        html::render(self)
    }

    /// A row's steps.
    fn steps(&self, row: [Option<usize>; 2]) -> [Option<&Line>; 2] {
        [0, 1].map(|side| row[side].and_then(|at| self.sides[side].lines.get(at)))
    }

    /// Whether the two of a row differ.
    fn differs(&self, row: [Option<usize>; 2]) -> bool {
        let [a, b] = self.steps(row);
        a != b
    }
}

/// The ports of a file as a graph without nodes: what samples must look like.
pub fn ports(model: &Model) -> Graph {
    let mut graph = Graph {
        tensors: vec![],
        nodes: vec![],
        inputs: vec![],
        outputs: vec![],
        constants: vec![],
        steps: model.header().sequence.max(1).into(),
        metadata: Some(Metadata {
            front_end: front_end::stored(&model.front_end()),
            labels: model.labels().map(str::to_owned).collect(),
            ..Metadata::default()
        }),
        origins: vec![],
        changes: vec![],
        notes: vec![],
        doubts: vec![],
        folder: None,
        substitutes: vec![],
    };
    let mut add = |name: &str, shape: Shape, time: bool| {
        let tensor = graph.tensors.len();
        graph.tensors.push(graph::Tensor { name: name.into(), shape, grid: None, wide: false, fine: false });
        let first = if time { Some(Axis::Time) } else { None };
        let axes = [first, Some(Axis::Height), Some(Axis::Width), Some(Axis::Channel)];
        View::new(tensor, shape, graph.steps, &axes)
    };
    let several = model.header().sequence > 1;
    let inputs = model.inputs().map(|p| add(p.name, shape(&p.tensor), several));
    let inputs = inputs.map(|view| Input { tensor: view.tensor, view }).collect();
    let outputs = model.outputs().map(|p| Output {
        view: add(p.name, shape(&p.tensor), false),
        tensor: 0,
        name: p.name.into(),
        meaning: p.meaning,
        taken: graph::Meaning::Plain,
    });
    let outputs = outputs.map(|o| Output { tensor: o.view.tensor, ..o }).collect();
    (graph.inputs, graph.outputs) = (inputs, outputs);
    graph
}

fn shape(tensor: &Tensor) -> Shape {
    [tensor.height, tensor.width, tensor.channels].map(usize::from)
}

/// What a file says of itself.
///
/// # Errors
/// [`Error::Pack`] if it is no model file.
pub fn side(path: String, file: &[u8]) -> Result<Side, Error> {
    let (model, _) = open(file)?;
    let header = model.header();
    let count = |n: u64| crate::page::thousands(n);
    let of =
        |dtype: Dtype| model.steps().filter(|s| model.tensor(s.output()).is_some_and(|t| t.dtype == dtype)).count();
    let facts = vec![
        ("file, bytes", count(header.file_len.into())),
        ("constants, bytes", count(header.consts_len.into())),
        ("arena, bytes", count(header.arena_len.into())),
        ("states, bytes", count(header.state_len.into())),
        ("scratch, bytes", count(header.scratch_len.into())),
        ("multiply-accumulates a step", count(header.macs)),
        ("time steps a decision", header.sequence.to_string()),
        ("steps", header.steps.to_string()),
        ("of them int16", of(Dtype::I16).to_string()),
        ("front end", format!("{:?}", front_end::stored(&model.front_end()))),
        ("outputs' names", model.labels().count().to_string()),
        ("identity", format!("{:08x}", model.id())),
    ];
    let lines = model.steps().filter_map(|step| {
        let tensor = model.tensor(step.output())?;
        let real = |q: f32| tensor.scale * (q - f32::from(tensor.zero_point));
        let [low, high] = match tensor.dtype {
            Dtype::I8 => [f32::from(i8::MIN), f32::from(i8::MAX)],
            Dtype::I16 => [f32::from(i16::MIN), f32::from(i16::MAX)],
            Dtype::I32 => [0.0; 2],
        };
        let range = [real(low), real(high)];
        let (step, shape) = (step.name().to_owned(), show_shape(shape(&tensor)));
        Some(Line { step, shape, dtype: tensor.dtype, scale: tensor.scale, range })
    });
    Ok(Side {
        path,
        name: model.name().unwrap_or_default().into(),
        facts,
        accuracy: model.accuracy(),
        lines: lines.collect(),
    })
}

/// Puts two files beside each other; steps that stand alone in one of them stand alone in a row.
pub fn compare(sides: [Side; 2], answers: Option<Answers>) -> Compared {
    let rows = rows(&sides[0].lines, &sides[1].lines);
    Compared { sides, rows, answers }
}

/// Most steps of files whose longest common sequence is looked for: beyond it, by number.
const MOST: usize = 2048;

/// The longest common sequence of kinds and shapes; what lies between stands alone.
fn rows(a: &[Line], b: &[Line]) -> Vec<[Option<usize>; 2]> {
    let alike = |i: usize, j: usize| a[i].step == b[j].step && a[i].shape == b[j].shape;
    if a.len() == b.len() && (0..a.len()).all(|i| a[i].shape == b[i].shape) || a.len().max(b.len()) > MOST {
        let at = |i: usize, len: usize| (i < len).then_some(i);
        return (0..a.len().max(b.len())).map(|i| [at(i, a.len()), at(i, b.len())]).collect();
    }
    // longest[i][j]: of a[i..] and b[j..].
    let mut longest = vec![vec![0u16; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] =
                if alike(i, j) { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut rows) = (0, 0, vec![]);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && alike(i, j) {
            rows.push([Some(i), Some(j)]);
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && longest[i + 1][j] >= longest[i][j + 1] {
            rows.push([Some(i), None]);
            i += 1;
        } else {
            rows.push([None, Some(j)]);
            j += 1;
        }
    }
    rows
}

/// Runs both on the same samples, each through its own front end.
///
/// # Errors
/// [`Error::Samples`] if their outputs are not alike, or a sample cannot be read.
pub fn run(files: [&[u8]; 2], samples: [&dyn Samples; 2], picks: &[usize], cpu: Cpu) -> Result<Answers, Error> {
    let models = [open(files[0])?.0, open(files[1])?.0];
    let shapes = [0, 1].map(|at: usize| models[at].outputs().map(|p| shape(&p.tensor)).collect::<Vec<_>>());
    if shapes[0] != shapes[1] {
        let [a, b] = shapes.map(|s| s.into_iter().map(show_shape).collect::<Vec<_>>().join(", "));
        return Err(Error::Samples(format!("outputs of {a} and of {b} cannot be compared; leave --samples out")));
    }
    let made = [answers(files[0], samples[0], picks, cpu)?, answers(files[1], samples[1], picks, cpu)?];
    let decides = shapes[0].len() == 1 && shapes[0][0][0] * shapes[0][0][1] == 1;
    let mut sums = vec![Sums::default(); shapes[0].len()];
    let (mut agree, mut labelled, mut right) = (0, 0, [0; 2]);
    for (at, &index) in picks.iter().enumerate() {
        let both = [&made[0][at], &made[1][at]];
        for (output, sums) in sums.iter_mut().enumerate() {
            both[0][output].iter().zip(&both[1][output]).for_each(|(&a, &b)| sums.add(a, b.into()));
        }
        if !decides {
            continue;
        }
        let tops = [0, 1].map(|side: usize| {
            let half = if models[side].meaning() == graph::Meaning::Probabilities { 0.5 } else { 0.0 };
            top(&both[side][0], half)
        });
        agree += usize::from(tops[0] == tops[1]);
        if let Some(label) = samples[0].label(index) {
            labelled += 1;
            tops.iter().zip(&mut right).for_each(|(&top, right)| *right += usize::from(top == label));
        }
    }
    let names = models[0].outputs().map(|p| p.name.to_owned());
    let outputs = names.zip(&sums).map(|(name, sums)| (name, sums.snr_db(), sums.most)).collect();
    Ok(Answers { total: picks.len(), labelled, right, agree: decides.then_some(agree), outputs })
}

/// A ratio of nothing lost to nothing there has no number.
fn decibels(snr: f64) -> String {
    if snr.is_finite() { format!("{snr:.1} dB") } else { "the same".into() }
}

fn dtype(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::I8 => "int8",
        Dtype::I16 => "int16",
        Dtype::I32 => "int32",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_one_file_has_alone_stand_alone() {
        let line = |step: &str, shape: &str| Line {
            step: step.into(),
            shape: shape.into(),
            dtype: Dtype::I8,
            scale: 1.0,
            range: [0.0, 1.0],
        };
        let a = [line("conv", "4"), line("pool", "2"), line("linear", "1")];
        let b = [line("conv", "4"), line("scale", "4"), line("pool", "2"), line("linear", "1")];
        let expected = [[Some(0), Some(0)], [None, Some(1)], [Some(1), Some(2)], [Some(2), Some(3)]];
        assert_eq!(rows(&a, &b), expected);
        assert_eq!(rows(&b, &a), expected.map(|[a, b]| [b, a]));
        assert_eq!(rows(&a, &[]), [[Some(0), None], [Some(1), None], [Some(2), None]]);
        // Of the same shapes, step by step: another width may be another step.
        let wide = [line("conv", "4"), line("pool", "2"), line("conv", "1")];
        assert_eq!(rows(&a, &wide), [[Some(0), Some(0)], [Some(1), Some(1)], [Some(2), Some(2)]]);
    }
}
