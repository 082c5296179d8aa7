#!/usr/bin/env python3
"""Writes the files in this folder that other programs made: python.safetensors and types.safetensors by the safetensors package (with torch).

    pip install torch safetensors numpy && python3 make_golden.py
"""
import pathlib

import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
tensors = {
    "weight": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4,
    "double": torch.tensor([1 / 3, -1e300], dtype=torch.float64),
    "labels": torch.tensor([[-1, 2], [3, 2**62]], dtype=torch.int64),
    "mask": torch.tensor([True, False, True]),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 4),
    "ключ 🔑": torch.ones(1),
}
save_file(tensors, here / "python.safetensors", metadata={"format": "pt", "note": 'a "quoted" word'})

ends = {torch.uint8: [0, 255], torch.int8: [-128, 100], torch.int16: [-(2**15), 100], torch.int32: [-(2**31), 100],
        torch.float16: [1.0, 0.1], torch.bfloat16: [1.0, 0.1]}
types = {str(t).removeprefix("torch."): torch.tensor(v, dtype=t) for t, v in ends.items()}
save_file({**types, "complex": torch.zeros(2, dtype=torch.complex64)}, here / "types.safetensors")
