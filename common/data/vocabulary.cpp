#include "data/vocabulary.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "data/source.hpp"
#include "io/bytes.hpp"
#include "tensor/error.hpp"

namespace cr::data {
namespace {

using Json = nlohmann::json;

// The library's messages speak of its own types; a reader wants the file's name.
[[noreturn]] void damaged(const std::string& path, const std::string& what) { throw IoError(path + ": " + what); }

Json read_json(const std::string& path) {
  Json json = Json::parse(read_utf8(path), nullptr, false);
  if (json.is_discarded()) damaged(path, "no sound JSON");
  return json;
}

const Json& field(const Json& object, const char* name, const std::string& path) {
  if (!object.is_object() || !object.contains(name))
    damaged(path, std::string("no \"") + name + "\" where there should be one");
  return object[name];
}

std::string text_of(const Json& json, const std::string& path) {
  if (!json.is_string()) damaged(path, "something else where a text should be");
  return json.get<std::string>();
}

std::vector<std::string> texts_of(const Json& json, const std::string& path) {
  if (!json.is_array()) damaged(path, "something else where a list of texts should be");
  std::vector<std::string> texts;
  for (const Json& item : json) texts.push_back(text_of(item, path));
  return texts;
}

// Ids of a vocabulary of `size` tokens.
std::vector<int64_t> ids_of(const Json& json, size_t size, const std::string& path) {
  if (!json.is_array()) damaged(path, "something else where a list of ids should be");
  std::vector<int64_t> ids;
  for (const Json& item : json) {
    if (!item.is_number_integer() || item < 0 || item >= size) damaged(path, "an id that is none of the vocabulary's");
    ids.push_back(item.get<int64_t>());
  }
  return ids;
}

// {"text": …, "bpe_tokens": […], "token_ids": […]}
ReferenceEncoding read_reference(const std::string& path, size_t size) {
  const Json json = read_json(path);
  return {text_of(field(json, "text", path), path), texts_of(field(json, "bpe_tokens", path), path),
          ids_of(field(json, "token_ids", path), size, path)};
}

// {"token": id, …}, with the ids from 0 on, each once.
std::vector<std::string> read_encoder(const std::string& path) {
  const Json json = read_json(path);
  if (!json.is_object() || json.empty()) damaged(path, "no table of tokens and ids");
  std::vector<std::string> tokens(json.size());
  std::vector<bool> seen(json.size());
  for (const auto& [token, id] : json.items()) {
    if (!id.is_number_integer() || id < 0 || id >= json.size() || seen[id.get<size_t>()])
      damaged(path, "the id of " + io::quote(token) + " is not one of 0 to " + std::to_string(json.size() - 1) +
                        ", or another token's too");
    seen[id.get<size_t>()] = true;
    tokens[id.get<size_t>()] = token;
  }
  return tokens;
}

// A line "#version: …", then two tokens a line.
std::vector<std::pair<std::string, std::string>> read_merges(const std::string& path,
                                                             const std::vector<std::string>& tokens) {
  const std::unordered_set<std::string> known(tokens.begin(), tokens.end());
  const std::string text = read_utf8(path);
  const std::vector<std::string_view> lines = lines_of(text);
  std::vector<std::pair<std::string, std::string>> merges;
  for (size_t i = !lines.empty() && lines[0].starts_with("#version") ? 1 : 0; i < lines.size(); ++i) {
    const std::vector<std::string_view> words = words_of(lines[i]);
    if (words.size() != 2) fail_at(path, i + 1, std::to_string(words.size()) + " words, not a pair");
    std::string first(words[0]), second(words[1]);
    if (!known.contains(first + second))
      fail_at(path, i + 1, io::quote(first + second) + " is no token of encoder.json");
    merges.emplace_back(std::move(first), std::move(second));
  }
  if (merges.empty()) damaged(path, "no merges");
  return merges;
}

// The cases for one tokenizer among many.
void append_cases(std::vector<ReferenceEncoding>& to, const std::string& path, const char* tokenizer, size_t size) {
  const Json json = read_json(path);
  const Json& cases = field(json, tokenizer, path);
  if (!cases.is_array()) damaged(path, "something else where a list of cases should be");
  for (const Json& item : cases) {
    const Json& encoded = field(item, "encoded", path);
    to.push_back(
        {text_of(field(item, "input", path), path), {}, ids_of(field(encoded, "input_ids", path), size, path)});
  }
}

// Texts and word pieces in one file, their ids in another.
std::vector<ReferenceEncoding> read_questions(const std::string& texts_path, const std::string& ids_path, size_t size) {
  const Json texts = read_json(texts_path), ids = read_json(ids_path);
  if (!texts.is_array() || !ids.is_array() || texts.size() != ids.size())
    damaged(ids_path, "not as many lists of ids as there are questions");
  std::vector<ReferenceEncoding> questions;
  for (size_t i = 0; i < texts.size(); ++i) {
    questions.push_back({text_of(field(texts[i], "original", texts_path), texts_path),
                         texts_of(field(texts[i], "wordpiece", texts_path), texts_path),
                         ids_of(ids[i], size, ids_path)});
    if (questions.back().tokens.size() != questions.back().ids.size())
      damaged(ids_path, "question " + std::to_string(i) + " has not as many ids as word pieces");
  }
  return questions;
}

}  // namespace

Gpt2Vocabulary gpt2_vocabulary(const std::string& folder) {
  const Source source(folder, "tokenizer-gpt2");
  Gpt2Vocabulary result;
  result.tokens = read_encoder(source.get("encoder.json"));
  result.merges = read_merges(source.get("vocab.bpe"), result.tokens);
  for (const char* file : {"gpt2_encoded_tokens.json", "encoded_tokens.json"})
    if (const std::string path = source.find(file); !path.empty())
      result.references.push_back(read_reference(path, result.tokens.size()));
  return result;
}

BertVocabulary bert_vocabulary(const std::string& folder) {
  const Source source(folder, "tokenizer-bert");
  const std::string path = source.get("vocab.txt"), text = read_utf8(path);
  const std::vector<std::string_view> lines = lines_of(text);
  BertVocabulary result;
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) fail_at(path, i + 1, "empty");
    if (!seen.insert(lines[i]).second) fail_at(path, i + 1, io::quote(lines[i]) + " comes a second time");
    result.tokens.emplace_back(lines[i]);
  }
  for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})
    if (!seen.contains(special)) damaged(path, std::string("no ") + special + " in it");

  const size_t size = result.tokens.size();
  if (const std::string one = source.find("bert_uncased_encoded.json"); !one.empty())
    result.texts.push_back(read_reference(one, size));
  if (const std::string many = source.find("tokenizer_tests.json"); !many.empty())
    append_cases(result.texts, many, "bert-base-uncased", size);
  const std::string questions = source.find("question_tokens.json"), ids = source.find("tokenized_questions.json");
  if (!questions.empty() && !ids.empty()) result.questions = read_questions(questions, ids, size);
  return result;
}

}  // namespace cr::data
