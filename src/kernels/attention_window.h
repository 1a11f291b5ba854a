#pragma once

#include <cstdint>

namespace striate::kernels {

/// Windows of Gaussian filters on images, one each, of float or double. (gregor2015, eqs. 19 to 29)
/// A row is an image's; `stride` is the distance between rows where they are no whole tensor.
struct Window {
  int64_t size;  ///< filters along a side
  int64_t channels;
  int64_t height;
  int64_t width;
};

template <typename T>
struct Rows {
  T* values;
  int64_t stride;
};

/// Reads an image and what the canvas lacks of it: [read(image), read(image - mean)].
template <typename T>
struct WindowRead {
  Window window;
  Rows<const T> numbers;  ///< 5: centre x, y, logarithms of variance, stride and intensity
  Rows<const T> image;    ///< C H W
  Rows<const T> mean;     ///< C H W
  Rows<T> patches;        ///< 2 C size size
};
template <typename T>
void read_window(const WindowRead<T>& read, int64_t row_begin, int64_t row_end);

template <typename T>
struct WindowReadGradient {
  Window window;
  Rows<const T> numbers;
  Rows<const T> image;
  Rows<const T> mean;
  Rows<const T> patches;
  Rows<const T> dpatches;
  Rows<T> dnumbers;
  Rows<T> dcanvas;  ///< grows by the gradient by the canvas, whose sigmoid the mean is
};
template <typename T>
void read_window_gradient(const WindowReadGradient<T>& gradient, int64_t row_begin,
                          int64_t row_end);

/// Adds to a canvas.
template <typename T>
struct WindowWrite {
  Window window;
  Rows<const T> numbers;
  Rows<const T> patch;  ///< C size size
  Rows<T> canvas;       ///< C H W
};
template <typename T>
void write_window(const WindowWrite<T>& write, int64_t row_begin, int64_t row_end);

template <typename T>
struct WindowWriteGradient {
  Window window;
  Rows<const T> numbers;
  Rows<const T> patch;
  Rows<const T> dcanvas;
  Rows<T> dnumbers;
  Rows<T> dpatch;
};
template <typename T>
void write_window_gradient(const WindowWriteGradient<T>& gradient, int64_t row_begin,
                           int64_t row_end);

}  // namespace striate::kernels
