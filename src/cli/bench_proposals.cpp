#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "cli/bench.h"
#include "cli/command.h"
#include "cli/detection_measures.h"
#include "striate/detection/detection_data.h"
#include "striate/detection/selective_search.h"
#include "striate/image/codec.h"

namespace striate::cli {

namespace {

struct Options {
  std::string data;
  std::string split = "test";
  std::string mode = "fast";
  int64_t boxes = 2000;
  int64_t smallest_region = SelectiveSearchOptions{}.smallest_region;
  int64_t limit = 0;
  int threads = 0;
  bool lenient = false;
  bool json = false;
};

// How well the objects of images are found.
struct Found {
  int64_t objects = 0;
  int64_t half = 0;     // overlapped by at least 0.5
  int64_t seventy = 0;  // by at least 0.7
  double overlap = 0;   // sum of the largest
  int64_t boxes = 0;
  double seconds = 0;
};

void add_objects(const AnnotatedImage& image, const std::vector<Box>& boxes, Found& found) {
  found.boxes += std::ssize(boxes);
  for (const Instance& instance : image.instances) {
    if (instance.ignored) continue;
    double best = 0;
    for (const Box& box : boxes) best = std::max(best, intersection_over_union(box, instance.box));
    ++found.objects;
    found.half += best >= 0.5;
    found.seventy += best >= 0.7;
    found.overlap += best;
  }
}

void bench_proposals(const Options& options) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  const DetectionData data =
      read_detection_data(options.data, {.lenient = options.lenient, .without_masks = true});
  std::vector<AnnotatedImage> images = images_of(data, detection_split(options.split));
  if (options.limit > 0 && options.limit < std::ssize(images)) images.resize(options.limit);
  if (images.empty())
    throw UsageError(options.data + " has no such images", "name another --split");
  const SelectiveSearchOptions search{
      .mode = options.mode == "fast" ? SelectiveSearchMode::kFast : SelectiveSearchMode::kQuality,
      .smallest_region = options.smallest_region,
      .max_boxes = options.boxes};
  Found found;
  for (const AnnotatedImage& image : images) {
    const Image pixels = read_image(image.path);
    const auto start = std::chrono::steady_clock::now();
    const std::vector<Box> boxes = selective_search(pixels, search);
    found.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    add_objects(image, boxes, found);
  }
  const auto share = [](auto part, int64_t whole) {
    return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(whole, 1));
  };
  const Json report = {{"images", images.size()},
                       {"objects", found.objects},
                       {"dropped_objects", data.dropped},
                       {"boxes_per_image", share(found.boxes, std::ssize(images))},
                       {"recall", share(found.half, found.objects)},
                       {"recall_at_70", share(found.seventy, found.objects)},
                       {"mean_best_overlap", share(found.overlap, found.objects)},
                       {"seconds_per_image", share(found.seconds, std::ssize(images))}};
  if (options.json) return print(report);
  print(fmt::format(
      "{} objects in {} images: {:.1f} % overlapped by at least 0.5, {:.1f} % by 0.7, "
      "{:.3f} on average; {:.0f} boxes and {:.3f} s an image{}\n",
      found.objects, images.size(), 100 * report["recall"].get<double>(),
      100 * report["recall_at_70"].get<double>(), report["mean_best_overlap"].get<double>(),
      report["boxes_per_image"].get<double>(), report["seconds_per_image"].get<double>(),
      describe_dropped(report)));
}

}  // namespace

void add_proposals_mode(CLI::App& bench) {
  CLI::App* command =
      bench.add_subcommand("proposals", "Selective search: which objects its boxes find");
  const auto options = std::make_shared<Options>();
  command->add_option("data", options->data, "coco:DIR, voc:DIR or masks:DIR")->required();
  command->add_option("--split", options->split, "train, validation or test")
      ->check(CLI::IsMember({"train", "validation", "test"}))
      ->capture_default_str();
  command->add_option("--mode", options->mode, "fast (12 groupings) or quality (100)")
      ->check(CLI::IsMember({"fast", "quality"}))
      ->capture_default_str();
  command->add_option("--boxes", options->boxes, "At most so many an image; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_option("--smallest-region", options->smallest_region,
                   "Of the first segmentation, in pixels")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--limit", options->limit, "The first N images; 0: all")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--threads", options->threads, "Threads that compute; 0: all")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--lenient", options->lenient, "Leave out objects whose box is wrong");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { bench_proposals(*options); });
}

}  // namespace striate::cli
