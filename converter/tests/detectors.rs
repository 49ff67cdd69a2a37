//! Detectors that people use, on the photographs they ship with: after the models' own decoding and non-maximum suppression, the int8
//! file finds the boxes that the float network finds. Skipped, loudly, where `../shared` is absent.

use std::{io::Write, path::PathBuf};

use escarp_converter::{
    Converted, Options, Samples, convert, files, float_runner,
    front_end::{self, Pixels},
    graph::Graph,
    part::Part,
    read,
};
use prost::Message;
use tract_onnx::pb;

use escarp_runtime::{Model, Session, frontend::quantize};

/// A box with its score: left, top, right, bottom in parts of the image.
#[derive(Clone, Copy, Debug)]
struct Found {
    score: f32,
    corners: [f32; 4],
    class: usize,
}

fn overlap(a: &Found, b: &Found) -> f32 {
    let side = |i: usize| (a.corners[i + 2].min(b.corners[i + 2]) - a.corners[i].max(b.corners[i])).max(0.0);
    let area = |f: &Found| (f.corners[2] - f.corners[0]).max(0.0) * (f.corners[3] - f.corners[1]).max(0.0);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both).max(1e-12)
}

/// Greedy non-maximum suppression, class by class.
fn suppressed(mut all: Vec<Found>, limit: f32) -> Vec<Found> {
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Found> = vec![];
    for found in all {
        if kept.iter().all(|k| k.class != found.class || overlap(k, &found) <= limit) {
            kept.push(found);
        }
    }
    kept
}

/// A detector: its file, its photographs, what it takes for a pixel, and what its outputs mean.
struct Detector {
    file: &'static str,
    photos: &'static str,
    pixels: &'static str,
    /// Where it is cut; nowhere if empty.
    outputs: &'static [&'static str],
    decode: fn(&Graph, &pb::GraphProto, &[Vec<f32>]) -> Vec<Found>,
    /// So many of 1,000 boxes at least are found again.
    again: usize,
    /// Boxes that float does not have.
    invented: usize,
    /// Overlap above which the weaker box is dropped.
    limit: f32,
}

/// YuNet: cls, obj, bbox and kps at strides 8, 16 and 32 of 320 x 320; the score is sqrt(cls * obj)
/// (OpenCV, modules/objdetect/src/face_detect.cpp).
fn yunet(_: &Graph, _: &pb::GraphProto, outputs: &[Vec<f32>]) -> Vec<Found> {
    let mut all = vec![];
    for (level, stride) in [8usize, 16, 32].into_iter().enumerate() {
        let (columns, s) = (320 / stride, stride as f32 / 320.0);
        let [cls, obj, boxes] = [0, 3, 6].map(|kind| &outputs[kind + level]);
        for (at, (c, o)) in cls.iter().zip(obj).enumerate() {
            let score = (c.clamp(0.0, 1.0) * o.clamp(0.0, 1.0)).sqrt();
            let b = &boxes[4 * at..4 * at + 4];
            let (x, y) = ((at % columns) as f32 + b[0], (at / columns) as f32 + b[1]);
            let (w, h) = (b[2].exp() / 2.0, b[3].exp() / 2.0);
            all.push(Found { score, corners: [x - w, y - h, x + w, y + h].map(|v| v * s), class: 0 });
        }
    }
    all
}

/// RFB-320: scores of background and face, corners already decoded.
fn rfb(_: &Graph, _: &pb::GraphProto, outputs: &[Vec<f32>]) -> Vec<Found> {
    let pairs = outputs[0].chunks_exact(2).zip(outputs[1].as_chunks::<4>().0);
    pairs.map(|(scores, &corners)| Found { score: scores[1], corners, class: 0 }).collect()
}

/// FastestDet: objectness, box and 80 classes for each of 22 x 22 cells; the score is obj^0.6 * class^0.4
/// (dog-qiuqiu/FastestDet, utils/tool.py).
fn fastestdet(graph: &Graph, _: &pb::GraphProto, outputs: &[Vec<f32>]) -> Vec<Found> {
    let [rows, columns, channels] = graph.shape(graph.output());
    cells(&outputs[0], [rows, columns, channels])
}

fn fastestdet_cut(graph: &Graph, _: &pb::GraphProto, outputs: &[Vec<f32>]) -> Vec<Found> {
    let [rows, columns, _] = graph.shape(graph.output());
    let lanes = outputs[0].iter().zip(outputs[1].chunks_exact(4)).zip(outputs[2].chunks_exact(80));
    let joined: Vec<f32> = lanes.flat_map(|((o, b), c)| [&[*o], b, c].concat()).collect();
    cells(&joined, [rows, columns, 85])
}

fn cells(values: &[f32], [rows, columns, channels]: [usize; 3]) -> Vec<Found> {
    let cell = |(at, values): (usize, &[f32])| {
        let (class, best) =
            values[5..].iter().enumerate().fold((0, 0.0f32), |m, (i, &v)| if v > m.1 { (i, v) } else { m });
        let score = values[0].max(0.0).powf(0.6) * best.max(0.0).powf(0.4);
        let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
        let x = ((at % columns) as f32 + values[1].tanh()) / columns as f32;
        let y = ((at / columns) as f32 + values[2].tanh()) / rows as f32;
        let (w, h) = (sigmoid(values[3]) / 2.0, sigmoid(values[4]) / 2.0);
        Found { score, corners: [x - w, y - h, x + w, y + h], class }
    };
    values.chunks_exact(channels).enumerate().map(cell).collect()
}

/// RFB-320, cut before its decoding: centre and size of each box, in variances of 0.1 and 0.2 of its prior (SSD, Liu et al. 2016). The
/// priors are constants of what was cut off.
fn rfb_cut(_: &Graph, onnx: &pb::GraphProto, outputs: &[Vec<f32>]) -> Vec<Found> {
    let [sizes, centres] = ["465", "467"].map(|name| constant(onnx, name));
    let boxes = outputs[0].chunks_exact(2).zip(outputs[1].as_chunks::<4>().0);
    let priors = sizes.as_chunks::<2>().0.iter().zip(centres.as_chunks::<2>().0);
    let decoded = boxes.zip(priors).map(|((scores, l), (size, centre))| {
        let [x, y] = [0, 1].map(|i| centre[i] + 0.1 * l[i] * size[i]);
        let [w, h] = [0, 1].map(|i| size[i] * (0.2 * l[i + 2]).exp() / 2.0);
        Found { score: scores[1], corners: [x - w, y - h, x + w, y + h], class: 0 }
    });
    decoded.collect()
}

/// The floats of a Constant node.
fn constant(onnx: &pb::GraphProto, name: &str) -> Vec<f32> {
    let node = onnx.node.iter().find(|n| n.output.iter().any(|o| o == name)).expect("the node exists");
    let tensor = node.attribute[0].t.as_ref().expect("a tensor");
    tensor.raw_data.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

const RFB_PIXELS: &str = "mean=0.498039,0.498039,0.498039,std=0.501961,0.501961,0.501961";

const DETECTORS: &[Detector] = &[
    Detector {
        file: "yunet_n_320",
        photos: "faces",
        pixels: "bgr:0..255",
        outputs: &[],
        decode: yunet,
        again: 970,
        invented: 0,
        limit: 0.3,
    },
    Detector {
        file: "rfb320",
        photos: "faces",
        pixels: RFB_PIXELS,
        outputs: &["scores", "460"],
        decode: rfb_cut,
        again: 970,
        invented: 0,
        limit: 0.3,
    },
    // As it is: corners in 255 steps of the image are coarse for small faces.
    Detector {
        file: "rfb320",
        photos: "faces",
        pixels: RFB_PIXELS,
        outputs: &[],
        decode: rfb,
        again: 900,
        invented: 20,
        limit: 0.3,
    },
    // Objectness, box and classes in tensors of their own: joined they share one scale.
    Detector {
        file: "fastestdet",
        photos: "photos",
        pixels: "bgr:0..1",
        outputs: &["onnx::Concat_744", "onnx::Concat_960", "onnx::Concat_757"],
        decode: fastestdet_cut,
        again: 900,
        invented: 1,
        limit: 0.45,
    },
    Detector {
        file: "fastestdet",
        photos: "photos",
        pixels: "bgr:0..1",
        outputs: &[],
        decode: fastestdet,
        again: 900,
        invented: 1,
        limit: 0.45,
    },
];

/// What the int8 file gives for a sample, in real numbers.
fn int8(converted: &Converted, sample: &[f32]) -> Vec<Vec<f32>> {
    let model = Model::parse(&converted.file).unwrap();
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, escarp_detect::detect()).unwrap();
    let input = model.input();
    let values: Vec<i8> = sample.iter().map(|&v| quantize(v, input.scale, input.zero_point)).collect();
    session.set_input(0, &values).unwrap();
    session.infer().unwrap();
    let real = |(at, port): (usize, escarp_runtime::Port)| {
        let (scale, zero) = (port.tensor.scale, f32::from(port.tensor.zero_point));
        session.output::<i8>(at).unwrap().iter().map(|&q| scale * (f32::from(q) - zero)).collect()
    };
    model.outputs().enumerate().map(real).collect()
}

#[test]
fn boxes_of_float_are_found_again() {
    let real = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/real");
    if !real.exists() {
        assert!(std::env::var("ESCARP_SHARED").as_deref() != Ok("required"), "{} is absent", real.display());
        writeln!(std::io::stderr(), "SKIPPED: {} is absent, no detector was tried", real.display()).ok();
        return;
    }
    let mut short = vec![];
    for Detector { file, photos, pixels, outputs, decode, again: least, invented: most, limit } in DETECTORS {
        let onnx = std::fs::read(real.join(file).with_extension("onnx")).unwrap();
        let Pixels { front_end, bgr } = front_end::parse_pixels(pixels, 3).unwrap();
        let part = Part { outputs: outputs.iter().map(|&o| o.into()).collect(), ..Part::default() };
        let options = Options { front_end: Some(front_end), bgr, part, ..Options::default() };
        let proto = pb::ModelProto::decode(&onnx[..]).unwrap().graph.unwrap();
        let graph = read(&onnx, &options).unwrap();
        let source = files::open(&real.join(photos), &graph, &[]).unwrap();
        let samples: &dyn Samples = source.samples();
        let converted = convert(&onnx, samples, &options).unwrap();
        let float = float_runner(&onnx, &converted.graph).unwrap();
        let (mut wanted, mut again, mut invented) = (0, 0, 0);
        for i in 0..samples.len() {
            let sample = samples.get(i).unwrap();
            let boxes = |outputs: &[Vec<f32>]| suppressed(decode(&converted.graph, &proto, outputs), *limit);
            let (float, int8) = (boxes(&float.run_all(&sample).unwrap()), boxes(&int8(&converted, &sample)));
            let near = |f: &Found, among: &[Found], least: f32| {
                among.iter().any(|o| o.class == f.class && o.score >= least && overlap(f, o) >= 0.7)
            };
            for found in float.iter().filter(|f| f.score > 0.6) {
                wanted += 1;
                again += usize::from(near(found, &int8, 0.0));
            }
            invented += int8.iter().filter(|f| f.score > 0.7 && !near(f, &float, 0.5)).count();
        }
        let line = format!("{file} {outputs:?}: {again} of {wanted} boxes found again, {invented} invented");
        writeln!(std::io::stderr(), "{line}").ok();
        if wanted == 0 || again * 1000 < wanted * least || invented > *most {
            short.push(line);
        }
    }
    assert!(short.is_empty(), "{short:#?}");
}
