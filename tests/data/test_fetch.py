"""./run data against a server that does everything wrong: what arrives is whole and right, or nothing does and one line says why.

    /usr/bin/python3 tests/data/test_fetch.py        the last line is "N passed, N failed, N skipped\""""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import unittest.mock
import zipfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "data"
sys.dont_write_bytecode = True
sys.path.insert(0, str(DATA))
import fetch  # noqa: E402

BYTES = bytes(range(256)) * 400  # 102 400 of them
OTHER = BYTES[::-1]


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.files with ranges and entity tags, unless server.faults[path] holds a fault for the next request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        faults = server.faults.get(self.path) or [""]
        always = faults[0].startswith("always ")
        fault, _, value = (faults[0][len("always ") :] if always else faults.pop(0)).partition(" ")
        body, code = server.files.get(self.path), 200
        if fault == "status" or body is None and fault != "redirect":
            return self.answer(int(value or 404), b"no", {"Retry-After": "0"})
        if fault == "redirect":
            return self.answer(302, b"", {"Location": value})
        tag = '"' + hashlib.md5(body).hexdigest() + '"'
        headers = {"ETag": tag}
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and fault != "norange" and (fault == "mixed" or self.headers.get("If-Range", tag) == tag):
            start = int(match[1])
            if start >= len(body):
                return self.answer(416, b"", {})
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body, code = body[start:], 206
        if fault == "wrongrange":
            headers["Content-Range"] = "bytes 7-99/100"
        if fault == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault == "encoded":
            headers["Content-Encoding"] = "gzip"
        if fault == "unsized":
            self.send_response(code)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            return
        length = {"truncate": len(body), "stall": len(body), "length": int(value or 0)}.get(fault, len(body))
        self.answer(code, body[: int(value)] if fault in ("truncate", "stall") else body, headers, length)
        if fault == "stall":
            server.stalled.set()
            server.go_on.wait(10)
            with contextlib.suppress(OSError):
                self.wfile.write(body[int(value) :])

    def answer(self, code, body, headers, length=None):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        if length is not None and length != len(body) and self.server.close:
            self.close_connection = True


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="chainrule-test-")
        self.addCleanup(self.folder.cleanup)
        os.chmod(self.folder.name, 0o755)
        self.root = Path(self.folder.name).resolve()
        self.data = self.root / "data"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.close = True
        self.server.files, self.server.faults, self.server.asked = {}, {}, []
        self.server.stalled, self.server.go_on = threading.Event(), threading.Event()
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.go_on.set)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        for name in ("CHAINRULE_MIRROR", "CHAINRULE_DATA", "http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            os.environ.pop(name, None)

    # One data set "a" of one file "f" at /one/f and /two/f, unless a test says otherwise.
    def manifest(self, files=None, **changes):
        self.server.files.setdefault("/one/f", BYTES)
        self.server.files.setdefault("/two/f", BYTES)
        entry = {"name": "f", "urls": [self.url + "/one/f", self.url + "/two/f"], "size": len(BYTES),
                 "sha256": hashlib.sha256(BYTES).hexdigest()}
        entry = {key: value for key, value in {**entry, **changes}.items() if value is not None}
        path = self.root / "manifest.json"
        sets = {"a": {"what": "bytes", "licence": "none", "files": files or [entry]}}
        path.write_text(json.dumps(sets))
        return path

    def arguments(self, *words):
        return ["--manifest", str(self.root / "manifest.json"), "--data", str(self.data), "--timeout", "0.2", "--retry-wait",
                "0.001", *map(str, words)]

    def run_data(self, *words):
        out = io.StringIO()
        with contextlib.redirect_stderr(out), contextlib.redirect_stdout(out):
            status = fetch.command(self.arguments(*words))
        return status, out.getvalue()

    def start(self, *words, **kwargs):
        return subprocess.Popen([sys.executable, DATA / "fetch.py", *self.arguments(*words)], stderr=subprocess.PIPE, text=True,
                                **kwargs)

    def works(self, *words, name="f", content=BYTES):
        status, out = self.run_data(*words or ["a"])
        self.assertEqual((status, out if status else ""), (0, ""))
        self.assertEqual((self.data / "a" / name).read_bytes(), content)
        self.tidy()
        return out

    # Exit status 2, one line that says why, and no data set.
    def fails(self, pattern, *words):
        status, out = self.run_data(*words or ["a"])
        lines = [line for line in out.splitlines() if line.startswith("run data: ")]
        self.assertEqual((status, len(lines)), (2, 1), out)
        self.assertRegex(lines[0], pattern)
        self.assertNotIn("Traceback", out)
        self.assertFalse((self.data / "a").exists())
        return out

    def tidy(self):
        self.assertEqual(sorted(p.name for p in self.data.iterdir()), ["a"])

    def part(self):
        return self.data / ".a.part/f"

    def wait_for(self, condition):
        for _ in range(2000):
            if condition():
                return
            time.sleep(0.005)
        self.fail("waited in vain")

    def faults(self, one, two=None):
        self.server.faults = {"/one/f": one, "/two/f": two or ["always status 404"]}


class Downloads(Case):
    def test_plain(self):
        self.manifest()
        self.works()
        self.assertEqual(self.server.asked, [("/one/f", None)])
        self.assertRegex(self.works(), "a: there, in ")
        self.assertEqual(len(self.server.asked), 1)
        self.assertIn("licence: none", (self.data / "a/SOURCE.txt").read_text())

    def test_truncated_goes_on_where_it_broke_off(self):
        self.manifest()
        self.faults(["truncate 1000", "truncate 500", "truncate 1", "truncate 1", "truncate 1", "truncate 1", "truncate 1"])
        self.works("a", "--tries", "2")  # each round brings more, so none counts
        ranges = [asked for path, asked in self.server.asked if path == "/one/f"]
        self.assertEqual(ranges[:4], [None, "bytes=1000-", "bytes=1500-", "bytes=1501-"])

    def test_always_truncated(self):
        self.manifest()
        self.faults(["always truncate 0"])
        self.fails(r"cannot be fetched: 127.*breaks off after 0 of 102400 bytes; 127.*answers 404")
        self.faults(["always norange"])
        self.server.files["/one/f"] = BYTES[:500]
        self.fails("offers 500 bytes, not 102400")

    def test_second_mirror(self):
        for fault in ("status 404", "status 403", "status 500", "status 429", "corrupt", "truncate 99", "length 99", "length 999999",
                      "encoded", "redirect /one/f", "redirect ftp://nowhere/f", "redirect file:///etc/passwd", "wrongrange"):
            with self.subTest(fault):
                self.manifest()
                self.faults(["always " + fault], [""])
                self.works()
                self.server.asked.clear()
                subprocess.run(["rm", "-rf", self.data], check=True)

    def test_faults_that_pass(self):
        for fault in ("status 500", "status 503", "status 429", "status 408", "truncate 0", "norange"):
            with self.subTest(fault):
                self.manifest()
                self.faults([fault, ""])
                self.works()
                subprocess.run(["rm", "-rf", self.data], check=True)

    def test_nobody_serves_it(self):
        self.manifest()
        self.faults(["always status 404"])
        self.fails(r"answers 404; 127\S* answers 404$")
        self.assertEqual(len(self.server.asked), 2)  # they said no: nobody is asked twice
        self.faults(["always status 500"], ["always status 503"])
        self.server.asked.clear()
        self.fails("answers 500; .* answers 503", "a", "--tries", "3")
        self.assertEqual(len(self.server.asked), 6)
        self.faults(["always redirect /two/f"], ["always redirect /one/f"])
        self.fails("redirects without end")
        self.faults(["always corrupt"], ["always corrupt"])
        self.fails("sends other bytes than the manifest says")
        self.assertFalse(self.part().exists())

    def test_nobody_listens(self):
        self.manifest(urls=["http://127.0.0.1:9/f", "http://[::bad/f", "nonsense"])
        self.fails("127.0.0.1:9 Connection refused.*no address")

    def test_redirected(self):
        self.manifest()
        self.server.files["/three"] = BYTES
        self.faults(["redirect /four"])
        self.server.faults["/four"] = ["redirect /three"]
        self.works()

    def test_stalls(self):
        self.manifest()
        self.faults(["stall 5000", "always stall 0"])
        began = time.monotonic()
        self.fails("stalls", "a", "--tries", "1")
        self.assertLess(time.monotonic() - began, 5)
        self.faults([""])
        self.works()
        self.assertEqual(self.server.asked[-1], ("/one/f", "bytes=5000-"))

    def test_no_length(self):
        self.manifest()
        self.faults(["unsized"])
        self.works()
        self.server.files["/one/f"] = BYTES + b"x"
        subprocess.run(["rm", "-rf", self.data], check=True)
        self.faults(["unsized"])
        self.fails("sends more than 102400 bytes")

    def test_range_ignored(self):
        self.manifest()
        self.faults(["truncate 1000", "norange"])
        self.works()

    def test_changed_between_the_parts(self):
        for fault in ("", "mixed"):  # a server that heeds If-Range, and one that does not
            with self.subTest(fault):
                self.manifest()
                self.server.files["/one/f"] = OTHER
                self.faults(["truncate 1000", "always status 404"])
                self.fails("404")
                self.assertEqual(self.part().read_bytes(), OTHER[:1000])
                self.server.files["/one/f"] = BYTES
                self.faults([fault, ""])
                self.works()
                subprocess.run(["rm", "-rf", self.data], check=True)

    def test_part_of_wrong_bytes(self):
        self.manifest()
        for content in (OTHER[:77], OTHER, OTHER + b"x"):
            self.part().parent.mkdir(parents=True)
            self.part().write_bytes(content)
            (self.data / ".a.part/f.state").write_text("no JSON")
            self.works()
            subprocess.run(["rm", "-rf", self.data], check=True)

    def test_whole_part(self):
        self.manifest()
        self.part().parent.mkdir(parents=True)
        self.part().write_bytes(BYTES)
        self.works()
        self.assertEqual(self.server.asked, [])

    def test_compressed_anew(self):
        # The publisher's .gz has other bytes than one made here; what is in it decides.
        packed = gzip.compress(BYTES, 1)
        content = {"size": len(BYTES), "sha256": hashlib.sha256(BYTES).hexdigest()}
        self.manifest(name="f.gz", size=len(packed), sha256="0" * 64, content=content)
        self.server.files["/one/f"] = packed
        self.works(name="f.gz", content=packed)

    def test_mirror_and_place_from_the_environment(self):
        self.manifest(urls=["https://example.invalid/one/f", "https://elsewhere.invalid/one/f"])
        self.data = self.root / "elsewhere"
        os.environ.update(CHAINRULE_MIRROR=self.url + "/", CHAINRULE_DATA=str(self.data))
        status, out = 1, io.StringIO()
        with contextlib.redirect_stderr(out):
            status = fetch.command(["a", "--manifest", str(self.root / "manifest.json")])
        self.assertEqual((status, (self.data / "a/f").read_bytes() == BYTES), (0, True), out.getvalue())
        subprocess.run(["rm", "-rf", self.data], check=True)
        for mirror in ("nonsense", "http://[", "https://"):
            os.environ["CHAINRULE_MIRROR"] = mirror
            self.fails("CHAINRULE_MIRROR is " + re.escape(repr(mirror)))

    def test_what_is_there_stays(self):
        self.manifest()
        (self.data / "a").mkdir(parents=True)
        (self.data / "a/mine").write_text("mine")
        (self.data / "a/SOURCE.txt").write_text("mine")
        (self.data / "a/f").write_bytes(OTHER)
        self.works()
        self.assertEqual((self.data / "a/mine").read_text() + (self.data / "a/SOURCE.txt").read_text(), "minemine")
        self.assertEqual((self.data / "a/f.old").read_bytes(), OTHER)
        (self.data / "a/f").write_bytes(OTHER[:5])
        status, out = self.run_data("a")
        self.assertEqual((status, (self.data / "a/f").read_bytes()), (2, OTHER[:5]))
        self.assertRegex(out, "(?m)^run data: .*f.old is there already")


class Interrupted(Case):
    def half(self):
        self.manifest()
        self.faults(["stall 50000", ""])
        process = self.start("a", "--timeout", "20")
        self.addCleanup(process.stderr.close)
        self.wait_for(lambda: self.part().exists() and self.part().stat().st_size == 50000)
        return process

    def test_killed(self):
        process = self.half()
        process.kill()
        process.wait()
        self.assertFalse((self.data / "a").exists())
        self.works()
        self.assertEqual(self.server.asked[-1], ("/one/f", "bytes=50000-"))

    def test_stopped(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            process = self.half()
            process.send_signal(number)
            self.assertEqual(process.wait(), code)
            last = process.stderr.read().splitlines()[-1]
            self.assertEqual(last, "run data: stopped; what came so far is kept, and the same command goes on from there")
            self.works()
            self.assertEqual(self.server.asked[-1], ("/one/f", "bytes=50000-"))
            subprocess.run(["rm", "-rf", self.data], check=True)

    # A signal after the download, on the way to the disk; and no chance to do anything more, at the same place.
    def test_stopped_with_all_there(self):
        self.manifest()
        with unittest.mock.patch("fetch.flush", side_effect=fetch.Stopped(2)):
            self.assertEqual(self.run_data("a")[0], 130)
        self.assertEqual(self.part().read_bytes(), BYTES)
        self.server.asked.clear()
        (self.part().parent / "new").mkdir()
        os.rename(self.part(), self.part().parent / "new/f")
        self.works()
        self.assertEqual(self.server.asked, [])

    def test_killed_with_all_in_place(self):
        self.manifest()
        self.works()
        self.part().parent.mkdir()
        (self.part().parent / "f.state").write_text("{}")
        self.works()

    def test_two_at_once(self):
        first = self.half()
        second = self.start("a", "--timeout", "20")
        self.assertRegex(second.stderr.readline(), rf"a: process {first.pid} is fetching it; waiting")
        self.server.go_on.set()
        self.assertEqual((first.wait(), second.wait()), (0, 0))
        self.assertRegex(second.stderr.read(), "a: there, in ")
        second.stderr.close()
        self.assertEqual((self.data / "a/f").read_bytes(), BYTES)
        self.assertEqual(len(self.server.asked), 1)
        self.tidy()


class Disks(Case):
    def failing(self, pattern, **kwargs):
        process = self.start("a", **kwargs)
        out = process.communicate()[1]
        self.assertEqual(process.returncode, 2, out)
        self.assertRegex(out.splitlines()[-1], pattern)
        self.assertNotIn("Traceback", out)
        self.assertFalse((self.data / "a").exists())

    def test_a_file_too_large(self):
        self.manifest()
        self.failing("^run data: a: .*File too large", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (70000, 70000)))
        self.assertEqual(self.part().stat().st_size, 70000)
        self.works()
        self.assertEqual(self.server.asked[-1], ("/one/f", "bytes=70000-"))

    def test_full_disk(self):
        self.manifest()
        self.data.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=65536", "none", self.data], capture_output=True).returncode:
            self.skipTest("no small disk to fill: needs the right to mount one")
        try:
            self.failing("^run data: a: .*No space left on device")
        finally:
            subprocess.run(["umount", self.data], check=True)

    def test_no_permission(self):
        self.manifest()
        self.data.mkdir(mode=0o555)
        nobody = {"user": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        if subprocess.run([sys.executable, DATA / "fetch.py", "--help"], capture_output=True, **nobody).returncode:
            self.skipTest("this is root, and a user without its rights cannot read this checkout")
        self.failing("^run data: a: .*data.*: Permission denied", **nobody)

    def test_names_of_any_bytes(self):
        self.manifest()
        for name, shown in (("a\nb", r"a\\nb"), ("\udcff", r"\\udcff"), ("\033[31m", r"\\x1b\[31m")):
            (self.root / name).write_text("a file")
            self.data = self.root / name
            status, out = self.run_data("a")
            self.assertEqual(status, 2)
            self.assertRegex(out.splitlines()[-1], f"^run data: a: .*/{shown}: (File exists|Not a directory)$")
            process = self.start(stdout=subprocess.DEVNULL)
            self.assertEqual((process.communicate()[1], process.returncode), ("", 0))

    def test_no_folder(self):
        self.manifest()
        self.data.write_text("a file")
        self.failing("^run data: a: .*: File exists|Not a directory")


class Archives(Case):
    """Archives that nobody vouches for, in both formats."""

    def archive(self, kind, members):
        """A .zip or .tar.gz of (name, content) pairs; content may be a tar type with a link's target."""
        out = io.BytesIO()
        if kind == "zip":
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
                for name, content in members:
                    info = zipfile.ZipInfo(name)
                    info.compress_type = zipfile.ZIP_DEFLATED
                    if isinstance(content, tuple):
                        info.external_attr = 0o120777 << 16  # a symbolic link
                        content = content[1].encode()
                    file.writestr(info, content)
        else:
            with tarfile.open(fileobj=out, mode="w:gz") as file:
                for name, content in members:
                    info = tarfile.TarInfo(name)
                    if isinstance(content, tuple):
                        info.type, info.linkname, content = content[0], content[1], b""
                    info.size = len(content)
                    file.addfile(info, io.BytesIO(content))
        return out.getvalue()

    def serve(self, kind, members, files=2, at_most=1000, sha256=None, **changes):
        content = members if isinstance(members, bytes) else self.archive(kind, members)
        self.server.files["/one/f"] = content
        listing = "".join(f"{hashlib.sha256(text).hexdigest()}  {name[4:]}\n" for name, text in self.good)
        part = {"member": "top/", "to": "x/", "suffix": ".txt", "files": files, "at_most": at_most,
                "sha256": sha256 or hashlib.sha256(listing.encode()).hexdigest()}
        self.manifest(name="f." + kind, size=None, sha256=None, at_most=200000, unpack=[part], urls=[self.url + "/one/f"], **changes)

    good = [("top/a.txt", b"first"), ("top/sub/b.txt", b"second")]

    def test_good(self):
        for kind in ("zip", "tar.gz"):
            self.serve(kind, [*self.good, ("top/ignored.md", b"x"), ("../outside", b"x"), ("other/c.txt", b"x")])
            self.works(name="x/sub/b.txt", content=b"second")
            self.assertEqual(sorted(p.name for p in (self.data / "a").iterdir()), ["SOURCE.txt", "x"])
            subprocess.run(["rm", "-rf", self.data], check=True)

    def test_hostile(self):
        for kind in ("zip", "tar.gz"):
            for what, members, pattern in (
                ("escapes", [("top/../../../evil.txt", b"x")], "no plain file inside it"),
                ("twice", [self.good[0], self.good[0]], "one file too many"),
                ("link", [("top/a.txt", (tarfile.SYMTYPE, "/etc/passwd")), self.good[1]], "no plain file inside it"),
                ("many", [*self.good, ("top/c.txt", b"x")], "one file too many"),
                ("few", self.good[:1], "holds 1 files 'top/', not 2"),
                ("other", [self.good[0], ("top/sub/b.txt", b"third!")], "gives another x/"),
                ("bomb", [("top/a.txt", bytes(1_000_000)), self.good[1]], "unpacks to more"),
                ("over itself", [self.good[0], ("top/a.txt/b.txt", b"x")], "one file too many|Not a directory|File exists"),
                ("backslash", [("top/..\\..\\evil.txt", b"x"), self.good[1]], "no plain file inside it"),
                ("empty", [], "holds 0 files"),
            ):
                if kind == "zip" and what == "twice":
                    continue  # zipfile itself warns, and the count catches it like the others
                with self.subTest(f"{what}.{kind}"):
                    self.serve(kind, members)
                    self.fails(pattern)
                    self.assertFalse(list(self.root.rglob("evil*")))

    def test_hostile_tar(self):
        for kind in (tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            self.serve("tar.gz", [("top/a.txt", (kind, "/etc/passwd")), self.good[1]])
            self.fails("no plain file inside it")
        self.serve("tar.gz", [("huge", bytes(50_000_000)), *self.good])  # nobody wants it, but it must be read
        self.fails("unpacks to more")

    def test_damaged(self):
        for kind in ("zip", "tar.gz"):
            whole = self.archive(kind, self.good)
            for content in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-1] if kind == "zip" else whole[:-30]):
                with self.subTest(f"{len(content)}.{kind}"):
                    self.serve(kind, content)
                    self.fails("is damaged|is refused")
                    self.assertFalse((self.data / f".a.part/f.{kind}").exists())
            for i in range(0, len(whole), 5):
                self.serve(kind, whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :])
                status, out = self.run_data("a")
                if status == 0:  # a byte that does not matter, such as a date
                    self.assertEqual((self.data / "a/x/a.txt").read_bytes(), b"first")
                    subprocess.run(["rm", "-rf", self.data], check=True)
                else:
                    self.assertRegex(out.splitlines()[-1], "^run data: ")

    def test_members_by_name(self):
        self.server.files["/one/f"] = content = self.archive("zip", self.good)
        unpack = [{"member": "top/a.txt", "to": "b.txt", "size": 5, "sha256": hashlib.sha256(b"first").hexdigest()}]
        self.manifest(name="f.zip", size=len(content), sha256=hashlib.sha256(content).hexdigest(), unpack=unpack)
        self.works(name="b.txt", content=b"first")


class Local(Case):
    def setUp(self):
        super().setUp()
        self.source = self.root / "source"
        (self.source / "a").mkdir(parents=True)

    def test_copies(self):
        self.manifest()
        self.fails("a: no f in .*source/a or .*source$", "a", "--from", self.source)
        self.assertEqual(list(self.data.iterdir()), [])
        (self.source / "a/f").write_bytes(OTHER)
        self.fails("source/a/f is not what the manifest says", "a", "--from", self.source)
        (self.source / "a/f").write_bytes(BYTES)
        self.works("a", "--from", self.source)
        self.assertEqual(self.server.asked, [])
        self.fails_elsewhere()

    def fails_elsewhere(self):
        self.data = self.root / "other"
        self.fails("--from: /nowhere is not a folder", "a", "--from", "/nowhere")

    def test_compressed_copy(self):
        self.manifest()
        packed = gzip.compress(BYTES)
        (self.source / "f.gz").write_bytes(packed)
        self.works("a", "--from", self.source, name="f.gz", content=packed)
        self.assertRegex(self.works(name="f.gz", content=packed), "there")

    def test_unpacked_copy(self):
        part = {"member": "top/", "to": "x/", "suffix": ".txt", "files": 1, "at_most": 10}
        self.manifest(name="f.zip", unpack=[part])
        (self.source / "a/x").mkdir()
        (self.source / "a/x/a.txt").write_bytes(b"first")
        self.fails("no sha256 of it", "a", "--from", self.source)
        part["sha256"] = hashlib.sha256(f"{hashlib.sha256(b'first').hexdigest()}  a.txt\n".encode()).hexdigest()
        self.manifest(name="f.zip", unpack=[part])
        (self.source / "a/x/b.txt").write_bytes(b"second")
        self.fails("x/ is not what the manifest says|x is not what the manifest says", "a", "--from", self.source)
        (self.source / "a/x/b.txt").unlink()
        (self.source / "a/x/a.txt").rename(self.source / "a/x/\udcff.txt")
        self.fails("x is not what the manifest says", "a", "--from", self.source)
        (self.source / "a/x/\udcff.txt").rename(self.source / "a/x/a.txt")
        self.works("a", "--from", self.source, name="x/a.txt", content=b"first")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Command(Case):
    def test_progress(self):
        terminal, clock = Terminal(), iter((0, 1, 1.05, 2))
        with contextlib.redirect_stderr(terminal), unittest.mock.patch("time.monotonic", lambda: next(clock)):
            progress = fetch.download.__globals__["Progress"]("a 1/1, f", 1000, 11000)
            for done in (2000, 2100, 6000):  # the second comes too soon to be shown
                progress.show(done)
        self.assertEqual(terminal.getvalue(), "\r\033[Ka 1/1, f: 2 kB of 11 kB (18 %), 1 kB/s, 9 s left"
                                              "\r\033[Ka 1/1, f: 6 kB of 11 kB (54 %), 2.5 kB/s, 2 s left")

    def test_names(self):
        self.manifest()
        status, out = self.run_data()
        self.assertEqual(status, 0)
        self.assertRegex(out, r"(?m)^a +102 kB +- +none +bytes$")
        self.works()
        self.assertRegex(self.run_data()[1], r"(?m)^a +102 kB +there +none +bytes$")
        self.assertRegex(self.run_data("aa")[1], '^run data: there is no data set "aa"; did you mean "a"\\?$')
        self.assertRegex(self.run_data("qqq")[1], '^run data: there is no data set "qqq"; there is: a$')
        self.assertEqual(self.run_data("--nonsense")[0], 2)
        (self.root / "manifest.json").write_text("{")
        self.assertEqual(self.run_data("a")[0], 2)

    def test_numbers(self):
        self.manifest()
        for words in (("--retry-wait", "-1"), ("--retry-wait", "1e18"), ("--retry-wait", "nan"), ("--tries", "0"),
                      ("--tries", "x"), ("--timeout", "-1"), ("--timeout", "0"), ("--timeout", "inf")):
            with self.subTest(words):
                self.fails(f"argument {words[0]}: ({words[1]} is not between|invalid number)", "a", *words)

    def test_manifests_that_are_none(self):
        whole = json.loads(self.manifest().read_text())["a"]
        entry = whole["files"][0]

        def other(**changes):  # ours, but for these of the file's entries
            return {"a": {**whole, "files": [{k: v for k, v in {**entry, **changes}.items() if v is not None}]}}

        part = {"member": "top/", "to": "x/", "suffix": ".txt", "files": 1, "at_most": 10}
        for manifest, pattern in (
            ([], "the manifest is no object"), (None, "the manifest is no object"), ({"x": 1}, "x is no object"),
            ({"x": {"what": "w"}}, "x has no licence"), ({"../x": whole}, "no plain name"),
            ({"a": {**whole, "files": []}}, "a, files is no list of something"), ({"a": {**whole, "what": 1}}, "a, what is no text"),
            (other(name="../f"), "a, files 1, name is no plain name"), (other(name=None), "a, files 1 has no name"),
            (other(urls="x"), "a, files 1, urls is no list"), (other(urls=[1]), "a, files 1, urls 1 is no text"),
            (other(size="1"), "a, files 1, size is no whole number above 0"), (other(size=0), "no whole number above 0"),
            (other(size=None), "a, f has no size"), (other(size=None, sha256=None, at_most=9), "a, f has no sha256 and no size"),
            (other(content={}), "a, files 1, content has no size"), (other(unpack=[{}]), "unpack 1 has no member"),
            (other(sha256=None, unpack=[part]), "a, f has no at_most"),
            (other(unpack=[{**part, "sha256": "0", "files": None}]), "files is no whole number"),
            (other(unpack=[{"member": "m", "to": "t", "sha256": "0"}]), "a, f has no size"),
        ):
            with self.subTest(pattern):
                (self.root / "manifest.json").write_text(json.dumps(manifest))
                self.fails(f"manifest.json: .*{pattern}")
        (self.root / "manifest.json").write_text("[" * 100000)
        self.fails("manifest.json: ")

    def test_list_that_nobody_reads_on(self):
        self.manifest()
        ours, theirs = os.pipe()
        os.close(ours)
        process = self.start(stdout=theirs)
        os.close(theirs)
        self.assertEqual((process.communicate()[1], process.returncode), ("", 0))

    def test_timeout_of_old(self):
        class Old(OSError):  # before Python 3.10 a socket's timeout was no TimeoutError
            pass

        with unittest.mock.patch("socket.timeout", Old):
            self.assertEqual(fetch.reason(Old("timed out")), "does not answer")
        self.assertEqual(fetch.reason(socket.timeout()), "does not answer")

    def test_our_manifest(self):
        sets = json.loads((DATA / "manifest.json").read_text())
        self.assertGreater(len(sets), 10)
        readme = (DATA / "README.md").read_text()
        hashes = re.compile(r"[0-9a-f]{64}")
        for name, data_set in sets.items():
            with self.subTest(name):
                self.assertRegex(name, r"^[a-zA-Z0-9-]+$")
                self.assertIn(f"`{name}`", readme)
                self.assertTrue(data_set["what"] and data_set["licence"])
                places = []
                for entry in data_set["files"]:
                    urls = fetch.download.__globals__["addresses"](entry)
                    self.assertTrue(all(re.match(r"https?://[^/]+/\S+$", url) for url in urls), urls)
                    parts = entry.get("unpack", [])
                    places += [part["to"] for part in parts] or [entry["name"]]
                    for e in [entry, *parts, entry.get("content", entry)]:
                        self.assertTrue(hashes.fullmatch(e.get("sha256", "0" * 64)))
                        self.assertGreater(e.get("size") or e["at_most"], 0)
                    # Something says what the right bytes are.
                    self.assertTrue("sha256" in entry or all("sha256" in part for part in parts))
                self.assertEqual(len(set(places)), len(places))
                self.assertFalse([place for place in places if place.startswith(("/", "."))])


if __name__ == "__main__":
    outcome = unittest.main(exit=False, verbosity=0).result
    for _, why in outcome.skipped:
        print(f"skipped: {why}")
    failed, skipped = len({str(t) for t, _ in outcome.failures + outcome.errors}), len(outcome.skipped)
    print(f"{outcome.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0)
