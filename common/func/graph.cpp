#include "func/graph.hpp"

#include <algorithm>
#include <cstdio>
#include <unordered_map>
#include <unordered_set>

#include "autograd/autograd.hpp"
#include "func/graph_parts.hpp"
#include "io/atomic_file.hpp"

namespace cr {
namespace graph {
namespace {

std::string bytes_text(int64_t bytes) {
  char text[32];
  double n = static_cast<double>(bytes);
  if (bytes < 1000) std::snprintf(text, sizeof text, "%d B", static_cast<int>(bytes));
  else if (n < 1e6) std::snprintf(text, sizeof text, "%.3g kB", n / 1e3);
  else std::snprintf(text, sizeof text, "%.3g MB", n / 1e6);
  return text;
}

// What a node keeps alive that no leaf and no node before it does.
int64_t kept_bytes(Node& node, std::unordered_set<Storage*>& known) {
  int64_t bytes = 0;
  for (const Node::Slot& slot : node.slots()) {
    bool of_leaf = slot.source >= 0 && node.edges()[static_cast<size_t>(slot.source)].node &&
                   node.edges()[static_cast<size_t>(slot.source)].get()->is_leaf();
    if (!slot.storage || of_leaf || !known.insert(slot.storage.get()).second) continue;
    bytes += slot.storage->bytes();
  }
  return bytes;
}

// Nodes reachable from `last`, inputs first; without recursion, which a deep graph would overflow.
std::vector<Node*> sorted_nodes(Node* last) {
  std::vector<Node*> nodes{last};
  std::unordered_set<Node*> seen{last};
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (Node::Edge& e : nodes[i]->edges()) {
      if (e.node && seen.insert(e.get()).second) nodes.push_back(e.get());
    }
  }
  std::reverse(nodes.begin(), nodes.end());
  std::stable_sort(nodes.begin(), nodes.end(), [](Node* a, Node* b) { return a->depth < b->depth; });
  return nodes;
}

}  // namespace

std::vector<Part> parts_of(const char* op, const Tensor& y, const std::map<std::string, Tensor>& names) {
  Node* last = node_of(y);
  if (!last) throw AutogradError(std::string(op) + ": the tensor requires no gradient, so there is no graph to draw");
  std::unordered_map<Node*, std::string> named;
  for (auto& [name, t] : names) {
    if (Node* n = t.defined() ? node_of(t) : nullptr)
      named[n] += (named.count(n) && !named[n].empty() ? ", " : "") + name;
  }
  std::vector<Part> parts;
  std::unordered_map<Node*, size_t> place;
  std::unordered_set<Storage*> known;
  for (Node* n : sorted_nodes(last)) {
    Part part;
    part.leaf = n->is_leaf();
    auto name = named.find(n);
    if (part.leaf) part.title = name == named.end() ? "leaf" : name->second;
    else part.title = name == named.end() ? n->name : std::string(n->name) + " = " + name->second;
    for (const Node::Output& o : n->outputs()) part.detail += (part.detail.empty() ? "" : " ") + to_string(o.shape);
    if (int64_t bytes = kept_bytes(*n, known)) part.detail += " · keeps " + bytes_text(bytes);
    for (Node::Edge& e : n->edges()) {
      if (e.node) part.inputs.push_back(place.at(e.get()));
    }
    place[n] = parts.size();
    parts.push_back(std::move(part));
  }
  return parts;
}

// The length of the UTF-8 character at text[i], 0 if there is none that XML allows.
static size_t character_length(const std::string& text, size_t i) {
  auto byte = [&](size_t k) { return static_cast<unsigned char>(k < text.size() ? text[k] : 0); };
  unsigned first = byte(i);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  uint32_t code = first & (0xff >> (length + 1));
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i + k) & 0x3f);
  }
  bool shortest = length == 2 || (length == 3 ? code >= 0x800 : code >= 0x10000);
  bool surrogate = code >= 0xd800 && code < 0xe000;
  return shortest && !surrogate && code != 0xfffe && code != 0xffff && code <= 0x10ffff ? length : 0;
}

std::string xml(const std::string& text) {
  std::string safe;
  for (size_t i = 0; i < text.size();) {
    size_t n = character_length(text, i);
    if (n == 0) safe += '?';
    else if (text[i] == '&') safe += "&amp;";
    else if (text[i] == '<') safe += "&lt;";
    else if (text[i] == '>') safe += "&gt;";
    else if (text[i] == '"') safe += "&quot;";
    else safe.append(text, i, n);
    i += std::max<size_t>(n, 1);
  }
  return safe;
}

size_t characters(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace graph

std::string graph_dot(const Tensor& y, const std::map<std::string, Tensor>& names) {
  auto quoted = [](const std::string& text) {
    std::string safe;
    for (char c : text) {
      if (c == '"' || c == '\\') safe += '\\';
      safe += static_cast<unsigned char>(c) < 32 ? '?' : c;
    }
    return safe;
  };
  auto parts = graph::parts_of("graph_dot", y, names);
  std::string dot = "digraph graph_of_a_run {\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n";
  for (size_t i = 0; i < parts.size(); ++i) {
    dot += "  n" + std::to_string(i) + " [label=\"" + quoted(parts[i].title) + "\\n" + quoted(parts[i].detail) + "\"" +
           (parts[i].leaf ? ", style=\"rounded,filled\", fillcolor=\"#cfe3f0\"" : "") + "];\n";
    for (size_t from : parts[i].inputs) dot += "  n" + std::to_string(from) + " -> n" + std::to_string(i) + ";\n";
  }
  return dot + "}\n";
}

void save_graph(const std::string& path, const Tensor& y, const std::map<std::string, Tensor>& names) {
  if (path.ends_with(".svg")) return io::write_file(path, graph_svg(y, names));
  if (path.ends_with(".dot")) return io::write_file(path, graph_dot(y, names));
  throw Error("save_graph: " + path + ": the name must end in .svg or .dot");
}

}  // namespace cr
