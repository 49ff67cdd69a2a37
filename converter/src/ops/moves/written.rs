//! Moves as ONNX writes them: cut, cut up, transposed, put side by side or into a frame. What is none of these is gathered by number.

use super::{
    super::written::{dims, rearranged, reshaped, signed, sliced},
    Move, Part,
};
use crate::{
    error::Error,
    exporter::{Exported, Exporter},
    proto::int,
    shape::Shape,
};

/// Rows, columns and channels stand third, fourth and second.
const PLACES: [usize; 3] = [2, 3, 1];

/// The axes of a map in ONNX's order behind the steps: channels, rows, columns.
const ORDER: [usize; 3] = [2, 0, 1];

/// A part that is a box of its input, its axes cut up and put in another order, and a box of the output then.
struct Form {
    /// Cuts of the input, as [`sliced`] takes them.
    cuts: Vec<(i64, i64, i64, i64)>,
    /// Lengths of the box of the input, in ONNX's order.
    from: Vec<usize>,
    /// Those of the parts of its axes.
    parts: Vec<usize>,
    /// Which of them stands where.
    order: Vec<usize>,
    /// Rows, columns, channels of the box of the output: its first place, and lengths.
    start: [usize; 3],
    size: [usize; 3],
    /// How far its values are apart there: nothing of the part lies between.
    spread: [usize; 3],
}

/// The loops along an axis of one side, outermost first, the distance of neighbours and how many positions there are; `None` if they
/// leave gaps or go backwards.
fn along(steps: &[(usize, isize)], within: usize) -> Option<(Vec<usize>, usize, usize)> {
    let mut loops: Vec<usize> = (0..steps.len()).collect();
    loops.sort_by_key(|&at| -steps[at].1);
    let base = loops.last().map_or(1, |&at| steps[at].1);
    let base = usize::try_from(base).ok().filter(|&base| base > 0)?;
    let mut count = 1;
    for &at in loops.iter().rev() {
        if steps[at].1 != base.checked_mul(count)?.cast_signed() {
            return None;
        }
        count *= steps[at].0;
    }
    ((count - 1) * base < within).then_some((loops, base, count))
}

impl Part {
    /// The part as a box that is rearranged, if it is one.
    fn form(&self, steps: usize, output: Shape) -> Option<Form> {
        let loops: Vec<_> = self.loops.iter().filter(|l| l.count > 1).collect();
        let axis = |step: [isize; 3]| {
            let mut moving = (0..3).filter(|&axis| step[axis] != 0);
            moving.next().filter(|_| moving.next().is_none())
        };
        let sides: Option<Vec<[usize; 2]>> = loops.iter().map(|l| Some([axis(l.from)?, axis(l.to)?])).collect();
        let sides = sides?;
        // Loops of each axis of a side, by their number.
        let of = |side: usize, axis: usize| -> (Vec<usize>, Vec<(usize, isize)>) {
            let step = |at: usize| if side == 0 { loops[at].from[axis] } else { loops[at].to[axis] };
            let all = (0..loops.len()).filter(|&at| sides[at][side] == axis);
            all.map(|at| (at, (loops[at].count, step(at)))).unzip()
        };
        let mut form = Form {
            cuts: vec![],
            from: vec![steps],
            parts: vec![steps],
            order: vec![0],
            start: self.to,
            size: [1; 3],
            spread: [1; 3],
        };
        // Which part of the input's axes each loop is.
        let mut place = vec![0; loops.len()];
        for axis in ORDER {
            let (numbers, steps) = of(0, axis);
            let (sorted, base, count) = along(&steps, self.shape[axis] - self.from[axis])?;
            if count < self.shape[axis] {
                let (first, end) = (self.from[axis], self.from[axis] + (count - 1) * base + 1);
                form.cuts.push((signed(PLACES[axis]), signed(first), signed(end), signed(base)));
            }
            form.from.push(count);
            for at in sorted {
                place[numbers[at]] = form.parts.len();
                form.parts.push(steps[at].0);
            }
        }
        for axis in ORDER {
            let (numbers, steps) = of(1, axis);
            let (sorted, base, count) = along(&steps, output[axis] - self.to[axis])?;
            (form.size[axis], form.spread[axis]) = ((count - 1) * base + 1, base);
            form.order.extend(sorted.into_iter().map(|at| place[numbers[at]]));
        }
        Some(form)
    }
}

impl Form {
    fn export(&self, to: &mut Exporter, site: &Exported, input: &str) -> String {
        let value = sliced(to, site.node, input, &self.cuts);
        let made = dims(self.counts(), site.steps);
        rearranged(to, site.node, &value, (&self.from, &self.parts, &self.order, &made))
    }

    /// Rows, columns and channels of its values.
    fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| (self.size[axis] - 1) / self.spread[axis] + 1)
    }
}

impl Move {
    /// Writes it; gives the name of what it makes.
    ///
    /// # Errors
    /// [`Error::Node`] if an input is missing.
    pub(super) fn written(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let forms: Option<Vec<Form>> = self.parts.iter().map(|part| part.form(site.steps, self.shape)).collect();
        match forms.as_deref() {
            Some([form]) => {
                let value = form.export(to, site, site.input(self.parts[0].input)?.value);
                let value = self.spread(to, site, form, value);
                Ok(self.framed(to, site, form, value))
            }
            Some(forms) if let Some((axis, order)) = self.side_by_side(forms) => {
                let mut values = vec![];
                for at in order {
                    values.push(forms[at].export(to, site, site.input(self.parts[at].input)?.value));
                }
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                Ok(to.node("Concat", site.node, &values, vec![int("axis", PLACES[axis])]))
            }
            _ => self.gathered(to, site),
        }
    }

    /// Puts what no part writes between the values of a box: each becomes the first of several, which are cut off behind the last.
    fn spread(&self, to: &mut Exporter, site: &Exported, form: &Form, value: String) -> String {
        if form.spread == [1; 3] {
            return value;
        }
        let counts = form.counts();
        let (mut single, mut several, mut pads) = (vec![site.steps], vec![site.steps], vec![0]);
        for axis in ORDER {
            single.push(counts[axis]);
            several.push(counts[axis] * form.spread[axis]);
            pads.push(0);
            if form.spread[axis] > 1 {
                single.push(1);
                pads.push(signed(form.spread[axis] - 1));
            }
        }
        let value = reshaped(to, site.node, &value, &dims(counts, site.steps), &single);
        let value = self.padded(to, site, &value, &[vec![0; pads.len()], pads.clone()].concat());
        let wide: Vec<usize> =
            single.iter().zip(&pads).map(|(&n, &pad)| n + usize::try_from(pad).unwrap_or(0)).collect();
        let value = reshaped(to, site.node, &value, &wide, &several);
        let cut = |axis: usize| (form.spread[axis] > 1).then(|| (signed(PLACES[axis]), 0, signed(form.size[axis]), 1));
        sliced(to, site.node, &value, &(0..3).filter_map(cut).collect::<Vec<_>>())
    }

    /// A box with what is around it.
    fn framed(&self, to: &mut Exporter, site: &Exported, form: &Form, value: String) -> String {
        if form.size == self.shape {
            return value;
        }
        let before = |axis: usize| signed(form.start[axis]);
        let behind = |axis: usize| signed(self.shape[axis] - form.start[axis] - form.size[axis]);
        let pads: Vec<i64> = [0].into_iter().chain(ORDER.map(before)).chain([0]).chain(ORDER.map(behind)).collect();
        self.padded(to, site, &value, &pads)
    }

    fn padded(&self, to: &mut Exporter, site: &Exported, value: &str, pads: &[i64]) -> String {
        let pads = to.ints(&format!("{}.pads", site.node), &[pads.len()], pads);
        let fill = to.floats(&format!("{}.fill", site.node), &[], &[self.fill]);
        to.node("Pad", site.node, &[value, &pads, &fill], vec![])
    }

    /// The axis along which the boxes fill the output, and their order.
    fn side_by_side(&self, forms: &[Form]) -> Option<(usize, Vec<usize>)> {
        (0..3).find_map(|axis| {
            let whole = |f: &Form| {
                f.spread == [1; 3] && (0..3).all(|a| a == axis || (f.start[a], f.size[a]) == (0, self.shape[a]))
            };
            let mut order: Vec<usize> = (0..forms.len()).collect();
            order.sort_by_key(|&at| forms[at].start[axis]);
            let end = order.iter().try_fold(0, |end, &at| {
                let form = &forms[at];
                (form.start[axis] == end).then_some(end + form.size[axis])
            });
            (forms.iter().all(whole) && end == Some(self.shape[axis])).then_some((axis, order))
        })
    }

    /// By number: the values of all inputs in a row, and behind them what no part writes.
    fn gathered(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let (name, strides) = (site.node, |[h, w, _]: Shape| [w, 1, h * w]);
        let (mut rows, mut firsts, mut count) = (vec![], vec![], 0);
        for input in site.inputs {
            let len: usize = input.shape.iter().product();
            rows.push(reshaped(to, name, input.value, &dims(input.shape, site.steps), &[site.steps, len]));
            firsts.push(count);
            count += len;
        }
        let mut numbers = vec![signed(count); self.shape.iter().product()];
        for part in &self.parts {
            let first = firsts.get(part.input).ok_or_else(|| site.wrong(format!("input {} is missing", part.input)))?;
            part.each(strides(part.shape), strides(self.shape), |from, to| numbers[to] = signed(first + from));
        }
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let mut row = match rows[..] {
            [one] => one.to_owned(),
            _ => to.node("Concat", name, &rows, vec![int("axis", 1)]),
        };
        if numbers.contains(&signed(count)) {
            row = self.padded(to, site, &row, &[0, 0, 0, 1]);
        }
        let numbers = to.ints(&format!("{name}.places"), &dims(self.shape, 1)[1..], &numbers);
        Ok(to.node("Gather", name, &[&row, &numbers], vec![int("axis", 1)]))
    }
}
