#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "striate/image/image.h"
#include "striate/report/plot.h"

namespace striate {

/// One epoch of a run. Accuracies lie in [0, 1]; what was not measured is NaN.
struct EpochRecord {
  int64_t epoch = 0;
  double learning_rate = 0;
  double train_loss = 0;
  double train_accuracy = 0;
  double validation_loss = 0;
  double validation_accuracy = 0;
  double seconds = 0;
};

/// An image that the network gets wrong, and how sure it was, in [0, 1].
struct Mistake {
  Image image;
  std::string truth;
  std::string predicted;
  double confidence = 0;
};

/// Numbers of what was evaluated, as text.
struct ReportTable {
  std::string caption;
  std::vector<std::string> headings;
  std::vector<std::vector<std::string>> rows;
};

/// What a run's page shows. Any part may be empty; the page then says so or leaves it out.
struct RunReport {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;  // name and value, in the page's order
  std::vector<EpochRecord> epochs;
  /// What the epochs' accuracies are. Of "accuracy" the page has the error beside the best one.
  std::string measure = "accuracy";
  std::vector<Plot> plots;                      // of what was evaluated
  std::vector<ReportTable> tables;              // below them
  std::string evaluated_on;                     // the data behind confusion and mistakes
  std::vector<std::string> class_names;         // empty: classes are called by their numbers
  std::vector<std::vector<int64_t>> confusion;  // [truth][predicted], images
  std::vector<Mistake> mistakes;
};

/// The page of a training run: one HTML file that needs no network, no script and no other file.
/// All texts are escaped. Up to 40 classes the confusion matrix is shown whole, above that its
/// largest entries; mistakes are shown most confident first.
/// @throws std::invalid_argument  confusion is not square, does not fit class_names or has a
///                                negative count or more than 2^53 images; an image's pixels do not
///                                fit its size.
std::string run_report_html(const RunReport& report);

}  // namespace striate
