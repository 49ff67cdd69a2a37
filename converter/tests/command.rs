//! The program: exit codes, messages, files whole or absent.

mod build;
mod shop;

use std::{
    fs,
    process::{Command, Stdio},
};

use build::{Numbers, Onnx, int, ints};
use escarp_media::{Image, Npy};
use escarp_runtime::Model;
use prost::Message;
use shop::{WHOLE, Workshop, files};
use tract_onnx::pb;

#[test]
fn a_whole_conversion_writes_all_three_files() {
    let shop = Workshop::new();
    let more = ["--test", "images", "--json", "net.json", "--report", "net.html"];
    let output = shop.convert(&[&WHOLE[..], &more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(shop.0.path()), ["images", "net.escarp", "net.html", "net.json", "net.onnx"]);

    let file = fs::read(shop.path("net.escarp")).unwrap();
    let model = Model::parse(&file).unwrap();
    assert!(model.labels().eq(["cat", "dog"]), "class folders name the outputs");
    assert_eq!(model.accuracy().unwrap().total, 16);

    let json: serde_json::Value = serde_json::from_slice(&fs::read(shop.path("net.json")).unwrap()).unwrap();
    assert_eq!(json["total"], 16);
    assert_eq!(json["file_bytes"], file.len());
    assert_eq!(json["arena_bytes"], model.arena_len());
    assert_eq!((&json["macs"], &json["macs_per_decision"]), (&model.macs().into(), &model.macs().into()));
    assert_eq!(json["isa"], escarp_detect::detect().isa().name());
    // 3 channels in, 4 out, 9 taps; 4 in, 2 out. Both sides of each are filled to 8; a block of 8 rows takes 72 bytes.
    let parts = |key: &str| json["file_parts"][key].as_u64().unwrap();
    assert_eq!((parts("weights"), parts("filling")), (108 + 8, 9 * 64 - 108 + 64 - 8));
    assert_eq!((parts("params"), parts("rest")), (2 * 72, file.len() as u64 - 9 * 64 - 64 - 2 * 72));
    assert!(json["agree"].as_u64() >= Some(14), "{json}");
    assert_eq!(json["layers"].as_array().unwrap().len(), model.steps().count());
    assert!(json["layers"][0]["snr_db"].as_f64() > Some(20.0), "{json}");
    for key in ["float_correct", "int8_correct"] {
        assert!(json[key].is_u64(), "{key}");
    }

    let page = fs::read_to_string(shop.path("net.html")).unwrap();
    assert!(page.contains("<svg class=\"plan\"") && page.contains("data:image/png;base64,") && page.contains("cat"));
    assert!(!page.contains("http"), "the page must stand alone");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("same top-1") && table.contains("16 test samples"), "{table}");
    assert!(table.contains(" kernels\n") && table.contains("weights 116, zeros"), "{table}");
}

#[test]
fn stages_print_themselves() {
    let shop = Workshop::new();
    for (stage, says) in [("graph", "Conv+Relu"), ("qgraph", "zero -128"), ("plan", "lower bound")] {
        let output = shop.convert(&[&WHOLE[..5], &["--dump", stage]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(says), "{stage}: {text}");
    }
    assert_eq!(files(shop.0.path()), ["images", "net.onnx"]);
}

#[test]
fn usage_errors_are_2() {
    let shop = Workshop::new();
    shop.fails(&["net.onnx"], 2, &["--samples"]);
    shop.fails(&WHOLE[..5], 2, &["-o FILE"]);
    shop.fails(&["net.onnx", "--samples", "images", "-o", "x"], 2, &["images", "--pixels 0..255"]);
    shop.fails(&["net.onnx", "--samples", "images", "--pixels", "0..7", "-o", "x"], 2, &["`0..7`", "allowed: 0..255"]);
    shop.fails(&[&WHOLE[..], &["--limit", "0"]].concat(), 2, &["--limit 0"]);
    shop.fails(&[&WHOLE[..], &["--frames", "0"]].concat(), 2, &["--frames", "2..=65535"]);
    shop.fails(&[&WHOLE[..5], &["--dump", "graph", "--json", "x"]].concat(), 2, &["--output"]);
}

#[test]
fn no_file_is_written_over_another() {
    let shop = Workshop::new();
    fn whole<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&WHOLE[..], more].concat()
    }
    shop.fails(&whole(&["--json", "net.escarp"]), 2, &["--json net.escarp is the same file as -o"]);
    shop.fails(&whole(&["--report", "images/../net.escarp"]), 2, &["the same file as -o"]);
    shop.fails(&whole(&["--json", "a", "--report", "./a"]), 2, &["--json a is the same file as --report"]);
    shop.fails(&[&WHOLE[..6], &["./net.onnx"]].concat(), 2, &["-o ./net.onnx is the same file as the model"]);
    fs::write(shop.path("names"), "cat\ndog\n").unwrap();
    shop.fails(&whole(&["--labels", "names", "--json", "names"]), 2, &["--json names is the same file as --labels"]);
}

/// Before anything else is looked at: the model of these does not exist.
#[test]
fn places_to_write_are_checked_first() {
    let shop = Workshop::new();
    let fails = |output: &str, says: &str| {
        shop.fails(&["absent.onnx", "--samples", "images", "-o", output], 1, &[output, says]);
    };
    fails("no/such/folder/x.escarp", "No such file or directory");
    fails("images/cat", "is a directory");
    fails("new/", "is a directory");
    fails("net.onnx/x", "not a directory");
}

#[test]
fn bad_files_are_1_and_named() {
    let shop = Workshop::new();
    shop.fails(&["absent.onnx", "--samples", "images", "-o", "x"], 1, &["absent.onnx"]);
    shop.fails(&["net.onnx", "--samples", "absent", "--pixels", "0..1", "-o", "x"], 1, &["absent"]);
    shop.fails(&[&WHOLE[..], &["--labels", "a,b,c"]].concat(), 1, &["3 labels; the network has 2 outputs"]);
    shop.fails(&[&WHOLE[..6], &["no/such/folder/x.escarp"]].concat(), 1, &["no/such/folder/x.escarp"]);

    #[cfg(unix)]
    shop.fails(&[&WHOLE[..], &["--labels", "/dev/zero"]].concat(), 1, &["/dev/zero: file length in bytes"]);

    fs::write(shop.path("images/cat/3.png"), b"this is no image").unwrap();
    shop.fails(&WHOLE, 1, &["3.png"]);
    fs::remove_file(shop.path("images/cat/3.png")).unwrap();

    fs::create_dir(shop.path("images/empty")).unwrap();
    shop.fails(&WHOLE, 1, &["class folder 'empty' is empty"]);
    fs::remove_dir(shop.path("images/empty")).unwrap();

    let other = [&WHOLE[..], &["--labels", "cat,horse", "--test", "images"]].concat();
    shop.fails(&other, 1, &["class 'dog' is not one of the network's: cat, horse"]);
}

#[test]
fn arrays_need_the_right_shape_and_labels() {
    let shop = Workshop::new();
    let write = |name: &str, shape: &[usize]| {
        let values = Numbers::new(3).take(shape.iter().product());
        fs::write(shop.path(name), Npy::encode_f32(shape, &values)).unwrap();
    };
    write("good.npy", &[6, 3, 8, 8]);
    write("bad.npy", &[6, 3, 8, 9]);
    shop.fails(&["net.onnx", "--samples", "bad.npy", "-o", "x"], 1, &["bad.npy", "[6, 3, 8, 9]"]);
    write("labels.npy", &[6]);
    let arguments =
        ["net.onnx", "--samples", "good.npy", "--test", "good.npy", "--test-labels", "labels.npy", "-o", "x"];
    shop.fails(&arguments, 1, &["labels.npy: labels must be integers"]);
    write("labels.npy", &[5]);
    shop.fails(&arguments, 1, &["labels.npy: 5 labels for 6 samples"]);
}

#[test]
fn a_sequence_counts_a_step_and_a_decision() {
    let shop = Workshop::new();
    let onnx = Onnx::new(&[5, 1, 4], &[0, 3])
        .floats("w", &[1, 9, 4], Numbers::new(1).take(36))
        .floats("r", &[1, 9, 3], Numbers::new(2).take(27))
        .ints("zero", &[0])
        .node("GRU", &["x", "w", "r"], "all,last", vec![int("hidden_size", 3)])
        .node("Squeeze", &["last", "zero"], "y", vec![]);
    fs::write(shop.path("gru.onnx"), onnx.bytes()).unwrap();
    fs::write(shop.path("x.npy"), Npy::encode_f32(&[6, 5, 4], &Numbers::new(3).take(120))).unwrap();
    let output = shop.convert(&["gru.onnx", "--samples", "x.npy", "-o", "gru.escarp", "--json", "gru.json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(shop.path("gru.json")).unwrap()).unwrap();
    assert_eq!((&json["macs"], &json["macs_per_decision"]), (&63.into(), &315.into()));
    // Three gates of 8 rows, 8 inputs and 8 states; parameter blocks for both products.
    assert_eq!(json["file_parts"]["weights"], 63);
    assert_eq!(json["file_parts"]["filling"], 2 * 24 * 8 - 63);
    assert_eq!(json["file_parts"]["params"], 2 * 3 * 72);
}

/// Pixels in a scaling that the network was not trained with: "20 of 40 right" passed without a word.
#[test]
fn pixels_that_do_not_fit_are_doubted() {
    let shop = Workshop(tempfile::tempdir().unwrap());
    // Class 1 where the mean of the pixels, 0 to 1, is above one half.
    let weights = [0.0, 0.0, 0.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0].map(|w| 0.02 * w).to_vec();
    let onnx = Onnx::new(&[0, 3, 8, 8], &[0, 2])
        .floats("w", &[2, 3, 1, 1], weights)
        .floats("b", &[2], vec![0.01, 0.0])
        .node("Conv", &["x", "w", "b"], "c", vec![])
        .node("GlobalAveragePool", &["c"], "p", vec![])
        .node("Flatten", &["p"], "f", vec![])
        .node("Softmax", &["f"], "y", vec![]);
    fs::write(shop.path("net.onnx"), onnx.bytes()).unwrap();
    let mut numbers = Numbers::new(9);
    fs::create_dir(shop.path("all")).unwrap();
    for (class, grey) in [("dark", 70.0), ("light", 190.0)] {
        fs::create_dir_all(shop.path(&format!("images/{class}"))).unwrap();
        for i in 0..20 {
            let pixels = numbers.take(8 * 8 * 3).iter().map(|v| (grey + 50.0 * v) as u8).collect();
            let png = Image { width: 8, height: 8, pixels }.encode_png().unwrap();
            fs::write(shop.path(&format!("images/{class}/{i}.png")), &png).unwrap();
            fs::write(shop.path(&format!("all/{class}{i}.png")), &png).unwrap();
        }
    }
    let convert = |samples: &'static str, pixels: &'static str, more: &[&'static str]| {
        let whole =
            ["net.onnx", "--samples", samples, "--pixels", pixels, "-o", "net.escarp", "--labels", "dark,light"];
        let output = shop.convert(&[&whole[..], more].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let guessed = "warning: the float network is right on 20 of 40 samples, no more than guessing among 2 classes would be; \
                   with --pixels 0..1 it is right on 24 of 24";
    for more in [&[][..], &["--test", "images"]] {
        let (code, said, _) = convert("images", "0..255", more);
        assert_eq!(code, Some(0));
        assert!(said.contains(guessed), "{said}");
    }
    // The net ends in a softmax: one class for all is odd, also where nobody says which is right.
    let (_, said, _) = convert("all", "0..255", &[]);
    assert!(
        said.contains("the float network tells 40 of 40 samples to be `light`; check what the network takes"),
        "{said}"
    );
    let (code, said, _) = convert("images", "0..1", &["--strict"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("40 of 40 right") && !said.contains("warning"), "{said}");

    let before = fs::read(shop.path("net.escarp")).unwrap();
    let (code, _, error) = convert("images", "0..255", &["--strict"]);
    assert_eq!((code, fs::read(shop.path("net.escarp")).unwrap() == before), (Some(1), true));
    assert!(error.contains("strict: the float network is right on 20 of 40"), "{error}");
}

/// Folders of some of the classes of a network whose outputs have no names: which is which cannot be known.
#[test]
fn folders_that_tell_nothing_of_the_outputs_count_for_nothing() {
    let shop = Workshop(tempfile::tempdir().unwrap());
    let onnx = Onnx::new(&[0, 3, 8, 8], &[0, 4])
        .floats("w", &[4, 3, 1, 1], Numbers::new(1).take(12))
        .node("Conv", &["x", "w"], "c", vec![])
        .node("GlobalAveragePool", &["c"], "p", vec![])
        .node("Flatten", &["p"], "y", vec![]);
    fs::write(shop.path("net.onnx"), onnx.bytes()).unwrap();
    let mut numbers = Numbers::new(2);
    for class in ["frog", "ship"] {
        fs::create_dir_all(shop.path(&format!("some/{class}"))).unwrap();
        for i in 0..8 {
            let pixels = numbers.take(8 * 8 * 3).iter().map(|v| (120.0 + 100.0 * v) as u8).collect();
            let png = Image { width: 8, height: 8, pixels }.encode_png().unwrap();
            fs::write(shop.path(&format!("some/{class}/{i}.png")), &png).unwrap();
        }
    }
    let arguments = ["net.onnx", "--samples", "some", "--pixels", "0..1", "-o", "net.escarp"];
    let said = String::from_utf8(shop.convert(&arguments).stdout).unwrap();
    assert!(said.contains("--samples has 2 class folders, the network 4 outputs without names"), "{said}");
    assert!(!said.contains(" right") || said.contains("counted as right"), "{said}");
    assert!(!said.contains("float accuracy") && !said.contains("the float network"), "{said}");
    let named = shop.convert(&[&arguments[..], &["--labels", "cat,dog,frog,ship"]].concat());
    assert!(String::from_utf8(named.stdout).unwrap().contains("float accuracy"));
}

/// `escarp-convert ... | head`
#[test]
fn who_has_read_enough_is_no_failure() {
    let shop = Workshop::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_escarp-convert"));
    command.current_dir(shop.0.path()).args(WHOLE).args(["--dump", "graph"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
    assert!(shop.path(WHOLE[WHOLE.iter().position(|&a| a == "-o").unwrap() + 1]).exists(), "and has the file");
}

/// A recording counts as many samples as `escarp-run` makes decisions on it.
#[test]
fn windows_of_recordings_are_samples() {
    let shop = Workshop(tempfile::tempdir().unwrap());
    let onnx = Onnx::new(&[5, 1, 2], &[0, 2])
        .floats("w", &[1, 6, 2], Numbers::new(1).take(12))
        .floats("r", &[1, 6, 2], Numbers::new(2).take(12))
        .ints("zero", &[0])
        .node("GRU", &["x", "w", "r"], "all,last", vec![int("hidden_size", 2)])
        .node("Squeeze", &["last", "zero"], "y", vec![]);
    let mut model = pb::ModelProto::decode(&onnx.bytes()[..]).unwrap();
    let about = r#"{"labels":["a","b"],"front_end":{"kind":"sensor","rate":50.0,"frames":5,"mean":[0,0],"std":[1,1]}}"#;
    model.metadata_props.push(pb::StringStringEntryProto { key: "escarp".into(), value: about.into() });
    fs::write(shop.path("gru.onnx"), model.encode_to_vec()).unwrap();
    let rows =
        |n: usize| Numbers::new(7).take(2 * n).chunks(2).map(|r| format!("{},{}\n", r[0], r[1])).collect::<String>();
    fs::create_dir(shop.path("data")).unwrap();
    // A window takes 5 rows and begins 3 after the last: 1, 4 (rows 0, 3, 6, and 7 at the end) and 2 of them.
    for (name, n) in [("a_short", 5), ("a_long", 12), ("b_middle", 8)] {
        fs::write(shop.path(&format!("data/{name}.csv")), rows(n)).unwrap();
    }
    let arguments = ["gru.onnx", "--samples", "data", "--test", "data", "-o", "gru.escarp", "--json", "gru.json"];
    let output = shop.convert(&[&arguments[..], &["--report", "gru.html"]].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(shop.path("gru.json")).unwrap()).unwrap();
    assert_eq!([&json["total"], &json["labelled"], &json["calibration_samples"]], [7, 7, 7]);
    assert!(said.contains("--test: 7 windows of 3 recordings are the samples"), "{said}");
    let page = fs::read_to_string(shop.path("gru.html")).unwrap();
    assert!(page.contains("a_long.csv 0.14-0.24 s (rows 8-12)") && page.contains(">a_short.csv<"), "{page}");

    fs::write(shop.path("data/b_bad.csv"), "1,2\n".repeat(4)).unwrap();
    shop.fails(&arguments, 1, &["b_bad.csv", "at least 5 rows"]);
}

/// Names in a network reach the terminal with their control characters shown.
#[test]
fn control_characters_are_shown() {
    let shop = Workshop::new();
    let mut model = pb::ModelProto::decode(&fs::read(shop.path("net.onnx")).unwrap()[..]).unwrap();
    let evil = "\u{1b}]0;x\u{7}\u{202e}\nforged";
    model.graph.as_mut().unwrap().node[0].name = evil.into();
    fs::write(shop.path("net.onnx"), model.encode_to_vec()).unwrap();
    let labels = format!("{evil}1,dog");
    let whole = shop.convert(&[&WHOLE[..], &["--dump", "graph"]].concat());
    let refused = shop.convert(&[&WHOLE[..], &["--labels", &labels]].concat());
    assert_eq!((whole.status.code(), refused.status.code()), (Some(0), Some(1)));
    for said in [whole.stdout, refused.stderr].map(|bytes| String::from_utf8(bytes).unwrap()) {
        assert!(said.contains(r"\u{1b}]0;x\u{7}\u{202e}\nforged"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']) && !said.contains("\nforged"), "{said:?}");
    }
}

/// Wrong values are refused before anything is read.
#[test]
fn what_may_be_asked_of_the_answers() {
    let shop = Workshop::new();
    let base = ["net.onnx", "--samples", "images", "--pixels", "0..1", "-o", "net.escarp"];
    for (more, says) in [
        (&["--agree", "0"][..], "above 0, at most 100"),
        (&["--agree", "101"], "above 0, at most 100"),
        (&["--agree", "NaN"], "above 0, at most 100"),
        (&["--snr", "0"], "above 0, at most 90"),
        (&["--snr", "inf"], "above 0, at most 90"),
        (&["--snr", "many"], "above 0, at most 90"),
        (&["--snr", "30", "--agree", "99"], "cannot be used with"),
    ] {
        shop.fails(&[&base[..], more].concat(), 2, &[says]);
    }
}

/// Memory that a board lacks fails the command before anything is written.
#[test]
fn budgets_of_memory() {
    let shop = Workshop::new();
    let base = ["net.onnx", "--samples", "images", "--pixels", "0..1", "-o", "net.escarp"];
    let with = |more: &[&str]| [&base[..], more].concat().iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let run = |more: &[&str]| shop.convert(&with(more).iter().map(String::as_str).collect::<Vec<_>>());
    for (flag, says) in [("--max-ram", "activations"), ("--max-flash", "the model file")] {
        shop.fails(
            &with(&[flag, "100"]).iter().map(String::as_str).collect::<Vec<_>>(),
            1,
            &[&format!("{flag} 100: the model needs "), says],
        );
        assert!(run(&[flag, "1M"]).status.success());
        fs::remove_file(shop.path("net.escarp")).unwrap();
        shop.fails(
            &with(&[flag, "12Q"]).iter().map(String::as_str).collect::<Vec<_>>(),
            2,
            &["12Q", "a whole number of bytes"],
        );
    }
}

/// A network that takes blue first, and the same with its weights turned round: the same file but for its notes.
#[test]
fn blue_first_is_red_first_with_other_weights() {
    let shop = Workshop::new();
    let net = |turned: bool| {
        let weights = Numbers::new(5).take(108);
        let place = |i: usize| i / 27 * 27 + (2 - i / 9 % 3) * 9 + i % 9;
        let weights = (0..108).map(|i| weights[if turned { place(i) } else { i }]).collect();
        Onnx::new(&[0, 3, 8, 8], &[0, 2])
            .floats("w", &[4, 3, 3, 3], weights)
            .floats("fc", &[4, 2], Numbers::new(6).take(8))
            .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
            .node("GlobalAveragePool", &["c"], "p", vec![])
            .node("Flatten", &["p"], "f", vec![])
            .node("MatMul", &["f", "fc"], "y", vec![])
            .bytes()
    };
    let made = |turned: bool, pixels: &str| {
        fs::write(shop.path("net.onnx"), net(turned)).unwrap();
        let output = shop.convert(&["net.onnx", "--samples", "images", "--pixels", pixels, "-o", "net.escarp"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (fs::read(shop.path("net.escarp")).unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (red, _) = made(true, "mean=0.1,0.2,0.3,std=1,2,3");
    let (blue, said) = made(false, "bgr:mean=0.3,0.2,0.1,std=3,2,1");
    assert!(said.contains("the network takes blue, green, red"), "{said}");
    assert_eq!(red, blue);
}

/// A part of a network, by the flags; what is wrong with them is wrong usage, what is wrong with the model is told line by line.
#[test]
fn parts_and_shapes_are_given_by_flags() {
    let shop = Workshop::new();
    let onnx = Onnx::new(&[4, 3, 8, 8], &[4, 2])
        .floats("w", &[4, 3, 3, 3], Numbers::new(5).take(108))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["c"], "r", vec![])
        .node("NonMaxSuppression", &["r", "r"], "n", vec![])
        .node("Hardmax", &["r"], "y", vec![]);
    fs::write(shop.path("cut.onnx"), onnx.bytes()).unwrap();
    let base = ["cut.onnx", "--samples", "images", "--pixels", "0..1"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    shop.fails(
        &with(&["--dump", "graph"]),
        1,
        &["3 reasons", "--inputs x=1x3x8x8", "\n  node `node_n`: ", "\n  node `node_y`"],
    );
    let graph = shop.convert(&with(&["--inputs", "x=1x3x8x8", "--outputs", "r", "--dump", "graph"]));
    let text = String::from_utf8(graph.stdout).unwrap();
    assert!(graph.status.success() && text.contains("Conv+Relu"), "{text}{}", String::from_utf8_lossy(&graph.stderr));
    shop.fails(&with(&["--inputs", "x=1x3x0", "-o", "out"]), 2, &["--inputs `x=1x3x0`", "allowed: NAME=1x3x224x224"]);
    shop.fails(&with(&["--outputs", "r,,y", "-o", "out"]), 2, &["--outputs `r,,y`"]);
    shop.fails(
        &with(&["--outputs", "rr", "--inputs", "x=1x3x8x8", "-o", "out"]),
        1,
        &["output `rr` is made by no node; similar: `r`"],
    );
    let done = shop.convert(&with(&["--inputs", "x=1x3x8x8", "--outputs", "r", "-o", "net.escarp"]));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
