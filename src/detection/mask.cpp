// Masks as run lengths. Microsoft COCO: Common Objects in Context. Lin, Maire, Belongie, Hays,
// Perona, Ramanan, Dollár, Zitnick, 2014. https://arxiv.org/abs/1405.0312

#include "striate/detection/mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "detection/mask_runs.h"
#include "striate/base/error.h"

namespace striate {
namespace {

void check_sizes(const RunLengthMask& a, const RunLengthMask& b) {
  if (a.height == b.height && a.width == b.width) return;
  throw ShapeError(fmt::format("masks of one size are needed, got {}x{} and {}x{}", a.width,
                               a.height, b.width, b.height));
}

// Reads a mask run by run.
class Runs {
 public:
  explicit Runs(const RunLengthMask& mask) : counts_(mask.counts) { skip_empty(); }
  bool done() const { return index_ == counts_.size(); }
  bool inside() const { return index_ % 2 == 1; }
  uint32_t left() const { return counts_[index_] - used_; }
  void use(uint32_t pixels) {
    used_ += pixels;
    skip_empty();
  }

 private:
  void skip_empty() {
    while (!done() && used_ == counts_[index_]) {
      ++index_;
      used_ = 0;
    }
  }
  const std::vector<uint32_t>& counts_;
  size_t index_ = 0;
  uint32_t used_ = 0;
};

// Calls `visit(in_a, in_b, pixels)` for each stretch in which neither mask changes.
template <class Visit>
void walk_together(const RunLengthMask& a, const RunLengthMask& b, const Visit& visit) {
  check_sizes(a, b);
  Runs left(a);
  Runs right(b);
  while (!left.done() && !right.done()) {
    const uint32_t pixels = std::min(left.left(), right.left());
    visit(left.inside(), right.inside(), pixels);
    left.use(pixels);
    right.use(pixels);
  }
}

RunLengthMask merge(const RunLengthMask& a, const RunLengthMask& b) {
  RunAppender merged;
  walk_together(
      a, b, [&](bool in_a, bool in_b, uint32_t pixels) { merged.append(in_a || in_b, pixels); });
  return {.height = a.height, .width = a.width, .counts = merged.finish()};
}

}  // namespace

RunLengthMask encode_mask(const Image& bitmap) {
  return encode_mask(bitmap, 0, 0, {bitmap.width, bitmap.height});
}

RunLengthMask encode_mask(const Image& bitmap, int64_t left, int64_t top, const ImageSize& size) {
  if (bitmap.channels != 1) {
    throw std::invalid_argument("a mask is made from an image of one channel");
  }
  const int64_t below = size.height - top - bitmap.height;
  const int64_t right = size.width - left - bitmap.width;
  if (std::min({left, top, below, right}) < 0) {
    throw std::invalid_argument("a bitmap reaches beyond the picture");
  }
  RunAppender runs;
  runs.append(false, static_cast<uint32_t>(left * size.height));
  for (int64_t x = 0; x < bitmap.width; ++x) {
    runs.append(false, static_cast<uint32_t>(top));
    for (int64_t y = 0; y < bitmap.height; ++y) runs.append(bitmap.row(y)[x] != 0, 1);
    runs.append(false, static_cast<uint32_t>(below));
  }
  runs.append(false, static_cast<uint32_t>(right * size.height));
  return {.height = size.height, .width = size.width, .counts = runs.finish()};
}

Image decode_mask(const RunLengthMask& mask) {
  if (!fills(mask.counts, {.width = mask.width, .height = mask.height})) {
    throw std::invalid_argument("the counts of a mask don't fill it");
  }
  Image bitmap = make_image(mask.width, mask.height, 1);
  int64_t x = 0;
  int64_t y = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    for (uint32_t pixel = 0; pixel < mask.counts[i]; ++pixel) {
      bitmap.row(y)[x] = i % 2;
      if (++y == mask.height) {
        y = 0;
        ++x;
      }
    }
  }
  return bitmap;
}

std::string mask_to_string(const RunLengthMask& mask) {
  std::string text;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    int64_t value = mask.counts[i];
    if (i > 2) value -= mask.counts[i - 2];
    for (bool more = true; more;) {
      const int64_t bits = value & 0x1f;
      value >>= 5;
      more = value != ((bits & 0x10) != 0 ? -1 : 0);
      text += static_cast<char>('0' + (bits | (more ? 0x20 : 0)));
    }
  }
  return text;
}

RunLengthMask mask_from_string(const std::string& text, const ImageSize& size) {
  RunLengthMask mask{.height = size.height, .width = size.width};
  int64_t value = 0;
  int shift = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const int bits = text[i] - '0';
    if (bits < 0 || bits > 0x3f || shift > 30) {
      throw FormatError(fmt::format("run lengths have a wrong byte {}", i + 1));
    }
    value |= static_cast<int64_t>(bits & 0x1f) << shift;
    shift += 5;
    if ((bits & 0x20) != 0) continue;
    if ((bits & 0x10) != 0) value -= int64_t{1} << shift;
    const size_t count = mask.counts.size();
    if (count > 2) value += mask.counts[count - 2];
    if (value < 0 || value > kMaxImagePixels) {
      throw FormatError(fmt::format("run lengths hold {} before byte {}", value, i + 2));
    }
    mask.counts.push_back(static_cast<uint32_t>(value));
    value = 0;
    shift = 0;
  }
  if (shift != 0) throw FormatError("run lengths end in the middle of a number");
  if (!fills(mask.counts, size)) {
    throw FormatError(fmt::format("run lengths don't fill {}x{} pixels", size.width, size.height));
  }
  return mask;
}

int64_t mask_area(const RunLengthMask& mask) {
  int64_t area = 0;
  for (size_t i = 1; i < mask.counts.size(); i += 2) area += mask.counts[i];
  return area;
}

Box mask_box(const RunLengthMask& mask) {
  int64_t left = mask.width;
  int64_t right = -1;
  int64_t top = mask.height;
  int64_t bottom = -1;
  int64_t start = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    const int64_t end = start + mask.counts[i];
    if (i % 2 == 1 && end > start) {
      const int64_t last_column = (end - 1) / mask.height;
      const bool one_column = start / mask.height == last_column;
      left = std::min(left, start / mask.height);
      right = last_column;
      top = std::min(top, one_column ? start % mask.height : 0);
      bottom = std::max(bottom, one_column ? (end - 1) % mask.height : mask.height - 1);
    }
    start = end;
  }
  if (right < 0) return {};
  return {static_cast<double>(left), static_cast<double>(top), static_cast<double>(right + 1),
          static_cast<double>(bottom + 1)};
}

RunLengthMask merge_masks(const std::vector<RunLengthMask>& masks) {
  if (masks.empty()) throw std::invalid_argument("no masks to merge");
  RunLengthMask merged = masks[0];
  for (size_t i = 1; i < masks.size(); ++i) merged = merge(merged, masks[i]);
  return merged;
}

int64_t shared_mask_area(const RunLengthMask& a, const RunLengthMask& b) {
  int64_t area = 0;
  walk_together(a, b, [&](bool in_a, bool in_b, uint32_t pixels) {
    if (in_a && in_b) area += pixels;
  });
  return area;
}

double mask_intersection_over_union(const RunLengthMask& a, const RunLengthMask& b) {
  const int64_t shared = shared_mask_area(a, b);
  if (shared == 0) return 0;
  return static_cast<double>(shared) / static_cast<double>(mask_area(a) + mask_area(b) - shared);
}

RunLengthMask flip_horizontally(const RunLengthMask& mask) {
  return encode_mask(flip_horizontally(decode_mask(mask)));
}

RunLengthMask resize_mask(const RunLengthMask& mask, const ImageSize& size) {
  const Image source = decode_mask(mask);
  Image scaled = make_image(size.width, size.height, 1);
  const auto nearest = [](int64_t position, int64_t from, int64_t to) {
    const float scale = static_cast<float>(from) / static_cast<float>(to);
    return std::min(static_cast<int64_t>(static_cast<float>(position) * scale), from - 1);
  };
  for (int64_t y = 0; y < size.height; ++y) {
    const uint8_t* row = source.row(nearest(y, source.height, size.height));
    for (int64_t x = 0; x < size.width; ++x) {
      scaled.row(y)[x] = row[nearest(x, source.width, size.width)];
    }
  }
  return encode_mask(scaled);
}

}  // namespace striate
