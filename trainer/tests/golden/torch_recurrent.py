"""Outputs and gradients of PyTorch's recurrent layers, for tests/recurrent_golden.rs.

    python trainer/tests/golden/torch_recurrent.py trainer/tests/golden/torch_recurrent.json

Needs PyTorch (made with 1.13). PyTorch has no GRU with the reset before the product: that one is written out here,
and differentiated by autograd.

The loss is the sum of all outputs times fixed weights. Inputs and weights come from `wave`, which the test has too.
Gradients of matrices stand as PyTorch has them, one row for each output, and gates in PyTorch's order.
"""
import json
import sys

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

BATCH, FRAMES, INPUTS, HIDDEN = 3, 4, 2, 3
LENGTHS = [2, 4, 1]


class GruResetBefore(nn.Module):
    """One direction or both, full lengths or not, by the definition; weights named and ordered (r, z, n) as nn.GRU's."""

    def __init__(self, inputs, hidden, batch_first, bidirectional):
        super().__init__()
        self.directions = ["", "_reverse"][: 1 + bidirectional]
        for end in self.directions:
            self.register_parameter("weight_ih_l0" + end, nn.Parameter(torch.empty(3 * hidden, inputs)))
            self.register_parameter("weight_hh_l0" + end, nn.Parameter(torch.empty(3 * hidden, hidden)))
            self.register_parameter("bias_ih_l0" + end, nn.Parameter(torch.empty(3 * hidden)))
            self.register_parameter("bias_hh_l0" + end, nn.Parameter(torch.zeros(3 * hidden)))

    def one(self, x, end):
        w, u = getattr(self, "weight_ih_l0" + end), getattr(self, "weight_hh_l0" + end)
        b = getattr(self, "bias_ih_l0" + end) + getattr(self, "bias_hh_l0" + end)
        h, states = x.new_zeros(HIDDEN), []
        for frame in x:
            ar, az, an = (w @ frame + b).chunk(3)
            ur, uz, un = u.chunk(3)
            r, z = torch.sigmoid(ar + ur @ h), torch.sigmoid(az + uz @ h)
            n = torch.tanh(an + un @ (r * h))
            h = (1 - z) * n + z * h
            states.append(h)
        return torch.stack(states)

    def forward(self, x, lengths):
        all_states, last = x.new_zeros(len(x), FRAMES, HIDDEN * len(self.directions)), []
        for i, n in enumerate(lengths):
            runs = [self.one(x[i, :n], "")]
            if len(self.directions) == 2:
                runs.append(self.one(x[i, :n].flip(0), "_reverse").flip(0))
            all_states[i, :n] = torch.cat(runs, 1)
            last.append(torch.cat([runs[0][-1]] + [run[0] for run in runs[1:]]))
        return all_states, torch.stack(last)


def run(layer, x, lengths):
    """Every state [batch, frames, directions * hidden], and the last [batch, directions * hidden]."""
    if isinstance(layer, GruResetBefore):
        return layer(x, lengths)
    packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    states, last = layer(packed)
    states, _ = pad_packed_sequence(states, batch_first=True, total_length=FRAMES)
    last = last[0] if isinstance(last, tuple) else last
    return states, last.transpose(0, 1).flatten(1)


def numbers(tensor):
    return [round(v, 6) for v in tensor.detach().flatten().tolist()]


def wave(shape, start):
    k = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (0.7 * torch.sin(start + 1.3 * k)).reshape(shape)


torch.set_default_dtype(torch.float64)
cases = []
for kind, make in [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU), ("gru reset before", GruResetBefore)]:
    for both in [False, True]:
        layer = make(INPUTS, HIDDEN, batch_first=True, bidirectional=both)
        for i, (name, p) in enumerate(layer.named_parameters()):
            # Two biases that are always summed are one in escarp: only nn.GRU needs the second.
            zero = name.startswith("bias_hh") and kind != "gru"
            p.data = torch.zeros_like(p) if zero else wave(p.shape, i)
        for lengths, every_step in [([FRAMES] * BATCH, not both), (LENGTHS, both)]:
            x = wave([BATCH, FRAMES, INPUTS], 0.5).requires_grad_()
            layer.zero_grad()
            output = run(layer, x, lengths)[0 if every_step else 1]
            (output * wave(output.shape, 0.25)).sum().backward()
            cases.append(
                {
                    "kind": kind,
                    "both": both,
                    "lengths": lengths,
                    "every_step": every_step,
                    "output": numbers(output),
                    "input_gradient": numbers(x.grad),
                    "gradients": [numbers(p.grad) for _, p in layer.named_parameters()],
                }
            )
with open(sys.argv[1], "w") as file:
    json.dump(cases, file, separators=(",", ":"))
