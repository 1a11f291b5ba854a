"""Steps of a detector in PyTorch, torchvision's own, timed as `striate bench` times ours: random images of 800x1333
with ten objects each, frozen batch-norm, the first stages frozen. Prints a line of JSON."""

import argparse

import torch
from torchvision.models import resnet50
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.misc import FrozenBatchNorm2d

from measured import print_steps

HEIGHT, WIDTH, OBJECTS, CLASSES = 800, 1333, 10, 90
MODELS = {"fasterrcnn_resnet50_fpn": FasterRCNN, "maskrcnn_resnet50_fpn": MaskRCNN}


def target(masks):
    size = torch.tensor([WIDTH, HEIGHT])
    corner = torch.rand(OBJECTS, 2) * size * 0.5
    sides = (torch.rand(OBJECTS, 2) * 0.4 + 0.05) * size
    result = {"boxes": torch.cat([corner, corner + sides], 1), "labels": torch.randint(1, CLASSES, (OBJECTS,))}
    if masks:
        result["masks"] = torch.ones(OBJECTS, HEIGHT, WIDTH, dtype=torch.uint8)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["train", "infer"])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warmup-steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    backbone = _resnet_fpn_extractor(resnet50(norm_layer=FrozenBatchNorm2d), 3)
    model = MODELS[options.model](backbone, CLASSES + 1)
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)
    images = [torch.rand(3, HEIGHT, WIDTH) for _ in range(options.batch_size)]
    targets = [target("mask" in options.model) for _ in images]
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)

    def train():
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def infer():
        with torch.no_grad():
            model(images)

    model.train(options.mode == "train")
    print_steps(train if options.mode == "train" else infer, options)


main()
