//! Better places than greedy ones: other orders of placing, where the first needs more than the lower bound.
//!
//! Placing each buffer in the lowest gap that is free while it lives gives, for some order of the buffers, an arena that no other
//! placement beats: take any best one and place by ascending offset. So the search is for an order. Of few buffers all are tried, cut
//! short where a part already needs as much as the best so far; of many, those that reach the top are placed earlier and earlier.

use super::arena::{Buffer, place_in};

/// Most placements of one buffer that the search over all orders takes; it is exact if it ends before.
const STEPS: usize = 200_000;

/// Most buffers of which all orders are tried.
const FEW: usize = 16;

/// Orders tried by moving what reaches the top to the front.
const ROUNDS: usize = 400;

/// Looks for an order that needs less than `best` bytes, at least `bound`; places the buffers so if there is one.
pub(super) fn improve(buffers: &mut [Buffer], best: u64, bound: u64) {
    let mut best = Best { arena: best, bound, order: None };
    let n = buffers.len();
    let by = |key: &dyn Fn(&Buffer) -> (u64, usize)| {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(key(&buffers[i])), i));
        order
    };
    let life = |b: &Buffer| b.last - b.first + 1;
    let orders = [
        by(&|b| (b.len * life(b) as u64, 0)),
        by(&|b| (life(b) as u64, 0)),
        by(&|b| (0, n - b.first.min(n))),
        by(&|b| (0, b.last)),
        by(&|b| (b.len, b.last)),
    ];
    let mut trial = buffers.to_vec();
    for order in orders {
        rounds(&mut trial, order, &mut best);
    }
    if n <= FEW && !best.is_done() {
        let mut steps = STEPS;
        all(&mut trial, &mut vec![], &mut best, &mut steps);
    }
    if let Some(order) = best.order {
        place_in(buffers, &order);
    }
}

struct Best {
    arena: u64,
    bound: u64,
    order: Option<Vec<usize>>,
}

impl Best {
    fn is_done(&self) -> bool {
        self.arena <= self.bound
    }

    fn see(&mut self, arena: u64, order: &[usize]) {
        if arena < self.arena {
            (self.arena, self.order) = (arena, Some(order.to_vec()));
        }
    }
}

/// Again and again, what reaches the top comes first.
fn rounds(trial: &mut [Buffer], mut order: Vec<usize>, best: &mut Best) {
    for _ in 0..ROUNDS.min(64 * order.len()) {
        if best.is_done() {
            return;
        }
        let arena = place_in(trial, &order);
        best.see(arena, &order);
        let top = order.iter().position(|&i| trial[i].offset + trial[i].len == arena);
        match top {
            Some(at @ 1..) => order[..=at].rotate_right(1),
            // Already first: no order puts it lower.
            _ => return,
        }
    }
}

/// All orders that begin with `chosen`, until the steps are used up.
fn all(trial: &mut [Buffer], chosen: &mut Vec<usize>, best: &mut Best, steps: &mut usize) {
    if best.is_done() || *steps == 0 {
        return;
    }
    let arena = if chosen.is_empty() { 0 } else { place_in(trial, chosen) };
    *steps = steps.saturating_sub(chosen.len().max(1));
    if arena >= best.arena {
        return;
    }
    if chosen.len() == trial.len() {
        best.see(arena, chosen);
        return;
    }
    for i in 0..trial.len() {
        if !chosen.contains(&i) {
            chosen.push(i);
            all(trial, chosen, best, steps);
            chosen.pop();
        }
    }
}
