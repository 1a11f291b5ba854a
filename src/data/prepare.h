#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "data/planned_image.h"
#include "striate/base/random.h"
#include "striate/data/transforms.h"

namespace striate {

/// Channels, height, width.
using ViewShape = std::array<int64_t, 3>;

/// The views of one image, all random numbers drawn, and for most transforms not decoded yet: 8-bit
/// first, floats from the first transform on that needs them.
struct PreparedImage {
  std::vector<PlannedImage> images;
  std::vector<FloatImage> floats;
  const ByteTable* table = nullptr;  // the Preparation's

  int64_t views() const { return static_cast<int64_t>(images.size() + floats.size()); }
  ViewShape shape(int64_t view) const;
  /// @param out  (height, width, channels).
  /// @throws FormatError  the file that the image is in is damaged.
  void write(int64_t view, float* out) const;
};

/// A preprocessing made ready for many images. May be used by several threads.
class Preparation {
 public:
  /// @param transforms  a Preprocessing's.
  explicit Preparation(std::vector<Transform> transforms);

  /// What `write` gives is the transforms' result. The image's memory must live until then.
  /// @throws ShapeError  a transform does not fit the image; FormatError  as `write`.
  PreparedImage prepare(PendingImage image, Random& random) const;

 private:
  const ByteTable& table(int64_t channels) const;

  std::vector<Transform> transforms_;
  std::optional<transforms::Normalize> normalization_;  // a last one, which is done by tables
  mutable std::array<std::once_flag, 5> made_;          // by number of channels
  mutable std::array<ByteTable, 5> tables_;
};

}  // namespace striate
