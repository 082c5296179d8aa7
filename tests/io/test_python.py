#!/usr/bin/env python3
"""Files there and back: Python's packages read what we write, and we read what they write, with equal values.

Our side is the program tests/exchange of the build in $CHAINRULE_BUILD (build/release). A package that is missing skips its part; those
that Debian lacks are in build/python if `./run setup` made it.
"""
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parents[2]
own = root / "build/python/bin/python"
if own.exists() and not os.environ.get("CHAINRULE_TEST_PYTHON"):
    os.environ["CHAINRULE_TEST_PYTHON"] = "1"
    os.execv(own, [own, *sys.argv])

build = pathlib.Path(os.environ.get("CHAINRULE_BUILD") or root / "build/release")
exchange = build / "tests/exchange"
passed = failed = skipped = 0


class Missing(Exception):
    pass


def package(name):
    try:
        return importlib.import_module(name)
    except Exception as error:  # a package may also be there and broken
        raise Missing(f"no Python package {name.split('.')[0]} ({type(error).__name__})")


def run(*arguments):
    done = subprocess.run([exchange, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or f"exit status {done.returncode}"
    return done.stdout


def feature(name):
    if name not in run("features").split():
        raise Missing(f"this build has no {name}")


def check(name, condition):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {name}")


def same(a, b, types=True):
    return a.shape == b.shape and (not types or a.dtype == b.dtype) and bool((a == b).all())


def arrays(np):
    random = np.random.default_rng(7)
    return {
        "bool": random.random(5) < 0.5,
        "int64": random.integers(-(2**63), 2**63 - 1, (2, 3)),
        "float16": random.normal(size=(3, 1, 2)).astype("f2"),
        "float32": random.normal(size=(4, 5)).astype("f4"),
        "float64": random.normal(size=7),
        "scalar": np.array(1 / 3),
        "empty": np.zeros((0, 3), "f4"),
    }


def numpy_npy(folder):
    np = package("numpy")
    everything = arrays(np)
    everything["fortran"] = np.asfortranarray(everything["float32"])
    for name, array in everything.items():
        np.save(folder / "a.npy", array)
        run("convert", folder / "a.npy", folder / "b.npy")
        check(f"npy {name}", same(np.load(folder / "b.npy"), array))


def numpy_npz(folder):
    np = package("numpy")
    feature("libzip")
    everything = arrays(np)
    for save in (np.savez, np.savez_compressed):
        save(folder / "a.npz", **everything)
        for ours in ("b.npz", "b.deflated.npz"):
            run("convert", folder / "a.npz", folder / ours)
            with np.load(folder / ours) as back:
                check(f"{ours}: names", set(back.files) == set(everything))
                for name, array in everything.items():
                    check(f"{save.__name__} {ours} {name}", same(back[name], array))


def safetensors(folder):
    np, st = package("numpy"), package("safetensors.numpy")
    feature("libzip")
    everything = arrays(np)
    # Theirs to ours to numpy's, and back.
    st.save_file(everything, folder / "a.safetensors", metadata={"made by": "Python"})
    run("convert", folder / "a.safetensors", folder / "a.npz")
    run("convert", folder / "a.npz", folder / "b.safetensors")
    with np.load(folder / "a.npz") as ours:
        theirs = st.load_file(folder / "b.safetensors")
        check("safetensors: names", set(theirs) == set(everything) == set(ours.files))
        for name, array in everything.items():
            check(f"safetensors to npz {name}", same(ours[name], array))
            check(f"npz to safetensors {name}", same(theirs[name], array))


def pil(folder):
    np, Image = package("numpy"), package("PIL.Image")
    feature("libpng")
    random = np.random.default_rng(8)
    for mode, shape in {"L": (40, 30), "LA": (7, 9, 2), "RGB": (33, 20, 3), "RGBA": (8, 8, 4)}.items():
        pixels = random.integers(0, 256, shape).astype("u1")
        Image.fromarray(pixels, mode).save(folder / "a.png")
        run("convert", folder / "a.png", folder / "a.npy")
        check(f"PIL's {mode} read by us", same(np.load(folder / "a.npy"), pixels, types=False))
        run("convert", folder / "a.npy", folder / "b.png")
        with Image.open(folder / "b.png") as back:
            check(f"our {mode} read by PIL", back.mode == mode and same(np.asarray(back), pixels))


def soundfile(folder):
    np, sf = package("numpy"), package("soundfile")
    feature("libsndfile")
    feature("libzip")
    random = np.random.default_rng(9)
    for shape in ((1000,), (500, 2)):
        sound = random.uniform(-1, 1, shape)
        for subtype in ("PCM_16", "FLOAT"):
            sf.write(folder / "a.wav", sound, 22050, subtype)
            theirs, rate = sf.read(folder / "a.wav", dtype="float32")
            run("convert", folder / "a.wav", folder / "a.npz")
            with np.load(folder / "a.npz") as ours:
                check(f"soundfile's {subtype} {shape} read by us", same(ours["x"], theirs) and ours["rate"] == rate)
            name = "b.float.wav" if subtype == "FLOAT" else "b.wav"
            run("convert", folder / "a.npz", folder / name)
            back, rate = sf.read(folder / name, dtype="float32")
            check(f"our {subtype} {shape} read by soundfile", same(back, theirs) and rate == 22050)
            check(f"our {subtype} is called so", sf.info(str(folder / name)).subtype == subtype)


def idx(folder):
    np = package("numpy")
    pixels = np.arange(60, dtype="u1").reshape(3, 4, 5)
    np.save(folder / "a.npy", pixels)
    run("convert", folder / "a.npy", folder / "a.idx")
    file = (folder / "a.idx").read_bytes()
    check("IDX's bytes", file == bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5]) + pixels.tobytes())


def tensorboard(folder):
    os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
    accumulator = package("tensorboard.backend.event_processing.event_accumulator")

    def load(name):
        # A size of 0 keeps all of each kind; otherwise TensorBoard draws a sample.
        kinds = (accumulator.SCALARS, accumulator.HISTOGRAMS, accumulator.IMAGES, accumulator.TENSORS)
        return accumulator.EventAccumulator(str(name), size_guidance={kind: 0 for kind in kinds}).Reload()

    from math import exp

    # A run from step 0 to 9, which is killed; its last record was cut. Another goes on from the checkpoint of step 6.
    run("events", folder / "log", 0, 9)
    first = load(folder / "log")
    scalars = first.Scalars("loss")
    check("scalars: steps", [s.step for s in scalars] == list(range(10)))
    check("scalars: times", [s.wall_time for s in scalars] == [1000 + i for i in range(10)])
    check("scalars: values", all(abs(s.value - exp(-0.1 * s.step)) < 1e-7 for s in scalars))
    histogram = first.Histograms("weights")[0].histogram_value
    check("histogram: sums", (histogram.min, histogram.max, histogram.num, histogram.sum) == (-1, 3, 5, 3.5))
    check("histogram: bins", list(histogram.bucket_limit) == [0, 1, 2, 3] and list(histogram.bucket) == [1, 2, 1, 1])
    if "libpng" in run("features").split():
        image = first.Images("picture")[0]
        check("image: size", (image.width, image.height) == (4, 2))
        check("image: a PNG", image.encoded_image_string.startswith(b"\x89PNG"))

    (killed,) = (folder / "log").iterdir()
    file = killed.read_bytes()
    killed.write_bytes(file[: len(file) - 20])
    run("events", folder / "log", 6, 12)
    both = load(folder / "log").Scalars("loss")
    check("resumed: every step once", [s.step for s in both] == list(range(13)))
    check("resumed: from its step on", [s.value > 5 for s in both] == [False] * 6 + [True] * 7)


if not exchange.exists():
    print(f"skipped: {exchange} is not built")
    sys.exit(77)
for part in (numpy_npy, numpy_npz, safetensors, pil, soundfile, idx, tensorboard):
    with tempfile.TemporaryDirectory() as name:
        try:
            part(pathlib.Path(name))
        except Missing as why:
            skipped += 1
            print(f"skipped: {part.__name__}: {why}")
        except Exception as error:
            failed += 1
            print(f"FAILED: {part.__name__}: {type(error).__name__}: {error}")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed > 0)
