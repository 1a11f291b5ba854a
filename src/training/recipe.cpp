#include "striate/training/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "striate/base/error.h"
#include "training/embedded_recipes.h"

namespace striate {

namespace {

template <class Kind>
using Words = std::vector<std::pair<std::string, Kind>>;

const Words<OptimizerOptions::Kind> kOptimizers = {{"sgd", OptimizerOptions::Kind::kSgd},
                                                   {"adam", OptimizerOptions::Kind::kAdam},
                                                   {"adamw", OptimizerOptions::Kind::kAdamW}};
const Words<ScheduleOptions::Kind> kSchedules = {{"constant", ScheduleOptions::Kind::kConstant},
                                                 {"step", ScheduleOptions::Kind::kStep},
                                                 {"plateau", ScheduleOptions::Kind::kPlateau},
                                                 {"cosine", ScheduleOptions::Kind::kCosine},
                                                 {"linear", ScheduleOptions::Kind::kLinear}};
const Words<LossOptions::Kind> kLosses = {{"cross_entropy", LossOptions::Kind::kCrossEntropy},
                                          {"lenet5", LossOptions::Kind::kLeNet5}};

template <class Kind>
Kind from_word(const Words<Kind>& words, const std::string& what, const std::string& word) {
  std::vector<std::string> names;
  for (const auto& [name, kind] : words) {
    if (name == word) return kind;
    names.push_back(name);
  }
  throw unknown_name(what, word, names);
}

template <class Kind>
std::string to_word(const Words<Kind>& words, Kind kind) {
  return std::ranges::find(words, kind, &std::pair<std::string, Kind>::second)->first;
}

template <class T>
void require(bool holds, const JsonReader& reader, const std::string& key, const char* what,
             const T& value) {
  if (!holds) throw reader.error(key, fmt::format("must be {}, got {}", what, value));
}

OptimizerOptions read_optimizer(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  OptimizerOptions o;
  o.kind = from_word(kOptimizers, "optimizer", reader.get<std::string>("kind"));
  o.learning_rate = reader.get<double>("learning_rate");
  o.momentum = reader.get("momentum", o.momentum);
  o.nesterov = reader.get("nesterov", o.nesterov);
  o.beta1 = reader.get("beta1", o.beta1);
  o.beta2 = reader.get("beta2", o.beta2);
  o.eps = reader.get("eps", o.eps);
  o.weight_decay = reader.get("weight_decay", o.weight_decay);
  o.decay_biases_and_scales = reader.get("decay_biases_and_scales", o.decay_biases_and_scales);
  reader.finish();
  require(o.learning_rate > 0, reader, "learning_rate", "above 0", o.learning_rate);
  require(o.momentum >= 0 && o.momentum < 1, reader, "momentum", "in [0, 1)", o.momentum);
  require(o.beta1 >= 0 && o.beta1 < 1, reader, "beta1", "in [0, 1)", o.beta1);
  require(o.beta2 >= 0 && o.beta2 < 1, reader, "beta2", "in [0, 1)", o.beta2);
  require(o.eps > 0, reader, "eps", "above 0", o.eps);
  require(o.weight_decay >= 0, reader, "weight_decay", "at least 0", o.weight_decay);
  return o;
}

ScheduleOptions read_schedule(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  ScheduleOptions s;
  s.kind = from_word(kSchedules, "schedule", reader.get<std::string>("kind"));
  s.warmup_epochs = reader.get("warmup_epochs", s.warmup_epochs);
  s.milestones = reader.get("milestones", s.milestones);
  s.every = reader.get("every", s.every);
  s.factor = reader.get("factor", s.factor);
  s.patience = reader.get("patience", s.patience);
  reader.finish();
  require(s.warmup_epochs >= 0, reader, "warmup_epochs", "at least 0", s.warmup_epochs);
  require(s.every >= 0, reader, "every", "at least 0", s.every);
  require(s.factor > 0 && s.factor <= 1, reader, "factor", "in (0, 1]", s.factor);
  require(s.patience >= 1, reader, "patience", "at least 1", s.patience);
  return s;
}

LossOptions read_loss(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  LossOptions l;
  l.kind = from_word(kLosses, "loss", reader.get<std::string>("kind"));
  l.label_smoothing = reader.get("label_smoothing", l.label_smoothing);
  l.auxiliary_weight = reader.get("auxiliary_weight", l.auxiliary_weight);
  reader.finish();
  require(l.label_smoothing >= 0 && l.label_smoothing < 1, reader, "label_smoothing", "in [0, 1)",
          l.label_smoothing);
  require(l.auxiliary_weight >= 0, reader, "auxiliary_weight", "at least 0", l.auxiliary_weight);
  return l;
}

// What only recipes for images have.
void read_image_part(JsonReader& reader, const std::string& where, Recipe& r) {
  r.validation_size = reader.get("validation_size", r.validation_size);
  r.train_transforms =
      Preprocessing::from_json(reader.at("train_transforms"), where + ".train_transforms");
  r.eval_transforms =
      Preprocessing::from_json(reader.at("eval_transforms"), where + ".eval_transforms");
  r.loss = read_loss(reader.at("loss"), where + ".loss");
  r.zero_init_residual = reader.get("zero_init_residual", r.zero_init_residual);
  r.statistics_images = reader.get("statistics_images", r.statistics_images);
  require(r.validation_size >= 0, reader, "validation_size", "at least 0", r.validation_size);
  require(r.statistics_images >= 0, reader, "statistics_images", "at least 0", r.statistics_images);
}

}  // namespace

Recipe recipe_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  Recipe r;
  r.name = reader.get<std::string>("name");
  r.source = reader.get<std::string>("source", "");
  r.sources = reader.get("sources", r.sources);
  r.epochs = reader.get<int64_t>("epochs");
  r.batch_size = reader.get<int64_t>("batch_size");
  r.accumulate = reader.get("accumulate", r.accumulate);
  if (reader.has("task")) {
    r.task = reader.at("task");
    if (!r.task.is_object()) throw reader.error("task", "must be an object");
  } else {
    read_image_part(reader, where, r);
  }
  r.optimizer = read_optimizer(reader.at("optimizer"), where + ".optimizer");
  r.schedule = read_schedule(reader.at("schedule"), where + ".schedule");
  r.clip_gradient_norm = reader.get("clip_gradient_norm", r.clip_gradient_norm);
  r.early_stop_epochs = reader.get("early_stop_epochs", r.early_stop_epochs);
  r.average_decay = reader.get("average_decay", r.average_decay);
  reader.finish();
  require(r.epochs >= 1, reader, "epochs", "at least 1", r.epochs);
  require(r.batch_size >= 1, reader, "batch_size", "at least 1", r.batch_size);
  require(r.accumulate >= 1, reader, "accumulate", "at least 1", r.accumulate);
  require(r.clip_gradient_norm >= 0, reader, "clip_gradient_norm", "at least 0",
          r.clip_gradient_norm);
  require(r.early_stop_epochs >= 0, reader, "early_stop_epochs", "at least 0", r.early_stop_epochs);
  require(r.average_decay >= 0 && r.average_decay < 1, reader, "average_decay", "in [0, 1)",
          r.average_decay);
  if (r.task.is_null() && r.validation_size == 0 &&
      (r.schedule.kind == ScheduleOptions::Kind::kPlateau || r.early_stop_epochs > 0)) {
    throw reader.error("validation_size",
                       "must be above 0: a plateau schedule and an early stop "
                       "watch the validation accuracy");
  }
  return r;
}

namespace {

Json to_json(const OptimizerOptions& o) {
  Json json = {{"kind", to_word(kOptimizers, o.kind)}, {"learning_rate", o.learning_rate}};
  if (o.kind == OptimizerOptions::Kind::kSgd) {
    json["momentum"] = o.momentum;
    json["nesterov"] = o.nesterov;
  } else {
    json["beta1"] = o.beta1;
    json["beta2"] = o.beta2;
    json["eps"] = o.eps;
  }
  json["weight_decay"] = o.weight_decay;
  json["decay_biases_and_scales"] = o.decay_biases_and_scales;
  return json;
}

Json to_json(const ScheduleOptions& s) {
  Json json = {{"kind", to_word(kSchedules, s.kind)}, {"warmup_epochs", s.warmup_epochs}};
  if (s.kind == ScheduleOptions::Kind::kStep) {
    json["milestones"] = s.milestones;
    json["every"] = s.every;
  }
  if (s.kind == ScheduleOptions::Kind::kStep || s.kind == ScheduleOptions::Kind::kPlateau) {
    json["factor"] = s.factor;
  }
  if (s.kind == ScheduleOptions::Kind::kPlateau) json["patience"] = s.patience;
  return json;
}

}  // namespace

Json to_json(const Recipe& r) {
  Json json = {{"name", r.name},     {"source", r.source},         {"sources", r.sources},
               {"epochs", r.epochs}, {"batch_size", r.batch_size}, {"accumulate", r.accumulate}};
  if (r.task.is_null()) {
    json["validation_size"] = r.validation_size;
    json["train_transforms"] = r.train_transforms.to_json();
    json["eval_transforms"] = r.eval_transforms.to_json();
    json["loss"] = {{"kind", to_word(kLosses, r.loss.kind)},
                    {"label_smoothing", r.loss.label_smoothing},
                    {"auxiliary_weight", r.loss.auxiliary_weight}};
    json["zero_init_residual"] = r.zero_init_residual;
    json["statistics_images"] = r.statistics_images;
  } else {
    json["task"] = r.task;
  }
  json["optimizer"] = to_json(r.optimizer);
  json["schedule"] = to_json(r.schedule);
  json["clip_gradient_norm"] = r.clip_gradient_norm;
  json["early_stop_epochs"] = r.early_stop_epochs;
  json["average_decay"] = r.average_decay;
  return json;
}

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const EmbeddedRecipe& recipe : kEmbeddedRecipes) names.emplace_back(recipe.name);
  return names;
}

Recipe named_recipe(const std::string& name) {
  for (const EmbeddedRecipe& recipe : kEmbeddedRecipes) {
    if (name == recipe.name) return recipe_from_json(parse_json(recipe.json, name), name);
  }
  throw unknown_name("recipe", name, recipe_names());
}

Recipe find_recipe(const std::string& name_or_path) {
  if (!name_or_path.ends_with(".json")) return named_recipe(name_or_path);
  return recipe_from_json(read_json(name_or_path), name_or_path);
}

Recipe with_setting(const Recipe& recipe, const std::string& setting) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw FormatError(fmt::format("--set {} is not of the form key=value", setting),
                      "as --set optimizer.learning_rate=0.05");
  }
  const std::string text = setting.substr(equals + 1);
  Json value = text;  // a word, unless it is JSON
  try {
    value = parse_json(text, "--set");
  } catch (const FormatError&) {
  }

  Json json = to_json(recipe);
  std::string path = "/" + setting.substr(0, equals);
  std::ranges::replace(path, '.', '/');
  try {
    const Json::json_pointer pointer(path);
    // A new name in an object is refused below, with the nearest; a list is not made longer.
    if (!json.contains(pointer) && !json.at(pointer.parent_pointer()).is_object()) {
      throw FormatError(fmt::format("--set {} names no value of a recipe", setting),
                        "striate recipes NAME prints a recipe with all its values");
    }
    json[pointer] = value;
  } catch (const Json::exception&) {
    throw FormatError(fmt::format("--set {} names no value of a recipe", setting),
                      "striate recipes NAME prints a recipe with all its values");
  }
  return recipe_from_json(json, "recipe");
}

}  // namespace striate
