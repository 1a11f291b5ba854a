#!/usr/bin/env python3
"""Non-maximum suppression of one thread: build/dev/bin/suppression_bench and torchvision's in
turns, on the same boxes. Prints a table and writes bench/results/suppression-DATE.csv.

    bench/run.sh suppression [--rounds N]"""

import argparse
import json
import statistics
import subprocess
import time

import torch
from torchvision.ops import batched_nms

from measured import ROOT, keep_rows

SIZES = [(1000, 1), (4800, 5), (20000, 90), (20000, 1)]
SECONDS = 0.5  # at least so long for each of torchvision's measurements


def measure_torchvision(count, groups):
    torch.manual_seed(1)
    corners = torch.rand(count, 2) * 800
    boxes = torch.cat([corners, corners + 8 + torch.rand(count, 2) * 200], 1)
    scores = torch.rand(count)
    group = torch.arange(count) % groups
    calls = 0
    kept = len(batched_nms(boxes, scores, group, 0.5))
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        batched_nms(boxes, scores, group, 0.5)
        calls += 1
    return (time.perf_counter() - start) / calls * 1e6, kept


def measure_striate(program):
    output = subprocess.run([program, "--benchmark_format=json"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=True).stdout
    runs = json.loads(output)["benchmarks"]
    return {size: (run["real_time"], int(run["kept"])) for size, run in zip(SIZES, runs)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", default=str(ROOT / "build" / "dev" / "bin" / "suppression_bench"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds = [(measure_striate(options.program),
               {size: measure_torchvision(*size) for size in SIZES}) for _ in range(options.rounds)]
    rows = []
    for size in SIZES:
        ours, theirs = (statistics.median(r[side][size][0] for r in rounds) for side in (0, 1))
        kept = rounds[0][0][size][1], rounds[0][1][size][1]
        if kept[0] != kept[1]:
            raise SystemExit(f"{size}: {kept[0]} boxes stay, of torchvision's {kept[1]}")
        rows.append({"boxes": size[0], "groups": size[1], "kept": kept[0],
                     "striate_us": round(ours, 1), "torchvision_us": round(theirs, 1),
                     "striate_is_faster": round(theirs / ours, 2)})
        print("{boxes:6} boxes in {groups:2} groups: {striate_us:9} us, torchvision {torchvision_us:9} us, "
              "{striate_is_faster:5.2f}".format(**rows[-1]))
    keep_rows("suppression", rows)


if __name__ == "__main__":
    main()
