#!/usr/bin/env python3
"""The five likeliest classes of a photo by torchvision's ResNet-50, as a script does it that starts
for this one photo: pytorch_predict.py WEIGHTS.pth PHOTO.jpg"""

import sys

import torch
from PIL import Image

# Only the networks and transforms are wanted: without torchvision's own operators, which need the
# very build of PyTorch that they were made with, it still imports when these are declared.
library = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    library.define(operator + "(Tensor boxes, Tensor scores, float threshold) -> Tensor")
from torchvision import models, transforms  # noqa: E402


def main():
    weights, photo = sys.argv[1:]
    model = models.resnet50()
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    prepare = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    images = prepare(Image.open(photo).convert("RGB")).unsqueeze(0)
    with torch.inference_mode():
        top = model(images).softmax(1)[0].topk(5)
    for probability, index in zip(top.values, top.indices):
        print(f"  {100 * probability:6.2f} %  {index}")


if __name__ == "__main__":
    main()
