#!/usr/bin/env python3
"""Times one of torchvision's networks in PyTorch; prints a line of JSON as `striate bench` does."""

import argparse

import torch

from measured import print_steps
from networks import build


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["train", "infer"])
    parser.add_argument("model")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup-steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32",
                        help="bf16: torch.autocast")
    return parser.parse_args()


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = build(options.model)
    images = torch.randn(options.batch_size, 3, options.size, options.size)
    labels = torch.randint(1000, (options.batch_size,))
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    model.train(options.mode == "train")
    optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9, weight_decay=1e-4)
    loss_of = torch.nn.CrossEntropyLoss()

    run = torch.compile(model) if options.compile else model

    def predict():
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            return run(images)

    def train():
        loss = loss_of(predict().float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def infer():
        with torch.inference_mode():
            predict()

    step = train if options.mode == "train" else infer
    print_steps(step, options)


if __name__ == "__main__":
    main()
