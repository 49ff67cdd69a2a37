"""Records the logs of two real trainings that the tests diagnose: python3 record.py (PyTorch 1.13).

Perceptrons of 20 layers on eight classes of points: with sigmoids, whose gradient vanishes, and with ReLU and He's
initial weights.
"""
import math
import pathlib
import sys

import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "callbacks"))
from health_pytorch import HealthLog  # noqa: E402
from shorten import shorten  # noqa: E402


def points(count):
    """Each class is three clouds in 20 dimensions."""
    centres = 1.2 * torch.randn(8, 3, 20)
    classes = torch.randint(8, (count,))
    return centres[classes, torch.randint(3, (count,))] + torch.randn(count, 20), classes


def net(activation, init):
    layers = []
    for i in range(20):
        layers += [nn.Linear(20 if i == 0 else 32, 8 if i == 19 else 32)] + ([activation()] if i < 19 else [])
        init(layers[2 * i].weight)
        nn.init.zeros_(layers[2 * i].bias)
    return nn.Sequential(*layers)


def train(name, model, optimizer, steps=600, batch=32):
    inputs, classes = points(2000)
    path, loss_of = HERE / f"{name}.jsonl", nn.CrossEntropyLoss()
    health = HealthLog(model, path, every=75, batch=batch, baseline_loss=math.log(8), planned_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (batch,))
        loss = loss_of(model(inputs[chosen]), classes[chosen])
        optimizer.zero_grad()
        loss.backward()
        health.step(optimizer, loss)
    shorten(path)


torch.manual_seed(0)
sigmoid = net(nn.Sigmoid, nn.init.xavier_uniform_)
train("sigmoid20", sigmoid, torch.optim.SGD(sigmoid.parameters(), 0.1, momentum=0.9))
relu = net(nn.ReLU, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"))
train("relu20", relu, torch.optim.Adam(relu.parameters(), 1e-3))
