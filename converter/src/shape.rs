//! How tensors are numbered, and what shape they have.

/// Index of a tensor of a graph.
pub type TensorId = usize;

/// `[height, width, channels]`; a vector is `[1, 1, n]`. Batch is one; time is outside.
pub type Shape = [usize; 3];

/// `HxWxC`
pub fn show_shape([h, w, c]: Shape) -> String {
    if h * w == 1 { c.to_string() } else { format!("{h}x{w}x{c}") }
}
