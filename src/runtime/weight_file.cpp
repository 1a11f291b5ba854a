#include "runtime/weight_file.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "striate/base/json.h"

namespace striate {

static_assert(std::endian::native == std::endian::little, "weight files are little-endian");

FormatError WeightFile::error(uint64_t byte, const std::string& problem,
                              const std::string& hint) const {
  return FormatError(fmt::format("{}: {} (byte {})", path.string(), problem, byte), hint);
}

std::string in_quotes(const std::string& text) {
  constexpr size_t kLongest = 80;
  const std::string start = text.size() > kLongest ? text.substr(0, kLongest - 3) + "..." : text;
  return Json(start).dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

bool is_utf8(const std::string& text) {
  try {
    Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

c10::Storage map_storage(const WeightFile& file, ByteRange range, at::ScalarType dtype) {
  uint8_t* data = file.mapping->writable_bytes().data() + range.begin;
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(dtype) != 0) {
    const at::Tensor copy = at::empty({static_cast<int64_t>(range.size)}, at::kByte);
    std::copy_n(data, range.size, static_cast<uint8_t*>(copy.mutable_data_ptr()));
    return copy.storage();
  }
  using Owner = std::shared_ptr<MappedFile>;
  c10::DataPtr pointer(
      data, new Owner(file.mapping), [](void* owner) { delete static_cast<Owner*>(owner); },
      at::kCPU);
  return c10::Storage(c10::Storage::use_byte_size_t{}, range.size, std::move(pointer));
}

at::Tensor view_storage(const c10::Storage& storage, const TensorView& view) {
  at::Tensor tensor = at::empty({0}, view.dtype);
  return tensor.set_(storage, view.offset, view.sizes, view.strides);
}

std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<int64_t>(sizes[i], 1);
  }
  return strides;
}

}  // namespace striate
