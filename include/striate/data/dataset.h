#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "striate/image/image.h"
#include "striate/image/pending.h"

namespace striate {

struct Sample {
  Image image;
  int64_t label = 0;
};

/// A sample whose image is decoded when, and as far as, it is needed.
struct PendingSample {
  PendingImage image;
  int64_t label = 0;
};

enum class Split { kTrain, kTest };

/// Images with a class each. Samples may be read by several threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  /// @throws FormatError, IoError  the image can't be read.
  virtual Sample sample(int64_t index) const = 0;
  /// The same sample, undecoded where it lies in a file. The data set must outlive it.
  /// @throws FormatError, IoError  its header can't be read.
  virtual PendingSample pending(int64_t index) const {
    Sample whole = sample(index);
    return {.image = std::move(whole.image), .label = whole.label};
  }
  /// The class of a sample, without reading its image.
  virtual int64_t label(int64_t index) const = 0;
  /// Where a sample comes from, for messages: a path, or a file and a number.
  virtual std::string origin(int64_t index) const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;
};

/// Opens a data set by its spelling:
///   fashion-mnist   Debian's package dataset-fashion-mnist
///   idx:DIR         MNIST and kin: train-images-idx3-ubyte[.gz] and so on
///   cifar10:DIR     the binary version: data_batch_1.bin … test_batch.bin; or one such file, which
///                   then is both splits
///   pack:FILE       what `write_pack` wrote: one file, mapped into memory
///   folder:DIR      DIR/train/CLASS/*.jpg and DIR/val (or test, valid); without those folders DIR
///                   holds the classes and is both splits. Classes are sorted by name.
/// @throws LookupError  an unknown kind; IoError, FormatError  it can't be read, or holds nothing.
std::unique_ptr<Dataset> open_dataset(const std::string& spelling, Split split);

/// Whether its two splits are different images. @throws LookupError  an unknown kind.
bool has_test_images(const std::string& spelling);

/// Some samples of a data set, in the order given. Keeps the data set alive.
std::unique_ptr<Dataset> subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices);

struct PackOptions {
  /// Scales the shorter side to this and takes the middle, so that all images have one size;
  /// 0: they have one size already.
  int64_t size = 0;
};
/// Writes a data set's images, decoded, into one file that `pack:FILE` opens: training then spends
/// hardly any time on reading them. If its two splits are different images, both are in the file.
/// @param spelling  what `open_dataset` takes.
/// @throws ShapeError  images of several sizes or numbers of channels; else as `open_dataset` and
/// `write_file_atomically`.
void write_pack(const std::string& spelling, const std::filesystem::path& file,
                const PackOptions& options);

struct HeldOut {
  std::vector<int64_t> training;
  std::vector<int64_t> validation;
};
/// Splits 0 … size-1 at random, the same for the same seed. Both lists are sorted.
/// @throws std::invalid_argument  nothing would be left on one side.
HeldOut hold_out(int64_t size, int64_t validation_size, uint64_t seed);

}  // namespace striate
