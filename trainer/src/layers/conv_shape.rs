//! The numbers of a convolution.

/// A convolution's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Edge of the square kernel.
    pub kernel: usize,
    /// Distance between neighbouring windows.
    pub stride: usize,
    /// Zeros around the image, on every side; less than the kernel.
    pub padding: usize,
    /// Groups of channels that see each other.
    pub groups: usize,
}

impl ConvShape {
    /// Numbers of the kernel.
    pub fn weights(&self) -> usize {
        self.kernel * self.kernel * (self.inputs / self.groups) * self.outputs
    }

    /// Windows along an edge of `n` pixels.
    pub fn size(&self, n: usize) -> usize {
        (n + 2 * self.padding - self.kernel) / self.stride + 1
    }
}
