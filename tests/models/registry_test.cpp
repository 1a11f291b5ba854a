#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "striate/base/error.h"
#include "striate/base/json.h"
#include "striate/base/random.h"
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
    {"resnet110_sd", {1727962, 252.89, 0.01}},
    {"alexnet", {61100840, 714, 1}},
    {"alexnet@paper", {60965224, 724, 1}},
    {"nin", {7595176, NAN, 0}},
    {"nin_cifar", {966986, NAN, 0}},
    {"googlenet", {6624904, 1498, 1}},
    {"googlenet@paper", {6998552, NAN, 0}},
    {"inception_naive", {1096682, NAN, 0}},
    {"inception_reduced", {351530, NAN, 0}},
    {"resnext50_32x4d", {25028904, 4230, 1}},
    {"resnext101_32x8d", {88791336, 16414, 1}},
    {"resnext101_64x4d", {83455272, 15460, 1}},
    {"resnext29_8x64d", {34426698, NAN, 0}},
    {"resnext29_16x64d", {68155210, NAN, 0}},
    {"wide_resnet50_2", {68883240, 11398, 1}},
    {"wide_resnet101_2", {126886696, 22753, 1}},
    {"wrn_16_4", {2748890, NAN, 0}},
    {"wrn_28_10", {36479194, NAN, 0}},
    {"fractalnet20", {33724618, NAN, 0}},
    {"fractalnet40", {19040714, NAN, 0}},
    {"densenet121", {7978856, 2834, 1}},
    {"densenet161", {28681000, 7728, 1}},
    {"densenet169", {14149480, 3360, 1}},
    {"densenet201", {20013928, 4291, 1}},
    {"densenet40_12", {1019722, NAN, 0}},
    {"densenet100_12", {6979642, NAN, 0}},
    {"densenet100_24", {27249082, NAN, 0}},
    {"densenetbc100_12", {769162, 287.9, 0.1}},
    {"densenetbc250_24", {15324406, NAN, 0}},
    {"densenetbc190_40", {25624430, NAN, 0}},
    {"squeezenet1_0", {1248424, 819, 1}},
    {"squeezenet1_0_bypass", {1248424, 819, 1}},
    {"squeezenet1_1", {1235496, 349, 1}},
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

TEST(Registry, AnInputThatIsTooSmallNamesTheLayerAndTheSmallestThatFits) {
  EXPECT_THROW(build_model("vgg16", {.input = {3, 16, 16}}), ShapeError);
  for (const auto& [model, size] :
       std::map<std::string, int64_t>{{"lenet5", 16}, {"alexnet", 63}, {"densenet121", 29}}) {
    try {
      build_model(model, {.input = {1, size - 1, size - 1}});
      FAIL() << model << " was built";
    } catch (const ShapeError& error) {
      EXPECT_EQ(std::string(error.what()).front(), '[');
      EXPECT_NE(error.hint().find(fmt::format("{0}x{0}", size)), std::string::npos) << error.hint();
    }
    EXPECT_NO_THROW(build_model(model, {.input = {1, size, size}}));
  }
}

TEST(Registry, OptionsThatANetworkDoesNotHaveAreErrors) {
  EXPECT_THROW(build_model("vgg11", {.auxiliary_heads = true}), std::invalid_argument);
  EXPECT_THROW(build_model("vgg11", {.final_survival = 0.5}), std::invalid_argument);
  EXPECT_THROW(build_model("resnet18", {.final_survival = 1.5}), std::invalid_argument);
}

// What a state_dict of torchvision's network holds, keys and shapes (tools/reference/key_lists.py).
TEST(Keys, AndShapesAreTorchvisions) {
  const Json lists = read_json(STRIATE_SOURCE_DIR "/tests/reference/keys.json").at("networks");
  for (const auto& [name, list] : lists.items()) {
    const bool heads = name.ends_with("_aux");
    const std::string model = heads ? name.substr(0, name.size() - 4) : name;
    std::vector<std::string> lines;
    for (const TensorSpec& spec : tensors(build_model(model, {.auxiliary_heads = heads}))) {
      lines.push_back(spec.key + " " + to_string(spec.shape));
    }
    std::ranges::sort(lines);
    EXPECT_EQ(lines.size(), list.at("keys").get<size_t>()) << name;
    EXPECT_EQ(fmt::format("{:016x}", hash_name(fmt::format("{}", fmt::join(lines, "\n")).c_str())),
              list.at("hash").get<std::string>())
        << name;
  }
  EXPECT_EQ(lists.size(), 27U);
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

// huang2016, eq. 4: block l of L survives with 1 - l / L (1 - p_L).
TEST(ResNet, StochasticDepthDecaysLinearly) {
  const Graph graph = build_model("resnet110_sd");
  std::vector<double> survival;
  for (const Node& node : graph.nodes()) {
    const auto* depth = std::get_if<StochasticDepth>(&node.op);
    if (depth != nullptr) survival.push_back(depth->survival);
  }
  ASSERT_EQ(survival.size(), 54U);
  for (size_t l = 1; l <= 54; ++l) {
    EXPECT_DOUBLE_EQ(survival[l - 1], 1 - static_cast<double>(l) / 54 * 0.5);
  }
  EXPECT_EQ(last_scales(graph).size(), 54U);
  // The weights are those of the network without.
  EXPECT_EQ(parameter_count(graph), parameter_count(build_model("resnet110")));
}

// On 28x28x256: 854 M multiply-adds against 271 M.
TEST(GoogLeNet, BottlenecksSaveMoreThanHalfOfAModule) {
  const auto module = [](const char* name) {
    const Graph graph = build_model(name);
    return multiply_adds(graph) - multiply_adds(graph, graph.find("fc"));
  };
  EXPECT_EQ(module("inception_naive"), int64_t{28} * 28 * 256 * (128 + 9 * 192 + 25 * 96));
  EXPECT_EQ(module("inception_reduced"),
            int64_t{28} * 28 * (256 * (128 + 64 + 64 + 64) + 64 * (9 * 192 + 25 * 96)));
}

TEST(FractalNet, ItsColumnsHaveOneTwoAndFourLayersAndJoinWhereTheyMeet) {
  const Graph graph = build_model("fractalnet20");
  std::vector<std::vector<int64_t>> joins;
  for (const Node& node : graph.nodes()) {
    const auto* join = std::get_if<FractalJoin>(&node.op);
    if (join != nullptr) joins.push_back(join->columns);
  }
  ASSERT_EQ(joins.size(), 10U);  // two in each of five blocks
  for (size_t i = 0; i < joins.size(); i += 2) {
    EXPECT_EQ(joins[i], (std::vector<int64_t>{1, 2}));
    EXPECT_EQ(joins[i + 1], (std::vector<int64_t>{0, 1, 2}));
  }
  EXPECT_NO_THROW(graph.find("block5.column2.3.conv"));
  EXPECT_THROW(graph.find("block5.column1.2.conv"), LookupError);
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
