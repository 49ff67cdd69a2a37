//! Better places than greedy ones: other orders of placing, where the first needs more than the lower bound.
//!
//! Placing each buffer in the lowest gap that is free while it lives gives, for some order of the buffers, an arena that no other
//! placement beats: take any best one and place by ascending offset. So the search is for an order. Of few buffers all are tried, cut
//! short where a part already needs as much as the best so far; of many, those that reach the top are placed earlier and earlier.

use super::arena::{Buffer, alive_at_most, place_in};

/// Most buffers for which other orders are tried.
const SEARCHED: usize = 2048;

/// Most placements of one buffer that the search over all orders takes; it is exact if it ends before.
const STEPS: usize = 200_000;

/// Most buffers of which all orders are tried.
const FEW: usize = 16;

/// Orders tried by moving what reaches the top to the front.
const ROUNDS: usize = 400;

/// Gives every buffer an offset such that those in use at the same time share no byte: largest first, and in
/// another order if that needs more than all that live together.
pub(super) fn place(buffers: &mut [Buffer]) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len), buffers[i].first));
    let (arena, bound) = (place_in(buffers, &order), alive_at_most(buffers));
    if arena > bound && buffers.len() <= SEARCHED {
        improve(buffers, arena, bound);
    }
}

/// Looks for an order that needs less than `best` bytes, at least `bound`; places the buffers so if there is one.
fn improve(buffers: &mut [Buffer], best: u64, bound: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buffers_alive_together_never_overlap(
            spans in prop::collection::vec((1u64..64, 0usize..40, 0usize..12), 1..60)
        ) {
            let mut buffers: Vec<Buffer> = spans
                .iter()
                .map(|&(len, first, life)| Buffer { tensors: vec![], len: len * 16, first, last: first + life, offset: 0 })
                .collect();
            place(&mut buffers);
            for (i, a) in buffers.iter().enumerate() {
                prop_assert_eq!(a.offset % 16, 0);
                for b in &buffers[..i] {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = a.offset + a.len <= b.offset || b.offset + b.len <= a.offset;
                    prop_assert!(!together || apart, "{a:?} {b:?}");
                }
            }
            let arena = buffers.iter().map(|b| b.offset + b.len).max().unwrap();
            prop_assert!(arena >= alive_at_most(&buffers));
        }
    }

    #[test]
    fn where_largest_first_is_not_best_another_order_is_found() {
        let buffer = |len: u64, first, last| Buffer { tensors: vec![], len: 16 * len, first, last, offset: 0 };
        let mut worse = 0;
        // All small problems of six buffers in a deterministic sequence.
        for seed in 0..400u64 {
            let at =
                |i: u64, n: u64| usize::try_from((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (5 * i)) % n).unwrap();
            let mut buffers: Vec<Buffer> = (0..6)
                .map(|i| {
                    let first = at(i, 5);
                    buffer(1 + at(i + 3, 7) as u64, first, first + at(i + 5, 4))
                })
                .collect();
            let mut order: Vec<usize> = (0..6).collect();
            order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len), buffers[i].first));
            let greedy = place_in(&mut buffers, &order);
            place(&mut buffers);
            let found = buffers.iter().map(|b| b.offset + b.len).max().unwrap();
            assert!(found <= greedy);
            worse += usize::from(found < greedy);
        }
        assert!(worse > 3, "{worse}");
    }

    #[test]
    fn a_chain_needs_two_neighbours_at_a_time() {
        let lens = [160, 320, 64, 320];
        let mut buffers: Vec<Buffer> = lens
            .iter()
            .enumerate()
            .map(|(i, &len)| Buffer { tensors: vec![], len, first: i.saturating_sub(1), last: i, offset: 0 })
            .collect();
        place(&mut buffers);
        let arena = buffers.iter().map(|b| b.offset + b.len).max().unwrap();
        assert_eq!(arena, alive_at_most(&buffers));
    }
}
