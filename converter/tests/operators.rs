//! Operators stay at home: outside `converter/src/ops` nobody names one, neither here nor in the trainer's quantization-aware
//! training. Comments and texts for people may.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files below a path.
fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| sources(&entry.unwrap().path(), found));
    } else if path.extension().is_some_and(|e| e == "rs") {
        found.push(path.to_owned());
    }
}

/// Code without comments and without unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|w| !w.is_empty())
}

/// The types of the operators, in both forms, and the runtime's records that they make.
fn types(home: &[PathBuf]) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for path in home {
        let code = code(path);
        for of in ["impl Op for ", "impl QOp for "] {
            types.extend(code.split(of).skip(1).filter_map(|rest| words(rest).next()).map(str::to_owned));
        }
        types.extend(words(&code).filter(|w| w.len() > 4 && w.ends_with("Step")).map(str::to_owned));
    }
    types
}

#[test]
fn nobody_else_names_an_operator() {
    let (mut home, mut others) = (vec![], vec![]);
    sources(&repository().join("converter/src/ops"), &mut home);
    sources(&repository().join("converter/src"), &mut others);
    let ours = others.len();
    let qat = ["trainer/src/qat.rs", "trainer/src/qat", "trainer/src/fit/qat.rs", "trainer/src/fit/qat"];
    for path in qat.map(|path| repository().join(path)) {
        if path.exists() {
            sources(&path, &mut others);
        }
    }
    assert!(others.len() > ours, "the trainer's quantization-aware training has moved: name its files here");
    let types = types(&home);
    for known in ["Conv", "QConv", "Gru", "QGru", "Elementwise", "ConvStep", "LinearStep"] {
        assert!(types.contains(known), "{known} is no operator in {types:?}");
    }
    let onnx: Vec<String> = escarp_converter::operators().map(|name| format!("\"{name}\"")).collect();
    let table = repository().join("converter/src/ops.rs");
    others.retain(|path| !home.contains(path) && *path != table);
    for path in &others {
        let code = code(path);
        let named = words(&code).find(|&word| types.contains(word));
        assert_eq!(named, None, "{} names an operator", path.display());
        let read = onnx.iter().find(|name| code.contains(name.as_str()));
        assert_eq!(read, None, "{} names an ONNX operator", path.display());
    }
}

/// What a new operator forgets must not compile.
#[test]
fn no_method_of_an_operator_has_a_default() {
    for (file, name) in [("graph/op.rs", "pub trait Op:"), ("qgraph/op.rs", "pub trait QOp:")] {
        let code = code(&repository().join("converter/src").join(file));
        let body = code.split_once(name).and_then(|(_, rest)| rest.split_once("\n}")).map(|(body, _)| body);
        let body = body.and_then(|body| body.split_once('{')).map(|(_, methods)| methods);
        let methods = body.unwrap_or_else(|| panic!("{file} has no `{name}`"));
        assert!(methods.contains("fn detail"), "{methods}");
        assert!(!methods.contains('{'), "a method of `{name}` in {file} has a default: {methods}");
    }
}
