// Feeds whatever libFuzzer invents to the readers of vocabularies, which are JSON and lists of merges. They read files, so
// the input is cut at NULs into those of GPT-2's, or, by its first byte, BERT's. They may refuse them with an IoError;
// anything else is a bug, and so is an id that is none.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "data/vocabulary.hpp"
#include "tensor/error.hpp"

static std::string make_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "chainrule-fuzz-XXXXXX").string();
  if (!mkdtemp(name.data())) std::abort();
  return name;
}

static void check(const std::vector<cr::data::ReferenceEncoding>& references, size_t tokens) {
  for (const auto& reference : references)
    for (int64_t id : reference.ids)
      if (id < 0 || static_cast<size_t>(id) >= tokens) __builtin_trap();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  struct Folder {
    std::string name = make_folder();
    ~Folder() { std::filesystem::remove_all(name); }
  };
  static const Folder folder;
  const bool gpt2 = data[0] % 2 == 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const char* file : gpt2 ? std::vector{"encoder.json", "vocab.bpe", "encoded_tokens.json"}
                               : std::vector{"vocab.txt", "tokenizer_tests.json", "bert_uncased_encoded.json"}) {
    const size_t end = rest.find('\0');
    std::ofstream(folder.name + "/" + file, std::ios::binary) << rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  }
  try {
    if (gpt2) {
      const auto vocabulary = cr::data::gpt2_vocabulary(folder.name);
      check(vocabulary.references, vocabulary.tokens.size());
    } else {
      const auto vocabulary = cr::data::bert_vocabulary(folder.name);
      check(vocabulary.texts, vocabulary.tokens.size());
      check(vocabulary.questions, vocabulary.tokens.size());
    }
  } catch (const cr::IoError&) {
  }
  return 0;
}
