#include "striate/graph/graph.h"

#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/graph/summary.h"

namespace striate {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

TEST(Graph, AnAddOfUnequalShapesNamesTheLayerAndBothShapes) {
  Graph graph("net", {256, 14, 14});
  const Scope s = Scope(graph) / "layer3" / 0;
  const Value a = s.subsample(graph.input(), {.stride = 2});
  EXPECT_EQ(message_of([&] { s.add(graph.input(), a); }),
            "[layer3.0.add] needs equal shapes, got (256, 14, 14) and (256, 7, 7)");
}

TEST(Graph, AWindowThatDoesNotFitNamesTheLayer) {
  Graph graph("net", {1, 4, 4});
  EXPECT_THROW(Scope(graph).conv2d("conv1", graph.input(), {.out_channels = 2, .kernel_size = 5}),
               ShapeError);
  EXPECT_EQ(message_of([&] {
              Scope(graph).conv2d("conv2", graph.input(), {.out_channels = 2, .kernel_size = 5});
            }).substr(0, 7),
            "[conv2]");
}

TEST(Graph, ASecondReluOfAScopeGetsANumber) {
  Graph graph("net", {1, 4, 4});
  const Scope s(graph);
  Value x = s.relu(s.relu(s.relu(graph.input())));
  EXPECT_EQ(graph.node(x).name, "relu_2");
  EXPECT_EQ(graph.nodes()[1].name, "relu");
}

TEST(Graph, AUsedNameIsRefused) {
  Graph graph("net", {1, 4, 4});
  const Scope s(graph);
  s.batch_norm2d("bn", graph.input());
  EXPECT_THROW(s.batch_norm2d("bn", graph.input()), std::invalid_argument);
}

TEST(Graph, AnUnknownNodeOrOutputIsAnErrorWithTheNearest) {
  Graph graph("net", {1, 4, 4});
  const Value x = Scope(graph).relu(graph.input(), "relu");
  graph.set_output("logits", x);
  try {
    graph.find("rellu");
    FAIL() << "found";
  } catch (const LookupError& error) {
    EXPECT_EQ(error.hint(), "did you mean \"relu\"?");
  }
  EXPECT_THROW(graph.output("logit"), LookupError);
  EXPECT_EQ(graph.output("logits").node, x.node);
}

TEST(Verify, AcceptsAWholeGraph) {
  Graph graph("net", {3, 8, 8});
  const Scope s(graph);
  graph.set_output("p2",
                   s.relu(s.conv2d("conv", graph.input(), {.out_channels = 4, .kernel_size = 3})));
  EXPECT_NO_THROW(verify(graph));
}

TEST(Verify, RefusesANodeThatNobodyUses) {
  Graph graph("net", {3, 8, 8});
  const Scope s(graph);
  s.relu(graph.input(), "lost");
  graph.set_output("logits", s.relu(graph.input(), "used"));
  EXPECT_EQ(message_of([&] { verify(graph); }), "[lost] is neither used nor an output");
}

TEST(Verify, RefusesAGraphWithoutOutputs) {
  Graph graph("net", {3, 8, 8});
  EXPECT_THROW(verify(graph), std::logic_error);
}

TEST(Verify, RefusesAnInitialisationOfNoTensor) {
  Graph graph("net", {3, 8, 8});
  graph.set_output("y", Scope(graph).relu(graph.input()));
  graph.initialization.exceptions["bn9.weight"] = {.kind = Initializer::Kind::kConstant};
  EXPECT_THROW(verify(graph), std::logic_error);
}

TEST(ToDot, DrawsEveryNodeAndEdge) {
  Graph graph("net", {3, 8, 8});
  graph.set_output("y", Scope(graph).relu(graph.input()));
  const std::string dot = to_dot(graph);
  EXPECT_NE(dot.find("n1 [label=\"relu\\nReLU\\n(3, 8, 8)\"]"), std::string::npos);
  EXPECT_NE(dot.find("n0 -> n1;"), std::string::npos);
  EXPECT_NE(dot.find("n1 -> \"y\";"), std::string::npos);
}

}  // namespace
}  // namespace striate
