#!/usr/bin/env python3
"""Runs Striate's t-SNE, openTSNE's and scikit-learn's in turns on the same features at equal
settings, prints a table and writes bench/results/embedding-DATE.csv. Each round has a seed of its
own.

    bench/compare_embedding.py [DATA]     # fashion-mnist: its 10,000 test images, 50 components

Needs numpy, openTSNE and scikit-learn."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from measured import ROOT, keep_rows

PYTHON = [sys.executable, str(ROOT / "bench" / "python_embedding.py")]


def measure(command, options, seed=0):
    result = subprocess.run(command + ["--threads", str(options.threads), "--seed", str(seed)],
                            stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def contestants(features, options):
    ours = [options.striate, "bench", "embed", options.data, "--split", "test", "--limit",
            str(options.limit), "--json"]
    return {
        "striate": ours,
        "striate, interpolation": ours + ["--method", "interpolation"],
        "openTSNE, Barnes-Hut": PYTHON + [features, "--by", "openTSNE-bh"],
        "openTSNE, FFT": PYTHON + [features, "--by", "openTSNE-fft"],
        "scikit-learn": PYTHON + [features, "--by", "scikit-learn"]}


def median(runs, key):
    return round(statistics.median(run[key] for run in runs), 5)


def compare(features, options):
    runs = {}
    for seed in range(options.rounds):
        for who, command in contestants(features, options).items():
            run = measure(command, options, seed)
            runs.setdefault(who, []).append(run)
            print(f"  {who:24} {run['seconds']:7.2f} s", flush=True)
    ours = statistics.median(run["seconds"] for run in runs["striate"])
    rows = []
    for who, measured in runs.items():
        seconds = [run["seconds"] for run in measured]
        last = measured[-1]
        rows.append({
            "who": who, "points": last["points"], "threads": options.threads,
            "rounds": options.rounds, "seconds": round(statistics.median(seconds), 2),
            "fastest": round(min(seconds), 2), "slowest": round(max(seconds), 2),
            "divergence": median(measured, "divergence"),
            "trustworthiness": median(measured, "trustworthiness"),
            "lowest_trustworthiness": round(min(run["trustworthiness"] for run in measured), 5),
            "highest_trustworthiness": round(max(run["trustworthiness"] for run in measured), 5),
            "peak_memory_mb": round(last["peak_memory_bytes"] / 1e6),
            "striate_is_faster": round(statistics.median(seconds) / ours, 2)})
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", default="fashion-mnist")
    parser.add_argument("--limit", type=int, default=0, help="the first N images; 0: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        features = str(pathlib.Path(name) / "features.safetensors")
        measure([options.striate, "bench", "embed", options.data, "--split", "test", "--limit",
                 str(options.limit), "--iterations", "0", "--out", features, "--json"], options)
        rows = compare(features, options)
    for row in rows:
        print("{who:24} {seconds:7.2f} s ({fastest} to {slowest}), divergence {divergence:.4f}, "
              "trustworthiness {trustworthiness:.5f} ({lowest_trustworthiness} to "
              "{highest_trustworthiness}), {peak_memory_mb} MB "
              "{striate_is_faster:6.2f}".format(**row))
    keep_rows("embedding", rows)


if __name__ == "__main__":
    main()
