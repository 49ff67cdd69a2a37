//! The examples of runtime and converter, run as `cargo run --example NAME` would.

use escarp_tests::{program, succeed};

fn example(name: &str) -> String {
    succeed(&program(&format!("examples/{name}")), [""; 0])
}

#[test]
fn runtime_examples() {
    let classify = example("classify");
    assert!(classify.starts_with("disc of [\"bars\""), "{classify}");
    let stream = example("stream");
    assert!(stream.ends_with("after 64 frames it is circle-left\n"), "{stream}");
    let facts = example("facts");
    assert!(facts.contains("labels  bars, crescent") && facts.contains("tested  float"), "{facts}");
}

#[test]
fn converter_examples() {
    let convert = example("convert");
    assert!(convert.contains("the same answer on") && convert.contains(" of 40 samples"), "{convert}");
    let accuracy = example("accuracy");
    assert!(accuracy.starts_with("of 8 labelled samples float has"), "{accuracy}");
}
