//! What avoids operators that are not supported, where anything does.

/// Operators, and what to do about them.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &[
            "NonMaxSuppression",
            "TopK",
            "NonZero",
            "Unique",
            "GatherND",
            "GatherElements",
            "ScatterND",
            "ScatterElements",
            "RoiAlign",
            "Where",
            "Equal",
            "Greater",
            "Less",
            "GreaterOrEqual",
            "LessOrEqual",
            "And",
            "Or",
            "Not",
            "Range",
            "OneHot",
            "CumSum",
            "Compress",
            "Mod",
            "Loop",
            "Scan",
            "SequenceConstruct",
            "SequenceAt",
            "ConcatFromSequence",
            "SplitToSequence",
        ],
        "where it is post-processing, cut the graph before it with --outputs and compute it on the outputs",
    ),
    (&["LSTM", "RNN"], "of recurrent layers only the GRU is supported"),
    (&["If"], "export with the condition fixed (a constant), or simplify the graph with onnxsim"),
    (
        &["Attention", "MultiHeadAttention", "RotaryEmbedding", "RMSNormalization", "Einsum"],
        "networks of attention are not supported",
    ),
    (
        &["RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"],
        "export the network for inference (model.eval())",
    ),
];

/// What avoids an operator that is not supported.
pub fn advice(operator: &str) -> Option<&'static str> {
    if operator.contains(':') {
        return Some("export for the standard operators (ai.onnx), and without a runtime's own optimizations");
    }
    ADVICE.iter().find(|(operators, _)| operators.contains(&operator)).map(|&(_, advice)| advice)
}
