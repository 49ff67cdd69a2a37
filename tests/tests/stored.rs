//! `tests/models`: the trained networks with which the demo begins are what the converter makes of the ONNX files beside them.
//!
//! `ESCARP_BLESS=1 cargo test --workspace --test stored` writes them anew, and their inputs: when the format or the converter
//! changes on purpose.

use std::path::Path;

use escarp_tests::{program, root, succeed};
use serde_json::Value;

/// What `escarp-run info --json` says, without what hangs on ranges: these are sums of floats, whose last bits depend on the
/// CPU that calibrates.
fn facts(model: &Path) -> Value {
    let text = succeed(&program("escarp-run"), ["info".as_ref(), "--json".as_ref(), model.as_os_str()]);
    let mut facts: Value = serde_json::from_str(&text).unwrap();
    strip(&mut facts);
    facts
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !["id", "accuracy", "scale", "zero_point"].contains(&key.as_str()));
            map.values_mut().for_each(strip);
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The labels of the inputs, in order.
fn labels(model: &Path, inputs: &[String]) -> Vec<String> {
    let arguments = ["--json".into(), model.to_str().unwrap().to_owned()].into_iter().chain(inputs.iter().cloned());
    let said = succeed(&program("escarp-run"), arguments);
    let label = |line: &str| serde_json::from_str::<Value>(line).unwrap()["label"].as_str().unwrap().to_owned();
    said.lines().map(label).collect()
}

/// Draws data, converts the ONNX file on it, and compares: facts, and answers to the inputs.
fn check(name: &str, input: &str) {
    let models = root().join("tests/models");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    succeed(&program("escarp-train"), ["generate", name, "--train", "64", "--test", "40", "--out", &path("data")]);
    let (onnx, out) = (models.join(format!("{name}.onnx")), path("model.escarp"));
    let (train, test) = (path("data/train"), path("data/test"));
    let arguments = [onnx.to_str().unwrap(), "--samples", &train, "--test", &test, "-o", &out];
    succeed(&program("escarp-convert"), arguments);

    let stored = models.join(format!("{name}.escarp"));
    let mut inputs = Vec::new();
    let classes: Vec<_> = std::fs::read_dir(&test).unwrap().map(|class| class.unwrap().path()).collect();
    for class in classes {
        let place = models.join(name).join(class.file_name().unwrap());
        if std::env::var_os("ESCARP_BLESS").is_some() {
            std::fs::copy(&out, &stored).unwrap();
            std::fs::create_dir_all(&place).unwrap();
            std::fs::copy(class.join(input), place.join(input)).unwrap();
        }
        inputs.push(place.join(input).to_str().unwrap().to_owned());
    }
    let made = Path::new(&out);
    assert_eq!(facts(&stored), facts(made), "{} is old; to write it anew: ESCARP_BLESS=1", stored.display());
    assert_eq!(labels(&stored, &inputs), labels(made, &inputs), "{}", stored.display());
    assert_eq!(inputs.len(), 8);
}

#[test]
fn images() {
    check("images", "0000.png");
}

#[test]
fn motion() {
    check("motion", "0000.csv");
}
