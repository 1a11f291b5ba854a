#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>
#include <c10/core/Storage.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/file.h"

namespace striate {

/// Limits on what a file may ask for. No published network comes near them.
constexpr int64_t kMaximumRank = 64;
constexpr size_t kMaximumTensors = size_t{1} << 18;

struct ByteRange {
  uint64_t begin = 0;
  uint64_t size = 0;

  uint64_t end() const { return begin + size; }
};

/// A weight file while it is read.
struct WeightFile {
  std::filesystem::path path;
  std::shared_ptr<MappedFile> mapping;

  std::span<const uint8_t> bytes() const { return mapping->bytes(); }
  /// `PATH: PROBLEM (byte N)`.
  FormatError error(uint64_t byte, const std::string& problem, const std::string& hint = {}) const;
};

/// A little-endian number at `byte`, which the caller has checked to lie in the file.
template <class T>
T number_at(const WeightFile& file, uint64_t byte) {
  T value{};
  std::copy_n(file.bytes().data() + byte, sizeof(T), reinterpret_cast<uint8_t*>(&value));
  return value;
}

/// A text from a file in quotes, on one line and at most 80 characters long, for a message.
std::string in_quotes(const std::string& text);
bool is_utf8(const std::string& text);

/// Part of a file as the memory of tensors; a copy if it is not aligned for `dtype`.
c10::Storage map_storage(const WeightFile& file, ByteRange range, at::ScalarType dtype);

struct TensorView {
  at::ScalarType dtype;
  int64_t offset = 0;  // in elements
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

/// A tensor over memory that the caller has checked to hold it.
at::Tensor view_storage(const c10::Storage& storage, const TensorView& view);

/// Strides of a contiguous tensor, whose element count the caller has checked.
std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes);

}  // namespace striate
