"""Plain PyTorch versions, written from the papers, of networks that torchvision lacks.

They are made to be compared with, so they take the long way round where a library's operator has
conventions of its own: local response normalisation is written out, and a pooling window that hangs
over the edge is a window over a padded map.
"""

import re
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


def conv(in_channels, channels, size, stride=1, groups=1, bias=True):
    """A square convolution that keeps the size of the map, but for its stride."""
    return nn.Conv2d(in_channels, channels, size, stride, size // 2, groups=groups, bias=bias)


def overhang(x, value):
    """`x` with one more row and column where its size is even: room for the last 3x3 window."""
    return F.pad(x, (0, 1 - x.shape[3] % 2, 0, 1 - x.shape[2] % 2), value=value)


def max_pool(x):
    """3x3, stride 2; no pixel is left out (ceil)."""
    return F.max_pool2d(overhang(x, -torch.inf), 3, 2)


def average_pool(x):
    """3x3, stride 2; no pixel is left out (ceil); the mean of the pixels that exist."""
    exists = overhang(torch.ones_like(x[:1, :1]), 0)
    return F.avg_pool2d(overhang(x, 0), 3, 2) / F.avg_pool2d(exists, 3, 2)


def local_response_normalization(x):
    """Krizhevsky et al. 2012, section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75."""
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, offset:offset + x.shape[1]] for offset in range(5))
    return x / (2 + 1e-4 * total) ** 0.75


def global_average(x):
    return x.mean(dim=(2, 3))


# Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks",
# 2012. The two towers are groups.

class AlexNet(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.conv2 = conv(96, 256, 5, groups=2)
        self.conv3 = conv(256, 384, 3)
        self.conv4 = conv(384, 384, 3, groups=2)
        self.conv5 = conv(384, 256, 3, groups=2)
        self.fc6, self.fc7 = nn.Linear(256 * 6 * 6, 4096), nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = max_pool(local_response_normalization(F.relu(self.conv1(x))))
        x = max_pool(local_response_normalization(F.relu(self.conv2(x))))
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = max_pool(F.relu(self.conv5(x))).flatten(1)
        x = self.dropout(F.relu(self.fc6(x)))
        return self.fc8(self.dropout(F.relu(self.fc7(x))))


# Lin, Chen, Yan, "Network in network", 2014, with the sizes of the authors' Caffe models.

class NetworkInNetwork(nn.Module):
    def layers(self, names, x):
        """A ReLU follows every convolution, the last one too."""
        for name in names.split():
            x = F.relu(self.get_submodule(name)(x))
        return x


class NinImageNet(NetworkInNetwork):
    def __init__(self, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.cccp1, self.cccp2 = conv(96, 96, 1), conv(96, 96, 1)
        self.conv2 = conv(96, 256, 5)
        self.cccp3, self.cccp4 = conv(256, 256, 1), conv(256, 256, 1)
        self.conv3 = conv(256, 384, 3)
        self.cccp5, self.cccp6 = conv(384, 384, 1), conv(384, 384, 1)
        self.conv4 = conv(384, 1024, 3)
        self.cccp7, self.cccp8 = conv(1024, 1024, 1), conv(1024, classes, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = max_pool(self.layers("conv1 cccp1 cccp2", x))
        x = max_pool(self.layers("conv2 cccp3 cccp4", x))
        x = self.dropout(max_pool(self.layers("conv3 cccp5 cccp6", x)))
        return global_average(self.layers("conv4 cccp7 cccp8", x))


class NinCifar(NetworkInNetwork):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = conv(3, 192, 5)
        self.cccp1, self.cccp2 = conv(192, 160, 1), conv(160, 96, 1)
        self.conv2 = conv(96, 192, 5)
        self.cccp3, self.cccp4 = conv(192, 192, 1), conv(192, 192, 1)
        self.conv3 = conv(192, 192, 3)
        self.cccp5, self.cccp6 = conv(192, 192, 1), conv(192, classes, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = self.dropout(max_pool(self.layers("conv1 cccp1 cccp2", x)))
        x = self.dropout(average_pool(self.layers("conv2 cccp3 cccp4", x)))
        return global_average(self.layers("conv3 cccp5 cccp6", x))


# Szegedy et al., "Going deeper with convolutions", 2015.

# Table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
TABLE_1 = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Module):
    """Fig. 2(b); a ReLU follows each convolution, those in front of 3x3 and 5x5 included."""

    def __init__(self, in_channels, widths):
        super().__init__()
        one, three_reduce, three, five_reduce, five, projection = widths
        self.add_module("1x1", conv(in_channels, one, 1))
        self.add_module("3x3_reduce", conv(in_channels, three_reduce, 1))
        self.add_module("3x3", conv(three_reduce, three, 3))
        self.add_module("5x5_reduce", conv(in_channels, five_reduce, 1))
        self.add_module("5x5", conv(five_reduce, five, 5))
        self.add_module("pool_proj", conv(in_channels, projection, 1))

    def branch(self, x, *names):
        for name in names:
            x = F.relu(self.get_submodule(name)(x))
        return x

    def forward(self, x):
        return torch.cat([
            self.branch(x, "1x1"),
            self.branch(x, "3x3_reduce", "3x3"),
            self.branch(x, "5x5_reduce", "5x5"),
            self.branch(F.max_pool2d(x, 3, 1, 1), "pool_proj"),
        ], dim=1)


class AuxiliaryHead(nn.Module):
    """Section 5: average pool 5x5/3 (4x4 remain), 1x1 to 128, 1024 units, dropout of 70 %."""

    def __init__(self, in_channels, classes):
        super().__init__()
        self.conv = conv(in_channels, 128, 1)
        self.fc1, self.fc2 = nn.Linear(128 * 4 * 4, 1024), nn.Linear(1024, classes)
        self.dropout = nn.Dropout(0.7)

    def forward(self, x):
        x = F.relu(self.conv(F.avg_pool2d(x, 5, 3))).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class GoogLeNet(nn.Module):
    """Table 1. The auxiliary heads are layers that `forward` does not need: call them yourself."""

    def __init__(self, classes=1000, auxiliary_heads=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.conv2_reduce, self.conv2 = conv(64, 64, 1), conv(64, 192, 3)
        channels = 192
        for name, widths in TABLE_1.items():
            self.add_module(f"inception{name}", Inception(channels, widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        if auxiliary_heads:
            self.aux1, self.aux2 = AuxiliaryHead(512, classes), AuxiliaryHead(528, classes)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = local_response_normalization(max_pool(F.relu(self.conv1(x))))
        x = F.relu(self.conv2(F.relu(self.conv2_reduce(x))))
        x = max_pool(local_response_normalization(x))
        x = max_pool(self.inception3b(self.inception3a(x)))
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = max_pool(self.inception4e(self.inception4d(x)))
        x = global_average(self.inception5b(self.inception5a(x)))
        return self.fc(self.dropout(x))


# Xie, Girshick, Dollar, Tu, He, "Aggregated residual transformations for deep neural networks",
# 2017, section 5.2.

class ResNeXtBlock(nn.Module):
    def __init__(self, in_channels, width, channels, stride, cardinality):
        super().__init__()
        self.conv1 = conv(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride, cardinality, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = nn.Sequential()
        if in_channels != channels:
            self.downsample.append(conv(in_channels, channels, 1, stride, bias=False))
            self.downsample.append(nn.BatchNorm2d(channels))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNeXt29(nn.Module):
    """For CIFAR: three stages of three blocks of `cardinality` paths, 64, 128, 256 wide."""

    def __init__(self, cardinality, classes=10):
        super().__init__()
        self.conv1 = conv(3, 64, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self.stage(64, 64 * cardinality, 256, 1, cardinality)
        self.layer2 = self.stage(256, 128 * cardinality, 512, 2, cardinality)
        self.layer3 = self.stage(512, 256 * cardinality, 1024, 2, cardinality)
        self.fc = nn.Linear(1024, classes)

    @staticmethod
    def stage(in_channels, width, channels, stride, cardinality):
        first = ResNeXtBlock(in_channels, width, channels, stride, cardinality)
        rest = [ResNeXtBlock(channels, width, channels, 1, cardinality) for _ in range(2)]
        return nn.Sequential(first, *rest)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(global_average(self.layer3(self.layer2(self.layer1(x)))))


# Zagoruyko, Komodakis, "Wide residual networks", 2016.

class WideBlock(nn.Module):
    """Fig. 1(c) with the order of He et al. 2016: batch-norm, ReLU, convolution."""

    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, channels, 3, stride, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3, bias=False)
        if in_channels != channels:
            self.downsample = conv(in_channels, channels, 1, stride, bias=False)
        else:
            self.downsample = None

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return y + (x if self.downsample is None else self.downsample(a))


class WideResNet(nn.Module):
    """6n + 4 layers, `widening` times as wide as 16, 32, 64 channels (Table 1)."""

    def __init__(self, depth, widening, classes=10):
        super().__init__()
        blocks = (depth - 4) // 6
        self.conv1 = conv(3, 16, 3, bias=False)
        self.layer1 = self.stage(16, 16 * widening, 1, blocks)
        self.layer2 = self.stage(16 * widening, 32 * widening, 2, blocks)
        self.layer3 = self.stage(32 * widening, 64 * widening, 2, blocks)
        self.bn1 = nn.BatchNorm2d(64 * widening)
        self.fc = nn.Linear(64 * widening, classes)

    @staticmethod
    def stage(in_channels, channels, stride, blocks):
        first = WideBlock(in_channels, channels, stride)
        return nn.Sequential(first, *[WideBlock(channels, channels, 1) for _ in range(blocks - 1)])

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(global_average(F.relu(self.bn1(x))))


# Larsson, Maire, Shakhnarovich, "FractalNet: ultra-deep neural networks without residuals", 2017.

class FractalLayer(nn.Module):
    def __init__(self, in_channels, channels, rate):
        super().__init__()
        self.conv = conv(in_channels, channels, 3, bias=False)
        self.dropout = nn.Dropout(rate)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(self.bn(self.dropout(self.conv(x))))


class FractalBlock(nn.Module):
    """Fig. 1. Column c has 2^c layers. `deepest_only`: joins take the deepest column's value."""

    def __init__(self, in_channels, channels, columns, rate):
        super().__init__()
        self.columns, self.deepest_only = columns, False
        for c in range(columns):
            layers = [FractalLayer(in_channels, channels, rate)]
            layers += [FractalLayer(channels, channels, rate) for _ in range(2**c - 1)]
            self.add_module(f"column{c}", nn.Sequential(*layers))

    def join(self, values):
        return values[-1] if self.deepest_only else torch.stack(values).mean(dim=0)

    def expand(self, c, i, x):
        """Eq. 1, f(z) = join(conv(z), (f' o f')(z)), of the columns from c on, starting with layer
        i of column c; returns what the last join takes (inner last joins are part of it)."""
        shallow = self.get_submodule(f"column{c}")[i](x)
        if c == self.columns - 1:
            return [shallow]
        halfway = self.join(self.expand(c + 1, 2 * i, x))
        return [shallow] + self.expand(c + 1, 2 * i + 1, halfway)

    def forward(self, x):
        return self.join(self.expand(0, 0, x))


class FractalNet(nn.Module):
    """For CIFAR: five blocks, each followed by a 2x2 max pool, so that one pixel remains."""

    def __init__(self, columns, widths, classes=10):
        super().__init__()
        for b, (in_channels, channels) in enumerate(zip([3, *widths], widths)):
            self.add_module(f"block{b + 1}", FractalBlock(in_channels, channels, columns, 0.1 * b))
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x):
        for b in range(1, 6):
            x = F.max_pool2d(self.get_submodule(f"block{b}")(x), 2)
        return self.fc(x.flatten(1))


# Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks", 2017.

class DenseLayer(nn.Module):
    """H of Eq. 2, with its input in front; `bottleneck`: a 1x1 convolution to 4k comes first."""

    def __init__(self, in_channels, growth, bottleneck):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv1 = conv(in_channels, 4 * growth, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(4 * growth)
            self.conv2 = conv(4 * growth, growth, 3, bias=False)
        else:
            self.conv1 = conv(in_channels, growth, 3, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        if self.bottleneck:
            y = self.conv2(F.relu(self.norm2(y)))
        return torch.cat([x, y], dim=1)


def transition(in_channels, channels):
    return nn.Sequential(OrderedDict(
        norm=nn.BatchNorm2d(in_channels), relu=nn.ReLU(),
        conv=conv(in_channels, channels, 1, bias=False), pool=nn.AvgPool2d(2)))


class CifarDenseNet(nn.Module):
    """Three dense blocks; `bc`: with bottlenecks, and transitions that halve the channels."""

    def __init__(self, depth, growth, bc, classes=10):
        super().__init__()
        count = (depth - 4) // (6 if bc else 3)
        channels = 2 * growth if bc else 16
        self.features = nn.Sequential(OrderedDict(conv0=conv(3, channels, 3, bias=False)))
        for b in (1, 2, 3):
            block = OrderedDict()
            for i in range(count):
                block[f"denselayer{i + 1}"] = DenseLayer(channels, growth, bc)
                channels += growth
            self.features.add_module(f"denseblock{b}", nn.Sequential(block))
            if b < 3:
                kept = channels // 2 if bc else channels
                self.features.add_module(f"transition{b}", transition(channels, kept))
                channels = kept
        self.features.add_module("norm4", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        return self.classifier(global_average(F.relu(self.features(x))))


# Iandola et al., "SqueezeNet", 2016, Fig. 2, middle; the layers are numbered as in torchvision.

class Fire(nn.Module):
    def __init__(self, in_channels, squeeze, expand, bypass):
        super().__init__()
        self.squeeze, self.bypass = conv(in_channels, squeeze, 1), bypass
        self.expand1x1, self.expand3x3 = conv(squeeze, expand, 1), conv(squeeze, expand, 3)

    def forward(self, x):
        s = F.relu(self.squeeze(x))
        y = torch.cat([F.relu(self.expand1x1(s)), F.relu(self.expand3x3(s))], dim=1)
        return x + y if self.bypass else y


class SqueezeNetBypass(nn.Module):
    POOLS = (2, 6, 11)  # layers that are max pools; layer 1 is the first convolution's ReLU
    FIRES = {  # Table 1: input channels, s1x1, e1x1 = e3x3; fire2 to fire9
        3: (96, 16, 64), 4: (128, 16, 64), 5: (128, 32, 128), 7: (256, 32, 128),
        8: (256, 48, 192), 9: (384, 48, 192), 10: (384, 64, 256), 12: (512, 64, 256),
    }
    BYPASSED = (4, 7, 9, 12)  # fire3, fire5, fire7, fire9

    def __init__(self, classes=1000):
        super().__init__()
        self.features = nn.Module()
        self.features.add_module("0", nn.Conv2d(3, 96, 7, 2))
        for layer, sizes in self.FIRES.items():
            self.features.add_module(str(layer), Fire(*sizes, layer in self.BYPASSED))
        self.classifier = nn.Sequential(nn.Dropout(0.5), conv(512, classes, 1))

    def forward(self, x):
        x = F.relu(self.features.get_submodule("0")(x))
        for layer in range(2, 13):
            x = max_pool(x) if layer in self.POOLS else self.features.get_submodule(str(layer))(x)
        return global_average(F.relu(self.classifier(x)))


LARGE = {
    "alexnet@paper": AlexNet,
    "nin": NinImageNet,
    "googlenet@paper": GoogLeNet,
    "squeezenet1_0_bypass": SqueezeNetBypass,
}
SMALL = {
    "nin_cifar": NinCifar,
    "resnext29_8x64d": lambda: ResNeXt29(8),
    "resnext29_16x64d": lambda: ResNeXt29(16),
    "wrn_28_10": lambda: WideResNet(28, 10),
    "fractalnet20": lambda: FractalNet(3, [64, 128, 256, 512, 512]),
    "fractalnet40": lambda: FractalNet(4, [32, 64, 128, 256, 256]),
}
DENSE = ["densenet40_12", "densenet100_12", "densenet100_24",
         "densenetbc100_12", "densenetbc250_24", "densenetbc190_40"]
SMALL_IMAGES = [*SMALL, *DENSE]  # 3x32x32
NETWORKS = [*LARGE, *SMALL_IMAGES]


def make(name, **options):
    """The network called `name` in Striate; `options` are GoogLeNet's."""
    if name in DENSE:
        bc, depth, growth = re.fullmatch(r"densenet(bc)?(\d+)_(\d+)", name).groups()
        return CifarDenseNet(int(depth), int(growth), bc is not None)
    return (LARGE | SMALL)[name](**options)
