#include <fmt/format.h>
// jpeglib.h uses FILE and size_t without including what declares them.
#include <cstdio>
#include <cstdlib>
//
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "image/formats.h"

namespace striate {

namespace {

// An ordinary progressive file has about ten scans. Each one passes over the whole picture, so that
// a small file with very many would take hours.
constexpr int kMaxScans = 200;

// Each 8x8 block of some component takes a bit or more in a Huffman-coded file. Twice that for odd
// chroma sampling.
constexpr int64_t kMaxPixelsPerByte = 1024;

// Smooth upsampling of a column of colour also reads its neighbours, which libjpeg's own crop cuts
// off.
constexpr int64_t kContext = 2;

// libjpeg's error handler: the message is kept and control goes back to the guard.
struct ErrorTrap {
  jpeg_error_mgr base;  // first, so that libjpeg's pointer to it is also ours
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* trap = reinterpret_cast<ErrorTrap*>(info->err);
  trap->base.format_message(info, trap->message);
  std::longjmp(trap->jump, 1);
}

// Warnings about data that leave the picture whole. All others mean missing or wrong pixels.
bool is_harmless(int code) {
  return code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
}

void on_message(j_common_ptr info, int level) {
  if (level < 0 && !is_harmless(info->err->msg_code)) leave(info);
}

void on_output(j_common_ptr info) {}

jpeg_error_mgr* install(ErrorTrap& trap) {
  jpeg_std_error(&trap.base);
  trap.base.error_exit = leave;
  trap.base.emit_message = on_message;
  trap.base.output_message = on_output;
  trap.message[0] = '\0';
  return &trap.base;
}

void check_scan_count(j_common_ptr info) {
  const auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number <= kMaxScans) return;
  auto* trap = reinterpret_cast<ErrorTrap*>(info->err);
  std::snprintf(trap->message, sizeof trap->message, "more than %d scans", kMaxScans);
  std::longjmp(trap->jump, 1);
}

// Adobe's files hold CMYK inverted, 255 for no ink, and every CMYK JPEG is taken as such.
void convert_cmyk_row(const uint8_t* cmyk, uint8_t* rgb, int64_t width) {
  for (int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int light = cmyk[3];
    for (int channel = 0; channel < 3; ++channel) {
      const int product = (255 - cmyk[channel]) * light + 128;
      rgb[channel] = static_cast<uint8_t>(light - ((product + (product >> 8)) >> 8));
    }
  }
}

class JpegReader final {
 public:
  explicit JpegReader(const EncodedImage& file) : file_(file) {
    info_.err = install(trap_);
    run([this] {
      jpeg_create_decompress(&info_);
      jpeg_mem_src(&info_, file_.bytes.data(), file_.bytes.size());
      jpeg_read_header(&info_, TRUE);
    });
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  ImageSize size() const {
    return {static_cast<int64_t>(info_.image_width), static_cast<int64_t>(info_.image_height)};
  }

  Image decode(const DecodeOptions& options) {
    begin(options);
    const ImageSize scaled = {static_cast<int64_t>(info_.output_width),
                              static_cast<int64_t>(info_.output_height)};
    if (!options.part) {
      Image image = make_image(scaled.width, scaled.height, channels());
      read_rows(image, 0);
      // What follows the last row may show that the file is damaged.
      run([this] { jpeg_finish_decompress(&info_); });
      return image;
    }
    check_part(*options.part, scaled);
    if (has_usual_sampling()) return decode_part(*options.part);
    Image image = make_image(scaled.width, scaled.height, channels());
    read_rows(image, 0);
    return crop(image, *options.part);
  }

 private:
  // Reads up to the first row.
  void begin(const DecodeOptions& options) {
    check_pixel_count(file_, size());
    if (!info_.arith_code && size().width * size().height >
                                 kMaxPixelsPerByte * static_cast<int64_t>(file_.bytes.size())) {
      throw damaged_file(file_, "JPEG",
                         fmt::format("{} bytes are too few for the {}x{} pixels of the header",
                                     file_.bytes.size(), size().width, size().height));
    }
    choose_output(options.format);
    info_.scale_num = 1;
    info_.scale_denom = static_cast<unsigned>(options.scale);
    progress_.progress_monitor = check_scan_count;
    info_.progress = &progress_;
    run([this] { jpeg_start_decompress(&info_); });
  }

  bool is_cmyk() const { return info_.output_components == 4; }
  int64_t channels() const { return is_cmyk() ? 3 : info_.output_components; }

  // Libjpeg's parts of pictures with fewer colours than one in 2x2 are not those of the whole.
  bool has_usual_sampling() const {
    return info_.max_h_samp_factor <= 2 && info_.max_v_samp_factor <= 2;
  }

  // Only blocks that the part touches are transformed, and what lies below it is not even read.
  Image decode_part(const Rectangle& part) {
    JDIMENSION left = static_cast<JDIMENSION>(std::max<int64_t>(0, part.x - kContext));
    const JDIMENSION right = static_cast<JDIMENSION>(
        std::min<int64_t>(info_.output_width, part.x + part.width + kContext));
    JDIMENSION width = right - left;
    run([&] {
      if (width < info_.output_width) jpeg_crop_scanline(&info_, &left, &width);
      if (part.y > 0) jpeg_skip_scanlines(&info_, static_cast<JDIMENSION>(part.y));
    });
    Image image = make_image(part.width, part.height, channels());
    read_rows(image, part.x - static_cast<int64_t>(left));
    return image;
  }

  // The next rows, without the first `skipped` columns of what libjpeg gives.
  void read_rows(Image& image, int64_t skipped) {
    const auto given = static_cast<int64_t>(info_.output_width);
    const bool is_direct = !is_cmyk() && given == image.width;
    std::vector<uint8_t> scratch(is_direct ? 0
                                           : static_cast<size_t>(given * info_.output_components));
    const size_t row_bytes = static_cast<size_t>(image.width * image.channels);
    run([&] {
      for (int64_t y = 0; y < image.height; ++y) {
        JSAMPROW row = is_direct ? image.row(y) : scratch.data();
        jpeg_read_scanlines(&info_, &row, 1);
        if (is_direct) continue;
        row += skipped * info_.output_components;
        if (is_cmyk()) {
          convert_cmyk_row(row, image.row(y), image.width);
        } else {
          std::memcpy(image.row(y), row, row_bytes);
        }
      }
    });
  }

  void choose_output(PixelFormat format) {
    switch (info_.num_components) {
      case 1:
        info_.out_color_space = format == PixelFormat::kRgb ? JCS_RGB : JCS_GRAYSCALE;
        return;
      case 3:
        info_.out_color_space = JCS_RGB;
        return;
      case 4:
        info_.out_color_space = JCS_CMYK;
        return;
      default:
        throw FormatError(fmt::format("{}: a JPEG of {} components; known are 1, 3 and 4",
                                      file_.origin, info_.num_components));
    }
  }

  template <class Step>
  void run(const Step& step) {
    if (run_guarded(trap_.jump, step)) return;
    const FormatError error = damaged_file(file_, "JPEG", trap_.message + place());
    // The destructor does not run if the constructor throws; a second destroy does nothing.
    jpeg_destroy_decompress(&info_);
    throw error;
  }

  std::string place() const {
    const size_t total = file_.bytes.size();
    size_t byte = total;
    // At the end of the data libjpeg has gone back to the last whole block.
    if (info_.src != nullptr && trap_.base.msg_code != JWRN_JPEG_EOF) {
      const auto start = reinterpret_cast<uintptr_t>(file_.bytes.data());
      const auto next = reinterpret_cast<uintptr_t>(info_.src->next_input_byte);
      if (next >= start && next - start <= total) byte = next - start;
    }
    std::string text = fmt::format(", at byte {} of {}", byte, total);
    if (info_.output_scanline > 0 && !info_.buffered_image) {
      text += fmt::format(", in row {} of {}", info_.output_scanline, info_.output_height);
    }
    return text;
  }

  EncodedImage file_;
  jpeg_decompress_struct info_{};
  jpeg_progress_mgr progress_{};
  ErrorTrap trap_{};
};

class JpegWriter final {
 public:
  JpegWriter() { info_.err = install(trap_); }
  ~JpegWriter() {
    jpeg_destroy_compress(&info_);
    std::free(buffer_);
  }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;

  std::vector<uint8_t> encode(const Image& image, int quality) {
    const bool done = run_guarded(trap_.jump, [&] {
      jpeg_create_compress(&info_);
      jpeg_mem_dest(&info_, &buffer_, &size_bytes_);
      info_.image_width = static_cast<JDIMENSION>(image.width);
      info_.image_height = static_cast<JDIMENSION>(image.height);
      info_.input_components = static_cast<int>(image.channels);
      info_.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
      jpeg_set_defaults(&info_);
      jpeg_set_quality(&info_, quality, TRUE);
      jpeg_start_compress(&info_, TRUE);
      while (info_.next_scanline < info_.image_height) {
        auto* row = const_cast<JSAMPROW>(image.row(info_.next_scanline));
        jpeg_write_scanlines(&info_, &row, 1);
      }
      jpeg_finish_compress(&info_);
    });
    if (!done) throw Error(fmt::format("can't encode a JPEG: {}", trap_.message));
    return {buffer_, buffer_ + size_bytes_};
  }

 private:
  jpeg_compress_struct info_{};
  ErrorTrap trap_{};
  unsigned char* buffer_ = nullptr;
  unsigned long size_bytes_ = 0;
};

}  // namespace

ImageSize read_jpeg_size(const EncodedImage& file) {
  const JpegReader reader(file);
  check_pixel_count(file, reader.size());
  return reader.size();
}

Image decode_jpeg(const EncodedImage& file, const DecodeOptions& options) {
  JpegReader reader(file);
  Image image = reader.decode(options);
  return options.format == PixelFormat::kGrey ? to_grey(image) : image;
}

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  check_whole_image(image);
  if (quality < 1 || quality > 100) {
    throw std::invalid_argument(fmt::format("JPEG quality is 1 to 100, got {}", quality));
  }
  if (image.channels == 4) {
    throw std::invalid_argument("JPEG knows no alpha: convert the image by to_rgb first");
  }
  if (image.width > JPEG_MAX_DIMENSION || image.height > JPEG_MAX_DIMENSION) {
    throw std::invalid_argument(fmt::format("JPEG has sides up to {}, got {}x{}",
                                            JPEG_MAX_DIMENSION, image.width, image.height));
  }
  JpegWriter writer;
  return writer.encode(image, quality);
}

}  // namespace striate
