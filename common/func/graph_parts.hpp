// What a drawing of a graph is made from.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr::graph {

struct Part {
  std::string title, detail;  // "linear", "(32, 10) · keeps 40 kB"
  bool leaf = false;
  std::vector<size_t> inputs;  // the parts it was computed from
};

// The parts of y's graph, every part after its inputs, y's own last. Names are as the user gave them, not escaped.
std::vector<Part> parts_of(const char* op, const Tensor& y, const std::map<std::string, Tensor>& names);

// Text made safe for XML: what is special is escaped, what is no UTF-8 or no character becomes '?'.
std::string xml(const std::string& text);

// The number of characters in UTF-8 text.
size_t characters(const std::string& text);

}  // namespace cr::graph
