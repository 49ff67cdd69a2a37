//! A model, its front end and a session: from a file's bytes to a decision.

use std::{io::Read, path::Path};

use escarp_media::{self as media, Content, InputReader, InputShape, Windows, visible};
use escarp_runtime::{
    Cpu, Dtype, Meaning, Model, Port, Session, Tensor,
    frontend::{FrontEnd, quantize_wide},
    meta::Tag,
};

use crate::Error;

/// Longest model file, bytes.
const MODEL_MAX: u64 = 1 << 30;
/// Longest input file, bytes.
const INPUT_MAX: u64 = 1 << 28;

/// The bytes of a model file.
///
/// # Errors
/// I/O, or a file beyond 1 GiB.
pub fn read_model(path: &Path) -> Result<Vec<u8>, Error> {
    Ok(media::read_file(path, MODEL_MAX)?)
}

/// The bytes of an input file; `-` is the standard input.
///
/// # Errors
/// I/O, or a file beyond 256 MiB.
pub fn read_input(name: &str) -> Result<Vec<u8>, Error> {
    if name != "-" {
        return Ok(media::read_file(Path::new(name), INPUT_MAX)?);
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(INPUT_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|e| media::Error::from(e).in_file("-"))?;
    if bytes.len() as u64 > INPUT_MAX {
        let error = media::Error::Limit { what: "input length in bytes", value: bytes.len() as u64, max: INPUT_MAX };
        return Err(error.in_file("-").into());
    }
    Ok(bytes)
}

/// What a model says about one input.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Which of the file's inputs: of an array, or the window of a recording.
    pub index: usize,
    /// How many the file has.
    pub count: usize,
    /// Where the inputs lie in the recording, if the file is one.
    pub windows: Option<Windows>,
    /// What the network gives, in its order.
    pub outputs: Vec<Given>,
}

/// An output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// As the model names it.
    pub name: String,
    /// `[height, width, channels]`
    pub shape: [u16; 3],
    /// Its numbers as they leave the session; the same on every machine.
    pub numbers: Vec<i32>,
    /// What they mean: probabilities if the model ends in a softmax or sigmoid there, else the values themselves.
    pub scores: Vec<f32>,
}

impl Decision {
    /// The scores of the classes, if the network decides between such: its one output is a vector.
    pub fn scores(&self) -> Option<&[f32]> {
        match &self.outputs[..] {
            [Given { shape: [1, 1, _], scores, .. }] => Some(scores),
            _ => None,
        }
    }

    /// The indices of the first output's values, best first; of equals the lower index first.
    pub fn ranking(&self) -> Vec<usize> {
        let numbers: &[i32] = self.outputs.first().map_or(&[], |output| &output.numbers);
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(numbers[i]));
        order
    }
}

/// What an input is given, all steps.
enum Numbers {
    Int8(Vec<i8>),
    Int16(Vec<i16>),
}

/// A session that reads files, one for each input of the model.
pub struct Runner<'m, 'a> {
    session: Session<'m, 'a>,
    /// In the order of the inputs.
    readers: Vec<(Tensor, InputReader<'m>)>,
}

impl<'m, 'a> Runner<'m, 'a> {
    /// Joins a model with its front end and its memory. The front end is the first input's; others take numbers as they are.
    ///
    /// # Errors
    /// [`Error::Ports`] for a model with an input that is neither int8 nor int16; [`Error::FrontEnd`] if the model's own settings do not fit
    /// its network; an arena that is too small.
    pub fn new(model: &Model<'m>, arena: &'a mut [i8], cpu: Cpu) -> Result<Runner<'m, 'a>, Error> {
        let columns: Vec<String> = model.columns().map(String::from).collect();
        let reader = |(index, port): (usize, Port<'m>)| {
            if port.tensor.dtype == Dtype::I32 {
                return Err(Error::Ports { names: visible(model.inputs()).to_string() });
            }
            let first = index == 0;
            let front_end = if first { front_end(model)? } else { FrontEnd::Raw };
            let reader = InputReader::new(front_end, input_shape(model, &port.tensor));
            let reader = reader.and_then(|reader| reader.with_columns(if first { &columns } else { &[] }));
            Ok((port.tensor, reader.map_err(Error::FrontEnd)?))
        };
        let readers = model.inputs().enumerate().map(reader).collect::<Result<_, Error>>()?;
        Ok(Runner { session: Session::new(model, arena, cpu)?, readers })
    }

    /// Decides on the content of `files`, a name and bytes for each input in the model's order, from a fresh state each time: an NPY
    /// array may hold several inputs along its first axis, and a recording that is longer than the network's input is decided on along
    /// its whole length, by the rule of [`Windows`]. `see` gets the decisions in their order, one at a time.
    ///
    /// # Errors
    /// [`Error::Input`] with the file's name if its content is not what the network takes; [`Error::Files`] if there are not as many
    /// files as inputs, or they hold unlike numbers of them; what `see` returns.
    pub fn decide(
        &mut self,
        files: &[(&str, &[u8])],
        mut see: impl FnMut(Decision) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if files.len() != self.readers.len() {
            let (given, inputs) = (files.len(), self.readers.len());
            return Err(Error::Files(format!("{given} files for {inputs} inputs")));
        }
        let each = files.iter().zip(&self.readers);
        let read = |(&(name, bytes), (_, reader)): (&(&str, &[u8]), &(Tensor, InputReader))| {
            reader.read(name, bytes).map_err(|e| e.in_file(name))
        };
        let contents: Vec<Content> = each.map(read).collect::<Result<_, _>>()?;
        let Some(first) = contents.first() else { return Ok(()) };
        let (count, windows) = (first.count(), first.windows().copied());
        if let Some(at) = contents.iter().position(|content| content.count() != count) {
            let held = |at: usize| format!("{} holds {}", files[at].0, contents[at].count());
            return Err(Error::Files(format!("{} inputs, {}", held(0), held(at))));
        }
        for index in 0..count {
            let inputs = contents.iter().zip(&self.readers).zip(files);
            let quantized =
                |((content, (tensor, reader)), (name, _)): ((&Content, &(Tensor, InputReader)), &(&str, _))| {
                    let Tensor { scale, zero_point, dtype, .. } = *tensor;
                    let numbers = match dtype {
                        Dtype::I8 => reader.quantized(content, index, scale, zero_point).map(Numbers::Int8),
                        _ => reader.floats(content, index).map(|values| {
                            Numbers::Int16(values.into_iter().map(|v| quantize_wide(v, scale)).collect())
                        }),
                    };
                    numbers.map_err(|e| e.in_file(name))
                };
            let inputs: Vec<Numbers> = inputs.map(quantized).collect::<Result<_, _>>()?;
            let outputs = self.decide_numbers(&inputs)?;
            see(Decision { index, count, windows, outputs })?;
        }
        Ok(())
    }

    /// From a fresh state; `inputs` are `[steps][height][width][channels]`, as the readers make them.
    fn decide_numbers(&mut self, inputs: &[Numbers]) -> Result<Vec<Given>, Error> {
        self.session.reset();
        let lens: Vec<usize> = self.readers.iter().map(|(tensor, _)| tensor.elements() as usize).collect();
        for step in 0..usize::from(self.session.model().sequence()) {
            for (index, (values, &len)) in inputs.iter().zip(&lens).enumerate() {
                match values {
                    Numbers::Int8(all) => self.session.set_input(index, all.chunks(len).nth(step).unwrap_or(&[]))?,
                    Numbers::Int16(all) => self.session.set_input(index, all.chunks(len).nth(step).unwrap_or(&[]))?,
                }
            }
            self.session.infer()?;
        }
        let ports = self.session.model().outputs();
        ports.enumerate().map(|(index, port)| self.given(index, &port)).collect()
    }

    fn given(&self, index: usize, port: &Port) -> Result<Given, Error> {
        let numbers: Vec<i32> = match port.tensor.dtype {
            Dtype::I8 => self.session.output::<i8>(index)?.iter().map(|&q| q.into()).collect(),
            Dtype::I16 => self.session.output::<i16>(index)?.iter().map(|&q| q.into()).collect(),
            Dtype::I32 => self.session.output::<i32>(index)?.to_vec(),
        };
        let scores = scores(&numbers, &port.tensor, port.meaning);
        Ok(Given { name: port.name.into(), shape: port.tensor.shape(), numbers, scores })
    }
}

/// The front end that the model file names; numbers as they are if it names none.
pub(crate) fn front_end<'m>(model: &Model<'m>) -> Result<FrontEnd<'m>, Error> {
    match model.meta(Tag::FrontEnd, 0) {
        None => Ok(FrontEnd::Raw),
        Some(entry) => FrontEnd::parse(entry).map_err(|e| Error::FrontEnd(e.into())),
    }
}

fn input_shape(model: &Model, input: &Tensor) -> InputShape {
    InputShape {
        steps: model.sequence().into(),
        height: input.height.into(),
        width: input.width.into(),
        channels: input.channels.into(),
    }
}

/// Dequantized outputs, through the function that the converter took off the network's end. `libm`'s exponential, so that
/// every machine prints the same digits.
fn scores(output: &[i32], tensor: &Tensor, meaning: Meaning) -> Vec<f32> {
    let value = |q: &i32| q.wrapping_sub(tensor.zero_point.into()) as f32 * tensor.scale;
    let values = output.iter().map(value);
    match meaning {
        Meaning::Plain | Meaning::Probabilities | Meaning::State => values.collect(),
        Meaning::Sigmoid => values.map(|v| 1.0 / (1.0 + libm::expf(-v))).collect(),
        Meaning::Softmax => {
            let largest = values.clone().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = values.map(|v| libm::expf(v - largest)).collect();
            let sum: f32 = powers.iter().sum();
            powers.into_iter().map(|p| p / sum).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: Tensor = Tensor {
        offset: 0,
        height: 1,
        width: 1,
        channels: 3,
        scale: 0.5,
        zero_point: -2,
        dtype: Dtype::I8,
        state: false,
    };

    #[test]
    fn scores_are_what_the_float_model_would_say() {
        assert_eq!(scores(&[-2, 0, -128], &OUTPUT, Meaning::Plain), [0.0, 1.0, -63.0]);
        let softmax = scores(&[-2, 0, 0], &OUTPUT, Meaning::Softmax);
        let e = std::f32::consts::E;
        for (got, expected) in softmax.iter().zip([1.0, e, e].map(|p| p / (1.0 + 2.0 * e))) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
        assert!((scores(&[-1], &OUTPUT, Meaning::Sigmoid)[0] - 0.622_459_3).abs() < 1e-6);
    }

    #[test]
    fn of_equals_the_first_wins() {
        let given =
            Given { name: "y".into(), shape: [1, 1, 4], numbers: vec![3, 7, -1, 7], scores: vec![0.25, 0.5, 0.0, 0.5] };
        let decision = Decision { index: 0, count: 1, windows: None, outputs: vec![given] };
        assert_eq!(decision.scores().map(<[f32]>::len), Some(4));
        assert_eq!(decision.ranking(), [1, 3, 0, 2]);
    }
}
