#include "striate/runtime/execution.h"

#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

#include "striate/base/error.h"

namespace striate {

namespace {

constexpr std::array<std::pair<const char*, ConvolutionAlgorithm>, 3> kAlgorithms = {
    {{"auto", ConvolutionAlgorithm::kAuto},
     {"direct", ConvolutionAlgorithm::kDirect},
     {"winograd", ConvolutionAlgorithm::kWinograd}}};

}  // namespace

std::string to_string(ConvolutionAlgorithm algorithm) {
  for (const auto& [name, value] : kAlgorithms) {
    if (value == algorithm) return name;
  }
  throw std::logic_error("a convolution algorithm without a name");
}

ConvolutionAlgorithm convolution_algorithm(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, value] : kAlgorithms) {
    if (name == known) return value;
    names.emplace_back(known);
  }
  throw unknown_name("convolution algorithm", name, names);
}

}  // namespace striate
