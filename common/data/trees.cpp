#include "data/trees.hpp"

#include "data/source.hpp"
#include "tensor/error.hpp"

namespace cr::data {

// A loop with a stack of its own: a hostile line could nest deeper than calls may.
SentimentTree parse_tree(std::string_view text, const std::string& name, size_t line) {
  SentimentTree tree;
  std::vector<int64_t> open;  // the nodes whose bracket is not closed yet, outermost first
  size_t at = 0;
  const auto next = [&] { return at < text.size() ? text[at] : '\0'; };
  const auto skip_spaces = [&] { at = std::min(text.find_first_not_of(' ', at), text.size()); };
  do {
    skip_spaces();
    if (next() == '(') {
      // It is its parent's first or second part, or the root.
      const auto place = static_cast<int64_t>(tree.nodes.size());
      if (!open.empty()) {
        TreeNode& parent = tree.nodes[static_cast<size_t>(open.back())];
        if (parent.right >= 0 || !parent.word.empty()) fail_at(name, line, "a third part, or a part beside a word");
        (parent.left < 0 ? parent.left : parent.right) = place;
      }
      ++at;
      if (next() < '0' || next() > '4') fail_at(name, line, "no label from 0 to 4 behind a bracket");
      tree.nodes.push_back({next() - '0', -1, -1, ""});
      open.push_back(place);
      ++at;
      if (next() != ' ') fail_at(name, line, "no space behind a label");
    } else if (next() == ')' && !open.empty()) {
      const TreeNode& node = tree.nodes[static_cast<size_t>(open.back())];
      if (node.word.empty() && node.right < 0) fail_at(name, line, "a part with neither a word nor two parts");
      open.pop_back();
      ++at;
    } else {
      // A word goes on to the next bracket. Copies of the data are about in which one holds spaces: "R  ock".
      const size_t end = std::min(text.find_first_of("()", at), text.size());
      if (open.empty() || end == at) fail_at(name, line, "it ends before its brackets close, or has none");
      TreeNode& node = tree.nodes[static_cast<size_t>(open.back())];
      if (!node.word.empty() || node.left >= 0) fail_at(name, line, "a word beside a part");
      node.word = text.substr(at, text.find_last_not_of(' ', end - 1) + 1 - at);
      at = end;
    }
  } while (!open.empty());
  skip_spaces();
  if (at != text.size()) fail_at(name, line, "something behind the tree");
  return tree;
}

std::string SentimentTree::text() const {
  std::string words;
  for (const TreeNode& node : nodes)
    if (!node.word.empty()) words += (words.empty() ? "" : " ") + node.word;
  return words;
}

SentimentTrees sentiment_trees(const std::string& folder) {
  const Source source(folder, "sst", {"sst-trees"});
  const auto read = [&](const char* file) {
    const std::string path = source.get(file), text = read_utf8(path);
    const std::vector<std::string_view> lines = lines_of(text);
    std::vector<SentimentTree> trees;
    for (size_t i = 0; i < lines.size(); ++i) trees.push_back(parse_tree(lines[i], path, i + 1));
    if (trees.empty()) throw IoError(path + ": empty");
    return trees;
  };
  return {read("train.txt"), read("dev.txt"), read("test.txt")};
}

}  // namespace cr::data
