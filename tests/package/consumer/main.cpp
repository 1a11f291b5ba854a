// A network of the registry in a program of one's own: forward, a tapped node, a gradient.
#include <ATen/ops/randn.h>
#include <striate/models/models.h>
#include <striate/runtime/network.h>

#include <iostream>

int main() {
  striate::Network network(striate::build_model("resnet20", {.input = {3, 32, 32}, .classes = 10}),
                           /*seed=*/1);
  const auto values = network.forward(at::randn({2, 3, 32, 32}), {.taps = {"layer2.0.relu_1"}});
  values.at("logits").sum().backward();
  const auto shape = values.at("layer2.0.relu_1").sizes();
  std::cout << "layer2.0.relu_1 is " << shape << ", " << network.named_parameters().size()
            << " parameters\n";
  const bool right = shape[1] == 32 && network.tensor("conv1.weight").grad().defined();
  return right ? 0 : 1;
}
