//! `kind = "max-pool"`, `"average-pool"`, `"global-max-pool"` and `"global-average-pool"`.

use serde::{Deserialize, Serialize};

use super::two;
use crate::{
    engine::scalar::Scalar,
    layers::{
        global_average_pool, global_max_pool,
        window_pool::{Over, WindowPool},
    },
    nets::{NetError, Shape, builder::Builder, error::within},
};

/// The largest number of each window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Edge of the square window.
    #[serde(default = "two")]
    pub kernel: usize,
    /// Distance between neighbouring windows; without it the window's edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Pixels around the maps, on every side; less than the window.
    #[serde(default)]
    pub padding: usize,
}

impl MaxPool {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let &Self { kernel, stride, padding, .. } = self;
        windows(name, Over::Max, [kernel, stride.unwrap_or(kernel), padding], builder)
    }
}

/// The mean of each window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AveragePool {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Edge of the square window.
    #[serde(default = "two")]
    pub kernel: usize,
    /// Distance between neighbouring windows; without it the window's edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Pixels around the maps, on every side; less than the window.
    #[serde(default)]
    pub padding: usize,
    /// Whether the padding counts as zeros of the mean: PyTorch's default, not ONNX's and Keras'.
    #[serde(default)]
    pub include_padding: bool,
}

impl AveragePool {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let &Self { kernel, stride, padding, .. } = self;
        windows(
            name,
            Over::Average { include_padding: self.include_padding },
            [kernel, stride.unwrap_or(kernel), padding],
            builder,
        )
    }
}

/// The largest number of all pixels or frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalMaxPool {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl GlobalMaxPool {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let (Shape::Map([_, _, channels]) | Shape::Sequence([_, channels])) = builder.at.shape else {
            return Err(builder.misfit(name, "maps or a sequence"));
        };
        builder.push(name, global_max_pool::GlobalMaxPool::default(), Shape::Vector(channels));
        Ok(())
    }
}

/// Mean over all pixels or frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAveragePool {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl GlobalAveragePool {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let (Shape::Map([_, _, channels]) | Shape::Sequence([_, channels])) = builder.at.shape else {
            return Err(builder.misfit(name, "maps or a sequence"));
        };
        builder.push(name, global_average_pool::GlobalAveragePool::default(), Shape::Vector(channels));
        Ok(())
    }
}

fn windows<T: Scalar>(
    name: &str,
    over: Over,
    [kernel, stride, padding]: [usize; 3],
    builder: &mut Builder<'_, T>,
) -> Result<(), NetError> {
    within(name, "kernel", kernel, 1..=31)?;
    within(name, "stride", stride, 1..=31)?;
    within(name, "padding", padding, 0..=kernel - 1)?;
    let [h, w, channels] = builder.map(name)?;
    if h.min(w) + 2 * padding < kernel {
        return Err(builder.misfit(name, "maps that are no smaller than its window"));
    }
    let pool = WindowPool::new(over, kernel, stride, padding);
    let shape = Shape::Map([pool.size(h), pool.size(w), channels]);
    builder.push(name, pool, shape);
    Ok(())
}
