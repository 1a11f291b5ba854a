#include <gtest/gtest.h>

#include <stdexcept>

#include "striate/base/error.h"
#include "striate/graph/analysis.h"

namespace striate {
namespace {

// Two branches from "b"; "c" is on neither.
Graph branched() {
  Graph graph("net", {3, 8, 8});
  const Scope s(graph);
  const auto conv = [&](const char* name, Value x) {
    return s.conv2d(name, x, {.out_channels = 4, .kernel_size = 3, .padding = 1});
  };
  const Value a = conv("a", graph.input());
  const Value b = conv("b", a);
  graph.set_output("side", conv("c", a));
  const Value d = conv("d", b);
  graph.set_output("sum", s.add(d, conv("e", b)));
  graph.initialization.exceptions = {{"a.weight", {}}, {"d.weight", {}}};
  return graph;
}

TEST(PartOf, HasWhatItsEndsNeed) {
  const Graph part = part_of(branched(), {.begin = "b", .input = {4, 5, 6}, .ends = {"e", "d"}});
  std::vector<std::string> names;
  for (const Node& node : part.nodes()) names.push_back(node.name);
  EXPECT_EQ(names, (std::vector<std::string>{"input", "d", "e"}));
  EXPECT_EQ(part.outputs()[0].first, "e");
  EXPECT_EQ(part.shape(part.find("d")), (Shape{4, 5, 6}));
  EXPECT_TRUE(part.initialization.exceptions.contains("d.weight"));
  EXPECT_FALSE(part.initialization.exceptions.contains("a.weight"));
  EXPECT_NO_THROW(verify(part));
}

TEST(PartOf, IsTheWholeForAnotherInput) {
  const Graph whole = branched();
  const Graph part = part_of(whole, {.input = {3, 20, 10}});
  EXPECT_EQ(part.nodes().size(), whole.nodes().size());
  EXPECT_EQ(part.shape(part.output("sum")), (Shape{4, 20, 10}));
  EXPECT_EQ(parameter_count(part), parameter_count(whole));
}

TEST(PartOf, RefusesWhatIsNoPart) {
  EXPECT_THROW(part_of(branched(), {.begin = "b", .ends = {"c"}}), std::invalid_argument);
  EXPECT_THROW(part_of(branched(), {.ends = {"z"}}), LookupError);
  EXPECT_THROW(part_of(branched(), {.input = {8, 8}}), ShapeError);
}

}  // namespace
}  // namespace striate
