//! Nets that need no file of the user's: TOML files built into the program, and what flags change in them.

use super::{Arch, LayerSpec, NetFile, Shape};

/// A net with a name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// What `--net` takes.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal,)*) => {
        /// All of them, in the order in which they are listed.
        pub const PRESETS: &[Preset] =
            &[$(Preset { name: $name, text: include_str!(concat!("../../presets/", $name, ".toml")) }),*];
    };
}

presets! {
    "resnet8",
    "resnet14",
    "resnet20",
    "resnet32",
    "resnet56",
    "resnet110",
    "resnet18",
    "resnet34",
    "resnet50",
    "plain8",
    "plain14",
    "plain20",
    "plain32",
    "plain56",
    "plain110",
    "plain18",
    "plain34",
    "plain50",
    "mobilenet-small",
    "gru",
    "lstm",
    "rnn",
    "gru-tagger",
    "lstm-tagger",
    "rnn-tagger",
    "sentiment-lstm",
    "sentiment-gru",
}

impl Preset {
    /// The preset of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// What its file says.
    ///
    /// # Panics
    /// Never: a test reads all presets.
    pub fn net(&self) -> NetFile {
        NetFile::parse(self.name, self.text).unwrap_or_else(|e| panic!("{e}"))
    }
}

impl NetFile {
    /// Gives the first convolution `width` channels and all layers with channels as many times more or less; depthwise
    /// convolutions stay what they are.
    pub fn widen(&mut self, width: usize) {
        // A file may say 0, which is refused when the net is built.
        let first = self.layers.iter_mut().find_map(LayerSpec::channels_mut).map(|outputs| (*outputs).max(1));
        let Some(first) = first else { return };
        let wide = |channels: usize| (channels * width / first).max(1);
        for layer in &mut self.layers {
            if let LayerSpec::Convolution(layer) = layer
                && layer.groups > 1
                && layer.groups == layer.outputs
            {
                layer.groups = wide(layer.groups);
            }
            if let Some(outputs) = layer.channels_mut() {
                *outputs = wide(*outputs);
            }
        }
    }

    /// Gives every recurrent layer a state of `hidden` numbers.
    pub fn set_hidden(&mut self, hidden: usize) {
        self.layers.iter_mut().filter_map(LayerSpec::recurrent_mut).for_each(|keys| *keys.hidden = hidden);
    }

    /// Puts `count` copies of the first recurrent layer in its place, named by their number; all but the last hand
    /// every state on.
    pub fn stack(&mut self, count: usize) {
        let Some(at) = self.layers.iter_mut().position(|layer| layer.recurrent_mut().is_some()) else { return };
        let copies: Vec<LayerSpec> = (1..=count)
            .map(|i| {
                let mut copy = self.layers[at].clone();
                if let Some(keys) = copy.recurrent_mut() {
                    if let Some(name) = keys.name {
                        *name = format!("{}{i}", name.trim_end_matches(|c: char| c.is_ascii_digit()));
                    }
                    *keys.every_step |= i < count;
                }
                copy
            })
            .collect();
        self.layers.splice(at..=at, copies);
    }
}

fn preset(name: &str) -> NetFile {
    Preset::find(name).expect("built in").net()
}

impl Arch {
    /// ResNet-8's preset with `blocks` in a stage (1, 2, 3 make ResNet-8, -14, -20) and `width` channels in the first.
    /// `input` is height, width, channels.
    pub fn resnet(blocks: usize, width: usize, input: [usize; 3], classes: usize) -> Self {
        let mut net = preset("resnet8");
        net.widen(width);
        for layer in &mut net.layers {
            if let LayerSpec::Residual(stage) = layer {
                stage.blocks = blocks;
            }
        }
        Self { input: Shape::Map(input), classes, layers: net.layers }
    }

    /// The GRU's preset with `layers` of `hidden` numbers each.
    pub fn gru(inputs: usize, hidden: usize, layers: usize, frames: usize, classes: usize) -> Self {
        let mut net = preset("gru");
        net.set_hidden(hidden);
        net.stack(layers);
        Self { input: Shape::Sequence([frames, inputs]), classes, layers: net.layers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layers::init::Init, nets::Net};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_file_is_a_preset_and_can_be_built() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/presets");
        let mut files: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        let mut names: Vec<String> = PRESETS.iter().map(|p| format!("{}.toml", p.name)).collect();
        files.sort();
        names.sort();
        assert_eq!(files, names);
        for preset in PRESETS {
            let net = preset.net();
            assert!(!net.about.is_empty(), "{}", preset.name);
            let arch = net.arch().unwrap_or_else(|| panic!("{} says what it was drawn for", preset.name));
            Net::<f32>::new(&arch, &mut ChaCha8Rng::seed_from_u64(0))
                .unwrap_or_else(|e| panic!("{}: {e}", preset.name));
        }
    }

    /// They end in ReLUs: the default would lose the signal.
    #[test]
    fn convolutions_say_that_they_start_he_normal() {
        for preset in PRESETS {
            for layer in preset.net().layers {
                let init = match layer {
                    LayerSpec::Convolution(layer) => layer.init,
                    LayerSpec::Residual(layer) => layer.init,
                    _ => continue,
                };
                assert_eq!(init, Some(Init::HeNormal), "{}", preset.name);
            }
        }
    }

    #[test]
    fn depths_are_what_names_say() {
        // Layers with weights on the longest way from input to output; projections are on the shorter one.
        for preset in PRESETS {
            let digits = preset.name.trim_start_matches("resnet").trim_start_matches("plain");
            let Ok(depth) = digits.parse::<usize>() else { continue };
            let layers = |layer: &LayerSpec| match layer {
                LayerSpec::Residual(r) => r.blocks * r.convolutions,
                LayerSpec::Convolution(_) | LayerSpec::Dense(_) => 1,
                _ => 0,
            };
            assert_eq!(preset.net().layers.iter().map(layers).sum::<usize>(), depth, "{}", preset.name);
        }
    }

    #[test]
    fn plain_nets_are_the_twins_of_residual_nets() {
        for preset in PRESETS.iter().filter(|p| p.name.starts_with("plain")) {
            let twin = Preset::find(&preset.name.replace("plain", "resnet")).expect("a twin").net();
            let mut net = preset.net();
            for layer in &mut net.layers {
                if let LayerSpec::Residual(r) = layer {
                    assert!(!r.shortcut);
                    r.shortcut = true;
                }
            }
            assert_eq!((net.layers, net.input), (twin.layers, twin.input), "{}", preset.name);
        }
    }

    #[test]
    fn mobile_nets_of_any_width_can_be_built() {
        let numbers = [1, 5, 16, 24].map(|width| {
            let mut net = preset("mobilenet-small");
            net.widen(width);
            let arch = net.arch().expect("input and classes");
            let mut net = Net::<f32>::new(&arch, &mut ChaCha8Rng::seed_from_u64(0)).expect("a sound net");
            net.parameters().iter().map(|p| p.value.len()).sum::<usize>()
        });
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!((100_000..300_000).contains(&numbers[2]), "{numbers:?}");
    }

    #[test]
    fn flags_change_presets() {
        let mut net = Preset::find("gru").expect("a preset").net();
        net.set_hidden(7);
        net.stack(2);
        assert_eq!(net.layers, Arch::gru(1, 7, 2, 1, 2).layers);
        let names: Vec<_> = net.layers.iter().map(|l| l.name().expect("a name")).collect();
        assert_eq!(names, ["gru1", "gru2", "head"]);
    }
}
