//! A network of several inputs, from its ONNX file to decisions, through the programs.

#[path = "../../converter/tests/build/mod.rs"]
mod build;

use std::{fs, path::Path, process::Output};

use build::{Numbers, Onnx, int};
use escarp_converter::{
    Options, convert,
    files::{Places, open_places},
    read,
};
use escarp_media::Npy;
use escarp_runtime::{Cpu, Model, Session, frontend::quantize};
use escarp_tests::{program, run, succeed};
use serde_json::Value;

const SAMPLES: usize = 12;

/// A map of 3 channels and a vector of 7 numbers go in.
fn network() -> Vec<u8> {
    Onnx::open(&[1, 3, 6, 5])
        .input("u", &[1, 7])
        .floats("w", &[10, 3, 3, 3], Numbers::new(1).take(270))
        .floats("v", &[7, 10], Numbers::new(2).take(70))
        .node("Conv", &["x", "w"], "c", vec![])
        .node("GlobalAveragePool", &["c"], "p", vec![])
        .node("Flatten", &["p"], "f", vec![])
        .node("MatMul", &["u", "v"], "m", vec![])
        .node("Concat", &["f", "m"], "y", vec![int("axis", 1)])
        .bytes()
}

/// The network and arrays of samples, `x.npy` in ONNX's arrangement.
fn shop() -> tempfile::TempDir {
    let shop = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(shop.path().join(name), bytes).unwrap();
    write("net.onnx", network());
    write("x.npy", Npy::encode_f32(&[SAMPLES, 3, 6, 5], &Numbers::new(3).take(SAMPLES * 90)));
    write("u.npy", Npy::encode_f32(&[SAMPLES, 7], &Numbers::new(4).take(SAMPLES * 7)));
    write("few.npy", Npy::encode_f32(&[2, 7], &Numbers::new(4).take(14)));
    shop
}

fn places(shop: &Path, text: &str) -> String {
    text.replace('@', &format!("{}/", shop.display()))
}

#[test]
fn programs_take_a_file_for_each_input() {
    let shop = shop();
    let at = |name: &str| places(shop.path(), &format!("@{name}"));
    let samples = places(shop.path(), "u=@u.npy,x=@x.npy");
    succeed(&program("escarp-convert"), [&at("net.onnx"), "--samples", &samples, "-o", &at("net.escarp")]);

    let options = Options { name: "net".into(), ..Options::default() };
    let graph = read(&network(), &options).unwrap();
    let source = open_places(&samples.parse::<Places>().unwrap(), &graph, &[]).unwrap();
    let converted = convert(&network(), source.samples(), &options).unwrap();
    let file = fs::read(at("net.escarp")).unwrap();
    assert!(file == converted.file, "the program converts as the library does");

    let (x, u) = (places(shop.path(), "x=@x.npy"), places(shop.path(), "u=@u.npy"));
    let printed = succeed(&program("escarp-run"), [&at("net.escarp"), "--json", &x, &u]);
    let swapped = succeed(&program("escarp-run"), [&at("net.escarp"), &u, &x, "--json"]);
    assert_eq!(printed, swapped, "the order of the files does not matter, their names do");

    let model = Model::parse(&file).unwrap();
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Cpu::compiled()).unwrap();
    assert_eq!(printed.lines().count(), SAMPLES);
    for (index, line) in printed.lines().enumerate() {
        let sample = source.samples().get(index).unwrap();
        let mut rest = &sample[..];
        for (input, port) in model.inputs().enumerate() {
            let (values, after) = rest.split_at(port.tensor.elements() as usize);
            let quantized: Vec<i8> =
                values.iter().map(|&v| quantize(v, port.tensor.scale, port.tensor.zero_point)).collect();
            session.set_input(input, &quantized).unwrap();
            rest = after;
        }
        session.infer().unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let numbers: Vec<i8> = serde_json::from_value(line["output"].clone()).unwrap();
        assert_eq!(session.output::<i8>(0).unwrap(), numbers, "decision {index}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let shop = shop();
    let at = |name: &str| places(shop.path(), &format!("@{name}"));
    let refused = |output: Output, code: i32, words: &[&str]| {
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{word} is not in: {said}"));
    };
    let converts = |samples: &str, words: &[&str]| {
        let samples = places(shop.path(), samples);
        let arguments = [&at("net.onnx"), "--samples", &samples, "-o", &at("none.escarp")].map(String::from);
        refused(run(&program("escarp-convert"), arguments), 1, words);
        assert!(!shop.path().join("none.escarp").exists());
    };
    converts("@x.npy", &["x.npy: samples for one input", "x=PATH,u=PATH"]);
    converts("x=@x.npy", &["no samples for input `u`"]);
    converts("x=@x.npy,x=@x.npy,u=@u.npy", &["input `x` twice"]);
    converts("x=@x.npy,z=@u.npy", &["`z` is no input", "x=PATH,u=PATH"]);
    converts("x=@x.npy,u=@few.npy", &["`x` has 12 samples, input `u` 2"]);
    converts("x=@u.npy,u=@x.npy", &["u.npy", "this network takes"]);

    let samples = places(shop.path(), "x=@x.npy,u=@u.npy");
    succeed(&program("escarp-convert"), [&at("net.onnx"), "--samples", &samples, "-o", &at("net.escarp")]);
    let runs = |files: &[&str], code: i32, words: &[&str]| {
        let files = files.iter().map(|file| places(shop.path(), file));
        let arguments: Vec<String> = std::iter::once(at("net.escarp")).chain(files).collect();
        refused(run(&program("escarp-run"), arguments), code, words);
    };
    runs(&["@x.npy", "@u.npy"], 2, &["no file for input x", "x=FILE u=FILE for each decision"]);
    runs(&["x=@x.npy"], 2, &["no file for input u"]);
    runs(&["x=@x.npy", "x=@x.npy"], 2, &["two files for input x"]);
    runs(&["x=@x.npy", "u=@few.npy"], 1, &["holds 12 inputs", "few.npy holds 2"]);
    runs(&["x=@x.npy", "u=@absent.npy"], 1, &["absent.npy"]);
}

/// Files of two folders go together by their place in the listing, which their names must bear out.
#[test]
fn folders_of_files_with_other_names_are_refused() {
    let shop = shop();
    let write = |name: &str, len: usize| {
        let path = shop.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let shape: &[usize] = if len == 90 { &[3, 6, 5] } else { &[7] };
        fs::write(path, Npy::encode_f32(shape, &Numbers::new(len as u64).take(len))).unwrap();
    };
    ["a", "b", "c"].iter().for_each(|name| write(&format!("maps/{name}.npy"), 90));
    ["a", "b", "d"].iter().for_each(|name| write(&format!("vectors/{name}.npy"), 7));
    let graph = read(&network(), &Options::default()).unwrap();
    let open = || {
        let places: Places = places(shop.path(), "x=@maps,u=@vectors").parse().unwrap();
        open_places(&places, &graph, &[]).map(|source| source.samples().len()).map_err(|e| e.to_string())
    };
    let refused = open().unwrap_err();
    assert!(refused.contains("c.npy") && refused.contains("d.npy") && refused.contains("same name"), "{refused}");
    fs::rename(shop.path().join("vectors/d.npy"), shop.path().join("vectors/c.npy")).unwrap();
    assert_eq!(open(), Ok(3));
}
