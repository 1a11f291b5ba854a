#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "image/formats.h"

namespace striate {

namespace {

// Deflate makes at most 1,032 bytes of one.
constexpr int64_t kMaxInflation = 1032;
constexpr int kCompressionLevel = 6;

// What libpng calls back with: the guard to go back to, and the message.
struct ErrorTrap {
  std::jmp_buf jump;
  char message[256];
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* trap = static_cast<ErrorTrap*>(png_get_error_ptr(png));
  std::snprintf(trap->message, sizeof trap->message, "%s", message);
  std::longjmp(trap->jump, 1);
}

void on_warning(png_structp png, png_const_charp message) {}

struct Cursor {
  std::span<const uint8_t> bytes;
  size_t position = 0;
};

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* cursor = static_cast<Cursor*>(png_get_io_ptr(png));
  if (count > cursor->bytes.size() - cursor->position) {
    cursor->position = cursor->bytes.size();
    png_error(png, "the data ends too early");
  }
  std::memcpy(out, cursor->bytes.data() + cursor->position, count);
  cursor->position += count;
}

class PngReader final {
 public:
  explicit PngReader(const EncodedImage& file) : file_(file), cursor_{file.bytes} {
    run([this] {
      png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &trap_, on_error, on_warning);
      if (png_ == nullptr) std::longjmp(trap_.jump, 1);
      info_ = png_create_info_struct(png_);
      if (info_ == nullptr) png_error(png_, "out of memory");
      png_set_read_fn(png_, &cursor_, read_bytes);
      png_set_user_limits(png_, kMaxImagePixels, kMaxImagePixels);
      // Texts and profiles are not needed, and could unpack to gigabytes.
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
      png_read_info(png_, info_);
    });
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  ImageSize size() const {
    return {static_cast<int64_t>(png_get_image_width(png_, info_)),
            static_cast<int64_t>(png_get_image_height(png_, info_))};
  }

  Image decode(PixelFormat format) {
    check_pixel_count(file_, size());
    const int64_t packed_bytes =
        static_cast<int64_t>(png_get_rowbytes(png_, info_)) * size().height;
    if (packed_bytes / kMaxInflation > static_cast<int64_t>(file_.bytes.size())) {
      throw damaged_file(file_, "PNG",
                         fmt::format("{} bytes are too few for the {}x{} pixels of the header",
                                     file_.bytes.size(), size().width, size().height));
    }
    run([&] {
      choose_output(format);
      png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
    });
    Image image = make_image(size().width, size().height, png_get_channels(png_, info_));
    if (static_cast<int64_t>(png_get_rowbytes(png_, info_)) != image.width * image.channels) {
      throw std::logic_error("libpng's rows are not 8 bits a channel");
    }
    std::vector<png_bytep> rows(static_cast<size_t>(image.height));
    for (int64_t y = 0; y < image.height; ++y) rows[static_cast<size_t>(y)] = image.row(y);
    run([&] {
      png_read_image(png_, rows.data());
      png_read_end(png_, nullptr);
    });
    return image;
  }

 private:
  void choose_output(PixelFormat format) {
    const int type = png_get_color_type(png_, info_);
    const bool is_grey = (type & PNG_COLOR_MASK_COLOR) == 0;
    const bool has_transparency = png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
    const bool has_alpha = (type & PNG_COLOR_MASK_ALPHA) != 0 || has_transparency;
    png_set_strip_16(png_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (is_grey) png_set_expand_gray_1_2_4_to_8(png_);
    if (format == PixelFormat::kAsStored) {
      if (has_transparency) png_set_tRNS_to_alpha(png_);
      if (is_grey && has_alpha) png_set_gray_to_rgb(png_);
    } else {
      if (has_alpha) png_set_strip_alpha(png_);
      if (is_grey && format == PixelFormat::kRgb) png_set_gray_to_rgb(png_);
    }
  }

  template <class Step>
  void run(const Step& step) {
    if (run_guarded(trap_.jump, step)) return;
    std::string problem = trap_.message[0] != '\0' ? trap_.message : "libpng can't start";
    problem += fmt::format(", at byte {} of {}", cursor_.position, file_.bytes.size());
    // The destructor does not run if the constructor throws; a second destroy does nothing.
    png_destroy_read_struct(&png_, &info_, nullptr);
    throw damaged_file(file_, "PNG", problem);
  }

  EncodedImage file_;
  Cursor cursor_;
  ErrorTrap trap_{};
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

void append_bytes(png_structp png, png_bytep bytes, size_t count) {
  auto* out = static_cast<std::vector<uint8_t>*>(png_get_io_ptr(png));
  bool done = true;
  // No exception may pass through libpng.
  try {
    out->insert(out->end(), bytes, bytes + count);
  } catch (...) {
    done = false;
  }
  if (!done) png_error(png, "out of memory");
}

void flush_nothing(png_structp png) {}

class PngWriter final {
 public:
  PngWriter() = default;
  ~PngWriter() { png_destroy_write_struct(&png_, &info_); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;

  std::vector<uint8_t> encode(const Image& image) {
    const int type = image.channels == 1   ? PNG_COLOR_TYPE_GRAY
                     : image.channels == 3 ? PNG_COLOR_TYPE_RGB
                                           : PNG_COLOR_TYPE_RGB_ALPHA;
    std::vector<uint8_t> out;
    const bool done = run_guarded(trap_.jump, [&] {
      png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &trap_, on_error, on_warning);
      if (png_ == nullptr) std::longjmp(trap_.jump, 1);
      info_ = png_create_info_struct(png_);
      if (info_ == nullptr) png_error(png_, "out of memory");
      png_set_write_fn(png_, &out, append_bytes, flush_nothing);
      png_set_user_limits(png_, kMaxImagePixels, kMaxImagePixels);
      png_set_compression_level(png_, kCompressionLevel);
      png_set_IHDR(png_, info_, static_cast<png_uint_32>(image.width),
                   static_cast<png_uint_32>(image.height), 8, type, PNG_INTERLACE_NONE,
                   PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
      png_write_info(png_, info_);
      for (int64_t y = 0; y < image.height; ++y) png_write_row(png_, image.row(y));
      png_write_end(png_, info_);
    });
    if (!done) throw Error(fmt::format("can't encode a PNG: {}", trap_.message));
    return out;
  }

 private:
  ErrorTrap trap_{};
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

ImageSize read_png_size(const EncodedImage& file) {
  const PngReader reader(file);
  check_pixel_count(file, reader.size());
  return reader.size();
}

Image decode_png(const EncodedImage& file, PixelFormat format) {
  PngReader reader(file);
  Image image = reader.decode(format);
  return format == PixelFormat::kGrey ? to_grey(image) : image;
}

std::vector<uint8_t> encode_png(const Image& image) {
  check_whole_image(image);
  PngWriter writer;
  return writer.encode(image);
}

}  // namespace striate
