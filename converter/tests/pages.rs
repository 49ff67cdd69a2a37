//! The report as a page: on a phone, and with names that would rather be commands.

mod browser;
mod build;

use std::{fs, path::Path, process::Command};

use browser::fits;
use build::{Numbers, Onnx, ints};
use escarp_media::Image;
use prost::Message;
use tract_onnx::pb;

/// What a name may hold that would change a page or hide in it; a file's name no slash.
const EVIL: &str = "<script>&\"\u{1b}[2J\u{202e}";
/// As the page shows it.
const SHOWN: &str = r"&lt;script&gt;&amp;&quot;\u{1b}[2J\u{202e}";

/// The report on a small image classifier whose layers, outputs and samples are named so.
fn report(folder: &Path, name: &str) -> String {
    let onnx = Onnx::new(&[0, 3, 8, 8], &[0, 2])
        .floats("w", &[4, 3, 3, 3], Numbers::new(5).take(108))
        .floats("fc", &[4, 2], Numbers::new(6).take(8))
        .node("Conv", &["x", "w"], &format!("c{name}"), vec![ints("pads", &[1, 1, 1, 1])])
        .node("GlobalAveragePool", &[&format!("c{name}")], "p", vec![])
        .node("Flatten", &["p"], "f", vec![])
        .node("MatMul", &["f", "fc"], "m", vec![])
        .node("Softmax", &["m"], "y", vec![]);
    let mut model = pb::ModelProto::decode(&onnx.bytes()[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.name = format!("net {name}");
    graph.node[0].name = format!("layer {name}");
    fs::write(folder.join("net.onnx"), model.encode_to_vec()).unwrap();
    let mut numbers = Numbers::new(9);
    for class in ["a", "b"] {
        let class = folder.join("images").join(format!("{class} {name}"));
        fs::create_dir_all(&class).unwrap();
        for i in 0..3 {
            let pixels = numbers.take(8 * 8 * 3).iter().map(|v| (127.5 + 127.5 * v) as u8).collect();
            let png = Image { width: 8, height: 8, pixels }.encode_png().unwrap();
            fs::write(class.join(format!("{i} {name}.png")), png).unwrap();
        }
    }
    let arguments = "net.onnx --samples images --test images --pixels 0..1 -o net.escarp --report net.html";
    let mut command = Command::new(env!("CARGO_BIN_EXE_escarp-convert"));
    let output = command.args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(folder.join("net.html")).unwrap()
}

#[test]
fn names_cannot_inject_html() {
    let folder = tempfile::tempdir().unwrap();
    let html = report(folder.path(), EVIL);
    for name in ["layer", "c", "a", "0"] {
        let shown = format!("{name} {SHOWN}").replace("c ", "c");
        assert!(html.contains(&shown), "no {shown} in {html}");
    }
    assert!(!html.contains("<script") && !html.contains(['\u{1b}', '\u{202e}']), "{html}");
}

#[test]
fn a_report_with_long_names_fits_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let html = report(folder.path(), &"a_name_that_never_ends".repeat(4));
    assert!(html.contains("Memory plan") && html.contains("Confusion") && html.contains("Examples"));
    fits(folder.path(), &folder.path().join("net.html"));
}
