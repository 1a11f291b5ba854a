#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "striate/base/error.h"
#include "striate/graph/analysis.h"
#include "striate/models/models.h"

namespace striate {
namespace {

struct Published {
  int64_t parameters;
  double mega_multiply_adds;  // as published, to its last digit
  double last_digit;
};

// torchvision's weight metadata ("_ops" in 10^9 with three digits); the CIFAR networks' are
// computed from the paper's table.
const std::map<std::string, Published> kPublished = {
    {"lenet5", {61706, NAN, 0}},
    {"lenet5@paper", {60000, NAN, 0}},
    {"vgg11", {132863336, 7609, 1}},
    {"vgg13", {133047848, 11308, 1}},
    {"vgg16", {138357544, 15470, 1}},
    {"vgg19", {143667240, 19632, 1}},
    {"vgg11_bn", {132868840, 7609, 1}},
    {"vgg13_bn", {133053736, 11308, 1}},
    {"vgg16_bn", {138365992, 15470, 1}},
    {"vgg19_bn", {143678248, 19632, 1}},
    {"resnet18", {11689512, 1814, 1}},
    {"resnet34", {21797672, 3664, 1}},
    {"resnet50", {25557032, 4089, 1}},
    {"resnet101", {44549160, 7801, 1}},
    {"resnet152", {60192808, 11514, 1}},
    {"resnet50@paper", {25557032, NAN, 0}},
    {"resnet101@paper", {44549160, NAN, 0}},
    {"resnet152@paper", {60192808, NAN, 0}},
    {"plain18", {11515688, NAN, 0}},
    {"plain34", {21623848, NAN, 0}},
    {"resnet20", {269722, 40.55, 0.01}},
    {"resnet32", {464154, 68.86, 0.01}},
    {"resnet44", {658586, 97.17, 0.01}},
    {"resnet56", {853018, 125.49, 0.01}},
    {"resnet110", {1727962, 252.89, 0.01}},
    {"resnet1202", {19421274, NAN, 0}},
    {"plain20", {269722, 40.55, 0.01}},
    {"plain32", {464154, 68.86, 0.01}},
    {"plain44", {658586, 97.17, 0.01}},
    {"plain56", {853018, 125.49, 0.01}},
    {"plain110", {1727962, 252.89, 0.01}},
};

TEST(Registry, EveryModelHasThePublishedParametersAndMultiplyAdds) {
  for (const ModelEntry& entry : model_registry()) {
    ASSERT_TRUE(kPublished.contains(entry.name)) << entry.name << " has no published figures";
    const Published& published = kPublished.at(entry.name);
    const Graph graph = build_model(entry.name);
    EXPECT_EQ(parameter_count(graph), published.parameters) << entry.name;
    if (std::isfinite(published.mega_multiply_adds)) {
      EXPECT_NEAR(static_cast<double>(multiply_adds(graph)) / 1e6, published.mega_multiply_adds,
                  published.last_digit / 2)
          << entry.name;
    }
  }
}

TEST(Registry, EveryModelIsAWholeGraphAtItsOwnAndASecondSize) {
  for (const ModelEntry& entry : model_registry()) {
    if (entry.name == "resnet1202") continue;  // the same builder as resnet110
    EXPECT_NO_THROW(verify(build_model(entry.name))) << entry.name;
    const int64_t size = entry.defaults.input[1] + 32;
    const Graph graph = build_model(entry.name, {.input = {4, size, size}, .classes = 7});
    EXPECT_NO_THROW(verify(graph)) << entry.name;
    EXPECT_EQ(graph.shape(graph.output("logits")), (Shape{7})) << entry.name;
  }
}

TEST(Registry, NamesAreUniqueAndTheirGraphsBearThem) {
  std::set<std::string> names;
  for (const ModelEntry& entry : model_registry()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_EQ(build_model(entry.name).name(), entry.name);
  }
}

TEST(Registry, AnUnknownModelIsAnErrorWithTheNearest) {
  try {
    build_model("resnet5");
    FAIL() << "built";
  } catch (const LookupError& error) {
    EXPECT_NE(error.hint().find("resnet5"), std::string::npos);
  }
}

TEST(Registry, AnInputThatIsTooSmallNamesTheLayer) {
  EXPECT_THROW(build_model("lenet5", {.input = {1, 12, 12}}), ShapeError);
  EXPECT_THROW(build_model("vgg16", {.input = {3, 16, 16}}), ShapeError);
}

TEST(Keys, AreThePublishedOnes) {
  std::set<std::string> resnet;
  for (const TensorSpec& spec : tensors(build_model("resnet50"))) resnet.insert(spec.key);
  for (const char* key :
       {"conv1.weight", "bn1.running_mean", "layer1.0.conv3.weight", "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.num_batches_tracked", "layer4.2.bn3.bias", "fc.bias"}) {
    EXPECT_TRUE(resnet.contains(key)) << key;
  }
  EXPECT_EQ(resnet.size(), 320U);  // the entries of torchvision's state_dict
  std::set<std::string> vgg;
  for (const TensorSpec& spec : tensors(build_model("vgg16_bn"))) vgg.insert(spec.key);
  for (const char* key :
       {"features.0.weight", "features.1.running_var", "features.41.bias", "classifier.6.weight"}) {
    EXPECT_TRUE(vgg.contains(key)) << key;
  }
}

TEST(LeNet5, ThePapersLayersHaveThePapersTrainableParameters) {
  const Graph graph = build_model("lenet5@paper");
  const std::map<std::string, int64_t> paper = {{"c1", 156}, {"s2", 12},    {"c3", 1516},
                                                {"s4", 32},  {"c5", 48120}, {"f6", 10164}};
  for (const auto& [name, count] : paper) {
    EXPECT_EQ(parameter_count(graph, graph.find(name)), count) << name;
  }
}

TEST(LeNet5, TheTableOfConnectionsHasThePapersRows) {
  const Graph graph = build_model("lenet5@paper");
  const auto& table = std::get<Conv2d>(graph.node(graph.find("c3")).op).connections;
  std::map<size_t, int> rows;
  std::vector<int> uses(6);
  std::set<std::vector<int64_t>> different;
  for (const auto& row : table) {
    ++rows[row.size()];
    different.insert(row);
    for (const int64_t map : row) ++uses[static_cast<size_t>(map)];
  }
  EXPECT_EQ(rows, (std::map<size_t, int>{{3, 6}, {4, 9}, {6, 1}}));
  EXPECT_EQ(different.size(), 16U);
  for (const int count : uses) EXPECT_EQ(count, 10);  // each map of S2 feeds ten of C3
}

TEST(LeNet5, TheCodesOfTheDigitsDifferWell) {
  const Graph graph = build_model("lenet5@paper");
  const std::vector<float>& codes = graph.initialization.exceptions.at("output.weight").table;
  for (size_t a = 0; a < 10; ++a) {
    for (size_t b = 0; b < a; ++b) {
      int different = 0;
      for (size_t i = 0; i < 84; ++i) different += codes[84 * a + i] != codes[84 * b + i] ? 1 : 0;
      EXPECT_GE(different, 5) << a << " and " << b;
    }
  }
}

TEST(Vgg16, SeesAllOfTheImageAndStoresTheNotesFigures) {
  const Graph graph = build_model("vgg16");
  const Value last_convolution = graph.find("features.28");
  EXPECT_EQ(receptive_fields(graph)[static_cast<size_t>(last_convolution.node)].size, Size2(196));
  const ActivationMemory memory = activation_memory(graph);
  EXPECT_EQ(memory.in_place_bytes, 4 * 15262696);
  EXPECT_EQ(memory.all_bytes, 4 * 28826600);
}

TEST(ResNet, HasAShortcutOfItsOwnOnlyWhereTheShapeChanges) {
  int64_t downsamples = 0;
  const Graph graph = build_model("resnet50");
  for (const Node& node : graph.nodes()) downsamples += node.name.ends_with("downsample.0") ? 1 : 0;
  EXPECT_EQ(downsamples, 4);
  EXPECT_EQ(last_scales(graph).size(), 16U);
  EXPECT_EQ(graph.node(last_scales(graph).front()).name, "layer1.0.bn3");
  EXPECT_TRUE(last_scales(build_model("plain56")).empty());
}

TEST(ResNet, ThePapersBottleneckHasItsStrideInTheFirst1x1) {
  const auto stride = [](const char* model, const char* node) {
    const Graph graph = build_model(model);
    return std::get<Conv2d>(graph.node(graph.find(node)).op).stride.height;
  };
  EXPECT_EQ(stride("resnet50", "layer2.0.conv1"), 1);
  EXPECT_EQ(stride("resnet50", "layer2.0.conv2"), 2);
  EXPECT_EQ(stride("resnet50@paper", "layer2.0.conv1"), 2);
  EXPECT_EQ(stride("resnet50@paper", "layer2.0.conv2"), 1);
}

}  // namespace
}  // namespace striate
