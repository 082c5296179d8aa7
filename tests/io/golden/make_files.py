#!/usr/bin/env python3
"""Writes the files in png/, wav/, numpy/ and events/ with numpy, PIL, soundfile and tensorboard, and beside them what is in them.

    pip install numpy pillow soundfile tensorboard && python3 make_files.py

Of the PNGs that PIL cannot write (interlaced, 2 and 4 bits of grey, 16 bits of colour) the bytes are put together here, and PIL reads them
as a check wherever it can.
"""
import io
import json
import pathlib
import struct
import zlib

import numpy as np
import soundfile
from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

here = pathlib.Path(__file__).parent
random = np.random.default_rng(5)
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's types of colour
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def rows(samples, bits):
    """The rows of samples (height, width, channels), packed, each behind a 0: no filter."""
    result = b""
    for row in samples.reshape(len(samples), -1):
        as_bits = "".join(f"{value:0{bits}b}" for value in row)
        as_bits += "0" * (-len(as_bits) % 8)
        result += b"\0" + bytes(int(as_bits[i : i + 8], 2) for i in range(0, len(as_bits), 8))
    return result


def png(samples, bits, kind, interlaced, before=b""):
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, int(interlaced))
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    parts = [samples[y::down, x::right] for x, y, right, down in passes]
    data = b"".join(rows(part, bits) for part in parts if part.size)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def make_png():
    folder, expected = here / "png", {}

    def expect(name, values, scale=1):
        values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
        expected[name] = {"scale": scale, "shape": values.shape, "values": values.ravel().tolist()}

    palette = random.integers(0, 256, (256, 3))
    for kind, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for bits in depths:
            for interlaced in (False, True):
                samples = random.integers(0, 2**bits, (5, 9, CHANNELS[kind]))
                before = chunk(b"PLTE", palette[: 2**bits].astype(np.uint8).tobytes()) if kind == 3 else b""
                file = png(samples, bits, kind, interlaced, before)
                values = palette[samples[..., 0]] if kind == 3 else samples * (255 // (2**bits - 1)) if bits < 8 else samples
                if bits < 16:  # PIL keeps 8 of 16 bits
                    picture = Image.open(io.BytesIO(file))
                    mode = {0: "L", 2: "RGB", 3: "RGB", 4: "LA", 6: "RGBA"}[kind]
                    assert (np.asarray(picture.convert(mode)).reshape(values.shape) == values).all()
                name = f"type{kind}_{bits}bits{'_interlaced' if interlaced else ''}.png"
                (folder / name).write_bytes(file)
                expect(name, values, 257 if bits == 16 else 1)

    # A transparent colour becomes alpha: of grey, of colour, of a palette.
    for kind, transparent in {0: b"\0\x07", 2: b"\0\x07\0\x07\0\x07", 3: bytes(range(0, 200, 25))}.items():
        samples = random.integers(0, 8, (4, 4, CHANNELS[kind]))
        samples[1, 2] = 7
        before = chunk(b"PLTE", palette[:8].astype(np.uint8).tobytes()) if kind == 3 else b""
        file = png(samples, 8, kind, False, before + chunk(b"tRNS", transparent))
        name = f"type{kind}_transparent.png"
        (folder / name).write_bytes(file)
        values = np.asarray(Image.open(io.BytesIO(file)).convert("LA" if kind == 0 else "RGBA"))
        expect(name, values)

    for mode, depth in {"1": None, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "P": 3, "I;16": None}.items():
        shape = (6, 5) if depth in (None, 1) else (6, 5, depth)
        values = random.integers(0, 256, shape).astype(np.uint8)
        scale = 1
        if mode == "1":
            picture = Image.fromarray(values > 127)
            values = (values > 127) * 255
        elif mode == "I;16":
            values = random.integers(0, 65536, shape).astype(np.uint16)
            picture, scale = Image.fromarray(values), 257
        elif mode == "P":
            picture = Image.fromarray(values).quantize(7)
            values = np.asarray(picture.convert("RGB"))
        else:
            picture = Image.fromarray(values, mode)
        name = f"pil_{mode.replace(';', '')}.png"
        picture.save(folder / name)
        expect(name, np.asarray(values), scale)
    (folder / "values.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def make_wav():
    folder, expected = here / "wav", {}
    sound = np.array([[0, 1], [-1, 0.999], [0.5, -0.25], [1 / 3, 1e-4], [-1e-4, 0.7]])
    kinds = [("WAV", t, "FILE") for t in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")]
    for container, subtype, endian in kinds + [("WAVEX", "PCM_16", "FILE"), ("WAVEX", "FLOAT", "FILE"), ("WAV", "PCM_24", "BIG")]:
        for channels in (1, 2):
            name = f"{container}_{subtype}_{endian}_{channels}.wav".lower()
            data = sound[:, 0] if channels == 1 else sound
            soundfile.write(folder / name, data, 8000 * channels, subtype, endian, container)
            values, rate = soundfile.read(folder / name, dtype="float32")
            expected[name] = {"rate": rate, "shape": values.shape, "values": values.ravel().tolist()}
    (folder / "values.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def make_numpy():
    folder, expected = here / "numpy", {}
    arrays = {}
    for name in ("i1", "i2", "i4", "i8", "u1", "u2", "u4"):
        info = np.iinfo(name)
        for order in "<>":
            arrays[f"{name}{'big' if order == '>' else ''}"] = np.array([info.min, 0, 1, info.max]).astype(order + name)
    for name in ("f2", "f4", "f8"):
        for order in "<>":
            arrays[f"{name}{'big' if order == '>' else ''}"] = np.array([[0, 1.5], [-0.1, 65504]]).astype(order + name)
    arrays["u8"] = np.array([0, 2**63 - 1], np.uint64)
    arrays["bool"] = np.array([True, False, True])
    arrays["fortran"] = np.asfortranarray(np.arange(24).reshape(2, 3, 4))
    arrays["scalar"] = np.array(2.5)
    arrays["empty"] = np.zeros((3, 0, 2), np.float32)
    arrays["one"] = np.array([7], np.float32)
    np.savez(folder / "stored.npz", **arrays)
    np.savez_compressed(folder / "deflated.npz", **arrays)
    for version in ((1, 0), (2, 0), (3, 0)):
        with open(folder / f"version{version[0]}.npy", "wb") as file:
            np.lib.format.write_array(file, arrays["fortran"], version)
    for name, array in arrays.items():
        expected[name] = {"shape": array.shape, "kind": array.dtype.kind, "bytes": array.dtype.itemsize, "values": array.ravel().tolist()}
    (folder / "values.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def make_events():
    # The same values stand in tests/io/test_events.cpp.
    picture = io.BytesIO()
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)).save(picture, "png")
    image = summary_pb2.Summary.Image(height=2, width=2, colorspace=3, encoded_image_string=picture.getvalue())
    histogram = summary_pb2.HistogramProto(min=-1, max=2, num=4, sum=2.5, sum_squares=6.25, bucket_limit=[0, 1, 2], bucket=[1, 1, 2])
    value = summary_pb2.Summary.Value
    with open(here / "events" / "tensorboard", "wb") as file:
        writer = RecordWriter(file)
        for event in (
            event_pb2.Event(wall_time=1, file_version="brain.Event:2"),
            event_pb2.Event(wall_time=2, step=1, summary=summary_pb2.Summary(value=[value(tag="loss", simple_value=0.5), value(tag="acc", simple_value=1)])),
            event_pb2.Event(wall_time=3, step=-2, summary=summary_pb2.Summary(value=[value(tag="weights", histo=histogram)])),
            event_pb2.Event(wall_time=4, step=2**40, summary=summary_pb2.Summary(value=[value(tag="picture", image=image)])),
            event_pb2.Event(wall_time=5, step=7, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
            event_pb2.Event(wall_time=6, step=8, summary=summary_pb2.Summary(value=[value(tag="text", tensor={"dtype": 7, "string_val": [b"x"]})])),
        ):
            writer.write(event.SerializeToString())


make_png()
make_wav()
make_numpy()
make_events()
