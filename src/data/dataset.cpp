#include "striate/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "data/kinds.h"
#include "striate/base/error.h"
#include "striate/base/random.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";

std::unique_ptr<Dataset> open_fashion_mnist(Split split) {
  if (!fs::exists(kFashionMnistFolder)) {
    throw IoError(
        fmt::format("fashion-mnist is not installed: there is no {}", kFashionMnistFolder),
        "apt-get install dataset-fashion-mnist, or name its files with idx:DIR");
  }
  return open_idx(kFashionMnistFolder, split,
                  {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt",
                   "Sneaker", "Bag", "Ankle boot"});
}

class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices)
      : whole_(std::move(whole)), indices_(std::move(indices)) {}

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample sample(int64_t index) const override { return whole_->sample(at(index)); }
  PendingSample pending(int64_t index) const override { return whole_->pending(at(index)); }
  int64_t label(int64_t index) const override { return whole_->label(at(index)); }
  std::string origin(int64_t index) const override { return whole_->origin(at(index)); }
  const std::vector<std::string>& class_names() const override { return whole_->class_names(); }

 private:
  int64_t at(int64_t index) const { return indices_.at(static_cast<size_t>(index)); }

  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

}  // namespace

namespace {

struct Spelling {
  std::string kind;
  fs::path path;  // of all kinds but fashion-mnist
};

Spelling parse_spelling(const std::string& spelling) {
  const size_t colon = spelling.find(':');
  const std::string kind = spelling.substr(0, colon);
  if (kind == "fashion-mnist" && colon == std::string::npos) return {kind, {}};
  const std::vector<std::string> kinds = {"fashion-mnist", "idx", "cifar10", "folder", "pack"};
  if (std::ranges::find(kinds, kind) == kinds.end()) {
    const LookupError error = unknown_name("kind of data set", kind, kinds);
    throw LookupError(error.what(),
                      "write fashion-mnist, idx:DIR, cifar10:DIR, folder:DIR or pack:FILE");
  }
  if (colon == std::string::npos || colon + 1 == spelling.size()) {
    throw LookupError(
        fmt::format("data set \"{}\" names no {}", spelling, kind == "pack" ? "file" : "folder"),
        fmt::format("write {}:{}", kind, kind == "pack" ? "FILE" : "DIR"));
  }
  const fs::path path = spelling.substr(colon + 1);
  if (!fs::exists(path)) throw IoError(fmt::format("there is no {}", path.string()));
  return {kind, path};
}

}  // namespace

bool has_test_images(const std::string& spelling) {
  const auto [kind, path] = parse_spelling(spelling);
  if (kind == "cifar10") return fs::is_directory(path);
  if (kind == "folder") return fs::is_directory(path / "train");
  if (kind == "pack") return pack_has_test_images(path);
  return true;
}

std::unique_ptr<Dataset> open_dataset(const std::string& spelling, Split split) {
  const auto [kind, path] = parse_spelling(spelling);
  if (kind == "fashion-mnist") return open_fashion_mnist(split);
  if (kind == "idx") return open_idx(path, split, {});
  if (kind == "cifar10") return open_cifar10(path, split);
  if (kind == "pack") return open_pack(path, split);
  return open_folder(path, split);
}

std::unique_ptr<Dataset> subset(std::shared_ptr<const Dataset> whole,
                                std::vector<int64_t> indices) {
  return std::make_unique<Subset>(std::move(whole), std::move(indices));
}

HeldOut hold_out(int64_t size, int64_t validation_size, uint64_t seed) {
  if (validation_size < 1 || validation_size >= size) {
    throw std::invalid_argument(
        fmt::format("can't hold out {} of {} samples for validation: both parts need at least one",
                    validation_size, size));
  }
  Random random({seed, hash_name("hold out")});
  const std::vector<int64_t> order = random.permutation(size);
  HeldOut parts{.training = {order.begin() + validation_size, order.end()},
                .validation = {order.begin(), order.begin() + validation_size}};
  std::ranges::sort(parts.training);
  std::ranges::sort(parts.validation);
  return parts;
}

}  // namespace striate
