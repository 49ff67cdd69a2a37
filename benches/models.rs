//! Whole networks, one decision at a time: our runtime on the portable kernels and on this machine's best, and tract running
//! the same ONNX file in f32 in the same run, one thread each.
//!
//! The networks are our trainer's, with fresh weights, and those of `../shared/models` (PyTorch's and Keras's); without that
//! folder the run says so, or fails with `ESCARP_SHARED=required`.

use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use escarp_benches::{cpus, criterion, values};
use escarp_converter::{Options, convert, float_runner, metadata::Metadata, read, samples::InMemory};
use escarp_runtime::{Model, Session};
use escarp_trainer::{
    engine::random::{Purpose, stream},
    nets::{Arch, Net, export::export},
};

/// Samples to calibrate on. Generated ones: time depends on shapes alone, and accuracy is measured elsewhere.
const SAMPLES: usize = 8;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models")
}

fn bench(c: &mut Criterion, name: &str, onnx: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let options = Options { name: name.into(), ..Options::default() };
    let graph = read(onnx, &options)?;
    let sample_len = graph.steps * graph.shape(graph.input()).iter().product::<usize>();
    let samples = values(SAMPLES * sample_len, -128).into_iter().map(f32::from).collect();
    let samples = InMemory { values: samples, sample_len, labels: Vec::new(), source: "generated".into() };
    let file = convert(onnx, &samples, &options)?.file;
    let model = Model::parse(&file)?;

    let mut group = c.benchmark_group(format!("models/{name}"));
    let steps = usize::from(model.sequence());
    group.throughput(Throughput::Elements(model.macs() * steps as u64));
    let step_len = model.input().elements() as usize;
    let input = values(steps * step_len, -128);
    for cpu in cpus() {
        let mut arena = vec![0; model.arena_len()];
        let mut session = Session::new(&model, &mut arena, cpu)?;
        group.bench_function(BenchmarkId::from_parameter(cpu.isa().name()), |b| {
            b.iter(|| {
                session.reset();
                for step in input.chunks_exact(step_len) {
                    session.run(step).expect("the length is the model's");
                }
            });
        });
    }
    let tract = float_runner(onnx, &graph)?;
    let sample = &samples.values[..sample_len];
    group.bench_function(BenchmarkId::from_parameter("tract-f32"), |b| {
        b.iter(|| tract.run(sample).expect("tract ran it when it was converted"));
    });
    group.finish();
    Ok(())
}

fn whole(c: &mut Criterion) {
    let resnet = |blocks| Arch::resnet(blocks, 16, [32, 32, 3], 10);
    let gru = |hidden| Arch::gru(32, hidden, 1, 64, 10);
    for (name, arch) in [("own-resnet8", resnet(1)), ("own-resnet20", resnet(3)), ("own-gru-128", gru(128))] {
        let net = Net::new(&arch, &mut stream(0, Purpose::Weights, 0, 0)).expect("a net that the command line offers");
        let onnx = export(&net, &Metadata::default()).expect("fresh weights are finite");
        bench(c, name, &onnx).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (name, file) in [
        ("resnet8", "mlperf-tiny/resnet8-cifar10.onnx"),
        ("gru-64", "rnn/gru-h64.onnx"),
        ("gru-128", "rnn/gru-h128.onnx"),
    ] {
        let path = folder().join(file);
        match std::fs::read(&path) {
            Err(error) if std::env::var("ESCARP_SHARED").is_ok_and(|wish| wish == "required") => {
                panic!("ESCARP_SHARED=required, but {}: {error}", path.display())
            }
            Err(error) => eprintln!("SKIPPED models/{name}: {}: {error}", path.display()),
            Ok(onnx) => bench(c, name, &onnx).unwrap_or_else(|error| panic!("{name}: {error}")),
        }
    }
}

criterion_group! { name = models; config = criterion(); targets = whole }
criterion_main!(models);
