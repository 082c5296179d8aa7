// Feeds whatever libFuzzer invents to the readers of texts: trees, pairs of sentences, questions about words. The first
// byte chooses one. It may refuse the text with an IoError; anything else is a bug, and so is a tree that is none.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "data/text.hpp"
#include "data/trees.hpp"
#include "tensor/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] % 3 == 0) {
      cr::data::parse_sentence_pairs(text);
    } else if (data[0] % 3 == 1) {
      cr::data::parse_analogies(text);
    } else {
      const cr::data::SentimentTree tree = cr::data::parse_tree(text);
      // Every node but the root is a part of one node before it, and has either a word or two parts.
      const auto n = static_cast<int64_t>(tree.nodes.size());
      int64_t parts = 0;
      for (int64_t i = 0; i < n; ++i) {
        const auto& node = tree.nodes[static_cast<size_t>(i)];
        const bool leaf = node.left == -1 && node.right == -1;
        if (leaf == node.word.empty() || node.label < 0 || node.label > 4) __builtin_trap();
        if (!leaf && !(i < node.left && node.left < node.right && node.right < n)) __builtin_trap();
        parts += leaf ? 0 : 2;
      }
      if (parts != n - 1) __builtin_trap();
    }
  } catch (const cr::IoError&) {
  }
  return 0;
}
