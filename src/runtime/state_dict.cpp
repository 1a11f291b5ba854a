#include "runtime/state_dict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>

namespace striate {

namespace {

using pickle::as;

constexpr int kMaximumDepth = 32;
// Values that are looked at, and bytes of names and texts: values may occur in many places, so the
// size of the file is no limit.
constexpr size_t kMaximumVisits = size_t{1} << 21;
constexpr size_t kMaximumNameBytes = 1024;
constexpr size_t kMaximumTextBytes = size_t{64} << 20;

constexpr std::array<std::string_view, 9> kWrappers{
    "state_dict", "model_state_dict", "model",          "net",           "ema",
    "model_ema",  "ema_model",        "ema_state_dict", "state_dict_ema"};
constexpr std::array<std::string_view, 2> kPrefixes{"module.", "_orig_mod."};

bool is_tensor(const pickle::Value* value) {
  const auto* call = as<pickle::Call>(value);
  return call != nullptr && call->function.starts_with("torch._utils._rebuild");
}

const pickle::Items* items_of(const pickle::Value* value) {
  if (const auto* list = as<pickle::List>(value)) return &list->items;
  if (const auto* tuple = as<pickle::Tuple>(value)) return &tuple->items;
  return nullptr;
}

bool is_scalar(const pickle::Value* value) {
  return as<bool>(value) != nullptr || as<int64_t>(value) != nullptr ||
         as<double>(value) != nullptr || as<std::string>(value) != nullptr;
}

class Flattener {
 public:
  Flattener(const WeightFile& file, const BuildTensor& build) : file_(file), build_(build) {}

  Weights run(const pickle::Value* value) {
    value = unwrap(value);
    flatten(value, is_tensor(value) ? "tensor" : "", 0);
    if (weights_.tensors.empty()) {
      throw file_.error(value->byte, "holds no tensors", "is it a file of weights?");
    }
    for (size_t i = 0; i < kPrefixes.size(); ++i) {
      for (const std::string_view prefix : kPrefixes) strip(prefix);
    }
    rename_old_dense_layers();
    return std::move(weights_);
  }

 private:
  const pickle::Value* unwrap(const pickle::Value* value);
  const pickle::Value* find_wrapped(const pickle::Dict& dictionary);
  bool holds_tensors(const pickle::Value* value, int depth);
  void flatten(const pickle::Value* value, const std::string& name, int depth);
  void flatten_dict(const pickle::Dict& dictionary, const std::string& prefix, int depth);
  void add_tensor(const pickle::Value* value, const std::string& name);
  void add_scalar(const pickle::Value* value, const std::string& name);
  void strip(std::string_view prefix);
  void rename_old_dense_layers();
  void visit(const pickle::Value* value, int depth);

  const WeightFile& file_;
  const BuildTensor& build_;
  Weights weights_;
  size_t visits_ = 0;
  size_t text_bytes_ = 0;
};

void Flattener::visit(const pickle::Value* value, int depth) {
  if (depth > kMaximumDepth) throw file_.error(value->byte, "is nested too deeply");
  if (++visits_ > kMaximumVisits) throw file_.error(value->byte, "has too many values");
}

bool Flattener::holds_tensors(const pickle::Value* value, int depth) {
  visit(value, depth);
  if (is_tensor(value)) return true;
  const auto* dictionary = as<pickle::Dict>(value);
  if (dictionary == nullptr) return false;
  return std::any_of(dictionary->items.begin(), dictionary->items.end(),
                     [&](const auto& item) { return holds_tensors(item.second, depth + 1); });
}

const pickle::Value* Flattener::find_wrapped(const pickle::Dict& dictionary) {
  for (const std::string_view wrapper : kWrappers) {
    for (const auto& [key, value] : dictionary.items) {
      const auto* name = as<std::string>(key);
      if (name == nullptr || *name != wrapper || as<pickle::Dict>(value) == nullptr) continue;
      if (holds_tensors(value, 0)) return value;
    }
  }
  return nullptr;
}

const pickle::Value* Flattener::unwrap(const pickle::Value* value) {
  for (int depth = 0;; ++depth) {
    visit(value, depth);
    const auto* dictionary = as<pickle::Dict>(value);
    const pickle::Value* wrapped = dictionary == nullptr ? nullptr : find_wrapped(*dictionary);
    if (wrapped == nullptr) return value;
    for (const auto& [key, beside] : dictionary->items) {
      const auto* name = as<std::string>(key);
      if (name != nullptr && is_scalar(beside)) add_scalar(beside, *name);
    }
    value = wrapped;
  }
}

void Flattener::flatten(const pickle::Value* value, const std::string& name, int depth) {
  visit(value, depth);
  if (name.size() > kMaximumNameBytes) {
    throw file_.error(value->byte, fmt::format("has the long name {}", in_quotes(name)));
  }
  if (is_tensor(value)) return add_tensor(value, name);
  const std::string prefix = name.empty() ? "" : name + ".";
  if (const auto* dictionary = as<pickle::Dict>(value)) {
    flatten_dict(*dictionary, prefix, depth);
  } else if (const pickle::Items* items = items_of(value)) {
    for (size_t i = 0; i < items->size(); ++i) {
      visit((*items)[i], depth);
      // A list of numbers is a history of losses or the like, not weights.
      if (is_scalar((*items)[i])) continue;
      flatten((*items)[i], fmt::format("{}{}", prefix, i), depth + 1);
    }
  } else if (is_scalar(value)) {
    add_scalar(value, name);
  }
}

void Flattener::flatten_dict(const pickle::Dict& dictionary, const std::string& prefix, int depth) {
  for (const auto& [key, value] : dictionary.items) {
    if (const auto* text = as<std::string>(key)) {
      if (text->size() > kMaximumNameBytes) {
        throw file_.error(key->byte, fmt::format("has the long name {}", in_quotes(*text)));
      }
      flatten(value, prefix + *text, depth + 1);
    } else if (const auto* number = as<int64_t>(key)) {
      flatten(value, fmt::format("{}{}", prefix, *number), depth + 1);
    } else if (holds_tensors(value, depth + 1)) {
      throw file_.error(key->byte, "has a tensor under a key that is neither text nor number");
    }
  }
}

void Flattener::add_tensor(const pickle::Value* value, const std::string& name) {
  if (!is_utf8(name)) throw file_.error(value->byte, "has a name that is not UTF-8");
  if (weights_.tensors.size() >= kMaximumTensors) {
    throw file_.error(value->byte, "has too many tensors");
  }
  if (!weights_.tensors.emplace(name, build_(*value, name)).second) {
    throw file_.error(value->byte, fmt::format("has two tensors named {}", in_quotes(name)));
  }
}

// What stands further out came first, and stays.
void Flattener::add_scalar(const pickle::Value* value, const std::string& name) {
  const auto* text = as<std::string>(value);
  text_bytes_ += name.size() + (text == nullptr ? 0 : text->size());
  if (text_bytes_ > kMaximumTextBytes) throw file_.error(value->byte, "has too many texts");
  if (!is_utf8(name) || (text != nullptr && !is_utf8(*text))) return;
  std::string& result = weights_.metadata.emplace(name, "").first->second;
  if (!result.empty()) return;
  if (text != nullptr) result = *text;
  if (const auto* boolean = as<bool>(value)) result = *boolean ? "true" : "false";
  if (const auto* integer = as<int64_t>(value)) result = fmt::format("{}", *integer);
  if (const auto* real = as<double>(value)) result = fmt::format("{}", *real);
}

void Flattener::strip(std::string_view prefix) {
  const bool everywhere =
      std::all_of(weights_.tensors.begin(), weights_.tensors.end(), [&](const auto& item) {
        return item.first.starts_with(prefix) && item.first.size() > prefix.size();
      });
  if (!everywhere) return;
  std::map<std::string, at::Tensor> stripped;
  for (auto& [name, tensor] : weights_.tensors) {
    stripped.emplace(name.substr(prefix.size()), std::move(tensor));
  }
  weights_.tensors = std::move(stripped);
}

// The published DenseNet files write "denselayer2.norm.1.weight" where the network has "norm1".
void Flattener::rename_old_dense_layers() {
  static const std::regex old(R"((.*\.denselayer\d+\.(?:norm|conv))\.([12]\..*))");
  std::map<std::string, at::Tensor> renamed;
  for (auto& [name, tensor] : weights_.tensors) {
    std::smatch match;
    const bool is_old = std::regex_match(name, match, old);
    renamed.emplace(is_old ? match[1].str() + match[2].str() : name, std::move(tensor));
  }
  weights_.tensors = std::move(renamed);
}

}  // namespace

Weights flatten_state_dict(const WeightFile& file, const pickle::Document& document,
                           const BuildTensor& build) {
  return Flattener(file, build).run(document.root);
}

}  // namespace striate
