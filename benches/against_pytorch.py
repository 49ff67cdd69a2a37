"""A training step of ours and of PyTorch's on this machine's processor, alternately in one run.

    cargo build --release -p escarp-trainer --example step_time
    python3 benches/against_pytorch.py target/release/examples/step_time [--threads 2] [--rounds 5]

The nets of `step_time`: ResNet-8 at batch 32; GRU of 128 on 100 frames of 13 and on 784 frames of 1, LSTM of 128 on
100 frames, batch 32. A step is forward, backward and SGD with momentum. Each round runs one after the other, so that
both meet the same noise; what counts is the median of the rounds' ratios, below 1 if ours is faster. CPU time beside
wall time, because wall time means little on a busy machine. Memory is the peak of the whole process.

Measured on 2 idle cores of an AMD EPYC with AVX-512 on 2026-11-29, 3 rounds, PyTorch 2.15 from PyPI (wall time, peak
memory): ResNet-8 19.2 / 33.5 ms = 0.62, 50 / 747 MB; GRU on 100 frames 7.2 / 26.1 ms = 0.28, 21 / 719 MB; GRU on 784 frames
61.6 / 255 ms = 0.21, 86 / 874 MB; LSTM on 100 frames 11.3 / 18.0 ms = 0.56 (0.73 in another run), 23 / 732 MB. PyTorch's times depend much on the
machine: another one of that name took 38, 22, 186 and 6.8 ms.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time

# Name, batch, steps in a round.
NETS = [("resnet", 32, 30), ("gru100", 32, 15), ("gru784", 32, 4), ("lstm100", 32, 15)]


def torch_net(name):
    import torch
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self, kind, inputs):
            super().__init__()
            self.layer, self.head = kind(inputs, 128, batch_first=True), nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.layer(x)[0][:, -1])

    class Residual(nn.Module):
        """Two 3x3 convolutions with normalization; a 1x1 one as shortcut where the shape changes."""

        def __init__(self, inputs, outputs, stride):
            super().__init__()
            unit = lambda i, o, kernel, s: nn.Sequential(
                nn.Conv2d(i, o, kernel, s, kernel // 2, bias=False), nn.BatchNorm2d(o)
            )
            self.body = nn.Sequential(unit(inputs, outputs, 3, stride), nn.ReLU(), unit(outputs, outputs, 3, 1))
            self.shortcut = nn.Identity() if stride == 1 else unit(inputs, outputs, 1, stride)

        def forward(self, x):
            return torch.relu(self.body(x) + self.shortcut(x))

    if name == "resnet":
        stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
        return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), (3, 32, 32)
    kind = nn.LSTM if name == "lstm100" else nn.GRU
    shape = (784, 1) if name == "gru784" else (100, 13)
    return Recurrent(kind, shape[1]), shape


def torch_steps(name, batch, steps, threads):
    """Wall and CPU ms of a step, peak MB."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(7)
    net, shape = torch_net(name)
    x, y = torch.randn(batch, *shape), torch.arange(batch) * 7 % 10
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    walls = []
    for step in range(steps + 2):
        if step == 2:  # two to fill buffers and caches
            cpu = time.process_time()
        start = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
        walls.append(1e3 * (time.perf_counter() - start))
    cpu = 1e3 * (time.process_time() - cpu) / steps
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": statistics.median(walls[2:]), "cpu": cpu, "MB": megabytes, "torch": torch.__version__}))


def run(command, threads):
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step_time", help="our program, built as above")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps-of", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.steps_of:
        name, batch, steps = given.steps_of
        return torch_steps(name, int(batch), int(steps), given.threads)
    for name, batch, steps in NETS:
        rounds = []
        for _ in range(given.rounds):
            theirs = [sys.executable, __file__, given.step_time, "--threads", str(given.threads)]
            theirs = json.loads(run(theirs + ["--steps-of", name, str(batch), str(steps)], given.threads))
            text = run([given.step_time, name, str(batch), str(steps)], given.threads)
            wall, cpu, peak = re.search(r"median ([\d.]+) ms.*CPU: ([\d.]+) ms.*peak: ([\d.]+) MB", text).groups()
            rounds.append(({"wall": float(wall), "cpu": float(cpu), "MB": float(peak)}, theirs))
        parts = []
        for key, unit in [("wall", " ms"), ("cpu", " ms CPU"), ("MB", " MB")]:
            ours, torchs = ([r[side][key] for r in rounds] for side in (0, 1))
            ratio = statistics.median(a / b for a, b in zip(ours, torchs))
            parts.append(f"{statistics.median(ours):.1f} / {statistics.median(torchs):.1f}{unit} = {ratio:.2f}")
        print(f"{name}, batch {batch}, {given.threads} threads, PyTorch {rounds[0][1]['torch']}: {'; '.join(parts)}", flush=True)


main()
