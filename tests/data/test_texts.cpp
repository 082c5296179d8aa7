// Texts, pairs, trees and vocabularies: read as they are, and refused with their line when they are not.

#include <filesystem>
#include <functional>
#include <set>

#include "catch.hpp"
#include "contains.hpp"
#include "data/source.hpp"
#include "data/text.hpp"
#include "data/trees.hpp"
#include "data/vocabulary.hpp"
#include "io/atomic_file.hpp"
#include "io/hostile.hpp"
#include "io/temporary_folder.hpp"
#include "io/zip.hpp"
#include "real_data.hpp"

using namespace cr;
using namespace cr::data;
using namespace std::string_literals;
using io::write_file;

namespace {

std::string complaint(const std::function<void()>& f) {
  try {
    f();
  } catch (const IoError& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("what is UTF-8 and what is not", "[text]") {
  for (const std::string& good :
       {""s, "plain\n"s, "é ß € 😀"s, "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"s,
        "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"s})
    CHECK_NOTHROW(check_utf8(good, "f"));
  // A continuation without a start, cut short, overlong, a surrogate, beyond the last character, never a byte of UTF-8.
  for (const std::string& bad :
       {"\x80"s, "\xc3"s, "\xe2\x82"s, "\xf0\x9f\x98"s, "\xc3x"s, "\xc0\xaf"s, "\xc1\xbf"s, "\xe0\x9f\xbf"s,
        "\xf0\x8f\xbf\xbf"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s})
    CHECK(complaint([&] { check_utf8("a\nb" + bad, "f"); }) == "f: line 2: a byte that is no UTF-8");
  CHECK(complaint([&] { check_utf8("a\0"s, "f"); }) == "f: line 1: a NUL byte");
}

TEST_CASE("lines and words", "[text]") {
  using Views = std::vector<std::string_view>;
  CHECK(lines_of("") == Views{});
  CHECK(lines_of("a\n\nb\r\nc") == Views{"a", "", "b", "c"});
  CHECK(lines_of("\n") == Views{""});
  CHECK(words_of("  a bc  d ") == Views{"a", "bc", "d"});
  CHECK(words_of(" ") == Views{});
}

TEST_CASE("whole texts", "[text]") {
  TemporaryFolder folder;
  CHECK(
      complaint([&] { tiny_shakespeare(folder / ""); }) ==
      "tinyshakespeare: no input.txt in " + (folder / "") + "/tinyshakespeare or " + (folder / "") +
          "; ./run data tinyshakespeare fetches the data set, and CHAINRULE_DATA=DIR or --data DIR says where it lies");
  std::filesystem::create_directory(folder / "tinyshakespeare");
  write_file(folder / "tinyshakespeare/input.txt", "First Citizen:\n");
  CHECK(tiny_shakespeare(folder / "") == "First Citizen:\n");
  write_file(folder / "tinyshakespeare/input.txt", "");
  CHECK_THROWS_WITH(tiny_shakespeare(folder / ""), ContainsSubstring("input.txt: empty"));

  write_file(folder / "valid.txt", " = A = \n");
  CHECK_THROWS_WITH(wikitext2(folder / ""), ContainsSubstring("no test.txt"));
  write_file(folder / "test.txt", " = B = \n");
  CHECK(wikitext2(folder / "").train.empty());
  write_file(folder / "train.txt", " = C = \n");
  CHECK(wikitext2(folder / "").train == " = C = \n");
  write_file(folder / "train.txt", "x\xff");
  CHECK_THROWS_WITH(wikitext2(folder / ""), ContainsSubstring("train.txt: line 1: a byte that is no UTF-8"));
}

TEST_CASE("sentences in two languages", "[text]") {
  const auto pairs = parse_sentence_pairs("Go.\tVa !\r\nRun!\tCours !\tCC-BY 2.0\n");
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].source == "Go.");
  CHECK(pairs[0].target == "Va !");
  CHECK(pairs[1].target == "Cours !");
  const auto parse = [](const std::string& text) { return complaint([&] { parse_sentence_pairs(text, "f"); }); };
  CHECK(parse("") == "f: empty");
  CHECK(parse("a\tb\n\n") == "f: line 2: no tab between two sentences");
  CHECK(parse("a\tb\nab") == "f: line 2: no tab between two sentences");
  CHECK(parse("a\tb\tc\td") == "f: line 1: more than two tabs");
  CHECK(parse("a\t \n") == "f: line 1: an empty sentence");
  CHECK(parse("\tb\n") == "f: line 1: an empty sentence");
  CHECK(parse("a\t\xff\n") == "f: line 1: a byte that is no UTF-8");

  TemporaryFolder folder;
  write_file(folder / "train.en", "A dog.\nTwo dogs.\n");
  write_file(folder / "train.de", "Ein Hund.\nZwei Hunde.\n");
  CHECK(multi30k(folder / "")[1].target == "Zwei Hunde.");
  CHECK_THROWS_WITH(multi30k(folder / "", "val"), ContainsSubstring("no val.en"));
  write_file(folder / "train.de", "Ein Hund.\n \n");
  CHECK_THROWS_WITH(multi30k(folder / ""), ContainsSubstring("train.de: line 2: an empty sentence"));
  write_file(folder / "train.de", "Ein Hund.\n");
  CHECK_THROWS_WITH(multi30k(folder / ""), ContainsSubstring("train.de: 1 lines for 2 English ones"));
}

TEST_CASE("sentence pairs as a text", "[text]") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(tatoeba(folder / ""), ContainsSubstring("no fra.txt"));
  write_file(folder / "fra-eng.zip", "nonsense");  // the text comes first
  write_file(folder / "fra.txt", "Stop.\tHalte !\n");
  CHECK(tatoeba(folder / "")[0].source == "Stop.");
}

#if CHAINRULE_LIBZIP
TEST_CASE("sentence pairs in an archive", "[text]") {
  TemporaryFolder folder;
  io::ZipWriter archive(folder / "fra-eng.zip");
  archive.add("fra.txt", "Go.\tVa !\n");
  archive.commit();
  CHECK(tatoeba(folder / "")[0].target == "Va !");
  const std::string whole = io::read_file(folder / "fra-eng.zip");
  for (size_t length = 0; length < whole.size(); ++length) {
    write_file(folder / "fra-eng.zip", whole.substr(0, length));
    CHECK_THROWS_AS(tatoeba(folder / ""), IoError);
  }
}
#else
TEST_CASE("sentence pairs in an archive", "[text]") { SKIP("this build has no libzip"); }
#endif

TEST_CASE("analogies in sections", "[text]") {
  const auto sections = parse_analogies(": family\nboy girl king queen\n: verbs\na b c d\n");
  REQUIRE(sections.size() == 2);
  CHECK(sections[0].name == "family");
  CHECK(sections[0].questions[0] == std::array<std::string, 4>{"boy", "girl", "king", "queen"});
  const auto parse = [](const std::string& text) { return complaint([&] { parse_analogies(text, "f"); }); };
  CHECK(parse("") == "f: empty");
  CHECK(parse("a b c d\n") == "f: line 1: a question before the first section");
  CHECK(parse(": s\na b c\n") == "f: line 2: 3 words, neither a question of four nor \": SECTION\"");
  CHECK(parse(": s\n\n") == "f: line 2: 0 words, neither a question of four nor \": SECTION\"");
  CHECK(parse(": s\n: t\na b c d\n") == "f: no question in section \"s\"");
}

TEST_CASE("a tree by hand", "[trees]") {
  const SentimentTree tree = parse_tree("(3 (2 It) (4 (2 's) (4 lovely)))");
  REQUIRE(tree.nodes.size() == 5);
  CHECK(tree.nodes[0].label == 3);
  CHECK(tree.nodes[0].left == 1);
  CHECK(tree.nodes[0].right == 2);
  CHECK(tree.nodes[1].word == "It");
  CHECK(tree.nodes[2].left == 3);
  CHECK(tree.nodes[4].word == "lovely");
  CHECK(tree.nodes[4].left == -1);
  CHECK(tree.text() == "It 's lovely");
  CHECK(parse_tree(" (1 no) ").nodes.size() == 1);
  CHECK(parse_tree("(1 R  ock )").nodes[0].word == "R  ock");
}

TEST_CASE("what is no tree", "[trees]") {
  const auto parse = [](const std::string& text) { return complaint([&] { parse_tree(text, "f", 7); }); };
  CHECK(parse("(5 x)") == "f: line 7: no label from 0 to 4 behind a bracket");
  CHECK(parse("(x y)") == "f: line 7: no label from 0 to 4 behind a bracket");
  CHECK(parse("(12 x)") == "f: line 7: no space behind a label");
  CHECK(parse("(2 (2 a) b)") == "f: line 7: a word beside a part");
  CHECK(parse("(2 (2 a))") == "f: line 7: a part with neither a word nor two parts");
  CHECK(parse("(2 )") == "f: line 7: a part with neither a word nor two parts");
  CHECK(parse("(2 (2 a) (2 b) (2 c))") == "f: line 7: a third part, or a part beside a word");
  CHECK(parse("(2 a (2 b))") == "f: line 7: a third part, or a part beside a word");
  CHECK(parse("(2 a) (2 b)") == "f: line 7: something behind the tree");
  CHECK(parse("(2 a))") == "f: line 7: something behind the tree");
  for (std::string text : {"", " ", "word", ")"})
    CHECK(parse(text) == "f: line 7: it ends before its brackets close, or has none");
  // Cut short anywhere, and one byte of it changed.
  const std::string whole = "(3 (2 It) (4 (2 's) (4 lovely)))";
  refuse_every_cut(whole, [](const std::string& text) { parse_tree(text, "f"); });
  CHECK(survive_damage(whole, [](const std::string& text) { parse_tree(text, "f"); }) > 100);
  // Deeper than any stack of calls.
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) deep += "(2 ";
  CHECK(parse(deep) == "f: line 7: it ends before its brackets close, or has none");
}

TEST_CASE("vocabularies", "[vocabulary]") {
  TemporaryFolder folder;
  const auto gpt2 = [&] { return gpt2_vocabulary(folder / ""); };
  CHECK_THROWS_WITH(gpt2(), ContainsSubstring("no encoder.json"));
  write_file(folder / "encoder.json", R"({"a": 1, "b": 0, "ab": 2})");
  write_file(folder / "vocab.bpe", "#version: 0.2\na b\n");
  CHECK(gpt2().tokens == std::vector<std::string>{"b", "a", "ab"});
  CHECK(gpt2().merges == std::vector<std::pair<std::string, std::string>>{{"a", "b"}});
  CHECK(gpt2().references.empty());
  write_file(folder / "encoded_tokens.json", R"({"text": "ab a", "bpe_tokens": ["ab", "a"], "token_ids": [2, 1]})");
  CHECK(gpt2().references.at(0).ids == std::vector<int64_t>{2, 1});
  for (std::string bad :
       {"", "{}", "[]", "3", R"({"text": 1, "bpe_tokens": [], "token_ids": []})",
        R"({"text": "", "bpe_tokens": [1], "token_ids": []})", R"({"text": "", "bpe_tokens": [], "token_ids": [3]})",
        R"({"text": "", "bpe_tokens": [], "token_ids": [-1]})", R"({"text": "", "bpe_tokens": [], "token_ids": [0.5]})",
        R"({"text": "", "bpe_tokens": {}, "token_ids": []})"}) {
    CAPTURE(bad);
    write_file(folder / "encoded_tokens.json", bad);
    CHECK_THROWS_WITH(gpt2(), ContainsSubstring("encoded_tokens.json: "));
  }
  std::filesystem::remove(folder / "encoded_tokens.json");
  for (std::string bad : {"a\n", "a b c\n", "a b\n\n", "b a\n", "", "#version: 0.2\n"}) {
    write_file(folder / "vocab.bpe", bad);
    CHECK_THROWS_WITH(gpt2(), ContainsSubstring("vocab.bpe: "));
  }
  for (std::string bad :
       {"", "{}", "[1]", R"({"a": 0, "b": 0})", R"({"a": 0, "b": 2})", R"({"a": "0"})", R"({"a": 0.0})", R"({"a": -1})",
        R"({"a": 18446744073709551615})", R"({"a": 0)", R"({"a": 0}})", "{\"\xff\": 0}"}) {
    CAPTURE(bad);
    write_file(folder / "encoder.json", bad);
    CHECK_THROWS_WITH(gpt2(), ContainsSubstring("encoder.json: "));
  }
  // Nested deeper than any stack of calls.
  write_file(folder / "encoder.json", std::string(1'000'000, '['));
  CHECK_THROWS_AS(gpt2(), IoError);

  const auto bert = [&] { return bert_vocabulary(folder / ""); };
  const std::string special = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  write_file(folder / "vocab.txt", special + "dog\n##s\n");
  CHECK(bert().tokens.size() == 7);
  write_file(folder / "question_tokens.json",
             R"([{"original": "Dogs", "basic": ["dogs"], "wordpiece": ["dog", "##s"]}])");
  write_file(folder / "tokenized_questions.json", "[[5, 6]]");
  CHECK(bert().questions.at(0).ids == std::vector<int64_t>{5, 6});
  for (std::string bad : {"[[5]]", "[[5, 7]]", "[]", "[[5, 6], []]", "{}"}) {
    write_file(folder / "tokenized_questions.json", bad);
    CHECK_THROWS_WITH(bert(), ContainsSubstring("tokenized_questions.json: "));
  }
  for (std::string bad : {"dog\n"s, special + "\n"s, special + "dog\ndog\n"s}) {
    write_file(folder / "vocab.txt", bad);
    CHECK_THROWS_WITH(bert(), ContainsSubstring("vocab.txt: "));
  }
}

TEST_CASE("the real texts", "[text]") {
  const std::string data = real_data("tinyshakespeare");
  if (data.empty()) SKIP("no tinyshakespeare in CHAINRULE_DATA");
  const std::string text = tiny_shakespeare(data);
  CHECK(text.size() == 1115394);
  CHECK(std::set<char>(text.begin(), text.end()).size() == 65);
}

TEST_CASE("the real WikiText-2", "[text]") {
  const std::string data = real_data("wikitext-2");
  if (data.empty()) SKIP("no wikitext-2 in CHAINRULE_DATA");
  const WikiText text = wikitext2(data);
  const auto count = [](const std::string& part) {  // line ends count as words, as in the paper
    const auto lines = lines_of(part);
    size_t words = lines.size();
    for (std::string_view line : lines) words += words_of(line).size();
    return words;
  };
  CHECK(count(text.valid) == 217646);
  CHECK(count(text.test) == 245569);
  CHECK((text.train.empty() || count(text.train) == 2088628));
}

#if CHAINRULE_LIBZIP
TEST_CASE("the real sentence pairs", "[text]") {
  const std::string data = real_data("tatoeba-fra-eng");
  if (data.empty()) SKIP("no tatoeba-fra-eng in CHAINRULE_DATA");
  const auto pairs = tatoeba(data);
  CHECK(pairs.size() == 142787);
  CHECK(pairs[0].source == "Go.");
}
#else
TEST_CASE("the real sentence pairs", "[text]") { SKIP("this build has no libzip"); }
#endif

#if CHAINRULE_ZLIB
TEST_CASE("the real captions", "[text]") {
  const std::string data = real_data("multi30k");
  if (data.empty()) SKIP("no multi30k in CHAINRULE_DATA");
  CHECK(multi30k(data).size() == 29000);
  CHECK(multi30k(data, "val").size() == 1014);
  CHECK(multi30k(data, "test_2017_mscoco").size() == 461);
}
#else
TEST_CASE("the real captions", "[text]") { SKIP("this build has no zlib"); }
#endif

TEST_CASE("the real analogies", "[text]") {
  const std::string data = real_data("word-analogy");
  if (data.empty()) SKIP("no word-analogy in CHAINRULE_DATA");
  size_t words = 0, phrases = 0;
  for (const auto& section : word_analogies(data)) words += section.questions.size();
  for (const auto& section : word_analogies(data, "questions-phrases.txt")) phrases += section.questions.size();
  CHECK(words == 19544);
  CHECK(phrases == 3218);
}

TEST_CASE("the real trees", "[trees]") {
  const std::string whole = real_data("sst"), other = real_data("sst-trees");
  if (whole.empty() && other.empty()) SKIP("no sst in CHAINRULE_DATA");
  const SentimentTrees trees = sentiment_trees(whole.empty() ? other : whole);
  CHECK(trees.train.size() == 8544);
  CHECK(trees.dev.size() == 1101);
  CHECK(trees.test.size() == 2210);
  CHECK(trees.dev[0].text() == "It 's a lovely film with lovely performances by Buy and Accorsi .");
  // The published counts of the training sentences' five labels.
  std::array<int, 5> counts{};
  for (const SentimentTree& tree : trees.train) ++counts[static_cast<size_t>(tree.nodes[0].label)];
  CHECK(counts == std::array<int, 5>{1092, 2218, 1624, 2322, 1288});
}

#if CHAINRULE_ZLIB
TEST_CASE("the real vocabularies", "[vocabulary]") {
  const std::string gpt2 = real_data("tokenizer-gpt2"), bert = real_data("tokenizer-bert");
  if (gpt2.empty() || bert.empty()) SKIP("no tokenizer-gpt2 or no tokenizer-bert in CHAINRULE_DATA");
  const Gpt2Vocabulary g = gpt2_vocabulary(gpt2);
  CHECK(g.tokens.size() == 50257);
  CHECK(g.merges.size() == 50000);
  REQUIRE(g.references.size() == 2);
  for (const ReferenceEncoding& r : g.references)
    for (size_t i = 0; i < r.ids.size(); ++i) CHECK(g.tokens[static_cast<size_t>(r.ids[i])] == r.tokens.at(i));
  const BertVocabulary b = bert_vocabulary(bert);
  CHECK(b.tokens.size() == 30522);
  CHECK(b.texts.size() == 19);
  CHECK(b.questions.size() == 10570);
  size_t wrong = 0;
  for (const ReferenceEncoding& r : b.questions)
    for (size_t i = 0; i < r.ids.size(); ++i) wrong += b.tokens[static_cast<size_t>(r.ids[i])] != r.tokens[i];
  CHECK(wrong == 0);
}
#else
TEST_CASE("the real vocabularies", "[vocabulary]") { SKIP("this build has no zlib"); }
#endif
