#pragma once

#include <utility>

#include "models/families.h"

namespace striate::models {

/// What the networks of one paper have in common, but for single entries that say otherwise.
struct Family {
  const char* paper;
  ModelOptions defaults;
  const char* recipe;
  const char* preprocess;

  template <class Build>
  ModelEntry entry(const char* name, const char* form, Build build) const {
    return {name, form, paper, defaults, recipe, preprocess, std::move(build)};
  }
};

inline const ModelOptions kImageNet{.input = {3, 224, 224}, .classes = 1000};
inline const ModelOptions kCifar{.input = {3, 32, 32}, .classes = 10};

}  // namespace striate::models
