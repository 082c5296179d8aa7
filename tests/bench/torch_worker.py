"""The PyTorch side of bench.cpp.

torch_worker.py DEVICE HOW PRECISION   on cpu or cuda, eager or compiled, fp32 or tf32: writes PyTorch's version, then reads
                                       commands from its input and answers each with a line:
    make NAME THREADS                  sets the stage of a workload: "made"
    time SECONDS                       times steps for so long: "median min count", in milliseconds
torch_worker.py --memory NAME THREADS  prints how many bytes a few steps of NAME add to the resident set at its largest
"""
import ctypes
import re
import statistics
import sys
import time

import torch

from torch_workloads import Numbers, make


def samples(step, seconds):
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None  # a GPU is still at work when a step returns
    for _ in range(2):
        step()
    wait()
    result, start = [], time.perf_counter()
    last = start
    while last - start < seconds or not result:
        step()
        wait()
        now = time.perf_counter()
        result.append((now - last) * 1e3)
        last = now
    return sorted(result)


def answer_requests():
    print(torch.__version__, flush=True)
    name, steps = "", []
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "make":
            if name != arguments[0]:
                name, Numbers.remembered = arguments[0], {}
            torch.set_num_threads(int(arguments[1]))
            steps = make(name)
            if compiled:
                steps = [torch.compile(step) for step in steps]
            print("made", flush=True)
        else:
            results = [samples(step, float(arguments[0]) / len(steps)) for step in steps]
            best = min(results, key=statistics.median)
            print(statistics.median(best), best[0], len(best), flush=True)


def resident(what):
    with open("/proc/self/status") as f:
        return int(re.search(rf"{what}:\s*(\d+) kB", f.read())[1]) * 1024


def forget_peak():
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def measure_memory(name, threads):
    torch.set_num_threads(threads)
    (torch.ones(1) + 1).sum()
    used = []
    for i in range(len(make(name))):
        ctypes.CDLL(None).malloc_trim(0)
        before = resident("VmRSS")
        step = make(name)[i]
        ctypes.CDLL(None).malloc_trim(0)
        forget_peak()
        for _ in range(5):
            step()
        used.append(resident("VmHWM") - before)
        del step
    print(min(used))


device, compiled = "cpu", False
if sys.argv[1:2] == ["--memory"]:
    measure_memory(sys.argv[2], int(sys.argv[3]))
else:
    device, compiled = sys.argv[1], sys.argv[2] == "compiled"
    if device == "cuda":
        torch.ones(1, device=device)  # no GPU ends the process before its first line
        torch.set_default_device(device)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = sys.argv[3] != "fp32"
    elif device != "cpu":
        sys.exit(1)
    answer_requests()
