#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/results.h"

namespace striate::cli {

/// One network of an ensemble, with what it says of the data that all are given.
struct Member {
  std::string weights;  ///< where they are
  std::string model;
  Predictions predictions;
};

/// What `train --ensemble` writes into its folder at the end: the members and how right they are.
std::filesystem::path ensemble_file(const std::filesystem::path& folder);
/// The runs in the folder of an ensemble: those that its file lists or, before it is finished, all
/// by their seeds; none where the folder is a run itself, or holds none.
std::vector<std::string> members_of(const std::filesystem::path& folder);

/// How right each member is and, of several, their mean, the ensemble of their averaged
/// probabilities, and what it gains over the best and over the mean member.
/// @throws Error  the members tell different numbers of classes apart.
Json ensemble_report(const std::vector<Member>& members);

/// The report in words.
std::string describe_ensemble(const Json& report);

}  // namespace striate::cli
