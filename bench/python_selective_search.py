#!/usr/bin/env python3
"""OpenCV's selective search on a split of Pascal VOC's format, as a line of JSON as `striate bench
proposals` prints it.

    bench/python_selective_search.py DIR [--split test] [--mode fast|quality] [--boxes 2000]

Needs opencv-contrib-python."""

import argparse
import json
import pathlib
import time
import xml.etree.ElementTree

import cv2
import numpy


def objects_of(folder, name):
    root = xml.etree.ElementTree.parse(folder / "Annotations" / f"{name}.xml").getroot()
    boxes = []
    for corners in root.iterfind("object/bndbox"):
        x1, y1, x2, y2 = (float(corners.find(key).text) for key in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append((x1 - 1, y1 - 1, x2, y2))
    return numpy.array(boxes).reshape(-1, 4)


def best_overlaps(objects, boxes):
    a, b = objects[:, None], boxes[None]
    sides = numpy.minimum(a[..., 2:], b[..., 2:]) - numpy.maximum(a[..., :2], b[..., :2])
    shared = numpy.clip(sides, 0, None).prod(-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b)]
    return (shared / (areas[0] + areas[1] - shared)).max(1)


def search(image, mode):
    searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    searcher.setBaseImage(image)
    if mode == "fast":
        searcher.switchToSelectiveSearchFast()
    else:
        searcher.switchToSelectiveSearchQuality()
    found = searcher.process().astype(float)
    return numpy.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--mode", choices=["fast", "quality"], default="fast")
    parser.add_argument("--boxes", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    lines = (options.folder / "ImageSets" / "Main" / f"{options.split}.txt").read_text().split()
    overlaps, seconds, counts = [], 0, 0
    names = lines[:options.limit] if options.limit else lines
    for name in names:
        image = cv2.imread(str(options.folder / "JPEGImages" / f"{name}.jpg"))
        start = time.perf_counter()
        boxes = search(image, options.mode)
        seconds += time.perf_counter() - start
        boxes = boxes[:options.boxes]
        counts += len(boxes)
        overlaps.append(best_overlaps(objects_of(options.folder, name), boxes))
    overlaps = numpy.concatenate(overlaps)
    print(json.dumps({
        "images": len(names), "objects": len(overlaps), "boxes_per_image": counts / len(names),
        "recall": float((overlaps >= 0.5).mean()), "recall_at_70": float((overlaps >= 0.7).mean()),
        "mean_best_overlap": float(overlaps.mean()),
        "seconds_per_image": seconds / len(names)}))


if __name__ == "__main__":
    main()
