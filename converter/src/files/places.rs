//! Where the samples of each input lie.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{error::Error, graph::Graph};

/// Paths of samples, for a network of several inputs each with the input's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<(Option<String>, PathBuf)>);

impl From<&Path> for Places {
    fn from(path: &Path) -> Self {
        Places(vec![(None, path.to_owned())])
    }
}

/// `PATH`, or `INPUT=PATH,OTHER=PATH`. What exists under the whole text is a path.
impl FromStr for Places {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let named = |part: &str| {
            let (name, path) = part.split_once('=')?;
            Some((Some(name.trim().to_owned()), path.trim().into()))
        };
        let all: Option<Vec<_>> = text.split(',').map(named).collect();
        Ok(all.filter(|_| !Path::new(text).exists()).map_or_else(|| Path::new(text).into(), Places))
    }
}

impl Places {
    /// The paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(_, path)| &**path)
    }

    /// A path for each input of a network, in its order.
    ///
    /// # Errors
    /// [`Error::Samples`] if inputs are not named one by one; a network of one input needs no name.
    pub fn of(&self, graph: &Graph) -> Result<Vec<&Path>, Error> {
        let names: Vec<&str> = graph.inputs.iter().map(|input| &*graph.tensors[input.tensor].name).collect();
        if let ([(None, path)], [_]) = (&self.0[..], &names[..]) {
            return Ok(vec![path]);
        }
        let allowed = || names.iter().map(|name| format!("{name}=PATH")).collect::<Vec<_>>().join(",");
        let wrong = |what: String| Error::Samples(format!("{what}; the network takes {}", allowed()));
        for (name, path) in &self.0 {
            match name {
                None => return Err(wrong(format!("{}: samples for one input", path.display()))),
                Some(name) if !names.contains(&&**name) => return Err(wrong(format!("`{name}` is no input"))),
                Some(_) => {}
            }
        }
        let of = |name: &&str| {
            let mut given = self.0.iter().filter(|(given, _)| given.as_deref() == Some(*name)).map(|(_, path)| &**path);
            match (given.next(), given.next()) {
                (Some(path), None) => Ok(path),
                (None, _) => Err(wrong(format!("no samples for input `{name}`"))),
                (_, Some(_)) => Err(wrong(format!("samples for input `{name}` twice"))),
            }
        };
        names.iter().map(of).collect()
    }
}
