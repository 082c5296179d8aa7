"""C++ as the weaver reads it: tokens, lines, blocks, calls of the book, and which name is defined where.

One regular expression cuts a file into tokens; a stack of scopes finds what it declares. No compiler is needed, and code
the weaver does not understand costs a link, never a line."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<string>(?:u8|[uUL])?(?:R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'))
      | (?P<directive>^[ \t]*\#[ \t]*\w+)
      | (?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<space>\n|[^\S\n]+)
      | (?P<op>->|::|<=|>=|==|!=|&&|\|\||\.\.\.|.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE)

CODE = (".hpp", ".cpp", ".cuh", ".cu")
HEADER = (".hpp", ".cuh")
KEYWORDS = set("""alignas alignof auto bool break case catch char class concept const const_cast consteval constexpr constinit
    continue co_await co_return co_yield decltype default delete do double dynamic_cast else enum explicit extern false float
    for friend goto if inline int long mutable namespace new noexcept nullptr operator private protected public
    reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch template this throw
    true try typedef typename union unsigned using virtual void volatile while""".split())

# Orders to a tool, not prose for a reader: they stay with the code.
ORDER = re.compile(r"//\s*(clang-format (on|off)|NOLINT|IWYU pragma)")

TYPE_WORDS = set("auto void int double float bool".split())
SPECIFIERS = set("inline static constexpr constinit typedef export extern const thread_local".split())
NOT_A_FUNCTION = set("requires decltype noexcept alignas sizeof explicit operator".split())

# Members that the standard containers have too: `.size()` says nothing about whose size it is.
STANDARD_MEMBERS = set("""size empty data begin end front back at push_back emplace_back insert erase clear find count resize
    reserve swap reset get c_str str str open close read write lock unlock load store wait join first second what value
    has_value assign""".split())


class Token(NamedTuple):
    kind: str
    text: str
    line: int


class SourceError(Exception):
    def __init__(self, line, message):
        super().__init__(message)
        self.line = line


def read_text(path):
    """The file as text with plain newlines; SourceError where it is not text."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(data[: error.start].count(b"\n") + 1, "not UTF-8: save the file as UTF-8") from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if odd := re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
        raise SourceError(text[: odd.start()].count("\n") + 1, f"control character U+{ord(odd[0]):04X}")
    return text


def tokenize(text):
    tokens, line = [], 1
    for match in TOKEN.finditer(text):
        token = Token(match.lastgroup if match.lastgroup != "mark" else "string", match[0], line)
        if token.kind == "comment" and token.text.startswith("//") and token.text.rstrip().endswith("\\"):
            raise SourceError(line, "a // comment ends in a backslash: it would swallow the next line "
                                    "(close the formula on this line, or end it with words)")
        if token.kind == "op" and token.text == "/" and text.startswith("/*", match.start()):
            raise SourceError(line, "a /* comment is never closed")
        if token.kind == "op" and token.text == '"':
            raise SourceError(line, "a string is never closed")
        tokens.append(token)
        line += match[0].count("\n")
    return tokens


class Symbol(NamedTuple):
    name: str
    scope: tuple     # ("cr", "nn") or, for a member, ("cr", "nn", "Linear")
    kind: str        # type, function, member, variable, macro
    line: int
    body: bool       # defined here, not only declared


@dataclass
class Block:
    """Prose and the code it introduces: (line, text) pairs and line numbers."""
    prose: list = field(default_factory=list)
    code: list = field(default_factory=list)


class Call(NamedTuple):
    """A statement chapter.claim("id", …) or chapter.figure("id", "caption"); or chapter.table({"column", …}) and what follows
    it in its scope, with the columns' names as id."""
    what: str
    id: str | tuple
    caption: str
    first: int
    last: int
    line: int


class Source:
    """One C++ file: self.lines, the tokens of each line, blocks, symbols."""

    def __init__(self, text, name):
        self.name = name
        self.header = name.endswith(HEADER)
        self.siblings = []                                   # the chapter's own headers, whose names this file may use
        self.lines = text.split("\n")
        if self.lines[-1] == "":
            self.lines.pop()
        self.tokens = tokenize(text)
        self.by_line = {}                                    # line -> [(token index, text)]
        for i, token in enumerate(self.tokens):
            for offset, part in enumerate(token.text.split("\n")):
                if part:
                    self.by_line.setdefault(token.line + offset, []).append((i, part))
        self.code = [(i, t) for i, t in enumerate(self.tokens) if t.kind not in ("space", "comment")]
        self.position = {i: k for k, (i, _) in enumerate(self.code)}
        pairs = zip(self.code, self.code[1:])
        self.includes = [(t.line, file.text) for (_, t), (_, file) in pairs
                         if t.kind == "directive" and t.text.endswith("include") and file.kind == "string"]
        self.symbols, self.at, self.aliases = [], {}, []     # at: token index -> Symbol; aliases: `using book::Chapter;`
        self._scan()
        self.namespaces = {s.scope for s in self.symbols if s.kind not in ("member", "macro")} | {("cr",)}
        self.namespaces |= {self._qualified(k + 2) for k in range(len(self.code) - 2)
                            if self.code[k][1].text == "using" and self.code[k + 1][1].text == "namespace"}
        self.locals = {self.code[k + 1][1].text for k in range(len(self.code) - 2)
                       if self.code[k][1].text in ("auto", "&") and self.code[k + 2][1].text == "="}

    def _qualified(self, k):
        names = []
        while k < len(self.code) and (self.code[k][1].kind == "name" or self.code[k][1].text == "::"):
            if self.code[k][1].kind == "name":
                names.append(self.code[k][1].text)
            k += 1
        return tuple(names)

    def prose_line(self, number):
        """The text of a // comment that has the line to itself, else None."""
        tokens = [self.tokens[i] for i, part in self.by_line.get(number, []) if part.strip()]
        if len(tokens) != 1 or not re.match("//", tokens[0].text) or ORDER.match(tokens[0].text):
            return None
        return re.sub(r"^///?!?<? ?", "", tokens[0].text.rstrip())

    def blocks(self):
        """Cuts the file where prose follows code. Blank lines stay inside code and vanish at its ends."""
        blocks = [Block()]
        for number, line in enumerate(self.lines, 1):
            prose = self.prose_line(number)
            if prose is not None:
                if blocks[-1].code:
                    blocks.append(Block())
                if blocks[-1].prose and blocks[-1].prose[-1][0] != number - 1:
                    blocks[-1].prose.append((number - 1, ""))          # a gap in the comment is a new paragraph
                blocks[-1].prose.append((number, prose))
            elif line.strip() or blocks[-1].code:
                blocks[-1].code.append(number)
        for block in blocks:
            while block.code and not self.lines[block.code[-1] - 1].strip():
                block.code.pop()
        return [b for b in blocks if b.prose or b.code]

    def calls(self):
        """Every chapter.claim(…), chapter.figure(…) and chapter.table(…), with the lines of its statement."""
        code, found = [t for _, t in self.code], []
        for k in range(1, len(code) - 2):
            if code[k].text == "table" and code[k - 1].text == "." and [t.text for t in code[k + 1: k + 3]] == ["(", "{"]:
                found.append(self._table(code, k))
            if not (code[k].text in ("claim", "figure") and code[k - 1].text in (".", "->") and code[k + 1].text == "("):
                continue
            first = k
            while first and code[first - 1].text not in (";", "{", "}") and code[first - 1].kind != "directive":
                first -= 1
            last = self._statement_end(code, k)
            # `Figure f = chapter.figure(…); f.line(…);`: what follows and speaks of f draws the figure too.
            owner = next((code[j - 1].text for j in range(first + 1, k) if code[j].text == "="), None)
            while code[k].text == "figure" and owner and last + 1 < len(code) and code[last + 1].text != "}":
                end = self._statement_end(code, last + 1)
                if not any(t.text == owner for t in code[last + 1: end + 1]):
                    break
                last = end
            literals, j = [[]], k + 2
            while j < len(code) and (code[j].kind == "string" or code[j].text == ",") and len(literals) < 3:
                if code[j].text == ",":
                    literals.append([])
                else:
                    literals[-1].append(re.sub(r"\\(.)", r"\1", code[j].text[1:-1]))
                j += 1
            if not literals[0]:
                raise SourceError(code[k].line, f"the id of .{code[k].text}(…) must be a string literal: "
                                                "the page looks it up in the results")
            found.append(Call(code[k].text, literals[0][0], "".join(literals[1]) if len(literals) > 1 else "",
                              code[first].line, code[last].line, code[k].line))
        return found

    @classmethod
    def _table(cls, code, k):
        columns, j = [[]], k + 3
        while code[j].text != "}" and j + 1 < len(code):
            if code[j].text == ",":
                columns.append([])
            elif code[j].kind == "string":
                columns[-1].append(re.sub(r"\\(.)", r"\1", code[j].text[1:-1]))
            else:
                raise SourceError(code[j].line, "the columns of .table({…}) must be string literals: the page looks it up in the results")
            j += 1
        first = k
        while code[first - 1].text not in (";", "{", "}"):
            first -= 1
        last, depth = k, 0
        while depth >= 0 and last + 1 < len(code):
            depth += (code[last].text == "{") - (code[last].text == "}")
            last += 1
        return Call("table", tuple("".join(part) for part in columns), "", code[first].line, code[last - 1].line, code[k].line)

    @staticmethod
    def _statement_end(code, k):
        depth = 0
        for j in range(k, len(code)):
            depth += code[j].text in ("(", "{", "[")
            depth -= code[j].text in (")", "}", "]")
            if depth < 0:
                return j - 1
            after = code[j + 1].text if j + 1 < len(code) else ""
            if depth == 0 and code[j].text in (";", "}") and after not in (")", ",", ".", ";"):
                return j
        return len(code) - 1

    # --- What the file declares ---------------------------------------------------------------------------------------

    def _scan(self):
        """Walks namespaces and classes statement by statement; function bodies and initialisers are stepped over."""
        code = self._without_directives()
        scopes, statement, parens, k = [], [], 0, 0
        while k < len(code):
            text = code[k][1].text
            if text == "}" and not parens:
                if scopes:
                    scopes.pop()
                statement = []
            elif text == ";" and not parens:
                self._declare(statement, scopes, False)
                statement = []
            elif text == "{":
                words = {t.text for _, t in statement}
                plain = self._plain(statement)
                if parens:
                    k = self._skip(code, k)
                elif "namespace" in words or (statement and statement[0][1].text == "extern" and len(statement) == 2):
                    start = next((j for j, (_, t) in enumerate(statement) if t.text == "namespace"), 1)
                    names = tuple(t.text for _, t in statement[start + 1:] if t.kind == "name")
                    scopes.append(("namespace", names or ("",)))
                    statement = []
                elif plain and plain[0][1].text in ("struct", "class", "union", "enum"):
                    name = self._declare(statement, scopes, True)
                    if plain[0][1].text == "enum":
                        k = self._skip(code, k)
                    else:
                        scopes.append(("class", (name or "",)))
                    statement = []
                else:
                    if statement and statement[0][1].text:
                        self._declare(statement, scopes, True)
                    k = self._skip(code, k)
                    # `X() : a{1}, b{2} { … }`: the braces of an initialiser list are not the body yet.
                    following = code[k + 1][1].text if k + 1 < len(code) else ""
                    statement = [(-1, Token("op", "", 0))] if following in (",", "{", ";", ")") else []
            elif text == ":" and len(statement) == 1 and statement[0][1].text in ("public", "private", "protected"):
                statement = []
            else:
                parens += (text == "(") - (text == ")")
                statement.append(code[k])
                if text == ")" and not parens and re.match(r"[A-Z]\w+[A-Z] \(", " ".join(t.text for _, t in statement[:2])):
                    statement = []                            # CR_FIELDS(…) ends without a semicolon
            k += 1

    def _without_directives(self):
        kept, skip_until = [], 0
        for i, token in self.code:
            if token.kind == "directive":
                skip_until = token.line
                while skip_until <= len(self.lines) and self.lines[skip_until - 1].endswith("\\"):
                    skip_until += 1
            elif token.line > skip_until:
                kept.append((i, token))
        for k, (_, token) in enumerate(self.code[:-1]):
            if token.kind == "directive" and token.text.endswith("define"):
                self._add(self.code[k + 1][0], (), "macro", True)
        return kept

    @staticmethod
    def _skip(code, k):
        depth = 0
        for j in range(k, len(code)):
            depth += (code[j][1].text == "{") - (code[j][1].text == "}")
            if depth == 0:
                return j
        return len(code) - 1

    @staticmethod
    def _plain(statement):
        """The statement without template<…> heads, attributes and specifiers in front."""
        j = 0
        while j < len(statement):
            text = statement[j][1].text
            if text in ("template", "[", "alignas"):
                pair = {"template": "<>", "[": "[]", "alignas": "()"}[text]
                depth, parens, j = 0, 0, j + (text != "[")
                while j < len(statement):
                    word, j = statement[j][1].text, j + 1
                    parens += (word == "(") - (word == ")") if text == "template" else 0
                    depth += 0 if parens else (word == pair[0]) - (word == pair[1])
                    if depth == 0:
                        break
            elif text in SPECIFIERS:
                j += 1
            else:
                break
        return statement[j:]

    def _declare(self, statement, scopes, body):
        plain = self._plain(statement)
        if not plain or not plain[0][1].text:
            return None
        scope = tuple(n for _, names in scopes for n in names)
        in_class = bool(scopes) and scopes[-1][0] == "class"
        texts = [t.text for _, t in plain]
        if texts[0] in ("struct", "class", "union", "enum"):
            if not body:
                return None
            j = 1 + (texts[1:2] in (["class"], ["struct"]) and texts[0] == "enum")
            rest = self._plain(plain[j:])
            return self._add(rest[0][0], scope, "type", True) if rest and rest[0][1].kind == "name" else None
        if texts[0] in ("using", "concept"):
            if len(texts) > 2 and texts[2] == "=":
                self._add(plain[1][0], scope, "type", True)
            elif len(texts) > 3 and texts[-2] == "::" and not in_class:
                self.aliases.append((scope, texts[-1], texts[-3]))
            return None
        if texts[0] in ("friend", "return", "static_assert", "requires", "throw", "if", "for"):
            if texts[0] != "requires":
                return None
        angle = depth = 0
        for j, text in enumerate(texts):
            if text == "(" and not depth and not angle and j and plain[j - 1][1].kind == "name" \
                    and texts[j - 1] not in NOT_A_FUNCTION:
                name, q = j - 1, j - 1
                while q >= 2 and texts[q - 1] == "::" and plain[q - 2][1].kind == "name":
                    q -= 2
                scope += tuple(texts[m] for m in range(q, name, 2))
                member = in_class or q < name
                if member or q > 0:                           # a free function has a return type before its name
                    return self._add(plain[name][0], scope, "member" if member else "function", body)
                return None
            depth += (text in "([") - (text in ")]") if text else 0
            angle = max(0, angle + (text == "<") - (text == ">")) if not depth else angle
            if text == "operator" and not depth:
                return None
            if text == "=" and not depth and not angle:
                break
        else:
            j = len(texts)
        if not in_class and j and plain[j - 1][1].kind == "name" and j >= 2:
            return self._add(plain[j - 1][0], scope, "variable", body)
        return None

    def _add(self, index, scope, kind, body):
        token = self.tokens[index]
        if token.kind != "name" or token.text in KEYWORDS:
            return None
        symbol = Symbol(token.text, scope, kind, token.line, body)
        self.symbols.append(symbol)
        self.at[index] = symbol
        return token.text


class Names:
    """Which name of which file means which declaration. The first one in a public header wins."""

    def __init__(self, sources):
        """sources: the library's Sources, any order."""
        self.table, self.bodies, self.members = {}, {}, {}
        self.namespaces, self.classes = set(), set()
        for source in sorted(sources, key=lambda s: (not s.header, s.name)):
            for symbol in source.symbols:
                if source.header and "" not in symbol.scope:
                    self.table.setdefault(symbol.name, []).append((source, symbol))
                    if symbol.kind == "member":
                        self.members.setdefault(symbol.name, {}).setdefault(symbol.scope, (source, symbol))
                    if symbol.kind == "type":
                        self.classes.add(symbol.name)
                if symbol.body and not source.header:
                    self.bodies.setdefault((symbol.name, symbol.scope), (source, symbol))
                if symbol.kind != "member":
                    self.namespaces.update(symbol.scope)
        for scope, name, qualifier in [alias for source in sources for alias in source.aliases]:
            for source, symbol in [p for p in self.table.get(name, []) if p[1].scope[-1:] == (qualifier,)]:
                self.table[name].append((source, symbol._replace(scope=scope)))

    def find(self, source, index):
        """Where token `index` of `source` is declared: (Source, Symbol) or None."""
        code, position = source.code, source.position[index]
        token = code[position][1]
        before = code[position - 1][1] if position else Token("op", "", 0)
        after = code[position + 1][1] if position + 1 < len(code) else Token("op", "", 0)
        own = source.at.get(index)
        if own:                                               # a declaration leads to its definition elsewhere
            body = self.bodies.get((own.name, own.scope))
            return body if body and not own.body and body[0] is not source else None
        if token.text in KEYWORDS or before.kind == "directive":
            return None
        called = after.text in ("(", "<", "{")
        if before.text in (".", "->"):
            owners = list(self.members.get(token.text, {}).values())
            return owners[0] if len(owners) == 1 and called and token.text not in STANDARD_MEMBERS else None
        if before.text == "::":
            qualifier = code[position - 2][1].text if position >= 2 else ""
            if qualifier not in self.namespaces and qualifier not in self.classes:
                return None
            return next(((f, s) for f, s in self.table.get(token.text, []) if s.scope[-1:] == (qualifier,)), None)
        if token.text in source.locals:
            return None
        mine = [(f, s) for f in (source, *source.siblings) for s in f.symbols
                if s.name == token.text and s.kind != "member"]
        seen = [(f, s) for f, s in self.table.get(token.text, []) if s.kind != "member" and
                any(s.scope == space[: len(s.scope)] for space in source.namespaces)]
        declared = before.kind == "name" and (before.text not in KEYWORDS or before.text in TYPE_WORDS)
        for f, s in mine + sorted(seen, key=lambda pair: -len(pair[1].scope)):
            if s.kind == "function" and (declared or not called or after.text == "{"):
                continue
            if s.kind == "variable" and not s.name.startswith("k"):
                continue
            return f, s
        return None
