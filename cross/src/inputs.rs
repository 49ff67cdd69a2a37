//! Which files are the inputs of which decision.

use escarp_runtime::Model;

use crate::Error;

/// The files of each decision, in the order of the model's inputs. For one input each argument is a file; for several, each is
/// `INPUT=FILE`, and as many as there are inputs go together.
///
/// # Errors
/// [`Error::Arguments`] with the argument, and what is allowed.
pub fn groups<'f>(model: &Model, arguments: &'f [String]) -> Result<Vec<Vec<&'f str>>, Error> {
    let names: Vec<&str> = model.inputs().map(|port| port.name).collect();
    if names.len() == 1 {
        return Ok(arguments.iter().map(|file| vec![&file[..]]).collect());
    }
    let allowed = names.iter().map(|name| format!("{name}=FILE")).collect::<Vec<_>>().join(" ");
    let wrong = |what: String| Error::Arguments(format!("{what}; this model takes {allowed} for each decision"));
    let group = |arguments: &'f [String]| {
        let file = |name: &&str| {
            let of = |argument: &'f String| argument.strip_prefix(name)?.strip_prefix('=');
            let mut files = arguments.iter().filter_map(of);
            match (files.next(), files.next()) {
                (Some(file), None) => Ok(file),
                (None, _) => Err(wrong(format!("{}: no file for input {name}", arguments.join(" ")))),
                (_, Some(_)) => Err(wrong(format!("{}: two files for input {name}", arguments.join(" ")))),
            }
        };
        names.iter().map(file).collect()
    };
    arguments.chunks(names.len().max(1)).map(group).collect()
}
