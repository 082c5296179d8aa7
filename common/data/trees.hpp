// # Sentences as trees
//
// The Stanford Sentiment Treebank (Socher and others, 2013): sentences of film reviews, each cut in two, and each part in
// two again, down to the words; and people's verdict on every part, from 0, very negative, to 4, very positive.
//
//     (3 (2 It) (4 (2 is) (4 lovely)))
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cr::data {

// A node has either a word or two children.
struct TreeNode {
  int64_t label = 0;              // 0 to 4
  int64_t left = -1, right = -1;  // places in `nodes`, behind this one's; -1 for a word
  std::string word;
};

struct SentimentTree {
  std::vector<TreeNode> nodes;  // the root first, the left part before the right one
  std::string text() const;     // the words, with spaces between
};

// Reads one line; `name` and `line` are for messages. Throws IoError, one line, for anything but a tree as above.
SentimentTree parse_tree(std::string_view text, const std::string& name = "tree", size_t line = 1);

struct SentimentTrees {
  std::vector<SentimentTree> train, dev, test;
};

// Reads train.txt, dev.txt and test.txt of `folder`/sst or `folder` itself, or where CHAINRULE_DATA says. Throws IoError,
// one line, when a file is missing (it says where it was looked for), empty or damaged.
SentimentTrees sentiment_trees(const std::string& folder = "");

}  // namespace cr::data
