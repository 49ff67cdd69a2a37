"""Writes toolbox.json: what PyTorch makes of every optimizer, clipping, penalty, schedule, average and initializer.

    python trainer/tests/golden/pytorch_toolbox.py trainer/tests/golden

Needs torch (made with 1.13). Numbers are float32 but for schedules and initializers; the seed fixes all of them.
"""
import json
import pathlib
import re
import sys

import torch
from torch.nn import functional
from torch.optim import lr_scheduler

STEPS = 10
torch.manual_seed(0)
torch.set_num_threads(1)


def numbers(tensor):
    return tensor.detach().flatten().tolist()


# Optimizers: a matrix of two numbers with decay, a bias without; the same gradients for all.
START = torch.tensor([0.5, -1.25, 0.75])
GRADIENTS = torch.randn(STEPS, 3) * torch.tensor([1.0, 0.01, 30.0])


def optimize(kind, weight_decay=0.0, **options):
    matrix = torch.nn.Parameter(START[:2].clone())
    bias = torch.nn.Parameter(START[2:].clone())
    groups = [{"params": [matrix], "weight_decay": weight_decay}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = kind(groups, lr=0.05, **options)
    path = []
    for gradient in GRADIENTS:
        matrix.grad, bias.grad = gradient[:2].clone(), gradient[2:].clone()
        optimizer.step()
        path.append(numbers(torch.cat([matrix, bias])))
    return path


SGD, RMSPROP, ADAM, ADAMW = torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adam, torch.optim.AdamW
optimizers = {
    "sgd": optimize(SGD),
    "sgd momentum decay": optimize(SGD, 0.1, momentum=0.9),
    "sgd nesterov decay": optimize(SGD, 0.1, momentum=0.9, nesterov=True),
    "rmsprop": optimize(RMSPROP),
    "rmsprop momentum decay": optimize(RMSPROP, 0.1, alpha=0.9, momentum=0.5, eps=1e-3),
    "adam": optimize(ADAM),
    "adam decay": optimize(ADAM, 0.1, betas=(0.8, 0.99), eps=1e-3),
    "adamw": optimize(ADAMW),
    "adamw decay": optimize(ADAMW, 0.1, betas=(0.8, 0.99), eps=1e-3),
}


# Clipping: a 4x3 matrix (ours is [inputs, outputs]), a bias, a last layer.
def layers(scale):
    return [scale * torch.randn(4, 3), scale * torch.randn(3), scale * torch.randn(3, 1)]


weights, gradients = layers(1.0), layers(3.0)
weights[0][:, 1] = 0.0  # a unit that starts at zero


def clip(apply):
    parameters = [torch.nn.Parameter(w.clone()) for w in weights]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient.clone()
    apply(parameters)
    return [numbers(p.grad) for p in parameters]


def each(parameters):
    for parameter in parameters:
        torch.nn.utils.clip_grad_norm_([parameter], 2.0)


def adaptive(parameters, factor=0.1, least=1e-3):
    # Brock et al. 2021, equation 3, with axis 0 as the inputs of a unit; not the last layer.
    for parameter in parameters[:-1]:
        of = {"dim": 0, "keepdim": True} if parameter.dim() > 1 else {"dim": None}
        most = factor * torch.linalg.vector_norm(parameter.detach(), **of).clamp(min=least)
        norm = torch.linalg.vector_norm(parameter.grad, **of)
        parameter.grad *= torch.where(norm > most, most / norm, torch.ones_like(norm))


clips = {
    "weights": [numbers(w) for w in weights],
    "gradients": [numbers(g) for g in gradients],
    "value": clip(lambda p: torch.nn.utils.clip_grad_value_(p, 2.0)),
    "norm": clip(each),
    "global-norm": clip(lambda p: torch.nn.utils.clip_grad_norm_(p, 2.0)),
    "adaptive": clip(adaptive),
}

# Penalties, by autograd.
matrix = torch.nn.Parameter(weights[0].clone())
loss = 0.01 * matrix.abs().sum() + 0.003 * matrix.square().sum()
loss.backward()
penalty = {"l1": 0.01, "l2": 0.003, "loss": loss.item(), "gradient": numbers(matrix.grad)}


# Schedules: 40 steps, 10 an epoch, peak 0.4.
def schedule(make):
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = make(optimizer)
    rates = []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def warm(make, steps=5):
    def chained(optimizer):
        ramp = lr_scheduler.LinearLR(optimizer, start_factor=1 / (steps + 1), total_iters=steps)
        return lr_scheduler.ChainedScheduler([ramp, make(optimizer)])
    return chained


def by_epoch(optimizer):
    return lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.3)


def cosine(optimizer):
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)


def one_cycle(optimizer):
    return lr_scheduler.OneCycleLR(optimizer, max_lr=0.4, total_steps=40, cycle_momentum=False)


schedules = {
    "step": schedule(by_epoch),
    "step warm-up": schedule(warm(by_epoch)),
    "cosine": schedule(cosine),
    "cosine warm-up": schedule(warm(cosine)),
    "one-cycle": schedule(one_cycle),
}


# Average: of the weights and the running mean of a batch normalization, with TensorFlow's ramp of the decay.
def ramp(average, now, count):
    decay = min(0.4, (1 + float(count)) / (10 + float(count)))
    return decay * average + (1 - decay) * now


norm = torch.nn.BatchNorm1d(2)
averaged = torch.optim.swa_utils.AveragedModel(norm, avg_fn=ramp, use_buffers=True)
average = {"weights": [], "means": [], "averages": [], "average means": []}
for _ in range(STEPS):
    with torch.no_grad():
        norm.weight.copy_(torch.randn(2))
        norm.running_mean.copy_(torch.randn(2))
    averaged.update_parameters(norm)
    average["weights"].append(numbers(norm.weight))
    average["means"].append(numbers(norm.running_mean))
    average["averages"].append(numbers(averaged.module.weight))
    average["average means"].append(numbers(averaged.module.running_mean))

# Loss of a mixed batch.
logits = (2 * torch.randn(4, 5)).requires_grad_()
first, second, share = [0, 3, 2, 4], [1, 3, 0, 2], 0.3
target = share * functional.one_hot(torch.tensor(first), 5) + (1 - share) * functional.one_hot(torch.tensor(second), 5)
loss = functional.cross_entropy(logits, target, label_smoothing=0.1)
loss.backward()
mixed = {
    "logits": numbers(logits), "first": first, "second": second, "share": share, "smoothing": 0.1,
    "loss": loss.item(), "gradient": numbers(logits.grad),
}


# Initializers: deviation and largest magnitude of a 3x3 convolution from 48 to 96 channels in 2 groups.
def spread(fill):
    weight = torch.empty(96, 48 // 2, 3, 3, dtype=torch.float64)
    deviations = []
    for _ in range(20):
        fill(weight)
        deviations.append(weight.square().mean())
    return {"deviation": torch.stack(deviations).mean().sqrt().item(), "largest": weight.abs().max().item()}


nn = torch.nn.init
initializers = {
    "glorot-uniform": spread(nn.xavier_uniform_),
    "glorot-normal": spread(nn.xavier_normal_),
    "he-uniform": spread(lambda w: nn.kaiming_uniform_(w, nonlinearity="relu")),
    "he-normal": spread(lambda w: nn.kaiming_normal_(w, nonlinearity="relu")),
    "lecun-uniform": spread(lambda w: nn.kaiming_uniform_(w, nonlinearity="linear")),
    "lecun-normal": spread(lambda w: nn.kaiming_normal_(w, nonlinearity="linear")),
    "orthogonal": spread(lambda w: nn.orthogonal_(w, gain=1.5)),
}

golden = {
    "optimizers": {"start": numbers(START), "gradients": GRADIENTS.tolist(), "paths": optimizers},
    "clips": clips,
    "penalty": penalty,
    "schedules": schedules,
    "average": average,
    "mixed": mixed,
    "initializers": initializers,
}
text = json.dumps(golden, indent=1)
# One line for each innermost list.
text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + " ".join(m[1].split()) + "]", text)
(pathlib.Path(sys.argv[1]) / "toolbox.json").write_text(text + "\n")
