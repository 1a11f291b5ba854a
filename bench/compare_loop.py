#!/usr/bin/env python3
"""Whole training loops on Fashion-MNIST, data and all: `striate train` and the usual PyTorch script
(bench/pytorch_loop.py) in turns; see bench/run.sh. Prints a table and keeps it as CSV."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from measured import ROOT, keep_rows

NORMALIZE = {"normalize": {"mean": [0.2860], "std": [0.3530]}}
CHANNELS = {"channels": {"count": 1}}
# What bench/pytorch_loop.py does, as recipes. So many images that an epoch of the slower takes seconds.
LOOPS = {
    "lenet5": {
        "images": 25600,
        "train": [CHANNELS, {"center_crop": {"size": 32}},
                  {"random_crop": {"size": 32, "padding": 1}}, NORMALIZE],
        "eval": [CHANNELS, {"center_crop": {"size": 32}}, NORMALIZE],
    },
    "resnet20": {
        "images": 3840,
        "train": [CHANNELS, {"random_crop": {"size": 28, "padding": 4}},
                  {"random_horizontal_flip": {"p": 0.5}}, NORMALIZE],
        "eval": [CHANNELS, {"center_crop": {"size": 28}}, NORMALIZE],
    },
}


def recipe(loop, options):
    return {"name": "loop", "epochs": options.epochs, "batch_size": options.batch_size,
            "train_transforms": loop["train"], "eval_transforms": loop["eval"],
            "loss": {"kind": "cross_entropy"},
            "optimizer": {"kind": "sgd", "learning_rate": 0.05, "momentum": 0.9,
                          "weight_decay": 1e-4},
            "schedule": {"kind": "constant"}}


def run_striate(network, loop, options):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "recipe.json").write_text(json.dumps(recipe(loop, options)))
        subprocess.run(
            [options.striate, "train", network, "--data", "idx:" + options.data, "--recipe",
             str(folder / "recipe.json"), "--limit", str(loop["images"]), "--out",
             str(folder / "run")],
            env=os.environ | {"OMP_NUM_THREADS": str(options.threads)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return (folder / "run" / "metrics.jsonl").read_text()


def run_pytorch(network, loop, options, *flags):
    return subprocess.run(
        [sys.executable, str(ROOT / "bench" / "pytorch_loop.py"), network, "--data", options.data,
         "--batch-size", str(options.batch_size), "--epochs", str(options.epochs), "--limit",
         str(loop["images"]), "--threads", str(options.threads), *flags],
        stdout=subprocess.PIPE, check=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", nargs="+", choices=LOOPS, default=list(LOOPS))
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()

    contestants = {
        "striate": run_striate,
        "pytorch": run_pytorch,
        "pytorch channels last": lambda *a: run_pytorch(*a, "--channels-last"),
    }
    rows = []
    for network in options.networks:
        speeds = {}
        losses = {}
        for _ in range(options.rounds):
            for who, run in contestants.items():
                # The last epoch's: the first warms up.
                last = json.loads(run(network, LOOPS[network], options).splitlines()[-1])
                speeds.setdefault(who, []).append(last["items_per_second"])
                losses[who] = last["train_loss"]
        median = {who: statistics.median(values) for who, values in speeds.items()}
        for who, values in speeds.items():
            rows.append({"network": network, "who": who, "batch_size": options.batch_size,
                         "threads": options.threads, "images_per_second": round(median[who]),
                         "slowest": round(min(values)), "fastest": round(max(values)),
                         "train_loss": round(losses[who], 4),
                         "striate_is_faster": round(median["striate"] / median[who], 2)})
            print("{network:10} {who:22} {images_per_second:7} img/s ({slowest} to {fastest})  "
                  "loss {train_loss:.4f}  {striate_is_faster:6.2f}".format(**rows[-1]), flush=True)

    keep_rows("loop", rows)


if __name__ == "__main__":
    main()
