#include "kernels/image_stack.h"

#include <algorithm>

namespace striate::kernels {

namespace {

// What a side of an image takes, as a multiple of the stride: with stride 1 the padding in front
// of a line, or image, serves the one before, too.
int64_t steps(int64_t size, int64_t pad, int64_t stride) {
  return stride == 1 ? size + pad : (size + 2 * pad + stride - 1) / stride;
}

// From a kernel's first line to its last.
int64_t height(const ConvolutionShape& s) {
  return (s.kernel_height - 1) * s.dilation_height;
}

}  // namespace

bool ImageStack::fits(const ConvolutionShape& s) {
  return s.dilation_width == 1 && s.pad_height <= height(s) && s.pad_width < s.kernel_width;
}

ImageStack::ImageStack(const ConvolutionShape& s, int64_t slack, int64_t line_slack)
    : s_(s),
      slack_(slack),
      line_slack_(line_slack),
      phases_(std::min(s.stride_height, height(s) + 1)),
      image_lines_(steps(s.height, s.pad_height, s.stride_height)),
      line_places_(steps(s.width, s.pad_width, s.stride_width)),
      reach_(height(s) / s.stride_height) {
  image_lines_ += (line_slack_ + line_size() - 1) / line_size();
}

// Values behind a phase's last line.
int64_t ImageStack::past_size() const {
  return slack_ * stride() + s_.kernel_width * s_.in_channels + line_slack_;
}

int64_t ImageStack::size(int64_t lines) const {
  return phases_ * ((lines + reach_) * line_size() + past_size());
}

int64_t ImageStack::lines(int64_t size) const {
  return std::max<int64_t>(1, (size / phases_ - past_size()) / line_size() - reach_);
}

// Where an output's line lies among those of all images.
int64_t ImageStack::line(int64_t row) const {
  const int64_t y = row / s_.out_width();
  return y / s_.out_height() * image_lines_ + y % s_.out_height();
}

int64_t ImageStack::end(int64_t begin, int64_t lines) const {
  const int64_t last = line(begin) + lines - 1;
  const int64_t y = std::min(last % image_lines_, s_.out_height() - 1);
  return (last / image_lines_ * s_.out_height() + y + 1) * s_.out_width();
}

void ImageStack::add_run(int64_t from, int64_t count) {
  if (count == 0) return;
  if (from == -1 && !runs_.empty() && runs_.back().from == -1) {
    runs_.back().count += count;
  } else {
    runs_.push_back({from, count});
  }
}

void ImageStack::add_line(int64_t input_stride, int64_t line, int64_t phase) {
  const int64_t channels = s_.in_channels;
  const int64_t image = line / image_lines_;
  const int64_t y = line % image_lines_ * s_.stride_height + phase - s_.pad_height;
  if (image >= s_.batch || y < 0 || y >= s_.height) return add_run(-1, line_size());
  const int64_t from = (image * s_.height + y) * s_.width * input_stride;
  add_run(-1, s_.pad_width * channels);
  if (input_stride == channels) {
    add_run(from, s_.width * channels);
  } else {
    for (int64_t x = 0; x < s_.width; ++x) add_run(from + x * input_stride, channels);
  }
  add_run(-1, line_size() - (s_.pad_width + s_.width) * channels);
}

void ImageStack::number_outputs(int64_t begin, int64_t end) {
  first_place_ = begin % s_.out_width();
  outputs_.clear();
  const int64_t first = line(begin) * line_places_ + first_place_;
  for (int64_t row = begin; row < end;) {
    const int64_t x = row % s_.out_width();
    const int64_t place = line(row) * line_places_ + x - first;
    const int64_t count = std::min(s_.out_width() - x, end - row);
    outputs_.resize(static_cast<size_t>(place), -1);
    for (const int64_t line_end = row + count; row < line_end; ++row) {
      outputs_.push_back(row - begin);
    }
  }
}

void ImageStack::lay_out(int64_t input_stride, int64_t begin, int64_t end) {
  const int64_t first = line(begin);
  const int64_t lines = line(end - 1) + 1 - first + reach_;
  const int64_t phase_size = lines * line_size() + past_size();
  runs_.clear();
  for (int64_t phase = 0; phase < phases_; ++phase) {
    for (int64_t i = 0; i < lines; ++i) add_line(input_stride, first + i, phase);
    add_run(-1, past_size());
  }
  kernel_lines_.clear();
  for (int64_t i = 0; i < s_.kernel_height; ++i) {
    const int64_t y = i * s_.dilation_height;
    kernel_lines_.push_back(y % s_.stride_height * phase_size + y / s_.stride_height * line_size());
  }
  number_outputs(begin, end);
}

}  // namespace striate::kernels
