//! `escarp-convert check`: where a model file and a network part.

mod build;
mod shop;

use std::{fs, process::Output};

use build::{Numbers, Onnx, int};
use escarp_media::Npy;
use shop::{WHOLE, Workshop, network};

/// What was said, with its exit code.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// A check of `net.escarp` with these arguments ends with that code and says all of this.
fn check(shop: &Workshop, arguments: &[&str], code: i32, says: &[&str]) -> String {
    let (ended, text) = said(&shop.convert(&[&["check", "net.escarp"], arguments].concat()));
    assert_eq!(ended, Some(code), "{text}");
    for part in says {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    text
}

fn made() -> Workshop {
    let shop = Workshop::new();
    let (code, text) = said(&shop.convert(&WHOLE));
    assert_eq!(code, Some(0), "{text}");
    shop
}

#[test]
fn a_file_computes_its_network() {
    let shop = made();
    let text =
        check(&shop, &["net.onnx", "--samples", "images"], 0, &["they compute the same", "Conv+Relu", "samples  16"]);
    assert!(!text.contains("<-"), "{text}");
    check(&shop, &["net.onnx", "--samples", "images", "--limit", "3", "--pixels", "0..1"], 0, &["samples  3"]);
    // Another front end is said, and what comes of it.
    check(
        &shop,
        &["net.onnx", "--samples", "images", "--pixels", "0..255"],
        1,
        &["front end: the file has Pixels", "lie beyond"],
    );
}

#[test]
fn other_weights_are_found_where_they_are() {
    let shop = made();
    fs::write(shop.path("first.onnx"), network(7, 6, 4)).unwrap();
    fs::write(shop.path("last.onnx"), network(5, 8, 4)).unwrap();
    fs::write(shop.path("wide.onnx"), network(5, 6, 5)).unwrap();
    let samples = ["--samples", "images"];
    check(
        &shop,
        &[&["first.onnx"], &samples[..]].concat(),
        1,
        &["they part at layer 0, `node_c`", "<- here they part"],
    );
    check(&shop, &[&["last.onnx"], &samples[..]].concat(), 1, &["they part at layer 2, `node_m`"]);
    check(
        &shop,
        &[&["wide.onnx"], &samples[..]].concat(),
        1,
        &["not built alike: layer 0: the file makes 8x8x4 by conv, the network 8x8x5"],
    );
    check(
        &shop,
        &[&["net.onnx", "--outputs", "r"], &samples[..]].concat(),
        1,
        &["the file has 3 layers, the network 1", "outputs: the file has `y`, the network `r`"],
    );
}

#[test]
fn channels_in_another_order() {
    let shop = Workshop::new();
    let bgr = WHOLE.map(|argument| if argument == "0..1" { "bgr:0..1" } else { argument });
    assert_eq!(said(&shop.convert(&bgr)).0, Some(0));
    check(&shop, &["net.onnx", "--samples", "images", "--pixels", "bgr:0..1"], 0, &["they compute the same"]);
    check(&shop, &["net.onnx", "--samples", "images"], 1, &["they part at layer 0", "bgr:"]);
}

#[test]
fn sequences_with_a_state() {
    let shop = Workshop::new();
    let gru = |seed: u64| {
        let mut numbers = Numbers::new(seed);
        Onnx::open(&[0, 1, 5])
            .floats("w", &[1, 12, 5], numbers.take(60))
            .floats("r", &[1, 12, 4], numbers.take(48))
            .node("GRU", &["x", "w", "r"], ",h", vec![int("hidden_size", 4)])
            .ints("axes", &[0])
            .node("Squeeze", &["h", "axes"], "q", vec![])
            .floats("fc", &[4, 3], Numbers::new(1).take(12))
            .node("MatMul", &["q", "fc"], "y", vec![])
            .bytes()
    };
    fs::write(shop.path("net.onnx"), gru(3)).unwrap();
    fs::write(shop.path("other.onnx"), gru(4)).unwrap();
    fs::write(shop.path("x.npy"), Npy::encode_f32(&[20, 6, 5], &Numbers::new(2).take(600))).unwrap();
    let arguments = ["net.onnx", "--samples", "x.npy", "-o", "net.escarp"];
    assert_eq!(said(&shop.convert(&arguments)).0, Some(0));
    check(&shop, &["net.onnx", "--samples", "x.npy"], 0, &["they compute the same"]);
    check(&shop, &["other.onnx", "--samples", "x.npy"], 1, &["they part at layer 0"]);
}

#[test]
fn wrong_orders_are_told() {
    let shop = made();
    shop.fails(
        &["check", "net.onnx", "net.escarp", "--samples", "images"],
        2,
        &["net.onnx is a network as ONNX; needed here: a model file"],
    );
    shop.fails(
        &["check", "net.escarp", "net.escarp", "--samples", "images"],
        2,
        &["net.escarp is a model file; needed second"],
    );
    shop.fails(&["check", "net.escarp", "net.onnx"], 2, &["--samples"]);
    shop.fails(&["check", "none.escarp", "net.onnx", "--samples", "images"], 1, &["none.escarp"]);
    fs::write(shop.path("bad.escarp"), [1, 2, 3]).unwrap();
    shop.fails(
        &["check", "bad.escarp", "net.onnx", "--samples", "images"],
        1,
        &["bad.escarp: ", "the runtime refuses the file"],
    );
    shop.fails(&["check", "net.escarp", "images/cat/0.png", "--samples", "images"], 1, &["images/cat/0.png: ONNX"]);
}

/// Channels that the conversion has brought together are not taken for another network's.
#[test]
fn channels_brought_together() {
    let uneven: Vec<f32> = Numbers::new(3)
        .take(16 * 27)
        .iter()
        .enumerate()
        .map(|(i, w)| if i / 27 % 4 == 0 { *w } else { w / 40.0 })
        .collect();
    let shop = Workshop::new();
    let net = |gain: f32| {
        Onnx::new(&[1, 3, 8, 8], &[1, 2])
            .floats("w", &[16, 3, 3, 3], uneven.clone())
            .floats("v", &[8, 16, 1, 1], Numbers::new(4).take(128).iter().map(|v| v * gain).collect())
            .floats("fc", &[8, 2], Numbers::new(6).take(16))
            .node("Conv", &["x", "w"], "c", vec![])
            .node("Relu", &["c"], "r", vec![])
            .node("Conv", &["r", "v"], "d", vec![])
            .node("Relu", &["d"], "s", vec![])
            .node("GlobalAveragePool", &["s"], "p", vec![])
            .node("Flatten", &["p"], "f", vec![])
            .node("MatMul", &["f", "fc"], "y", vec![])
            .bytes()
    };
    fs::write(shop.path("net.onnx"), net(1.0)).unwrap();
    fs::write(shop.path("other.onnx"), net(0.2)).unwrap();
    let (code, text) = said(&shop.convert(&WHOLE));
    assert!(code == Some(0) && text.contains("brought closer together"), "{text}");
    check(&shop, &["net.onnx", "--samples", "images"], 0, &["they compute the same", "tensors magnified"]);
    check(&shop, &["other.onnx", "--samples", "images"], 1, &["they part at layer"]);
}
