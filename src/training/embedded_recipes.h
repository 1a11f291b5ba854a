#pragma once

#include <span>

namespace striate {

struct EmbeddedRecipe {
  const char* name;
  const char* json;
};

/// The files of `recipes/`, as they were when the library was built.
extern const std::span<const EmbeddedRecipe> kEmbeddedRecipes;

}  // namespace striate
