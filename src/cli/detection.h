#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>

#include "striate/detection/detector_file.h"

namespace striate::cli {

/// Reads a weight file, or a run's folder: its best. @throws LookupError  of no detector.
NamedDetector open_detector(const std::filesystem::path& path);

void add_look_detection(CLI::App& look);  // anchors, proposals

}  // namespace striate::cli
