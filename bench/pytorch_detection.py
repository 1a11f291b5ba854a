#!/usr/bin/env python3
"""Times one of torchvision's detectors in PyTorch, as `striate bench` does of one; prints a line of
JSON. Frozen batch-norms, and three trained stages of the backbone, as the published weights had."""

import argparse

import torch
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

from measured import print_steps

DETECTORS = {"fasterrcnn_resnet50_fpn": FasterRCNN, "maskrcnn_resnet50_fpn": MaskRCNN}
CLASSES = 91
OBJECTS = 10


def targets_of(options, height, width):
    corners = torch.rand(OBJECTS, 2) * torch.tensor([width, height]) * 0.5
    sides = (torch.rand(OBJECTS, 2) * 0.4 + 0.05) * torch.tensor([width, height])
    target = {"boxes": torch.cat([corners, corners + sides], 1),
              "labels": torch.randint(1, CLASSES, (OBJECTS,))}
    if options.model.startswith("mask"):
        target["masks"] = torch.ones(OBJECTS, height, width, dtype=torch.uint8)
    return target


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["train", "infer"])
    parser.add_argument("model", choices=DETECTORS)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup-steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None,
                                   norm_layer=FrozenBatchNorm2d, trainable_layers=3)
    model = DETECTORS[options.model](backbone, CLASSES)
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)
    height, width = 800, 1333
    images = [torch.rand(3, height, width) for _ in range(options.batch_size)]
    targets = [targets_of(options, height, width) for _ in images]
    model.train(options.mode == "train")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, 1e-4, momentum=0.9)

    def train():
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def infer():
        with torch.inference_mode():
            model(images)

    print_steps(train if options.mode == "train" else infer, options)


if __name__ == "__main__":
    main()
