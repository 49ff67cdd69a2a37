//! Pages on the screen of a phone, in a real browser.

use std::{path::Path, process::Command};

/// Pixels.
const PHONE: u32 = 375;

/// How far `page` reaches to the right in a frame of a phone's width; `None` without a browser.
fn width(folder: &Path, page: &Path) -> Option<u32> {
    let frame = folder.join("frame.html");
    // The bar at the right of a page that scrolls down is part of the frame.
    let script = "document.body.append('REACHES ' + f.contentDocument.documentElement.scrollWidth + ' PIXELS')";
    let text = format!(
        "<!doctype html><body><iframe id=f style=\"width:{PHONE}px;height:800px;border:0\" src=\"file://{}\" \
         onload=\"{script}\"></iframe></body>",
        page.display()
    );
    std::fs::write(&frame, text).unwrap();
    let run = |browser: &str| {
        let mut command = Command::new(browser);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom"]);
        command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        command.arg(format!("file://{}", frame.display())).output().ok()
    };
    let output = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(run)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The script stands in the page too, with no number in it.
    let reached = text.split("REACHES ").filter_map(|rest| rest.split_once(" PIXELS")?.0.parse().ok()).next();
    Some(
        reached
            .unwrap_or_else(|| panic!("the browser says nothing: {text}{}", String::from_utf8_lossy(&output.stderr))),
    )
}

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

/// What is wider than a phone stands in a box that scrolls, or may shrink; with a browser at hand it is measured too.
#[track_caller]
fn fits(folder: &Path, page: &Path) {
    let html = std::fs::read_to_string(page).unwrap();
    for (i, _) in html.match_indices("<table") {
        assert!(html[..i].trim_end().ends_with("<div class=\"scroll\">"), "a table without a box at byte {i}");
    }
    for (i, _) in html.match_indices("minmax(") {
        let least = html[i + 7..].split(',').next().unwrap();
        let pixels: Option<u32> = least.strip_suffix("px").and_then(|p| p.parse().ok());
        assert!(pixels.is_none_or(|p| p < 300), "columns of at least {least}");
    }
    match width(folder, page) {
        Some(reached) => assert!(reached <= PHONE, "{} reaches {reached} pixels", page.display()),
        None => eprintln!("NOT TESTED: no chromium here to measure {}", page.display()),
    }
}
