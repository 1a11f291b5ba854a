#include "striate/detection/detector_options.h"

#include <fmt/format.h>

#include <algorithm>

namespace striate {

namespace {

// Every option with its name in JSON.
template <typename Options, typename Visit>
void visit_options(Options& o, const Visit& visit) {
  visit("backbone", o.backbone);
  visit("maps", o.maps);
  visit("freeze_up_to", o.freeze_up_to);
  visit("batch_norm_eps", o.batch_norm_eps);
  visit("pyramid_channels", o.pyramid_channels);
  visit("classes", o.classes);
  visit("min_size", o.min_size);
  visit("training_sizes", o.training_sizes);
  visit("max_size", o.max_size);
  visit("size_divisor", o.size_divisor);
  visit("proposes", o.proposes);
  visit("anchor_sizes", o.anchors.sizes);
  visit("aspect_ratios", o.anchors.aspect_ratios);
  visit("anchor_foreground", o.anchor_match.foreground);
  visit("anchor_background", o.anchor_match.background);
  visit("anchors_per_image", o.anchor_sample.count);
  visit("positive_anchors", o.anchor_sample.positive_share);
  visit("training_proposals", o.training_proposals);
  visit("evaluation_proposals", o.evaluation_proposals);
  visit("proposal_overlap", o.proposal_overlap);
  visit("align", o.align);
  visit("region_size", o.region_size);
  visit("sampling_ratio", o.sampling_ratio);
  visit("head_begin", o.head_begin);
  visit("head_end", o.head_end);
  visit("head_size", o.head_size);
  visit("region_foreground", o.region_match.foreground);
  visit("region_background", o.region_match.background);
  visit("regions_per_image", o.region_sample.count);
  visit("positive_regions", o.region_sample.positive_share);
  visit("score_threshold", o.score_threshold);
  visit("detection_overlap", o.detection_overlap);
  visit("most_detections", o.most_detections);
  visit("masks", o.masks);
  visit("mask_region_size", o.mask_region_size);
  visit("mask_channels", o.mask_channels);
  visit("mask_layers", o.mask_layers);
}

void check(const DetectorOptions& o, const JsonReader& reader) {
  for (const auto& [key, value] : {std::pair{"min_size", o.min_size},
                                   {"max_size", o.max_size},
                                   {"size_divisor", o.size_divisor},
                                   {"anchors_per_image", o.anchor_sample.count},
                                   {"training_proposals", o.training_proposals},
                                   {"evaluation_proposals", o.evaluation_proposals},
                                   {"region_size", o.region_size},
                                   {"head_size", o.head_size},
                                   {"regions_per_image", o.region_sample.count},
                                   {"most_detections", o.most_detections},
                                   {"mask_region_size", o.mask_region_size},
                                   {"mask_channels", o.mask_channels}}) {
    if (value < 1 || value > (1 << 20)) {
      throw reader.error(key, fmt::format("must be in [1, {}], got {}", 1 << 20, value));
    }
  }
  for (const auto& [key, value] : {std::pair{"anchor_foreground", o.anchor_match.foreground},
                                   {"anchor_background", o.anchor_match.background},
                                   {"positive_anchors", o.anchor_sample.positive_share},
                                   {"proposal_overlap", o.proposal_overlap},
                                   {"region_foreground", o.region_match.foreground},
                                   {"region_background", o.region_match.background},
                                   {"positive_regions", o.region_sample.positive_share},
                                   {"score_threshold", o.score_threshold},
                                   {"detection_overlap", o.detection_overlap}}) {
    if (!(value >= 0 && value <= 1)) {
      throw reader.error(key, fmt::format("must be in [0, 1], got {}", value));
    }
  }
  for (const auto& [key, value] : {std::pair{"pyramid_channels", o.pyramid_channels},
                                   {"classes", o.classes},
                                   {"sampling_ratio", o.sampling_ratio},
                                   {"mask_layers", o.mask_layers}}) {
    if (value < 0 || value > (1 << 16)) {
      throw reader.error(key, fmt::format("must be in [0, {}], got {}", 1 << 16, value));
    }
  }
  for (const int64_t size : o.training_sizes) {
    if (size < 1 || size > (1 << 20)) {
      throw reader.error("training_sizes",
                         fmt::format("must be in [1, {}], got {}", 1 << 20, size));
    }
  }
  for (const auto& [key, matching] :
       {std::pair{"anchor_background", o.anchor_match}, {"region_background", o.region_match}}) {
    if (matching.background > matching.foreground) {
      throw reader.error(key, fmt::format("must not be above the foreground's {}, got {}",
                                          matching.foreground, matching.background));
    }
  }
  if (o.maps.empty()) throw reader.error("maps", "must name a node at least");
  const auto positive = [](double value) { return value > 0; };
  for (const std::vector<double>& sizes : o.anchors.sizes) {
    if (!std::ranges::all_of(sizes, positive))
      throw reader.error("anchor_sizes", "must be above 0");
  }
  if (!std::ranges::all_of(o.anchors.aspect_ratios, positive)) {
    throw reader.error("aspect_ratios", "must be above 0");
  }
}

}  // namespace

DetectorOptions read_detector_options(JsonReader& reader, const DetectorOptions& usual) {
  DetectorOptions options = usual;
  visit_options(options, [&](const char* key, auto& value) { value = reader.get(key, value); });
  check(options, reader);
  return options;
}

DetectorOptions detector_options(const Json& json, const DetectorOptions& usual,
                                 const std::string& where) {
  JsonReader reader(json, where);
  DetectorOptions options = read_detector_options(reader, usual);
  reader.finish();
  return options;
}

Json to_json(const DetectorOptions& options) {
  Json json = Json::object();
  visit_options(options, [&](const char* key, const auto& value) { json[key] = value; });
  return json;
}

}  // namespace striate
