"""A file from the first address that gives the right bytes: begun again where it broke off, given up where it stalls."""

import http.client
import json
import os
import re
import shutil
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from files import PIECE, Failure, reason, sound, timed_out


class Refused(Exception):
    """This address will not serve us, now or later."""


class Broken(Exception):
    """A passing fault: worth another try, `after` so many seconds if the server said so."""

    def __init__(self, message, after=0.0):
        super().__init__(message)
        self.after = after


def one_line(text):
    """A text in which a path may be as it likes: what no terminal shows is written as in a string literal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def say(text):
    """A line for the log, over the progress of a terminal."""
    print(("\r\033[K" if sys.stderr.isatty() else "") + one_line(text), file=sys.stderr, flush=True)


def amount(size):
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 99.5 else f"{seconds / 60:.0f} min"


class Progress:
    """On a terminal one line that is written over and over: how much, how fast, how long still."""

    def __init__(self, label, start, total):
        self.label, self.start, self.total = label, start, total
        self.began = self.shown = time.monotonic()

    def show(self, done):
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self.shown < 0.1:
            return
        self.shown = now
        rate = (done - self.start) / (now - self.began)
        text = f"{self.label}: {amount(done)}"
        if self.total:
            text += f" of {amount(self.total)} ({100 * done // self.total} %)"
        text += f", {amount(rate)}/s"
        if self.total and rate > 0:
            text += f", {duration((self.total - done) / rate)} left"
        width = shutil.get_terminal_size().columns - 1
        print("\r\033[K" + text[:width], end="", file=sys.stderr, flush=True)


def addresses(entry):
    """An entry's addresses in full. "github:OWNER/REPOSITORY@COMMIT/PATH" stands for two hosts that serve it."""
    result = []
    for url in entry["urls"]:
        if match := re.fullmatch(r"github:([^/]+/[^/@]+)@([^/]+)/(.+)", url):
            repository, commit, path = match.groups()
            result.append(f"https://raw.githubusercontent.com/{repository}/{commit}/{path}")
            result.append(f"https://cdn.jsdelivr.net/gh/{repository}@{commit}/{path}")
        else:
            result.append(url)
    if mirror := os.environ.get("CHAINRULE_MIRROR"):
        try:
            host = urllib.parse.urlsplit(mirror).netloc
        except ValueError:
            host = ""
        if not host or not mirror.startswith(("http://", "https://")):
            raise Failure(f"CHAINRULE_MIRROR is {mirror!r}, not an address that begins with http:// or https://")
        parts = [urllib.parse.urlsplit(url) for url in result]
        result = [mirror.rstrip("/") + p.path + ("?" + p.query if p.query else "") for p in parts]
    return list(dict.fromkeys(result))


def request(url, have, validator, timeout):
    """Asks for a file from byte `have` on; the answer's body may begin there or, if the server so decides, at 0."""
    headers = {"User-Agent": "chainrule-data/1", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (408, 425, 429) or error.code >= 500:
            after = error.headers.get("Retry-After", "")
            raise Broken(f"answers {error.code}", float(after) if re.fullmatch(r"\d{1,4}", after) else 0)
        if error.code == 416 and have:
            return None
        raise Refused("redirects without end, or to no web address" if 300 <= error.code < 400 else f"answers {error.code}")
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise Refused("its certificate cannot be verified (is the package ca-certificates installed?)")
        raise Broken(reason(error.reason))
    except (OSError, http.client.HTTPException) as error:
        raise Broken(reason(error))
    except ValueError as error:
        raise Refused(f"no address: {error}")


def transfer(url, part, entry, label, timeout):
    """One try at one address: appends to the file `part` what it lacks, or begins it anew."""
    notes = part.with_name(part.name + ".state")
    have = part.stat().st_size if part.exists() else 0
    try:
        known = json.loads(notes.read_text()) if have else {}
    except (OSError, ValueError):
        known = {}
    most = entry.get("size") or entry["at_most"]
    response = request(url, have, known.get("validator") if known.get("url") == url else None, timeout)
    if response is None:  # it has no byte number `have`
        if have != entry.get("size"):
            part.unlink()
            raise Broken("ends before the part we have")
        return
    with response:
        if response.status == 206:
            match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if not match or int(match[1]) != have:
                part.unlink()
                raise Broken("sends another part than was asked for")
        elif response.status == 200:
            have = 0
        else:
            raise Refused(f"answers {response.status}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused("sends it compressed, which was not asked for")
        total = have + response.length if response.length is not None else None
        if total is not None and (total > most or total != entry.get("size", total)):
            raise Refused(f"offers {total} bytes, not {most}")
        # The validator tells next time whether this is still the same file. A weak one does not.
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        notes.write_text(json.dumps({"url": url, "validator": "" if validator.startswith("W/") else validator}))
        with open(part, "r+b" if have else "wb") as file:
            file.seek(have)
            done = receive(response, file, have, most, Progress(label, have, total), timeout)
    expected = entry.get("size", total)
    if expected is not None and done < expected:
        raise Broken(f"breaks off after {done} of {expected} bytes")


def receive(response, file, done, most, progress, timeout):
    """Writes the body to the file. Less than a kilobyte within `timeout` is a stall."""
    last, last_done = time.monotonic(), done
    while True:
        try:
            piece = response.read1(PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise Broken("stalls" if timed_out(error) else reason(error))
        if not piece:
            return done
        done += len(piece)
        if done > most:
            raise Refused(f"sends more than {most} bytes")
        file.write(piece)
        progress.show(done)
        if time.monotonic() - last > timeout:
            if done - last_done < 1000:
                raise Broken("stalls")
            last, last_done = time.monotonic(), done


def download(entry, part, label, options):
    """Leaves the verified file in `part`. All addresses are tried in turn; then, after a pause, again."""
    urls = addresses(entry)
    problems, spoilt, rounds, longest = {}, set(), 0, 0
    while urls and rounds < options.tries:
        pause, before = options.retry_wait * 2**rounds, longest
        for url in list(urls):
            began_at = part.stat().st_size if part.exists() else 0
            try:
                if began_at == 0 or began_at != entry.get("size"):
                    transfer(url, part, entry, label, options.timeout)
                if sound(part, entry):
                    return
                # After a resumption the two pieces may be of different files: begin anew, but once.
                part.unlink()
                problems[url] = "sends other bytes than the manifest says"
                if began_at == 0 or url in spoilt:
                    urls.remove(url)
                spoilt.add(url)
            except Refused as problem:
                problems[url] = str(problem)
                urls.remove(url)
            except Broken as problem:
                problems[url] = str(problem)
                pause = max(pause, min(problem.after, options.retry_wait * 60))
            longest = max(longest, part.stat().st_size if part.exists() else 0)
        # As long as more of it comes each time we do not give up.
        rounds = 0 if longest > before else rounds + 1
        if urls and rounds < options.tries:
            time.sleep(pause)
    why = "; ".join(f"{re.sub('^[a-z]+://|(?<=[^/])/[^/].*$', '', url)} {problem}" for url, problem in problems.items())
    raise Failure(f"{label} cannot be fetched: {why}")
