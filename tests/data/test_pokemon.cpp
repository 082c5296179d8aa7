// The table of Pokémon: both layouts, and values that cannot be.

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "catch.hpp"
#include "contains.hpp"
#include "data/pokemon.hpp"
#include "io/atomic_file.hpp"
#include "io/temporary_folder.hpp"

using namespace cr;
using namespace cr::data;

namespace {

const std::string kHeader =
    "\"ID\",\"Name\",\"Form\",\"Type1\",\"Type2\",\"Total\",\"HP\",\"Attack\",\"Defense\",\"Sp. Atk\",\"Sp. Def\",\"Speed\",\"Generation\"\n";

Pokemon parse(const std::string& row) {
  TemporaryFolder folder;
  io::write_file(folder / "Pokemon.csv", kHeader + "7,\"A\",\" \",\"Water\",\" \",21,1,2,3,4,5,6,1\n" + row);
  return pokemon(folder / "");
}

std::vector<int64_t> numbers(const Tensor& x) {
  const auto all = x.span<int64_t>();
  return {all.begin(), all.end()};
}

}  // namespace

TEST_CASE("two creatures by hand", "[pokemon]") {
  const Pokemon p = parse("7,\"A\",\"Mega A\",\"Ice\",\"Water\",60,10,10,10,10,10,10,6\n");
  CHECK(p.names == std::vector<std::string>{"A", "A (Mega A)"});
  CHECK(p.types == std::vector<std::string>{"Ice", "Water"});
  CHECK(numbers(p.type1) == std::vector<int64_t>{1, 0});
  CHECK(numbers(p.type2) == std::vector<int64_t>{-1, 1});
  CHECK(numbers(p.generation) == std::vector<int64_t>{1, 6});
  CHECK(p.stats.shape() == Shape{2, 6});
  for (int i = 0; i < 6; ++i) CHECK(p.stats.data<double>()[i] == i + 1);
}

TEST_CASE("the other layout, in its folder", "[pokemon]") {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "pokemon");
  io::write_file(folder / "pokemon/pokemon_data.csv",
                 "#,Name,Type 1,Type 2,HP,Attack,Defense,Sp. Atk,Sp. Def,Speed,Generation,Legendary\n"
                 "1,B,Fire,,1,2,3,4,5,6,2,FALSE\n");
  const Pokemon p = pokemon(folder / "");
  CHECK(p.names == std::vector<std::string>{"B"});
  CHECK(numbers(p.type2) == std::vector<int64_t>{-1});
  CHECK(p.stats.data<double>()[5] == 6);
}

TEST_CASE("values that cannot be", "[pokemon]") {
  CHECK_THROWS_WITH(parse("8,B,,Ice,,1,0,1,1,1,1,1,1\n"),
                    ContainsSubstring("Pokemon.csv: line 3: HP is 0, not a whole number from 1 to 255"));
  CHECK_THROWS_WITH(parse("8,B,,Ice,,1,1,1,1,1,1,nan,1\n"), ContainsSubstring("line 3, column \"Speed\": \"nan\""));
  CHECK_THROWS_WITH(parse("8,B,,Ice,,1,1,1,1,1,1.5,1,1\n"), ContainsSubstring("Sp. Def is 1.5"));
  CHECK_THROWS_WITH(parse("8,B,,Ice,,1,1,1,1,1,1,1,0\n"), ContainsSubstring("Generation is 0"));
  CHECK_THROWS_WITH(parse("8,,,Ice,,1,1,1,1,1,1,1,1\n"), ContainsSubstring("line 3: no Name"));
  CHECK_THROWS_WITH(parse("8,B,,,,1,1,1,1,1,1,1,1\n"), ContainsSubstring("line 3: no Type1"));
  CHECK_THROWS_AS(parse("8,B\n"), IoError);
  TemporaryFolder folder;
  CHECK_THROWS_WITH(pokemon(folder / ""), ContainsSubstring("no Pokemon.csv in " + (folder / "")));
  io::write_file(folder / "Pokemon.csv", kHeader);
  CHECK_THROWS_WITH(pokemon(folder / ""), ContainsSubstring("without rows"));
  io::write_file(folder / "Pokemon.csv", "a,b\n1,2\n");
  CHECK_THROWS_WITH(pokemon(folder / ""), ContainsSubstring("no column"));
}

TEST_CASE("the real table", "[pokemon]") {
  const char* data = std::getenv("CHAINRULE_DATA");
  if (!data) SKIP("CHAINRULE_DATA is not set");
  if (!std::filesystem::exists(std::string(data) + "/pokemon")) SKIP("CHAINRULE_DATA holds no pokemon");
  const Pokemon p = pokemon();
  CHECK(p.names.size() == 1215);
  CHECK(p.stats.shape() == Shape{1215, 6});
  CHECK(p.types.size() == 18);
  CHECK(p.names[0] == "Bulbasaur");
  CHECK(p.types[static_cast<size_t>(p.type1.data<int64_t>()[0])] == "Grass");
  CHECK(p.stats.data<double>()[1] == 49);
  const auto generations = numbers(p.generation);
  CHECK(*std::max_element(generations.begin(), generations.end()) == 9);
}
