#include "striate/graph/analysis.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

ReceptiveField field_of(const Graph& graph, Value value) {
  return receptive_fields(graph)[static_cast<size_t>(value.node)];
}

// The notes, row 4: three 3x3 convolutions see what one 7x7 sees, with 27 C² weights against 49 C².
TEST(ReceptiveField, OfThreeStacked3x3IsThatOfOne7x7) {
  constexpr int64_t C = 64;
  Graph stacked("three 3x3", {C, 32, 32});
  Value x = stacked.input();
  for (const char* name : {"a", "b", "c"}) {
    x = Scope(stacked).conv2d(name, x,
                              {.out_channels = C, .kernel_size = 3, .padding = 1, .bias = false});
  }
  Graph single("one 7x7", {C, 32, 32});
  const Value y = Scope(single).conv2d(
      "a", single.input(), {.out_channels = C, .kernel_size = 7, .padding = 3, .bias = false});
  EXPECT_EQ(field_of(stacked, x).size, Size2(7));
  EXPECT_EQ(field_of(single, y).size, Size2(7));
  EXPECT_EQ(parameter_count(stacked), 3 * 9 * C * C);
  EXPECT_EQ(parameter_count(single), 49 * C * C);
}

TEST(ReceptiveField, GrowsByStrideAndDilation) {
  Graph graph("net", {1, 64, 64});
  const Scope s(graph);
  Value x = s.conv2d("a", graph.input(), {.out_channels = 1, .kernel_size = 3, .stride = 2});
  x = s.conv2d("b", x, {.out_channels = 1, .kernel_size = {3, 1}, .dilation = 2});
  // Height: 3 + (2 * 2) * 2; width: 3.
  EXPECT_EQ(field_of(graph, x).size, Size2(11, 3));
  EXPECT_EQ(field_of(graph, x).stride, Size2(2));
}

TEST(ReceptiveField, BeginsInThePadding) {
  Graph graph("net", {1, 64, 64});
  const Scope s(graph);
  Value x = s.conv2d("a", graph.input(),
                     {.out_channels = 1, .kernel_size = 7, .stride = 2, .padding = 3});
  x = s.max_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = {1, 0}});
  EXPECT_EQ(field_of(graph, x).begin, Size2(-5, -3));
  EXPECT_EQ(field_of(graph, x).size, Size2(11));
}

TEST(ReceptiveField, OverBranchesIsWhatAnySees) {
  Graph graph("net", {4, 16, 16});
  const Scope s(graph);
  const Value a = s.conv2d("a", graph.input(), {.out_channels = 4, .kernel_size = 5, .padding = 2});
  const Value x = s.add(graph.input(), a);
  EXPECT_EQ(field_of(graph, x).size, Size2(5));
  EXPECT_EQ(field_of(graph, x).begin, Size2(-2));
}

TEST(ReceptiveField, OfAFlattenedImageIsAllOfIt) {
  Graph graph("net", {1, 10, 12});
  const Scope s(graph);
  const Value x = s.flatten(s.conv2d("a", graph.input(), {.out_channels = 1, .kernel_size = 3}));
  EXPECT_EQ(field_of(graph, x).size, Size2(10, 12));
}

TEST(Parameters, OfAConnectionTableAreThoseThatAreConnected) {
  Graph graph("net", {3, 8, 8});
  const Value x = Scope(graph).conv2d(
      "c", graph.input(), {.out_channels = 2, .kernel_size = 3, .connections = {{0}, {1, 2}}});
  EXPECT_EQ(parameter_count(graph, x), 3 * 9 + 2);
  EXPECT_EQ(multiply_adds(graph, x), 3 * 9 * 36);
}

TEST(Parameters, OfABatchNormAreItsScaleAndShiftOnly) {
  Graph graph("net", {5, 8, 8});
  const Value x = Scope(graph).batch_norm2d("bn", graph.input());
  EXPECT_EQ(parameter_count(graph, x), 10);
  EXPECT_EQ(tensors(graph).size(), 5U);
}

TEST(MultiplyAdds, OfAGroupedConvolutionAreDividedByTheGroups) {
  Graph graph("net", {8, 10, 10});
  const Value x = Scope(graph).conv2d(
      "c", graph.input(), {.out_channels = 16, .kernel_size = 3, .padding = 1, .groups = 4});
  EXPECT_EQ(multiply_adds(graph, x), 16 * 2 * 9 * 100);
}

TEST(ActivationMemory, CountsWhatItsNamesSay) {
  Graph graph("net", {2, 4, 4});  // 128 bytes
  const Scope s(graph);
  Value x = s.conv2d("c", graph.input(), {.out_channels = 4, .kernel_size = 1});  // 256 bytes
  x = s.relu(x);                                                                  // 256 bytes
  x = s.max_pool2d(x, {.kernel_size = 2});                                        // 64 bytes
  graph.set_output("y", s.flatten(x));                                            // a view
  const ActivationMemory memory = activation_memory(graph);
  EXPECT_EQ(memory.all_bytes, 128 + 256 + 256 + 64);
  EXPECT_EQ(memory.in_place_bytes, 128 + 256 + 64);
  EXPECT_EQ(memory.peak_bytes, 256 + 256);
  // The input (convolution), the relu's output (relu and pooling), 16 indices of 8 bytes.
  EXPECT_EQ(memory.backward_bytes, 128 + 256 + 16 * 8);
}

TEST(Ancestors, AreWhatAValueDependsOn) {
  Graph graph("branches", {2, 4, 4});
  const Scope s(graph);
  const Value a = s.conv2d("a", graph.input(), {.out_channels = 2, .kernel_size = 1});
  s.conv2d("b", graph.input(), {.out_channels = 2, .kernel_size = 1});
  const Value c = s.add(a, graph.input(), "c");
  s.relu(c, "d");
  EXPECT_EQ(with_ancestors(graph, c), (std::vector<bool>{true, true, false, true, false}));
}

TEST(LastScales, AreTheDeepestNormalisationsOfEachBlock) {
  Graph graph("net", {4, 8, 8});
  const Scope s(graph);
  Value y = s.batch_norm2d("bn1",
                           s.conv2d("conv1", graph.input(), {.out_channels = 4, .kernel_size = 1}));
  y = s.batch_norm2d("bn2", s.conv2d("conv2", s.relu(y), {.out_channels = 4, .kernel_size = 1}));
  const Value shortcut = s.batch_norm2d(
      "down", s.conv2d("convd", graph.input(), {.out_channels = 4, .kernel_size = 1}));
  graph.set_output("y", s.add(y, shortcut));
  const std::vector<Value> scales = last_scales(graph);
  ASSERT_EQ(scales.size(), 1U);
  EXPECT_EQ(graph.node(scales[0]).name, "bn2");
  const Graph zeroed = with_zero_last_scales(graph);
  EXPECT_EQ(zeroed.initialization.exceptions.at("bn2.weight").value, 0);
  EXPECT_NO_THROW(verify(zeroed));
}

}  // namespace
}  // namespace striate
