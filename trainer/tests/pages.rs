//! Pages on the screen of a phone, in a real browser.

#[path = "../../converter/tests/browser/mod.rs"]
mod browser;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use browser::fits;

fn program(folder: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_escarp-train")).current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_report_with_long_names_fits_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let layer = |i: u32| {
        let name = format!("stage{i}.{}", "a_block_with_a_name_that_never_ends".repeat(2));
        format!(
            r#"{{"name": "{name}", "kind": "dense", "activation": "sigmoid", "weight_norm": 3, "weight_gain": 1, "gradient_norm":
            1e-{i}, "zero_gradients": 0, "update_ratio": 1e-3, "largest_weight": 1, "activation_mean": 0.5, "activation_std": 0.1,
            "activation_saturated": 0.1, "dead_units": 0, "gradient_histogram": [{}]}}"#,
            ["7"; 24].join(", ")
        )
    };
    let layers: Vec<String> = (1..12).rev().map(layer).collect();
    let line = |step: u32| {
        let text = format!(
            r#"{{"step": {step}, "loss": 2.3, "validation_loss": 2.4, "accuracy": 0.1, "rate": 0.1, "gradient_norm": 1e-1,
            "baseline_loss": 2.3, "planned_steps": 40, "layers": [{}]}}"#,
            layers.join(", ")
        );
        text.replace('\n', " ") + "\n"
    };
    let log = here.join(format!("{}.jsonl", "a-log-with-a-long-name".repeat(5)));
    std::fs::write(&log, (0..40).map(line).collect::<String>()).unwrap();
    program(here, &["doctor", log.to_str().unwrap(), "--report", "report.html"]);
    let html = std::fs::read_to_string(here.join("report.html")).unwrap();
    assert!(html.contains("vanishing gradient") && html.contains("Curves"));
    fits(here, &here.join("report.html"));
}

#[test]
fn the_studies_pages_fit_a_phone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // All of its cells are done: nothing is trained, and the page is written anew.
    let done = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies/memory/results.jsonl");
    std::fs::create_dir(here.join("study")).unwrap();
    std::fs::copy(done, here.join("study/results.jsonl")).unwrap();
    program(here, &["study", "memory", "--full", "--out", "study"]);
    fits(here, &here.join("study/study.html"));
}

/// Results are kept in a file that anybody may have written.
#[test]
fn results_cannot_inject_html() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let done = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies/memory/results.jsonl");
    let done = std::fs::read_to_string(done).unwrap();
    let records = done.lines().map(|line| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(record["machine"].is_string());
        record["machine"] = "<script>alert(1)</script>&\"\u{1b}[2J\u{202e}".into();
        format!("{record}\n")
    });
    let records: String = records.collect();
    std::fs::create_dir(here.join("study")).unwrap();
    std::fs::write(here.join("study/results.jsonl"), records).unwrap();
    program(here, &["study", "memory", "--full", "--out", "study"]);
    let html = std::fs::read_to_string(here.join("study/study.html")).unwrap();
    assert!(html.contains(r"&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;\u{1b}[2J\u{202e}"), "{html}");
    assert!(!html.contains("<script") && !html.contains(['\u{1b}', '\u{202e}']), "{html}");
}

/// What is written by hand is escaped by hand, or forgotten: all tags are `maud::html!`'s, which escapes what is between them.
#[test]
fn no_page_is_glued_from_strings() {
    let trainer = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in [trainer.join("src"), trainer.join("../converter/src")] {
        walk(&folder, &mut sources);
    }
    let mut unescaped = Vec::new();
    for path in &sources {
        let text = std::fs::read_to_string(path).unwrap();
        // Tests read pages.
        for literal in literals(text.split("#[cfg(test)]").next().unwrap()) {
            assert!(tag(literal).is_none(), "{}: a tag in {literal:?}", path.display());
        }
        unescaped.extend(text.match_indices("PreEscaped(").map(|_| path.file_name().unwrap()));
    }
    assert_eq!(unescaped, ["page.rs"], "only the style sheet is not escaped");
    // The test sees what it is to see.
    for (source, wanted) in [
        (r##"f('"', "a <b>"); // "<i>""##, Some("b")),
        (r###"f(r#"a "</td>"#)"###, Some("td")),
        (r#"let x: &'static Vec<u8> = "<td class=\"a\">";"#, Some("td")),
        (r#"html! { p { "a < b" } } // "<p>""#, None),
    ] {
        assert_eq!(literals(source).into_iter().find_map(tag), wanted, "{source}");
    }
}

fn walk(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, sources);
        } else if path.extension().is_some_and(|e| e == "rs") {
            sources.push(path);
        }
    }
}

/// What stands between quotation marks in Rust's text, and not in a comment.
fn literals(source: &str) -> Vec<&str> {
    let mut literals = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, here) = rest.split_at(at);
        rest = if let Some(inside) = here.strip_prefix('"') {
            let hashes = before.len() - before.trim_end_matches('#').len();
            let raw = before.trim_end_matches('#').ends_with('r');
            let end = if raw { format!("\"{}", "#".repeat(hashes)) } else { "\"".into() };
            let closes = |i: &usize| raw || !escaped(&inside[..*i]);
            let length = inside.match_indices(&end).map(|(i, _)| i).find(closes).expect("a literal ends");
            literals.push(&inside[..length]);
            &inside[length + end.len()..]
        } else if here.starts_with("//") {
            here.split_once('\n').map_or("", |(_, next)| next)
        } else {
            here.strip_prefix("'\"'").unwrap_or(&here[1..])
        };
    }
    literals
}

/// Whether what follows `text` is escaped by a backslash at its end.
fn escaped(text: &str) -> bool {
    (text.len() - text.trim_end_matches('\\').len()) % 2 == 1
}

/// Elements that pages are made of; `<unknown>` and the like are words.
const ELEMENTS: &str = " a b body br circle code dd details div dl dt em figcaption figure g h1 h2 h3 head header html i img \
                        li line main meta ol p path polygon polyline rect script section small span style sub summary sup \
                        svg table tbody td text th thead title tr ul ";

/// The first tag in a text.
fn tag(text: &str) -> Option<&str> {
    text.match_indices('<').find_map(|(i, _)| {
        let name = text[i + 1..].trim_start_matches('/');
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len())];
        let known = !name.is_empty() && ELEMENTS.contains(&format!(" {} ", name.to_lowercase()));
        known.then_some(name)
    })
}
