// Images and objects in COCO's format. Microsoft COCO: Common Objects in Context. Lin, Maire,
// Belongie, Hays, Perona, Ramanan, Dollár, Zitnick, 2014. https://arxiv.org/abs/1405.0312

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "detection/coco_json.h"
#include "detection/detection_readers.h"
#include "striate/base/error.h"
#include "striate/base/file.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

// Masks are made so many at a time, on all threads: of the rest of a file no polygon is kept.
constexpr size_t kBatch = 4096;
const std::string kPrefix = "instances_";

// One file of instances. Its lists may come in any order.
class CocoFile {
 public:
  CocoFile(const fs::path& file, const DetectionDataOptions& options)
      : file_(file), options_(options) {
    read_coco_items(file, [this](const CocoPlace& place, CocoItem& item) { add(place, item); });
    make_masks();
  }

  std::map<int64_t, std::string> categories;

  // The images in the order of the file. @param labels  of the categories.
  std::vector<AnnotatedImage> finish(const std::map<int64_t, int64_t>& labels,
                                     const fs::path& folder, DetectionData& data) {
    for (Annotation& annotation : annotations_) attach(annotation, labels, data);
    std::string name = file_.stem().string();
    if (name.starts_with(kPrefix)) name = name.substr(kPrefix.size());
    const std::array<fs::path, 4> places = {folder / name, folder / "images" / name,
                                            folder / "images", folder};
    for (AnnotatedImage& image : images_) {
      const auto found = std::ranges::find_if(
          places, [&](const fs::path& place) { return fs::is_regular_file(place / image.path); });
      image.path = (found == places.end() ? places[0] : *found) / image.path;
      need_image(image.path, options_);
    }
    return std::move(images_);
  }

 private:
  struct Annotation {
    int64_t index;
    int64_t id;
    int64_t image_id;
    int64_t category_id;
    bool has_area;
    Instance instance;
    std::string problem;
  };
  struct PendingMask {
    size_t annotation;
    CocoSegmentation segmentation;
  };

  void add(const CocoPlace& place, CocoItem& item) {
    if (place.section == "images") return add_image(place, item);
    if (place.section == "annotations") return add_annotation(place, item);
    if (place.section != "categories") {
      throw FormatError(fmt::format("{} is a list, and no file of instances", file_.string()));
    }
    const int64_t id = needed(item.id, "id", place);
    if (item.name.empty()) throw FormatError(fmt::format("{} has no name", place.text()));
    if (!categories.emplace(id, item.name).second) {
      throw FormatError(fmt::format("{} has the id {} of another one", place.text(), id));
    }
  }

  void add_image(const CocoPlace& place, const CocoItem& item) {
    AnnotatedImage image{.id = needed(item.id, "id", place),
                         .path = item.file_name,
                         .width = needed(item.width, "width", place),
                         .height = needed(item.height, "height", place)};
    if (item.file_name.empty()) throw FormatError(place.text() + ".file_name is missing");
    if (image.width < 1 || image.height < 1 || image.width > kMaxImagePixels / image.height) {
      throw FormatError(
          fmt::format("{} is {}x{} pixels large", place.text(), image.width, image.height));
    }
    if (!places_.emplace(image.id, images_.size()).second) {
      throw FormatError(fmt::format("{} has the id {} of another one", place.text(), image.id));
    }
    images_.push_back(std::move(image));
  }

  void add_annotation(const CocoPlace& place, CocoItem& item) {
    Annotation made{.index = place.index,
                    .id = item.id.value_or(-1),
                    .image_id = needed(item.image_id, "image_id", place),
                    .category_id = needed(item.category_id, "category_id", place),
                    .has_area = item.area.has_value()};
    made.instance.box = corners(item, place);
    made.instance.area = item.area.value_or(made.instance.box.area());
    made.instance.ignored = item.crowd.value_or(0) != 0;
    annotations_.push_back(std::move(made));
    if (options_.without_masks || !item.segmentation.present()) return;
    pending_.push_back({annotations_.size() - 1, std::move(item.segmentation)});
    if (pending_.size() >= kBatch && !images_.empty()) make_masks();
  }

  void make_masks() {
    const auto count = static_cast<int64_t>(pending_.size());
    at::parallel_for(0, count, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) make_mask(pending_[i]);
    });
    pending_.clear();
  }

  void make_mask(const PendingMask& pending) {
    Annotation& annotation = annotations_[pending.annotation];
    const auto found = places_.find(annotation.image_id);
    if (found == places_.end()) return;  // `attach` tells
    const AnnotatedImage& image = images_[found->second];
    try {
      RunLengthMask mask = pending.segmentation.mask({image.width, image.height});
      if (!annotation.has_area) annotation.instance.area = static_cast<double>(mask_area(mask));
      annotation.instance.mask = std::move(mask);
    } catch (const std::exception& error) {
      annotation.problem = fmt::format("has no mask: {}", error.what());
    }
  }

  void attach(Annotation& annotation, const std::map<int64_t, int64_t>& labels,
              DetectionData& data) {
    const std::string place =
        fmt::format("{}: annotations[{}] (id {})", file_.string(), annotation.index, annotation.id);
    const auto found = places_.find(annotation.image_id);
    if (found == places_.end()) {
      throw FormatError(fmt::format("{} is of image {}, which is not among the images", place,
                                    annotation.image_id));
    }
    const auto label = labels.find(annotation.category_id);
    if (label == labels.end()) {
      throw FormatError(fmt::format("{} is of category {}, which is not among the categories",
                                    place, annotation.category_id));
    }
    AnnotatedImage& image = images_[found->second];
    std::string problem = box_problem(annotation.instance.box, {image.width, image.height});
    if (problem.empty()) problem = annotation.problem;
    if (!problem.empty()) return drop_object(place, problem, options_, data);
    annotation.instance.label = label->second;
    image.instances.push_back(std::move(annotation.instance));
  }

  fs::path file_;
  DetectionDataOptions options_;
  std::vector<AnnotatedImage> images_;
  std::unordered_map<int64_t, size_t> places_;  // of images, by id
  std::vector<Annotation> annotations_;
  std::vector<PendingMask> pending_;
};

// Names the classes by the categories of a file, and gives each its label.
std::map<int64_t, int64_t> take_categories(const CocoFile& file, const fs::path& path,
                                           DetectionData& data) {
  std::map<int64_t, int64_t> labels;
  std::vector<std::string> names;
  std::vector<int64_t> ids;
  for (const auto& [id, name] : file.categories) {
    labels[id] = std::ssize(names);
    names.push_back(name);
    ids.push_back(id);
  }
  if (names.empty()) throw FormatError(path.string() + " holds no categories");
  if (data.class_names.empty()) {
    data.class_names = names;
    data.category_ids = ids;
  }
  if (data.class_names == names && data.category_ids == ids) return labels;
  throw FormatError(path.string() + " has other categories than the files beside it");
}

void read_file_of(DetectionSplit split, const fs::path& path, const fs::path& folder,
                  const DetectionDataOptions& options, DetectionData& data) {
  CocoFile file(path, options);
  const auto labels = take_categories(file, path, data);
  data.splits[static_cast<size_t>(split)] = file.finish(labels, folder, data);
}

}  // namespace

DetectionData read_coco(const fs::path& folder, const DetectionDataOptions& options) {
  const fs::path annotations = folder / "annotations";
  if (!fs::is_directory(annotations)) {
    throw IoError(fmt::format("{} is no folder", annotations.string()),
                  "coco:DIR reads DIR/annotations/instances_{train,val,test}*.json");
  }
  DetectionData data;
  const std::array<std::string, 3> words = {"train", "val", "test"};
  for (size_t i = 0; i < words.size(); ++i) {
    const fs::path path = only_file(annotations, kPrefix + words[i], ".json");
    if (!path.empty()) read_file_of(static_cast<DetectionSplit>(i), path, folder, options, data);
  }
  return data;
}

DetectionData read_coco_file(const fs::path& file, const DetectionDataOptions& options) {
  DetectionData data;
  read_file_of(DetectionSplit::kTrain, file, file.parent_path(), options, data);
  return data;
}

}  // namespace striate
