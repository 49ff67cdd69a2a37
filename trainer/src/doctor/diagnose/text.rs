//! Numbers and lists as a sentence holds them.

/// Two digits, in powers of ten where that is shorter: `0.013`, `3.1e-9`, `540`.
pub fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        m if !(1e-3..1e5).contains(&m) => format!("{x:.1e}"),
        m if m >= 100.0 => format!("{x:.0}"),
        m if m >= 1.0 => format!("{x:.1}"),
        m if m >= 0.1 => format!("{x:.2}"),
        m if m >= 0.01 => format!("{x:.3}"),
        _ => format!("{x:.4}"),
    }
}

/// `layer a`, `layers a and b`, `layers a, b and 7 more`
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("layer {one}"),
        [one, two] => format!("layers {one} and {two}"),
        [one, two, rest @ ..] => format!("layers {one}, {two} and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_for_people() {
        let shown = [0.0, 3.14e-9, 0.0125, 0.5, 9.96, 540.4, 3e7, f64::INFINITY].map(number);
        assert_eq!(shown, ["0", "3.1e-9", "0.013", "0.50", "10.0", "540", "3.0e7", "inf"]);
        let names = ["a", "b", "c", "d"].map(String::from);
        assert_eq!(
            [0, 1, 2, 4].map(|n| list(&names[..n])),
            ["", "layer a", "layers a and b", "layers a, b and 2 more"]
        );
    }
}
