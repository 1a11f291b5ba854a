#pragma once

#include <string>
#include <vector>

#include "striate/base/json.h"
#include "striate/detection/anchors.h"
#include "striate/detection/matching.h"

namespace striate {

/// How a detector is made of a network for images, what it is trained by, and what of its boxes
/// counts as a detection.
struct DetectorOptions {
  std::string backbone;           ///< a network of the registry
  std::vector<std::string> maps;  ///< its nodes whose values are the feature maps, finest first
  std::string freeze_up_to;       ///< weights up to this node do not change; "": all change
  /// Of the backbone's batch-norms, which are always frozen; below 0: the network's own.
  double batch_norm_eps = -1;
  /// Channels of a feature pyramid over the maps, with a coarser map on top (lin2017); 0: none.
  int64_t pyramid_channels = 0;
  int64_t classes = 0;

  // Images, brought to one scale: the shorter side becomes `min_size`, unless the longer one would
  // become more than `max_size`.
  int64_t min_size = 800;
  /// In training one of these is drawn for each image instead (he2017, appendix); none: `min_size`.
  std::vector<int64_t> training_sizes;
  int64_t max_size = 1333;
  int64_t size_divisor = 32;  ///< batches are padded to multiples of it

  // Proposals.
  bool proposes = true;  ///< false: proposals come from outside (Fast R-CNN)
  AnchorOptions anchors;
  MatchOptions anchor_match{.foreground = 0.7, .background = 0.3, .keep_best = true};
  SampleOptions anchor_sample{.count = 256, .positive_share = 0.5};
  int64_t training_proposals = 2000;    ///< of an image, after suppression, and of each map before
  int64_t evaluation_proposals = 1000;  ///< likewise
  double proposal_overlap = 0.7;        ///< above which proposals suppress each other

  // The head that tells what is in a region.
  bool align = true;           ///< RoI align; false: RoI pooling
  int64_t region_size = 7;     ///< values along a side of a region's grid
  int64_t sampling_ratio = 2;  ///< see RegionPooling
  /// The part of the backbone between these nodes is the head, with its weights; "": two linear
  /// layers of `head_size`.
  std::string head_begin;
  std::string head_end;
  int64_t head_size = 1024;
  MatchOptions region_match{.foreground = 0.5, .background = 0.5, .keep_best = false};
  SampleOptions region_sample{.count = 512, .positive_share = 0.25};
  double score_threshold = 0.05;
  double detection_overlap = 0.5;  ///< above which detections of a class suppress each other
  int64_t most_detections = 100;

  // Masks.
  bool masks = false;
  int64_t mask_region_size = 14;  ///< masks have twice as many values along a side
  int64_t mask_channels = 256;
  int64_t mask_layers = 4;
};

/// @throws FormatError  an unknown or impossible value. What is missing is as in `usual`.
DetectorOptions detector_options(const Json& json, const DetectorOptions& usual,
                                 const std::string& where);
/// Likewise, of an object that others read, too: `finish` is theirs.
DetectorOptions read_detector_options(JsonReader& reader, const DetectorOptions& usual);
Json to_json(const DetectorOptions& options);

/// A detector that the program knows by name.
struct DetectorEntry {
  std::string name;
  std::string form;    ///< one line: what it is
  std::string paper;   ///< key of docs/papers.bib
  std::string recipe;  ///< the usual one
  DetectorOptions options;
};
/// Every detector, in the order of the papers.
const std::vector<DetectorEntry>& detectors();
/// Null: no detector has that name.
const DetectorEntry* find_detector(const std::string& name);

}  // namespace striate
