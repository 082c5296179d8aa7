"""The weaver against a small book: every line shown once, links that lead somewhere, and each mistake reported where it is.

    /usr/bin/python3 tests/docs/test_weave.py            prints "ok"; 77 (skipped) where a Debian package is missing"""

import html
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from urllib.parse import unquote

DOCS = Path(__file__).resolve().parents[2] / "docs"
if not importlib.util.find_spec("markdown_it") or not shutil.which("node") or not Path("/usr/share/javascript/katex").is_dir():
    print("skipped: needs python3-markdown-it and katex")
    sys.exit(77)
sys.dont_write_bytecode = True
sys.path.insert(0, str(DOCS))
import cpp  # noqa: E402
import results as measured  # noqa: E402
import weave  # noqa: E402

MAIN = r'''#include "nn/linear.hpp"
#include "losses.hpp"

// # Why not squared error?
//
// We could keep the loss of chapter 1 and fit $\hat y = \sigma(z)$ to labels 0 and 1 with $(\hat y - y)^2$.
// Watch its gradient when the model is confidently wrong: for $y = 1$,
//
// $$\frac{\partial L}{\partial z} = 2(\hat y - 1)\,\hat y\,(1 - \hat y) \;\to\; 0 \quad\text{as}\quad z \to -\infty .$$
//
// Far on the wrong side the push dies out. **Cross-entropy**'s gradient is $\hat y - y$: it never lets go.
//
// ? At $z = -8$, how many times harder does cross-entropy push?
// - [ ] about 2: that is the ratio at $z = 0$
// - [ ] about 55: that is $e^4$, half of the exponent lost
// - [x] over 1000: $1 / (2\,\hat y (1 - \hat y))$, and $\hat y = 0.0003$
void story(Chapter& chapter) {
  Tensor z = linspace(-10, 10, 201).requires_grad_();               // (201,)
  Tensor y = ones_like(z);

  // Differentiate both losses at every z at once: the sum's gradient is each term's own.
  Tensor squared = grad(sum(square(sigmoid(z) - y)), z);           // (201,)
  Tensor entropy = grad(sum(binary_cross_entropy_with_logits(z, y, Reduction::none)), z);

  chapter.figure("gradients", "gradient of the two losses when y = 1")
      .line(z, squared, "squared error").line(z, entropy, "cross-entropy").axes("z", "dL/dz");
  chapter.claim("harder-push", "at z = -8 cross-entropy pushes 1 / (2 ŷ (1 - ŷ)) times harder",
                ratio_at(entropy, squared, z, -8), near(1491.5, 1e-3), identity);
  // That is {claim:harder-push} times. See [the layer](../../common/nn/linear.hpp) and [above](#why-not-squared-error).
  const char* tricky = "// no comment, /* nor this */";
  const char* raw = R"(a "raw" // string
over two lines)";
  if (relu(y).size(0) > 1'000) return;
}
'''

FILES = {
    "common/nn/linear.hpp": '''// # A layer
//
// A **linear layer** multiplies by a matrix and adds a vector. It is the smallest thing with parameters.
#pragma once

namespace cr {
// Negative numbers become 0.
Tensor relu(const Tensor& x);
namespace nn {
struct Linear {
  Linear(int in, int out) : weight{in, out}, bias{out} {}
  Tensor operator()(const Tensor& x) const;
  int64_t weight = 0;
  CR_FIELDS(weight, bias)
  int64_t total() const { return 2; }
};
}  // namespace nn
}  // namespace cr
''',
    "common/nn/linear.cpp": '#include "nn/linear.hpp"\n\nnamespace cr {\nTensor relu(const Tensor& x) { return maximum(x, 0); }\n}\n',
    "chapters/05_neural_network/main.cpp": MAIN,
    "chapters/05_neural_network/losses.hpp": "#pragma once\n\n// ## Two losses\n//\n// At which ratio?\ninline double ratio_at(int a) { nn::Linear layer{1, a}; return layer.total(); }\n",
    "chapters/05_neural_network/test.cpp": "// Three claims.\nint test_everything() { return 0; }\n",
    "chapters/05_neural_network/README.md": """# 5. Neural network

What can a hidden layer do that a line cannot?

## Before you start

You need [exercises](exercises.md) and `$`.

## Run it

    ./run 05

## What you should see

| claim | value |
|---|---|
| push | {claim:harder-push} |

![gradients](figures/gradients.svg)

## Where it stands to the papers

As [Rumelhart](#references) has it. A dollar is \\$1.

## Exercises

[Five](exercises.md).

## References

- Rumelhart, Hinton and Williams, *Learning representations by back-propagating errors*,
  Nature 1986.
""",
    "chapters/05_neural_network/exercises.md": "# Exercises\n\n## 1. Count\n\nCount them: $n$. [Solution](solutions/01_count.cpp)\n",
    "chapters/05_neural_network/solutions/01_count.cpp": "// Count.\nint main() { return 0; }\n",
    "chapters/05_neural_network/figures/gradients.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "docs/index.md": "# Chainrule\n\nThe [chapter](../chapters/05_neural_network/README.md).\n",
}
CHAPTER = "chapters/05_neural_network"


def results(folder, **changes):
    return json.dumps({
        "chapter": folder.name, "size": "default", "seed": 1, "seeds": [1, 2], "source_hash": measured.source_hash(folder), "machine": "2 cores, AVX-512",
        "threads": 2, "seconds": 4.2, "peak_mb": 60,
        "claims": [{"id": "harder-push", "sentence": "at z = -8 cross-entropy pushes 1 / (2 ŷ (1 - ŷ)) times harder", "value": 1491.48,
                    "bound": "1491.5 ± 0.1 %", "kind": "identity", "judged": True, "passed": True, "values": [1491.48, 1491.48]}],
        "figures": [{"id": "gradients", "caption": "gradient of the two losses when y = 1", "file": "figures/gradients.svg"}]} | changes)


class Book(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weave-test-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name) / "book"
        for name, text in FILES.items():
            self.put(name, text)
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER))

    def put(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def edit(self, name, old, new):
        text = (self.root / name).read_text()
        self.assertIn(old, text)
        self.put(name, text.replace(old, new))
        if name.startswith(CHAPTER) and name.endswith(("pp", ".md")):        # prose and code changed together: a fresh run
            self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER))

    def weave(self, *options):
        out, err = io.StringIO(), io.StringIO()
        sys.argv = ["weave.py", "--root", str(self.root), *options]
        with redirect_stdout(out), redirect_stderr(err):
            status = weave.main()
        return status, out.getvalue(), err.getvalue()

    def page(self, name=f"{CHAPTER}.html"):
        return (self.root / "site" / name).read_text()

    def woven(self, name=f"{CHAPTER}.html"):
        status, _, err = self.weave()
        self.assertEqual((status, err), (0, ""))
        return self.page(name)

    def rejects(self, where, message):
        status, _, err = self.weave()
        self.assertEqual(status, 1, err)
        self.assertIn(where, err)
        self.assertRegex(err, message)
        self.assertFalse((self.root / "site").exists(), "nothing half-written")


class Page(Book):
    def lines(self, page, prefix=""):
        """(number, text) of every line of code shown for one file."""
        found = re.findall(rf'<span class="l" id="{prefix}L(\d+)" data-n="(\d+)">(.*?)</span>(?=\n<span class="l"|</code></pre>)', page, re.DOTALL)
        self.assertTrue(all(a == b for a, b, _ in found))
        return [(int(n), html.unescape(re.sub(r"<[^>]+>", "", text))) for n, _, text in found]

    def test_every_line_of_code_once_and_in_order(self):
        page = self.woven()
        for name, prefix, page_name in [("main.cpp", "", f"{CHAPTER}.html"), ("losses.hpp", "losses.hpp-", f"{CHAPTER}.html"),
                                        ("test.cpp", "test.cpp-", f"{CHAPTER}.html"), ("solutions/01_count.cpp", "01_count.cpp-", f"{CHAPTER}.html")]:
            source = (self.root / CHAPTER / name).read_text().split("\n")
            raw_string = {i for i, line in enumerate(source, 1) if "over two lines" in line}
            wanted = [(n, line) for n, line in enumerate(source, 1) if line.strip() and (not line.strip().startswith("//") or n in raw_string)]
            shown = [(n, text) for n, text in self.lines(page, prefix) if text.strip()]
            self.assertEqual(shown, wanted, name)
        source = FILES["common/nn/linear.hpp"].split("\n")
        shown = [pair for pair in self.lines(self.page("library/nn/linear.hpp.html")) if pair[1].strip()]
        self.assertEqual(shown, [(n, line) for n, line in enumerate(source, 1) if line.strip() and not line.strip().startswith("//")])

    def test_prose_stands_beside_its_code(self):
        page = self.woven()
        order = ["What can a hidden layer do", "Before you start", "Why not squared error?</h2>", "We could keep the loss", 'id="question-0"', 'data-n="17"',
                 "Differentiate both losses", 'data-n="22"', 'id="figure-gradients"', "2 lines that draw the figure", 'id="claim-harder-push"', 'data-n="27"',
                 "That is ", "Two losses</h3>", "What you should see</h2>", 'id="exercises"', "Solution: 01_count.cpp", "References</h2>"]
        places = [page.index(part) for part in order]
        self.assertEqual(places, sorted(places))
        self.assertNotIn("./run 05</code></pre>", page)                      # "Run it" is the chips under the title
        self.assertIn("4 s, no data, no GPU", page)

    def test_a_header_included_alone_is_read_there(self):
        self.edit(f"{CHAPTER}/main.cpp", '#include "losses.hpp"\n', "")
        self.edit(f"{CHAPTER}/main.cpp", "  // Differentiate both", '  // The losses first.\n#include "losses.hpp"\n\n  // Differentiate both')
        page = self.woven()
        order = ["The losses first.", ">losses.hpp</p>", "Two losses</h3>", "main.cpp, continued", "Differentiate both losses"]
        places = [page.index(part) for part in order]
        self.assertEqual(places, sorted(places))
        self.assertEqual(page.count("Two losses</h3>"), 1)

    def test_a_header_of_the_library_included_alone_is_read_there_too(self):
        self.edit(f"{CHAPTER}/main.cpp", "  // Differentiate both", '  // The layer itself.\n#include "nn/linear.hpp"\n\n  // Differentiate both')
        page = self.woven()
        order = ["The layer itself.", ">nn/linear.hpp</p>", "main.cpp, continued", "Differentiate both losses"]
        places = [page.index(part) for part in order]
        self.assertEqual(places, sorted(places))
        self.assertEqual(page.count(">nn/linear.hpp</p>"), 1)

    def test_formulas_are_typeset(self):
        page = self.woven()
        self.assertGreaterEqual(page.count('class="katex"'), 9)
        self.assertNotIn("$", re.sub(r"<code>\$</code>|A dollar is \$1|<annotation.*?</annotation>|<span class=\"l\".*?</span>\n", "", page))
        self.assertNotRegex(page, "[\x02\x03]")

    def test_a_question_hides_the_values_and_figures_that_follow(self):
        page = self.woven()
        self.assertIn('id="question-0" data-reveals="figure-gradients claim-harder-push"', page)
        self.assertIn('<figure id="figure-gradients" data-result="figure-gradients"><div class="secret"><div class="drawing"><img', page)
        self.assertRegex(page, r'<p><img [^>]*data-result="figure-gradients"')
        self.assertIn('<span class="quote" data-result="claim-harder-push"><span class="secret">', page)
        self.assertEqual(page.count('<li class="wrong"><button'), 2)
        self.assertIn("half of the exponent lost", page)
        self.assertIn('<p class="label">Before you read on</p>', page)
        shown = re.sub(r'<div class="secret"><div class="code">.*?</pre></div>\n</div>', "", page, flags=re.DOTALL)
        shown = re.sub(r'<span class="secret">[^<]*</span>', "", shown)
        self.assertNotIn("1491", shown)
        self.assertNotIn("1491", re.sub(r"near\(1491.5, 1e-3\)", "", self.page("search.js")))

    def test_a_question_that_looks_back_hides_nothing(self):
        recall = MAIN[MAIN.index("// ? At"):MAIN.index("void story")].replace("// ", "  // ")
        self.edit(f"{CHAPTER}/main.cpp", "  const char* tricky", recall + "  const char* tricky")
        page = self.woven()
        self.assertIn('id="question-1"><p class="label">Do you remember?</p>', page)

    def follow(self, prose):
        """A second claim after `prose`; returns what the questions of the page hide."""
        first = json.loads(results(self.root / CHAPTER))["claims"][0]
        self.edit(f"{CHAPTER}/main.cpp", "  const char* tricky", prose + '  chapter.claim("next", "another", 2, near(2, 1), found);\n  const char* tricky')
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER, claims=[first, first | {"id": "next"}]))
        return re.findall(r'id="question-\d+"(?: data-reveals="([^"]*)")?>', self.woven())

    def test_a_question_hides_all_claims_up_to_a_heading(self):
        self.assertEqual(self.follow("  // One more.\n"), ["figure-gradients claim-harder-push claim-next"])

    def test_a_heading_ends_what_a_question_hides(self):
        self.assertEqual(self.follow("  // ## Another matter\n"), ["figure-gradients claim-harder-push"])

    def test_the_next_question_ends_what_a_question_hides(self):
        again = MAIN[MAIN.index("// ? At"):MAIN.index("void story")]
        self.assertEqual(self.follow(again), ["figure-gradients claim-harder-push", "claim-next"])

    def test_questions_in_a_row_hide_the_same(self):
        again = MAIN[MAIN.index("// ? At"):MAIN.index("void story")]
        self.assertEqual(self.follow(again + "  //\n" + again), ["figure-gradients claim-harder-push", "claim-next", "claim-next"])

    def with_tables(self, code, tables):
        self.edit(f"{CHAPTER}/main.cpp", "  const char* tricky", code + "  const char* tricky")
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER, tables=tables))

    def test_a_table_shows_what_the_program_printed(self):
        once = '  Table table = chapter.table({"bend", "error, \\"rms\\""});\n  table.row("none", 0.25);\n'
        columns = ["bend", 'error, "rms"']
        self.with_tables(once + "  // And again.\n" + once.replace("table = chapter", "other = chapter"), [
            {"columns": columns, "rows": [["none", 0.2512345], ["<ReLU>", 1234567.0], ["odd", "inf"]]},
            {"columns": ["another"], "rows": [[1]]},
            {"columns": columns, "rows": [["second", True]]}])
        page = self.woven()
        self.assertIn('<figure id="table-1" data-result="table-1"><div class="secret"><div class="drawing"><table>', page)
        self.assertIn('<th>bend</th><th class="number">error, &quot;rms&quot;</th>', page)
        for row in ('<td>none</td><td class="number">0.2512</td>', '<td>&lt;ReLU&gt;</td><td class="number">1234567</td>',
                    '<td>odd</td><td class="number">inf</td>', '<td>second</td><td class="number">yes</td>'):
            self.assertIn(row, page)
        self.assertLess(page.index("0.2512"), page.index("second</td>"))
        self.assertIn("Printed by this program, seed 1", page)
        self.assertIn('data-reveals="figure-gradients claim-harder-push table-1 table-2"', page)

    def test_table_without_a_run(self):
        self.with_tables('  chapter.table({"a", "b"});\n', [{"columns": ["a"], "rows": []}])
        self.rejects(f"{CHAPTER}/main.cpp:", "table a, b: no run printed it")

    def test_columns_that_are_no_literals(self):
        self.with_tables('  chapter.table({names[0], "b"});\n', [])
        self.rejects(f"{CHAPTER}/main.cpp:", "must be string literals")

    def test_main_is_folded(self):
        self.put(f"{CHAPTER}/main.cpp", MAIN + "\n// The program.\nint main() {\n  return run(story);\n}\n")
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER))
        self.assertRegex(self.woven(), r"<details><summary>3 lines that put it together</summary><div class=\"code\">(?s:.*?)main")
        self.assertEqual(self.page().count("put it together"), 1)                # a story() that tells something stays open

    def test_a_full_stop_stays_with_its_formula(self):
        page = self.woven()
        self.assertRegex(page, r'<span class="keep"><span class="katex">(?:(?!<p>).)*</span>\.</span>')
        self.edit(f"{CHAPTER}/main.cpp", "// Watch its", "// Here $a = b < c$. Watch its")
        self.assertRegex(self.woven(), r'>c</span><span class="stop">\.</span></span></span></span> Watch')

    def test_names_lead_to_their_declaration(self):
        page = self.woven()
        self.assertIn('<a href="../library/nn/linear.hpp.html"><span class="s">&quot;nn/linear.hpp&quot;</span></a>', page)
        self.assertIn('<a href="#losseshpp"><span class="s">&quot;losses.hpp&quot;</span></a>', page)
        self.assertIn('<a href="../library/nn/linear.hpp.html#L8">relu</a>', page)
        self.assertIn('<a href="../library/nn/linear.hpp.html#L10">Linear</a>', page)
        self.assertIn('<a href="../library/nn/linear.hpp.html#L15">total</a>', page)
        self.assertIn('<a href="#losses.hpp-L6">ratio_at</a>', page)
        self.assertIn('<a href="../../library/nn/linear.cpp.html#L4">relu</a>', self.page("library/nn/linear.hpp.html"))
        self.assertNotIn(">size</a>", page)

    def test_a_chapters_folder_leads_to_it_once_it_is_there(self):
        self.edit(f"{CHAPTER}/losses.hpp", "#pragma once\n", "#pragma once\nconst char* map[] = {\"05_neural_network\", \"07_deep\"};\n")
        page = self.woven()
        self.assertIn('<a class="chapter" href="#top"><span class="s">&quot;05_neural_network&quot;</span></a>', page)
        self.assertIn('<span class="unwritten" title="not written yet"><span class="s">&quot;07_deep&quot;</span></span>', page)
        shutil.copytree(self.root / CHAPTER, self.root / "chapters/07_deep")
        page = self.woven()
        self.assertIn('<a class="chapter" href="../chapters/07_deep.html"><span class="s">&quot;07_deep&quot;</span></a>', page)
        self.assertNotIn("unwritten", page)

    def test_every_link_leads_somewhere_and_nothing_needs_a_network(self):
        self.woven()
        site = self.root / "site"
        ids = {p: re.findall(r' id="([^"]*)"', p.read_text()) for p in site.rglob("*.html")}
        for path, own in ids.items():
            self.assertEqual(len(own), len(set(own)), f"an id twice in {path}")
            for link in re.findall(r'(?:href|src)="([^"]*)"', path.read_text()):
                self.assertNotRegex(link, "^(https?:)?//")
                file, _, anchor = unquote(html.unescape(link)).partition("#")
                target = (path.parent / file).resolve() if file else path
                self.assertTrue(target.is_file(), f"{link} in {path}")
                if anchor:
                    self.assertIn(anchor, ids[target], f"{link} in {path}")
        css = (site / "katex/katex.css").read_text()
        for font in re.findall(r"url\(([^)]*)\)", css):
            self.assertTrue((site / "katex" / font).is_file(), font)

    def test_glossary_papers_library(self):
        self.woven()
        self.assertRegex(self.page("glossary.html"), r'<dt id="cross-entropy">Cross-entropy</dt><dd><strong>Cross-entropy</strong>')
        self.assertIn(f'href="{CHAPTER}.html#term-cross-entropy"', self.page("glossary.html"))
        self.assertIn("linear layer", self.page("glossary.html"))
        self.assertIn("Rumelhart", self.page("papers.html"))
        self.assertRegex(self.page("library.html"), r"nn/linear.hpp.*A <strong>linear layer</strong> multiplies by a matrix and adds a vector\.</td>")

    def test_exercises_as_a_list(self):
        self.put(f"{CHAPTER}/solutions/two.cpp", "int main() {}\n")
        self.put(f"{CHAPTER}/exercises.md", "# Exercises\n\nWrite your own first.\n\n1. **One.** Count\n   twice. ([solution](solutions/01_count.cpp))\n"
                                            "2. **Two.** ([solution](solutions/two.cpp))\n")
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER))
        page = self.woven()
        order = ["Write your own", "One.", "Solution: 01_count.cpp", '<ol start="2">', "Two.", "Solution: two.cpp"]
        self.assertEqual([page.index(part) for part in order], sorted(page.index(part) for part in order))

    def test_hostile_text_is_escaped(self):
        self.edit(f"{CHAPTER}/main.cpp", "// Differentiate", '// <script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=y>\n  // Differentiate')
        page = self.woven()
        self.assertNotIn("<script>alert", page)
        self.assertNotIn("<img src=x", page)
        self.assertNotIn('href="javascript', page)
        self.assertIn("&lt;script&gt;", page)

    def test_files_and_folders_of_the_repository_can_be_linked(self):
        self.put("LICENSE", "MIT")
        self.put("README.md", "# The book\n\n[licence](LICENSE), [tests](chapters/05_neural_network/solutions/), [nn](common/nn/), "
                              "[one](common/nn/linear.hpp#L8), [two](chapters/05_neural_network/main.cpp)\n")
        self.assertIn('<a href="README.html">The book</a>', self.woven("index.html"))
        page = self.page("README.html")
        for link in ("files/LICENSE.txt", f"files/{CHAPTER}/solutions/list.txt", "library.html#nn", "library/nn/linear.hpp.html#L8",
                     f"{CHAPTER}.html#maincpp"):
            self.assertIn(f'href="{link}"', page)
        self.assertEqual(self.page(f"files/{CHAPTER}/solutions/list.txt"), "01_count.cpp\n")
        self.test_every_link_leads_somewhere_and_nothing_needs_a_network()

    def test_windows_lines_and_tabs(self):
        text = FILES["common/nn/linear.cpp"].replace("Tensor relu", "\tTensor relu").replace("\n", "\r\n")
        self.put("common/nn/linear.cpp", text)
        self.woven()
        self.assertIn((4, "\tTensor relu(const Tensor& x) { return maximum(x, 0); }"), self.lines(self.page("library/nn/linear.cpp.html")))

    def test_numbers_older_than_the_code(self):
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER, source_hash="0" * 64))
        status, _, err = self.weave()
        self.assertEqual(status, 0)
        self.assertIn("older than the code", err)
        self.assertIn('class="stale"', self.page())
        self.assertEqual(self.weave("--strict-results")[0], 1)

    def test_mending_prose_keeps_numbers_fresh(self):
        self.put(f"{CHAPTER}/main.cpp", MAIN.replace("// Differentiate both", "//\n\n// We differentiate both"))
        self.woven()

    def test_a_missed_claim_is_shown_as_missed(self):
        claims = json.loads(results(self.root / CHAPTER))["claims"]
        claims[0]["passed"] = False
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER, claims=claims))
        self.assertIn('class="measured missed"', self.woven())

    def test_several_seeds_show_their_median_and_range(self):
        claims = json.loads(results(self.root / CHAPTER))["claims"]
        claims[0] |= {"measured": "98.1 % [97.9, 98.3]", "symptom_of": "zero-init"}
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER, claims=claims))
        page = self.woven()
        self.assertEqual(page.count('<span class="secret">98.1 %</span>'), 3)
        self.assertIn("median of 2 seeds, 97.9 to 98.3", page)
        self.assertIn("symptom of --break zero-init", page)

    def test_another_machine_says_what_the_first_could_not_measure(self):
        whole = results(self.root / CHAPTER, cpu="Another CPU", source_hash="0" * 64)
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER, claims=[], cpu="First CPU"))
        self.put(f"{CHAPTER}/results-default-other.json", whole)
        page = self.woven()                                  # and no word of numbers older than the code: the first machine's are not
        self.assertEqual(page.count('<span class="secret">1491.48</span>'), 3)
        self.assertIn("2 cores, AVX-512 · Another CPU · before the code last changed", page)
        self.assertNotIn("First CPU", page)

    def test_a_folder_that_is_no_site_is_left_alone(self):
        self.put("site/precious.txt", "mine")
        status, _, err = self.weave()
        self.assertEqual(status, 2)
        self.assertIn("choose another --out", err)
        self.assertEqual((self.root / "site/precious.txt").read_text(), "mine")


class Strict(Book):
    def main_with(self, line, replacement):
        """Replaces one line of main.cpp; returns file:line of it."""
        number = MAIN.split("\n").index(line) + 1
        self.edit(f"{CHAPTER}/main.cpp", line + "\n", replacement + "\n")
        return f"{CHAPTER}/main.cpp:{number}:"

    FORMULA = "// Watch its gradient when the model is confidently wrong: for $y = 1$,"

    def test_unknown_link(self):
        self.rejects(self.main_with(self.FORMULA, "// Watch [this](nowhere.md)."), "there is no .*nowhere.md")

    def test_unknown_part(self):
        self.rejects(self.main_with(self.FORMULA, "// Watch [this](../../common/nn/linear.hpp#no-such-part)."), "has no part #no-such-part")

    def test_link_out_of_the_book(self):
        self.rejects(self.main_with(self.FORMULA, "// Watch [this](../../../../etc/passwd)."), "neither on the web nor in the book")

    def test_broken_formula(self):
        self.rejects(self.main_with(self.FORMULA, r"// Watch $\frac{1}{$."), "KaTeX parse error")

    def test_broken_formula_on_the_second_line_of_a_list(self):
        self.edit(f"{CHAPTER}/exercises.md", "Count them: $n$.", "- one\n- two $\\nosuch$")
        self.rejects(f"{CHAPTER}/exercises.md:6:", "KaTeX parse error")

    def test_unbalanced_dollar(self):
        self.rejects(self.main_with(self.FORMULA, "// Watch $y = 1, which never ends."), r"unbalanced \$")

    def test_unbalanced_display(self):
        number = MAIN.split("\n").index(self.FORMULA) + 3
        self.edit(f"{CHAPTER}/main.cpp", r"\infty .$$", r"\infty .")
        self.rejects(f"{CHAPTER}/main.cpp:{number}:", r"unbalanced \$")

    def test_backslash_at_the_end(self):
        self.rejects(self.main_with(self.FORMULA, r"// Watch $$a \\" + "\n// b$$"), "ends in a backslash")

    def test_backslash_after_code(self):
        self.rejects(self.main_with("  Tensor y = ones_like(z);", "  Tensor y = ones_like(z);  // (201,) \\"), "ends in a backslash")

    def test_two_right_answers(self):
        self.edit(f"{CHAPTER}/main.cpp", "- [ ] about 2:", "- [x] about 2:")
        self.rejects(f"{CHAPTER}/main.cpp:13:", "exactly one right answer")

    def test_no_right_answer(self):
        self.edit(f"{CHAPTER}/main.cpp", "- [x]", "- [ ]")
        self.rejects(f"{CHAPTER}/main.cpp:13:", "exactly one right answer")

    def test_two_answers(self):
        self.edit(f"{CHAPTER}/main.cpp", "// - [ ] about 2: that is the ratio at $z = 0$\n", "")
        self.rejects(f"{CHAPTER}/main.cpp:13:", "three answers or more")

    def test_answer_without_a_reason(self):
        self.edit(f"{CHAPTER}/main.cpp", "about 2: that is the ratio at $z = 0$", "about 2")
        self.rejects(f"{CHAPTER}/main.cpp:14:", "wrong answer needs its reason")

    def test_answers_without_a_question(self):
        self.edit(f"{CHAPTER}/main.cpp", "// ? At", "// At")
        self.rejects(f"{CHAPTER}/main.cpp:14:", "answers without a question")

    def test_claim_nobody_measured(self):
        self.edit(f"{CHAPTER}/main.cpp", 'claim("harder-push"', 'claim("other"')
        self.rejects(f"{CHAPTER}/main.cpp:27:", 'claim "other": no run measured it')

    def test_quote_of_an_unknown_claim(self):
        self.edit(f"{CHAPTER}/main.cpp", "{claim:harder-push}", "{claim:softer}")
        self.rejects(f"{CHAPTER}/main.cpp:29:", "softer.*no run")

    def test_computed_id(self):
        self.edit(f"{CHAPTER}/main.cpp", 'claim("harder-push"', "claim(name")
        self.rejects(f"{CHAPTER}/main.cpp:27:", "must be a string literal")

    def test_figure_without_a_run(self):
        self.put(f"{CHAPTER}/results-default.json", results(self.root / CHAPTER, figures=[]))
        self.rejects(f"{CHAPTER}/main.cpp:25:", "no run made it")

    def test_figure_without_its_file(self):
        (self.root / f"{CHAPTER}/figures/gradients.svg").unlink()
        self.rejects(f"{CHAPTER}/main.cpp:25:", "there is no .*gradients.svg")

    def test_image_that_nothing_draws(self):
        self.put(f"{CHAPTER}/figures/stray.svg", "<svg/>")
        self.rejects(f"{CHAPTER}/figures/stray.svg:1:", "no figure call")

    def test_image_no_run_made(self):
        self.put(f"{CHAPTER}/photo.png", b"x")
        self.edit(f"{CHAPTER}/README.md", "figures/gradients.svg", "photo.png")
        self.rejects(f"{CHAPTER}/README.md:19:", "no run made it")

    def test_damaged_results(self):
        self.put(f"{CHAPTER}/results-default.json", "{\n  oops\n}")
        self.rejects(f"{CHAPTER}/results-default.json:2:", "not JSON")
        self.put(f"{CHAPTER}/results-default.json", "[]")
        self.rejects(f"{CHAPTER}/results-default.json:1:", "not a results file")

    def test_exercise_without_solution(self):
        self.edit(f"{CHAPTER}/exercises.md", " [Solution](solutions/01_count.cpp)", "\n\n## 2. More\n\nMore.")
        self.rejects(f"{CHAPTER}/exercises.md:7:", "without a solution")

    def test_solution_without_exercise(self):
        self.put(f"{CHAPTER}/solutions/02_lost.cpp", "int main() {}\n")
        self.rejects(f"{CHAPTER}/solutions/02_lost.cpp:1:", "no exercise leads")

    def test_unterminated_comment_and_string(self):
        self.put("common/nn/linear.cpp", "int a;\n/* never closed\nint b;\n")
        self.rejects("common/nn/linear.cpp:2:", "never closed")
        self.put("common/nn/linear.cpp", 'int a;\n\nconst char* s = "never;\n')
        self.rejects("common/nn/linear.cpp:3:", "never closed")

    def test_not_utf8(self):
        self.put("common/nn/linear.cpp", b"int a;\n// caf\xe9\n")
        self.rejects("common/nn/linear.cpp:2:", "not UTF-8")

    def test_control_character(self):
        self.put("common/nn/linear.cpp", b"int a;\n// \x02M0\x03\n")
        self.rejects("common/nn/linear.cpp:2:", "control character")


class Names(unittest.TestCase):
    """What counts as a declaration, and what does not."""

    def symbols(self, text):
        return {(s.name, "::".join(s.scope), s.kind) for s in cpp.Source(text, "common/x.hpp").symbols}

    def test_declarations(self):
        text = """
            #define CR_FIELDS(...) void visit() { (f(__VA_ARGS__)); }
            namespace cr::nn {
            template <class T, int N = (1 > 2)> [[nodiscard]] inline std::vector<std::pair<T, int>> pairs(const T& x = {}, int n = f(1));
            template <class F> requires std::invocable<F> auto fused(F f) -> Tensor { auto inner = g(1); return inner; }
            enum class Mode : int { train, eval };
            struct Later;
            struct alignas(64) Box final : Base<int> { Box(); explicit Box(int n) : a{n}, b{{1, 2}} { go(); } int a, b; bool operator<(const Box&) const; };
            using Shape = Small<int64_t, 6>;
            inline constexpr double kPi = acos(-1.0);
            Tensor operator+(const Tensor& a, const Tensor& b);
            TEST_CASE("x") { body(); }
            }
            cr::Tensor cr::Tensor::relu() const { return map(*this); }
            """
        self.assertEqual(self.symbols(text), {
            ("CR_FIELDS", "", "macro"), ("pairs", "cr::nn", "function"), ("fused", "cr::nn", "function"), ("Mode", "cr::nn", "type"), ("Box", "cr::nn", "type"),
            ("Box", "cr::nn::Box", "member"), ("Shape", "cr::nn", "type"), ("kPi", "cr::nn", "variable"), ("relu", "cr::Tensor", "member")})

    def test_tokens_lose_nothing(self):
        for path in sorted((DOCS.parent / "common").rglob("*.?pp")):
            text = cpp.read_text(path)
            self.assertEqual("".join(t.text for t in cpp.tokenize(text)), text, path)


class RealBook(unittest.TestCase):
    def test_command_line(self):
        run = subprocess.run([sys.executable, DOCS / "weave.py", "--nonsense"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 2)


if __name__ == "__main__":
    outcome = unittest.main(exit=False, argv=["test_weave"], verbosity=0).result
    print("ok" if outcome.wasSuccessful() else "failed")
    sys.exit(not outcome.wasSuccessful())
