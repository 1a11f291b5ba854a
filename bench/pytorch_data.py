#!/usr/bin/env python3
"""Times torchvision's way from JPEG files to training batches; prints a line of JSON as
`striate bench data` does. Needs a torchvision with its own operators, beside the torch that it was
built for."""

import argparse
import json
import time

import torch
import torchvision
from torchvision.transforms import v2

MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]


def read_tensor(path):
    data = torchvision.io.read_file(path)
    return torchvision.io.decode_jpeg(data, mode=torchvision.io.ImageReadMode.RGB)


def dataset_of(folder, way):
    """Class folders, decoded and transformed by Pillow or by torchvision's own operators."""
    if way == "pillow":
        classic = torchvision.transforms
        return torchvision.datasets.ImageFolder(folder, classic.Compose([
            classic.RandomResizedCrop(224), classic.RandomHorizontalFlip(),
            classic.ToTensor(), classic.Normalize(MEAN, STD)]))
    return torchvision.datasets.ImageFolder(folder, v2.Compose([
        v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]), loader=read_tensor)


def batches(loader):
    """One epoch after the other."""
    while True:
        yield from loader


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="class folders of JPEG files")
    parser.add_argument("--way", choices=["pillow", "torchvision"], default="pillow")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup-steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="worker processes")
    options = parser.parse_args()

    torch.manual_seed(1)
    loader = torch.utils.data.DataLoader(
        dataset_of(options.folder, options.way), batch_size=options.batch_size, shuffle=True,
        num_workers=options.threads, persistent_workers=True)
    source = batches(loader)
    for _ in range(options.warmup_steps):
        next(source)
    start = time.perf_counter()
    images = sum(len(next(source)[1]) for _ in range(options.steps))
    seconds = time.perf_counter() - start
    print(json.dumps({
        "way": options.way, "torch": torch.__version__, "torchvision": torchvision.__version__,
        "batch_size": options.batch_size, "threads": options.threads, "images": images,
        "seconds": seconds, "images_per_second": images / seconds}))


if __name__ == "__main__":
    main()
