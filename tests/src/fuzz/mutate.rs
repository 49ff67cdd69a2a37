//! Mutations of decoded ONNX models. Flipped bytes rarely leave a protobuf that decodes; here attributes, shapes, operators,
//! edges, axes and weights change one by one, and everything else stays sound.

use escarp_converter::operators;
use prost::Message;
use tract_onnx::pb::{self, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto::dimension};

/// Values of a tensor that its dimensions may ask for, so that weights fit changed shapes.
const MOST_VALUES: i64 = 512;

/// Changes a model in one to four places; `None` if the bytes are none.
pub fn onnx(data: &[u8], seed: u64) -> Option<Vec<u8>> {
    let mut model = pb::ModelProto::decode(data).ok()?;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635);
    for _ in 0..1 + random.below(4) {
        change(&mut model, &mut random);
    }
    Some(model.encode_to_vec())
}

/// Numbers that follow from a seed (splitmix64; Steele et al., 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below `limit`, which is at least 1.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        (!all.is_empty()).then(|| &all[self.below(all.len())])
    }

    fn pick_mut<'a, T>(&mut self, all: &'a mut [T]) -> Option<&'a mut T> {
        if all.is_empty() { None } else { all.get_mut(self.below(all.len())) }
    }

    /// Near `i`, or one at which something ends.
    fn int(&mut self, i: i64) -> i64 {
        const ENDS: [i64; 18] = [
            -1,
            0,
            1,
            2,
            3,
            4,
            7,
            127,
            255,
            256,
            65_535,
            65_536,
            1 << 31,
            (1 << 31) - 1,
            1 << 32,
            1 << 62,
            i64::MAX,
            i64::MIN,
        ];
        match self.below(4) {
            0 => i.wrapping_add(1),
            1 => i.wrapping_sub(1),
            2 => i.wrapping_neg(),
            _ => ENDS[self.below(ENDS.len())],
        }
    }

    fn float(&mut self, f: f32) -> f32 {
        const ENDS: [f32; 9] = [0.0, -0.0, 1.0, 1e-30, 1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX];
        if self.below(2) == 0 { -2.0 * f } else { ENDS[self.below(ENDS.len())] }
    }

    /// Changes a number, adds one, takes one away, doubles one or swaps two.
    fn ints(&mut self, ints: &mut Vec<i64>) {
        let at = self.below(ints.len().max(1));
        match self.below(5) {
            0 if ints.len() < 12 => {
                let number = self.int(1);
                ints.insert(at.min(ints.len()), number);
            }
            1 if !ints.is_empty() => drop(ints.remove(at)),
            2 if !ints.is_empty() && ints.len() < 12 => ints.insert(at, ints[at]),
            3 if !ints.is_empty() => {
                let other = self.below(ints.len());
                ints.swap(at, other);
            }
            _ => {
                if let Some(i) = self.pick_mut(ints) {
                    let old = *i;
                    *i = self.int(old);
                }
            }
        }
    }
}

fn change(model: &mut pb::ModelProto, random: &mut Random) {
    if random.below(24) == 0 {
        if let Some(set) = random.pick_mut(&mut model.opset_import) {
            set.version = 6 + random.below(18) as i64;
        }
        return;
    }
    let Some(graph) = &mut model.graph else { return };
    let names: Vec<String> = graph
        .node
        .iter()
        .flat_map(|n| n.output.iter().cloned())
        .chain(graph.initializer.iter().map(|t| t.name.clone()))
        .chain(graph.input.iter().map(|i| i.name.clone()))
        .collect();
    match random.below(16) {
        0..=3 => attribute(graph, random),
        4 => {
            let operators: Vec<&str> = operators().collect();
            if let (Some(node), Some(operator)) = (pick_node(graph, random), random.pick(&operators)) {
                node.op_type = (*operator).into();
            }
        }
        5..=7 => edge(graph, &names, random),
        8 | 9 => nodes(graph, &names, random),
        10..=12 => initializer(graph, random),
        13 => shape(graph, random),
        14 => {
            if let (Some(output), Some(name)) = (graph.output.first_mut(), random.pick(&names)) {
                output.name.clone_from(name);
            }
        }
        _ => axes(graph, random),
    }
}

fn pick_node<'a>(graph: &'a mut pb::GraphProto, random: &mut Random) -> Option<&'a mut pb::NodeProto> {
    random.pick_mut(&mut graph.node)
}

/// Attributes that some operator knows, with their type.
const ATTRIBUTES: [(&str, AttributeType); 30] = {
    use AttributeType::{Float, Int, Ints, String, Strings};
    [
        ("auto_pad", String),
        ("pads", Ints),
        ("strides", Ints),
        ("dilations", Ints),
        ("kernel_shape", Ints),
        ("group", Int),
        ("axis", Int),
        ("axes", Ints),
        ("perm", Ints),
        ("keepdims", Int),
        ("ceil_mode", Int),
        ("count_include_pad", Int),
        ("storage_order", Int),
        ("alpha", Float),
        ("beta", Float),
        ("transA", Int),
        ("transB", Int),
        ("epsilon", Float),
        ("hidden_size", Int),
        ("direction", String),
        ("layout", Int),
        ("linear_before_reset", Int),
        ("activations", Strings),
        ("allowzero", Int),
        ("start", Int),
        ("end", Int),
        ("starts", Ints),
        ("ends", Ints),
        ("to", Int),
        ("value_ints", Ints),
    ]
};

const WORDS: [&str; 8] = ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "forward", "reverse", "bidirectional", "Relu"];

fn attribute(graph: &mut pb::GraphProto, random: &mut Random) {
    let foreign = random.pick(&graph.node).and_then(|n| n.attribute.first()).cloned();
    let Some(node) = pick_node(graph, random) else { return };
    match random.below(8) {
        0 => {
            let (name, kind) = ATTRIBUTES[random.below(ATTRIBUTES.len())];
            let mut new = pb::AttributeProto { name: name.into(), r#type: kind as i32, ..Default::default() };
            new.ints = (0..random.below(5)).map(|_| random.int(1)).collect();
            new.i = random.int(1);
            new.s = WORDS[random.below(WORDS.len())].into();
            node.attribute.retain(|a| a.name != name);
            node.attribute.push(new);
        }
        1 if !node.attribute.is_empty() => {
            let at = random.below(node.attribute.len());
            node.attribute.remove(at);
        }
        2 => node.attribute.extend(foreign),
        _ => {
            let Some(a) = random.pick_mut(&mut node.attribute) else { return };
            match AttributeType::try_from(a.r#type) {
                Ok(AttributeType::Float) => a.f = random.float(a.f),
                Ok(AttributeType::Int) => a.i = random.int(a.i),
                Ok(AttributeType::Ints) => random.ints(&mut a.ints),
                Ok(AttributeType::Tensor) => a.t.iter_mut().for_each(|t| tensor(t, random)),
                _ => a.s = WORDS[random.below(WORDS.len())].into(),
            }
        }
    }
}

/// What a node reads or is read as.
fn edge(graph: &mut pb::GraphProto, names: &[String], random: &mut Random) {
    let Some(node) = pick_node(graph, random) else { return };
    let name = random.pick(names).cloned().unwrap_or_default();
    match random.below(6) {
        0 => node.input.push(name),
        1 => drop(node.input.pop()),
        2 => {
            if let Some(input) = random.pick_mut(&mut node.input) {
                input.clear();
            }
        }
        3 => {
            if let Some(output) = random.pick_mut(&mut node.output) {
                *output = name;
            }
        }
        _ => {
            if let Some(input) = random.pick_mut(&mut node.input) {
                *input = name;
            }
        }
    }
}

/// Whole nodes: one more of the same behind it, one less, two in the other order, a new one in between.
fn nodes(graph: &mut pb::GraphProto, names: &[String], random: &mut Random) {
    const MOST: usize = 24;
    if graph.node.is_empty() {
        return;
    }
    let at = random.below(graph.node.len());
    match random.below(4) {
        0 if graph.node.len() < MOST => {
            // The copy reads what the original made, and whoever read that reads the copy.
            let mut copy = graph.node[at].clone();
            let (Some(old), Some(input)) = (copy.output.first().cloned(), copy.input.first_mut()) else { return };
            *input = old.clone();
            let new = format!("{old}{}", random.below(1000));
            copy.output[0].clone_from(&new);
            rename(graph, at + 1, &old, &new);
            graph.node.insert(at + 1, copy);
        }
        1 if graph.node.len() > 1 => {
            // Whoever read it reads what it read.
            let gone = graph.node.remove(at);
            if let (Some(output), Some(input)) = (gone.output.first(), gone.input.first()) {
                rename(graph, at, output, input);
            }
        }
        2 => {
            let other = random.below(graph.node.len());
            graph.node.swap(at, other);
        }
        _ if graph.node.len() < MOST => {
            const ONE: [&str; 12] = [
                "Relu",
                "Identity",
                "Flatten",
                "Transpose",
                "Shape",
                "Squeeze",
                "Unsqueeze",
                "Add",
                "Concat",
                "GlobalAveragePool",
                "MaxPool",
                "Clip",
            ];
            let old = graph.node[at].output.first().cloned().unwrap_or_default();
            let new = format!("{old}{}", random.below(1000));
            let mut input = vec![old.clone()];
            input.extend((0..random.below(2)).filter_map(|_| random.pick(names).cloned()));
            rename(graph, at + 1, &old, &new);
            let op_type = ONE[random.below(ONE.len())].into();
            graph.node.insert(at + 1, pb::NodeProto { op_type, input, output: vec![new], ..Default::default() });
        }
        _ => {}
    }
}

/// Lets the nodes from `from` on, and the graph's output, read `new` in place of `old`.
fn rename(graph: &mut pb::GraphProto, from: usize, old: &str, new: &str) {
    let inputs = graph.node.iter_mut().skip(from).flat_map(|n| &mut n.input);
    inputs.filter(|i| *i == old).for_each(|i| new.clone_into(i));
    graph.output.iter_mut().filter(|o| o.name == old).for_each(|o| new.clone_into(&mut o.name));
}

fn initializer(graph: &mut pb::GraphProto, random: &mut Random) {
    if let Some(t) = random.pick_mut(&mut graph.initializer) {
        tensor(t, random);
    }
}

/// Dimensions, type or values of a constant. Mostly there are then as many values as the dimensions say.
fn tensor(t: &mut pb::TensorProto, random: &mut Random) {
    let floats = t.data_type == DataType::Float as i32;
    match random.below(6) {
        0 | 1 => random.ints(&mut t.dims),
        2 => {
            const TYPES: [DataType; 6] =
                [DataType::Float, DataType::Double, DataType::Int64, DataType::Int32, DataType::Bool, DataType::Int8];
            t.data_type = TYPES[random.below(TYPES.len())] as i32;
        }
        _ if floats => {
            if let Some(f) = random.pick_mut(&mut t.float_data) {
                *f = random.float(*f);
            }
        }
        _ => {
            let (words, _) = t.raw_data.as_chunks::<8>();
            let mut ints: Vec<i64> = words.iter().map(|b| i64::from_le_bytes(*b)).collect();
            random.ints(&mut ints);
            if t.dims.len() == 1 {
                t.dims = vec![ints.len() as i64];
            }
            t.raw_data = ints.into_iter().flat_map(i64::to_le_bytes).collect();
        }
    }
    let wanted = t.dims.iter().try_fold(1i64, |product, &d| product.checked_mul(d));
    let wanted = wanted.filter(|n| (0..=MOST_VALUES).contains(n)).and_then(|n| usize::try_from(n).ok());
    if let Some(wanted) = wanted.filter(|_| floats && t.raw_data.is_empty() && random.below(8) > 0) {
        t.float_data.resize(wanted, 0.25);
    }
}

/// Dimensions of the input.
fn shape(graph: &mut pb::GraphProto, random: &mut Random) {
    let Some(pb::type_proto::Value::TensorType(tensor)) =
        graph.input.first_mut().and_then(|i| i.r#type.as_mut()).and_then(|t| t.value.as_mut())
    else {
        return;
    };
    let Some(shape) = &mut tensor.shape else { return };
    let value =
        |n| pb::tensor_shape_proto::Dimension { value: Some(dimension::Value::DimValue(n)), ..Default::default() };
    match random.below(4) {
        0 if shape.dim.len() < 8 => {
            let n = random.int(1);
            shape.dim.push(value(n));
        }
        1 => drop(shape.dim.pop()),
        _ => {
            if let Some(dim) = random.pick_mut(&mut shape.dim) {
                let n = match dim.value {
                    Some(dimension::Value::DimValue(n)) => n,
                    _ => 1,
                };
                *dim = value(random.int(n));
            }
        }
    }
}

/// A list of integers as a new constant, read by a node that takes such a list.
fn axes(graph: &mut pb::GraphProto, random: &mut Random) {
    let name = format!("k{}", random.below(1000));
    let ints: Vec<i64> = (0..random.below(5)).map(|_| random.int(0)).collect();
    let Some(node) = pick_node(graph, random) else { return };
    let at = random.below(node.input.len() + 1);
    if at < node.input.len() {
        node.input[at].clone_from(&name);
    } else {
        node.input.push(name.clone());
    }
    graph.initializer.push(pb::TensorProto {
        name,
        dims: vec![ints.len() as i64],
        data_type: DataType::Int64 as i32,
        raw_data: ints.into_iter().flat_map(i64::to_le_bytes).collect(),
        ..Default::default()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::seeds;

    #[test]
    fn mutations_stay_models_differ_and_follow_from_the_seed() {
        for (name, bytes) in seeds::of("onnx") {
            let mut different = std::collections::HashSet::new();
            for seed in 0..200 {
                let mutated = onnx(&bytes, seed).expect("a model");
                assert_eq!(Some(&mutated), onnx(&bytes, seed).as_ref(), "{name}, seed {seed}");
                assert!(pb::ModelProto::decode(&mutated[..]).is_ok(), "{name}, seed {seed}");
                different.insert(mutated);
            }
            assert!(different.len() > 150, "{name}: {} of 200", different.len());
        }
        assert_eq!(onnx(b"no protobuf", 1), None);
    }
}
