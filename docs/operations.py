"""The page of all operations: names, what each computes with its derivative, and how it was checked.

Nothing on it is written for it. Names and parameters come from the tests' tables, the formulas are the comments above the
definitions in common/ops, and the checks are counted in the golden cases."""

import json
import re
from html import escape

import pages
import prose
import rows

ENTRY = re.compile(r'\{\s*"([\w.]+)",\s*"((?:[^"\\]|\\.)*)"')
FAMILIES = {"elementwise": "Element by element", "activation": "Activations", "reduce": "Reductions, scans, order",
            "view": "Shapes and views", "index": "Picking, placing, joining", "create": "Making tensors",
            "product": "Products and distances", "linalg": "Linear algebra", "norm": "Normalisation", "loss": "Losses"}


def weave(site, page):
    cases, tables = _cases(site), {}
    for path in sorted((site.root / "tests/ops").glob("table_*.cpp")):
        tables[path.stem.removeprefix("table_")] = ENTRY.findall(site.text(site.name(path)))
    total, checks = sum(map(len, tables.values())), sum(c["cases"] for c in cases.values())
    page.body.append(pages.title(
        "Operations", f"{total} names, all PyTorch's: what each computes and its derivative. Checked: {checks:,} cases against PyTorch, "
                      "and derivatives of first and second order against finite differences."))
    links = " · ".join(f'<a href="#{name}">{escape(FAMILIES.get(name, name))}</a>' for name in _order(tables))
    page.body.append(f'<p class="chips"><span>{links}</span></p>\n')
    for family in _order(tables):
        _family(site, page, family, tables[family], cases)


def _order(tables):
    return sorted((f for f in tables if tables[f]), key=lambda f: (list(FAMILIES).index(f) if f in FAMILIES else 99, f))


def _cases(site):
    """{operation: number of comparisons with PyTorch, orders of derivative compared with finite differences}"""
    counts = {}
    for path in sorted((site.root / "tests/golden/ops").glob("*.jsonl")):
        for line in site.text(site.name(path)).splitlines():
            case = json.loads(line)
            count = counts.setdefault(case["op"], {"cases": 0, "order": 0})
            count["cases"] += "large" not in case
            if case["grad"] and "large" not in case:
                count["order"] = max(count["order"], case.get("order", 2))
    return counts


def _family(site, page, family, entries, cases):
    items = []
    sources = [s for n, s in site.sources.items() if n.startswith(("common/ops/", "common/tensor/", "common/autograd/"))]
    for name, words in sorted(entries, key=lambda e: e[0].lower()):
        found = _definition(name, sources)
        words = words.replace('\\"', '"')
        parameters = ", ".join(re.sub(r"\bnull\b", "None", w) for w in words.split())
        label = f"<code>{escape(name)}</code>"
        text = ""
        if found:
            source, line = found
            target = site.pages[source.name]
            label = f'<a href="{page.root}{target.path}#{rows.line_id(source, target, line)}">{label}</a>'
            text, where, at = _words(name, found, sources)
            text = site.quote(text, where.name, at, page) if text else ""
        count = cases.get(name)
        order = ["", " · 1st", " · 1st, 2nd"][min(count["order"], 2)] if count else ""
        checked = f'{count["cases"]}{order}' if count else ""
        items.append(f'<tr><td>{label}<br><small>{escape(parameters)}</small></td><td>{text}</td><td>{checked}</td></tr>\n')
        page.remember(f"{name} {prose.plain(text)}")
    anchor = page.anchor("tests/ops", family)
    page.body.append(
        f'<section class="wide prose"><h2 id="{anchor}">{escape(FAMILIES.get(family, family))}</h2>'
        '<table class="operations"><tr><th>operation</th><th>value and derivative</th>'
        f'<th title="cases compared with PyTorch · orders of derivative compared with finite differences">checked</th></tr>'
        f'{"".join(items)}</table></section>\n')


def _definition(name, sources):
    """Where it is defined: (Source, line). A free function before a member, a definition before a declaration."""
    last, in_linalg = name.rsplit(".", 1)[-1], name.startswith("linalg.")
    found = [(len(s.scope), not s.body, source.name, s.line, source) for source in sources for s in source.symbols
             if s.name == last and s.kind in ("function", "member") and ("linalg" in s.scope) == in_linalg]
    return (min(found, key=lambda f: f[:4])[4], min(found, key=lambda f: f[:4])[3]) if found else None


def _words(name, definition, sources):
    """(text, source, line): the comment above the definition; else what stands beside or above the declaration."""
    source, line = definition
    if text := _above(source, line):
        return text[0], source, text[1]
    last = name.rsplit(".", 1)[-1]
    declared = [(header, symbol.line) for header in sources if header.header for symbol in header.symbols
                if symbol.name == last and symbol.kind in ("function", "member")]
    for header, at in declared:
        if beside := re.search(r";\s*//\s*(.+)$", header.lines[at - 1]):
            return beside[1], header, at
        while header.lines[at - 2].rstrip().endswith(";") and not header.lines[at - 2].lstrip().startswith("//"):
            at -= 1                                                 # one comment for several declarations
        if text := _above(header, at, headings=True):
            return text[0], header, text[1]
    return "", source, line


def _above(source, line, headings=False):
    """The paragraph of comment that ends right above this line, and where it begins."""
    lines, k = [], line - 2
    while k >= 0 and (found := re.match(r"\s*//(?: (.*))?$", source.lines[k])) and found[1]:
        if found[1].startswith("#"):
            if headings and not lines:
                lines.insert(0, found[1].lstrip("# "))
            break
        lines.insert(0, found[1])
        k -= 1
    return ("\n".join(lines), k + 2) if lines else None
