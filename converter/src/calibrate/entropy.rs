//! How much of what a tensor tells is lost by rounding and clipping: the divergence of Kullback and Leibler, as TensorRT's calibration
//! has it (Migacz, "8-bit Inference with TensorRT", 2017).

/// Steps of int8.
const LEVELS: usize = 256;

/// Divergence of the values from what 256 steps between two bins leave of them. What lies outside counts at the ends; `bins` are
/// the whole histogram, `from..=to` the bins that the range holds.
pub fn divergence(bins: &[u64], from: usize, to: usize) -> f64 {
    let inside = &bins[from..=to];
    let total: u64 = bins.iter().sum();
    let held: u64 = inside.iter().sum();
    let (below, above): (u64, u64) = (bins[..from].iter().sum(), bins[to + 1..].iter().sum());
    if held == 0 {
        return f64::INFINITY;
    }
    let (total, held) = (total as f64, held as f64);
    let (width, last) = (inside.len(), inside.len() - 1);
    // P ln P, bin by bin, and P ln Q, step by step: within a step Q is one value at all bins that hold anything.
    let mut divergence = 0.0;
    let (mut at, levels) = (0, LEVELS.min(width));
    for level in 0..levels {
        let end = (level + 1) * width / levels;
        let (mut p_sum, mut q_sum, mut filled) = (0.0, 0.0, 0u32);
        for (bin, &n) in inside[at..end].iter().enumerate().map(|(i, n)| (at + i, n)) {
            let clipped = if bin == 0 { below } else { 0 } + if bin == last { above } else { 0 };
            let p = (n + clipped) as f64 / total;
            if p > 0.0 {
                divergence += p * libm::log(p);
                filled += 1;
            }
            p_sum += p;
            q_sum += n as f64 / held;
        }
        if p_sum > 0.0 {
            // Where only clipped values lie there is no Q; a millionth stands for it.
            divergence -= p_sum * libm::log(q_sum.max(1e-6) / f64::from(filled.max(1)));
        }
        at = end;
    }
    divergence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_where_each_bin_has_its_step() {
        assert!(divergence(&[5; 256], 0, 255).abs() < 1e-12);
        assert!(divergence(&[5; 2048], 0, 2047).abs() < 1e-12, "even values stay even");
    }

    #[test]
    fn clipping_and_coarse_steps_both_cost() {
        // A peak, and one value far away.
        let peak = |i: i64| 1_000_000 / (1 + (i - 300).pow(4) / 160_000).unsigned_abs();
        let bell: Vec<u64> = (0..2048).map(|i| if i < 500 { peak(i) } else { u64::from(i == 2047) }).collect();
        let (all, some, few) = (divergence(&bell, 0, 2047), divergence(&bell, 0, 1000), divergence(&bell, 290, 310));
        assert!(some < all && some < few, "{all} {some} {few}");
        assert_eq!(divergence(&[0, 0, 7], 0, 1), f64::INFINITY);
    }
}
