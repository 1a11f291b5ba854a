"""torchvision's networks for the benchmarks, without torchvision's own operators."""

import torch

# Only the networks are wanted: without torchvision's own operators, which need the very build of
# PyTorch that they were made with, it still imports when these are declared.
library = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    library.define(operator + "(Tensor boxes, Tensor scores, float threshold) -> Tensor")
import torchvision  # noqa: E402


def build(name):
    torch.manual_seed(1)
    kwargs = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    return getattr(torchvision.models, name)(**kwargs)
