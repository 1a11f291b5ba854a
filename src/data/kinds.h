#pragma once

#include <filesystem>
#include <memory>

#include "striate/data/dataset.h"

namespace striate {

std::unique_ptr<Dataset> open_idx(const std::filesystem::path& folder, Split split,
                                  std::vector<std::string> class_names);
std::unique_ptr<Dataset> open_cifar10(const std::filesystem::path& path, Split split);
std::unique_ptr<Dataset> open_folder(const std::filesystem::path& folder, Split split);
std::unique_ptr<Dataset> open_pack(const std::filesystem::path& file, Split split);
bool pack_has_test_images(const std::filesystem::path& file);

}  // namespace striate
