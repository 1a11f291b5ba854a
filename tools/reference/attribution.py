"""Writes tests/reference/attribution.safetensors: what captum says that networks look at.

Weights, images, baselines and noise are closed formulas of their names (models.py). Computed in
float64 on the CPU from torchvision's networks, each ReLU of which is a module of its own here, as
captum's hooks need it. Entries are described in tests/reference/README.md.

Usage: python attribution.py OUTPUT.safetensors [NETWORK ...]
Prints for each network how far float32 is from float64 at worst (relative, L2); the metadata of the
file hold it for every entry.
Needs: requirements.txt beside this file.
"""

import collections
import json
import os
import sys
import types

import numpy as np
import torch
from captum import attr
from torch import nn

import models

CLASSES = [7, 3]  # whose score is explained, of the first and of the second image
SHAPE = (2, 3, 96, 96)
SAMPLING = 8  # of gradients: every so many rows and columns
NOISE_SAMPLES, NOISE_SCALE = 3, 0.1
STEPS, BASELINE_STEPS = 16, 8  # of integrated gradients, from zeros and from a baseline
BASELINE_SCALE = 0.25
# The squares of occlusion: side, stride and what they are filled with. The second do not fit.
SQUARES = [(32, 16, 0.0), (40, 24, 0.5)]

# Of each network the layer that Grad-CAM looks at, and a unit within: layer, channel, row, column.
LAYERS = {
    "vgg11_bn": ("features.27", ("features.16", 5, 6, 7)),
    "resnet34": ("layer4.2.bn2", ("layer2.3.bn2", 9, 3, 8)),
    "googlenet": ("inception5b.branch2.1.bn", ("inception3b.branch3.1.bn", 4, 5, 2)),
    "densenet121": ("features.transition2.conv", ("features.transition1.conv", 11, 9, 1)),
    "squeezenet1_0": ("features.12.squeeze", ("features.5.squeeze", 2, 1, 9)),
}


# Networks whose ReLUs are modules, each used once.

def separate_relus(network):
    from torchvision.models.densenet import DenseNet
    from torchvision.models.googlenet import BasicConv2d
    from torchvision.models.resnet import BasicBlock
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
        if isinstance(module, BasicBlock):
            module.relu2 = nn.ReLU()
            module.forward = types.MethodType(basic_block, module)
        if isinstance(module, BasicConv2d):
            module.relu = nn.ReLU()
            module.forward = types.MethodType(basic_conv, module)
    if not isinstance(network, DenseNet):
        return network
    return nn.Sequential(collections.OrderedDict(
        features=network.features, relu=nn.ReLU(), avgpool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(), classifier=network.classifier))


def basic_block(self, x):
    shortcut = x if self.downsample is None else self.downsample(x)
    x = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
    return self.relu2(x + shortcut)


def basic_conv(self, x):
    return self.relu(self.bn(self.conv(x)))


# What is compared.

def gradients(network, images, target):
    saliency = attr.Saliency(network)
    noise = [models.generated(f"input.noise.{k}", SHAPE, images.dtype) * NOISE_SCALE
             for k in range(NOISE_SAMPLES)]
    noisy = [saliency.attribute(images + n, target=target, abs=False) for n in noise]
    return {
        "saliency": saliency.attribute(images, target=target, abs=False),
        "guided_backprop": attr.GuidedBackprop(network).attribute(images, target=target),
        "deconvolution": attr.Deconvolution(network).attribute(images, target=target),
        "smooth_grad": torch.stack(noisy).mean(dim=0),
    }


def integrated(network, images, target):
    method = attr.IntegratedGradients(network)
    baseline = models.generated("input.baseline", SHAPE[1:], images.dtype) * BASELINE_SCALE
    return {
        "integrated_gradients": method.attribute(
            images, target=target, n_steps=STEPS, method="gausslegendre"),
        "integrated_gradients_from_baseline": method.attribute(
            images, baselines=baseline[None], target=target, n_steps=BASELINE_STEPS,
            method="gausslegendre"),
    }


def occluded(network, images, target):
    """One channel of each map: a square hides all of them."""
    with torch.no_grad():
        return {f"occlusion/{side}_{stride}": attr.Occlusion(network).attribute(
            images, target=target, sliding_window_shapes=(3, side, side),
            strides=(3, stride, stride), baselines=value, perturbations_per_eval=8)[:, :1]
            for side, stride, value in SQUARES}


def within(network, images, name, unit):
    """What one unit of a layer looks at, and the mean of its channel."""
    layer, channel, row, column = unit
    module = network.get_submodule(layer)
    place = (channel, row, column)
    mean = attr.NeuronGradient(network, module).attribute(
        images, neuron_selector=lambda map: map[:, channel].mean(dim=(1, 2)))
    return {
        "unit/saliency": attr.NeuronGradient(network, module).attribute(images, place),
        "unit/guided_backprop":
            attr.NeuronGuidedBackprop(network, module).attribute(images, place),
        "unit/deconvolution":
            attr.NeuronDeconvolution(network, module).attribute(images, place),
        "channel/saliency": mean,
    }


def measure(name, dtype):
    """Full maps, (N, C, H, W) or, of Grad-CAM, (N, h, w)."""
    network = separate_relus(models.build(name, dtype)).eval().requires_grad_(False)
    images = models.generated("input.eval", SHAPE, dtype).requires_grad_()
    layer, unit = LAYERS[name]
    module = network.get_submodule(layer)
    maps = gradients(network, images, CLASSES) | integrated(network, images, CLASSES)
    maps |= occluded(network, images, CLASSES) | within(network, images, name, unit)
    maps["guided_grad_cam"] = attr.GuidedGradCam(network, module).attribute(
        images, target=CLASSES, interpolate_mode="bilinear")
    maps["grad_cam"] = attr.LayerGradCam(network, module).attribute(
        images, target=CLASSES, relu_attributions=True)[:, 0]
    return {key: value.detach() for key, value in maps.items()}


def stored(key, value):
    """Grad-CAM whole; of the others some pixels, and the norm of each image's map."""
    if key == "grad_cam":
        return {key: value}
    return {key: value[:, :, ::SAMPLING, ::SAMPLING],
            key + "_norm": value.double().flatten(1).norm(dim=1)}


def main():
    from safetensors.torch import save_file
    import captum
    import torchvision
    path, *names = sys.argv[1:]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    tensors, all_noise = {}, {}
    for name in names or LAYERS:
        exact, single = measure(name, torch.float64), measure(name, torch.float32)
        for key, value in exact.items():
            assert value.flatten(1).norm(dim=1).min() > 0, f"{name}/{key} says nothing"
            numbers = stored(key, value)
            for entry, other in stored(key, single[key]).items():
                noise = models.relative_error(other, numbers[entry])
                all_noise[f"{name}/{entry}"] = float(f"{noise:.1e}")
            tensors |= {f"{name}/{entry}": numbers[entry].float().contiguous() for entry in numbers}
        worst = max((noise, key) for key, noise in all_noise.items() if key.startswith(name + "/"))
        print(f"| {name} | {worst[0]:.1e} | {worst[1]} |", flush=True)
    metadata = {
        "torch": torch.__version__, "torchvision": torchvision.__version__,
        "captum": captum.__version__, "numpy": np.__version__,
        "computed_in": "float64, rounded to float32", "layers": json.dumps(LAYERS),
        "float32_noise": json.dumps(all_noise),
    }
    save_file(tensors, path, metadata)


if __name__ == "__main__":
    main()
