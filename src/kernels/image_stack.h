#pragma once

#include <cstdint>
#include <vector>

#include "kernels/direct_convolution.h"

namespace striate::kernels {

/// How images are copied with their padding, so that the inputs under a line of the kernel lie at
/// the same distance from each output's place. Places follow each other, line after line and image
/// after image; a few between them belong to no output. A vertical stride larger than 1 takes every
/// so manieth line: the lines are dealt to copies ("phases"), in each of which it is 1.
class ImageStack {
 public:
  /// Whether the kernel's pixels lie beside each other, and reach over all padding.
  static bool fits(const ConvolutionShape& shape);

  /// @param slack  places past the last output's that may be read
  /// @param line_slack  values past a kernel's line that may be read: of the same image, or zero
  ImageStack(const ConvolutionShape& shape, int64_t slack, int64_t line_slack);

  /// Values that a stack for so many lines of outputs has.
  int64_t size(int64_t lines) const;
  /// Lines of the largest stack with so many values; at least 1.
  int64_t lines(int64_t size) const;
  /// The end of the outputs from `begin` on that lie in so many lines.
  int64_t end(int64_t begin, int64_t lines) const;

  /// Lays out what outputs [begin, end) need.
  /// @param input_stride  values from one of the images' pixels to the next
  void lay_out(int64_t input_stride, int64_t begin, int64_t end);

  /// Values from one place to the next.
  int64_t stride() const { return s_.stride_width * s_.in_channels; }

  // Of the stack that was laid out last:

  /// Values that follow each other in the images and in the stack; of which all are zero where
  /// `from` is -1.
  struct Run {
    int64_t from;
    int64_t count;
  };
  /// What the stack consists of, in its order.
  const std::vector<Run>& runs() const { return runs_; }
  /// Where the inputs under the kernel's lines lie, from an output's place on: values.
  const std::vector<int64_t>& kernel_lines() const { return kernel_lines_; }
  /// The first output's.
  int64_t first_place() const { return first_place_; }
  /// For each place from that one on: the output, counted from `begin`, or -1.
  const std::vector<int64_t>& outputs() const { return outputs_; }

 private:
  int64_t line(int64_t row) const;
  int64_t line_size() const { return line_places_ * stride(); }
  int64_t past_size() const;
  void add_run(int64_t from, int64_t count);
  void add_line(int64_t input_stride, int64_t line, int64_t phase);
  void number_outputs(int64_t begin, int64_t end);

  ConvolutionShape s_;
  int64_t slack_;
  int64_t line_slack_;
  int64_t phases_;
  int64_t image_lines_;  // of an image in a phase
  int64_t line_places_;
  int64_t reach_;  // of the kernel in a phase: lines below an output's own
  std::vector<Run> runs_;
  std::vector<int64_t> kernel_lines_;
  std::vector<int64_t> outputs_;
  int64_t first_place_ = 0;
};

}  // namespace striate::kernels
