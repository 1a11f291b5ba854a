#!/usr/bin/env python3
"""Times one of captum's attributions of one of torchvision's networks; prints a line of JSON as
`striate bench look` does."""

import argparse
import types
import warnings

import torch
from captum import attr
from torch import nn

from measured import print_steps
from networks import build

STEPS = 32
SIDE, STRIDE = 32, 16


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("method", choices=["saliency", "guided", "gradcam", "integrated",
                                           "occlusion"])
    parser.add_argument("model", choices=["resnet50"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warmup-steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    return parser.parse_args()


def bottleneck(self, x):
    shortcut = x if self.downsample is None else self.downsample(x)
    x = self.relu(self.bn1(self.conv1(x)))
    x = self.relu2(self.bn2(self.conv2(x)))
    return self.relu3(self.bn3(self.conv3(x)) + shortcut)


def separate_relus(network):
    """captum's hooks need a module of its own for each ReLU, and none in place."""
    from torchvision.models.resnet import Bottleneck
    for module in network.modules():
        if isinstance(module, Bottleneck):
            module.relu2, module.relu3 = nn.ReLU(), nn.ReLU()
            module.forward = types.MethodType(bottleneck, module)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False


def look(method, network):
    """A function of the images, as captum's tutorials call it."""
    if method == "saliency":
        saliency = attr.Saliency(network)
        return lambda images: saliency.attribute(images, target=0, abs=False)
    if method == "guided":
        guided = attr.GuidedBackprop(network)
        return lambda images: guided.attribute(images, target=0)
    if method == "gradcam":
        cam = attr.LayerGradCam(network, network.layer4)
        return lambda images: cam.attribute(images, target=0, relu_attributions=True)
    if method == "integrated":
        integrated = attr.IntegratedGradients(network)
        # All steps of all images at once would need 8 GB and more; this is the batch of the others.
        return lambda images: integrated.attribute(
            images, target=0, n_steps=STEPS, internal_batch_size=len(images))
    occlusion = attr.Occlusion(network)

    def occluded(images):
        with torch.no_grad():
            return occlusion.attribute(
                images, target=0, sliding_window_shapes=(3, SIDE, SIDE),
                strides=(3, STRIDE, STRIDE), perturbations_per_eval=16)
    return occluded


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "Setting backward hooks")
    network = build(options.model).eval()
    if options.method == "guided":
        separate_relus(network)
    torch.manual_seed(1)
    images = torch.randn(options.batch_size, 3, options.size, options.size)
    if options.channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    images.requires_grad_(options.method != "occlusion")
    run = look(options.method, network)
    print_steps(lambda: run(images), options)


if __name__ == "__main__":
    main()
