"""Files that are what the manifest says: how to tell, and how to unpack an archive that nobody vouches for."""

import gzip
import hashlib
import re
import socket
import tarfile
import zipfile
import zlib

PIECE = 1 << 16


class Failure(Exception):
    """The request cannot be carried out; the message is one line."""


def timed_out(error):
    return isinstance(error, (TimeoutError, socket.timeout))  # the same from Python 3.10 on


def reason(error):
    if timed_out(error):
        return "does not answer"
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def digest(stream, at_most):
    """Size and sha256 of a stream, which is given up as too large beyond `at_most` bytes."""
    sha, size = hashlib.sha256(), 0
    while size <= at_most and (piece := stream.read(PIECE)):
        sha.update(piece)
        size += len(piece)
    return size, sha.hexdigest()


def sound(path, entry):
    """Whether a file holds what the manifest says, be it compressed with gzip, in whatever way, or not."""
    right = {(e["size"], e["sha256"]) for e in (entry, entry.get("content", {})) if "sha256" in e}
    if not right:
        return path.stat().st_size <= entry["at_most"]  # an archive: what comes out of it is verified
    largest = max(size for size, _ in right)
    try:
        with open(path, "rb") as plain:
            if digest(plain, largest) in right:
                return True
        with gzip.open(path) as unpacked:
            return digest(unpacked, largest) in right
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False


def listed(folder, suffix=""):
    """The files below a folder, as (path from there, path), in order."""
    return sorted((p.relative_to(folder).as_posix(), p) for p in folder.rglob("*" + suffix) if p.is_file())


def sound_part(folder, part, look=True):
    """Whether a folder holds what this part of an archive gives: by name and number and, with `look`, by sha256."""
    path = folder / part["to"]
    if "files" not in part:
        return path.is_file() and (not look or "sha256" not in part or sound(path, part))
    files = listed(path, part["suffix"])
    if len(files) != part["files"] or not look or "sha256" not in part:
        return len(files) == part["files"]
    sha = hashlib.sha256()
    for name, file in files:
        with open(file, "rb") as stream:
            sha.update(f"{digest(stream, part['at_most'])[1]}  {name}\n".encode(errors="surrogateescape"))
    return sha.hexdigest() == part["sha256"]


def variants(name):
    """The names under which a file may lie: compressed or not."""
    return [name, name[:-3] if name.endswith(".gz") else name + ".gz"]


def in_place(folder, entry, verify=True):
    """Whether all that comes of an entry is in a folder. Without `verify` only names are looked at."""
    if "unpack" not in entry:
        found = [folder / name for name in variants(entry["name"]) if (folder / name).is_file()]
        return any(not verify or sound(path, entry) for path in found)
    # What came of a verified archive in thousands of files is not verified again.
    return all(sound_part(folder, part, verify and "files" not in part) for part in entry["unpack"])


class Bounded:
    """A stream that ends in a refusal where a small archive unpacks to too much."""

    def __init__(self, stream, room):
        self.stream, self.room = stream, room

    def read(self, size):
        piece = self.stream.read(size)
        self.room -= len(piece)
        if self.room < 0:
            raise Failure("unpacks to more than the manifest says")
        return piece


def members(archive, room):
    """The members of a .zip or .tar.gz, one after another: name, whether it is a plain file, and how to open it."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                kind = info.external_attr >> 28  # the mode's file type, where Unix made the archive
                if not info.is_dir():
                    yield info.filename, kind in (0, 8), lambda info=info: file.open(info)
    else:
        # Members that nobody wants and padding count too, so the bound is a loose one.
        stream = Bounded(gzip.open(archive), 2 * room + (1 << 20))
        with tarfile.open(fileobj=stream, mode="r|") as file:
            for info in file:
                if not info.isdir():
                    yield info.name, info.isreg(), lambda info=info: file.extractfile(info)


def target(name, part):
    """Where a member goes, or nothing if it is not of this part."""
    if not part["member"].endswith("/"):
        return part["to"] if name == part["member"] else None
    if name.startswith(part["member"]) and name.endswith(part["suffix"]):
        return part["to"] + name[len(part["member"]) :]
    return None


def unpack(archive, entry, folder):
    """Unpacks what the entry names and nothing else: plain files, inside `folder`, as many and as large as it says."""
    wanted = entry["unpack"]
    counts, room = [0] * len(wanted), [part.get("size") or part["at_most"] for part in wanted]
    try:
        for name, plain, opened in members(archive, sum(room)):
            for i, part in enumerate(wanted):
                if (to := target(name, part)) is None:
                    continue
                if not plain or re.search(r"[\\\0]", name) or {"", ".", ".."} & set(to.split("/")):
                    raise Failure(f"holds {name!r}, which is no plain file inside it")
                counts[i] += 1
                if counts[i] > part.get("files", 1) or (folder / to).exists():
                    raise Failure(f"holds {name!r}, which is one file too many")
                (folder / to).parent.mkdir(parents=True, exist_ok=True)
                with opened() as source, open(folder / to, "xb") as file:
                    while piece := source.read(PIECE):
                        room[i] -= len(piece)
                        if room[i] < 0:
                            raise Failure("unpacks to more than the manifest says")
                        file.write(piece)
        for i, part in enumerate(wanted):
            if counts[i] != part.get("files", 1):
                raise Failure(f"holds {counts[i]} files {part['member']!r}, not {part.get('files', 1)}")
            if not sound_part(folder, part, "sha256" not in entry or "files" not in part):
                raise Failure(f"gives another {part['to']} than the manifest says")
    except Failure as failure:
        raise Failure(f"{entry['name']} is refused: it {failure}")
    except Exception as error:  # the standard library's readers fail in many ways
        if isinstance(error, OSError) and error.errno:
            raise
        raise Failure(f"{entry['name']} is damaged: {reason(error)}")
