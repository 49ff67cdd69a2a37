//! A heat map: layers by steps, coloured by powers of ten.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

use escarp_converter::page::{
    self,
    chart::{Frame, Scale, Tenths},
    short,
    viridis::colour,
    wide,
};
use maud::{Markup, html};

use super::{left_out, shown};
use crate::doctor::{
    diagnose::number,
    record::{LayerHealth, Observation},
};

/// Columns shown; of more observations, neighbours share one.
const COLUMNS: usize = 200;
/// Colours told apart.
const COLOURS: usize = 48;

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
) -> Markup {
    let Some(widest) = seen.iter().max_by_key(|o| o.layers.len()) else { return html! {} };
    let mut known = HashSet::new();
    // A name that stands twice is one layer, the first.
    let names = widest.layers.iter().filter(|l| known.insert(l.name.as_str()) && figure(l).is_some());
    let names: Vec<&str> = names.map(|l| l.name.as_str()).collect();
    let left_out = left_out(names.len());
    let names: Vec<&str> = shown(&names).copied().collect();
    let rows = rows(seen, &names, figure);
    let logs = rows.iter().flatten().flatten().filter(|v| v.is_finite() && **v > 0.0).map(|v| v.log10());
    let Some(Scale { low, high }) = Scale::spanning(logs) else { return html! {} };
    // Less than three powers of ten would show noise as if it were a gradient's fate.
    let spare = (3.0 - (high - low)).max(0.0) / 2.0;
    let scale = Scale { low: (low - spare).floor(), high: (high + spare).ceil() };
    let contents = html! {
        p { (explanation) (left_out) }
        (wide(picture(seen, &names, &rows, scale)))
        (legend(scale))
    };
    page::section(title, contents)
}

fn picture(seen: &[Observation], names: &[&str], rows: &[Vec<Option<f64>>], scale: Scale) -> Markup {
    let height = (420.0 / names.len() as f64).clamp(7.0, 26.0);
    let every = (11.0 / height).ceil() as usize;
    let (bottom, all) = (22.0, height * names.len() as f64);
    let frame = Frame { width: 960.0, height: all + bottom, left: 150.0, right: 0.0, top: 0.0, bottom };
    let steps = Scale::spanning(seen.iter().map(|o| o.step as f64));
    let row = |i: usize, name: &str| {
        let y = i as f64 * height;
        let last = rows[i].iter().rev().flatten().next().map_or("-".into(), |v| number(*v));
        html! {
            @if i.is_multiple_of(every) {
                text.name x=(Tenths(frame.left - 8.0)) y=(Tenths(y + height / 2.0 + 3.5)) { (short(name, 22)) }
            }
            rect.hover x=(Tenths(frame.left)) y=(Tenths(y)) width=(Tenths(frame.width - frame.left)) height=(Tenths(height)) {
                title { (name) ": last " (last) }
            }
        }
    };
    let contents = html! {
        (cells(rows, scale, &frame, height))
        @for (i, name) in names.iter().enumerate() { (row(i, name)) }
        @if let Some(steps) = steps {
            @for step in steps.ticks().into_iter().filter(|t| t.fract() == 0.0) {
                (frame.column(frame.x(steps.share(step)), step))
            }
        }
    };
    frame.svg("heat", contents)
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
fn cells(rows: &[Vec<Option<f64>>], scale: Scale, frame: &Frame, height: f64) -> Markup {
    let width = frame.x(1.0 / rows.first().map_or(1, Vec::len) as f64) - frame.left;
    let kind = |value: Option<f64>| match value {
        None => Cell::Missing,
        Some(v) if !v.is_finite() => Cell::NotFinite,
        Some(v) if v <= 0.0 => Cell::Zero,
        Some(v) => {
            let place = scale.share(v.log10()) * (COLOURS - 1) as f64;
            Cell::Colour(place.round().clamp(0.0, (COLOURS - 1) as f64) as usize)
        }
    };
    // What is drawn of each colour, in the language of the attribute `d`.
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
                let (left, top, wide) = (frame.left + x as f64 * width, y as f64 * height, run.len() as f64 * width);
                // Writing to a String cannot fail.
                let _ = write!(paths[path], "M{left:.1} {top:.1}h{wide:.1}v{height:.1}h-{wide:.1}z");
            }
            x += run.len();
        }
    }
    html! {
        @for (i, data) in paths.iter().enumerate().filter(|(_, data)| !data.is_empty()) {
            @if i < COLOURS {
                @let colour = colour(i as f64 / (COLOURS - 1) as f64);
                path fill=(colour) stroke=(colour) d=(data) {}
            } @else {
                path class=(if i == COLOURS { "zero" } else { "lost" }) d=(data) {}
            }
        }
    }
}

fn legend(scale: Scale) -> Markup {
    let stops: Vec<String> = (0..=10).map(|i| format!("{} {}%", colour(f64::from(i) / 10.0), 10 * i)).collect();
    html! {
        div.legend {
            div.scale {
                i style={ "background:linear-gradient(90deg," (stops.join(",")) ")" } {}
                @for power in scale.powers(8.0) {
                    span style={ "left:" (Tenths(100.0 * scale.share(power.into()))) "%" } { "10" sup { (power) } }
                }
            }
            b.zero {} " zero " b.lost {} " NaN or infinite"
        }
    }
}
