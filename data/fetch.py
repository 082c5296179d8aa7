#!/usr/bin/python3
"""./run data [NAME...] [--data DIR] [--from DIR]: fetches the data sets that manifest.json lists.

Without a name it lists them. A data set lands in DIR/NAME; DIR is --data, else the environment's CHAINRULE_DATA, else this
folder. Nothing is in place before its size and sha256 are verified, and then all of it is at once; what a call leaves
half done lies in DIR/.NAME.part, and the next call goes on there. With --from, copies in another folder are verified
and taken instead of a download. CHAINRULE_MIRROR=URL stands for the scheme and host of every address.
Exit status: 0 all there, 2 not (why is one line), 130 or 143 stopped on the way.
"""

import argparse
import difflib
import fcntl
import json
import os
import re
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.dont_write_bytecode = True
from download import amount, download, duration, one_line, say  # noqa: E402
from files import Failure, in_place, listed, reason, sound, sound_part, unpack, variants  # noqa: E402

HERE = Path(__file__).resolve().parent


def take(source, name, entry, folder):
    """Copies what an entry gives from another folder, source/NAME or source itself, and verifies the copy."""
    places = [source / name, source]
    for place in places:
        for file in variants(entry["name"]):
            if (place / file).is_file():
                copy = folder / file
                shutil.copyfile(place / file, copy)
                if not sound(copy, entry):
                    raise Failure(f"{place / file} is not what the manifest says")
                if "unpack" in entry:
                    unpack(copy, entry, folder)
                    copy.unlink()
                return
        if "unpack" in entry and all((place / part["to"]).exists() for part in entry["unpack"]):
            for part in entry["unpack"]:
                take_part(place, part, folder)
            return
    raise Failure(f"{name}: no {entry['name']} in {places[0]} or {places[1]}")


def take_part(place, part, folder):
    if "files" not in part:
        shutil.copyfile(place / part["to"], folder / part["to"])
    else:
        for file, path in listed(place / part["to"], part["suffix"])[: part["files"] + 1]:
            (folder / part["to"] / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / part["to"] / file)
    if "sha256" not in part:
        raise Failure(f"{place / part['to']} cannot be verified: the manifest has no sha256 of it")
    if not sound_part(folder, part):
        raise Failure(f"{place / part['to']} is not what the manifest says")


@contextmanager
def locked(path, name):
    """Nobody else fetches this data set. The lock goes with the process, however that ends."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: process {os.read(lock, 20).decode(errors='replace') or '?'} is fetching it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Whoever held it removed the file with it: ours may be one that nobody else sees.
        try:
            if os.path.samestat(os.fstat(lock), os.stat(path)):
                break
        except FileNotFoundError:
            pass
        os.close(lock)
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.unlink(path)
        os.close(lock)


def fetch(name, data_set, folder, options):
    """Brings a data set to folder/NAME. A folder that is there keeps what it holds, and gets what it lacks."""
    final, work = folder / name, folder / f".{name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f".{name}.lock", name):
        lacking = [entry for entry in data_set["files"] if not in_place(final, entry)]
        if not lacking:
            shutil.rmtree(work, ignore_errors=True)
            say(f"{name}: there, in {final}")
            return
        say(f"{name}: {data_set['what']}; licence: {data_set['licence']}")
        new = work / "new"
        put_back(new, work, lacking)
        new.mkdir(parents=True)
        try:
            if options.source:
                for entry in lacking:
                    take(options.source, name, entry, new)
            else:
                get(name, lacking, work, new, options)
            if not (final / "SOURCE.txt").exists():
                (new / "SOURCE.txt").write_text(source_text(name, data_set), encoding="utf-8")
            flush(new)
            if final.exists():
                add(new, final)
            else:
                os.rename(new, final)
            shutil.rmtree(work)
        finally:
            put_back(new, work, [] if options.source else lacking)
            if work.exists() and not any(work.iterdir()):
                work.rmdir()
        say(f"{name}: in {final}")


def put_back(new, work, entries):
    """Erases `new`. Downloads in it go back to `work`; what was unpacked comes of an archive that is there still."""
    for entry in entries:
        if "unpack" not in entry and (new / entry["name"]).is_file():
            os.replace(new / entry["name"], work / entry["name"])
    shutil.rmtree(new, ignore_errors=True)


def flush(folder):
    """Has the disk hold what is in a folder, before it gets the name under which it counts as whole."""
    with ThreadPoolExecutor(16) as threads:  # fsync waits long for little: one after another, thousands take minutes
        list(threads.map(flush_one, [*folder.rglob("*"), folder]))


def flush_one(path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def get(name, entries, work, new, options):
    """Downloads and unpacks. What came whole stays in `work` until everything is there."""
    for i, entry in enumerate(entries):
        label = f"{name} {i + 1}/{len(entries)}, {entry['name']}"
        began = time.monotonic()
        download(entry, work / entry["name"], label, options)
        size = (work / entry["name"]).stat().st_size
        say(f"{label}: {amount(size)} in {duration(time.monotonic() - began)}, verified")
        if "unpack" in entry:
            try:
                unpack(work / entry["name"], entry, new)
            except Failure:
                (work / entry["name"]).unlink()  # nothing to go on from
                raise
    for entry in entries:
        if "unpack" not in entry:
            os.rename(work / entry["name"], new / entry["name"])


def add(new, final):
    """Moves what is new into a folder that is there already, each file or folder at once. What bore a name before is kept."""
    for path in sorted(new.iterdir()):
        place, old = final / path.name, final / f"{path.name}.old"
        if old.exists():
            raise Failure(f"{old} is there already; move it or {place} away first")
        if place.exists():
            os.rename(place, old)
            say(f"{place} was not what the manifest says; it is now {old.name}")
        os.rename(path, place)


def source_text(name, data_set):
    urls = [f"  {url}" for entry in data_set["files"] for url in entry["urls"]]
    return "\n".join([f"{name}: {data_set['what']}", f"licence: {data_set['licence']}", "from:", *urls, ""])


# --- the manifest --------------------------------------------------------------------------------------------------------

# What it must look like. A name with a "?" may be missing, unless `needs` asks for it.
PLAIN = re.compile(r"[\w-][\w.-]*")
CONTENT = {"size": int, "sha256": str}
PART = {"member": str, "to": str, "?suffix": str, "?files": int, "?size": int, "?at_most": int, "?sha256": str}
ENTRY = {"name": PLAIN, "urls": [str], "?size": int, "?at_most": int, "?sha256": str, "?content": CONTENT, "?unpack": [PART]}
DATA_SET = {"what": str, "licence": str, "files": [ENTRY]}


def fit(value, shape, where):
    """Refuses a value that has another shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            raise Failure(f"{where} is no object")
        for key, inner in shape.items():
            name = key.lstrip("?")
            if name in value:
                fit(value[name], inner, f"{where}, {name}")
            elif name == key:
                raise Failure(f"{where} has no {name}")
    elif isinstance(shape, list):
        if not isinstance(value, list) or not value:
            raise Failure(f"{where} is no list of something")
        for i, item in enumerate(value):
            fit(item, shape[0], f"{where} {i + 1}")
    elif isinstance(shape, re.Pattern):
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise Failure(f"{where} is no plain name")
    elif type(value) is not shape or shape is int and value <= 0:
        raise Failure(f"{where} is no {'text' if shape is str else 'whole number above 0'}")


def needs(item):
    """What says whether a file, or a part of an archive, is the right one and not too large."""
    if "files" in item:
        return {"suffix", "at_most"}
    if "sha256" in item or "urls" in item and "unpack" not in item:
        return {"size", "sha256"}
    return {"at_most"}


def read_manifest(path):
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        fit(manifest, {}, "the manifest")
        for name, data_set in manifest.items():
            fit(name, PLAIN, repr(name))
            fit(data_set, DATA_SET, name)
            for entry in data_set["files"]:
                for item in [entry, *entry.get("unpack", [])]:
                    if lacking := needs(item) - item.keys():
                        raise Failure(f"{name}, {entry['name']} has no {' and no '.join(sorted(lacking))}")
    except (OSError, ValueError, RecursionError, Failure) as error:
        raise Failure(f"{path}: {reason(error)}")
    return manifest


# --- the command ---------------------------------------------------------------------------------------------------------


def overview(manifest, folder):
    print(f"{'name':<18} {'to fetch':>8}  {'':<7} {'licence':<22} what")
    for name, data_set in manifest.items():
        size = sum(entry.get("size") or entry["at_most"] for entry in data_set["files"])
        count = sum(in_place(folder / name, entry, verify=False) for entry in data_set["files"])
        most = "<" if any("size" not in entry for entry in data_set["files"]) else ""
        state = "there" if count == len(data_set["files"]) else "in part" if count else "-"
        print(f"{name:<18} {most + amount(size):>8}  {state:<7} {data_set['licence']:<22} {data_set['what']}")
    print(f"\n./run data NAME... brings them to {one_line(str(folder))}; a README with their sources lies beside manifest.json")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(f"{message} (./run data --help)")


def number(kind, least, most):
    def read(text):
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    read.__name__ = "number"
    return read


def parse(arguments):
    parser = Parser(prog="./run data", allow_abbrev=False, description=__doc__.partition("\n\n")[2],
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets; without any, a list")
    parser.add_argument("--data", metavar="DIR", type=Path, help="where they go, each in a folder of its own")
    parser.add_argument("--from", metavar="DIR", dest="source", type=Path, help="verify and take copies from there")
    parser.add_argument("--timeout", metavar="S", type=number(float, 0.01, 86400), default=30,
                        help="a server silent for so long stalls (30)")
    parser.add_argument("--tries", metavar="N", type=number(int, 1, 1000), default=4,
                        help="rounds in which nothing more came (4)")
    parser.add_argument("--retry-wait", metavar="S", type=number(float, 0, 86400), default=1,
                        help="the first pause; each is twice as long (1)")
    parser.add_argument("--manifest", metavar="FILE", type=Path, default=HERE / "manifest.json", help="another list")
    options = parser.parse_args(arguments)
    options.data = options.data or Path(os.environ.get("CHAINRULE_DATA") or HERE)
    return options


class Stopped(BaseException):
    pass


def stop(number, _):
    raise Stopped(number)


def main(arguments):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    options = parse(arguments)
    manifest = read_manifest(options.manifest)
    if not options.names:
        try:
            overview(manifest, options.data)
            sys.stdout.flush()
        except BrokenPipeError:  # who reads it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for name in options.names:
        if name not in manifest:
            near = difflib.get_close_matches(name, manifest, 1, 0.4)
            hint = f'did you mean "{near[0]}"?' if near else f"there is: {', '.join(manifest)}"
            raise Failure(f'there is no data set "{name}"; {hint}')
    if options.source and not options.source.is_dir():
        raise Failure(f"--from: {options.source} is not a folder")
    for name in dict.fromkeys(options.names):
        try:
            fetch(name, manifest[name], options.data.absolute(), options)
        except OSError as error:
            raise Failure(f"{name}: {error.filename or options.data}: {error.strerror or error}")


def command(arguments):
    """The whole of it: returns the exit status."""
    try:
        main(arguments)
    except Failure as failure:
        say(f"run data: {failure}")
        return 2
    except OSError as error:
        say(f"run data: {error.filename or 'stdout'}: {reason(error)}")
        return 2
    except Stopped as stopped:
        say("run data: stopped; what came so far is kept, and the same command goes on from there")
        return 128 + stopped.args[0]
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(command(sys.argv[1:]))
