"""The pages: chapters, library files, documents, and the lists gathered from them."""

import re
from html import escape

import cpp
import prose
import results as measured
import rows

LAYERS = "tensor backend io autograd ops func nn optim data text parallel book".split()
CONTENTS = "\x02C\x03"
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"“A-Z$`*(])")


def title(heading, ask="", number="", more="", css=""):
    number = f'<span class="number">{number}</span>' if number else ""
    ask = f'<p class="ask">{ask}</p>' if ask else ""
    return f'<header class="title">{number}<div><h1{css}>{escape(heading)}</h1>{ask}{more}</div></header>\n'


def heading_of(text, otherwise):
    found = re.search(r"^# +(.+)$", text, re.MULTILINE)
    return prose.plain(found[1]).strip() if found else otherwise


def sections(site, file):
    """A Markdown file as [(heading, lines)], cut at ##; HTML comments are blanked. The first part has no heading."""
    text = re.sub(r"<!--.*?-->", lambda m: "\n" * m[0].count("\n"), site.text(file), flags=re.DOTALL)
    parts, fence = [("", [])], False
    for number, line in enumerate(text.split("\n"), 1):
        fence ^= bool(re.match(r"\s*(```|~~~)", line))
        if not fence and line.startswith("## "):
            parts.append((line[3:].strip(), []))
        parts[-1][1].append((number, line))
    return parts


# --- Chapters ---------------------------------------------------------------------------------------------------------


def chapter(site, folder, number, page, sources):
    """README's question and what comes before, every source, the test, what comes after, exercises, references."""
    name, out = site.name(folder), page.body
    readme, results = f"{name}/README.md", site.results[name]
    parts = sections(site, readme)
    question, rest = _question(parts[0][1])
    if not question:
        site.error(readme, 1, "no question: the first paragraph under the title asks what the chapter answers")
    place = prose.Place(readme, [n for n, _ in question], page, site)
    page.asks = prose.plain(" ".join(t for _, t in question))
    runs = [("", results.runs.get("default"))]
    if f"./run {number} --full" in site.text(readme):              # a chapter without real data has no such run
        runs.append((" --full", results.runs.get("full")))
    chips = "".join(f'<span><code class="chip">./run {number}{option}</code> {escape(measured.chip(run))}</span>'
                    for option, run in runs)
    page.ids.add("run-it")
    out.append(title(page.title, prose.render("\n".join(t for _, t in question), place, True), str(int(number)),
                     f'<p class="chips" id="run-it">{chips}</p>'))
    _warn_of_old_numbers(site, folder, number, page, results)

    before, after, references = [], [], []
    for heading, lines in [("", rest)] + parts[1:]:
        low = heading.lower()
        if "run it" in low or low.startswith("exercises") or not any(t.strip() for _, t in lines):
            continue
        kind = references if "references" in low else after if "you should see" in low or "papers" in low else before
        kind.append(lines)
    beside = next((k for k, lines in enumerate(before) if lines[0][1].startswith("#")), 0)
    for k, lines in enumerate(before or [[]]):
        out.append(rows.row(rows.text(site, lines, readme, page, 0), CONTENTS if k == beside else ""))
        page.remember(" ".join(t for _, t in lines))
    waiting, read_here = {s.name.rsplit("/", 1)[-1]: s for s in sources}, set()

    def woven(short):
        """A source under its name; a header that main.cpp includes in the middle of the story, the chapter's or the
        library's, stands there."""
        source = waiting.pop(short, None) or site.sources[f"common/{short}"]
        label = f'<p class="file" id="{_file_anchor(page, source)}">{short}</p>'

        def included(name):
            if name not in waiting:
                if f"common/{name}" not in site.sources or name in read_here:
                    return ""
                read_here.add(name)
            return woven(name) + f'<p class="file">{short}, continued</p>'

        return label + rows.weave(site, source, page, results, included)

    for short in list(waiting):
        if short in waiting:
            out.append(woven(short))
    if test := site.sources.get(f"{name}/test.cpp"):
        out.append(_fold(site, page, test, "test.cpp: what the test asserts"))
    wide(site, after, readme, page)
    exercises(site, folder, name, page)
    wide(site, references, readme, page)
    for lines in references:
        _gather_papers(site, lines, readme, page)
    page.body[:] = [part.replace(CONTENTS, _contents(page)) for part in out]
    drawn = site.figures_called.get(name, set())
    for path in sorted((folder / "figures").glob("*")):
        id = next((i for i, f in results.figures.items() if f.get("file") == f"figures/{path.name}"), path.stem)
        if path.suffix in (".svg", ".png") and id not in drawn:
            site.error(site.name(path), 1, "no figure call in the chapter's sources draws this image")


def _question(lines):
    """The first paragraph under the title, without the marks that set it in italics, and the lines after it."""
    lines = [(n, t) for n, t in lines if not t.startswith("# ")]
    while lines and not lines[0][1].strip():
        lines.pop(0)
    cut = next((k for k, (_, t) in enumerate(lines) if not t.strip()), len(lines))
    question = [(n, t.lstrip("> ")) for n, t in lines[:cut]]
    whole = re.fullmatch(r"([*_]{1,2})([^*]+)\1", "\n".join(t for _, t in question).strip())
    if whole:
        question = list(zip((n for n, _ in question), whole[2].split("\n")))
    return question, lines[cut:]


def _warn_of_old_numbers(site, folder, number, page, results):
    for size, run in results.runs.items():
        if run["source_hash"] != results.source_hash:
            option = "" if size == "default" else f" --{size}"
            page.body.append(f'<p class="stale" role="note">The numbers of <code>./run {number}{escape(option)}</code> are '
                             "older than the code: an earlier version of these sources measured them.</p>")
            site.warnings.append(f"{site.name(folder)}/results-{size.replace(' ', '-')}.json:1: these numbers are older "
                                 f"than the code: ./run report {number}{option}")


def _contents(page):
    def entry(heading, place):
        return prose.md.renderer.render([heading], prose.md.options, {"place": place})
    items = "".join(f'<li class="level{level}"><a href="#{anchor}">{entry(heading, place)}</a></li>'
                    for level, heading, place, anchor in page.contents
                    if level == 2 or (level == 3 and place and place.file.endswith("/main.cpp")))
    return f'<nav class="contents" aria-label="On this page"><p class="label">On this page</p><ol>{items}</ol></nav>'


def _file_anchor(page, source):
    return page.anchor(source.name, prose.slug(source.name.rsplit("/", 1)[-1]))


def _fold(site, page, source, summary):
    return (f'<details class="fold" id="{_file_anchor(page, source)}"><summary>{escape(summary)}</summary>'
            f"{rows.weave(site, source, page)}</details>")


def wide(site, parts, file, page):
    for lines in parts:
        page.body.append(f'<div class="wide prose">{rows.text(site, lines, file, page, 0)}</div>\n')
        page.remember(" ".join(t for _, t in lines))


def exercises(site, folder, name, page):
    """exercises.md, each exercise with its solution folded under it."""
    file = f"{name}/exercises.md"
    if not (site.root / file).is_file():
        site.error(f"{name}/README.md", 1, "no exercises.md beside it")
        return
    heading = page.anchor(file, "exercises")
    page.anchors[(f"{name}/README.md", "exercises")] = heading
    page.contents.append((2, prose.md.parseInline("Exercises", {})[0], None, heading))
    page.body.append(f'<h2 id="{heading}">Exercises</h2>\n')
    lines = [line for _, part in sections(site, file) for line in part if not line[1].startswith("# ")]
    start = r"#+ " if any(t.startswith("##") for _, t in lines) else r"\d+\. "      # exercises are headings, or a list
    parts = [[]]
    for number, words in lines:
        if re.match(start, words):
            parts.append([])
        parts[-1].append((number, words))
    unused = {p.name for p in (folder / "solutions").glob("*.cpp")}
    for k, part in enumerate(parts):
        words = "\n".join(t for _, t in part)
        named = list(dict.fromkeys(re.findall(r"solutions/([\w.-]+\.cpp)", words))) if k else []
        if (count := re.match(r"(?:#+ )?(?:Exercise )?(\d+)", words)) and not named:
            named = [n for n in sorted(unused) if re.findall(r"\d+", n)[:1] in ([count[1]], [count[1].zfill(2)])]
        if k and not named:
            site.error(file, part[0][0], "an exercise without a solution: link to solutions/NAME.cpp")
        html = rows.text(site, part, file, page, words.startswith("## "))
        for solution in named:
            unused.discard(solution)
            if source := site.sources.get(f"{name}/solutions/{solution}"):
                html += _fold(site, page, source, f"Solution: {solution}")
            elif not (folder / "solutions" / solution).is_file():
                site.error(file, part[0][0], f"there is no solutions/{solution}")
        page.body.append(f'<section class="exercise prose">{html}</section>\n' if html else "")
        page.remember(words)
    for solution in sorted(unused):
        site.error(f"{name}/solutions/{solution}", 1, "no exercise leads to this solution")


def _gather_papers(site, lines, file, page):
    items = []
    for number, text in lines:
        if bullet := re.match(r"(?:[-*]|\d+\.) +(.*)", text):
            items.append([(number, bullet[1])])
        elif items and text.startswith(" "):
            items[-1].append((number, text.strip()))
    for item in items:
        key = re.sub(r"\W+", " ", prose.plain(" ".join(t for _, t in item))).lower()
        site.papers.setdefault(key, (item, file, []))[2].append(page)


# --- Everything else --------------------------------------------------------------------------------------------------


def library_file(site, source, page):
    file = source.name.removeprefix("common/")
    stem = source.name.rsplit(".", 1)[0]
    twin = next((stem + end for end in cpp.CODE if stem + end != source.name and stem + end in site.pages), None)
    more = f'<a href="{page.root}library.html#{file.split("/")[0]}">Library</a>'
    if twin:
        what = "definitions" if twin.endswith((".cpp", ".cu")) else "declarations"
        more += f' · its {what}: <a href="{page.root}{site.pages[twin].path}">{twin.rsplit("/", 1)[-1]}</a>'
    page.body.append(title(file, more=f'<p class="chips"><span>{more}</span></p>', css=' class="path"'))
    page.body.append(rows.weave(site, source, page))


def library_index(site, page):
    page.body.append(title("Library", "What the chapters stand on. A folder uses only those above it."))
    folders = {}
    for name in sorted(n for n in site.sources if n.startswith("common/")):
        folders.setdefault(name.split("/")[1] if name.count("/") > 1 else "", []).append(name)
    for folder in sorted(folders, key=lambda f: (LAYERS.index(f) if f in LAYERS else len(LAYERS), f)):
        items = []
        for name in sorted(folders[folder], key=lambda n: (n.rsplit(".", 1)[0], not n.endswith("hpp"))):
            heading, sentence, line = _opening(site.sources[name])
            html = f"<b>{site.quote(heading, name, line, page)}</b> " if heading else ""
            html += site.quote(sentence, name, line, page) if sentence else ""
            label = escape(name.removeprefix(f"common/{folder}").lstrip("/"))
            items.append(f'<tr><td><a href="{site.pages[name].path}"><code>{label}</code></a></td><td>{html}</td></tr>')
        anchor = page.anchor("common", prose.slug(folder or "all of it"))
        page.body.append(f'<section class="wide prose"><h2 id="{anchor}">{escape(folder or "All of it")}</h2>'
                         f'<table class="files">{"".join(items)}</table></section>\n')


def _opening(source):
    """Heading and first sentence of a file's opening comment: the one before any code but directives and namespaces."""
    heading = ""
    for block in source.blocks():
        for kind, part in prose.split(block.prose):
            if kind == "heading" and heading:
                return heading, "", part[0][0]
            if kind == "heading":
                heading = part[0][1].lstrip("# ") + "."
            elif kind == "text":
                words = "\n".join(t for _, t in part).strip().split("\n\n")[0]
                first = SENTENCE_END.split(words)[0]
                return heading, "" if first.startswith(("```", "    ", "|")) else first.rstrip(":"), part[0][0]
        if any(not re.match(r"\s*(#|namespace\b|$)", source.lines[n - 1]) for n in block.code):
            break
    return heading, "", 1


def document(site, file, page):
    page.body.append(title(page.title))
    for _, lines in sections(site, file):
        kept = [(n, t) for n, t in lines if not (t.startswith("# ") and prose.plain(t[2:]).strip() == page.title)]
        wide(site, [kept], file, page)


def home(site, page, chapters, documents):
    if (site.root / "docs/index.md").is_file():
        document(site, "docs/index.md", page)
    else:
        page.body.append(title(page.title))
    items = "".join(f'<li><a href="{p.path}"><span class="number">{int(n)}</span><span>{escape(p.title)}'
                    f'<small>{escape(p.asks)}</small></span></a></li>' for n, p in chapters)
    page.body.append(f'<ol class="chapters wide">{items}</ol>\n')
    links = " · ".join(f'<a href="{p.path}">{escape(p.title)}</a>' for p in documents)
    page.body.append(f'<p class="chips also"><span>{links}</span></p>\n' if links else "")


def glossary(site, page):
    page.body.append(title("Glossary", "Every term where the book first says what it means."))
    items = []
    for key, (words, sentence, place, line, anchor) in sorted(site.terms.items()):
        origin = f'<a class="from" href="{place.page.path}#{anchor}">{escape(place.page.title)}</a>'
        items.append(f'<dt id="{escape(prose.slug(key))}">{escape(words)}</dt>'
                     f"<dd>{site.quote(sentence, place.file, line, page)} {origin}</dd>\n")
    page.body.append(f'<dl class="wide prose">{"".join(items)}</dl>')


def papers(site, page):
    page.body.append(title("Papers", "What the chapters were built from, and which chapter uses it."))
    items = []
    for _, (item, file, users) in sorted(site.papers.items()):
        uses = {p.path: f'<a class="from" href="{p.path}">{escape(p.title)}</a>' for p in users}.values()
        place = prose.Place(file, [n for n, _ in item], page, site)
        items.append(f"<li>{prose.render(chr(10).join(t for _, t in item), place, True)} {' '.join(uses)}</li>\n")
    page.body.append(f'<ul class="wide prose papers">{"".join(items)}</ul>')
