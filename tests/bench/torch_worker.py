"""The PyTorch side of bench.cpp.

Reads lines `NAME SECONDS THREADS` and answers each with `median min count`: milliseconds for one operation of workload
NAME, sampled for SECONDS. The first line it writes is PyTorch's version.
"""
import sys
import time

import torch
from torch import nn


def mlp(batch):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(batch, 784), torch.randint(0, 10, (batch,))

    def step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step, 1


def tiny_op():
    x = torch.ones(1, requires_grad=True)

    def step():
        for _ in range(1000):
            y = x * x

    return step, 1000


def kernel(f, gradient=False, shapes=((4096, 1024),)):
    torch.manual_seed(1)
    inputs = [torch.randn(shape, requires_grad=gradient) for shape in shapes]
    if not gradient:
        return lambda: f(*inputs), 1
    ones = torch.ones_like(f(*inputs))
    return lambda: torch.autograd.grad(f(*inputs), inputs, ones), 1


def gather():
    x, index = torch.randn(4096, 1024), torch.randint(0, 1024, (4096, 1024))
    return lambda: x.gather(1, index), 1


def relu_ab_a():
    return kernel(lambda a, b: torch.relu(a * b + a), shapes=((4 << 20,), (4 << 20,)))


F = nn.functional
WORKLOADS = {
    "mlp_b64": lambda: mlp(64), "mlp_b1": lambda: mlp(1), "tiny_op": tiny_op,
    "relu_ab_a": relu_ab_a, "fused": relu_ab_a,
    "gather": gather,
    **{f"matmul_{n}": lambda n=n: kernel(torch.matmul, shapes=((n, n), (n, n))) for n in (64, 256, 512, 1024, 2048)},
    "gelu": lambda: kernel(F.gelu), "gelu_grad": lambda: kernel(F.gelu, True),
    "softmax": lambda: kernel(lambda x: x.softmax(-1)), "softmax_grad": lambda: kernel(lambda x: x.softmax(-1), True),
    "layer_norm": lambda: kernel(lambda x: F.layer_norm(x, (1024,))),
    "norm_grad": lambda: kernel(lambda x: F.layer_norm(x, (1024,)), True),
    "row_sums": lambda: kernel(lambda x: x.sum(1)), "col_sums": lambda: kernel(lambda x: x.sum(0)),
    "transpose": lambda: kernel(lambda x: x.t().contiguous()), "cumsum": lambda: kernel(lambda x: x.cumsum(1)),
    "sort": lambda: kernel(lambda x: x.sort(1))}


def samples(step, seconds, operations):
    for _ in range(3):
        step()
    result, start = [], time.perf_counter()
    last = start
    while last - start < seconds or not result:
        step()
        now = time.perf_counter()
        result.append((now - last) * 1e3 / operations)
        last = now
    return sorted(result)


def main():
    print(torch.__version__, flush=True)
    made = {}
    for line in sys.stdin:
        name, seconds, threads = line.split()
        torch.set_num_threads(int(threads))
        if name not in made:
            made[name] = WORKLOADS[name]()
        step, operations = made[name]
        result = samples(step, float(seconds), operations)
        print(result[len(result) // 2], result[0], len(result), flush=True)


main()
