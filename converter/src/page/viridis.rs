//! The Viridis colour map (Smith and van der Walt, public domain): rises in lightness throughout, so that it also reads in
//! grey and to the colour-blind.

/// At tenths.
const COLOURS: [[f64; 3]; 11] = [
    [68.0, 1.0, 84.0],
    [72.0, 36.0, 117.0],
    [65.0, 68.0, 135.0],
    [53.0, 95.0, 141.0],
    [42.0, 120.0, 142.0],
    [33.0, 145.0, 140.0],
    [34.0, 168.0, 132.0],
    [68.0, 191.0, 112.0],
    [122.0, 209.0, 81.0],
    [189.0, 223.0, 38.0],
    [253.0, 231.0, 37.0],
];

/// The colour at `t` from 0 to 1, as CSS writes it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tenths below 10, shades below 256")]
pub fn colour(t: f64) -> String {
    let place = t.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f64;
    let i = (place as usize).min(COLOURS.len() - 2);
    let mix = |c: usize| COLOURS[i][c] + (place - i as f64) * (COLOURS[i + 1][c] - COLOURS[i][c]);
    format!("#{:02x}{:02x}{:02x}", mix(0) as u8, mix(1) as u8, mix(2) as u8)
}

#[cfg(test)]
mod tests {
    #[test]
    fn ends_and_middle() {
        assert_eq!([-1.0, 0.0, 0.5, 1.0].map(super::colour), ["#440154", "#440154", "#21918c", "#fde725"]);
    }
}
