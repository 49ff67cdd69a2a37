"""Writes the health of a PyTorch training for `escarp-train doctor LOG`.

    health = HealthLog(model, "health.jsonl", batch=32, baseline_loss=math.log(classes))
    ...
    loss.backward()
    health.step(optimizer, loss)      # in place of optimizer.step()

Every `every`-th step is observed, and any whose loss is not finite; the others cost little. `GradientLog`, which is all
of it but what comes out of the layers, stands on its own: take it where `HealthLog` would see nothing more, because
activations are functions (`F.relu`) and not modules (`nn.ReLU()`). The form of a line: `trainer/doctor.md`.
"""
import collections
import json
import torch
from torch import nn

KINDS = {nn.Linear: "dense", nn.Conv1d: "convolution", nn.Conv2d: "convolution", nn.GRU: "gru", nn.LSTM: "lstm",
         nn.RNN: "rnn", nn.BatchNorm1d: "norm", nn.BatchNorm2d: "norm", nn.LayerNorm: "norm", nn.Embedding: "embedding"}


class GradientLog:
    """Gradients, weights and steps of every layer: all verdicts but those on activations and on time."""

    def __init__(self, model, path, every=20, **constants):
        """`constants` stand in every line: batch, baseline_loss, planned_steps."""
        self.file, self.every, self.constants, self.count = open(path, "w"), every, constants, 0
        self.layers = {m: name for name, m in model.named_modules() if type(m) in KINDS}
        self.seen = collections.defaultdict(dict)

    def step(self, optimizer, loss, **more):
        """`optimizer.step()`, observed. `more`: epoch, accuracy, validation_loss; with clipping also clipped and
        gradient_norm, which `clip_grad_norm_` returns."""
        step, self.count = self.count, self.count + 1
        if step % self.every and torch.isfinite(loss):
            return optimizer.step()
        weights = {m: w for m in self.layers if (w := weights_of(m))}
        before = {m: [p.detach().clone() for p in w] for m, w in weights.items()}
        for m, w in weights.items():
            gain = max(p.std(unbiased=False).item() * p[0].numel() ** 0.5 for p in w)
            self.seen[m].update(weight_norm=norm(w), weight_gain=gain, gradient_norm=norm(p.grad for p in w))
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        line = {"step": step, "loss": loss.item(), "rate": optimizer.param_groups[0]["lr"], "gradient_norm": norm(gradients)}
        optimizer.step()
        for m, w in weights.items():
            moved = norm(p - b for p, b in zip(w, before[m]))
            self.seen[m]["update_ratio"] = moved / (self.seen[m]["weight_norm"] or torch.nan)
        layers = [{"name": name, "kind": KINDS[type(m)], **self.seen[m]} for m, name in self.layers.items()]
        print(json.dumps({**line, **self.constants, **more, "layers": layers}), file=self.file, flush=True)
        self.seen.clear()  # what this step has shown must not stand for another


def weights_of(module):
    """Matrices and kernels without biases; of a normalization everything."""
    trained = [p for p in module.parameters() if p.grad is not None]
    return trained if KINDS[type(module)] == "norm" else [p for p in trained if p.dim() > 1]


def norm(tensors):
    return torch.cat([t.detach().flatten() for t in tensors]).norm().item()


ACTIVATIONS = {nn.ReLU: "relu", nn.LeakyReLU: "leaky_relu", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh", nn.SiLU: "silu",
               nn.Hardswish: "hard_swish", nn.Hardsigmoid: "hard_sigmoid", nn.GRU: "tanh", nn.LSTM: "tanh", nn.RNN: "tanh"}


class HealthLog(GradientLog):
    """And what comes out of the layers: dead units, saturation, gradients over time."""

    def __init__(self, model, path, every=20, **constants):
        super().__init__(model, path, every, **constants)
        self.last = None
        for module in model.modules():
            if type(module) in KINDS or type(module) in ACTIVATIONS:
                module.register_forward_hook(self.forward)
            if isinstance(module, nn.RNNBase):
                module.register_forward_pre_hook(self.over_time)

    def forward(self, module, inputs, output):
        """Figures of an output; an activation's take the place of those of the layer before it."""
        self.last = module if module in self.layers else self.last
        if self.count % self.every == 0 and module.training and self.last:
            y, name = (output[0] if isinstance(output, tuple) else output).detach(), ACTIVATIONS.get(type(module))
            dead = (y == 0).transpose(0, 1 if y.dim() == 4 else -1).flatten(1).all(1)
            ends = {"sigmoid": (y - 0.5).abs() > 0.475, "tanh": y.abs() > 0.95}.get(name)
            self.seen[self.last].update(activation=name, activation_mean=y.mean().item(), activation_std=y.std().item(),
                                        dead_units=share(dead), activation_saturated=None if ends is None else share(ends))

    def over_time(self, module, inputs):
        """Gradient by the first step's input over that by the last's: through the same matrix as by the states."""
        if self.count % self.every == 0 and module.training and isinstance(inputs[0], torch.Tensor):
            x, axis = inputs[0] if inputs[0].requires_grad else inputs[0].detach().requires_grad_(), int(module.batch_first)
            ratio = lambda g: (g.select(axis, 0).norm() / g.select(axis, -1).norm()).item()
            x.register_hook(lambda g: self.seen[module].update(time_gradient_ratio=ratio(g)))
            return (x, *inputs[1:])


def share(which):
    return which.float().mean().item()
