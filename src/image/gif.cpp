#include <fmt/format.h>
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>

#include "image/formats.h"

namespace striate {

namespace {

constexpr size_t kMostColors = 256;

using Color = std::array<uint8_t, 3>;

// A frame's colours, each channel without its lowest `dropped` bits.
struct Palette {
  int dropped = 0;
  std::map<Color, GifByteType> places;
};

Color color_at(const uint8_t* pixel, int dropped) {
  Color color{};
  for (size_t c = 0; c < 3; ++c) color[c] = static_cast<uint8_t>(pixel[c] >> dropped);
  return color;
}

bool fill(Palette& palette, const Image& frame) {
  palette.places.clear();
  for (size_t i = 0; i < frame.pixels.size(); i += 3) {
    palette.places.try_emplace(color_at(frame.pixels.data() + i, palette.dropped));
    if (palette.places.size() > kMostColors) return false;
  }
  GifByteType place = 0;
  for (auto& [color, at] : palette.places) at = place++;
  return true;
}

Palette palette_of(const Image& frame) {
  Palette palette;
  while (!fill(palette, frame)) ++palette.dropped;
  return palette;
}

// Black stays 0 and white 255.
GifByteType widened(uint8_t value, int dropped) {
  return static_cast<GifByteType>(value * 255 / (255 >> dropped));
}

struct FreeMap {
  void operator()(ColorMapObject* map) const { GifFreeMapObject(map); }
};
using ColorMap = std::unique_ptr<ColorMapObject, FreeMap>;

ColorMap color_map(const Palette& palette) {
  int size = 2;  // a power of 2
  while (static_cast<size_t>(size) < palette.places.size()) size *= 2;
  ColorMap map(GifMakeMapObject(size, nullptr));
  if (map == nullptr) throw std::bad_alloc();
  for (const auto& [color, place] : palette.places) {
    map->Colors[place] = {.Red = widened(color[0], palette.dropped),
                          .Green = widened(color[1], palette.dropped),
                          .Blue = widened(color[2], palette.dropped)};
  }
  return map;
}

int append_bytes(GifFileType* file, const GifByteType* bytes, int count) {
  auto* out = static_cast<std::vector<uint8_t>*>(file->UserData);
  // No exception may pass through giflib.
  try {
    out->insert(out->end(), bytes, bytes + count);
    return count;
  } catch (...) {
    return 0;
  }
}

class GifWriter final {
 public:
  explicit GifWriter(std::vector<uint8_t>& out) : file_(EGifOpen(&out, append_bytes, nullptr)) {
    if (file_ == nullptr) throw std::bad_alloc();
    EGifSetGifVersion(file_, /*gif89=*/true);
  }
  ~GifWriter() {
    if (file_ != nullptr) EGifCloseFile(file_, nullptr);
  }
  GifWriter(const GifWriter&) = delete;
  GifWriter& operator=(const GifWriter&) = delete;

  void begin(const Image& first) {
    check(EGifPutScreenDesc(file_, static_cast<int>(first.width), static_cast<int>(first.height),
                            /*bits of a colour*/ 8, /*background*/ 0, nullptr));
    // Played again and again.
    const std::array<GifByteType, 3> forever = {1, 0, 0};
    check(EGifPutExtensionLeader(file_, APPLICATION_EXT_FUNC_CODE));
    check(EGifPutExtensionBlock(file_, 11, "NETSCAPE2.0"));
    check(EGifPutExtensionBlock(file_, 3, forever.data()));
    check(EGifPutExtensionTrailer(file_));
  }

  void add(const Image& frame, int centiseconds) {
    const GraphicsControlBlock control{.DisposalMode = DISPOSE_DO_NOT,
                                       .UserInputFlag = false,
                                       .DelayTime = centiseconds,
                                       .TransparentColor = NO_TRANSPARENT_COLOR};
    std::array<GifByteType, 4> bytes{};
    const size_t count = EGifGCBToExtension(&control, bytes.data());
    check(EGifPutExtension(file_, GRAPHICS_EXT_FUNC_CODE, static_cast<int>(count), bytes.data()));
    const Palette palette = palette_of(frame);
    const ColorMap map = color_map(palette);
    check(EGifPutImageDesc(file_, 0, 0, static_cast<int>(frame.width),
                           static_cast<int>(frame.height), /*interlaced*/ false, map.get()));
    std::vector<GifPixelType> line(static_cast<size_t>(frame.width));
    for (int64_t y = 0; y < frame.height; ++y) {
      for (size_t x = 0; x < line.size(); ++x) {
        line[x] = palette.places.at(color_at(frame.row(y) + 3 * x, palette.dropped));
      }
      check(EGifPutLine(file_, line.data(), static_cast<int>(line.size())));
    }
  }

  void end() {
    GifFileType* const file = file_;
    file_ = nullptr;
    check(EGifCloseFile(file, nullptr));
  }

 private:
  static void check(int result) {
    if (result != GIF_OK) throw std::runtime_error("giflib can't write the frames: out of memory");
  }

  GifFileType* file_;
};

}  // namespace

std::vector<uint8_t> encode_gif(std::span<const Image> frames, int centiseconds) {
  if (frames.empty()) throw std::invalid_argument("a GIF needs a frame");
  if (centiseconds < 1 || centiseconds > std::numeric_limits<uint16_t>::max()) {
    throw std::invalid_argument(
        fmt::format("a frame of a GIF lasts 1 to 65535 hundredths, got {}", centiseconds));
  }
  for (const Image& frame : frames) {
    check_whole_image(frame);
    const Image& first = frames.front();
    if (frame.width != first.width || frame.height != first.height) {
      throw std::invalid_argument(fmt::format("frames of {}x{} and {}x{} make no GIF", first.width,
                                              first.height, frame.width, frame.height));
    }
    if (std::max(frame.width, frame.height) > std::numeric_limits<uint16_t>::max()) {
      throw std::invalid_argument(
          fmt::format("a GIF's sides are at most 65535, got {}x{}", frame.width, frame.height));
    }
  }
  std::vector<uint8_t> out;
  GifWriter writer(out);
  writer.begin(frames.front());
  for (const Image& frame : frames) writer.add(to_rgb(frame), centiseconds);
  writer.end();
  return out;
}

}  // namespace striate
