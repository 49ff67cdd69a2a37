//! Positions of the result as sums of any number of the input's.

use super::{
    super::along::Sums,
    side::{Mode, Rule, Sizes},
};
use crate::{
    error::Error,
    importer::Importer,
    onnx::Node,
    scale::{narrow, nearest_i64},
};

/// The weight of a position that far away, before all are made to sum up to 1.
fn kernel(mode: Mode, distance: f64) -> f64 {
    let x = distance.abs();
    match mode {
        Mode::Nearest => 0.0,
        Mode::Linear => (1.0 - x).max(0.0),
        // Keys, "Cubic convolution interpolation", 1981, equation 15.
        Mode::Cubic(a) => {
            let a = f64::from(a);
            match x {
                _ if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
                _ if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
                _ => 0.0,
            }
        }
    }
}

/// The sums along one side.
///
/// # Errors
/// For rules that are not known, weights that cancel each other out, and where there is no memory left for them.
pub fn sums(importer: &Importer, node: &Node, sizes: Sizes, rule: &Rule) -> Result<Sums, Error> {
    let Sizes { from, to, scale, .. } = sizes;
    let mut sums = Sums::zeros(importer, node, [from, to])?;
    let last = from as f32 - 1.0;
    // A position of the result is as wide as so many of the input.
    let narrowed = if rule.antialias { f64::from(scale.min(1.0)) } else { 1.0 };
    let reach = if matches!(rule.mode, Mode::Cubic(_)) { 2.0 } else { 1.0 } / narrowed;
    for (at, row) in sums.weight.chunks_exact_mut(from).enumerate() {
        let x = rule.coordinate(node, at, sizes)?;
        if rule.crops() && !(0.0..=last).contains(&x) {
            sums.shift[at] = rule.outside;
            continue;
        }
        if rule.mode == Mode::Nearest {
            row[rule.nearest(node, x, from)?] = 1.0;
            continue;
        }
        let x = f64::from(x);
        let mut weights = vec![0.0; from];
        let positions = || nearest_i64((x - reach).floor())..=nearest_i64((x + reach).ceil());
        for position in positions() {
            let weight = kernel(rule.mode, (position as f64 - x) * narrowed);
            let inside = usize::try_from(position).ok().filter(|&p| p < from);
            match inside {
                Some(place) => weights[place] += weight,
                None if rule.exclude_outside => {}
                None => weights[if position < 0 { 0 } else { from - 1 }] += weight,
            }
        }
        let total: f64 = weights.iter().sum();
        if total.abs() < 1e-6 {
            return Err(node.wrong(format!("position {at}: the weights of what lies around it cancel each other out")));
        }
        row.iter_mut().zip(weights).for_each(|(to, weight)| *to = narrow(weight / total));
    }
    Ok(sums)
}
