"""Writes the health of a PyTorch training for `escarp-train doctor LOG`.

    health = HealthLog(model, "health.jsonl", batch=32, baseline_loss=math.log(classes))
    ...
    loss.backward()
    health.step(optimizer, loss)      # in place of optimizer.step()

Every `every`-th step is observed, and any whose loss is not finite; the others cost little. Activations must be modules (`nn.ReLU()`)
to be seen; with `F.relu` only gradients, weights and updates are. The form of a line: `trainer/doctor.md`.
"""
import json
import torch
from torch import nn

KINDS = {nn.Linear: "dense", nn.Conv1d: "convolution", nn.Conv2d: "convolution", nn.GRU: "gru", nn.LSTM: "lstm",
         nn.RNN: "rnn", nn.BatchNorm1d: "norm", nn.BatchNorm2d: "norm", nn.LayerNorm: "norm", nn.Embedding: "embedding"}
ACTIVATIONS = {nn.ReLU: "relu", nn.LeakyReLU: "leaky_relu", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh", nn.SiLU: "silu",
               nn.Hardswish: "hard_swish"}


class HealthLog:
    def __init__(self, model, path, every=20, **constants):
        """`constants` stand in every line: batch, baseline_loss, planned_steps."""
        self.file, self.every, self.constants, self.count, self.last = open(path, "w"), every, constants, 0, None
        self.layers = {m: {"name": n, "kind": KINDS[type(m)]} for n, m in model.named_modules() if type(m) in KINDS}
        for module in model.modules():
            if module in self.layers or type(module) in ACTIVATIONS:
                module.register_forward_hook(self.forward)
            if KINDS.get(type(module)) in ("gru", "lstm", "rnn"):
                module.register_forward_pre_hook(self.over_time)

    def over_time(self, module, inputs):
        """Gradient by the first step's input over that by the last's: through the same matrix as by the states."""
        if self.count % self.every == 0 and module.training and isinstance(inputs[0], torch.Tensor):
            x, axis = inputs[0] if inputs[0].requires_grad else inputs[0].detach().requires_grad_(), int(module.batch_first)
            x.register_hook(lambda g: self.layers[module].update(
                time_gradient_ratio=(g.select(axis, 0).norm() / g.select(axis, -1).norm()).item()))
            return (x, *inputs[1:])

    def forward(self, module, _, output):
        """Figures of an output; an activation's replace those of the layer before it."""
        self.last = module if module in self.layers else self.last
        if self.count % self.every or not module.training or self.last is None:
            return
        y, seen = (output[0] if isinstance(output, tuple) else output), self.layers[self.last]
        d, name = y.detach(), ACTIVATIONS.get(type(module), "tanh" if seen["kind"] in ("gru", "lstm", "rnn") else None)
        share = {"sigmoid": lambda: (d - 0.5).abs() > 0.475, "tanh": lambda: d.abs() > 0.95}.get(name)
        zero = (d == 0).transpose(0, 1 if d.dim() == 4 else -1).flatten(1)
        seen.update(activation=name, activation_mean=d.mean().item(), activation_std=d.std().item(),
                    activation_zeros=zero.float().mean().item(), dead_units=zero.all(1).float().mean().item(),
                    activation_saturated=share and share().float().mean().item())
        if y.requires_grad:
            y.register_hook(lambda g: seen.update(activation_gradient_norm=g.norm().item()))

    def step(self, optimizer, loss, **more):
        """`optimizer.step()`, observed. `more`: epoch, accuracy, validation_loss; with clipping also clipped and
        gradient_norm, which `clip_grad_norm_` returns."""
        due, lost = self.count % self.every == 0, not torch.isfinite(loss)
        if lost and not due:  # the figures of activations are of an earlier step
            self.layers = {m: {k: seen[k] for k in ("name", "kind")} for m, seen in self.layers.items()}
        if due or lost:
            weights = {m: [p for p in m.parameters() if p.grad is not None and (p.dim() > 1 or seen["kind"] == "norm")]
                       for m, seen in self.layers.items()}
            before = {m: torch.cat([p.detach().flatten().clone() for p in ps]) for m, ps in weights.items() if ps}
            for m, w in before.items():
                g = torch.cat([p.grad.flatten() for p in weights[m]])
                gain = max(p.std(unbiased=False).item() * p[0].numel() ** 0.5 for p in weights[m])
                self.layers[m].update(weight_norm=w.norm().item(), largest_weight=w.abs().max().item(), weight_gain=gain,
                                      gradient_norm=g.norm().item(), zero_gradients=(g.abs() < 1e-12).float().mean().item())
            norm = torch.stack([p.grad.norm() for g in optimizer.param_groups for p in g["params"] if p.grad is not None])
            line = {"step": self.count, "loss": loss.item(), "rate": optimizer.param_groups[0]["lr"],
                    "gradient_norm": norm.norm().item(), **self.constants, **more}
            optimizer.step()
            for m, w in before.items():
                after = torch.cat([p.detach().flatten() for p in weights[m]])
                self.layers[m]["update_ratio"] = ((after - w).norm() / w.norm()).item()
            print(json.dumps({**line, "layers": list(self.layers.values())}), file=self.file, flush=True)
        else:
            optimizer.step()
        self.count += 1
