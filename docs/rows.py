"""A source as rows of its page: prose, questions, figures and measured claims on the left, code on the right."""

import posixpath
import re
from html import escape

import cpp
import prose
import results as measured


def row(left, right=""):
    side = f'<div class="side">{right}</div>' if right else ""
    return f'<div class="row"><div class="prose">{left}</div>{side}</div>\n'


def text(site, lines, file, page, shift=1):
    """Markdown lines [(number, text)] as HTML. shift: how many levels its headings stand below what they say."""
    place = prose.Place(file, [n for n, _ in lines], page, site, shift)
    return prose.render("\n".join(t for _, t in lines), place)


def weave(site, source, page, results=None, included=None):
    """All of a source, in order. With results its claims and figures show what a run found; without, they are code. What
    `included` gives for a header's name stands where an `#include` of it is all the code under its comment."""
    calls = []
    try:
        calls = source.calls() if results is not None else []
    except cpp.SourceError as error:
        site.error(source.name, error.line, str(error))
    html, shown = [], set()
    for block in source.blocks():
        left = []
        for kind, part in prose.split(block.prose):
            if kind == "heading" and prose.plain(part[0][1]).lstrip("# ").strip().lower() == page.title.lower():
                continue                                     # the page has said its title
            if kind == "heading":
                page.asked = []
                html += [row("".join(left))] if left else []
                html.append(row(text(site, part, source.name, page)))
                left = []
            elif kind == "question":
                if any(page.questions[asked] for asked in page.asked):
                    page.asked = []
                page.questions.append([])
                page.asked.append(len(page.questions) - 1)
                place = prose.Place(source.name, [n for n, _ in block.prose], page, site)
                left.append(prose.question_html(part, place, len(page.questions) - 1))
            else:
                left.append(text(site, part, source.name, page))
        if results is not None and _puts_together(source, block, calls):
            fold = f"<details><summary>{len(block.code)} lines that put it together</summary>{{}}</details>"
            html.append(row("".join(left), fold.format(code(site, source, block.code, page))))
            left, block.code = [], []
        page.remember(" ".join([t for _, t in block.prose] + [source.lines[n - 1].strip() for n in block.code]))
        runs = _runs(source, block, calls)
        if left and (not runs or (runs[0][0] and runs[0][0].what == "figure")):
            html.append(row("".join(left)))
            left = []
        for call, lines in runs:
            card = code(site, source, lines, page)
            if call and call not in shown:
                shown.add(call)
                show = {"figure": figure, "claim": claim, "table": table}[call.what]
                box, card = show(site, call, source, page, results, card, len(lines))
                left.append(box)
            html.append(row("".join(left), card))
            left = []
        alone = [name.strip('"') for line, name in source.includes if block.code == [line]]
        html += [included(name) for name in alone if included and block.prose]
    return "".join(html)


def _puts_together(source, block, calls):
    """Is the block all of story() or main(), with nothing to see in it? Then it only calls what the page has shown."""
    lines = [source.lines[number - 1] for number in block.code]
    return bool(lines and re.match(r"(static )?(void story|int main)\(", lines[0]) and lines[-1] == "}"
                and not any(call.first in block.code for call in calls))


def _runs(source, block, calls):
    """The block's lines cut where a figure or a claim begins and ends: [call or None, lines]. Closing braces stay with
    what they close, blank lines at the ends go."""
    runs = []
    for number in block.code:
        call = max((c for c in calls if c.first <= number <= c.last), key=lambda c: c.first, default=None)
        closing = call is None and re.fullmatch(r"[\s{}();]*", source.lines[number - 1])
        if runs and (runs[-1][0] is call or closing):
            runs[-1][1].append(number)
        else:
            runs.append([call, [number]])
    for _, lines in runs:
        for end in (0, -1):
            while lines and not source.lines[lines[end] - 1].strip():
                lines.pop(end)
    return [run for run in runs if run[1]]


# --- Code -------------------------------------------------------------------------------------------------------------


def code(site, source, lines, page):
    """A card of code: numbered, coloured, names linked to where they are declared."""
    rows = []
    for number in lines:
        parts = []
        for index, piece in source.by_line.get(number, []):
            token = source.tokens[index]
            html = prose.colour(token.kind, token.text, piece)
            target = _target(site, source, index, token)
            css = ' class="chapter"' if _chapter(token) else ""
            if css and not target:
                html = f'<span class="unwritten" title="not written yet">{html}</span>'
            parts.append(f'<a{css} href="{escape(_href(site, target, page))}">{html}</a>' if target else html)
        anchor = line_id(source, page, number)
        page.ids.add(anchor)
        page.anchors[(source.name, f"L{number}")] = anchor
        rows.append(f'<span class="l" id="{anchor}" data-n="{number}">{"".join(parts)}</span>')
    return '<div class="code"><pre><code>' + "\n".join(rows) + "</code></pre></div>\n"


def line_id(source, page, number):
    file = source.name.rsplit("/", 1)[-1]
    return f"L{number}" if page.nav == "Library" or file == "main.cpp" else f"{file}-L{number}"


def _chapter(token):
    """The folder of a chapter, there or not, if the token is a string that names one: "05_neural_network"."""
    name = re.fullmatch(r'"(\d\d_[a-z0-9_]+)"', token.text)
    return f"chapters/{name[1]}" if token.kind == "string" and name else None


def _target(site, source, index, token):
    """What a token leads to: (file, line), line 0 for the file itself; or None."""
    if (chapter := _chapter(token)) and f"{chapter}/README.md" in site.pages:
        return f"{chapter}/README.md", 0
    if token.kind == "string" and (token.line, token.text) in source.includes:
        name = token.text.strip('"')
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(source.name), name))
        return next(((path, 0) for path in (f"common/{name}", beside) if path in site.pages), None)
    found = site.names.find(source, index) if token.kind == "name" else None
    if not found or found[0].name not in site.pages or (found[0] is source and found[1].line == token.line):
        return None
    return found[0].name, found[1].line


def _href(site, target, page):
    name, line = target
    other = site.pages[name]
    if line:
        part = "#" + line_id(site.sources[name], other, line)
    elif name.endswith("/README.md"):
        part = "#top" if other is page else ""
    else:
        part = "" if other is not page else "#" + prose.slug(name.rsplit("/", 1)[-1])
    return part if other is page else page.root + other.path + part


# --- Figures, tables and claims -----------------------------------------------------------------------------------------------
# What a run found stays hidden from a question to the next question or heading, until an answer is chosen. Questions that
# follow each other at once hide the same.


def _hide(page, result):
    for question in page.asked:
        page.questions[question].append(result)


def figure(site, call, source, page, results, card, count):
    """The picture that a run drew; the lines that draw it are folded."""
    folder = posixpath.dirname(source.name)
    site.figures_called.setdefault(folder, set()).add(call.id)
    draw = "line that draws" if count == 1 else "lines that draw"
    fold = f"<details><summary>{count} {draw} the figure</summary>{card}</details>"
    entry = results.figures.get(call.id)
    file = posixpath.join(folder, (entry or {}).get("file") or f"figures/{call.id}.svg")
    if not entry or not (site.root / file).is_file():
        why = f"there is no {file}" if entry else "no run made it (it is in no results-*.json)"
        site.error(source.name, call.line, f'figure "{call.id}": {why}')
        return "", fold
    site.copies[file] = site.root / file
    _hide(page, f"figure-{call.id}")
    name, caption = escape(call.id), escape(entry.get("caption") or call.caption)
    return (f'<figure id="figure-{name}" data-result="figure-{name}"><div class="secret">'
            f'<div class="drawing"><img src="{page.root}{escape(file)}" alt="{caption}"></div>'
            f"<figcaption>Drawn by this program: {caption}</figcaption></div>"
            '<p class="instead blank">choose first: the figure is hidden</p></figure>'), fold


def table(site, call, source, page, results, card, count):
    """The table that the program prints, as one run printed it; of several with the same columns the next one."""
    found = results.next_table(call.id)
    if not found:
        site.error(source.name, call.line, f"table {', '.join(call.id)}: no run printed it (it is in no results-*.json)")
        return "", card
    place, rows, run = found
    name = f"table-{place}"
    _hide(page, name)
    number = [all(not isinstance(row[c], str) or row[c] in ("inf", "-inf", "nan") for row in rows) for c in range(len(call.id))]
    side = [' class="number"' if n else "" for n in number]
    head = "".join(f"<th{s}>{escape(column)}</th>" for s, column in zip(side, call.id))
    body = "".join("<tr>" + "".join(f"<td{s}>{escape(measured.cell_text(cell))}</td>" for s, cell in zip(side, row)) + "</tr>\n"
                   for row in rows)
    size = "" if run["size"] == "default" else f" at --{run['size']}"
    return (f'<figure id="{name}" data-result="{name}"><div class="secret"><div class="drawing">'
            f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>"
            f"<figcaption>Printed by this program{size}, seed {run.get('seed', 1)}</figcaption></div>"
            '<p class="instead blank">choose first: the table is hidden</p></figure>'), card


def claim(site, call, source, page, results, card, count):
    """The green box. A question before it hides its value, bound and code."""
    if call.id not in results.claims:
        site.error(source.name, call.line, f'claim "{call.id}": no run measured it (it is in no results-*.json)')
        return "", card
    found, run = results.claims[call.id]
    _hide(page, f"claim-{call.id}")
    name = escape(call.id)
    page.ids.add(f"claim-{call.id}")
    judged = found.get("judged", True)
    missed = judged and not found.get("passed", True)
    size = run["size"] if run["size"] == "default" else f"--{run['size']}"
    symptom = f"symptom of --break {found['symptom_of']}" if found.get("symptom_of") else found["kind"]
    where = [symptom, "" if size == "default" else size, run.get("data", ""), run.get("machine", ""),
             *results.elsewhere(run)]
    secret = [f"bound: {found['bound']}", measured.spread(found, run), "" if judged else "not judged at this size"]
    box = (f'<aside class="measured{" missed" if missed else ""}" id="claim-{name}" data-result="claim-{name}">'
           f'<p class="label">{"Missed" if missed else "Measured"}</p><div><p class="value">'
           f'<span class="secret">{escape(measured.number_text(found))}</span>'
           f'<span class="instead">choose first: the value is hidden</span></p><p>{escape(found["sentence"])}</p>'
           f'<p class="how">{escape(" · ".join(filter(None, where)))}'
           f'<span class="secret"> · {escape(" · ".join(filter(None, secret)))}</span></p></div></aside>\n')
    make = "line that makes the claim and names" if count == 1 else "lines that make the claim and name"
    fold = (f'<div data-result="claim-{name}"><div class="secret">{card}</div>'
            f'<p class="instead folded">{count} {make} its bound: choose first</p></div>')
    return box, fold
