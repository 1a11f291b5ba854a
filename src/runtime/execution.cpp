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

constexpr std::array<std::pair<const char*, Precision>, 2> kPrecisions = {
    {{"float32", Precision::kFloat32}, {"bf16", Precision::kBFloat16}}};

template <typename Table, typename T>
std::string name_of(const Table& table, T wanted) {
  for (const auto& [name, value] : table) {
    if (value == wanted) return name;
  }
  throw std::logic_error("a way of computing without a name");
}

template <typename Table>
auto find(const Table& table, const std::string& kind, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, value] : table) {
    if (name == known) return value;
    names.emplace_back(known);
  }
  throw unknown_name(kind, name, names);
}

}  // namespace

std::string to_string(ConvolutionAlgorithm algorithm) {
  return name_of(kAlgorithms, algorithm);
}

ConvolutionAlgorithm convolution_algorithm(const std::string& name) {
  return find(kAlgorithms, "convolution algorithm", name);
}

std::string to_string(Precision precision) {
  return name_of(kPrecisions, precision);
}

Precision find_precision(const std::string& name) {
  return find(kPrecisions, "precision", name);
}

}  // namespace striate
