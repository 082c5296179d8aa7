"""Prose as the weaver reads it: Markdown, LaTeX, links, {claim:ID} and questions, with file:line for whatever is wrong."""

import re
from dataclasses import dataclass, field
from html import escape

from markdown_it import MarkdownIt

import cpp


@dataclass
class Place:
    """Where a piece of prose stands: file (in the repository), the line of each of its lines, and the page it goes to."""
    file: str
    lines: list
    page: object
    site: object
    shift: int = 1                    # `#` in a source is <h2>: the page has its title already

    def line(self, offset):
        return self.lines[min(max(offset, 0), len(self.lines) - 1)] if self.lines else 1

    def error(self, offset, message):
        self.site.error(self.file, self.line(offset), message)


def slug(text):
    """The anchor that GitHub gives a heading, so that links work on both sites."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\- ]", "", text.strip().lower()))


# --- Markdown with mathematics ----------------------------------------------------------------------------------------


def _math_inline(state, silent):
    src, start = state.src, state.pos
    if src[start] != "$":
        return False
    mark = "$$" if src.startswith("$$", start) else "$"
    end = start + len(mark)
    while end < state.posMax and not src.startswith(mark, end):
        end += 2 if src[end] == "\\" else 1
    tex = src[start + len(mark): end]
    good = end < state.posMax and tex.strip() and (mark == "$$" or tex == tex.strip())
    if not silent:
        token = state.push("math" if good else "stray_dollar", "", 0)
        token.content, token.hidden = tex.strip(), False
        token.meta = {"offset": src.count("\n", 0, start), "display": mark == "$$"}
    state.pos = end + len(mark) if good else start + len(mark)
    return True


def _math_block(state, start, end, silent):
    def text(n):
        return state.src[state.bMarks[n] + state.tShift[n]: state.eMarks[n]].rstrip()

    if not text(start).startswith("$$"):
        return False
    last = start
    while not (text(last).endswith("$$") and (last > start or len(text(last)) > 3)):
        if "$$" in text(last)[2 if last == start else 0:]:
            return False                                      # words follow the formula: it is part of a paragraph
        last += 1
        if last >= end or not text(last):
            return False                                      # never closed: the inline rule reports it
    if not silent:
        token = state.push("math", "", 0)
        token.content = "\n".join(text(n) for n in range(start, last + 1)).strip()[2:-2].strip()
        token.meta, token.map = {"offset": 0, "display": True}, [start, last + 1]
        state.line = last + 1
    return True


def _claim_inline(state, silent):
    match = re.compile(r"\{claim:([^}\n]*)\}").match(state.src, state.pos)
    if not match:
        return False
    if not silent:
        token = state.push("claim", "", 0)
        token.content, token.meta = match[1].strip(), {"offset": state.src.count("\n", 0, state.pos)}
    state.pos = match.end()
    return True


def _render_math(self, tokens, index, options, env):
    token = tokens[index]
    place = env["place"]
    return place.site.math(token.content, token.meta["display"], place.file, place.line(token.meta["line"]))


def _render_claim(self, tokens, index, options, env):
    place = env["place"]
    return place.site.quote_claim(tokens[index].content, place, place.line(tokens[index].meta["line"]))


def _render_code(self, tokens, index, options, env):
    token = tokens[index]
    return f'<pre class="snippet"><code>{highlight(token.content, token.info.strip())}</code></pre>\n'


def highlight(code, language=""):
    """A fragment of code, coloured; plain where it is no C++."""
    if language not in ("", "cpp", "c++", "cu"):
        return escape(code)
    try:
        tokens = cpp.tokenize(code)
    except cpp.SourceError:
        return escape(code)
    return "".join(colour(t.kind, t.text, t.text) for t in tokens)


def colour(kind, name, text):
    css = {"comment": "c", "string": "s", "number": "n", "directive": "k"}.get(kind) or ("k" if name in cpp.KEYWORDS else "")
    return f'<span class="{css}">{escape(text)}</span>' if css else escape(text)


md = MarkdownIt("commonmark", {"html": False}).enable("table")
md.inline.ruler.before("escape", "math", _math_inline)
md.inline.ruler.before("escape", "claim", _claim_inline)
md.block.ruler.before("fence", "math", _math_block, {"alt": ["paragraph", "reference", "blockquote", "list"]})
md.add_render_rule("math", _render_math)
md.add_render_rule("stray_dollar", lambda self, tokens, index, options, env: "$")
md.add_render_rule("claim", _render_claim)
md.add_render_rule("fence", _render_code)
md.add_render_rule("code_block", _render_code)


def render(text, place, inline=False):
    """Markdown to HTML. Formulas become marks that the site replaces once all are known."""
    env = {"place": place}
    tokens = md.parseInline(text, env) if inline else md.parse(text, env)
    start, heading = 0, None
    for k, token in enumerate(tokens):
        start = token.map[0] if token.map else start
        if token.type == "math":
            token.meta["line"] = start
        if token.type == "heading_open":
            heading = token
            level = min(6, int(token.tag[1]) + place.shift)
            token.tag = tokens[k + 2].tag = f"h{level}"
            anchor = place.page.anchor(place.file, slug(plain(tokens[k + 1].content)))
            token.attrs = {**token.attrs, "id": anchor}
            place.page.contents.append((level, tokens[k + 1], place, anchor))
        if token.type == "inline":
            _walk(token, start, place, heading is None)
            heading = None
    return md.renderer.render(tokens, md.options, env)


def _walk(inline, start, place, define):
    """Checks one run of text: links, images, dollars; gathers **bold** terms."""
    bold, words, offset = None, "", 0
    for child in inline.children or []:
        offset += child.type in ("softbreak", "hardbreak")
        line = start + (child.meta["offset"] if child.type in ("math", "claim", "stray_dollar") else offset)
        if child.meta and "offset" in child.meta:
            child.meta["line"] = line
            offset = child.meta["offset"] + (child.content.count("\n") if child.type == "math" else 0)
        if child.type == "stray_dollar":
            place.error(line, "unbalanced $: a formula is $x$ or $$x$$ (a dollar sign is \\$)")
        elif child.type == "link_open":
            child.attrs = {**child.attrs, "href": place.site.link(child.attrs["href"], place, place.line(line))}
        elif child.type == "image":
            src = place.site.image(child.attrs["src"], place, place.line(line))
            child.attrs = {**child.attrs, "src": src, "data-result": "figure-" + src.rsplit("/", 1)[-1].rsplit(".", 1)[0]}
        elif child.type == "strong_open":
            bold, words = child, ""
        elif child.type == "strong_close" and bold and define:
            if anchor := place.site.define(words, inline.content, place, place.line(line)):
                bold.attrs = {**bold.attrs, "id": anchor}
            bold = None
        words += {"text": child.content, "code_inline": child.content, "softbreak": " ", "math": "\0"}.get(child.type, "")


def plain(text):
    """Markdown without its marks, for titles and the search index."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\{claim:[^}]*\}", "…", re.sub(r"\*\*|[`$]|(?<!\w)[*_]|[*_](?!\w)", "", text))


# --- Questions --------------------------------------------------------------------------------------------------------


@dataclass
class Question:
    text: list                                   # (line, text)
    answers: list = field(default_factory=list)  # [right, (line, text), …]


def split(lines):
    """Cuts prose into ("text", lines), ("heading", lines) and ("question", Question)."""
    parts, fence, question = [], False, None
    for number, text in lines:
        if re.match(r"\s*(```|~~~)", text):
            fence = not fence
        if not fence and text.startswith("? "):
            question = Question([(number, text[2:])])
            parts.append(("question", question))
        elif not fence and (answer := re.match(r"- \[([ xX])\] (.*)", text)):
            if not question:
                question = Question([])
                parts.append(("question", question))
            question.answers.append([answer[1] != " ", (number, answer[2])])
        elif question and text.strip() and (not question.answers or text.startswith(" ")):
            (question.answers[-1] if question.answers else question.text).append((number, text.strip()))
        elif question and not text.strip() and not question.answers:
            question.text.append((number, ""))
        elif not fence and re.match(r"#{1,5} ", text):
            question = None
            parts.append(("heading", [(number, text)]))
        else:
            question = None
            if not parts or parts[-1][0] != "text":
                parts.append(("text", []))
            parts[-1][1].append((number, text))
    return [(kind, part) for kind, part in parts if kind != "text" or any(t.strip() for _, t in part)]


def question_html(question, place, number):
    """The box BEFORE YOU READ ON. Without JavaScript everything in it is visible."""
    first = (question.text or [question.answers[0][1]])[0][0]
    if not question.text:
        place.site.error(place.file, first, "answers without a question: begin with `? …`")
        return ""
    if len(question.answers) < 3:
        place.site.error(place.file, first, f"a question needs three answers or more: this one has {len(question.answers)}")
    if sum(right for right, *_ in question.answers) != 1:
        place.site.error(place.file, first, "a question needs exactly one right answer: one line `- [x] …`")
    rows = []
    for right, *lines in question.answers:
        here = Place(place.file, [n for n, _ in lines], place.page, place.site)
        text, why = _at_colon("\n".join(t for _, t in lines))
        if not why and not right:
            place.site.error(place.file, lines[0][0], "a wrong answer needs its reason: `- [ ] answer: why it is wrong`")
        css, verdict = ("right", "Yes:" if why else "Yes.") if right else ("wrong", "No:")
        rows.append(f'<li class="{css}"><button type="button" aria-expanded="true">{render(text, here, True)}</button>'
                    f'<p class="why"><b>{verdict}</b> {render(why, here, True)}</p></li>')
    here = Place(place.file, [n for n, _ in question.text], place.page, place.site)
    ask = render("\n".join(t for _, t in question.text), here)
    return (f'<div class="question" id="question-{number}"\x02Q{number}\x03><p class="label">\x02T{number}\x03</p>'
            f'<div class="ask">{ask}</div><ul class="answers" aria-live="polite">{"".join(rows)}</ul></div>\n')


def _at_colon(text):
    """Splits at the first `: ` that is neither in a formula nor in code."""
    for match in re.finditer(r"\$[^$]*\$|`[^`]*`|:\s", text):
        if match[0][0] == ":":
            return text[: match.start()].strip(), text[match.end():].strip()
    return text, ""
