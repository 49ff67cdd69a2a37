//! `escarp-convert compare A B`: two model files side by side.

use std::path::PathBuf;

use clap::Args;
use escarp_runtime::Model;

use super::{Failure, apart, read_model, say, write_all};
use crate::{
    compare::{compare, ports, run as answers, side},
    convert::Options,
    error::Error,
    files::{self, Places},
    samples::spread,
};

/// Shows two model files side by side: what they take, what differs, and on samples what they answer.
#[derive(Args)]
pub struct Order {
    /// A model file.
    first: PathBuf,
    /// Another one.
    second: PathBuf,
    /// Samples to run both on, each through its own front end; the labels of class folders are counted.
    #[arg(long, value_name = "DIR|TAR|NPY")]
    samples: Option<Places>,
    /// Most samples, spread evenly.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..), requires = "samples")]
    limit: u16,
    /// An HTML page to write.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// What is wrong with the order, a file or the samples.
pub fn run(order: &Order) -> Result<(), Failure> {
    let paths = [&order.first, &order.second];
    let samples = order.samples.iter().flat_map(Places::paths).map(|path| ("--samples", path.to_owned()));
    let inputs = [("the first model", order.first.clone()), ("the second model", order.second.clone())];
    apart(inputs.into_iter().chain(samples), order.report.iter().map(|path| ("--report", path.clone())))?;
    let read = [read_model(paths[0])?, read_model(paths[1])?];
    let of = |at: usize| move |e: Error| Failure::Of(paths[at].clone(), e.into());
    let sides = [0, 1].map(|at| side(paths[at].display().to_string(), &read[at]).map_err(of(at)));
    let [first, second] = sides;
    let sides = [first?, second?];
    let found = match &order.samples {
        None => None,
        Some(places) => {
            let opened = |at: usize| -> Result<_, Failure> {
                let model = Model::parse(&read[at]).map_err(|e| of(at)(Error::Pack(e.to_string())))?;
                let labels: Vec<String> = model.labels().map(str::to_owned).collect();
                Ok(files::open_places(places, &ports(&model), &labels)?)
            };
            let sources = [opened(0)?, opened(1)?];
            let [a, b] = [sources[0].samples(), sources[1].samples()];
            if a.len() != b.len() {
                return Err(Error::Samples(format!(
                    "{} samples for the first model, {} for the second",
                    a.len(),
                    b.len()
                ))
                .into());
            }
            let picks = spread(a, order.limit.into());
            Some(answers([&read[0], &read[1]], [a, b], &picks, Options::default().cpu)?)
        }
    };
    let compared = compare(sides, found);
    if let Some(path) = &order.report {
        write_all(&[(path, compared.html().into_bytes())])?;
    }
    say(compared.terminal())
}
