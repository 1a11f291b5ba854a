#include "training/checkpoint.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "striate/base/error.h"

namespace striate {

namespace {

constexpr const char* kWeights = "weights/";
constexpr const char* kOptimizer = "optimizer/";
constexpr const char* kAverage = "average/";
constexpr const char* kCarried = "carried/";
constexpr const char* kGenerator = "generator";
constexpr const char* kPathGenerator = "path_generator";

at::Device device_of(const NamedTensors& tensors) {
  return tensors.front().second.device();
}

// What dropout draws from and, always on the processor, which paths are dropped.
std::map<std::string, at::Generator> generators(const NamedTensors& tensors) {
  std::map<std::string, at::Generator> all;
  const at::Device device = device_of(tensors);
  all[kGenerator] = at::globalContext().defaultGenerator(device);
  if (!device.is_cpu()) all[kPathGenerator] = at::globalContext().defaultGenerator(at::kCPU);
  return all;
}

std::string device_name(const NamedTensors& tensors) {
  return c10::DeviceTypeName(device_of(tensors).type(), /*lower_case=*/true);
}

Json to_json(const Position& p, const NamedTensors& tensors) {
  return {{"epoch", p.epoch},
          {"step", p.step},
          {"loss_sum", p.loss_sum},
          {"correct", p.correct},
          {"items", p.items},
          {"seconds", p.seconds},
          {"waited_seconds", p.waited_seconds},
          {"best_score", finite_or_null(p.best_score)},
          {"best_epoch", p.best_epoch},
          {"metrics_bytes", p.metrics_bytes},
          {"finished", p.finished},
          {"device", device_name(tensors)},
          {"threads", at::get_num_threads()}};
}

Position position_from_json(const Json& json, const std::string& where,
                            const NamedTensors& tensors) {
  JsonReader reader(json, where);
  Position p;
  p.epoch = reader.get<int64_t>("epoch");
  p.step = reader.get<int64_t>("step");
  p.loss_sum = reader.get<double>("loss_sum");
  p.correct = reader.get<int64_t>("correct");
  p.items = reader.get<int64_t>("items");
  p.seconds = reader.get<double>("seconds");
  p.waited_seconds = reader.get<double>("waited_seconds");
  if (!reader.at("best_score").is_null()) p.best_score = reader.get<double>("best_score");
  p.best_epoch = reader.get<int64_t>("best_epoch");
  p.metrics_bytes = reader.get<int64_t>("metrics_bytes");
  p.finished = reader.get<bool>("finished");
  const auto device = reader.get<std::string>("device");
  const auto threads = reader.get<int>("threads");
  reader.finish();
  if (device != device_name(tensors)) {
    throw Error(fmt::format("the run used device {}, this is {}: its numbers would differ", device,
                            device_name(tensors)),
                fmt::format("resume with --device {}", device));
  }
  if (threads != at::get_num_threads()) {
    throw Error(fmt::format("the run used {} compute threads, this is {}: its numbers would differ",
                            threads, at::get_num_threads()),
                fmt::format("resume with OMP_NUM_THREADS={}", threads));
  }
  return p;
}

// The tensors whose names start with `prefix`, without it.
std::map<std::string, at::Tensor> part(const Weights& file, const std::string& prefix) {
  std::map<std::string, at::Tensor> result;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) result[name.substr(prefix.size())] = tensor;
  }
  return result;
}

const std::string& text(const Weights& file, const char* key, const std::string& where) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    throw FormatError(fmt::format("{} is not a checkpoint: it has no {}", where, key));
  }
  return found->second;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const CheckpointParts& parts,
                     const Position& position) {
  Weights file;
  for (const auto& [key, tensor] : parts.tensors) file.tensors[kWeights + key] = tensor;
  for (const auto& [key, tensor] : position.carried) file.tensors[kCarried + key] = tensor;
  for (const auto& [key, tensor] : parts.optimizer.state()) file.tensors[kOptimizer + key] = tensor;
  if (parts.average != nullptr) {
    for (const auto& [key, tensor] : parts.average->state()) file.tensors[kAverage + key] = tensor;
  }
  for (const auto& [name, generator] : generators(parts.tensors)) {
    file.tensors[name] = generator.get_state();
  }
  file.metadata["position"] = to_json(position, parts.tensors).dump();
  file.metadata["schedule"] = parts.schedule.state().dump();
  write_safetensors(file, path);
}

Position load_checkpoint(const std::filesystem::path& path, const CheckpointParts& parts) {
  const Weights file = read_weights(path);
  const std::string where = path.string();
  Position position =
      position_from_json(parse_json(text(file, "position", where), where + ": position"),
                         where + ": position", parts.tensors);
  try {
    copy_weights({.tensors = part(file, kWeights), .metadata = {}}, parts.tensors);
  } catch (const ShapeError& error) {
    throw FormatError(fmt::format("{}: {}", where, error.what()),
                      "it is the checkpoint of another run");
  }
  position.carried = part(file, kCarried);
  parts.optimizer.load_state(part(file, kOptimizer));
  if (parts.average != nullptr) parts.average->load_state(part(file, kAverage));
  for (auto& [name, generator] : generators(parts.tensors)) {
    const auto state = file.tensors.find(name);
    if (state == file.tensors.end()) {
      throw FormatError(where + " is not a checkpoint: it has no " + name);
    }
    generator.set_state(state->second.clone());
  }
  parts.schedule.load_state(parse_json(text(file, "schedule", where), where + ": schedule"));
  return position;
}

}  // namespace striate
