//! Milliseconds of a training step: `step_time {resnet|gru100|gru784|lstm100} BATCH STEPS`, threads by
//! `RAYON_NUM_THREADS`.
//!
//! The yardstick nets of the design: ResNet-8 on 32x32x3; GRU of 128 on 100 frames of 13 or 784 frames of 1, LSTM
//! of 128 on 100 frames of 13. On a busy machine compare CPU times; wall times mean something on an idle one only.
//! `benches/against_pytorch.py` runs it alternately with PyTorch.

use std::time::Instant;

use escarp_trainer::{
    nets::{Arch, Net, Shape, loss::Targets},
    optim::{Optimizer, Rule},
};
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let gru = |inputs, frames| Arch::gru(inputs, 128, 1, frames, 10);
    let arch = match arguments.first().map(String::as_str) {
        Some("resnet") => Some(Arch::resnet(1, 16, [32, 32, 3], 10)),
        Some("gru100") => Some(gru(13, 100)),
        Some("gru784") => Some(gru(1, 784)),
        Some("lstm100") => {
            let layers = serde_json::from_str(r#"[{"kind": "lstm", "hidden": 128}, {"kind": "dense"}]"#);
            Some(Arch { input: Shape::Sequence([100, 13]), classes: 10, layers: layers.expect("sound layers") })
        }
        _ => None,
    };
    let number = |i: usize| arguments.get(i).and_then(|a| a.parse::<usize>().ok()).filter(|&n| n > 0);
    let (Some(arch), Some(batch), Some(steps)) = (arch, number(1), number(2)) else {
        eprintln!("usage: step_time {{resnet|gru100|gru784|lstm100}} BATCH STEPS");
        std::process::exit(2);
    };
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut net: Net = Net::new(&arch, &mut rng).expect("the yardstick nets are sound");
    let x = ArrayD::from_shape_fn(arch.input_shape(batch), |_| rng.random_range(-1.7f32..1.7));
    let labels: Vec<usize> = (0..batch).map(|i| i * 7 % 10).collect();
    let mut optimizer = Optimizer::new(Rule::sgd(1e-4));

    let (mut walls, mut cpu) = (Vec::new(), 0.0);
    for step in 0..steps + 2 {
        // Two steps to fill buffers and caches.
        if step == 2 {
            cpu = cpu_seconds();
        }
        let start = Instant::now();
        let stats = net.gradients(&x, Targets::Classes(&labels), 0.0).expect("shapes fit");
        optimizer.step(&mut net.parameters(), 0.01);
        walls.push(start.elapsed().as_secs_f64() * 1e3);
        if step == 0 || step == steps + 1 {
            println!("step {step}: loss {:.6}, gradient norm {:.6}", stats.loss, stats.gradient_norm);
        }
    }
    let cpu = (cpu_seconds() - cpu) * 1e3 / steps as f64;
    let walls = &mut walls[2..];
    walls.sort_by(f64::total_cmp);
    println!(
        "wall: median {:.2} ms, best {:.2} ms; CPU: {cpu:.2} ms a step; peak: {:.1} MB",
        walls[walls.len() / 2],
        walls[0],
        peak()
    );
}

/// Most memory that this process has had, in MB of 2^20 bytes; 0 where `/proc` does not tell.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// User and system time of this process; 0 where `/proc` does not tell.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15, in ticks of 10 ms, counted after the name in parentheses, which may contain blanks.
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    fields.skip(11).take(2).filter_map(|v| v.parse::<f64>().ok()).sum::<f64>() / 100.0
}
