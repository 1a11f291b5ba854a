// Images and objects in Pascal VOC's format. The Pascal Visual Object Classes (VOC) Challenge.
// Everingham, Van Gool, Williams, Winn, Zisserman, 2010. https://doi.org/10.1007/s11263-009-0275-4

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <pugixml.hpp>
#include <set>
#include <sstream>

#include "detection/detection_readers.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/image/codec.h"

namespace striate {

namespace fs = std::filesystem;

namespace {

struct NamedObject {
  std::string class_name;
  Instance instance;
};

struct VocImage {
  AnnotatedImage image;
  std::vector<NamedObject> objects;
};

// The names in a list; what follows a name on its line is not read.
std::vector<std::string> names_in(const fs::path& list) {
  std::vector<std::string> names;
  std::istringstream text(read_text(list));
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    if (std::string name; words >> name) names.push_back(name);
  }
  return names;
}

double number(const pugi::xml_node& parent, const char* name, const std::string& place) {
  const std::string text = parent.child_value(name);
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double value = 0;
  if (stream >> value) return value;
  throw FormatError(fmt::format("{}: {} is no number: \"{}\"", place, name, text));
}

bool flag(const pugi::xml_node& object, const char* name) {
  return object.child(name).text().as_int(0) != 0;
}

fs::path image_of(const fs::path& folder, const std::string& name) {
  const fs::path images = folder / "JPEGImages";
  for (const char* ending : {".jpg", ".jpeg", ".png"}) {
    const fs::path path = images / (name + ending);
    if (fs::is_regular_file(path)) return path;
  }
  return images / (name + ".jpg");
}

ImageSize size_of(const pugi::xml_node& annotation, const fs::path& image,
                  const std::string& place) {
  const pugi::xml_node size = annotation.child("size");
  if (!size) return read_image_size(image);
  const double width = number(size, "width", place);
  const double height = number(size, "height", place);
  if (width >= 1 && height >= 1 && width * height <= static_cast<double>(kMaxImagePixels)) {
    return {static_cast<int64_t>(width), static_cast<int64_t>(height)};
  }
  throw FormatError(
      fmt::format("{} says that its image is {:g}x{:g} pixels", place, width, height));
}

Instance instance_of(const pugi::xml_node& object, const std::string& place) {
  const pugi::xml_node corners = object.child("bndbox");
  if (!corners) throw FormatError(place + " has no bndbox");
  Instance instance;
  // The pixels of both corners belong to the box, and the first pixel is 1.
  instance.box = {number(corners, "xmin", place) - 1, number(corners, "ymin", place) - 1,
                  number(corners, "xmax", place), number(corners, "ymax", place)};
  instance.area = instance.box.area();
  instance.ignored = flag(object, "difficult");
  return instance;
}

class VocReader {
 public:
  VocReader(const fs::path& folder, const DetectionDataOptions& options)
      : folder_(folder), options_(options) {}

  void read_list(const fs::path& list, DetectionSplit split) {
    for (const std::string& name : names_in(list)) {
      images_[static_cast<size_t>(split)].push_back(read_image(name, list));
    }
  }

  DetectionData finish() {
    data_.class_names = {names_.begin(), names_.end()};
    for (int64_t i = 0; i < std::ssize(data_.class_names); ++i) data_.category_ids.push_back(i + 1);
    for (size_t split = 0; split < images_.size(); ++split) {
      for (VocImage& read : images_[split]) {
        for (NamedObject& object : read.objects) {
          const auto place = std::ranges::lower_bound(data_.class_names, object.class_name);
          object.instance.label = place - data_.class_names.begin();
          read.image.instances.push_back(std::move(object.instance));
        }
        data_.splits[split].push_back(std::move(read.image));
      }
    }
    return std::move(data_);
  }

 private:
  VocImage read_image(const std::string& name, const fs::path& list) {
    const fs::path file = folder_ / "Annotations" / (name + ".xml");
    if (!fs::is_regular_file(file)) {
      throw IoError(fmt::format("there is no {}, which {} names", file.string(), list.string()));
    }
    pugi::xml_document document;
    const std::vector<uint8_t> bytes = read_file(file);
    const auto result = document.load_buffer(bytes.data(), bytes.size());
    if (!result) {
      throw FormatError(fmt::format("{} is no XML: {} at byte {}", file.string(),
                                    result.description(), result.offset));
    }
    const pugi::xml_node annotation = document.child("annotation");
    if (!annotation) throw FormatError(file.string() + " holds no annotation");
    VocImage read;
    read.image.id = ++count_;
    read.image.path = image_of(folder_, name);
    need_image(read.image.path, options_);
    const ImageSize size = size_of(annotation, read.image.path, file.string());
    read.image.width = size.width;
    read.image.height = size.height;
    int64_t number = 0;
    for (const pugi::xml_node& object : annotation.children("object")) {
      const std::string class_name = object.child_value("name");
      const std::string place =
          fmt::format("{}: object {} ({})", file.string(), ++number, class_name);
      if (class_name.empty()) throw FormatError(place + " has no name");
      names_.insert(class_name);
      const Instance instance = instance_of(object, place);
      const std::string problem = box_problem(instance.box, size);
      if (problem.empty()) {
        read.objects.push_back({class_name, instance});
      } else {
        drop_object(place, problem, options_, data_);
      }
    }
    return read;
  }

  fs::path folder_;
  DetectionDataOptions options_;
  std::array<std::vector<VocImage>, 3> images_;  // by split
  std::set<std::string> names_;
  int64_t count_ = 0;
  DetectionData data_;
};

}  // namespace

DetectionData read_voc(const fs::path& folder, const DetectionDataOptions& options) {
  const fs::path lists = folder / "ImageSets" / "Main";
  fs::path train = lists / "train.txt";
  if (!fs::is_regular_file(train)) train = lists / "trainval.txt";
  VocReader reader(folder, options);
  const std::array<fs::path, 3> files = {train, lists / "val.txt", lists / "test.txt"};
  for (size_t split = 0; split < files.size(); ++split) {
    if (fs::is_regular_file(files[split])) {
      reader.read_list(files[split], static_cast<DetectionSplit>(split));
    }
  }
  return reader.finish();
}

}  // namespace striate
