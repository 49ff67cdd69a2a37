//! Layers against their definitions, and what they are for: gradients that arrive.

use escarp_trainer::{
    layers::{
        InputGradient,
        conv::{Conv, ConvBuffers},
    },
    nets::{Arch, Net, loss::Targets},
};
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(shape: [usize; 4], rng: &mut ChaCha8Rng) -> ArrayD<f64> {
    ArrayD::from_shape_fn(&shape[..], |_| rng.random_range(-1.0..1.0))
}

/// Calls `visit(output pixel, kernel tap, input pixel)` for every product of the definition.
fn products(conv: &Conv<f64>, size: [usize; 2], out: [usize; 2], mut visit: impl FnMut([usize; 2], usize, [usize; 2])) {
    for y in 0..out[0] {
        for x in 0..out[1] {
            for tap in 0..conv.kernel * conv.kernel {
                let (v, u) = (y * conv.stride + tap / conv.kernel, x * conv.stride + tap % conv.kernel);
                let (Some(v), Some(u)) = (v.checked_sub(conv.padding), u.checked_sub(conv.padding)) else { continue };
                if v < size[0] && u < size[1] {
                    visit([y, x], tap, [v, u]);
                }
            }
        }
    }
}

#[test]
fn convolutions_of_any_kernel_and_stride_are_their_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut buffers = ConvBuffers::default(); // Shared, so that remains of one convolution would show in the next.
    for (kernel, stride) in
        [(1, 1), (3, 1), (5, 1), (7, 1), (1, 2), (3, 2), (5, 2), (7, 2), (1, 3), (3, 3), (5, 3), (3, 4)]
    {
        for [h, w] in [[8, 8], [9, 7], [7, 12], [11, 10]] {
            let (batch, inputs, outputs) = (18, 2, 3);
            let taps = kernel * kernel;
            let weight: Vec<f64> = (0..taps * inputs * outputs).map(|_| rng.random_range(-1.0..1.0)).collect();
            let mut conv = Conv::new(weight.clone(), inputs, outputs, kernel, stride);
            let x = random([batch, h, w, inputs], &mut rng);
            let mut y = ArrayD::zeros(vec![0]);
            conv.forward(&x, &mut y, &mut buffers);
            let out = [(h - 1) / stride + 1, (w - 1) / stride + 1];
            assert_eq!(y.shape(), [batch, out[0], out[1], outputs], "kernel {kernel} stride {stride}");

            let dy = random([batch, out[0], out[1], outputs], &mut rng);
            let start = random([batch, h, w, inputs], &mut rng);
            let mut dx = start.clone();
            conv.backward(&x, &dy, &mut InputGradient::Add(&mut dx), &mut buffers);
            let mut written = ArrayD::zeros(vec![0]);
            conv.backward(&x, &dy, &mut InputGradient::Write(&mut written), &mut buffers);

            let (mut y0, mut dw0, mut dx0) = (ArrayD::zeros(y.raw_dim()), vec![0.0; weight.len()], start.clone());
            products(&conv, [h, w], out, |p, tap, q| {
                for b in 0..batch {
                    for i in 0..inputs {
                        for o in 0..outputs {
                            let at = (tap * inputs + i) * outputs + o;
                            y0[[b, p[0], p[1], o]] += x[[b, q[0], q[1], i]] * weight[at];
                            dw0[at] += x[[b, q[0], q[1], i]] * dy[[b, p[0], p[1], o]];
                            dx0[[b, q[0], q[1], i]] += dy[[b, p[0], p[1], o]] * weight[at];
                        }
                    }
                }
            });
            let far = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let flat = |a: &ArrayD<f64>| a.iter().copied().collect::<Vec<_>>();
            for (what, error) in [
                ("output", far(&flat(&y), &flat(&y0))),
                ("weight gradient", far(&conv.weight.gradient, &dw0)),
                ("input gradient, added", far(&flat(&dx), &flat(&dx0))),
                ("input gradient, written", far(&flat(&written), &flat(&(&dx0 - &start)))),
            ] {
                assert!(error < 1e-10, "{what}, kernel {kernel}, stride {stride}, {h}x{w}: {error:e}");
            }
        }
    }
}

/// Gradient norm of each matrix or kernel, from the input on.
fn gradient_norms(arch: &Arch, batch: usize) -> Vec<(String, f64)> {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut net = Net::new(arch, &mut rng).expect("a sound architecture");
    let x = ArrayD::from_shape_fn(arch.input_shape(batch), |_| rng.random_range(-1.7f32..1.7));
    let labels: Vec<usize> = (0..batch).map(|i| i % arch.classes).collect();
    net.gradients(&x, Targets::Classes(&labels), 0.0).expect("shapes fit");
    let size = |g: &[f32]| g.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
    net.parameters().iter().filter(|p| p.decay).map(|p| (p.name.clone(), size(p.gradient))).collect()
}

#[test]
fn gradients_reach_the_first_of_fifty_layers() {
    // 8 blocks a stage: 50 layers with weights.
    let arch = Arch::resnet(8, 8, [16, 16, 3], 4);
    let sizes = gradient_norms(&arch, 8);
    let kernels: Vec<_> = sizes.iter().filter(|(name, _)| name.ends_with("conv.weight")).collect();
    assert_eq!(sizes.len(), 50 + 2, "two of the shortcuts are projections");
    let (first, last) = (kernels[0].1, kernels[kernels.len() - 1].1);
    // AutoTrainer (ICSE 2021) calls a ratio above 70 exploding and below 1e-3 vanishing.
    assert!((0.02..50.0).contains(&(first / last)), "first {first:e}, last {last:e}");
}

#[test]
fn gradients_survive_two_hundred_frames() {
    // Only the first frame differs from zero: whatever W learns has come back through all 200 steps.
    let arch = Arch::gru(4, 32, 1, 200, 4);
    let size = |frames_before: usize| {
        let mut net = Net::new(&arch, &mut ChaCha8Rng::seed_from_u64(10)).expect("a sound architecture");
        // A gate biased towards keeping is what the update gate learns first; here it is given.
        net.parameters()[2].value[..32].fill(6.0);
        let mut x = ArrayD::zeros(arch.input_shape(1));
        x.slice_mut(ndarray::s![0, 199 - frames_before, ..]).fill(1.0f32);
        net.gradients(&x, Targets::Classes(&[1]), 0.0).expect("shapes fit");
        net.parameters()[0].gradient.iter().map(|&g| f64::from(g * g)).sum::<f64>().sqrt()
    };
    let (near, distant) = (size(0), size(199));
    assert!(distant > 0.2 * near, "last frame {near:e}, first frame {distant:e}");
}
