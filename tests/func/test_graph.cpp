// # The graph drawn
#include <algorithm>
#include <cctype>

#include "catch.hpp"
#include "chainrule.hpp"
#include "contains.hpp"
#include "io/atomic_file.hpp"

using namespace cr;

namespace {

// Is this well-formed XML of the kind we write? Tags match, attributes are quoted, and < and & stand for nothing else.
std::string xml_fault(const std::string& text) {
  std::vector<std::string> open;
  size_t at = 0;
  auto starts = [&](const std::string& part) { return text.compare(at, part.size(), part) == 0; };
  auto word = [&] {
    size_t begin = at;
    while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '-')) ++at;
    return text.substr(begin, at - begin);
  };
  auto fault = [&](const std::string& what) { return what + ": " + text.substr(at, 60); };
  auto entity = [&] {
    for (const char* e : {"&amp;", "&lt;", "&gt;", "&quot;"}) {
      if (starts(e)) return at += std::string(e).size(), true;
    }
    return false;
  };
  while (at < text.size()) {
    if (text[at] == '&') {
      if (!entity()) return fault("a bare &");
    } else if (text[at] != '<') {
      ++at;
    } else if (starts("</")) {
      at += 2;
      std::string name = word();
      if (open.empty() || open.back() != name || !starts(">")) return fault("an unexpected end of " + name);
      open.pop_back();
    } else {
      ++at;
      std::string name = word();
      if (name.empty()) return fault("a bare <");
      while (starts(" ")) {
        ++at;
        if (word().empty() || !starts("=\"")) return fault("a bad attribute");
        for (at += 2; at < text.size() && text[at] != '"';) {
          if (text[at] == '<' || (text[at] == '&' && !entity())) return fault("a bad value");
          if (text[at] != '"') ++at;
        }
        ++at;
      }
      if (starts("/>")) ++at;
      else open.push_back(name);
      if (!starts(">")) return fault("a bad tag");
    }
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

// The number after `name="`.
double value_of(const std::string& box, const std::string& name) {
  return std::stod(box.substr(box.find(name + "=\"") + name.size() + 2, 20));
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a drawn graph shows every operation, leaf, shape and arrow", "[func]") {
  Generator g(1);
  Tensor w = randn({3, 4}, g).requires_grad_(), b = randn({3}, g).requires_grad_(), x = randn({5, 4}, g);
  Tensor h = tanh(linear(x, w, b));
  Tensor loss = sum(square(h) + h);
  std::map<std::string, Tensor> names{{"out.weight", w}, {"out.bias", b}, {"data", x}};

  std::string dot = graph_dot(loss, names);
  for (const char* part :
       {"linear", "tanh", "square", "add", "sum", "out.weight\\n(3, 4)", "out.bias\\n(3,)", "(5, 3)"}) {
    CHECK_THAT(dot, ContainsSubstring(part));
  }
  CHECK_THAT(dot, !ContainsSubstring("data"));
  CHECK(count(dot, " -> ") == 7);
  CHECK_THAT(dot, ContainsSubstring("linear\\n(5, 3) · keeps 80 B"));  // x; the weight is a leaf's
  CHECK_THAT(dot, ContainsSubstring("tanh\\n(5, 3) · keeps 60 B"));
  CHECK_THAT(dot, ContainsSubstring("square\\n(5, 3)\""));  // what it needs, tanh keeps already

  std::string svg = graph_svg(loss, names);
  CHECK(xml_fault(svg) == "");
  for (const char* part : {">linear<", ">tanh<", ">square<", ">add<", ">sum<", ">out.weight<", ">(3,)<"}) {
    CHECK(count(svg, part) == 1);
  }
  CHECK(count(svg, "<rect") == 7);
  CHECK(count(svg, "<path") == 7);
  CHECK(graph_svg(loss, names) == svg);
}

TEST_CASE("names are escaped, in both", "[func]") {
  Tensor x = ones({2}).requires_grad_();
  std::map<std::string, Tensor> names{{"<a & \"b\">\n\x01\xff β\\", x}};
  std::string svg = graph_svg(sum(x * x), names), dot = graph_dot(sum(x * x), names);
  CHECK(xml_fault(svg) == "");
  CHECK_THAT(svg, ContainsSubstring("&lt;a &amp; &quot;b&quot;&gt;??? β\\"));
  CHECK_THAT(dot, ContainsSubstring("<a & \\\"b\\\">?"));
  CHECK(count(svg, "<path") == 2);  // x * x is one arrow
}

TEST_CASE("long, deep and branching graphs are laid out", "[func]") {
  Tensor x = ones({1}).requires_grad_(), y = x;
  for (int i = 0; i < 300; ++i) y = y + 1;
  CHECK(xml_fault(graph_svg(y + x)) == "");  // an arrow that passes 300 layers
  Tensor wide = x;
  for (int i = 0; i < 40; ++i) wide = wide + x * (x + i);
  std::string svg = graph_svg(wide);
  CHECK(xml_fault(svg) == "");
  CHECK(count(svg, "<rect") == 121);
  CHECK(xml_fault(graph_svg(x)) == "");  // a leaf alone

  for (int i = 0; i < 6000; ++i) y = y + 1;
  CHECK_THROWS_WITH(graph_svg(y), ContainsSubstring("too large to draw"));
  CHECK(count(graph_dot(y), " -> ") == 6300);
}

TEST_CASE("boxes of a layer do not overlap", "[func]") {
  Generator g(2);
  Tensor x = randn({4, 4}, g).requires_grad_();
  Tensor a = exp(x), b = tanh(x), c = sin(x) * a, d = cos(b) + c;
  std::string svg = graph_svg(sum(matmul(c, d) + a * b + sqrt(exp(d))));
  std::map<double, std::vector<std::pair<double, double>>> rows;
  for (size_t at = svg.find("<rect"); at != std::string::npos; at = svg.find("<rect", at + 1)) {
    std::string box = svg.substr(at, svg.find('>', at) - at);
    rows[value_of(box, " y")].emplace_back(value_of(box, " x"), value_of(box, " width"));
  }
  CHECK(rows.size() >= 5);
  for (auto& [y, boxes] : rows) {
    std::sort(boxes.begin(), boxes.end());
    for (size_t i = 0; i + 1 < boxes.size(); ++i) CHECK(boxes[i].first + boxes[i].second < boxes[i + 1].first);
  }
}

TEST_CASE("save_graph goes by the file's ending", "[func]") {
  Tensor x = ones({1}).requires_grad_();
  std::string base = "func_graph_test";
  save_graph(base + ".svg", x * 2);
  save_graph(base + ".dot", x * 2);
  CHECK(io::read_file(base + ".svg") == graph_svg(x * 2));
  CHECK(io::read_file(base + ".dot") == graph_dot(x * 2));
  std::remove((base + ".svg").c_str());
  std::remove((base + ".dot").c_str());
  CHECK_THROWS_WITH(save_graph("graph.png", x * 2), "save_graph: graph.png: the name must end in .svg or .dot");
  CHECK_THROWS_AS(save_graph("/nowhere/at/all.svg", x * 2), IoError);
  CHECK_THROWS_AS(graph_dot(ones({1})), AutogradError);
}
