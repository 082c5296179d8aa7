#!/usr/bin/env python3
"""Writes the golden values of this folder: what PyTorch computes for every case of ../ops/cases, and for the type table,
printing, autograd programs and optimisers that the tests of `common/` compare with.

    pip install torch safetensors numpy
    python3 make_golden.py                    everything
    python3 make_golden.py reduce semantics   one family of operations; the rest
    python3 make_golden.py workloads          the losses of the training steps in ../bench

The committed files were made with PyTorch 2.15.0 on the CPU. Nothing here is random: inputs are drawn from generators
seeded by the case's name.

A line of ../ops/cases/FAMILY.jsonl declares an operation: its arguments ("$x" is the tensor x), the recipes of its
inputs, and the shapes, by a name or one by one. From each line follow several cases, written to ops/FAMILY.jsonl, one a
line:

    {"id": "add/3", "op": "add", "args": [{"tensor": "add/3/x"}, 2.0], "kwargs": {"alpha": 2}, "grad": ["add/3/x"],
     "layout": {"add/3/x": "transposed"}, "order": 2, "ulps": 1}

Names and arguments are PyTorch's. The tensors are in ops/FAMILY.safetensors, beside `add/3/cotangent0` for each
differentiable output, the outputs `add/3/out0` and the vector-Jacobian products `add/3/grad/0`. `layout` says how the
test lays the input out in memory, `order` how many derivatives finite differences check, `ulps` and `grad_ulps` how far
from PyTorch results may be. A "large" case has shapes instead of numbers: it compares thread counts, instruction sets
and backends with each other, not with PyTorch.
"""
import json
import math
import pathlib
import sys
import zlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
torch.set_num_threads(1)
DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "bool": torch.bool,
          "float16": torch.float16, "bfloat16": torch.bfloat16}

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 100.0, -100.0, 1e-40, -1e-40, 1e38, 88.5, -87.0, -103.0, 0.625, -0.625, 1e-5,
           math.inf, -math.inf, math.nan]
UNARY = [[3, 4], ([3, 4], "transposed"), ([3, 4], "sliced"), ([3, 4], "expanded"), [0, 3], [1], []]
BINARY = [([3, 4], [3, 4]), (([3, 4], "transposed"), ([3, 4], "sliced")), ([3, 4], [4]), ([3, 1], [1, 4]), ([], [3, 4]),
          (([3, 4], "expanded"), ([3, 1], "sliced")), ([0, 4], [1, 4]), ([1], [1, 1]), ([], []), ([2, 3, 4], [3, 1])]
SAME = [([3, 4], [3, 4]), (([3, 4], "transposed"), ([3, 4], "sliced")), (([3, 4], "expanded"), [3, 4]), ([1], [1]), ([], []),
        ([0, 3], [0, 3])]
BRIEF = {1: [[([3, 4], "transposed")], [[]]], 2: [[([3, 4], "transposed"), [4]], [[], [2]]], 3: [[([3, 4], "sliced"), [4], [3, 1]]]}
INPLACE = [([3, 4], [3, 4]), ([3, 4], ([3, 4], "transposed")), ([3, 4], [4]), ([3, 4], ([3, 1], "sliced")), ([3, 4], []),
           ([0, 3], [3]), ([1], [1]), ([], [])]
VIEW = [[2, 3, 4], ([2, 3, 4], "transposed"), ([2, 3, 4], "sliced"), ([2, 3, 4], "expanded")]
REDUCTION = [
    ([2, 3, 4], {}), ([2, 3, 4], {"dim": [0]}), ([2, 3, 4], {"dim": [1]}), ([2, 3, 4], {"dim": [-1], "keepdim": True}),
    ([2, 3, 4], {"dim": [0, 2]}), ([2, 3, 4], {"dim": [2, 1, 0], "keepdim": True}), (([2, 3, 4], "transposed"), {"dim": [0]}),
    (([2, 3, 4], "transposed"), {"dim": [2]}), (([2, 3, 4], "sliced"), {"dim": [0, 1]}), (([3, 4], "expanded"), {"dim": [0]}),
    (([3, 4], "expanded"), {"dim": [1]}), ([0, 3], {"dim": [1]}), ([1], {}), ([], {}), ([], {"dim": [-1]})]
LARGE_REDUCTION = [
    ([300000], {}), (([300000], "sliced"), {}), ([500, 600], {"dim": [0]}), ([500, 600], {"dim": [1]}),
    (([500, 600], "transposed"), {"dim": [0]}), (([500, 600], "transposed"), {"dim": [1]}), (([500, 600], "transposed"), {}),
    ([40, 50, 150], {"dim": [0, 2]}), ([40, 50, 150], {"dim": [1]}), ([3, 100000], {"dim": [1]}), ([100000, 3], {"dim": [0]})]


def shaped(given):
    """A shape, a (shape, layout) pair or a full recipe, as a recipe."""
    if isinstance(given, dict):
        return given
    return {"shape": given[0], "layout": given[1]} if isinstance(given, tuple) else {"shape": given}


def expand(line):
    """The cases of one declaration: (inputs, kwargs, extra)."""
    names = [a[1:] for a in line["args"] if isinstance(a, str) and a.startswith("$")]
    family = line.get("shapes")
    out = []

    def case(shapes, kwargs=None, **extra):
        out.append((dict(zip(names, map(shaped, shapes))), kwargs or {}, extra))

    for c in line.get("cases", []):
        extra = {k: v for k, v in c.items() if k not in ("inputs", "kwargs")}
        out.append((c["inputs"], c.get("kwargs", {}), extra))
    for shape in {"unary": UNARY, "view": VIEW}.get(family, []):
        case([shape])
    for shapes in {"binary": BINARY, "same": SAME, "inplace": INPLACE}.get(family, []):
        case(shapes, **({"order": 1} if shapes == ([0, 3], [0, 3]) else {}))  # the mean of nothing is 0 / 0
    for shape, kwargs in REDUCTION if family == "reduction" else []:
        ties = shape == ([3, 4], "expanded") and kwargs == {"dim": [0]} and line["op"] in ("amax", "amin")
        case([shape], kwargs, **({"order": 0} if ties else {}))
    inplace = line["op"].endswith("_") and not line["op"].startswith("Tensor.")
    if family == "unary":
        if not inplace and line.get("special", True):
            case([{"values": SPECIAL}], grad=[])
        case([[300000]], large=True)
        case([([500, 600], "transposed")], large=True)
    if family == "binary":
        case([{"values": [[s] for s in SPECIAL]}, {"values": SPECIAL}], grad=[])
        case([[300000], [300000]], large=True)
        case([([500, 600], "transposed"), [600]], large=True)
        case([([500, 1]), ([1, 600])], large=True)
    if family == "brief":  # a layout, a broadcast, and every pair of special values
        for shapes in BRIEF[len(names)]:
            case(shapes)
        few = [v for v in SPECIAL if abs(v) not in (1e38, 1e-40, 1e-5, 0.625, 87.0, 88.5, 103.0)]
        if line.get("special", True) and len(names) < 3:
            case([{"values": SPECIAL}] if len(names) == 1 else [{"values": [[s] for s in few]}, {"values": few}], grad=[])
        case([[100000]] * len(names), large=True)
    if family == "inplace":
        case([[500, 600], ([500, 600], "transposed")], large=True)
    for shape, kwargs in LARGE_REDUCTION if family == "reduction" else []:
        case([shape], kwargs, large=True)
    for shape in line.get("large", []):
        case([shape] * len(names), large=True)
    if line.get("int"):
        shapes = {"unary": [[3, 4]], "binary": [[3, 4], [4]], "reduction": [[3, 4]]}.get(family, [[3, 4]] * len(names))
        recipes = [{**shaped(s), "dtype": "int64"} for s in shapes]
        out.append((dict(zip(names, recipes)), {"dim": [0]} if family == "reduction" else {}, {"grad": []}))
    return out


def number(v):
    """JSON cannot say inf and nan; {"float": "inf"} does."""
    if isinstance(v, dict) and "float" in v:
        return float(v["float"])
    return [number(i) for i in v] if isinstance(v, list) else v


def make_matrix(kind, x):
    """Matrices far from singular, with singular values 1 … 2.5, all different: "well" has nothing else, "spd" is symmetric
    positive definite, "symmetric" has eigenvalues of both signs, "singular" has one singular value 0, "lower" and "upper"
    are triangular with a diagonal of 1 … 2."""
    if kind in ("lower", "upper"):
        diagonal = torch.diag_embed(torch.linspace(1, 2, x.shape[-1], dtype=x.dtype))
        return (x.tril(-1) if kind == "lower" else x.triu(1)) * 0.5 + diagonal
    u, _, vh = torch.linalg.svd(x, full_matrices=False)
    s = torch.linspace(1, 2.5, min(x.shape[-2:]), dtype=x.dtype)
    if kind in ("spd", "symmetric"):
        s = s * (-1) ** torch.arange(len(s)) if kind == "symmetric" else s
        y = (u * s) @ u.mT
        return (y + y.mT) / 2
    if kind == "singular":
        s = s - 1
    return (u * s) @ vh


def make_input(name, recipe, dtype):
    kind = DTYPES[recipe.get("dtype", dtype)]
    if "values" in recipe:
        return torch.tensor(number(recipe["values"]), dtype=kind)
    shape, layout = list(recipe["shape"]), recipe.get("layout", "contiguous")
    g = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = [1] + shape[1:] if layout == "expanded" and shape and shape[0] > 1 else shape
    if kind == torch.bool:
        x = torch.rand(drawn, generator=g) < 0.5
    elif "index" in recipe:
        x = torch.randint(0, recipe["index"], drawn, generator=g)
    elif kind == torch.int64:
        lo, hi = (1, 9) if "range" in recipe and recipe["range"][0] >= 0 else (-8, 9)
        x = torch.randint(lo, hi, drawn, generator=g)
        x = torch.where(x == 0, 3, x)
    else:
        lo, hi = recipe.get("range", (-2, 2))
        x = torch.rand(drawn, generator=g) * (hi - lo) + lo
        if "grid" in recipe:
            step, offset = recipe["grid"]
            x = torch.round(x / step) * step + offset
        if "matrix" in recipe:
            x = make_matrix(recipe["matrix"], x.double())
        if "distinct" in recipe:
            x = torch.randperm(x.numel(), generator=g).reshape(drawn) * 0.25 - 1.5
        x = x.to(torch.float32).to(kind)
    return x.expand(shape).clone()


def index_of(items):
    """[1, {"slice": [0, 3, 2]}, null, "...", a tensor or a list] as Python's brackets take it."""
    return tuple(slice(*i["slice"]) if isinstance(i, dict) else ... if isinstance(i, str) else i for i in items)


def linear_scan(factor, x, dim, reverse=False):
    """PyTorch has none: y[i] = factor[i] y[i - 1] + x[i]."""
    order = range(x.shape[dim] - 1, -1, -1) if reverse else range(x.shape[dim])
    y, last = {}, None
    for i in order:
        last = x.select(dim, i) if last is None else factor.select(dim, i) * last + x.select(dim, i)
        y[i] = last
    return torch.stack([y[i] for i in sorted(y)], dim) if y else x.clone()


def layer(kind):
    """A recurrent layer of torch.nn as a function of its tensors, which are called by `names`."""
    def call_layer(x, hx, tensors, names, hidden, **options):
        module = kind(x.shape[-1], hidden, **options)
        assert [name for name, _ in module.named_parameters()] == names
        hx = tuple(hx) if isinstance(hx, list) else hx
        y = torch.func.functional_call(module, dict(zip(names, tensors)), (x, hx))
        return [t for part in (y if isinstance(y, tuple) else [y]) for t in (part if isinstance(part, tuple) else [part])]
    return call_layer


def self_attention(x, num_heads, attn_mask=None, is_causal=False):
    """Queries, keys and values of all heads side by side: (…, T, 3 h d) → (…, T, h d)."""
    q, k, v = (t.unflatten(-1, (num_heads, -1)).transpose(-2, -3) for t in x.chunk(3, -1))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask, is_causal=is_causal)
    return y.transpose(-2, -3).flatten(-2)


def attention_weights(q, k, attn_mask=None, is_causal=False):
    """What attention multiplies the values by: with the unit matrix for values, its result."""
    return F.scaled_dot_product_attention(q, k, torch.eye(k.shape[-2], dtype=k.dtype).expand(*k.shape[:-1], -1), attn_mask,
                                          is_causal=is_causal)


# Operations that PyTorch lacks, by others that it has; and layers.
OURS = {"linear_scan": linear_scan, "self_attention": self_attention, "attention_weights": attention_weights,
        "maxout": lambda x, k, dim=1: x.unflatten(dim, (-1, k)).amax(dim if dim < 0 else dim + 1),
        **{f"nn.{name}": layer(getattr(torch.nn, name)) for name in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")}}


def call(op, args, kwargs):
    args = [DTYPES[a] if isinstance(a, str) and a in DTYPES else a for a in args]
    kwargs = {k: DTYPES[v] if isinstance(v, str) and v in DTYPES else number(v) for k, v in kwargs.items()}
    args = [a if torch.is_tensor(a) else number(a) for a in args]
    if op in OURS:
        return OURS[op](*args, **kwargs)
    if op in ("linalg.lu_solve", "lu_solve", "lu_unpack"):  # the pivots are int32 there, as are all of LAPACK's integers
        args = [a.int() if torch.is_tensor(a) and a.dtype == torch.int64 else a for a in args]
    if op == "getitem":
        return args[0][index_of(args[1])]
    if op == "__getitem__":
        return args[0][index_of(args[1]) if any(not isinstance(i, int) for i in args[1]) else args[1]]
    if op == "slice":
        return torch.ops.aten.slice.Tensor(*args, **kwargs)
    if op == "setitem":
        y = args[0].clone()
        y[index_of(args[1])] = args[2]
        return y
    if op == "to":
        return args[0].to(args[1])
    if op == "sum" and args[0].dim() == 0 and "dim" in kwargs:
        return torch.sum(args[0], **kwargs)
    if op.startswith("Tensor."):
        return getattr(args[0], op[7:])(*args[1:], **kwargs)
    if op.endswith("_"):
        return getattr(args[0].clone(), op)(*args[1:], **kwargs)
    place = torch
    for part in op.split(".")[:-1]:  # linalg.svd
        place = getattr(place, part)
    for place in (place,) if "." in op else (F, torch, torch.special):
        if callable(getattr(place, op.split(".")[-1], None)):  # torch.float is a type
            return getattr(place, op.split(".")[-1])(*args, **kwargs)
    member = getattr(args[0], op)  # x.T is no function
    return member(*args[1:], **kwargs) if callable(member) else member


def make_ops(family):
    cases, tensors, counts = [], {}, {}
    for text in (here / f"../ops/cases/{family}.jsonl").read_text().splitlines():
        line = json.loads(text)
        line.setdefault("args", ["$x"])
        for inputs, kwargs, extra in expand(line):
            floating = any("dtype" not in {**line.get("inputs", {}).get(n, {}), **r} for n, r in inputs.items())
            for dtype in ["float32", "float64"] if floating else ["float32"]:
                op = line["op"]
                i = counts[op] = counts.get(op, -1) + 1
                id = f"{op}/{i}"
                recipes = {n: {**line.get("inputs", {}).get(n, {}), **r} for n, r in inputs.items()}
                case = {"id": id, "op": op, "args": [], "kwargs": {}}
                given = {**line.get("kwargs", {}), **kwargs}

                def named(a, put):
                    if isinstance(a, list) and op in ("getitem", "setitem", "__getitem__"):
                        return [named(v, put) for v in a]
                    if isinstance(a, list) and any(isinstance(v, str) and v.startswith("$") for v in a):
                        return {"tensors": [v and f"{id}/{v[1:]}" for v in a]} if put is None else [v and put[v[1:]] for v in a]
                    if isinstance(a, str) and a.startswith("$"):
                        return {"tensor": f"{id}/{a[1:]}"} if put is None else put[a[1:]]
                    return a

                case["args"] = [named(a, None) for a in line["args"]]
                case["kwargs"] = {k: named(a, None) for k, a in given.items()}
                layouts = {f"{id}/{n}": r["layout"] for n, r in recipes.items() if "layout" in r}
                if layouts:
                    case["layout"] = layouts
                for key in ("order", "ulps", "grad_ulps"):
                    if key in line or key in extra:
                        case[key] = extra.get(key, line.get(key))
                differentiable = [n for n, r in recipes.items() if r.get("dtype", dtype) in ("float32", "float64")]
                wanted = extra.get("grad", line.get("grad", differentiable))
                case["grad"] = [f"{id}/{n}" for n in wanted]
                if extra.get("large"):
                    case["large"] = {
                        f"{id}/{n}": {k: v for k, v in {"dtype": dtype, **r}.items() if k != "layout"} for n, r in recipes.items()}
                    cases.append(case)
                    continue
                x = {n: make_input(f"{op}/{i}/{n}", r, dtype) for n, r in recipes.items()}
                for n in wanted:
                    x[n].requires_grad_()
                y = call(op, [named(a, x) for a in line["args"]], {k: named(a, x) for k, a in given.items()})
                ys = [torch.as_tensor(t) for t in (y if isinstance(y, (tuple, list)) else [y]) if t is not None]
                if op.endswith("slogdet"):
                    ys[0] = ys[0].detach()  # a sign has no gradient
                ys = [t.long() if t.dtype == torch.int32 else t for t in ys]
                for n, t in x.items():
                    tensors[f"{id}/{n}"] = t.detach()
                for j, t in enumerate(ys):
                    tensors[f"{id}/out{j}"] = t.detach().contiguous().clone()
                if wanted:
                    ys = [t for t in ys if t.requires_grad]
                    g = torch.Generator().manual_seed(zlib.crc32(id.encode()))
                    cotangents = [(torch.rand(t.shape, generator=g) * 2 - 1).to(t.dtype) for t in ys]
                    for j, t in enumerate(cotangents):
                        tensors[f"{id}/cotangent{j}"] = t
                    grads = torch.autograd.grad(ys, [x[n] for n in wanted], cotangents, allow_unused=True)
                    for k, gradient in enumerate(grads):
                        gradient = torch.zeros_like(x[wanted[k]]) if gradient is None else gradient
                        tensors[f"{id}/grad/{k}"] = gradient.contiguous().clone()
                cases.append(case)
    (here / f"ops/{family}.jsonl").write_text("".join(json.dumps(c, separators=(",", ":")) + "\n" for c in cases))
    save_file(tensors, here / f"ops/{family}.safetensors", metadata={"made by": f"PyTorch {torch.__version__.split('+')[0]}"})
    print(f"{family}: {len(cases)} cases of {len(counts)} operations")


def make_promotion():
    """What type has x ∘ y? Operands: a vector or a 0-d tensor of each type, or a Python number."""
    computing = {name: t for name, t in DTYPES.items() if name not in ("float16", "bfloat16")}
    operands = [(f"{name}{'' if dim else ':0d'}", torch.ones([2] * dim, dtype=t)) for dim in (1, 0) for name, t in computing.items()]
    operands += [("2", 2), ("2.5", 2.5)]
    ops = {"add": torch.add, "mul": torch.mul, "div": torch.div, "maximum": torch.maximum, "eq": torch.eq,
           "where": lambda a, b: torch.where(torch.ones(2, dtype=torch.bool), a, b)}
    table = []
    for op, f in ops.items():
        for a, x in operands:
            for b, y in operands:
                if not torch.is_tensor(x) or (not torch.is_tensor(y) and op in ("maximum", "where")):
                    continue
                table.append([op, a, b, str(f(x, y).dtype).removeprefix("torch.")])
    return table


def make_promote_types():
    return [[a, b, str(torch.promote_types(DTYPES[a], DTYPES[b])).removeprefix("torch.")] for a in DTYPES for b in DTYPES]


def make_conversions():
    """Numbers of float32, as bits, and the bits of the float16 and bfloat16 nearest to them."""
    g = torch.Generator().manual_seed(3)
    bits = torch.randint(0, 2**32, (3000,), generator=g) - 2**31
    edges = torch.tensor([0.0, -0.0, 1.0, 65504.0, 65519.9, 65520.0, 65536.0, 1e9, math.inf, -math.inf, math.nan, 2.0**-14, 2.0**-24,
                          2.0**-25, 3 * 2.0**-26, 2.0**-25 * 1.0001, 6.1e-5, 1.5 * 2.0**-24, 2.5 * 2.0**-24, 1 + 2.0**-11, 1 + 3 * 2.0**-11,
                          1 + 2.0**-8, 1 + 3 * 2.0**-8, 3.4e38, 3.39e38, 1e-40, 0.1])
    near_half = torch.exp2(torch.rand(3000, generator=g) * 44 - 27) * (torch.randint(0, 2, (3000,), generator=g) * 2 - 1)
    x = torch.cat([bits.to(torch.int32).view(torch.float32), edges, near_half])
    x = x[~x.isnan() | (torch.arange(len(x)) >= 3000)]
    as_bits = lambda t: (t.view(torch.int16).to(torch.int64) & 0xffff).tolist()
    return {"float32": (x.view(torch.int32).to(torch.int64) & 0xffffffff).tolist(), "float16": as_bits(x.to(torch.float16)),
            "bfloat16": as_bits(x.to(torch.bfloat16))}


def make_printing():
    """PyTorch's text with our spelling of its words: float64 for torch.float64, true for True, (2, 0) for torch.Size."""
    t, nan, inf = torch.tensor, math.nan, math.inf
    given = [t(3.0), t(3.5), t(7), t(True), t([1.0, 2.0, 3.0]), t([1.5, -2.25]), t([[1.0, 2.5], [-3.25, 100.0]]), t([1, -20, 300]),
             t([True, False]), t([]), torch.zeros(2, 0), torch.zeros(0, 3, dtype=torch.int64), t([1.0, 2000.0]), t([0.001, 2000.5]), t([1e-5, 1.0]),
             t([1e9, 1.0]), t([0.0, 0.0]), t([1.5, nan, inf, -inf]), t([1.0, nan]), t([nan, inf]), t([0.0, 1e-6]), t([-0.0, 1.0]),
             torch.arange(8.0).reshape(2, 2, 2), torch.arange(2000), torch.arange(1200).reshape(40, 30), torch.zeros(2, 3, 400),
             t([1.5, 2.5], dtype=torch.float64), t([123456.0, 5.0]), t([99999.5]), t([0.1, 0.25]), t([[0.5]]), t([1e10]), t([12345678.0]),
             torch.arange(24).reshape(2, 3, 2, 2), t([1000.5, 1.5]), t([1001.5, 1.0]),
             torch.arange(30), torch.arange(12) / 7, torch.arange(60).reshape(2, 30) / 3, torch.arange(48).reshape(1, 2, 24) * 1000,
             torch.arange(8).double() / 3, t([1.5, 0.1], dtype=torch.bfloat16), t([1.5, 0.1], dtype=torch.float16)]
    out = []
    for x in given:
        text = str(x).replace("torch.", "").replace("True", "true").replace("False", "false")
        values = [v if not isinstance(v, float) or math.isfinite(v) else {"float": str(v)} for v in x.flatten().tolist()]
        if x.numel() > 100:
            step = (x.flatten()[1] - x.flatten()[0]).item()
            values = {"step": step}
        out.append({"shape": list(x.shape), "dtype": str(x.dtype).removeprefix("torch."), "values": values, "text": text})
    return out


def make_views():
    """Which shapes can look at a strided tensor without a copy? [sizes, strides, wanted shape, may]"""
    layouts = [([2, 3, 4], [12, 4, 1]), ([2, 3, 4], [1, 2, 6]), ([2, 3, 4], [24, 8, 2]), ([4, 1], [2, 100]), ([1, 4], [50, 2]),
               ([3, 1, 4], [4, 77, 1]), ([3, 1, 4], [8, 77, 2]), ([3, 1, 4], [1, 77, 3]), ([2, 3, 4], [0, 4, 1]), ([2, 3, 4], [12, 0, 1]),
               ([6, 4], [4, 1]), ([6, 4], [5, 1]), ([6, 4], [1, 6]), ([1, 1], [9, 7]), ([2, 2, 2, 3], [24, 6, 3, 1]), ([2, 6, 2], [24, 2, 1])]
    table = []
    for size, stride in layouts:
        n = math.prod(size)
        x = torch.zeros(200).as_strided(size, stride)
        wanted = [[n], [n, 1], [1, n], [2, n // 2], [n // 2, 2], [2, -1, 2], [6, -1], [-1, 4], [2, 3, -1], [1, -1, 1, 4], [3, 2, -1], [-1, 12], size + [1]]
        for w in wanted:
            known = math.prod(v for v in w if v > 0)
            if known == 0 or n % known or (-1 not in w and known != n):
                continue
            try:
                y, may = x.view(w), True
            except RuntimeError:
                may = False
            table.append([size, stride, w, may])
    return table


def make_programs():
    """Autograd programs that the tests repeat in C++; x = (0.5, -1.25, 2), w = (1.5, 0.75, -0.5), m = 2 x 3 of both."""
    def fresh():
        x = torch.tensor([0.5, -1.25, 2.0], dtype=torch.float64, requires_grad=True)
        w = torch.tensor([1.5, 0.75, -0.5], dtype=torch.float64, requires_grad=True)
        return x, w

    programs = {}

    def program(f):
        x, w = fresh()
        loss = f(x, w)
        grads = torch.autograd.grad(loss, [x, w], allow_unused=True)
        programs[f.__name__] = {"loss": loss.item(), "grads": [None if g is None else g.tolist() for g in grads]}

    @program
    def write_row(x, w):
        b = torch.zeros(2, 3, dtype=torch.float64)
        b[0] = x
        b[1] = w * x
        return (b * b * b).sum()

    @program
    def view_then_base(x, w):
        b = torch.stack([x, w]) * 2
        v = b[0]
        b.mul_(w)
        return (v * v).sum() + b.sum()

    @program
    def view_writes_base(x, w):
        b = torch.stack([x, w]) * 2
        v = b[0]
        v.mul_(w)
        return (b.sin() * b).sum()

    @program
    def siblings(x, w):
        b = torch.stack([x, w]) * 1
        row, column = b[1], b[:, 0]
        row.mul_(x)
        column.add_(2.0)
        row.mul_(row.detach() + 1)
        return (b * b).sum() + (column * column).sum() + (row * x).sum()

    @program
    def view_of_view(x, w):
        b = torch.stack([x, w]).reshape(6) * 1
        v = b.view(2, 3)[:, 1:].t()
        v.mul_(torch.stack([x[:2], w[:2]]))
        v[0].add_(x[1:])
        return (b * torch.arange(6, dtype=torch.float64)).sum() + (v * v).sum()

    @program
    def overwritten(x, w):
        y = x * w
        y[1] = 3.0
        y[0] = y[2]
        return (y * y).sum()

    @program
    def strided_slice(x, w):
        b = torch.cat([x, w]) * 1
        b[::2] = w * w
        b[1::2].mul_(x)
        return (b * b * b).sum()

    @program
    def saved_before_write(x, w):
        y = x * w
        z = (y * 2).exp()
        y.add_(1)
        return (z + y).sum()

    @program
    def add_same_twice(x, w):
        y = x * 1
        y.add_(y)
        y += w
        y.sub_(x, alpha=3)
        y /= w.detach()
        return (y * y).sum()

    @program
    def copy_broadcast(x, w):
        b = torch.ones(2, 3, dtype=torch.float64) * w
        b.copy_(x)
        b[1].copy_(w[1])
        return (b * b * w).sum()

    @program
    def mixed_types(x, w):
        y = x.float() * w + x.to(torch.float32) * 2
        return (y * y).sum()

    @program
    def diamond(x, w):
        a = x * w
        b = a.tanh()
        c = a * b
        return (c * b + a * c).sum()

    @program
    def expanded_then_written(x, w):
        b = x.expand(2, 3).clone()
        b[0].mul_(w)
        b.t()[2].mul_(b[:, 0].detach().clone())
        return (b * b).sum()

    # Tensors that share one leaf: gradients of gradients.
    x, w = fresh()
    y = (x.tanh() * x).sum()
    orders = []
    for _ in range(4):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        orders.append(g.tolist())
        y = g.sum()
    programs["tanh_x_x"] = orders
    x, w = fresh()
    (g,) = torch.autograd.grad((x * w).exp().sum(), x, create_graph=True)
    b = g * 1
    b[1:].mul_(x[:2])
    programs["second_through_view"] = [t.tolist() for t in torch.autograd.grad((b * b).sum(), [x, w])]
    return programs


def make_optim():
    """p after steps 1, 10, 20 … 100 of minimising Σ a (p − c)² / 2 + Σ sin p."""
    o = torch.optim
    configs = {
        "sgd": (o.SGD, {"lr": 0.05}),
        "sgd_momentum": (o.SGD, {"lr": 0.05, "momentum": 0.9}),
        "sgd_dampening": (o.SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
        "sgd_nesterov": (o.SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
        "sgd_maximize": (o.SGD, {"lr": 0.01, "momentum": 0.5, "weight_decay": 3, "maximize": True}),
        "sgd_groups": (o.SGD, {"lr": 0.05, "momentum": 0.9}, {"lr": 0.01, "weight_decay": 0.5}),
        "adam": (o.Adam, {"lr": 0.05}),
        "adam_all": (o.Adam, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
        "adam_amsgrad": (o.Adam, {"lr": 0.1, "betas": (0.8, 0.9), "amsgrad": True}),
        "adam_maximize": (o.Adam, {"lr": 0.01, "weight_decay": 0.1, "maximize": True}),
        "adamw": (o.AdamW, {"lr": 0.05}),
        "adamw_all": (o.AdamW, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.2, "amsgrad": True}),
        "adamw_groups": (o.AdamW, {"lr": 0.05, "weight_decay": 0.1}, {"lr": 0.02, "weight_decay": 0}),
        "adagrad": (o.Adagrad, {"lr": 0.2}),
        "adagrad_all": (o.Adagrad, {"lr": 0.5, "lr_decay": 0.05, "weight_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-3}),
        "adagrad_maximize": (o.Adagrad, {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
        "rmsprop": (o.RMSprop, {"lr": 0.02}),
        "rmsprop_centered": (o.RMSprop, {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "centered": True}),
        "rmsprop_momentum": (o.RMSprop, {"lr": 0.01, "momentum": 0.7, "weight_decay": 0.1}),
        "rmsprop_all": (o.RMSprop, {"lr": 0.002, "alpha": 0.9, "eps": 0.1, "centered": True, "momentum": 0.5, "maximize": True})}
    out = {}
    for name, (kind, options, *others) in configs.items():
        for dtype in (torch.float32, torch.float64):
            p = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, -0.25]], dtype=dtype, requires_grad=True)
            late = torch.tensor([1.0, -1.0], dtype=dtype, requires_grad=True)  # gets its first gradient in step 4
            a = torch.tensor([[0.5, 1.0, 2.0], [0.25, 1.5, 3.0]], dtype=dtype)
            c = torch.tensor([[0.0, 1.0, -1.0], [2.0, -2.0, 0.5]], dtype=dtype)
            groups = [{"params": [p]}, {"params": [late], **others[0]}] if others else [p, late]
            optimizer = kind(groups, **options)
            steps = []
            for step in range(1, 101):
                optimizer.zero_grad()
                loss = (a * (p - c) ** 2 / 2).sum() + p.sin().sum()
                if step >= 4:
                    loss = loss + (late * late).sum()
                loss.backward()
                optimizer.step()
                if step == 1 or step % 10 == 0:
                    steps.append(p.flatten().tolist() + late.tolist())
            out[f"{name}/{str(dtype).removeprefix('torch.')}"] = steps
    return out


def make_schedules():
    """The rates of two groups, which begin with 0.1 and 0.02, for 30 steps."""
    s = torch.optim.lr_scheduler

    def warmup_cosine(t):
        return (t + 1) / 5 if t < 5 else (1 + math.cos(math.pi * (min(t, 25) - 5) / 20)) / 2

    schedules = {
        "step": lambda o: s.StepLR(o, 7, 0.3), "multi_step": lambda o: s.MultiStepLR(o, [3, 11, 12], 0.5),
        "exponential": lambda o: s.ExponentialLR(o, 0.9), "linear": lambda o: s.LinearLR(o, 0.2, 0.9, 8),
        "cosine": lambda o: s.CosineAnnealingLR(o, 12, 0.005), "lambda": lambda o: s.LambdaLR(o, lambda t: 1 / (1 + t)),
        "warmup_cosine": lambda o: s.LambdaLR(o, warmup_cosine),
        "one_cycle": lambda o: s.OneCycleLR(o, 0.5, 31, pct_start=0.4, cycle_momentum=False, div_factor=20, final_div_factor=100)}
    out = {}
    for name, make in schedules.items():
        optimizer = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": 0.1}, {"params": [torch.zeros(1)], "lr": 0.02}])
        schedule = make(optimizer)
        rates = []
        for _ in range(31):
            rates.append([g["lr"] for g in optimizer.param_groups])
            optimizer.step()
            if len(rates) < 31:
                schedule.step()
        out[name] = rates
    return out


def make_clipping():
    """For each norm: what clip_grad_norm_ returns and leaves of the gradients (3, −4) and 12, at most 2.5; then clip_grad_value_."""
    out = {}
    for name, norm in (("1", 1.0), ("2", 2.0), ("3", 3.0), ("inf", math.inf), ("value", None)):
        p, q = torch.zeros(2, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        p.grad, q.grad = torch.tensor([3.0, -4.0], dtype=torch.float64), torch.tensor([12.0], dtype=torch.float64)
        if norm is None:
            torch.nn.utils.clip_grad_value_([p, q], 3.5)
            total = 0.0
        else:
            total = torch.nn.utils.clip_grad_norm_([p, q], 2.5, norm).item()
        out[name] = [total] + p.grad.tolist() + q.grad.tolist()
    return out


def make_semantics():
    rest = {"made by": f"PyTorch {torch.__version__.split('+')[0]}", "promotion": make_promotion(),
            "promote_types": make_promote_types(), "conversions": make_conversions(), "printing": make_printing(),
            "views": make_views(), "programs": make_programs(), "optim": make_optim(), "schedules": make_schedules(),
            "clipping": make_clipping()}
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in rest.items())
    (here / "semantics.json").write_text("{\n" + text + "\n}\n")


def make_workloads():
    """The losses of the first 20 training steps of every workload of ../bench, in float32 and float64."""
    sys.path.insert(0, str(here / "../bench"))
    import torch_workloads
    lines = []
    for name in torch_workloads.TRAINING:
        losses = {}
        for dtype in (torch.float32, torch.float64):
            step = torch_workloads.make(name, dtype)[0]
            losses[str(dtype).removeprefix("torch.")] = [step().item() for _ in range(20)]
        lines.append(f"{json.dumps(name)}: {json.dumps(losses, separators=(',', ':'))}")
    (here / "workloads.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    families = sorted(f.stem for f in (here / "../ops/cases").glob("*.jsonl"))
    special = {"semantics": make_semantics, "workloads": make_workloads}
    for name in sys.argv[1:] or families + list(special):
        special[name]() if name in special else make_ops(name)
