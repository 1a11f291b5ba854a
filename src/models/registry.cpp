#include "models/builders.h"
#include "striate/base/error.h"
#include "striate/models/models.h"

namespace striate {

namespace {

const ModelOptions kLeNet{.input = {1, 32, 32}, .classes = 10};
const ModelOptions kCifar{.input = {3, 32, 32}, .classes = 10};
const ModelOptions kImageNet{.input = {3, 224, 224}, .classes = 1000};

ModelEntry lenet(const char* name, const char* form, const char* recipe,
                 Graph (*build)(const ModelOptions&)) {
  return {name, form, "lecun1998", kLeNet, recipe, "unit-32", build};
}

ModelEntry vgg(const char* name, const char* form, Graph (*build)(const ModelOptions&)) {
  return {name, form, "simonyan2015", kImageNet, "vgg", "imagenet", build};
}

ModelEntry resnet(const char* name, const char* form, Graph (*build)(const ModelOptions&)) {
  return {name, form, "he2016", kImageNet, "resnet-paper", "imagenet", build};
}

ModelEntry cifar(const char* name, const char* form, Graph (*build)(const ModelOptions&)) {
  return {name, form, "he2016", kCifar, "resnet-cifar", "cifar10", build};
}

}  // namespace

const std::vector<ModelEntry>& model_registry() {
  using namespace models;
  static const std::vector<ModelEntry> table = {
      lenet("lenet5", "modern: ReLU, max-pooling, linear output", "lenet5", lenet5),
      lenet("lenet5@paper", "the paper's: subsampling, table of connections, RBF output",
            "lenet5-paper", lenet5_paper),

      vgg("vgg11", "configuration A", vgg11),
      vgg("vgg13", "configuration B", vgg13),
      vgg("vgg16", "configuration D", vgg16),
      vgg("vgg19", "configuration E", vgg19),
      vgg("vgg11_bn", "configuration A with batch-norm", vgg11_bn),
      vgg("vgg13_bn", "configuration B with batch-norm", vgg13_bn),
      vgg("vgg16_bn", "configuration D with batch-norm", vgg16_bn),
      vgg("vgg19_bn", "configuration E with batch-norm", vgg19_bn),

      resnet("resnet18", "basic blocks", resnet18),
      resnet("resnet34", "basic blocks", resnet34),
      resnet("resnet50", "bottlenecks, stride in the 3x3", resnet50),
      resnet("resnet101", "bottlenecks, stride in the 3x3", resnet101),
      resnet("resnet152", "bottlenecks, stride in the 3x3", resnet152),
      resnet("resnet50@paper", "the paper's: stride in the first 1x1", resnet50_paper),
      resnet("resnet101@paper", "the paper's: stride in the first 1x1", resnet101_paper),
      resnet("resnet152@paper", "the paper's: stride in the first 1x1", resnet152_paper),
      resnet("plain18", "resnet18 without its shortcuts", plain18),
      resnet("plain34", "resnet34 without its shortcuts", plain34),

      cifar("resnet20", "for CIFAR, option A shortcuts", resnet20),
      cifar("resnet32", "for CIFAR, option A shortcuts", resnet32),
      cifar("resnet44", "for CIFAR, option A shortcuts", resnet44),
      cifar("resnet56", "for CIFAR, option A shortcuts", resnet56),
      cifar("resnet110", "for CIFAR, option A shortcuts", resnet110),
      cifar("resnet1202", "for CIFAR, option A shortcuts", resnet1202),
      cifar("plain20", "resnet20 without its shortcuts", plain20),
      cifar("plain32", "resnet32 without its shortcuts", plain32),
      cifar("plain44", "resnet44 without its shortcuts", plain44),
      cifar("plain56", "resnet56 without its shortcuts", plain56),
      cifar("plain110", "resnet110 without its shortcuts", plain110),
  };
  return table;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const ModelEntry& entry : model_registry()) names.push_back(entry.name);
  return names;
}

const ModelEntry& find_model(const std::string& name) {
  for (const ModelEntry& entry : model_registry()) {
    if (entry.name == name) return entry;
  }
  throw unknown_name("model", name, model_names());
}

Graph build_model(const std::string& name, ModelOptions options) {
  const ModelEntry& entry = find_model(name);
  if (options.input.empty()) options.input = entry.defaults.input;
  if (options.classes == 0) options.classes = entry.defaults.classes;
  if (options.input.size() != 3) {
    throw ShapeError("[input] needs (C, H, W), got " + to_string(options.input));
  }
  if (options.classes < 1) throw ShapeError("[" + name + "] needs at least one class");
  Graph graph = entry.build(options);
  verify(graph);
  return graph;
}

}  // namespace striate
