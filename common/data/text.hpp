// # Text
//
// Texts to model, sentences in two languages, and questions about words. Everything is UTF-8. All loaders look in
// `folder`/NAME and in `folder`, or where CHAINRULE_DATA says, and take files compressed with gzip as well. They throw
// IoError, one line, when a file is missing (it says where they looked, and how to come by it), damaged, or not what it
// should be; that line names the line of the file.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace cr::data {

// A million characters of plays: tinyshakespeare/input.txt.
std::string tiny_shakespeare(const std::string& folder = "");

// Articles of Wikipedia, cut into words with spaces between; rare ones are "<unk>" (Merity and others, 2016). Reads
// train.txt, valid.txt and test.txt of wikitext-2. `train` is empty where only the other two are there.
struct WikiText {
  std::string train, valid, test;
};
WikiText wikitext2(const std::string& folder = "");

// A sentence and its translation.
struct SentencePair {
  std::string source, target;
};

// English and French, short ones first: tatoeba-fra-eng/fra.txt, or the archive fra-eng.zip with it in. A line is English,
// a tab, French, and in newer files another tab and who wrote it.
std::vector<SentencePair> tatoeba(const std::string& folder = "");

// Captions in English and German, one a line (Elliott and others, 2016): PART.en and PART.de of multi30k, where PART is
// train, val, test_2016_flickr, test_2017_flickr or test_2017_mscoco.
std::vector<SentencePair> multi30k(const std::string& folder = "", const std::string& part = "train");

// Questions like man : king = woman : ? (Mikolov and others, 2013), in sections such as "family". The file is
// questions-words.txt of word-analogy, or questions-phrases.txt.
struct AnalogySection {
  std::string name;
  std::vector<std::array<std::string, 4>> questions;
};
std::vector<AnalogySection> word_analogies(const std::string& folder = "",
                                           const std::string& file = "questions-words.txt");

// The parsers, for text from elsewhere; `name` stands for the file in messages.
std::vector<SentencePair> parse_sentence_pairs(std::string_view text, const std::string& name = "pairs");
std::vector<AnalogySection> parse_analogies(std::string_view text, const std::string& name = "analogies");

}  // namespace cr::data
