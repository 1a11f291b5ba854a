#!/usr/bin/env python3
"""Detectors: Striate's steps and torchvision's in turns, 800x1333, ResNet-50 with a feature pyramid. torchvision runs in
PyTorch's layout and in channels last, and its faster one counts. Prints a table and keeps it as CSV."""

import argparse
import json
import os
import statistics
import subprocess
import sys

from measured import ROOT, keep_rows


def measure(command, options):
    result = subprocess.run(
        command + ["--batch-size", "1", "--steps", str(options.steps), "--warmup-steps", "1", "--threads",
                   str(options.threads)],
        env=os.environ | {"GOMP_SPINCOUNT": "3000"}, stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def compare(mode, model, options):
    pytorch = [sys.executable, str(ROOT / "bench" / "pytorch_detection.py"), mode, model]
    contestants = {"striate": [options.striate, "bench", mode, model, "--json"], "torchvision": pytorch,
                   "torchvision channels last": pytorch + ["--channels-last"]}
    runs = {}
    for _ in range(options.rounds):
        for who, command in contestants.items():
            runs.setdefault(who, []).append(measure(command, options)["median_seconds"])
            print(f"  {mode:6} {who:26} {runs[who][-1]:8.3f} s", flush=True)
    medians = {who: statistics.median(times) for who, times in runs.items()}
    best = min((who for who in medians if who != "striate"), key=medians.get)
    return [{"model": model, "mode": mode, "who": who, "threads": options.threads, "rounds": options.rounds,
             "median_seconds": round(medians[who], 4), "fastest_seconds": round(min(runs[who]), 4),
             "slowest_seconds": round(max(runs[who]), 4),
             "ratio": round(medians[best] / medians["striate"], 3) if who == "striate" else ""} for who in runs]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    parser.add_argument("--models", nargs="+", default=["fasterrcnn_resnet50_fpn"])
    parser.add_argument("--modes", nargs="+", default=["infer", "train"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    rows = [row for model in options.models for mode in options.modes for row in compare(mode, model, options)]
    for row in rows:
        print("{model:26} {mode:6} {who:26} {median_seconds:8.3f} s  {ratio}".format(**row))
    keep_rows("detection", rows)


main()
