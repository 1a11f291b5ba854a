#include "runtime/pth.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "runtime/pickle.h"
#include "runtime/state_dict.h"
#include "runtime/zip.h"

namespace striate {

namespace {

using pickle::as;

// An expanded tensor is larger than its storage. Up to this size, or the file's, it is believed.
constexpr uint64_t kMaximumExpandedBytes = uint64_t{16} << 20;
constexpr int64_t kStreamVersion = 1001;

constexpr std::array kStorageTypes{
    std::pair<std::string_view, at::ScalarType>{"torch.FloatStorage", at::kFloat},
    std::pair<std::string_view, at::ScalarType>{"torch.DoubleStorage", at::kDouble},
    std::pair<std::string_view, at::ScalarType>{"torch.HalfStorage", at::kHalf},
    std::pair<std::string_view, at::ScalarType>{"torch.BFloat16Storage", at::kBFloat16},
    std::pair<std::string_view, at::ScalarType>{"torch.LongStorage", at::kLong},
    std::pair<std::string_view, at::ScalarType>{"torch.IntStorage", at::kInt},
    std::pair<std::string_view, at::ScalarType>{"torch.ShortStorage", at::kShort},
    std::pair<std::string_view, at::ScalarType>{"torch.CharStorage", at::kChar},
    std::pair<std::string_view, at::ScalarType>{"torch.ByteStorage", at::kByte},
    std::pair<std::string_view, at::ScalarType>{"torch.BoolStorage", at::kBool},
};

// A storage as a pickle describes it. Numbers are in elements.
struct StorageId {
  std::string key;
  at::ScalarType dtype = at::kFloat;
  int64_t numel = 0;
  // The part of the storage that is meant: the older form has storages that are views.
  int64_t view_begin = 0;
  int64_t view_numel = 0;
};

std::optional<at::ScalarType> storage_type(const pickle::Value* value) {
  const auto* global = as<pickle::Global>(value);
  if (global == nullptr) return std::nullopt;
  for (const auto& [name, dtype] : kStorageTypes) {
    if (name == global->name) return dtype;
  }
  return std::nullopt;
}

bool is_text(const pickle::Value* value, std::string_view text) {
  const auto* found = as<std::string>(value);
  return found != nullptr && *found == text;
}

// ("storage", type, key, location, elements), in the older form with (key, begin, elements) or None
// behind, for a storage that is a view of the one that `key` names.
StorageId read_storage_id(const WeightFile& file, const pickle::Value& value) {
  const FormatError broken = file.error(value.byte, "describes a storage in an unknown way");
  const auto* persistent = as<pickle::Persistent>(&value);
  const auto* tuple = persistent == nullptr ? nullptr : as<pickle::Tuple>(persistent->id);
  if (tuple == nullptr || tuple->items.size() < 5 || tuple->items.size() > 6) throw broken;
  const auto& items = tuple->items;
  const auto* key = as<std::string>(items[2]);
  const auto* numel = as<int64_t>(items[4]);
  if (!is_text(items[0], "storage") || key == nullptr || numel == nullptr) throw broken;
  const std::optional<at::ScalarType> dtype = storage_type(items[1]);
  if (!dtype) throw file.error(value.byte, "has a storage of an unknown type");
  const auto limit = static_cast<int64_t>(file.bytes().size());
  if (*numel < 0 || *numel > limit) {
    throw file.error(value.byte, fmt::format("has a storage of {} elements", *numel));
  }
  StorageId id{.key = *key, .dtype = *dtype, .numel = *numel, .view_numel = *numel};
  if (items.size() == 5 || as<pickle::None>(items[5]) != nullptr) return id;
  const auto* view = as<pickle::Tuple>(items[5]);
  if (view == nullptr || view->items.size() != 3) throw broken;
  const auto* begin = as<int64_t>(view->items[1]);
  const auto* count = as<int64_t>(view->items[2]);
  if (begin == nullptr || count == nullptr) throw broken;
  if (*begin < 0 || *count < 0 || *begin > *numel || *count > *numel - *begin) {
    throw file.error(value.byte, "has a view that lies outside its storage");
  }
  id.view_begin = *begin;
  id.view_numel = *count;
  return id;
}

// The storages of a file by key. Each is mapped once, so that tensors share it as they did.
class StorageTable {
 public:
  explicit StorageTable(const WeightFile& file) : file_(file) {}

  void add(const std::string& key, ByteRange range) { places_[key] = range; }

  const c10::Storage& get(const StorageId& id, uint64_t byte) {
    if (const auto found = mapped_.find(id.key); found != mapped_.end()) {
      if (found->second.dtype != id.dtype) {
        throw file_.error(byte, fmt::format("uses storage {} as two types", in_quotes(id.key)));
      }
      check_size(id, found->second.storage.nbytes(), byte);
      return found->second.storage;
    }
    const auto place = places_.find(id.key);
    if (place == places_.end()) {
      throw file_.error(byte, fmt::format("has no storage {}", in_quotes(id.key)));
    }
    check_size(id, place->second.size, byte);
    const Mapped mapped{id.dtype, map_storage(file_, place->second, id.dtype)};
    return mapped_.emplace(id.key, mapped).first->second.storage;
  }

 private:
  struct Mapped {
    at::ScalarType dtype;
    c10::Storage storage;
  };

  void check_size(const StorageId& id, uint64_t size_bytes, uint64_t byte) const {
    const uint64_t wanted = static_cast<uint64_t>(id.numel) * c10::elementSize(id.dtype);
    if (wanted == size_bytes) return;
    throw file_.error(byte, fmt::format("storage {} has {} bytes, but {} are needed",
                                        in_quotes(id.key), size_bytes, wanted));
  }

  const WeightFile& file_;
  std::map<std::string, ByteRange> places_;
  std::map<std::string, Mapped> mapped_;
};

class TensorBuilder {
 public:
  TensorBuilder(const WeightFile& file, StorageTable& storages)
      : file_(file), storages_(storages) {}

  at::Tensor build(const pickle::Value& value, const std::string& name);

 private:
  std::vector<int64_t> sizes(const pickle::Value* value) const;
  void check_view(const TensorView& view, const StorageId& id) const;
  FormatError error(const std::string& problem) const {
    return file_.error(byte_, fmt::format("tensor {} {}", in_quotes(name_), problem));
  }

  const WeightFile& file_;
  StorageTable& storages_;
  std::string name_;
  uint64_t byte_ = 0;
};

at::Tensor TensorBuilder::build(const pickle::Value& value, const std::string& name) {
  name_ = name;
  byte_ = value.byte;
  const auto* call = as<pickle::Call>(&value);
  if (call->function == "torch._utils._rebuild_parameter") {
    call = call->arguments->empty() ? nullptr : as<pickle::Call>((*call->arguments)[0]);
    if (call == nullptr) throw error("is a parameter without a tensor");
  }
  // (storage, offset, sizes, strides, requires_grad, hooks, attributes); the oldest end at strides.
  if (!call->function.starts_with("torch._utils._rebuild_tensor") || call->arguments->size() < 4) {
    throw error("is described in an unknown way");
  }
  const pickle::Items& arguments = *call->arguments;
  const StorageId id = read_storage_id(file_, *arguments[0]);
  const auto* offset = as<int64_t>(arguments[1]);
  if (offset == nullptr || *offset < 0) throw error("has no offset");
  if (arguments.size() > 6) {
    const auto* attributes = as<pickle::Dict>(arguments[6]);
    if (attributes != nullptr && !attributes->items.empty()) {
      throw error("has attributes (conjugated or negated memory), which are not read");
    }
  }
  TensorView view{.dtype = id.dtype,
                  .offset = *offset,
                  .sizes = sizes(arguments[2]),
                  .strides = sizes(arguments[3])};
  check_view(view, id);
  view.offset += id.view_begin;
  return view_storage(storages_.get(id, byte_), view);
}

std::vector<int64_t> TensorBuilder::sizes(const pickle::Value* value) const {
  const auto* tuple = as<pickle::Tuple>(value);
  if (tuple == nullptr || tuple->items.size() > kMaximumRank) throw error("has no sizes");
  std::vector<int64_t> result;
  for (const pickle::Value* item : tuple->items) {
    const auto* number = as<int64_t>(item);
    if (number == nullptr || *number < 0) throw error("has a size or stride that is none");
    result.push_back(*number);
  }
  return result;
}

// Every element must lie in the storage, and all of them make a tensor of a believable size.
void TensorBuilder::check_view(const TensorView& view, const StorageId& id) const {
  if (view.sizes.size() != view.strides.size()) throw error("has other sizes than strides");
  int64_t numel = 1;
  int64_t last = view.offset;
  bool overflows = false;
  for (size_t i = 0; i < view.sizes.size(); ++i) {
    const int64_t size = std::max<int64_t>(view.sizes[i], 1);
    int64_t reach = 0;
    overflows = overflows || __builtin_mul_overflow(numel, size, &numel) ||
                __builtin_mul_overflow(size - 1, view.strides[i], &reach) ||
                __builtin_add_overflow(last, reach, &last);
  }
  const bool empty = std::find(view.sizes.begin(), view.sizes.end(), 0) != view.sizes.end();
  if (overflows || (empty ? view.offset > id.view_numel : last >= id.view_numel)) {
    throw error(fmt::format("reaches beyond its storage of {} elements", id.view_numel));
  }
  const uint64_t limit = std::max<uint64_t>(file_.bytes().size(), kMaximumExpandedBytes);
  if (static_cast<uint64_t>(numel) > limit / c10::elementSize(view.dtype)) {
    throw error(fmt::format("has {} elements, more than the file can mean", numel));
  }
}

Weights flatten(const WeightFile& file, const pickle::Document& document, StorageTable& storages) {
  TensorBuilder builder(file, storages);
  return flatten_state_dict(file, document,
                            [&](const pickle::Value& value, const std::string& name) {
                              return builder.build(value, name);
                            });
}

// The pickle of the archive "NAME/data.pkl"; its folder holds everything else.
std::string find_folder(const WeightFile& file, const std::map<std::string, ByteRange>& contents) {
  constexpr std::string_view kPickle = "/data.pkl";
  for (const auto& [name, range] : contents) {
    if (name.ends_with(kPickle) && name.find('/') == name.size() - kPickle.size()) {
      return name.substr(0, name.size() - kPickle.size());
    }
  }
  throw file.error(0, "is a zip archive, but not one of torch.save: it has no data.pkl");
}

int64_t expect_number(const WeightFile& file, const pickle::Document& document) {
  const auto* number = as<int64_t>(document.root);
  if (number == nullptr) throw file.error(document.root->byte, "has no version");
  return *number;
}

// Magic number, version and system; returns the byte after them.
uint64_t read_stream_head(const WeightFile& file) {
  constexpr std::string_view kMagic{"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10};
  const uint64_t size = file.bytes().size();
  const pickle::Document magic = pickle::read(file, {.begin = 0, .size = size});
  const auto* number = as<pickle::Long>(magic.root);
  if (number == nullptr || number->bytes != kMagic) {
    throw file.error(0, "is a pickle, but not one of torch.save");
  }
  const auto version = pickle::read(file, {.begin = magic.end, .size = size - magic.end});
  if (expect_number(file, version) != kStreamVersion) {
    throw file.error(magic.end, fmt::format("has another version than {}", kStreamVersion));
  }
  const auto system = pickle::read(file, {.begin = version.end, .size = size - version.end});
  const auto* dictionary = as<pickle::Dict>(system.root);
  if (dictionary == nullptr) throw file.error(version.end, "doesn't describe its system");
  for (const auto& [key, value] : dictionary->items) {
    const auto* little = as<bool>(value);
    if (is_text(key, "little_endian") && (little == nullptr || !*little)) {
      throw file.error(value->byte, "was saved on a big-endian machine");
    }
  }
  return system.end;
}

// Where the storages lie: for each key of the list, a count of elements and their memory.
void find_stream_storages(const WeightFile& file, const pickle::Document& document,
                          StorageTable& storages) {
  const uint64_t size = file.bytes().size();
  std::map<std::string, StorageId> ids;
  for (const pickle::Value* value : document.persistent) {
    StorageId id = read_storage_id(file, *value);
    ids.emplace(id.key, std::move(id));
  }
  const auto keys = pickle::read(file, {.begin = document.end, .size = size - document.end});
  const auto* list = as<pickle::List>(keys.root);
  if (list == nullptr) throw file.error(document.end, "has no list of storages");
  uint64_t at = keys.end;
  for (const pickle::Value* item : list->items) {
    const auto* key = as<std::string>(item);
    const auto id = key == nullptr ? ids.end() : ids.find(*key);
    if (id == ids.end()) throw file.error(item->byte, "lists a storage that no tensor uses");
    if (size - at < sizeof(int64_t)) throw file.error(at, "is cut off before a storage");
    const auto count = number_at<int64_t>(file, at);
    at += sizeof(int64_t);
    const uint64_t element_bytes = c10::elementSize(id->second.dtype);
    if (count < 0 || static_cast<uint64_t>(count) > (size - at) / element_bytes) {
      throw file.error(at - sizeof(int64_t),
                       fmt::format("storage {} has {} elements, but {} bytes are left",
                                   in_quotes(*key), count, size - at),
                       "the file is cut off");
    }
    const ByteRange range{.begin = at, .size = static_cast<uint64_t>(count) * element_bytes};
    storages.add(*key, range);
    at = range.end();
  }
}

}  // namespace

Weights read_pth_zip(const WeightFile& file) {
  const std::map<std::string, ByteRange> contents = list_zip(file);
  const std::string folder = find_folder(file, contents);
  if (contents.contains(folder + "/constants.pkl")) {
    throw file.error(0, "is a TorchScript program, not a file of weights",
                     "in Python: torch.save(torch.jit.load(path).state_dict(), other_path)");
  }
  if (const auto order = contents.find(folder + "/byteorder"); order != contents.end()) {
    const auto text = file.bytes().subspan(order->second.begin, order->second.size);
    if (std::string(text.begin(), text.end()) != "little") {
      throw file.error(order->second.begin, "was saved on a big-endian machine");
    }
  }
  StorageTable storages(file);
  const std::string data = folder + "/data/";
  for (const auto& [name, range] : contents) {
    if (name.starts_with(data)) storages.add(name.substr(data.size()), range);
  }
  return flatten(file, pickle::read(file, contents.at(folder + "/data.pkl")), storages);
}

Weights read_pth_stream(const WeightFile& file) {
  const uint64_t begin = read_stream_head(file);
  const auto document = pickle::read(file, {.begin = begin, .size = file.bytes().size() - begin});
  StorageTable storages(file);
  find_stream_storages(file, document, storages);
  return flatten(file, document, storages);
}

}  // namespace striate
