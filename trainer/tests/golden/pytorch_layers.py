"""Writes what PyTorch makes of the feed-forward layers, in double precision: layers.json beside this file.

    python trainer/tests/golden/pytorch_layers.py

Needs torch (made with 1.13). Maps are written with the channels last and kernels as [row, column, in, out], as the
trainer has them. A case: the layer, its numbers, the input x, its parameters, the gradient dy of its output; and what
PyTorch makes of it: the output y, the gradient dx of the input, the gradients of the parameters in their order.
"""
import json
import pathlib

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(20)
cases = []


def random(*shape):
    return torch.round(torch.randn(*shape) * 100) / 100


def last(t):  # NCHW to NHWC
    return t.permute(0, 2, 3, 1) if t.dim() == 4 else t


def kernel(t):  # [out, in, row, column] to [row, column, in, out]
    return t.permute(2, 3, 1, 0)


def tensor(t):
    t = t.detach().contiguous()
    return {"shape": list(t.shape), "values": [float(f"{v:.12g}") for v in t.flatten().tolist()]}


def case(layer, numbers, x, parameters, f, layouts=None, differentiable=True, more=None):
    layouts = layouts or [lambda t: t] * len(parameters)
    if differentiable:
        x.requires_grad_()
    for p in parameters:
        p.requires_grad_()
    y = f(x, *parameters)
    dy = random(*y.shape)
    y.backward(dy)
    cases.append(
        {
            "layer": layer,
            "numbers": numbers,
            "x": tensor(last(x)),
            "parameters": [tensor(l(p)) for l, p in zip(layouts, parameters)],
            "dy": tensor(last(dy)),
            "y": tensor(last(y)),
            "dx": tensor(last(x.grad)) if differentiable else None,
            "gradients": [tensor(l(p.grad)) for l, p in zip(layouts, parameters)],
            **{k: tensor(v) for k, v in (more or {}).items()},
        }
    )


def same(t):
    return t


for inputs, outputs, k, stride, padding, groups in [
    (2, 3, 3, 1, 1, 1),
    (2, 3, 3, 2, 0, 1),
    (2, 3, 3, 2, 2, 1),
    (1, 2, 4, 3, 1, 1),
    (4, 6, 3, 1, 1, 2),
    (4, 4, 3, 1, 1, 4),
    (3, 3, 3, 2, 1, 3),
    (2, 4, 3, 2, 1, 2),
]:
    numbers = dict(inputs=inputs, outputs=outputs, kernel=k, stride=stride, padding=padding, groups=groups)
    weight, bias = random(outputs, inputs // groups, k, k), random(outputs)

    def conv(x, w, b):
        return F.conv2d(x, w, b, stride=stride, padding=padding, groups=groups)

    case("convolution", numbers, random(2, inputs, 5, 6), [weight, bias], conv, [kernel, same])

for shape in [(3, 2, 2, 3), (6, 4)]:
    channels = shape[1]
    mean, variance = random(channels), random(channels).abs() + 0.5
    start = {"mean_before": mean.clone(), "variance_before": variance.clone()}
    x, gamma, beta = random(*shape), random(channels), random(channels)
    answered = F.batch_norm(x, mean, variance, gamma, beta, training=False)
    more = {**start, "mean": mean, "variance": variance, "answered": last(answered)}

    def norm(x, g, b):
        return F.batch_norm(x, mean, variance, g, b, training=True)  # moves mean and variance in place

    case("batch-norm", {}, x, [gamma, beta], norm, more=more)

for k, stride, padding in [(2, 2, 0), (3, 2, 1), (3, 1, 0), (2, 3, 1)]:
    numbers = dict(kernel=k, stride=stride, padding=padding)
    case("max-pool", numbers, random(2, 2, 6, 5), [], lambda x: F.max_pool2d(x, k, stride, padding))
    for include in [0, 1]:
        numbers = dict(kernel=k, stride=stride, padding=padding, include_padding=include)
        case("average-pool", numbers, random(2, 2, 6, 5), [],
             lambda x: F.avg_pool2d(x, k, stride, padding, count_include_pad=bool(include)))
case("global-average-pool", {}, random(2, 3, 2, 3), [], lambda x: x.mean((2, 3)))
case("global-max-pool", {}, random(2, 3, 2, 3), [], lambda x: x.amax((2, 3)))

for name, f in [
    ("relu", F.relu),
    ("leaky-relu", F.leaky_relu),
    ("sigmoid", torch.sigmoid),
    ("tanh", torch.tanh),
    ("silu", F.silu),
    ("hard-swish", F.hardswish),
]:
    case(name, {}, random(3, 8) * 3, [], f)

case("dense", {}, random(4, 3), [random(3, 5), random(5)], lambda x, w, b: x @ w + b)
tokens = torch.tensor([[0.0, 3.0, 3.0], [1.0, 0.0, 3.0]])
case("embedding", {}, tokens, [random(5, 4)], lambda x, w: F.embedding(x.long(), w), differentiable=False)

path = pathlib.Path(__file__).with_name("layers.json")
path.write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
print(f"{path}: {len(cases)} cases")
