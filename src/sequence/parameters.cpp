#include "sequence/parameters.h"

#include <cmath>
#include <memory>

#include "striate/base/random.h"
#include "striate/runtime/initialize.h"

namespace striate {

namespace {

struct Place {
  torch::nn::Module* parent;
  std::string name;
};

// The module that holds what a dotted key names; modules on the way are made.
Place find_place(torch::nn::Module& module, const std::string& key) {
  const size_t dot = key.find('.');
  if (dot == std::string::npos) return {.parent = &module, .name = key};
  const std::string first = key.substr(0, dot);
  const auto children = module.named_children();
  const auto* found = children.find(first);
  const auto child = found != nullptr
                         ? *found
                         : module.register_module(first, std::make_shared<torch::nn::Module>());
  return find_place(*child, key.substr(dot + 1));
}

}  // namespace

uint64_t part_seed(uint64_t seed, const char* part) {
  return Random({seed, hash_name(part)}).next();
}

at::Tensor add_parameter(torch::nn::Module& module, const std::string& key, const Shape& shape,
                         double range, uint64_t seed) {
  const Place place = find_place(module, key);
  return place.parent->register_parameter(place.name, uniform_parameter(key, shape, range, seed));
}

at::Tensor add_matrix(torch::nn::Module& module, const std::string& key, const Shape& shape,
                      uint64_t seed) {
  const double range = 1 / std::sqrt(static_cast<double>(shape.back()));
  return add_parameter(module, key, shape, range, seed);
}

void add_module(torch::nn::Module& module, const std::string& name,
                const std::shared_ptr<torch::nn::Module>& part) {
  const Place place = find_place(module, name);
  place.parent->register_module(place.name, part);
}

}  // namespace striate
