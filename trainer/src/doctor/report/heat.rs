//! A heat map: layers by steps, coloured by powers of ten.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use escarp_converter::report::escape;

use super::{left_out, shown, ticks};
use crate::doctor::diagnose::number;
use crate::doctor::record::{LayerHealth, Observation};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 150.0;
const BOTTOM: f64 = 22.0;
/// Columns shown; of more observations, neighbours share one.
const COLUMNS: usize = 200;
/// Colours told apart.
const COLOURS: usize = 48;

/// The Viridis colour map (Smith and van der Walt, public domain) at tenths: rises in lightness throughout, so that
/// it also reads in grey and to the colour-blind.
const VIRIDIS: [[f64; 3]; 11] = [
    [68.0, 1.0, 84.0],
    [72.0, 36.0, 117.0],
    [65.0, 68.0, 135.0],
    [53.0, 95.0, 141.0],
    [42.0, 120.0, 142.0],
    [33.0, 145.0, 140.0],
    [34.0, 168.0, 132.0],
    [68.0, 191.0, 112.0],
    [122.0, 209.0, 81.0],
    [189.0, 223.0, 38.0],
    [253.0, 231.0, 37.0],
];

/// What a cell shows.
#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Missing,
    Zero,
    NotFinite,
    Colour(usize),
}

/// Empty if nothing was recorded of the figure.
pub(super) fn section(
    seen: &[Observation],
    title: &str,
    explanation: &str,
    figure: fn(&LayerHealth) -> Option<f64>,
) -> String {
    let Some(widest) = seen.iter().max_by_key(|o| o.layers.len()) else { return String::new() };
    let mut known = HashSet::new();
    // A name that stands twice is one layer, the first.
    let names = widest.layers.iter().filter(|l| known.insert(l.name.as_str()) && figure(l).is_some());
    let names: Vec<&str> = names.map(|l| l.name.as_str()).collect();
    let left_out = left_out(names.len());
    let names: Vec<&str> = shown(&names).copied().collect();
    let rows = rows(seen, &names, figure);
    let logs = rows.iter().flatten().flatten().filter(|v| v.is_finite() && **v > 0.0).map(|v| v.log10());
    let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return String::new();
    }
    // Less than three powers of ten would show noise as if it were a gradient's fate.
    let spare = (3.0 - (high - low)).max(0.0) / 2.0;
    let scale = ((low - spare).floor(), (high + spare).ceil());
    let columns = rows.first().map_or(0, Vec::len);
    let height = (420.0 / names.len() as f64).clamp(7.0, 26.0);
    let (bottom, cell) = (height * names.len() as f64, (WIDTH - LEFT) / columns as f64);
    let mut svg = format!("<svg class=\"heat\" viewBox=\"0 0 {WIDTH} {:.1}\" role=\"img\">", bottom + BOTTOM);
    svg += &cells(&rows, scale, [cell, height]);
    let every = (11.0 / height).ceil() as usize;
    for (i, (name, values)) in names.iter().zip(&rows).enumerate() {
        let y = i as f64 * height;
        if i % every == 0 {
            // Writing to a String cannot fail.
            let _ = write!(
                svg,
                "<text class=\"name\" x=\"{}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                y + height / 2.0 + 3.5,
                escape(&short(name))
            );
        }
        let last = values.iter().rev().flatten().next().map_or("-".into(), |v| number(*v));
        let _ = write!(
            svg,
            "<rect class=\"hover\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}: last \
             {last}</title></rect>",
            WIDTH - LEFT,
            escape(name)
        );
    }
    svg += &steps(seen, bottom);
    format!(
        "<section><h2>{title}</h2><p>{explanation}{left_out}</p><div class=\"scroll\">{svg}</svg></div>{}</section>\n",
        legend(scale)
    )
}

/// Each layer's figure in each column: of several observations the worst to see, else the geometric mean.
fn rows(seen: &[Observation], names: &[&str], figure: fn(&LayerHealth) -> Option<f64>) -> Vec<Vec<Option<f64>>> {
    let columns = seen.len().min(COLUMNS);
    let places: HashMap<&str, usize> = names.iter().enumerate().map(|(row, name)| (*name, row)).collect();
    let mut rows = vec![vec![None; columns]; names.len()];
    // Of a row, in the column at hand: a value that is odd to see; the sum of the others' logarithms and their count; the
    // last observation in which the layer was met, for a name that stands twice.
    let mut cells = vec![(None, 0.0, 0usize, usize::MAX); names.len()];
    for column in 0..columns {
        cells.iter_mut().for_each(|cell| *cell = (None, 0.0, 0, usize::MAX));
        let group = column * seen.len() / columns..(column + 1) * seen.len() / columns;
        for (at, observation) in group.clone().zip(&seen[group]) {
            for layer in &observation.layers {
                let Some(&row) = places.get(layer.name.as_str()) else { continue };
                let (odd, sum, count, met) = &mut cells[row];
                if *met == at {
                    continue;
                }
                *met = at;
                match figure(layer) {
                    Some(v) if !v.is_finite() || v == 0.0 => *odd = odd.or(Some(v)),
                    Some(v) => (*sum, *count) = (*sum + v.ln(), *count + 1),
                    None => {}
                }
            }
        }
        for (row, (odd, sum, count, _)) in rows.iter_mut().zip(&cells) {
            row[column] = odd.or_else(|| (*count > 0).then(|| (sum / *count as f64).exp()));
        }
    }
    rows
}

/// One path for each colour, so that the page stays small.
fn cells(rows: &[Vec<Option<f64>>], (low, high): (f64, f64), [width, height]: [f64; 2]) -> String {
    let kind = |value: Option<f64>| match value {
        None => Cell::Missing,
        Some(v) if !v.is_finite() => Cell::NotFinite,
        Some(v) if v <= 0.0 => Cell::Zero,
        Some(v) => {
            let place = (v.log10() - low) / (high - low) * (COLOURS - 1) as f64;
            Cell::Colour(place.round().clamp(0.0, (COLOURS - 1) as f64) as usize)
        }
    };
    let mut paths = vec![String::new(); COLOURS + 2];
    for (y, row) in rows.iter().enumerate() {
        let mut x = 0;
        for run in row.iter().map(|v| kind(*v)).collect::<Vec<_>>().chunk_by(|a, b| a == b) {
            let path = match run[0] {
                Cell::Missing => None,
                Cell::Zero => Some(COLOURS),
                Cell::NotFinite => Some(COLOURS + 1),
                Cell::Colour(i) => Some(i),
            };
            if let Some(path) = path {
                let (left, top, wide) = (LEFT + x as f64 * width, y as f64 * height, run.len() as f64 * width);
                // Writing to a String cannot fail.
                let _ = write!(paths[path], "M{left:.1} {top:.1}h{wide:.1}v{height:.1}h-{wide:.1}z");
            }
            x += run.len();
        }
    }
    let path = |(i, data): (usize, &String)| match i {
        _ if data.is_empty() => String::new(),
        COLOURS => format!("<path class=\"zero\" d=\"{data}\"/>"),
        i if i > COLOURS => format!("<path class=\"lost\" d=\"{data}\"/>"),
        i => format!("<path fill=\"{0}\" stroke=\"{0}\" d=\"{data}\"/>", colour(i as f64 / (COLOURS - 1) as f64)),
    };
    paths.iter().enumerate().map(path).collect()
}

/// Of the map at `t` from 0 to 1.
fn colour(t: f64) -> String {
    let place = t * (VIRIDIS.len() - 1) as f64;
    let i = (place as usize).min(VIRIDIS.len() - 2);
    let mix = |c: usize| VIRIDIS[i][c] + (place - i as f64) * (VIRIDIS[i + 1][c] - VIRIDIS[i][c]);
    format!("#{:02x}{:02x}{:02x}", mix(0) as u8, mix(1) as u8, mix(2) as u8)
}

fn steps(seen: &[Observation], bottom: f64) -> String {
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return String::new() };
    let (first, last) = (first.step as f64, last.step as f64);
    let place = |step: f64| LEFT + (WIDTH - LEFT) * (step - first) / (last - first).max(1.0);
    let mark = |step: f64| {
        // At the right end a centred number would be cut off.
        let anchor = if place(step) > WIDTH - 20.0 { "end" } else { "middle" };
        format!(
            "<text class=\"axis\" style=\"text-anchor:{anchor}\" x=\"{:.1}\" y=\"{:.1}\">{step}</text>",
            place(step),
            bottom + 15.0
        )
    };
    ticks(first, last).into_iter().filter(|t| t.fract() == 0.0).map(mark).collect()
}

fn legend((low, high): (f64, f64)) -> String {
    let stops: Vec<String> = (0..=10).map(|i| format!("{} {}%", colour(f64::from(i) / 10.0), 10 * i)).collect();
    let mut marks = String::new();
    let every = ((high - low) / 8.0).ceil().max(1.0) as i32;
    for power in (low as i32..=high as i32).step_by(every as usize) {
        let place = 100.0 * (f64::from(power) - low) / (high - low);
        // Writing to a String cannot fail.
        let _ = write!(marks, "<span style=\"left:{place:.1}%\">10<sup>{power}</sup></span>");
    }
    format!(
        "<div class=\"legend\"><div class=\"scale\"><i style=\"background:linear-gradient(90deg,{})\"></i>{marks}</div>\
         <b class=\"zero\"></b> zero <b class=\"lost\"></b> NaN or infinite</div>",
        stops.join(",")
    )
}

/// The end of a long name tells layers apart.
fn short(name: &str) -> String {
    const MOST: usize = 22;
    let count = name.chars().count();
    if count <= MOST { name.into() } else { format!("…{}", name.chars().skip(count - MOST + 1).collect::<String>()) }
}
