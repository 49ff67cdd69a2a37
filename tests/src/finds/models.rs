//! Model files, by the runtime's own writer.

use escarp_runtime::{
    TensorId,
    meta::{Tag, emit_entry},
    ops::{AddStep, Combine, PoolStep, Step},
};

use crate::fuzz::seeds::writer::Writer;

fn vector(net: &mut Writer) -> TensorId {
    net.tensor([1, 1, 8], 1.0, 0)
}

fn add(a: TensorId, b: TensorId, output: TensorId) -> Step {
    Step::from(AddStep { combine: Combine::Sum, a, b, output, multipliers: [4096; 2], min: -128, max: 127 })
}

pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("stale", stale()),
        ("nosteps", no_steps()),
        ("poolbomb", pool_bomb()),
        ("arena2g", large_arena()),
        ("evil-model", evil()),
    ]
}

/// The second operand is written by nobody.
fn stale() -> Vec<u8> {
    let mut net = Writer::default();
    let (x, nobody, y) = (vector(&mut net), vector(&mut net), vector(&mut net));
    net.steps.push(add(x, nobody, y));
    net.finish(x, y, 1)
}

/// So is the output.
fn no_steps() -> Vec<u8> {
    let mut net = Writer::default();
    let (x, y) = (vector(&mut net), vector(&mut net));
    net.finish(x, y, 1)
}

/// A window of 65535 x 65535 on a small image.
fn pool_bomb() -> Vec<u8> {
    let mut net = Writer::default();
    let (input, output) = (net.tensor([16, 16, 8], 1.0, 0), vector(&mut net));
    net.steps.push(Step::from(PoolStep {
        input,
        output,
        kernel: [u16::MAX; 2],
        stride: [255; 2],
        pad: [255; 2],
        average: None,
        min: -128,
        max: 127,
    }));
    net.finish(input, output, 1)
}

/// 2 GB of arena for a sum of eight numbers.
fn large_arena() -> Vec<u8> {
    let mut net = Writer::default();
    let (x, y) = (vector(&mut net), vector(&mut net));
    net.tensor([16_000, 16_000, 8], 1.0, 0);
    net.steps.push(add(x, x, y));
    net.finish(x, y, 1)
}

/// What a terminal would obey.
fn evil() -> Vec<u8> {
    let mut net = Writer::default();
    let (x, y) = (vector(&mut net), vector(&mut net));
    net.steps.push(add(x, x, y));
    emit_entry(&mut net.meta, Tag::Provenance, 0, b"k\x1b]0;x\x07: v\x1b[31m<script>alert(1)</script>");
    net.finish(x, y, 1)
}
