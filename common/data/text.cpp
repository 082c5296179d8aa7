#include "data/text.hpp"

#include "data/source.hpp"
#include "io/atomic_file.hpp"
#include "io/bytes.hpp"
#include "io/zip.hpp"
#include "tensor/error.hpp"

namespace cr::data {
namespace {

std::string read_some(const std::string& path) {
  std::string text = read_utf8(path);
  if (text.empty()) throw IoError(path + ": empty");
  return text;
}

bool blank(std::string_view text) { return text.find_first_not_of(" \t") == std::string_view::npos; }

}  // namespace

std::string tiny_shakespeare(const std::string& folder) {
  return read_some(Source(folder, "tinyshakespeare").get("input.txt"));
}

WikiText wikitext2(const std::string& folder) {
  const Source source(folder, "wikitext-2");
  const std::string train = source.find("train.txt");
  return {train.empty() ? "" : read_some(train), read_some(source.get("valid.txt")), read_some(source.get("test.txt"))};
}

std::vector<SentencePair> parse_sentence_pairs(std::string_view text, const std::string& name) {
  check_utf8(text, name);
  std::vector<SentencePair> pairs;
  const std::vector<std::string_view> lines = lines_of(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t tab = lines[i].find('\t');
    if (tab == std::string_view::npos) fail_at(name, i + 1, "no tab between two sentences");
    const std::string_view source = lines[i].substr(0, tab), rest = lines[i].substr(tab + 1);
    const size_t second = rest.find('\t');
    const std::string_view target = rest.substr(0, second);
    if (second != std::string_view::npos && rest.find('\t', second + 1) != std::string_view::npos)
      fail_at(name, i + 1, "more than two tabs");
    if (blank(source) || blank(target)) fail_at(name, i + 1, "an empty sentence");
    pairs.push_back({std::string(source), std::string(target)});
  }
  if (pairs.empty()) throw IoError(name + ": empty");
  return pairs;
}

std::vector<SentencePair> tatoeba(const std::string& folder) {
  const Source source(folder, "tatoeba-fra-eng");
  const std::string archive = source.find("fra-eng.zip");
  if (!source.find("fra.txt").empty() || archive.empty()) {
    const std::string path = source.get("fra.txt");
    return parse_sentence_pairs(read_utf8(path), path);
  }
  return parse_sentence_pairs(io::ZipReader(archive).read("fra.txt"), archive + ": fra.txt");
}

std::vector<SentencePair> multi30k(const std::string& folder, const std::string& part) {
  const Source source(folder, "multi30k");
  const std::string paths[2] = {source.get(part + ".en"), source.get(part + ".de")};
  const std::string texts[2] = {read_some(paths[0]), read_some(paths[1])};
  const std::vector<std::string_view> english = lines_of(texts[0]), german = lines_of(texts[1]);
  if (english.size() != german.size())
    throw IoError(paths[1] + ": " + std::to_string(german.size()) + " lines for " + std::to_string(english.size()) +
                  " English ones");
  std::vector<SentencePair> pairs;
  for (size_t i = 0; i < english.size(); ++i) {
    if (blank(english[i])) fail_at(paths[0], i + 1, "an empty sentence");
    if (blank(german[i])) fail_at(paths[1], i + 1, "an empty sentence");
    pairs.push_back({std::string(english[i]), std::string(german[i])});
  }
  return pairs;
}

std::vector<AnalogySection> parse_analogies(std::string_view text, const std::string& name) {
  check_utf8(text, name);
  std::vector<AnalogySection> sections;
  const std::vector<std::string_view> lines = lines_of(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string_view> words = words_of(lines[i]);
    if (words.size() == 2 && words[0] == ":") {
      sections.push_back({std::string(words[1]), {}});
    } else if (words.size() != 4) {
      fail_at(name, i + 1, std::to_string(words.size()) + " words, neither a question of four nor \": SECTION\"");
    } else if (sections.empty()) {
      fail_at(name, i + 1, "a question before the first section");
    } else {
      sections.back().questions.emplace_back();
      for (size_t j = 0; j < 4; ++j) sections.back().questions.back()[j] = words[j];
    }
  }
  for (const AnalogySection& section : sections)
    if (section.questions.empty()) throw IoError(name + ": no question in section " + io::quote(section.name));
  if (sections.empty()) throw IoError(name + ": empty");
  return sections;
}

std::vector<AnalogySection> word_analogies(const std::string& folder, const std::string& file) {
  const std::string path = Source(folder, "word-analogy").get(file);
  return parse_analogies(read_utf8(path), path);
}

}  // namespace cr::data
