#!/usr/bin/env python3
"""COCO's evaluation of a results file by pycocotools or faster-coco-eval, as a line of JSON.

    bench/python_coco_evaluation.py INSTANCES RESULTS --by pycocotools|faster-coco-eval

Reading the files and evaluating them are timed apart; imports are not."""

import argparse
import contextlib
import io
import json
import resource
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("instances")
    parser.add_argument("results")
    parser.add_argument("--by", choices=["pycocotools", "faster-coco-eval"], required=True)
    parser.add_argument("--metric", choices=["boxes", "masks"], default="boxes")
    options = parser.parse_args()
    if options.by == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        truth = COCO(options.instances)
        found = truth.loadRes(options.results)
        read = time.perf_counter()
        evaluation = COCOeval(truth, found, "bbox" if options.metric == "boxes" else "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        end = time.perf_counter()
    print(json.dumps({
        "reading_seconds": read - start,
        "evaluating_seconds": end - read,
        "scores": [float(score) for score in evaluation.stats[:12]],
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
