//! The heat strip: a net's gradient norms in one line, a character for each layer, from the input to the output.

use std::fmt::Write;

use super::{diagnose::number, record::Observation};

/// Layers shown; of more, neighbours share a cell.
const CELLS: usize = 60;

/// Decimal logarithms of the coldest and the hottest norm; what lies beyond looks like them.
pub const SCALE: (f64, f64) = (-8.0, 3.0);

/// Colours of the 256-colour terminal palette from cold to hot: blue, cyan, green, yellow, red.
const COLOURS: [u8; 11] = [17, 19, 26, 32, 37, 35, 70, 142, 178, 166, 160];

/// The same in characters.
const SHADES: [char; 11] = ['.', ':', '-', '~', '+', '=', 'o', 'x', '#', '%', '@'];

/// How the strip is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Coloured cells.
    Colour,
    /// Characters only.
    Plain,
}

impl Style {
    /// Colour on a terminal, unless the environment says `NO_COLOR` (no-color.org).
    pub fn of(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if terminal && !refused { Self::Colour } else { Self::Plain }
    }
}

/// `|g| of 6 layers [-~+=ox] 3.1e-6 to 0.20`; empty for an observation without gradients. `!` is a norm that is not
/// finite, a blank one that is zero.
pub fn strip(observation: &Observation, style: Style) -> String {
    let norms: Vec<f64> = observation.layers.iter().filter_map(|l| l.gradient_norm).collect();
    if norms.is_empty() {
        return String::new();
    }
    let cells = norms.len().min(CELLS);
    let mut out = format!("|g| of {} layers [", norms.len());
    for cell in 0..cells {
        let group = &norms[cell * norms.len() / cells..(cell + 1) * norms.len() / cells];
        // Writing to a String cannot fail.
        let _ = match (level(group), style) {
            (Level::NotFinite, Style::Plain) => write!(out, "!"),
            (Level::Zero, Style::Plain) => write!(out, " "),
            (Level::Of(i), Style::Plain) => write!(out, "{}", SHADES[i]),
            (Level::NotFinite, Style::Colour) => write!(out, "\x1b[48;5;231m\x1b[38;5;160m!\x1b[0m"),
            (Level::Zero, Style::Colour) => write!(out, "\x1b[48;5;232m \x1b[0m"),
            (Level::Of(i), Style::Colour) => write!(out, "\x1b[48;5;{}m \x1b[0m", COLOURS[i]),
        };
    }
    let finite = || norms.iter().copied().filter(|n| n.is_finite());
    let (least, most) = (finite().fold(f64::INFINITY, f64::min), finite().fold(0.0, f64::max));
    out.push(']');
    if least <= most {
        let _ = write!(out, " {} to {}", number(least), number(most));
    }
    out
}

enum Level {
    NotFinite,
    Zero,
    Of(usize),
}

/// Of the mean of the logarithms: a cell of several layers shows their usual size.
fn level(norms: &[f64]) -> Level {
    if norms.iter().any(|n| !n.is_finite()) {
        return Level::NotFinite;
    }
    let logs: Vec<f64> = norms.iter().filter(|n| **n > 0.0).map(|n| n.log10()).collect();
    if logs.is_empty() {
        return Level::Zero;
    }
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let place = (mean - SCALE.0) / (SCALE.1 - SCALE.0) * SHADES.len() as f64;
    Level::Of((place.max(0.0) as usize).min(SHADES.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::record::LayerHealth;

    fn observation(norms: &[f64]) -> Observation {
        let layer = |&n: &f64| LayerHealth { name: "x".into(), gradient_norm: Some(n), ..LayerHealth::default() };
        Observation { layers: norms.iter().map(layer).collect(), ..Observation::default() }
    }

    #[test]
    fn hot_and_cold_layers_look_different() {
        let shown = strip(&observation(&[1e-12, 2e-4, 0.5, 2e6, 0.0, f64::NAN]), Style::Plain);
        assert_eq!(shown, "|g| of 6 layers [.+x@ !] 0 to 2.0e6");
        assert_eq!(strip(&observation(&[]), Style::Plain), "");
        assert_eq!(strip(&observation(&[f64::NAN]), Style::Plain), "|g| of 1 layers [!]");
    }

    #[test]
    fn a_colour_is_given_back() {
        let shown = strip(&observation(&[1.0, 1e-5]), Style::Colour);
        assert_eq!(shown.matches("\x1b[48;5;").count(), shown.matches("\x1b[0m").count());
        assert_eq!(shown.matches("\x1b[48;5;").count(), 2);
        assert_eq!(Style::of(false), Style::Plain);
    }

    #[test]
    fn deep_nets_share_cells() {
        let shown = strip(&observation(&[0.1; 200]), Style::Plain);
        let cells = shown.split(['[', ']']).nth(1).unwrap();
        assert_eq!(cells, "x".repeat(CELLS));
    }
}
