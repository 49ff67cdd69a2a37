//! `escarp-convert compare`: two model files side by side.

mod browser;
mod build;
mod shop;

use std::fs;

use browser::fits;
use shop::{WHOLE, Workshop, network};

/// Two files of one network, with other ranges.
fn made() -> Workshop {
    let shop = Workshop::new();
    assert!(shop.convert(&WHOLE).status.success());
    let other = ["net.onnx", "--samples", "images", "--pixels", "0..1", "--ranges", "minmax", "-o", "other.escarp"];
    assert!(shop.convert(&[&other[..], &["--test", "images"]].concat()).status.success());
    shop
}

fn compared(shop: &Workshop, arguments: &[&str]) -> String {
    let output = shop.convert(&[&["compare"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn a_file_is_like_itself() {
    let shop = made();
    let text = compared(&shop, &["net.escarp", "net.escarp", "--samples", "images"]);
    for part in ["0 of 3 steps differ", "same top-1: 16 of 16", "output y: the same", "not measured"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains('*'), "{text}");
}

#[test]
fn what_differs_is_marked() {
    let shop = made();
    let text = compared(&shop, &["net.escarp", "other.escarp", "--samples", "images", "--report", "both.html"]);
    for part in ["steps differ", "right: ", " of 16", "conv", "int8", "accuracy when converted *", "largest difference"]
    {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let page = fs::read_to_string(shop.path("both.html")).unwrap();
    assert!(page.contains("net.escarp and other.escarp") && page.contains("class=\"wrong\"") && !page.contains("http"));
    fits(shop.0.path(), &shop.path("both.html"));
}

#[test]
fn files_that_have_little_in_common() {
    let shop = made();
    fs::write(shop.path("wide.onnx"), network(5, 6, 5)).unwrap();
    let arguments = ["wide.onnx", "--samples", "images", "--pixels", "0..1", "-o", "wide.escarp"];
    assert!(shop.convert(&arguments).status.success());
    let text = compared(&shop, &["net.escarp", "wide.escarp", "--samples", "images", "--limit", "4"]);
    assert!(text.contains("of 5 steps differ") && text.contains("of 4"), "{text}");
    let arguments = ["net.onnx", "--outputs", "r", "--samples", "images", "--pixels", "0..1", "-o", "cut.escarp"];
    assert!(shop.convert(&arguments).status.success());
    compared(&shop, &["net.escarp", "cut.escarp"]);
    let samples = ["--samples", "images"];
    shop.fails(&[&["compare", "net.escarp", "cut.escarp"], &samples[..]].concat(), 1, &["outputs of 2 and of 8x8x4"]);
}

#[test]
fn wrong_orders_are_told() {
    let shop = made();
    shop.fails(&["compare", "net.escarp"], 2, &["SECOND"]);
    shop.fails(&["compare", "net.escarp", "net.onnx"], 2, &["net.onnx is a network as ONNX"]);
    shop.fails(&["compare", "net.escarp", "none.escarp"], 1, &["none.escarp"]);
    shop.fails(&["compare", "net.escarp", "other.escarp", "--limit", "3"], 2, &["--samples"]);
    shop.fails(
        &["compare", "net.escarp", "other.escarp", "--report", "net.escarp"],
        2,
        &["the same file as the first model"],
    );
}
