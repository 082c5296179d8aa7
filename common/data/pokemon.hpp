// # A table of real numbers
//
// How strong are the creatures of a game? Some thousand of them, six numbers each, one or two types: a table with units
// nobody has to explain, small enough to read, in which some numbers tell much about others and some tell nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.hpp"

namespace cr::data {

struct Pokemon {
  std::vector<std::string> names;  // "Venusaur", "Venusaur (Mega Venusaur)"
  std::vector<std::string> types;  // all that occur, sorted
  Tensor stats;                    // (n, 6) float64: the columns of `kPokemonStats`
  Tensor type1, type2;             // (n,) int64: places in `types`; -1 for no second type
  Tensor generation;               // (n,) int64: in which edition of the game it came, from 1
};

inline constexpr std::array<const char*, 6> kPokemonStats = {"HP", "Attack", "Defense", "Sp. Atk", "Sp. Def", "Speed"};

// Reads `folder`/pokemon/Pokemon.csv or `folder`/Pokemon.csv; failing these pokemon_data.csv, a table of the first six
// generations, in the same two places. Without a `folder`, the environment variable CHAINRULE_DATA says where. Throws
// IoError, one line, when there is none (it says where it looked) or a value cannot be: a stat below 1 or above 255, a
// generation that is not a whole number from 1 to 99, an empty name or first type.
Pokemon pokemon(const std::string& folder = "");

}  // namespace cr::data
