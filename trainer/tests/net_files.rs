//! Nets from files: layers that do not fit are refused by name, and the guide says what there is.

use std::collections::BTreeSet;

use escarp_trainer::{
    layers::activation::Function,
    nets::{Arch, LayerSpec, Net, NetFile, Shape},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn weights_start_glorot_uniform_unless_told() {
    let weights = |input: &str, layers: &str| -> Vec<Vec<u32>> {
        let text = format!("input = {input}\nclasses = 3\n{layers}[[layer]]\nkind = \"dense\"\n");
        let arch = NetFile::parse("my.toml", &text).expect("sound TOML").arch().expect("input and classes");
        let mut net = Net::<f32>::new(&arch, &mut ChaCha8Rng::seed_from_u64(0)).expect("a sound net");
        net.parameters().iter().map(|p| p.value.iter().map(|w| w.to_bits()).collect()).collect()
    };
    let pool = "[[layer]]\nkind = \"global-average-pool\"\n";
    for (input, kind, keys, after) in [
        ("{ map = [6, 6, 4] }", "convolution", "outputs = 5", pool),
        ("{ map = [6, 6, 4] }", "residual", "outputs = 5\nblocks = 2", pool),
        ("{ vector = 4 }", "dense", "outputs = 5", ""),
    ] {
        let of = |init: &str| weights(input, &format!("[[layer]]\nkind = \"{kind}\"\n{keys}\n{init}\n{after}"));
        assert_eq!(of(""), of("init = \"glorot-uniform\""), "{kind}");
        assert_ne!(of(""), of("init = \"he-normal\""), "{kind}");
    }
}

#[test]
fn layers_that_do_not_go_together_are_refused() {
    let refused = |input: &str, layers: &[&str]| {
        let text = layers.iter().fold(format!("input = {input}\nclasses = 3\n"), |text, l| text + "[[layer]]\n" + l);
        let arch = NetFile::parse("my.toml", &text).expect("sound TOML").arch().expect("input and classes");
        let net = Net::<f32>::new(&arch, &mut ChaCha8Rng::seed_from_u64(0));
        net.map(|_| ()).expect_err("refused").to_string()
    };
    let map = "{ map = [8, 8, 4] }";
    let sequence = "{ sequence = [9, 4] }";
    let (dense, pool) = ("kind = \"dense\"\nname = \"head\"\n", "kind = \"max-pool\"\nname = \"pool\"\n");
    let dense2 = "kind = \"dense\"\nname = \"wide\"\n";
    let conv = |keys: &str| format!("kind = \"convolution\"\nname = \"conv\"\noutputs = 6\n{keys}");
    for (message, says) in [
        (
            refused(map, &["kind = \"gru\"\nhidden = 4\n", dense]),
            &["`gru1` takes a sequence", "the input gives maps of 8x8"][..],
        ),
        (refused(sequence, &[&conv(""), dense]), &["`conv` takes maps", "the input gives 9 frames of 4 numbers"]),
        (refused(map, &[pool, dense]), &["`head` takes a vector", "layer `pool` gives maps of 4x4"]),
        (
            refused(sequence, &[&format!("{dense}outputs = 4\n")]),
            &["loss takes a vector of 3", "layer `head` gives 9 frames of 4"],
        ),
        (refused("{ tokens = [9, 4] }", &[dense]), &["`head` takes a vector", "9 tokens of a vocabulary of 4"]),
        (refused(sequence, &["kind = \"embedding\"\noutputs = 3\n", dense]), &["`embedding1` takes tokens"]),
        (refused(map, &[&conv("groups = 3\n"), dense]), &["`conv`", "groups = 3", "4 channels in", "6 out"]),
        (refused(map, &[&conv("padding = 3\n"), dense]), &["`conv`: padding = 3; allowed: 0 to 2"]),
        (refused(map, &[&conv("kernel = 11\npadding = \"valid\"\n"), dense]), &["no smaller than its kernel"]),
        (refused(map, &["kind = \"average-pool\"\npadding = 2\n", dense]), &["padding = 2; allowed: 0 to 1"]),
        (
            refused(map, &[pool, "kind = \"add\"\nof = \"input\"\n"]),
            &["takes what the input gives", "layer `pool` gives"],
        ),
        (refused(map, &["kind = \"add\"\nof = \"pole\"\n"]), &["`add1`: there is no layer `pole` before it"]),
        (refused(map, &[pool, "kind = \"add\"\nof = \"pool\"\n"]), &["name another layer"]),
        (
            refused(map, &[pool, "kind = \"branch\"\nfrom = \"input\"\n", "kind = \"flatten\"\n", dense]),
            &["`pool`: no layer takes what it gives"],
        ),
        (refused(map, &[pool, pool, "kind = \"flatten\"\n", dense]), &["`pool`: another layer has this name"]),
        (
            refused(sequence, &["kind = \"squeeze-excitation\"\nname = \"gate\"\n", dense]),
            &["`gate` takes maps", "the input gives 9 frames of 4 numbers"],
        ),
        (
            refused(map, &["kind = \"squeeze-excitation\"\nreduction = 0\n", dense]),
            &["`squeeze-excitation1`", "reduction = 0; allowed: 1 to 1024"],
        ),
        (refused(map, &["kind = \"dropout\"\nrate = 1.0\n"]), &["rate = 1; allowed: 0 to below 1"]),
        (refused(map, &["kind = \"flatten\"\nname = \"a.b\"\n", dense]), &["`a.b`: a name", "no dot"]),
        (refused(map, &["kind = \"flatten\"\nname = \"\"\n", dense]), &["not empty"]),
        (refused(map, &[&format!("kind = \"flatten\"\nname = \"{}\"\n", "x".repeat(70_000)), dense]), &["200 bytes"]),
        // The net's output was that of `pool`, whatever the loss was checked against.
        (
            refused("{ vector = 3 }", &[dense, dense2, "kind = \"branch\"\nfrom = \"head\"\n"]),
            &["`wide`: no layer takes what it gives"],
        ),
        (
            refused(sequence, &["kind = \"gru\"\nname = \"deep\"\nhidden = 4096\nlayers = 4\n", dense]),
            &["`deep`: weights of the net up to here = 3", "allowed: 1 to 268435456"],
        ),
        (refused("{ vector = 3 }", &["kind = \"branch\"\nfrom = \"input\"\n"]), &["no layers"]),
        (
            refused(
                map,
                &["kind = \"flatten\"\n", &format!("{dense}outputs = 65536\n"), &format!("{dense2}outputs = 65536\n")],
            ),
            &["`wide`: weights = 4294967296; allowed: 1 to 268435456"],
        ),
        (refused(map, &["kind = \"activation\"\nfunction = \"tanh\"\nslope = 0.1\n"]), &["leaky-relu", "slope"]),
        (
            refused("{ vector = 4 }", &[&format!("{dense}init = {{ kind = \"orthogonal\", gain = 0 }}\n")]),
            &["`head`", "gain = 0"],
        ),
        (
            refused(
                sequence,
                &["kind = \"lstm\"\nhidden = 4\nrecurrent_init = { kind = \"normal\", std = -1 }\n", dense],
            ),
            &["`lstm1`: recurrent_init: std = -1"],
        ),
        (
            refused(sequence, &["kind = \"rnn\"\nhidden = 4\ninit = { kind = \"constant\", value = inf }\n", dense]),
            &["`rnn1`: init: value = inf"],
        ),
    ] {
        says.iter().for_each(|word| assert!(message.contains(word), "`{word}` in: {message}"));
    }
}

/// Every gate by itself, in both directions and every layer.
#[test]
fn recurrent_layers_start_as_told() {
    let hidden = 4;
    for (kind, gates) in [("rnn", 1), ("lstm", 4), ("gru", 3), ("gru\"\nreset = \"before", 3)] {
        let text = format!(
            "input = {{ sequence = [5, 3] }}\nclasses = 2\n[[layer]]\nkind = \"{kind}\"\nhidden = {hidden}\nlayers = 2\n\
             bidirectional = true\ninit = {{ kind = \"constant\", value = 0.25 }}\n\
             recurrent_init = {{ kind = \"orthogonal\", gain = 1.5 }}\n[[layer]]\nkind = \"dense\"\n"
        );
        let arch = NetFile::parse("my.toml", &text).expect("sound TOML").arch().expect("input and classes");
        let mut net = Net::<f64>::new(&arch, &mut ChaCha8Rng::seed_from_u64(0)).expect("a net");
        let mut seen = [0, 0];
        for p in net.parameters() {
            if p.name.ends_with(".weight") && !p.name.starts_with("dense") {
                seen[0] += 1;
                assert!(p.value.iter().all(|&w| w == 0.25), "{}", p.name);
            } else if p.name.ends_with(".recurrent") {
                seen[1] += 1;
                let at = |row: usize, column: usize| p.value[row * gates * hidden + column];
                for gate in 0..gates {
                    for (i, j) in (0..hidden * hidden).map(|k| (gate * hidden + k / hidden, gate * hidden + k % hidden))
                    {
                        let product: f64 = (0..hidden).map(|row| at(row, i) * at(row, j)).sum();
                        let wanted = if i == j { 2.25 } else { 0.0 };
                        assert!((product - wanted).abs() < 1e-12, "{}: {i}, {j}", p.name);
                    }
                }
            }
        }
        assert_eq!(seen, [4, 4], "{kind}");
    }
}

/// The words in backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn nets_md_has_every_kind_and_key_and_no_other() {
    let guide = include_str!("../nets.md");
    let example = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let net = NetFile::parse("nets.md", example).expect("the example is a net");
    let arch = Arch { input: Shape::Map([16, 16, 3]), classes: 4, layers: net.layers };
    Net::<f32>::new(&arch, &mut ChaCha8Rng::seed_from_u64(0)).expect("and can be built");

    let (guide_of_kinds, _) = guide.split_once("\n## Keras").expect("a section on other names behind the kinds");
    let sections: Vec<&str> = guide_of_kinds.split("\n### `").skip(1).collect();
    let kinds: BTreeSet<&str> = sections.iter().map(|s| s.split('`').next().expect("a kind")).collect();
    assert_eq!(kinds, LayerSpec::KINDS.iter().copied().collect());
    let keys_of = |section: &'static str| -> BTreeSet<&str> {
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.filter_map(|row| row.split('`').nth(1)).collect()
    };
    for section in sections {
        let kind = section.split('`').next().expect("a kind");
        // A key that nobody knows makes the reader list those that it knows.
        let error =
            NetFile::parse("x", &format!("[[layer]]\nkind = \"{kind}\"\n\"?\" = 1\n")).expect_err("no such key");
        let mut known = quoted(&error.reason);
        known.remove("?");
        assert_eq!(keys_of(section), known, "{kind}");
    }
    let (_, names) = guide.split_once("\n## Keras").expect("the section");
    let functions = Function::ALL.map(|f| serde_json::to_string(&f).expect("a word").trim_matches('"').to_owned());
    let without = ["activation", "branch"];
    let kinds = kinds.into_iter().filter(|kind| !without.contains(kind)).map(str::to_owned);
    kinds.chain(functions).for_each(|kind| assert!(names.contains(&format!("`{kind}`")), "{kind} has no other names"));
    let head = guide.split("## Above the layers").nth(1).and_then(|s| s.split("\n## ").next()).expect("the section");
    let error = NetFile::parse("x", "\"?\" = 1\n").expect_err("no such key");
    let mut known = quoted(&error.reason);
    known.retain(|key| !["?", "layer"].contains(key));
    assert_eq!(keys_of(head), known);
}
