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

/// What is wider than a phone stands in a box that scrolls, or may shrink; with a browser at hand it is measured too.
#[track_caller]
pub fn fits(folder: &Path, page: &Path) {
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
