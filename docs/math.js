// Formulas in, HTML out: a JSON list of {tex, display} on stdin becomes a list of {html} or {error} on stdout.
// One process renders the whole book. The argument is the katex.js to use.
const katex = require(process.argv[2]);
let input = "";
process.stdin.setEncoding("utf8").on("data", (part) => (input += part)).on("end", () => {
  const results = JSON.parse(input).map(({ tex, display }) => {
    try {
      return { html: katex.renderToString(tex, { displayMode: display, throwOnError: true, strict: "ignore" }) };
    } catch (error) {
      return { error: String(error.message).replace(/\s+/g, " ") };
    }
  });
  process.stdout.write(JSON.stringify(results));
});
