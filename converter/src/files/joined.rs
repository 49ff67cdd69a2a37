//! Samples of several inputs, each from a place of its own.

use crate::{error::Error, files::Source, graph::Graph, samples::Samples};

/// The first sample of each input goes with the first of the others, and so on.
pub struct Joined {
    /// In the order of the inputs, and never none.
    parts: Vec<Source>,
    /// Values of one step of each.
    lens: Vec<usize>,
    steps: usize,
}

impl Joined {
    /// Joins the sources of a network's inputs.
    ///
    /// # Errors
    /// [`Error::Samples`] if one holds another number of samples than the first, or files of other names: whichever do not belong
    /// together would calibrate, and answer, nonsense.
    pub(super) fn new(parts: Vec<Source>, graph: &Graph) -> Result<Self, Error> {
        let names: Vec<&str> = graph.inputs.iter().map(|input| &*graph.tensors[input.tensor].name).collect();
        let first = parts.first().ok_or_else(|| Error::Samples("no input".into()))?;
        for (part, name) in parts.iter().zip(&names) {
            let (all, these) = (first.samples().len(), part.samples().len());
            if all != these {
                return Err(Error::Samples(format!(
                    "input `{}` has {all} samples, input `{name}` {these}; the first goes with the first, so there must be as many",
                    names[0]
                )));
            }
            let (Source::Folder(a), Source::Folder(b)) = (first, part) else { continue };
            if let Some(at) = (0..all).find(|&at| a.stem(at) != b.stem(at)) {
                return Err(Error::Samples(format!(
                    "{} for input `{}` would go with {} for input `{name}`; files that go together have the same name",
                    a.name(at),
                    names[0],
                    b.name(at)
                )));
            }
        }
        let lens = graph.inputs.iter().map(|input| graph.len(input.tensor)).collect();
        Ok(Joined { parts, lens, steps: graph.steps })
    }

    /// The source of the first input.
    pub(super) fn first(&self) -> &Source {
        &self.parts[0]
    }

    /// As [`Joined::first`].
    pub(super) fn first_mut(&mut self) -> &mut Source {
        &mut self.parts[0]
    }
}

impl Samples for Joined {
    fn len(&self) -> usize {
        self.first().samples().len()
    }

    /// `[steps][input][height][width][channel]`
    fn get(&self, index: usize) -> Result<Vec<f32>, Error> {
        let parts: Vec<Vec<f32>> = self.parts.iter().map(|part| part.samples().get(index)).collect::<Result<_, _>>()?;
        let of_step = |step: usize| {
            let of_input = move |(part, &len): (&'_ Vec<f32>, &usize)| part[step * len..][..len].to_vec();
            parts.iter().zip(&self.lens).flat_map(of_input)
        };
        Ok((0..self.steps).flat_map(of_step).collect())
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.first().samples().label(index)
    }

    fn name(&self, index: usize) -> String {
        self.first().samples().name(index)
    }
}
