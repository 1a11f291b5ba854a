#!/usr/bin/env python3
"""Runs Striate's selective search and OpenCV's in turns on the images of a split, prints which objects
their boxes find and writes bench/results/selective-search-DATE.csv.

    bench/compare_selective_search.py voc:DIR [--split test] [--mode fast|quality] [--boxes 2000]

SOURCE is voc:DIR or coco:DIR; both sides start from regions of at least 100 pixels. Needs numpy and
opencv-contrib-python."""

import argparse
import json
import os
import statistics
import subprocess
import sys

from measured import ROOT, keep_rows


def commands(options):
    common = ["--split", options.split, "--mode", options.mode, "--boxes", str(options.boxes),
              "--limit", str(options.limit), "--threads", str(options.threads)]
    return {
        "striate": [options.striate, "bench", "proposals", options.source, "--smallest-region", "100",
                    "--json"] + common,
        "OpenCV": [sys.executable, str(ROOT / "bench" / "python_selective_search.py"),
                   options.source] + common}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--split", default="test")
    parser.add_argument("--mode", choices=["fast", "quality"], default="fast")
    parser.add_argument("--boxes", type=int, default=2000)
    parser.add_argument("--limit", type=int, default=0, help="the first N images; 0: all")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()
    runs = {}
    for _ in range(options.rounds):
        for who, command in commands(options).items():
            result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            runs.setdefault(who, []).append(json.loads(result.stdout))
    ours = statistics.median(run["seconds_per_image"] for run in runs["striate"])
    rows = []
    for who, measured in runs.items():
        seconds = statistics.median(run["seconds_per_image"] for run in measured)
        last = measured[-1]
        rows.append({
            "who": who, "mode": options.mode, "split": options.split, "images": last["images"],
            "objects": last["objects"], "threads": options.threads, "rounds": options.rounds,
            "boxes_per_image": round(last["boxes_per_image"]), "recall": round(last["recall"], 4),
            "recall_at_70": round(last["recall_at_70"], 4),
            "mean_best_overlap": round(last["mean_best_overlap"], 4),
            "seconds_per_image": round(seconds, 3), "striate_is_faster": round(seconds / ours, 2)})
    for row in rows:
        print("{who:8} {mode}: {recall:.3f} of {objects} objects overlapped by 0.5, {recall_at_70:.3f} "
              "by 0.7, {mean_best_overlap:.3f} on average; {boxes_per_image} boxes, "
              "{seconds_per_image:.3f} s an image {striate_is_faster:6.2f}".format(**row))
    keep_rows("selective-search", rows)


if __name__ == "__main__":
    main()
