"""What a chapter's runs measured: its results-*.json, written by `./run report`."""

import hashlib
import json
import re

import cpp

# These first, then any other size or planted bug. A second file of a size, results-default-amx.json say, comes from another
# machine: of it counts what the first machine cannot measure.
FILES = {"results-default.json": 0, "results-full.json": 1}


class Results:
    """self.claims: id -> (claim, run), the judged one where there are several; self.figures: id -> figure; self.tables: columns ->
    the tables with them, in the order of the first run that printed any."""

    def __init__(self, folder, site):
        self.source_hash = source_hash(folder)
        self.runs, self.claims, self.figures, self.tables, self.taken = {}, {}, {}, {}, 0
        for path in sorted(folder.glob("results-*.json"), key=lambda p: (FILES.get(p.name, 2), p.name)):
            name = site.name(path)
            try:
                self._add(json.loads(cpp.read_text(path)))
            except json.JSONDecodeError as error:
                site.error(name, error.lineno, f"not JSON: {error.msg}")
            except cpp.SourceError as error:
                site.error(name, error.line, str(error))
            except (KeyError, TypeError, AttributeError) as error:
                site.error(name, 1, f"not a results file ({error}): write it with ./run report")

    def _add(self, run):
        run["source_hash"]
        for claim in run["claims"]:
            claim["value"], claim["bound"], claim["kind"], claim["sentence"]
            known = self.claims.get(claim["id"])
            if not known or (claim.get("judged", True) and not known[0].get("judged", True)):
                self.claims[claim["id"]] = (claim, run)
        for figure in run.get("figures", []):
            self.figures.setdefault(figure["id"], figure)
        tables = {}
        for table in run.get("tables", []):
            tables.setdefault(tuple(table["columns"]), []).append((table["rows"], run))
        for columns, found in tables.items():
            self.tables.setdefault(columns, found)
        self.runs.setdefault(run["size"], run)

    def elsewhere(self, run):
        """Of a claim that another machine measured than the others: which, and whether the code has changed since."""
        if self.runs[run["size"]] is run:
            return []
        return [run.get("cpu", "another machine"), "" if run["source_hash"] == self.source_hash else "before the code last changed"]

    def next_table(self, columns):
        """(its number on the page, rows, run) of the next table with these columns; None if no run printed one."""
        if not self.tables.get(columns):
            return None
        self.taken += 1
        return self.taken, *self.tables[columns].pop(0)

    def files(self, folder):
        return {f"{folder}/{figure.get('file')}" for figure in self.figures.values()}


def number_text(claim):
    """A value as its program printed it, else to the digits a reader can use."""
    value = claim["value"]
    if claim.get("measured") or claim.get("text"):           # "98.1 % [97.9, 98.3]" where there are several seeds
        return (claim.get("measured") or claim["text"]).split(" [")[0]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "no number" if value is None else str(value)
    if float(value).is_integer() and abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) < 1e3 else f"{value:.6g}"


def cell_text(cell):
    """A cell of a table, as the program prints it."""
    return "yes" if cell is True else "no" if cell is False else number_text({"value": cell})


def duration(seconds):
    return f"{seconds:.1f} s" if seconds < 1 else f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def spread(claim, run):
    """Over which seeds it was measured, and how far apart they lay."""
    if (low_high := re.search(r" \[(.+), (.+)\]", claim.get("measured", ""))) and run.get("seeds"):
        return f"median of {len(run['seeds'])} seeds, {low_high[1]} to {low_high[2]}"
    values = [v for v in claim.get("values") or [] if isinstance(v, (int, float))]
    if len(set(values)) > 1:
        low, high = (number_text({"value": v}) for v in (min(values), max(values)))
        return f"{low} to {high} over {len(values)} seeds"
    return f"{len(values)} seeds" if len(values) > 1 else f"seed {run['seed']}" if "seed" in run else ""


def chip(run):
    """What stands beside `./run NN` or `./run NN --full`: how long it takes, what it needs, what it reaches."""
    if not run:
        return "not measured yet"
    time = duration(run["seconds"]) if "seconds" in run else ""
    if run["size"] == "default":
        parts = [time, run.get("data") or "no data", "no GPU" if run.get("device", "cpu") == "cpu" else run["device"]]
    else:
        judged = [c for c in run["claims"] if c.get("judged", True)]
        best = [c for c in judged if c["id"] == run.get("headline")] or [c for c in judged if c.get("at") == run["size"]]
        parts = [run.get("data", ""), time, number_text(best[0]) if best and best[0].get("unit") else ""]    # bare, a number says nothing
    return ", ".join(filter(None, parts))


def source_hash(folder):
    """sha256 over the chapter's code without blank and comment lines: mending prose makes no number older."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in cpp.CODE and p.name != "test.cpp"):
        digest.update(f"== {path.name}\n".encode())
        for line in path.read_bytes().split(b"\n"):
            if line.strip() and not line.strip().startswith(b"//"):
                digest.update(line + b"\n")
    return digest.hexdigest()
