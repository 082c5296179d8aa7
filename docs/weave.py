#!/usr/bin/python3
"""weave.py [--out DIR] [--strict-results]: turns the book's sources into its site.

Chapters and library files become pages with prose on the left and code on the right, every line of every source in order.
The site is plain files: it needs no server and no network. What is wrong in a source is reported as file:line and fails
the build, and then nothing is written. Needs Debian's packages python3-markdown-it and katex.
Exit status: 0 woven, 1 a source is wrong, 2 the command or this machine is.

    cpp.py       C++: tokens, blocks of prose and code, calls of the book, names and where they are declared
    prose.py     Markdown with LaTeX, links, {claim:ID}, questions
    results.py   what the chapters' runs measured
    rows.py      a source as rows of a page
    pages.py     the pages
    operations.py  the page of all operations"""

import argparse
import json
import posixpath
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import unquote

sys.dont_write_bytecode = True
try:
    import cpp
    import operations
    import pages
    import prose
    import results
except ModuleNotFoundError as missing:
    print(f"docs: {missing.name} is missing: apt-get install python3-markdown-it katex", file=sys.stderr)
    sys.exit(2)

HERE = Path(__file__).resolve().parent
KATEX = Path("/usr/share/javascript/katex")
TYPESET = {}                                         # (formula, on lines of its own?) -> what KaTeX made of it


class Unable(Exception):
    """This machine cannot weave: exit status 2."""


@dataclass
class Page:
    """One HTML file of the site, and what others may link to on it."""
    path: str
    title: str
    nav: str = "Book"
    body: list = field(default_factory=list)
    ids: set = field(default_factory=lambda: {"top", "content"})
    anchors: dict = field(default_factory=dict)      # (source file, anchor there) -> id on this page
    contents: list = field(default_factory=list)     # (level, heading, place, id)
    sections: list = field(default_factory=list)     # for the search: [title, id, text]
    asks: str = ""                                   # a chapter's question
    questions: list = field(default_factory=list)    # the claims and figures that each one hides
    asked: list = field(default_factory=list)        # the questions that hide what comes now

    @property
    def root(self):
        return "../" * self.path.count("/")

    def anchor(self, file, name):
        unique, n = name or "section", 1
        while unique in self.ids:
            unique, n = f"{name}-{n}", n + 1
        self.ids.add(unique)
        self.anchors.setdefault((file, name), unique)
        return unique

    def remember(self, text):
        """Text for the search, under the heading that stands above it."""
        _, heading, _, anchor = self.contents[-1] if self.contents else (1, None, None, "")
        if not self.sections or self.sections[-1][1] != anchor:
            self.sections.append([prose.plain(heading.content) if heading else self.title, anchor, ""])
        self.sections[-1][2] += " " + re.sub(r"\s+", " ", prose.plain(text))


class Site:
    def __init__(self, root):
        self.root = root
        self.errors, self.warnings = [], []
        self.pages, self.sources, self.results = {}, {}, {}         # by path in the repository
        self.formulas, self.links, self.copies = [], [], {}
        self.terms, self.papers, self.figures_called = {}, {}, {}
        self.quiet = False                                          # quoting: nothing is defined anew

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def error(self, file, line, message):
        self.errors += [e for e in [(file, line, message)] if e not in self.errors]

    def text(self, file):
        try:
            return cpp.read_text(self.root / file)
        except cpp.SourceError as error:
            self.error(file, error.line, str(error))
            return ""

    # --- What prose asks for ------------------------------------------------------------------------------------------

    def math(self, tex, display, file, line):
        self.formulas.append((tex, display, file, line))
        return f"\x02M{len(self.formulas) - 1}\x03"

    def link(self, href, place, line):
        """A link in a source file as one on the site. Its anchor is checked once all pages are woven."""
        if re.match(r"(https?|mailto):", href):
            return href
        path, _, anchor = unquote(href).partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(place.file), path)) if path else place.file
        on_disk = self.root / target
        if re.match(r"[a-z]+:|/", href) or target.startswith(".."):
            self.error(place.file, line, f"link to {href}: neither on the web nor in the book")
        elif page := self.pages.get(target) or self.pages.get(f"{target}/README.md"):
            self.links.append((place.file, line, href, page, target, anchor))
            return f"\x02L{len(self.links) - 1}\x03"
        elif on_disk.is_dir() and target.split("/")[0] == "common":
            return f"{place.page.root}library.html#{target.split('/')[1] if '/' in target else 'top'}"
        elif on_disk.is_dir():                                      # any other folder: the list of what is in it
            names = sorted(p.name + "/" * p.is_dir() for p in on_disk.iterdir() if p.name != "__pycache__")
            self.copies[f"files/{target}/list.txt"] = "\n".join(names) + "\n"
            return f"{place.page.root}files/{target}/list.txt"
        elif on_disk.is_file() and not anchor:                      # a file that is no page goes along as it is
            copy = f"files/{target}" + ("" if on_disk.suffix in (".txt", ".svg", ".png", ".json", ".pdf") else ".txt")
            self.copies[copy] = on_disk
            return place.page.root + copy
        else:
            why = "the site has no page for" if on_disk.exists() else "there is no"
            self.error(place.file, line, f"link to {href}: {why} {target}")
        return ""

    def image(self, src, place, line):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(place.file), unquote(src)))
        folder = "/".join(path.split("/")[:2])
        if re.match(r"[a-z]+:", src):
            self.error(place.file, line, f"image {src}: an image from elsewhere does not work without a network")
        elif path.startswith("..") or not (self.root / path).is_file():
            self.error(place.file, line, f"image {src}: there is no {path}")
        elif folder in self.results and path not in self.results[folder].files(folder):
            self.error(place.file, line, f"image {src}: no run made it (it is in no results-*.json)")
        else:
            self.copies[path] = self.root / path
        return place.page.root + path

    def quote_claim(self, id, place, line):
        chapter = self.results.get("/".join(place.file.split("/")[:2]))
        if not chapter or id not in chapter.claims:
            self.error(place.file, line, f"{{claim:{id}}}: no run of this chapter measured a claim of that name")
            return ""
        value = escape(results.number_text(chapter.claims[id][0]))
        return (f'<span class="quote" data-result="claim-{escape(id)}"><span class="secret">{value}</span>'
                f'<span class="instead">choose first</span></span>')

    def define(self, words, text, place, line):
        """A **bold** term is defined where it first appears. Returns its anchor, or None where bold only stresses."""
        key = re.sub(r"\s+", " ", words).strip().lower()
        if self.quiet or key in self.terms or not re.fullmatch(r"[^\W\d_][\w' ×/–-]*", key) or len(key.split()) > 5:
            return None
        bold = re.compile(r"\*\*" + r"\s+".join(map(re.escape, words.split())) + r"\*\*")
        sentence = next((s for s in pages.SENTENCE_END.split(text) if bold.search(s)), "")
        if not bold.sub("", sentence).strip(" .:\n"):
            return None
        anchor = place.page.anchor(place.file, "term-" + prose.slug(key))
        self.terms[key] = (words, sentence, place, line, anchor)
        return anchor

    def quote(self, text, file, line, page):
        """A sentence of one page shown on another."""
        self.quiet = True
        html = prose.render(text, prose.Place(file, [line], page, self), True)
        self.quiet = False
        return html

    # --- Building -----------------------------------------------------------------------------------------------------

    def build(self):
        """Reads everything, then weaves everything: {path: text}. What is wrong is in self.errors."""
        chapters = self.read()
        if self.errors:
            return {}                                               # every link to an unread file would look wrong
        self.names = cpp.Names([s for n, s in self.sources.items() if n.startswith("common/")])
        for number, folder, page, own in chapters:
            pages.chapter(self, folder, number, page, own)
        for name, source in self.sources.items():
            if name.startswith("common/"):
                pages.library_file(self, source, self.pages[name])
        for name, page in self.pages.items():
            if page.nav == "Document" and name != "docs/index.md":
                pages.document(self, name, page)
        home = self.pages.setdefault("docs/index.md", Page("index.html", "Chainrule"))
        home.nav = "Book"
        documents = [page for page in self.pages.values() if page.nav == "Document"]
        pages.home(self, home, [(number, page) for number, _, page, _ in chapters], documents)
        weavers = {"Library": pages.library_index, "Operations": operations.weave, "Papers": pages.papers,
                   "Glossary": pages.glossary}
        gathered = [Page(f"{name.lower()}.html", name, name) for name in weavers]
        for page, weave in zip(gathered, weavers.values()):
            weave(self, page)
        self.turns([page for _, _, page, _ in chapters])
        everything = list({id(p): p for p in [home, *self.pages.values(), *gathered]}.values())
        hrefs, formulas = self.check_links(), self.typeset()
        return {p.path: self.html(p, formulas, hrefs) for p in everything} | {"search.js": self.search(everything)}

    def read(self):
        """Loads every file that becomes a page, so that links know where they lead. Returns the chapters."""
        chapters = []
        for path in sorted(p for p in (self.root / "common").rglob("*") if p.suffix in cpp.CODE):
            if source := self.load(path):
                short = source.name.removeprefix("common/")
                self.sources[source.name] = source
                self.pages[source.name] = Page(f"library/{short}.html", short, "Library")
        for folder in sorted(p for p in (self.root / "chapters").glob("[0-9][0-9]_*") if (p / "main.cpp").is_file()):
            name = self.name(folder)
            others = sorted(p for p in folder.iterdir() if p.suffix in cpp.CODE and p.name not in ("main.cpp", "test.cpp"))
            own = [s for s in map(self.load, [folder / "main.cpp", *others]) if s]
            extra = [folder / "test.cpp"] * (folder / "test.cpp").is_file() + sorted((folder / "solutions").glob("*.cpp"))
            self.sources.update({s.name: s for s in own + [s for s in map(self.load, extra) if s]})
            self.results[name] = results.Results(folder, self)
            if not (folder / "README.md").is_file():
                self.error(f"{name}/main.cpp", 1, "no README.md beside it")
                continue
            heading = pages.heading_of(self.text(f"{name}/README.md"), folder.name[3:].replace("_", " ").capitalize())
            page = Page(f"{name}.html", re.sub(r"^(chapter\s+)?\d+\s*[.:·–—-]*\s*", "", heading, flags=re.IGNORECASE))
            files = [n for n in self.sources if n.startswith(f"{name}/")]
            for file in files + [f"{name}/README.md", f"{name}/exercises.md"]:
                self.pages[file] = page
                if file in self.sources:
                    self.sources[file].siblings = [s for s in own if s.name.endswith((".hpp", ".cuh"))]
            chapters.append((folder.name[:2], folder, page, own))
        for path in [*sorted(self.root.glob("*.md")), *sorted((self.root / "docs").glob("*.md"))]:
            file = self.name(path)
            to = "index.html" if file == "docs/index.md" else f"{path.stem}.html"
            self.pages[file] = Page(to, pages.heading_of(self.text(file), path.stem), "Document")
        return chapters

    def load(self, path):
        try:
            return cpp.Source(cpp.read_text(path), self.name(path))
        except cpp.SourceError as error:
            self.error(self.name(path), error.line, str(error))

    @staticmethod
    def turns(chapters):
        """Previous and next at the foot of each chapter."""
        for k, page in enumerate(chapters):
            back = (chapters[k - 1].path, chapters[k - 1].title) if k else ("index.html", "All chapters")
            links = [f'<a rel="prev" href="{page.root}{back[0]}">← {escape(back[1])}</a>']
            links += [f'<a rel="next" href="{page.root}{p.path}">{escape(p.title)} →</a>' for p in chapters[k + 1: k + 2]]
            page.body.append(f'<nav class="turn" aria-label="Chapters">{"".join(links)}</nav>\n')

    def check_links(self):
        """Every link's page and anchor, now that all pages know theirs."""
        hrefs = []
        for file, line, href, page, target, anchor in self.links:
            found = page.anchors.get((target, anchor)) or (anchor if anchor in page.ids else "")
            if anchor and not found:
                self.error(file, line, f"link to {href}: {target} has no part #{anchor}")
            if not anchor:                                          # several files share a chapter's page
                part = "exercises" if target.endswith("/exercises.md") else prose.slug(target.rsplit("/", 1)[-1])
                found = page.anchors.get((target, part), "")
            hrefs.append((page.path, f"#{found}" if found else ""))
        return hrefs

    def typeset(self):
        """All formulas of the book through KaTeX, each once, in one process."""
        new = list({(tex, display) for tex, display, _, _ in self.formulas} - TYPESET.keys())
        try:
            request = json.dumps([{"tex": tex, "display": display} for tex, display in new])
            if new:
                run = subprocess.run(["node", HERE / "math.js", KATEX / "katex.js"], input=request, encoding="utf-8",
                                     check=True, capture_output=True)
                TYPESET.update(zip(new, json.loads(run.stdout)))
        except FileNotFoundError:
            raise Unable("node is missing: apt-get install katex") from None
        except subprocess.CalledProcessError as error:
            last = error.stderr.strip().split("\n")[-1]
            raise Unable(f"KaTeX does not run: apt-get install katex ({last})") from None
        html = []
        for tex, display, file, line in self.formulas:
            result = TYPESET[tex, display]
            if "error" in result:
                self.error(file, line, f"formula {tex!r}: {result['error']}")
            html.append(f'<span class="display">{result.get("html")}</span>' if display else result.get("html"))
        return html

    def html(self, page, formulas, hrefs):
        def put(match):
            kind, number = match[1], int(match[2])
            if kind == "M":
                return formulas[number] or ""
            if kind == "L":
                path, part = hrefs[number]
                return part or "#top" if path == page.path else page.root + path + part
            hidden = page.questions[number]                         # nothing where the question looks back
            if kind == "T":
                return "Before you read on" if hidden else "Do you remember?"
            return f' data-reveals="{escape(" ".join(hidden))}"' if hidden else ""
        def keep(match):                                            # no line begins with a full stop
            formula, stop = formulas[int(match[1])] or "", match[2]
            if formula.count('class="base"') < 2:
                return f'<span class="keep">{formula}{stop}</span>'
            parts = formula.rsplit("</span>", 3)                    # it may break: the stop goes into its last piece
            return f'{parts[0]}<span class="stop">{stop}</span>' + "</span>".join(["", *parts[1:]])
        body = re.sub(r"\x02M(\d+)\x03([.,;:!?)]+)", keep, "".join(page.body))
        body = re.sub(r"\x02([MLQT])(\d+)\x03", put, body)
        tops = {"Book": "index", "Library": "library", "Operations": "operations", "Papers": "papers", "Glossary": "glossary"}
        nav = "".join(f'<a href="{page.root}{file}.html"{" aria-current=page" * (page.nav == name)}>{name}</a>'
                      for name, file in tops.items())
        return f"""<!DOCTYPE html>
<html lang="en" data-root="{page.root}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title) + " · Chainrule" * (page.title != "Chainrule")}</title>
<link rel="stylesheet" href="{page.root}katex/katex.css">
<link rel="stylesheet" href="{page.root}style.css">
<script src="{page.root}site.js"></script>
</head>
<body id="top">
<a class="skip" href="#content">Skip to the text</a>
<header class="bar"><a class="brand" href="{page.root}index.html">Chainrule</a><nav aria-label="Site">{nav}</nav>
<button type="button" class="theme" aria-label="Dark or light" title="Dark or light">◐</button>
<div class="search" role="search"><input type="search" placeholder="Search words, names, code  /" autocomplete="off"
spellcheck="false" aria-label="Search words, names, code"><ol class="hits" hidden></ol></div></header>
<main id="content">
{body}</main>
</body>
</html>
"""

    def search(self, everything):
        """The index as a script, so that it loads from file:// too: [kind, title, address, page, text]."""
        entries = {}
        for page in everything:
            for title, anchor, text in page.sections or [[page.title, "", ""]]:
                url = page.path + (f"#{anchor}" if anchor else "")
                entries.setdefault(url, ["part", title, url, page.title, text.strip()])
        for source in self.sources.values():
            for s in source.symbols if source.name.startswith("common/") and source.header else []:
                name = "::".join([*s.scope, s.name]).removeprefix("cr::")
                page = self.pages[source.name]
                entries.setdefault((page.path, name) if "" in s.scope else name,        # overloads: the first stands for all
                                   [s.kind, name, f"{page.path}#L{s.line}", page.title, source.lines[s.line - 1].strip()])
        for words, sentence, place, _, anchor in self.terms.values():
            url = f"{place.page.path}#{anchor}"
            entries.setdefault(url, ["term", words, url, place.page.title, prose.plain(sentence).replace("\n", " ")])
        index = json.dumps(list(entries.values()), ensure_ascii=False, separators=(",", ":"))
        return f"window.chainruleIndex = {index};\n"

    def write(self, files, out):
        """Puts the site where it belongs. Only a folder that this program wrote is ever emptied."""
        if out.exists():
            shutil.rmtree(out)
        (out / "katex/fonts").mkdir(parents=True)
        (out / ".woven").touch()
        css = (KATEX / "katex.css").read_text(encoding="utf-8")
        files["katex/katex.css"] = re.sub(r", url\([^)]*\.(?:woff|ttf)\) format\('[^']*'\)", "", css)
        copies = self.copies | {p.name: p for p in (HERE / "assets").iterdir()}
        copies |= {f"katex/fonts/{p.name}": p for p in (KATEX / "fonts").glob("*.woff2")}
        for path, content in (files | copies).items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, out / path)
            else:
                (out / path).write_text(content, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(prog="./run docs", description="Weave the book's sources into its site.")
    parser.add_argument("--out", type=Path, help="folder for the site (default: site/)")
    parser.add_argument("--strict-results", action="store_true", help="numbers older than the code are an error")
    parser.add_argument("--root", type=Path, default=HERE.parent, help=argparse.SUPPRESS)
    args = parser.parse_args()
    out = args.out or args.root / "site"
    try:
        if out.exists() and not (out / ".woven").exists() and not (out.is_dir() and not any(out.iterdir())):
            raise Unable(f"{out} holds something that is no woven site: choose another --out")
        if not KATEX.is_dir():
            raise Unable("KaTeX is missing: apt-get install katex")
        site = Site(args.root.resolve())
        files = site.build()
        if not args.strict_results:
            print("".join(f"{warning} (warning)\n" for warning in site.warnings), end="", file=sys.stderr)
        problems = [f"{file}:{line}: {message}" for file, line, message in sorted(site.errors)]
        problems += site.warnings if args.strict_results else []
        if problems:
            print("\n".join(problems), file=sys.stderr)
            print(f"docs: {len(problems)} error{'s' * (len(problems) > 1)}, nothing written", file=sys.stderr)
            return 1
        site.write(files, out)
    except Unable as error:
        print(f"docs: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"docs: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    formulas = len({(tex, display) for tex, display, _, _ in site.formulas})
    print(f"docs: {sum(f.endswith('.html') for f in files)} pages, {formulas} formulas -> {out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
