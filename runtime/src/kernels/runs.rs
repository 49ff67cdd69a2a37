//! Which input channels a block of eight output channels reads.

/// Groups of a convolution's channels, at least two: the first `outputs` channels of the output come from the first `inputs`
/// channels of the input, the next from the next, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Channels that a group reads.
    pub inputs: u16,
    /// Channels that it makes.
    pub outputs: u16,
}

/// Runs of input channels: a block of eight output channels reads a run of [`Runs::span`] channels, from
/// [`Runs::start`] on. Both are multiples of 8, so that groups of any size are products of whole depth steps; weights of channels
/// that lie in a run but outside of the output's group are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    groups: Groups,
    span: usize,
    padded: usize,
}

impl Runs {
    /// Runs of a convolution of so many input channels, in groups or whole. Of groups that do not divide the channels, as a checked
    /// model has none, the channels that remain are left out; empty ones count as none.
    pub const fn new(groups: Option<Groups>, channels: u16) -> Runs {
        let padded = ceil8(if channels == 0 { 1 } else { channels as usize });
        match groups {
            Some(groups) if groups.inputs != 0 && groups.outputs != 0 => {
                Runs { groups, span: span(groups, channels as usize, padded), padded }
            }
            _ => Runs { groups: Groups { inputs: 0, outputs: 1 }, span: padded, padded },
        }
    }

    /// Channels of a run, a multiple of 8, at least 8: the most that any block needs.
    pub const fn span(&self) -> usize {
        self.span
    }

    /// The first channel of a block's run, a multiple of 8; all runs end within the padded channels.
    pub const fn start(&self, block: usize) -> usize {
        // `outputs` is not 0; this form leaves the compiler no panic to emit.
        let group = match block.saturating_mul(8).checked_div(self.groups.outputs as usize) {
            Some(group) => group,
            None => 0,
        };
        let first = floor8((self.groups.inputs as usize).saturating_mul(group));
        let last = self.padded - self.span;
        if first < last { first } else { last }
    }

    /// Input channels, padded to 8.
    pub(super) const fn padded(&self) -> usize {
        self.padded
    }
}

/// The most channels that a block needs, from the first of its first output's group to the last of its last output's, to whole
/// eights: at least 8, at most `padded`.
///
/// Only blocks that hold the last output of one of the first eight groups are looked at. No block that starts in the same group
/// reaches farther than the one that holds the group's last output; and eight groups on, outputs and inputs stand at the same
/// places of their eights again.
const fn span(Groups { inputs, outputs }: Groups, channels: usize, padded: usize) -> usize {
    let (inputs, outputs) = (inputs as usize, outputs as usize);
    let count = channels / inputs;
    let (mut most, mut group) = (8, 0);
    while group < count && group < 8 {
        group += 1;
        let block = (group * outputs - 1) / 8;
        let (first, last) = (8 * block / outputs, (8 * block + 7) / outputs);
        let last = if last < count { last } else { count - 1 };
        let span = ceil8(inputs * (last + 1)) - floor8(inputs * first);
        if span > most {
            most = span;
        }
    }
    if most < padded { most } else { padded }
}

const fn floor8(n: usize) -> usize {
    n / 8 * 8
}

const fn ceil8(n: usize) -> usize {
    n.next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every block of every small convolution: the span is the most that one needs, and each finds what it needs in its run.
    #[test]
    fn runs_hold_what_blocks_need() {
        for (inputs, outputs) in (1..=26usize).flat_map(|inputs| (1..=26).map(move |outputs| (inputs, outputs))) {
            for count in (2..=20).chain([33]) {
                let (channels, made) = (inputs * count, outputs * count);
                let groups = Groups { inputs: inputs as u16, outputs: outputs as u16 };
                let runs = Runs::new(Some(groups), channels as u16);
                let padded = channels.next_multiple_of(8);
                let mut most = 0;
                for block in 0..made.div_ceil(8) {
                    let from = floor8(inputs * (8 * block / outputs));
                    let to = ceil8(inputs * ((8 * block + 7).min(made - 1) / outputs + 1));
                    most = most.max(to - from);
                    let start = runs.start(block);
                    assert_eq!(start, from.min(padded - runs.span()));
                    assert!(start <= from && to <= start + runs.span() && start + runs.span() <= padded);
                    assert_eq!(start % 8, 0);
                }
                assert_eq!(runs.span(), most, "{groups:?} x {count}");
            }
        }
    }

    #[test]
    fn by_hand() {
        let runs = |inputs, outputs, channels| Runs::new(Some(Groups { inputs, outputs }), channels);
        // ResNeXt: 32 groups of 4 channels. A block is two groups.
        let narrow = runs(4, 4, 128);
        assert_eq!((narrow.span(), [0, 1, 15].map(|block| narrow.start(block))), (8, [0, 8, 120]));
        // Three groups of 3 channels make 5 each: block 0 reads channels 0 to 5, block 1 channels 3 to 8.
        let odd = runs(3, 5, 9);
        assert_eq!((odd.span(), [0, 1].map(|block| odd.start(block))), (16, [0, 0]));
        // Two groups of 24 channels that make 16 each.
        let wide = runs(24, 16, 48);
        assert_eq!((wide.span(), [0, 1, 2, 3].map(|block| wide.start(block))), (24, [0, 0, 24, 24]));
    }

    /// What no checked model has still keeps within the channels.
    #[test]
    fn any_numbers() {
        let whole = Runs::new(None, 9);
        assert_eq!((whole.span(), whole.start(0), whole.start(1000)), (16, 0, 0));
        let numbers = [0, 1, 2, 3, 7, 8, 9, 100, 32768, 65534, 65535];
        for (inputs, outputs) in numbers.into_iter().flat_map(|inputs| numbers.map(|outputs| (inputs, outputs))) {
            for channels in numbers {
                let runs = Runs::new(Some(Groups { inputs, outputs }), channels);
                for block in [0, 1, 2, 100, 8191, 1 << 20] {
                    assert!(runs.start(block) + runs.span() <= runs.padded());
                }
                assert!(runs.span() >= 8 && runs.span().is_multiple_of(8));
            }
        }
    }
}
