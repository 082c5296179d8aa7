// # The vocabularies of published models
//
// What GPT-2 and BERT cut text into, as their authors published it, and texts with the ids that it must be cut into: what
// a tokenizer of ours is tested against. All loaders look in `folder`/NAME and in `folder`, or where CHAINRULE_DATA says.
// They throw IoError, one line, when a file is missing (it says where they looked) or is not what it should be.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cr::data {

// A text and what it is cut into; `tokens` may be left out.
struct ReferenceEncoding {
  std::string text;
  std::vector<std::string> tokens;
  std::vector<int64_t> ids;
};

// GPT-2 (Radford and others, 2019): pairs of tokens that are merged, the most common first. Bytes are written as the
// printable characters that GPT-2 has for them, a space as "Ġ". Reads encoder.json and vocab.bpe of tokenizer-gpt2, and
// the references that are there.
struct Gpt2Vocabulary {
  std::vector<std::string> tokens;                          // by id
  std::vector<std::pair<std::string, std::string>> merges;  // the result of each is a token too
  std::vector<ReferenceEncoding> references;
};
Gpt2Vocabulary gpt2_vocabulary(const std::string& folder = "");

// BERT, uncased (Devlin and others, 2018): whole words and, beginning with "##", their continuations. Reads vocab.txt of
// tokenizer-bert, and the references that are there: those of single texts begin with [CLS] and end with [SEP], those of
// questions do not.
struct BertVocabulary {
  std::vector<std::string> tokens;  // by id
  std::vector<ReferenceEncoding> texts, questions;
};
BertVocabulary bert_vocabulary(const std::string& folder = "");

}  // namespace cr::data
