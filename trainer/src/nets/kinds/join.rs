//! `kind = "branch"`, `"add"` and `"flatten"`: how values part, meet and lie.

use serde::{Deserialize, Serialize};

use crate::{
    engine::scalar::Scalar,
    layers::{activation::Function, add, flatten},
    nets::{NetError, Shape, builder::Builder},
};

/// Goes back: what follows is put on an earlier layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// That layer's name; `input` is the net's input.
    pub from: String,
}

impl Branch {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        builder.at = builder.find(name, &self.from)?;
        Ok(())
    }
}

/// The sum of what the layer below gives and what an earlier one does: the end of a shortcut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The other layer's name; `input` is the net's input.
    pub of: String,
    /// Behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Function>,
}

impl Add {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let other = builder.find(name, &self.of)?;
        if other.value == builder.at.value {
            let reason = format!("of = `{}` is what it is put on; name another layer", self.of);
            return Err(NetError::Layer { layer: name.to_owned(), reason });
        }
        if other.shape != builder.at.shape {
            return Err(builder.misfit(name, &format!("what {} gives, {}", other.name, other.shape)));
        }
        let relu = self.activation == Some(Function::Relu);
        builder.node(name, vec![builder.at.value, other.value], Box::new(add::Add { relu }), other.shape);
        builder.activation(name, self.activation.filter(|_| !relu));
        Ok(())
    }
}

/// All numbers in one vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Flatten {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let numbers = match builder.at.shape {
            Shape::Map([h, w, channels]) => h * w * channels,
            Shape::Sequence([frames, numbers]) => frames * numbers,
            Shape::Tokens(_) | Shape::Vector(_) => return Err(builder.misfit(name, "maps or a sequence")),
        };
        builder.push(name, flatten::Flatten, Shape::Vector(numbers));
        Ok(())
    }
}
