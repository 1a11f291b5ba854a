// Transforms to and from JSON, and the preprocessings that have a name.
#include <fmt/format.h>

#include <map>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/data/transforms.h"

namespace striate {

namespace {

const std::vector<std::pair<std::string, Interpolation>> kInterpolations = {
    {"nearest", Interpolation::kNearest},
    {"bilinear", Interpolation::kBilinear},
    {"bicubic", Interpolation::kBicubic},
    {"lanczos", Interpolation::kLanczos},
    {"box", Interpolation::kBox}};

std::string name_of(Interpolation interpolation) {
  for (const auto& [name, value] : kInterpolations) {
    if (value == interpolation) return name;
  }
  throw std::logic_error("an interpolation without a name");
}

// Every transform's fields, once: `Fields` either reads them from JSON or writes them.
template <class Fields>
void visit_fields(Fields& f, transforms::Channels& t) {
  f("count", t.count);
}
template <class Fields>
void visit_fields(Fields& f, transforms::Resize& t) {
  f("size", t.size);
  f("square", t.square);
  f("interpolation", t.interpolation);
}
template <class Fields>
void visit_fields(Fields& f, transforms::Pad& t) {
  f("padding", t.padding);
}
template <class Fields>
void visit_fields(Fields& f, transforms::CenterCrop& t) {
  f("size", t.size);
}
template <class Fields>
void visit_fields(Fields& f, transforms::RandomCrop& t) {
  f("size", t.size);
  f("padding", t.padding);
}
template <class Fields>
void visit_fields(Fields& f, transforms::RandomResizedCrop& t) {
  f("size", t.size);
  f("scale", t.scale);
  f("ratio", t.ratio);
  f("interpolation", t.interpolation);
}
template <class Fields>
void visit_fields(Fields& f, transforms::RandomHorizontalFlip& t) {
  f("p", t.p);
}
template <class Fields>
void visit_fields(Fields& f, transforms::ColorJitter& t) {
  f("brightness", t.brightness);
  f("contrast", t.contrast);
  f("saturation", t.saturation);
  f("hue", t.hue);
}
template <class Fields>
void visit_fields(Fields& f, transforms::TenCrop& t) {
  f("size", t.size);
}
template <class Fields>
void visit_fields(Fields& f, transforms::PcaJitter& t) {
  f("deviation", t.deviation);
}
template <class Fields>
void visit_fields(Fields& f, transforms::Normalize& t) {
  f("mean", t.mean);
  f("std", t.std);
}
template <class Fields>
void visit_fields(Fields& f, transforms::RandomErasing& t) {
  f("p", t.p);
  f("scale", t.scale);
  f("ratio", t.ratio);
}

// A word that is not among those known.
FormatError unknown_word(const std::string& where, const LookupError& error) {
  return FormatError(fmt::format("{}: {}", where, error.what()), error.hint());
}

struct ReadFields {
  JsonReader& reader;
  const std::string& where;

  template <class T>
  void operator()(const char* name, T& field) {
    field = reader.get<T>(name, field);
  }
  void operator()(const char* name, Interpolation& field) {
    const auto wanted = reader.get<std::string>(name, name_of(field));
    std::vector<std::string> names;
    for (const auto& [known, value] : kInterpolations) {
      if (known == wanted) {
        field = value;
        return;
      }
      names.push_back(known);
    }
    throw unknown_word(where, unknown_name("interpolation", wanted, names));
  }
};

struct WriteFields {
  Json& object;

  template <class T>
  void operator()(const char* name, T& field) {
    object[name] = field;
  }
  void operator()(const char* name, Interpolation& field) { object[name] = name_of(field); }
};

// In the order of the variant.
const std::vector<std::pair<std::string, Transform>>& known_transforms() {
  static const std::vector<std::pair<std::string, Transform>> table = {
      {"channels", transforms::Channels{}},
      {"resize", transforms::Resize{}},
      {"pad", transforms::Pad{}},
      {"center_crop", transforms::CenterCrop{}},
      {"random_crop", transforms::RandomCrop{}},
      {"random_resized_crop", transforms::RandomResizedCrop{}},
      {"random_horizontal_flip", transforms::RandomHorizontalFlip{}},
      {"color_jitter", transforms::ColorJitter{}},
      {"ten_crop", transforms::TenCrop{}},
      {"pca_jitter", transforms::PcaJitter{}},
      {"normalize", transforms::Normalize{}},
      {"random_erasing", transforms::RandomErasing{}}};
  return table;
}

Preprocessing checked(std::vector<Transform> transforms, const std::string& where) {
  try {
    return Preprocessing(std::move(transforms));
  } catch (const std::invalid_argument& error) {
    throw FormatError(fmt::format("{}: {}", where, error.what()));
  }
}

Transform read_transform(const Json& item, const std::string& where) {
  if (!item.is_object() || item.size() != 1) {
    throw FormatError(
        fmt::format("{} must be an object of one transform, got {}", where, item.dump()),
        "as {\"center_crop\": {\"size\": 224}}");
  }
  const std::string name = item.begin().key();
  std::vector<std::string> names;
  for (const auto& [known, transform] : known_transforms()) {
    names.push_back(known);
    if (known != name) continue;
    Transform result = transform;
    const std::string place = where + "." + name;
    JsonReader reader(item.begin().value(), place);
    ReadFields fields{reader, place};
    std::visit([&](auto& t) { visit_fields(fields, t); }, result);
    reader.finish();
    checked({result}, place);
    return result;
  }
  throw unknown_word(where, unknown_name("transform", name, names));
}

}  // namespace

Preprocessing Preprocessing::from_json(const Json& list, const std::string& where) {
  if (!list.is_array()) {
    throw FormatError(fmt::format("{} must be a list of transforms, got {}", where, list.dump()));
  }
  std::vector<Transform> transforms;
  for (size_t i = 0; i < list.size(); ++i) {
    transforms.push_back(read_transform(list[i], fmt::format("{}[{}]", where, i)));
  }
  return checked(std::move(transforms), where);
}

Json Preprocessing::to_json() const {
  Json list = Json::array();
  for (const Transform& transform : transforms_) {
    Json fields_json = Json::object();
    WriteFields fields{fields_json};
    Transform copy = transform;
    std::visit([&](auto& t) { visit_fields(fields, t); }, copy);
    list.push_back({{known_transforms()[transform.index()].first, fields_json}});
  }
  return list;
}

Preprocessing named_preprocessing(const std::string& name) {
  using namespace transforms;
  const Normalize imagenet{.mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
  const Normalize half{.mean = {0.5}, .std = {0.5}};
  const std::vector<std::pair<std::string, std::vector<Transform>>> table = {
      {"imagenet", {Channels{.count = 3}, Resize{.size = 256}, CenterCrop{.size = 224}, imagenet}},
      {"imagenet-10crop",
       {Channels{.count = 3}, Resize{.size = 256}, TenCrop{.size = 224}, imagenet}},
      {"imagenet-227",
       {Channels{.count = 3}, Resize{.size = 256}, CenterCrop{.size = 227}, imagenet}},
      {"imagenet-half", {Channels{.count = 3}, Resize{.size = 256}, CenterCrop{.size = 224}, half}},
      {"cifar10", {Channels{.count = 3}, Resize{.size = 32}, CenterCrop{.size = 32}, imagenet}},
      {"unit-32", {Channels{.count = 1}, CenterCrop{.size = 32}}},
  };
  std::vector<std::string> names;
  for (const auto& [known, list] : table) {
    if (known == name) return Preprocessing(list);
    names.push_back(known);
  }
  throw unknown_name("preprocessing", name, names);
}

}  // namespace striate
