#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/command.h"
#include "striate/base/text.h"

namespace striate::cli {

namespace {

// A line of a file of /proc after its key, or "".
std::string proc_value(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(key)) continue;
    const size_t start = line.find_first_not_of(" \t:", key.size());
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

Json examine() {
  const std::filesystem::path fashion = "/usr/share/datasets/fashion-mnist";
  const int64_t memory = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  std::error_code code;
  const auto space = std::filesystem::space(".", code);
  Json missing = Json::array();
  if (!std::filesystem::exists(fashion))
    missing.push_back("dataset-fashion-mnist (Debian package)");
  return {{"striate", STRIATE_VERSION},
          {"libtorch", TORCH_VERSION},
          {"compiler", __VERSION__},
          {"processor", proc_value("/proc/cpuinfo", "model name")},
          {"vector_instructions", at::get_cpu_capability()},
          {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
          {"compute_threads", at::get_num_threads()},
          {"memory_bytes", memory},
          {"memory_available", proc_value("/proc/meminfo", "MemAvailable")},
          {"disk_free_bytes", code ? 0 : static_cast<int64_t>(space.available)},
          {"onednn", at::globalContext().hasMKLDNN()},
          {"cuda", at::globalContext().hasCUDA()},
          {"missing", missing}};
}

std::string describe(const Json& d) {
  const auto bytes = [&](const char* key) {
    return fmt::format("{:.1f} GB", static_cast<double>(d[key].get<int64_t>()) / 1e9);
  };
  std::string text = aligned_table(
      {
          {"striate", d["striate"].get<std::string>()},
          {"LibTorch", d["libtorch"].get<std::string>()},
          {"compiler", d["compiler"].get<std::string>()},
          {"processor", d["processor"].get<std::string>()},
          {"vectors", d["vector_instructions"].get<std::string>()},
          {"cores", d["cores"].dump()},
          {"compute threads", d["compute_threads"].dump()},
          {"memory", bytes("memory_bytes")},
          {"  available", d["memory_available"].get<std::string>()},
          {"free disk here", bytes("disk_free_bytes")},
          {"oneDNN", d["onednn"].get<bool>() ? "yes" : "no"},
          {"CUDA", d["cuda"].get<bool>() ? "yes" : "no"},
      },
      "l");
  for (const Json& missing : d["missing"]) text += "missing: " + missing.get<std::string>() + "\n";
  return text;
}

}  // namespace

void add_doctor(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("doctor", "Versions, processor, devices, memory, what is missing");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback([json] {
    const Json report = examine();
    *json ? print(report) : print(describe(report));
  });
}

}  // namespace striate::cli
