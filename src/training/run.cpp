#include "striate/training/run.h"

#include <fmt/format.h>

#include <limits>
#include <sstream>

#include "striate/base/error.h"
#include "striate/base/file.h"

namespace striate {

Json to_json(const RunConfig& config) {
  return {{"model", config.model},
          {"input", config.input},
          {"class_names", config.class_names},
          {"data", config.data},
          {"initial_weights", config.initial_weights},
          {"limit", config.limit},
          {"final_survival", config.final_survival},
          {"freeze_up_to", config.freeze_up_to},
          {"seed", config.seed},
          {"convolution", to_string(config.convolution)},
          {"precision", to_string(config.precision)},
          {"recipe", to_json(config.recipe)}};
}

RunConfig run_config_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  RunConfig config;
  config.model = reader.get<std::string>("model");
  config.input = reader.get<Shape>("input");
  config.class_names = reader.get<std::vector<std::string>>("class_names");
  config.data = reader.get<std::string>("data");
  config.initial_weights = reader.get<std::string>("initial_weights");
  config.limit = reader.get<int64_t>("limit");
  config.final_survival = reader.get("final_survival", config.final_survival);
  config.freeze_up_to = reader.get("freeze_up_to", config.freeze_up_to);
  config.seed = reader.get<uint64_t>("seed");
  config.convolution =
      convolution_algorithm(reader.get("convolution", to_string(config.convolution)));
  config.precision = find_precision(reader.get("precision", to_string(config.precision)));
  config.recipe = recipe_from_json(reader.at("recipe"), where + ".recipe");
  reader.finish();
  if (!(config.final_survival >= 0 && config.final_survival <= 1)) {
    throw reader.error("final_survival",
                       fmt::format("must be in [0, 1], got {}", config.final_survival));
  }
  return config;
}

Json to_json(const EpochMetrics& m) {
  return {{"epoch", m.epoch},
          {"learning_rate", m.learning_rate},
          {"train_loss", finite_or_null(m.train_loss)},
          {"train_accuracy", finite_or_null(m.train_accuracy)},
          {"validation_loss", finite_or_null(m.validation_loss)},
          {"validation_accuracy", finite_or_null(m.validation_accuracy)},
          {"items_per_second", m.items_per_second},
          {"seconds", m.seconds},
          {"waited_seconds", m.waited_seconds}};
}

std::filesystem::path RunFolder::snapshot(int64_t epoch) const {
  return path / "snapshots" / fmt::format("epoch-{:04}.safetensors", epoch);
}

std::vector<EpochMetrics> read_metrics(const std::filesystem::path& path) {
  std::vector<EpochMetrics> all;
  std::istringstream lines(read_text(path));
  std::string line;
  while (std::getline(lines, line)) {
    const std::string where = fmt::format("{} line {}", path.string(), all.size() + 1);
    const Json json = parse_json(line, where);
    JsonReader reader(json, where);
    const auto number = [&](const char* key) {
      const Json& value = reader.at(key);
      return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : reader.get<double>(key);
    };
    all.push_back({.epoch = reader.get<int64_t>("epoch"),
                   .learning_rate = number("learning_rate"),
                   .train_loss = number("train_loss"),
                   .train_accuracy = number("train_accuracy"),
                   .validation_loss = number("validation_loss"),
                   .validation_accuracy = number("validation_accuracy"),
                   .items_per_second = number("items_per_second"),
                   .seconds = number("seconds"),
                   .waited_seconds = number("waited_seconds")});
    reader.finish();
  }
  return all;
}

std::map<std::string, std::string> to_metadata(const WeightsCard& card) {
  std::map<std::string, std::string> metadata = {
      {"format", "pt"},
      {"striate.model", card.model},
      {"striate.input", Json(card.input).dump()},
      {"striate.class_names", Json(card.class_names).dump()},
      {"striate.preprocessing", card.preprocessing.to_json().dump()}};
  if (card.final_survival > 0) {
    metadata["striate.final_survival"] = Json(card.final_survival).dump();
  }
  return metadata;
}

WeightsCard card_from_metadata(const std::map<std::string, std::string>& metadata,
                               const std::string& origin) {
  WeightsCard card;
  const auto read = [&](const char* key) -> Json {
    const auto found = metadata.find(key);
    if (found == metadata.end()) return {};
    return parse_json(found->second, fmt::format("{}: {}", origin, key));
  };
  const auto model = metadata.find("striate.model");
  if (model == metadata.end()) return card;
  card.model = model->second;
  try {
    card.input = read("striate.input").get<Shape>();
    card.class_names = read("striate.class_names").get<std::vector<std::string>>();
    if (metadata.contains("striate.final_survival")) {
      card.final_survival = read("striate.final_survival").get<double>();
    }
  } catch (const Json::exception& error) {
    throw FormatError(fmt::format("{}: its metadata is damaged: {}", origin, error.what()));
  }
  if (!(card.final_survival >= 0 && card.final_survival <= 1)) {
    throw FormatError(fmt::format("{}: its metadata is damaged: a final survival of {}", origin,
                                  card.final_survival));
  }
  card.preprocessing = Preprocessing::from_json(read("striate.preprocessing"),
                                                fmt::format("{}: preprocessing", origin));
  return card;
}

}  // namespace striate
