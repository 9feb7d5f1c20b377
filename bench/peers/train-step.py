"""Peer of bench/train-step.mjs: the worked example's training step in PyTorch on the CPU. Prints milliseconds a step, one per line."""

import sys
import time

import torch

rounds, steps = int(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(1)
net = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
images, labels = torch.rand(60_000, 784), torch.randint(0, 10, (60_000,))
order = torch.randperm(60_000)


def train(count):
    for step in range(count):
        rows = order[32 * step : 32 * step + 32]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images[rows]), labels[rows]).backward()
        optimizer.step()


train(100)
for _ in range(rounds):
    start = time.perf_counter()
    train(steps)
    print((time.perf_counter() - start) / steps * 1000, flush=True)
