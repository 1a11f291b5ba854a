"""Writes a reference file: what independent implementations of Striate's networks compute.

Every weight and input is a closed formula of its name (`generated` below), so that any language
can make the same tensors. Networks run in float64 on the CPU; results are rounded once to float32.
The networks are torchvision's, its ResNets with the strides of the paper (`@paper`), and plain
PyTorch versions, written from the papers, of those that torchvision lacks (here and in zoo.py).

Usage: python models.py OUTPUT.safetensors [NETWORK ...]
No names: the networks of models.safetensors; the word `zoo`: those of zoo.safetensors.
Prints one Markdown row per network: parameters, and how far float32 is from float64 (relative, L2),
which the metadata of the file holds for every entry.
Needs: requirements.txt beside this file.
"""

import json
import math
import os
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import zoo

CLASS = 7  # the class whose score is differentiated
LARGE_LABELS = [1, 22, 333, 444]
SMALL_LABELS = [1, 2, 3, 4]

TORCHVISION = [f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn")]
TORCHVISION += [f"resnet{depth}" for depth in (18, 34, 50, 101, 152)]
STRIDE_FIRST = ["resnet50@paper", "resnet101@paper", "resnet152@paper"]
CIFAR = ["resnet20", "resnet56", "resnet110", "plain20", "plain56"]
LENET = ["lenet5", "lenet5@paper"]
NETWORKS = TORCHVISION + STRIDE_FIRST + CIFAR + LENET

ZOO_TORCHVISION = ["alexnet", "googlenet", "resnext50_32x4d", "resnext101_32x8d",
                   "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]
ZOO_TORCHVISION += [f"densenet{depth}" for depth in (121, 161, 169, 201)]
ZOO_TORCHVISION += ["squeezenet1_0", "squeezenet1_1"]
STOCHASTIC_DEPTH = ["resnet110_sd"]
ZOO = ZOO_TORCHVISION + STOCHASTIC_DEPTH + zoo.NETWORKS


# The rule that makes a tensor from its name.

def name_hash(name):
    """FNV-1a, 64 bits."""
    state = 14695981039346656037
    for byte in name.encode("utf-8"):
        state = (state ^ byte) * 1099511628211 & 0xFFFFFFFFFFFFFFFF
    return state


def unit_interval(name, count):
    """`count` float64 multiples of 2^-24 in [0, 1): splitmix64 from the hash of the name."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z += np.uint64(name_hash(name))
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return np.ldexp((z >> np.uint64(40)).astype(np.float64), -24)


def generated(name, shape, dtype=torch.float64):
    """The tensor called `name`, through float32 so that every precision starts from one value."""
    u = unit_interval(name, math.prod(shape))
    scale = name.endswith("weight") and len(shape) == 1
    if name.startswith("input"):
        values = 4 * u - 2
    elif scale or name.endswith("running_var"):
        values = u + 0.5
    elif name.endswith("weight"):
        values = (2 * u - 1) * math.sqrt(6 / math.prod(shape[1:]))
    else:
        values = (2 * u - 1) * 0.1
    return torch.from_numpy(values.astype(np.float32).reshape(shape)).to(dtype)


def fill(network):
    """Overwrites every parameter and running statistic of `network` by the rule; returns it."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(generated(name, tuple(tensor.shape), tensor.dtype))
    return network


# CIFAR: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, section 4.2.
# Shortcuts are option A: a subsampled identity whose new channels are zero, half on each side.

class CifarBlock(nn.Module):
    def __init__(self, in_channels, channels, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.shortcut = stride, shortcut
        self.new_channels = channels - in_channels
        self.survival = 1  # probability; evaluation scales by it
        self.pooled = False  # Huang et al. 2016, section 4: average and pad behind

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) * self.survival
        if self.shortcut and self.pooled:
            if self.stride > 1:
                x = F.avg_pool2d(x, self.stride)
            y = y + F.pad(x, (0, 0, 0, 0, 0, self.new_channels))
        elif self.shortcut:
            if self.stride > 1:
                x = x[:, :, ::self.stride, ::self.stride]
            side = self.new_channels // 2
            y = y + F.pad(x, (0, 0, 0, 0, side, side))
        return F.relu(y)


class CifarNet(nn.Module):
    """6n + 2 layers: convolution, three stages of n blocks (16, 32, 64 channels), classifier."""

    def __init__(self, depth, shortcut, in_channels=3, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.stage(16, 16, (depth - 2) // 6, shortcut)
        self.layer2 = self.stage(16, 32, (depth - 2) // 6, shortcut)
        self.layer3 = self.stage(32, 64, (depth - 2) // 6, shortcut)
        self.linear = nn.Linear(64, classes)

    @staticmethod
    def stage(in_channels, channels, blocks, shortcut):
        first = CifarBlock(in_channels, channels, channels // in_channels, shortcut)
        rest = [CifarBlock(channels, channels, 1, shortcut) for _ in range(blocks - 1)]
        return nn.Sequential(first, *rest)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


# LeNet-5: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document
# recognition", 1998.

class LeNet5(nn.Module):
    """The form in common use: ReLU, max pooling, dense second convolution, linear classifier."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


# Table I: the maps of S2 that each of the 16 maps of C3 sees.
TABLE_1 = [
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
]


def squash(a):
    return 1.7159 * torch.tanh(2 * a / 3)  # Eq. 6, with A = 1.7159 and S = 2/3 (appendix A)


class Subsampling(nn.Module):
    """Sum of each 2x2 square, times a trained weight, plus a trained bias; one pair per map."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        total = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class LeNet5Paper(nn.Module):
    """Section II.B. The logits are -y, so that the largest is the nearest class (Eq. 7)."""

    def __init__(self):
        super().__init__()
        self.c1, self.s2 = nn.Conv2d(1, 6, 5), Subsampling(6)
        self.c3, self.s4 = nn.Conv2d(6, 16, 5), Subsampling(16)
        self.c5, self.f6 = nn.Conv2d(16, 120, 5), nn.Linear(120, 84)
        self.output = nn.Linear(84, 10, bias=False)
        mask = torch.zeros(16, 6, 1, 1)
        for row, seen in enumerate(TABLE_1):
            mask[row, list(seen)] = 1
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):
        x = squash(self.s2(squash(self.c1(x))))
        x = squash(F.conv2d(x, self.c3.weight * self.mask, self.c3.bias))
        x = squash(self.c5(squash(self.s4(x)))).flatten(1)
        x = squash(self.f6(x))
        return -(x[:, None, :] - self.output.weight).square().sum(dim=2)  # Eq. 7


def lenet_loss(logits, labels, j=0.1):
    """Eq. 9: the distance of the right class, plus a logarithm that pushes all distances up."""
    right = -logits.gather(1, labels[:, None])[:, 0]
    floor = torch.full_like(logits[:, :1], -j)
    return (right + torch.logsumexp(torch.cat([floor, logits], dim=1), dim=1)).mean()


# Building and measuring.

def build(name, dtype=torch.float64, **options):
    """The network called `name` in Striate, filled by the rule, of precision `dtype`."""
    return fill(make(name, **options).to(dtype))


def make(name, **options):
    """The network with unspecified weights; `options` are CifarNet's or, of a GoogLeNet,
    auxiliary_heads."""
    if name in LENET:  # its table of connections is a constant, not a weight
        return LeNet5() if name == "lenet5" else LeNet5Paper()
    with torch.device("meta"):  # random initialisation would take longer than the measurement
        if name in zoo.NETWORKS:
            network = zoo.make(name, **options)
        elif name in CIFAR + STOCHASTIC_DEPTH:
            network = cifar_net(name, **options)
        else:
            network = torchvision_network(name, **options)
    return network.to_empty(device="cpu")


def cifar_net(name, **options):
    depth = int("".join(filter(str.isdigit, name)))
    network = CifarNet(depth, shortcut=name.startswith("resnet"), **options)
    if name in STOCHASTIC_DEPTH:
        set_survival(network, last=0.5)
    return network


def set_survival(network, last):
    """Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", 2016: Eq. 4 (block
    l of L survives with probability 1 - l / L (1 - last)), and Eq. 5 for evaluation."""
    blocks = [module for module in network.modules() if isinstance(module, CifarBlock)]
    for number, block in enumerate(blocks, start=1):
        block.survival = 1 - number / len(blocks) * (1 - last)
        block.pooled = True


def torchvision_network(name, auxiliary_heads=False):
    import torchvision
    model = getattr(torchvision.models, name.removesuffix("@paper"))
    if name == "googlenet":
        return model(weights=None, aux_logits=auxiliary_heads, transform_input=False,
                     init_weights=False)
    network = model(weights=None)
    if name in STRIDE_FIRST:
        move_strides_to_first(network)
    return network


def move_strides_to_first(network):
    """As He et al. 2015 have it: a bottleneck halves the map in its first 1x1 convolution."""
    from torchvision.models.resnet import Bottleneck
    for module in network.modules():
        if isinstance(module, Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, (1, 1)


def inputs(name, dtype):
    """Evaluation images, training images, training labels, and the step between sampled pixels."""
    if name in LENET or name in CIFAR + STOCHASTIC_DEPTH + zoo.SMALL_IMAGES:
        channels = 1 if name in LENET else 3
        shapes, labels, step = [(2, channels, 32, 32), (4, channels, 32, 32)], SMALL_LABELS, 4
    else:
        size = 227 if name == "alexnet@paper" else 224
        shapes, labels, step = [(2, 3, size, size), (4, 3, 96, 96)], LARGE_LABELS, 16
    evaluation = generated("input.eval", shapes[0], dtype)
    return evaluation, generated("input.train", shapes[1], dtype), torch.tensor(labels), step


# Norms are taken in float64 always: PyTorch's float32 norm of a million numbers is off by 1e-4.

def evaluate(name, dtype):
    network = build(name, dtype).eval().requires_grad_(False)
    images, _, _, step = inputs(name, dtype)
    images.requires_grad_()
    logits = network(images)
    (gradient,) = torch.autograd.grad(logits[:, CLASS].sum(), images)
    return {
        "logits": logits.detach(),
        "input_gradient": gradient[0, :, ::step, ::step],
        "input_gradient_norm": gradient.double().flatten(1).norm(dim=1),
    }


def train_step(name, dtype):
    """Loss and gradients of one batch in training mode; nothing where training draws lots."""
    network = build(name, dtype).train()
    if name in STOCHASTIC_DEPTH or any(isinstance(m, nn.Dropout) for m in network.modules()):
        return {}
    _, images, labels, _ = inputs(name, dtype)
    logits = network(images)
    loss = (lenet_loss if name == "lenet5@paper" else F.cross_entropy)(logits, labels)
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    weights = [key for key in gradients if key.endswith(".weight")]
    results = {"train/logits": logits.detach(), "train/loss": loss.detach().reshape(1)}
    if name == "lenet5@paper":  # here distances are near 100, and j = 0.1 alone hides their sum
        results["train/loss_j100"] = lenet_loss(logits.detach(), labels, j=100).reshape(1)
    results[f"train/grad/{weights[0]}"] = gradients[weights[0]]
    for key in gradients if name in LENET else weights[-1:]:
        results[f"train/grad_norm/{key}"] = gradients[key].double().norm().reshape(1)
    state = network.state_dict()
    variances = [key for key in state if key.endswith("running_var")]
    for key in variances[:1] + variances[-1:]:
        results[f"train/{key}"] = state[key]
    return results


@torch.no_grad()
def auxiliary_logits(name, dtype):
    """What the two auxiliary heads of a GoogLeNet compute in evaluation mode."""
    network = build(name, dtype, auxiliary_heads=True).eval()
    seen = {}
    for head, source in [("aux1", "inception4a"), ("aux2", "inception4d")]:
        network.get_submodule(source).register_forward_hook(
            lambda module, arguments, output, head=head: seen.update({head: output}))
    network(inputs(name, dtype)[0])
    return {head: network.get_submodule(head)(x) for head, x in seen.items()}


@torch.no_grad()
def deepest_column_logits(name, dtype):
    """A FractalNet as the plain network of its deepest column, in evaluation mode."""
    network = build(name, dtype).eval()
    for module in network.modules():
        if isinstance(module, zoo.FractalBlock):
            module.deepest_only = True
            deepest = module.columns - 1
    return {f"column{deepest}_logits": network(inputs(name, dtype)[0])}


def measure(name, dtype):
    results = evaluate(name, dtype)
    if name in ("googlenet", "googlenet@paper"):
        results |= auxiliary_logits(name, dtype)
    if name.startswith("fractalnet"):
        results |= deepest_column_logits(name, dtype)
    return results | train_step(name, dtype)


def relative_error(value, reference):
    return float((value.double() - reference).norm() / reference.norm())


def parameter_count(name):
    """Parameters; lenet5@paper as the paper counts it: no absent connections, no class codes."""
    network = make(name)
    count = sum(parameter.numel() for parameter in network.parameters())
    if name == "lenet5@paper":
        absent = int((network.mask == 0).sum()) * 25
        count -= absent + network.output.weight.numel()
    return count


def markdown_row(name, noise):
    """A row of the README: name, parameters, float32 noise by entry, largest of the rest."""
    gradient = next((key for key in noise if key.startswith("train/grad/")), "")
    keys = ["logits", "input_gradient", "train/logits", "train/loss", gradient]
    cells = [f"{noise[key]:.1e}" if key in noise else "" for key in keys]
    cells.append(f"{max(noise[key] for key in noise if key not in keys):.1e}")
    return f"| {name} | {parameter_count(name):,} | " + " | ".join(cells) + " |"


def main():
    from safetensors.torch import save_file
    import torchvision
    path, *names = sys.argv[1:]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    tensors, all_noise = {}, {}
    for name in (ZOO if names == ["zoo"] else names or NETWORKS):
        exact = measure(name, torch.float64)
        single = measure(name, torch.float32)
        noise = {key: relative_error(single[key], value) for key, value in exact.items()}
        print(markdown_row(name, noise), flush=True)
        all_noise |= {f"{name}/{key}": float(f"{error:.1e}") for key, error in noise.items()}
        tensors |= {f"{name}/{key}": value.float().contiguous() for key, value in exact.items()}
    metadata = {
        "torch": torch.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__,
        "computed_in": "float64, rounded to float32", "class": str(CLASS),
        "train_labels": f"{LARGE_LABELS}, for 32x32 networks {SMALL_LABELS}",
        "float32_noise": json.dumps(all_noise),
    }
    save_file(tensors, path, metadata)


if __name__ == "__main__":
    main()
