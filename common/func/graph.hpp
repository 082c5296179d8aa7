// # The graph, drawn
//
// What `backward()` will walk, as a picture: an operation is a box with its result's shape and what it keeps for its
// derivative; leaves, which the gradients go to, carry the names given for them. Numbers flow downwards, gradients
// upwards. Only what leads to a leaf is in the graph, so data that require no gradient are not.
//
//     save_graph("graph.svg", loss, state_dict(model));
#pragma once

#include <map>
#include <string>

#include "tensor/tensor.hpp"

namespace cr {

// The graph of y as text for Graphviz, and as an SVG picture, laid out here without any other program. `names` are the
// names of leaves, or of any other tensors; a name without a place in the graph is ignored. Throw AutogradError if y
// requires no gradient; `graph_svg` throws Error for graphs too large to look at (5000 operations).
std::string graph_dot(const Tensor& y, const std::map<std::string, Tensor>& names = {});
std::string graph_svg(const Tensor& y, const std::map<std::string, Tensor>& names = {});

// Writes either to a file, by its ending: `.dot` or `.svg`. Throws Error for another ending, IoError if it cannot be
// written.
void save_graph(const std::string& path, const Tensor& y, const std::map<std::string, Tensor>& names = {});

}  // namespace cr
