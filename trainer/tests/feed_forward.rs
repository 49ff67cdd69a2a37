//! Feed-forward layers against central differences in double precision and against PyTorch's numbers.

use std::{collections::BTreeMap, path::Path};

use escarp_trainer::layers::{
    InputGradient, Layer, Mode, Noise, Pass,
    activation::{Activation, Function},
    add::Add,
    batch_norm::Normalization,
    conv::ConvBuffers,
    conv_norm::ConvNorm,
    conv_shape::ConvShape,
    convolution::Convolution,
    dense::Dense,
    dropout::Dropout,
    embedding::Embedding,
    flatten::Flatten,
    gate::Gate,
    global_average_pool::GlobalAveragePool,
    global_max_pool::GlobalMaxPool,
    window_pool::{Over, WindowPool},
};
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

type Boxed = Box<dyn Layer<f64>>;

fn random(shape: &[usize], rng: &mut ChaCha8Rng) -> ArrayD<f64> {
    ArrayD::from_shape_fn(shape, |_| rng.random_range(-1.5..1.5))
}

fn convolution(shape: ConvShape, rng: &mut ChaCha8Rng) -> Convolution<f64> {
    Convolution::new((0..shape.weights()).map(|_| rng.random_range(-1.0..1.0)).collect(), shape)
}

/// One layer with the memory it borrows.
struct Bench {
    layer: Boxed,
    buffers: ConvBuffers<f64>,
    lengths: Option<Vec<usize>>,
}

impl Bench {
    fn new(layer: Boxed) -> Self {
        Self { layer, buffers: ConvBuffers::default(), lengths: None }
    }

    fn forward(&mut self, inputs: &[ArrayD<f64>], mode: Mode) -> ArrayD<f64> {
        let noise = Noise { seed: 3, step: 5 };
        let mut pass = Pass { mode, lengths: self.lengths.as_deref(), noise, conv: &mut self.buffers };
        let mut y = ArrayD::zeros(vec![0]);
        self.layer.forward(&inputs.iter().collect::<Vec<_>>(), &mut y, &mut pass);
        y
    }

    /// Gradients of the inputs for the gradient `dy` of the output, written, or on top of `before`.
    fn backward(
        &mut self,
        inputs: &[ArrayD<f64>],
        y: &ArrayD<f64>,
        dy: &ArrayD<f64>,
        before: Option<&[ArrayD<f64>]>,
    ) -> Vec<ArrayD<f64>> {
        let noise = Noise { seed: 3, step: 5 };
        let lengths = self.lengths.as_deref();
        let mut pass = Pass { mode: Mode::Train, lengths, noise, conv: &mut self.buffers };
        let mut all: Vec<ArrayD<f64>> =
            before.map_or_else(|| vec![ArrayD::zeros(vec![0]); inputs.len()], <[_]>::to_vec);
        let mut dx: Vec<InputGradient<'_, f64>> = all
            .iter_mut()
            .map(|d| if before.is_some() { InputGradient::Add(d) } else { InputGradient::Write(d) })
            .collect();
        self.layer.backward(&inputs.iter().collect::<Vec<_>>(), y, &mut dy.clone(), &mut dx, &mut pass);
        all
    }

    fn gradients(&mut self) -> Vec<Vec<f64>> {
        let mut all = Vec::new();
        self.layer.parameters("layer", &mut all);
        all.iter().map(|p| p.gradient.to_vec()).collect()
    }

    fn shift(&mut self, parameter: usize, at: usize, by: f64) {
        let mut all = Vec::new();
        self.layer.parameters("layer", &mut all);
        all[parameter].value[at] += by;
    }
}

/// Every derivative by inputs and parameters of `sum c y` for random `c` against its central difference.
fn check(name: &str, layer: Boxed, mut inputs: Vec<ArrayD<f64>>, lengths: Option<Vec<usize>>) {
    const STEP: f64 = 1e-6;
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    let mut bench = Bench { lengths, ..Bench::new(layer) };
    let y = bench.forward(&inputs, Mode::Train);
    let c = random(y.shape(), &mut rng);
    let dx = bench.backward(&inputs, &y, &c, None);
    let gradients = bench.gradients();
    let before: Vec<ArrayD<f64>> = inputs.iter().map(|x| random(x.shape(), &mut rng)).collect();
    for ((sum, before), dx) in bench.backward(&inputs, &y, &c, Some(&before)).iter().zip(&before).zip(&dx) {
        assert!((sum - before - dx).iter().all(|e| e.abs() < 1e-12), "{name}: added to what was there");
    }
    let loss = |bench: &mut Bench, inputs: &[ArrayD<f64>]| (bench.forward(inputs, Mode::Train) * &c).sum();
    let compare = |what: &str, sides: [f64; 2], exact: f64| {
        let slope = (sides[0] - sides[1]) / (2.0 * STEP);
        assert!((slope - exact).abs() < 1e-7 * (1.0 + slope.abs()), "{name}, {what}: {exact} but measured {slope}");
    };
    assert!(dx.iter().all(|d| d.iter().any(|d| d.abs() > 1e-6)), "{name}: nothing but zeros proves nothing");
    for input in 0..inputs.len() {
        for at in 0..inputs[input].len() {
            let sides = [STEP, -STEP].map(|h| {
                inputs[input].as_slice_mut().expect("row-major")[at] += h;
                let loss = loss(&mut bench, &inputs);
                inputs[input].as_slice_mut().expect("row-major")[at] -= h;
                loss
            });
            compare(&format!("input {input}[{at}]"), sides, dx[input].as_slice().expect("row-major")[at]);
        }
    }
    for (parameter, gradient) in gradients.iter().enumerate() {
        for (at, &exact) in gradient.iter().enumerate() {
            let sides = [STEP, -STEP].map(|h| {
                bench.shift(parameter, at, h);
                let loss = loss(&mut bench, &inputs);
                bench.shift(parameter, at, -h);
                loss
            });
            compare(&format!("parameter {parameter}[{at}]"), sides, exact);
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(30);
    let rng = &mut rng;
    for (inputs, outputs, kernel, stride, padding, groups) in [
        (2, 3, 3, 1, 2, 1),
        (2, 3, 3, 2, 0, 1),
        (2, 2, 4, 3, 1, 1),
        (4, 6, 3, 2, 1, 2),
        (2, 4, 3, 1, 0, 2),
        (3, 3, 3, 1, 1, 3),
        (3, 3, 3, 2, 0, 3),
    ] {
        let shape = ConvShape { inputs, outputs, kernel, stride, padding, groups };
        for (normalize, relu) in [(false, false), (true, false), (false, true)] {
            let layer = ConvNorm::new(convolution(shape, rng), normalize, relu);
            let x = random(&[3, 6, 5, inputs], rng);
            check(&format!("{shape:?}, {normalize}, {relu}"), Box::new(layer), vec![x], None);
        }
    }
    for function in Function::ALL {
        let x = random(&[3, 7], rng) * 3.0;
        check(&format!("{function:?}"), Box::new(Activation::from(function)), vec![x], None);
    }
    for shape in [&[5, 3][..], &[3, 4, 2], &[2, 3, 2, 2]] {
        let layer = Normalization::new(*shape.last().expect("channels"));
        check("batch normalization", Box::new(layer), vec![random(shape, rng)], None);
    }
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 2), (2, 3, 1)] {
        for over in [Over::Max, Over::Average { include_padding: false }, Over::Average { include_padding: true }] {
            let layer = WindowPool::new(over, kernel, stride, padding);
            let name = format!("{over:?}, {kernel}, {stride}, {padding}");
            check(&name, Box::new(layer), vec![random(&[2, 6, 5, 2], rng)], None);
        }
    }
    for shape in [&[2, 3, 4, 2][..], &[2, 5, 3]] {
        let lengths = (shape.len() == 3).then(|| vec![2, 5]);
        check("global average", Box::<GlobalAveragePool>::default(), vec![random(shape, rng)], lengths.clone());
        check("global max", Box::new(GlobalMaxPool::default()), vec![random(shape, rng)], lengths);
        check("flatten", Box::new(Flatten), vec![random(shape, rng)], None);
        check("dropout", Box::new(Dropout::new(0.4, 2)), vec![random(shape, rng)], None);
        for relu in [false, true] {
            check("add", Box::new(Add { relu }), vec![random(shape, rng), random(shape, rng)], None);
        }
    }
    let map = random(&[3, 2, 5, 4], rng);
    check("global average, axes kept", Box::new(GlobalAveragePool { keep: true }), vec![map.clone()], None);
    check("gate", Box::new(Gate), vec![map, random(&[3, 1, 1, 4], rng)], None);
    let weight = random(&[12], rng).into_raw_vec_and_offset().0;
    check("dense", Box::new(Dense::new(weight, 3, 4)), vec![random(&[2, 5, 3], rng)], None);
}

/// A tensor of the golden file.
#[derive(Deserialize)]
struct Tensor {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Tensor {
    fn array(&self) -> ArrayD<f64> {
        ArrayD::from_shape_vec(self.shape.clone(), self.values.clone()).expect("as many values as the shape says")
    }

    fn assert_near(&self, name: &str, what: &str, got: &[f64]) {
        assert_eq!(got.len(), self.values.len(), "{name}, {what}");
        for (i, (got, wanted)) in got.iter().zip(&self.values).enumerate() {
            assert!((got - wanted).abs() < 1e-9 * (1.0 + wanted.abs()), "{name}, {what}[{i}]: {got}, PyTorch {wanted}");
        }
    }
}

/// A case of `golden/pytorch_layers.py`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    layer: String,
    numbers: BTreeMap<String, usize>,
    x: Tensor,
    parameters: Vec<Tensor>,
    dy: Tensor,
    y: Tensor,
    dx: Option<Tensor>,
    gradients: Vec<Tensor>,
    mean_before: Option<Tensor>,
    variance_before: Option<Tensor>,
    mean: Option<Tensor>,
    variance: Option<Tensor>,
    answered: Option<Tensor>,
}

impl Case {
    fn build(&self) -> Boxed {
        let n = |key: &str| self.numbers[key];
        let functions = ["relu", "leaky-relu", "sigmoid", "tanh", "silu", "hard-swish"];
        if let Some(i) = functions.iter().position(|f| *f == self.layer) {
            return Box::new(Activation::from(Function::ALL[i]));
        }
        let pool = |over| Box::new(WindowPool::new(over, n("kernel"), n("stride"), n("padding")));
        match self.layer.as_str() {
            "convolution" => {
                let shape = ConvShape {
                    inputs: n("inputs"),
                    outputs: n("outputs"),
                    kernel: n("kernel"),
                    stride: n("stride"),
                    padding: n("padding"),
                    groups: n("groups"),
                };
                Box::new(ConvNorm::new(Convolution::new(vec![0.0; shape.weights()], shape), false, false))
            }
            "batch-norm" => Box::new(Normalization::new(*self.x.shape.last().expect("channels"))),
            "max-pool" => pool(Over::Max),
            "average-pool" => pool(Over::Average { include_padding: n("include_padding") == 1 }),
            "global-average-pool" => Box::<GlobalAveragePool>::default(),
            "global-max-pool" => Box::new(GlobalMaxPool::default()),
            "dense" => {
                let [inputs, outputs] = self.parameters[0].shape[..] else { panic!("a matrix") };
                Box::new(Dense::new(vec![0.0; inputs * outputs], inputs, outputs))
            }
            "embedding" => {
                let outputs = self.parameters[0].shape[1];
                Box::new(Embedding::new(vec![0.0; self.parameters[0].values.len()], outputs))
            }
            other => panic!("no layer `{other}`"),
        }
    }
}

#[test]
fn layers_are_pytorch_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers.json");
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(&path).expect("the golden file")).expect("its form");
    assert_eq!(cases.len(), 32);
    for case in &cases {
        let name = format!("{} {:?}", case.layer, case.numbers);
        let mut bench = Bench::new(case.build());
        let mut all = Vec::new();
        bench.layer.parameters("layer", &mut all);
        for (p, given) in all.iter_mut().zip(&case.parameters) {
            p.value.copy_from_slice(&given.values);
        }
        assert_eq!(all.len(), case.parameters.len(), "{name}");
        let x = [case.x.array()];
        let mut buffers = Vec::new();
        bench.layer.buffers("layer", &mut buffers);
        for ((_, to), given) in buffers.iter_mut().zip([&case.mean_before, &case.variance_before]) {
            to.copy_from_slice(&given.as_ref().expect("statistics to start from").values);
        }
        if let Some(answered) = &case.answered {
            answered.assert_near(&name, "answer", bench.forward(&x, Mode::Evaluate).as_slice().expect("row-major"));
        }
        let y = bench.forward(&x, Mode::Train);
        assert_eq!(y.shape(), case.y.shape, "{name}");
        case.y.assert_near(&name, "output", y.as_slice().expect("row-major"));
        let dx = bench.backward(&x, &y, &case.dy.array(), None);
        if let Some(wanted) = &case.dx {
            wanted.assert_near(&name, "input gradient", dx[0].as_slice().expect("row-major"));
        }
        for (i, (got, wanted)) in bench.gradients().iter().zip(&case.gradients).enumerate() {
            wanted.assert_near(&name, &format!("gradient {i}"), got);
        }
        let mut buffers = Vec::new();
        bench.layer.buffers("layer", &mut buffers);
        for ((_, got), wanted) in buffers.iter().zip([&case.mean, &case.variance]) {
            wanted.as_ref().expect("statistics afterwards").assert_near(&name, "running statistics", got);
        }
    }
}

#[test]
fn dropout_drops_its_share_anew_in_each_step_and_nothing_in_answers() {
    let x = [ArrayD::from_elem(vec![40, 1000], 1.0f64)];
    let mut layer = Dropout::new(0.3, 1);
    let mut run = |mode, seed, step, place| {
        layer.place = place;
        let mut buffers = ConvBuffers::default();
        let mut pass = Pass { mode, lengths: None, noise: Noise { seed, step }, conv: &mut buffers };
        let mut y = ArrayD::zeros(vec![0]);
        layer.forward(&[&x[0]], &mut y, &mut pass);
        y
    };
    let here = run(Mode::Train, 1, 2, 3);
    let dropped = here.iter().filter(|v| **v == 0.0).count() as f64 / 40_000.0;
    assert!((dropped - 0.3).abs() < 0.01, "{dropped}");
    assert!(here.iter().all(|&v| v == 0.0 || (v - 1.0 / 0.7).abs() < 1e-12));
    assert_eq!(here, run(Mode::Train, 1, 2, 3));
    for other in [run(Mode::Train, 2, 2, 3), run(Mode::Train, 1, 3, 3), run(Mode::Train, 1, 2, 4)] {
        let same = here.iter().zip(&other).filter(|(a, b)| a == b).count() as f64 / 40_000.0;
        assert!((same - 0.58).abs() < 0.02, "independent masks agree in 0.7^2 + 0.3^2, not {same}");
    }
    assert_eq!(run(Mode::Evaluate, 1, 2, 3), x[0]);
}
