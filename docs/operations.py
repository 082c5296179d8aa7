"""The page of all operations: names, what each computes with its derivative, and how it was checked.

Nothing on it is written for it. Names and parameters come from the tests' tables, the formulas are the comments above the
definitions in common/ops, and the checks are counted in the golden cases."""

import json
import re
from html import escape

import pages
import prose
import rows

LITERALS = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
ENTRY = re.compile(r'\{\s*"([\w.]+)",\s*((?:%s|\b[A-Zk]\w+\s*)+),\s*(?=[^"\s])' % LITERALS)
CONSTANT = re.compile(r"(?:#define (\w+)|const char\* (\w+) =)\s*(%s)" % LITERALS)
UNUSED = {"layout", "device", "requires_grad", "pin_memory", "memory_format", "non_blocking", "size_average", "reduce", "out"}
SPELLED = {"getitem": "index", "__getitem__": "index", "setitem": "index_put_", "fill": "full_like", "trapz": "trapezoid", "lu": "linalg.lu_factor",
           "bool": "to", "float": "to", "double": "to", "long": "to"}  # what it calls goes by another name
FAMILIES = {"elementwise": "Element by element", "activation": "Activations", "reduce": "Reductions, scans, order",
            "view": "Shapes and views", "index": "Picking, placing, joining", "create": "Making tensors",
            "product": "Products and distances", "linalg": "Linear algebra", "norm": "Normalisation", "loss": "Losses",
            "conv": "Convolution"}


def weave(site, page):
    cases, tables = _cases(site), {}
    for path in sorted((site.root / "tests/ops").glob("table_*.cpp")):
        tables[path.stem.removeprefix("table_")] = _entries(site.text(site.name(path)))
    total, checks = sum(map(len, tables.values())), sum(c["cases"] for c in cases.values())
    page.body.append(pages.title(
        "Operations", f"{total} names and their parameters as PyTorch spells them, and what each computes; links lead to the C++. Checked: {checks:,} cases against PyTorch, "
                      "and derivatives of first and second order against finite differences."))
    links = " · ".join(f'<a href="#{name}">{escape(FAMILIES.get(name, name))}</a>' for name in _order(tables))
    page.body.append(f'<p class="chips"><span>{links}</span></p>\n')
    for family in _order(tables):
        _family(site, page, family, tables[family], cases)


def _order(tables):
    return sorted((f for f in tables if tables[f]), key=lambda f: (list(FAMILIES).index(f) if f in FAMILIES else 99, f))


def _entries(text):
    """[(name, parameters, the C++ of the call)]"""
    constants = {found[1] or found[2]: found[3] for found in CONSTANT.finditer(text)}
    found = list(ENTRY.finditer(text))
    ends = [entry.start() for entry in found[1:]] + [len(text)]
    result = []
    for entry, end in zip(found, ends):
        words = re.sub(r"(?<!\\)\b[A-Zk]\w+\b", lambda name: constants.get(name[0], name[0]), entry[2])
        words = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', words)).replace('\\"', '"')
        result.append((entry[1], words, text[entry.end():end]))
    return result


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
    sources = [s for n, s in site.sources.items() if n.startswith(("common/ops/", "common/tensor/tensor."))]
    definitions = {name: _definition(name, sources) for name, _, _ in entries}
    others = _other_names(entries, definitions)
    groups = {}                                           # what one comment describes stands in one row
    for name, words, _ in sorted(entries, key=lambda e: e[0].lower()):
        if not any(name in names for names in others.values()):
            text, where, at = _words(name, definitions[name], sources) if definitions[name] else ("", None, name)
            groups.setdefault((where and where.name, at), (text, []))[1].append((name, words))
    items = []
    for (where, at), (text, names) in groups.items():
        text = site.quote(text, where, at, page) if text else ""
        page.remember(f"{' '.join(name for name, _ in names)} {prose.plain(text)}")
        rest = sorted(other for name, _ in names for other in others.get(name, []))
        if rest:
            also = ", ".join(f"<code>{escape(other)}</code>" for other in rest)
            text += f'{"<br>" if text else ""}<small>also {also}</small>'
        label = "<br>".join(_label(site, page, name, words, definitions[name]) for name, words in names)
        counts = [cases[n] for n in [name for name, _ in names] + rest if n in cases]
        order = ["", " · 1st", " · 1st, 2nd"][min(max((c["order"] for c in counts), default=0), 2)]
        checked = f'{sum(c["cases"] for c in counts)}{order}' if counts else ""
        items.append(f"<tr><td>{label}</td><td>{text}</td><td>{checked}</td></tr>\n")
    anchor = page.anchor("tests/ops", family)
    page.body.append(
        f'<section class="wide prose"><h2 id="{anchor}">{escape(FAMILIES.get(family, family))}</h2>'
        '<table class="operations"><tr><th>operation</th><th>value and derivative</th>'
        f'<th title="cases compared with PyTorch · orders of derivative compared with finite differences">checked</th></tr>'
        f'{"".join(items)}</table></section>\n')


def _label(site, page, name, words, definition):
    label = f"<code>{escape(name)}</code>"
    if definition:
        source, line = definition
        target = site.pages[source.name]
        label = f'<a href="{page.root}{target.path}#{rows.line_id(source, target, line)}">{label}</a>'
    python = {"null": "None", "true": "True", "false": "False"}
    parameters = ", ".join(re.sub(r"\b(null|true|false)\b", lambda word: python[word[1]], w) for w in words.split()
                           if w.split("=")[0] not in UNUSED)
    return f"{label}<br><small>{escape(parameters)}</small>"


def _other_names(entries, definitions):
    """{operation: [names that call it: its in-place form, PyTorch's other spellings]}"""
    others, names = {}, [name for name, _, _ in entries]
    for name, _, call in entries:
        base = name[:-1] if name.endswith("_") and not name.startswith("__") else None
        if base not in names:
            called = [word for word in re.findall(r"\w+", call) if definitions.get(word)]
            alike = [other for other, _, same in entries if same == call and definitions[other]]
            base = (called + alike + [None])[0] if not definitions[name] else None
        if base:
            others.setdefault(base, []).append(name)
    return others


def _symbols(name, sources):
    name = SPELLED.get(name, name)
    last, in_linalg = name.rsplit(".", 1)[-1], name.startswith("linalg.")
    found = [(source, s) for source in sources for s in source.symbols if s.name == last and s.kind in ("function", "member")]
    return [(source, s) for source, s in found if ("linalg" in s.scope) == in_linalg] or found


def _definition(name, sources):
    """Where it is defined: (Source, line). A free function before a member, a definition before a declaration."""
    found = _symbols(name, sources)
    if not any(source.header for source, _ in found):
        return None                                       # a helper of that name, at most
    source, symbol = min(found, key=lambda f: (len(f[1].scope), not f[1].body, f[0].name, f[1].line))
    return source, symbol.line


def _words(name, definition, sources):
    """(text, source, line): the formula above the definition; else what stands beside or above the declaration."""
    source, line = definition
    text = _above(source, line)
    if text and re.search(r"\bd\w+/d\w|\bd\w+ = |^[^ ,.]+(\([^)]*\))? = ", text[0]):
        return text[0], source, text[1]
    declared = [(header, symbol.line) for header, symbol in _symbols(name, sources) if header.header]
    for headings in (False, True):
        for header, at in declared:
            if found := _described(header, at, headings):
                return found
    return (text[0], source, text[1]) if text else ("", source, line)


def _described(header, at, headings):
    """The comment beside or above a declaration; one may serve several declarations, with options between them."""
    last = at
    while not header.lines[last - 1].split("//")[0].rstrip().endswith((";", "}")):
        last += 1
    if beside := re.search(r"[;}]\s*//\s*(.+)$", header.lines[last - 1]):
        return beside[1], header, last
    while header.lines[at - 2].strip() and not header.lines[at - 2].lstrip().startswith("//"):
        at -= 1
    found = _above(header, at, headings)
    return (found[0], header, found[1]) if found else None


def _above(source, line, headings=False):
    """The paragraph of comment that ends right above this line, and where it begins."""
    lines, k = [], line - 2
    while k >= 0 and (found := re.match(r"\s*//(?: (.*))?$", source.lines[k])) and found[1]:
        if found[1].startswith("#"):
            if headings and not lines:
                return found[1].lstrip("# "), k + 1
            break
        lines.insert(0, found[1])
        k -= 1
    return ("\n".join(lines), k + 2) if lines else None
