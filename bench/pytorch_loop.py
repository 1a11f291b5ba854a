#!/usr/bin/env python3
"""Trains LeNet-5 or ResNet-20 on Fashion-MNIST in PyTorch, as its tutorials do: a Dataset of Pillow
images, torchvision's transforms, a DataLoader with two workers, SGD. Prints each epoch's speed as a
line of JSON."""

import argparse
import gzip
import json
import pathlib
import time

import numpy as np
import torch
from PIL import Image
from torch import nn

# Only the transforms are wanted: without torchvision's own operators, which need the very build of
# PyTorch that they were made with, it still imports when these are declared.
library = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    library.define(operator + "(Tensor boxes, Tensor scores, float threshold) -> Tensor")
from torchvision import transforms  # noqa: E402


class Idx(torch.utils.data.Dataset):
    """The training images of an IDX folder, as torchvision.datasets.MNIST gives them."""

    def __init__(self, folder, limit, transform):
        def values(name, offset):
            with gzip.open(pathlib.Path(folder) / name) as file:
                return np.frombuffer(file.read(), np.uint8, offset=offset)

        self.labels = values("train-labels-idx1-ubyte.gz", 8)[:limit].astype(int)
        images = values("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        self.images = torch.from_numpy(images[:limit].copy())
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index].numpy(), mode="L")
        return self.transform(image), int(self.labels[index])


class LeNet5(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class Block(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride = stride
        self.missing = width - before

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.missing > 0:
            x = x[:, :, ::self.stride, ::self.stride]
            x = nn.functional.pad(x, (0, 0, 0, 0, self.missing // 2, self.missing // 2))
        return torch.relu(x + y)


class ResNet20(nn.Sequential):
    def __init__(self):
        layers = [nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        before = 16
        for width in (16, 32, 64):
            for _ in range(3):
                layers.append(Block(before, width, 1 if width == before else 2))
                before = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


NETWORKS = {
    "lenet5": (LeNet5, [transforms.Pad(2), transforms.RandomCrop(32, padding=1)]),
    "resnet20": (ResNet20, [transforms.RandomCrop(28, padding=4),
                            transforms.RandomHorizontalFlip()]),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=NETWORKS)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=60000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()

    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    make, augmentation = NETWORKS[options.model]
    transform = transforms.Compose(
        [*augmentation, transforms.ToTensor(), transforms.Normalize((0.2860,), (0.3530,))])
    loader = torch.utils.data.DataLoader(
        Idx(options.data, options.limit, transform), batch_size=options.batch_size, shuffle=True,
        num_workers=2, drop_last=True)
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    model = make().to(memory_format=layout)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)

    for epoch in range(options.epochs):
        start = time.perf_counter()
        model.train()
        total_loss = 0.0
        correct = 0
        count = 0
        for images, labels in loader:
            images = images.to(memory_format=layout)
            outputs = model(images)
            loss = criterion(outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total_loss += loss.item() * len(labels)
            correct += (outputs.argmax(1) == labels).sum().item()
            count += len(labels)
        seconds = time.perf_counter() - start
        print(json.dumps({"epoch": epoch + 1, "images": count, "seconds": seconds,
                          "items_per_second": count / seconds, "train_loss": total_loss / count,
                          "train_accuracy": correct / count}), flush=True)


if __name__ == "__main__":
    main()
