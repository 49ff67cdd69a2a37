//! Where the nodes of a picture of a graph lie: layers from top to bottom, as in Sugiyama, Tagawa and Toda, "Methods for Visual
//! Understanding of Hierarchical System Structures", 1981.
//!
//! 1. A node lies one layer below the lowest of what it reads. A line that goes on below is held in every layer by a place of its own,
//!    one for all who read the same thing.
//! 2. In each layer, nodes stand in the order of the mean places of their neighbours above, then below, some times over.
//! 3. Then they move towards those means as far as their widths allow: the least sum of squares in that order is an isotonic
//!    regression, which pooling adjacent violators solves exactly (Ayer and others, 1955).

use std::fmt::Write;

use super::chart::Tenths;

/// Most nodes and held places: more would be no picture.
const MOST: usize = 6000;
/// Times that the layers are gone through.
const SWEEPS: usize = 8;
/// Between two nodes of a layer.
const GAP: f64 = 14.0;
/// Of a line's place.
const LINE: f64 = 6.0;
/// Wider than this is seldom seen at once.
const WIDE: f64 = 540.0;
/// Around all.
const MARGIN: f64 = 8.0;

/// How large nodes are, and how far layers are apart.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Of every node.
    pub width: f64,
    /// Of every node.
    pub height: f64,
    /// Between a layer and the next.
    pub between: f64,
}

/// A picture's places.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Of the picture.
    pub width: f64,
    /// Of the picture.
    pub height: f64,
    /// Left upper corner of each node.
    pub corners: Vec<(f64, f64)>,
    /// The lines that begin at each node, as the attribute `d` of one path; empty where none does.
    pub lines: Vec<String>,
}

/// Nodes and held places while they find theirs.
struct Places {
    /// Which layer each is in.
    layer: Vec<usize>,
    /// The layers, each from left to right.
    layers: Vec<Vec<usize>>,
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
    /// Where each node's line is held, from the layer below the node on.
    held: Vec<Vec<usize>>,
    /// Middles.
    x: Vec<f64>,
    widths: Vec<f64>,
}

/// Lays out nodes `0..count`, an edge from a node to a later one; others are left out. `None` for a graph that is too large for a
/// picture.
pub fn layout(count: usize, edges: &[(usize, usize)], size: Size) -> Option<Layout> {
    let mut edges: Vec<(usize, usize)> = edges.iter().copied().filter(|&(a, b)| a < b && b < count).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut places = Places::new(count, &edges, size.width)?;
    places.order();
    places.spread();
    Some(places.drawn(count, size))
}

impl Places {
    fn new(count: usize, edges: &[(usize, usize)], width: f64) -> Option<Places> {
        if count > MOST {
            return None;
        }
        let mut layer = vec![0usize; count];
        let (mut first, mut last) = (vec![usize::MAX; count], vec![0; count]);
        let mut reads = vec![vec![]; count];
        edges.iter().for_each(|&(from, to)| reads[to].push(from));
        for to in 0..count {
            layer[to] = reads[to].iter().map(|&from| layer[from] + 1).max().unwrap_or(0);
            for &from in &reads[to] {
                (first[from], last[from]) = (first[from].min(layer[to]), last[from].max(layer[to]));
            }
        }
        // What reads nothing lies just above its first reader.
        for node in (0..count).filter(|&node| reads[node].is_empty() && first[node] < usize::MAX) {
            layer[node] = first[node] - 1;
        }
        let mut held = vec![vec![]; count];
        for node in 0..count {
            for at in layer[node] + 1..last[node] {
                held[node].push(layer.len());
                layer.push(at);
                if layer.len() > MOST {
                    return None;
                }
            }
        }
        let mut places = Places {
            layers: vec![vec![]; layer.iter().max().map_or(0, |&most| most + 1)],
            above: vec![vec![]; layer.len()],
            below: vec![vec![]; layer.len()],
            x: vec![0.0; layer.len()],
            widths: (0..layer.len()).map(|at| if at < count { width } else { LINE }).collect(),
            layer,
            held,
        };
        for node in 0..count {
            (0..places.held[node].len()).for_each(|at| places.join(places.at(node, at), places.at(node, at + 1)));
        }
        for &(from, to) in edges {
            places.join(places.at(from, places.layer[to] - places.layer[from] - 1), to);
        }
        (0..places.layer.len()).for_each(|place| places.layers[places.layer[place]].push(place));
        Some(places)
    }

    /// A node, or where its line is held so many layers below it.
    fn at(&self, node: usize, below: usize) -> usize {
        below.checked_sub(1).map_or(node, |below| self.held[node][below])
    }

    fn join(&mut self, from: usize, to: usize) {
        self.below[from].push(to);
        self.above[to].push(from);
    }

    /// Finds an order of each layer with few crossings.
    fn order(&mut self) {
        let mut rank = vec![0.0; self.layer.len()];
        let number = |layer: &[usize], rank: &mut [f64]| {
            layer.iter().enumerate().for_each(|(at, &place)| rank[place] = at as f64);
        };
        self.layers.iter().for_each(|layer| number(layer, &mut rank));
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let neighbours = if down { &self.above } else { &self.below };
            let count = self.layers.len();
            for at in 0..count {
                let layer = &mut self.layers[if down { at } else { count - 1 - at }];
                let wanted = |&place: &usize| (mean(&neighbours[place], &rank).unwrap_or(rank[place]), place);
                let mut sorted: Vec<(f64, usize)> = layer.iter().map(wanted).collect();
                sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
                *layer = sorted.into_iter().map(|(_, place)| place).collect();
                number(layer, &mut rank);
            }
        }
    }

    /// Moves all as near to their neighbours as there is room.
    fn spread(&mut self) {
        for sweep in 0..3 * SWEEPS {
            for at in 0..self.layers.len() {
                let at = if sweep % 2 == 0 { at } else { self.layers.len() - 1 - at };
                let wanted = |place: usize| {
                    let (above, below) = (mean(&self.above[place], &self.x), mean(&self.below[place], &self.x));
                    let one = if sweep % 2 == 0 { above.or(below) } else { below.or(above) };
                    // In the end both count.
                    let both = above.zip(below).map(|(a, b)| (a + b) / 2.0).filter(|_| sweep + 2 >= 3 * SWEEPS);
                    both.or(one).unwrap_or(self.x[place])
                };
                self.settle(
                    at,
                    &self.layers[at].iter().map(|&place| wanted(place)).collect::<Vec<_>>(),
                    f64::NEG_INFINITY,
                );
            }
        }
        if self.ends()[1] - self.ends()[0] > WIDE {
            // Not all is seen at once, and what is seen first begins at the left: so does the network.
            for at in 0..self.layers.len() {
                let wanted = |&place: &usize| mean(&self.above[place], &self.x).unwrap_or(0.0);
                self.settle(at, &self.layers[at].iter().map(wanted).collect::<Vec<_>>(), 0.0);
            }
        }
    }

    /// Puts a layer where its places are wanted, as far as there is room between them, and none left of `least`.
    fn settle(&mut self, at: usize, wanted: &[f64], least: f64) {
        let layer = &self.layers[at];
        let mut offsets: Vec<f64> = vec![0.0; layer.len()];
        for i in 0..layer.len() {
            let before =
                i.checked_sub(1).map_or(0.0, |before| offsets[before] + self.widths[layer[before]] / 2.0 + GAP);
            offsets[i] = before + self.widths[layer[i]] / 2.0;
        }
        let free: Vec<f64> = wanted.iter().zip(&offsets).map(|(w, o)| w - o).collect();
        for ((&place, x), offset) in layer.iter().zip(ascending(&free)).zip(offsets) {
            self.x[place] = x.max(least) + offset;
        }
    }

    /// How far it reaches to the left and to the right.
    fn ends(&self) -> [f64; 2] {
        let ends = |sign: f64| self.x.iter().zip(&self.widths).map(move |(x, w)| x + sign * w / 2.0);
        [ends(-1.0).reduce(f64::min).unwrap_or(0.0) - MARGIN, ends(1.0).reduce(f64::max).unwrap_or(0.0) + MARGIN]
    }

    fn drawn(&self, count: usize, Size { width, height, between }: Size) -> Layout {
        let [left, right] = self.ends();
        let top = |place: usize| MARGIN + self.layer[place] as f64 * (height + between);
        let line = |node: usize| {
            let mut d = String::new();
            for from in std::iter::once(node).chain(self.held[node].iter().copied()) {
                for &to in &self.below[from] {
                    let (x, y, to_x, to_y) = (self.x[from] - left, top(from), self.x[to] - left, top(to));
                    let (start, end) = (y + height, to_y);
                    let middle = (start + end) / 2.0;
                    // Writing to a String cannot fail.
                    let _ = match from == node {
                        true => write!(d, "M{},{}", Tenths(x), Tenths(start)),
                        false => write!(d, "M{},{}V{}", Tenths(x), Tenths(y), Tenths(start)),
                    };
                    let _ = if (x - to_x).abs() < 0.5 {
                        write!(d, "V{}", Tenths(end))
                    } else {
                        let [x, to_x, middle, end] = [x, to_x, middle, end].map(Tenths);
                        write!(d, "C{x},{middle} {to_x},{middle} {to_x},{end}")
                    };
                }
            }
            d
        };
        Layout {
            width: right - left,
            height: self.layers.len() as f64 * (height + between) - between + 2.0 * MARGIN,
            corners: (0..count).map(|node| (self.x[node] - left - width / 2.0, top(node))).collect(),
            lines: (0..count).map(line).collect(),
        }
    }
}

fn mean(places: &[usize], of: &[f64]) -> Option<f64> {
    (!places.is_empty()).then(|| places.iter().map(|&place| of[place]).sum::<f64>() / places.len() as f64)
}

/// The ascending numbers with the least sum of squares of differences from these: whatever descends becomes its mean.
fn ascending(numbers: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = vec![];
    for &number in numbers {
        let mut pool = (number, 1);
        while let Some(&(before, count)) = pools.last().filter(|&&(before, _)| before > pool.0) {
            pools.pop();
            let all = count + pool.1;
            pool = ((before * count as f64 + pool.0 * pool.1 as f64) / all as f64, all);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(number, count)| std::iter::repeat_n(number, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 100.0, height: 30.0, between: 20.0 };

    #[test]
    fn a_chain_is_straight() {
        let layout = layout(4, &[(0, 1), (1, 2), (2, 3)], SIZE).unwrap();
        assert!(layout.corners.iter().all(|c| c.0 == layout.corners[0].0), "{layout:?}");
        assert_eq!((layout.width, layout.height), (116.0, 4.0 * 50.0 - 20.0 + 16.0));
        assert_eq!(layout.lines[0], "M58.0,38.0V58.0");
        assert_eq!(layout.lines[3], "");
    }

    /// Over a residual block the line is held beside it; nothing overlaps, whatever the graph.
    #[test]
    fn nothing_overlaps() {
        let mut seed = 1u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        for count in [1, 2, 5, 30, 120] {
            let edges: Vec<(usize, usize)> = (0..2 * count).map(|_| (next(count), next(count))).collect();
            let layout = layout(count, &edges, SIZE).unwrap();
            for (i, a) in layout.corners.iter().enumerate() {
                assert!(a.0 >= 7.9 && a.0 + SIZE.width <= layout.width + 0.1, "{a:?} of {}", layout.width);
                for b in &layout.corners[..i] {
                    assert!(a.1 != b.1 || (a.0 - b.0).abs() >= SIZE.width + GAP - 0.1, "{a:?} {b:?}");
                }
            }
            for &(a, b) in edges.iter().filter(|(a, b)| a < b) {
                assert!(layout.corners[a].1 < layout.corners[b].1 && !layout.lines[a].is_empty());
            }
        }
    }

    #[test]
    fn what_is_too_large_has_no_picture() {
        let all: Vec<(usize, usize)> = (0..MOST).map(|i| (i, i + 1)).collect();
        assert!(layout(MOST + 1, &all, SIZE).is_none());
        // Few nodes, and lines that are held everywhere.
        let far: Vec<(usize, usize)> = (0..400).map(|i| (i, 399)).chain((0..399).map(|i| (i, i + 1))).collect();
        assert!(layout(400, &far, SIZE).is_none());
        assert!(layout(0, &[], SIZE).is_some());
    }

    #[test]
    fn numbers_ascend() {
        assert_eq!(ascending(&[1.0, 3.0, 2.0, 2.5, 9.0]), [1.0, 2.5, 2.5, 2.5, 9.0]);
        assert_eq!(ascending(&[3.0, 2.0, 1.0]), [2.0, 2.0, 2.0]);
    }
}
