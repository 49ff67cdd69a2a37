"""Checks exported nets with onnx.checker and writes what onnxruntime makes of them.

    mkdir /tmp/golden
    ESCARP_GOLDEN=/tmp/golden cargo test -p escarp-trainer --test export -- --ignored
    python trainer/tests/golden/onnxruntime_outputs.py /tmp/golden trainer/tests/golden

Needs numpy, onnx and onnxruntime (made with 1.19 or later).
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

source, target = map(pathlib.Path, sys.argv[1:3])
models = sorted(source.glob("*.onnx"))
if not models:
    sys.exit(f"{source}: no *.onnx")
for path in models:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    kind = model.graph.input[0].type.tensor_type
    shape = [d.dim_value for d in kind.shape.dim[1:]]
    x = np.fromfile(path.with_suffix(".in.f32"), "<f4").reshape([-1] + shape)
    x = x.astype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: x})
    for i in range(len(x)):  # the batch axis is free
        (one,) = session.run(None, {session.get_inputs()[0].name: x[i : i + 1]})
        np.testing.assert_allclose(one[0], logits[i], atol=1e-5)
    logits.astype("<f4").tofile(target / f"{path.stem}.out.f32")
    print(f"{path.name}: {x.shape} to {logits.shape}, largest {np.abs(logits).max():.3f}")
