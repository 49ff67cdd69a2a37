//! Which network: presets, TOML files, and the flags that change a preset.

use std::{fmt::Write, path::Path};

use clap::{Args, builder::PossibleValuesParser};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{usage, within};
use crate::{
    error::TrainError,
    nets::{
        HIDDEN, LAYERS, LayerSpec, Net, NetFile, Shape, WIDTHS, ending,
        presets::{PRESETS, Preset},
    },
};

/// `--net`.
#[derive(Args)]
pub(super) struct NetFlag {
    /// Network: a TOML file of layers, or a preset; `escarp-train nets` lists them.
    #[arg(long, value_name = "FILE.toml|NAME")]
    net: Option<String>,
}

/// `--net` and what changes a recurrent preset.
#[derive(Args)]
pub(super) struct RecurrentFlags {
    #[command(flatten)]
    net: NetFlag,
    /// Numbers in a recurrent layer's state; without it 128 for sound, 48 for motion, the preset's own for text.
    #[arg(long)]
    hidden: Option<usize>,
    /// Recurrent layers on top of each other.
    #[arg(long)]
    layers: Option<usize>,
}

/// The presets that take images.
pub(super) fn image_presets() -> PossibleValuesParser {
    PossibleValuesParser::new(PRESETS.iter().filter(|p| matches!(p.net().input, Some(Shape::Map(_)))).map(|p| p.name))
}

impl NetFlag {
    /// The named net, and whether it is a preset; `default` if none is named.
    fn read(&self, default: &str) -> Result<(NetFile, bool), TrainError> {
        let name = self.net.as_deref().unwrap_or(default);
        if let Some(preset) = Preset::find(name) {
            return Ok((preset.net(), true));
        }
        let text = std::fs::read_to_string(Path::new(name)).map_err(|e| {
            usage("--net", format!("{name} is no preset, and as a file: {e}; escarp-train nets lists the presets"))
        })?;
        let net = NetFile::parse(name, &text)?;
        ending::check(&net.layers).map_err(|e| usage("--net", format!("{name}: {e}")))?;
        Ok((net, false))
    }

    /// The layers of `--net` or, without it, of the preset `model`, `width` wide.
    pub fn image(&self, model: Option<&str>, width: Option<usize>) -> Result<Vec<LayerSpec>, TrainError> {
        if self.net.is_some() && model.is_some() {
            return Err(usage("--net", "says which network; leave out --model"));
        }
        let (mut net, preset) = self.read(model.unwrap_or("resnet8"))?;
        expect(&net, "images, which are maps", |shape| matches!(shape, Shape::Map(_)))?;
        if let Some(width) = width {
            within("--width", width, WIDTHS)?;
            of_presets("--width", preset)?;
            net.widen(width);
        }
        Ok(net.layers)
    }
}

impl RecurrentFlags {
    /// The layers of `--net` or, without it, of the GRU; presets with states of `hidden` numbers.
    pub fn sequence(&self, hidden: usize) -> Result<Vec<LayerSpec>, TrainError> {
        let sequence = |shape| matches!(shape, Shape::Sequence(_));
        self.read("gru", Some(hidden), "sequences", sequence).map(|net| net.layers)
    }

    /// The layers of `--net` or, without it, of the LSTM for sentiments, and whether they were drawn for one number.
    pub fn tokens(&self) -> Result<(Vec<LayerSpec>, bool), TrainError> {
        let net =
            self.read("sentiment-lstm", None, "texts, which are tokens", |shape| matches!(shape, Shape::Tokens(_)))?;
        Ok((net.layers, net.classes == Some(1)))
    }

    /// The net, changed by the flags; `hidden` is what a preset gets without one.
    fn read(
        &self,
        default: &str,
        hidden: Option<usize>,
        data: &str,
        fits: impl Fn(Shape) -> bool,
    ) -> Result<NetFile, TrainError> {
        let (mut net, preset) = self.net.read(default)?;
        expect(&net, data, fits)?;
        for (flag, typed, allowed) in [("--hidden", self.hidden, HIDDEN), ("--layers", self.layers, LAYERS)] {
            if let Some(value) = typed {
                within(flag, value, allowed)?;
                of_presets(flag, preset)?;
            }
        }
        if let (true, Some(hidden)) = (preset, self.hidden.or(hidden)) {
            net.set_hidden(hidden);
        }
        if let Some(layers) = self.layers {
            net.stack(layers);
        }
        Ok(net)
    }
}

/// A file says itself what these flags say of a preset.
fn of_presets(flag: &'static str, preset: bool) -> Result<(), TrainError> {
    if preset { Ok(()) } else { Err(usage(flag, "changes presets only; edit the file of --net")) }
}

/// Refuses a net that was drawn for something else than the data.
fn expect(net: &NetFile, data: &str, fits: impl Fn(Shape) -> bool) -> Result<(), TrainError> {
    match net.input {
        Some(shape) if !fits(shape) => Err(usage("--net", format!("takes {shape}; the data are {data}"))),
        _ => Ok(()),
    }
}

/// What `escarp-train nets` prints: a table of the presets, or the file of one.
pub(super) fn text(name: Option<&str>) -> Result<String, TrainError> {
    if let Some(name) = name {
        let preset = Preset::find(name);
        return preset.map(|p| p.text.to_owned()).ok_or_else(|| {
            let names: Vec<&str> = PRESETS.iter().map(|p| p.name).collect();
            usage("nets", format!("no preset `{name}`; there are {}", names.join(", ")))
        });
    }
    let mut table = format!("{:<16} {:>12}  for\n", "preset", "parameters");
    for preset in PRESETS {
        let net = preset.net();
        let arch = net.arch().expect("presets say what they are for, tested");
        let mut built = Net::<f32>::new(&arch, &mut ChaCha8Rng::seed_from_u64(0))?;
        let count: usize = built.parameters().iter().map(|p| p.value.len()).sum();
        let classes = arch.classes;
        writeln!(
            table,
            "{:<16} {count:>12}  {}; counted for {} and {classes} classes",
            preset.name, net.about, arch.input
        )
        .expect("strings take all");
    }
    Ok(table)
}
