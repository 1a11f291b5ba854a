#!/usr/bin/env python3
"""OpenCV's selective search on a split of a data set, as a line of JSON as `striate bench proposals`
prints it.

    bench/python_selective_search.py voc:DIR [--split test] [--mode fast|quality] [--boxes 2000]

SOURCE is voc:DIR or coco:DIR. Needs opencv-contrib-python."""

import argparse
import json
import pathlib
import time
import xml.etree.ElementTree

import cv2
import numpy


def voc_objects(folder, split):
    for name in (folder / "ImageSets" / "Main" / f"{split}.txt").read_text().split():
        root = xml.etree.ElementTree.parse(folder / "Annotations" / f"{name}.xml").getroot()
        boxes = []
        for corners in root.iterfind("object/bndbox"):
            x1, y1, x2, y2 = (float(corners.find(key).text)
                              for key in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append((x1 - 1, y1 - 1, x2, y2))
        yield folder / "JPEGImages" / f"{name}.jpg", numpy.array(boxes).reshape(-1, 4)


def coco_objects(folder, split):
    content = json.loads((folder / "annotations" / f"instances_{split}.json").read_text())
    boxes = {}
    for object_ in content["annotations"]:
        x, y, width, height = object_["bbox"]
        boxes.setdefault(object_["image_id"], []).append((x, y, x + width, y + height))
    for image in content["images"]:
        of_image = numpy.array(boxes.get(image["id"], []), float).reshape(-1, 4)
        yield folder / "images" / image["file_name"], of_image


def objects_of(source, split):
    kind, _, folder = source.partition(":")
    return {"voc": voc_objects, "coco": coco_objects}[kind](pathlib.Path(folder), split)


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
    parser.add_argument("source")
    parser.add_argument("--split", default="test")
    parser.add_argument("--mode", choices=["fast", "quality"], default="fast")
    parser.add_argument("--boxes", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    overlaps, seconds, counts = [], 0, 0
    images = list(objects_of(options.source, options.split))[:options.limit or None]
    for path, objects in images:
        image = cv2.imread(str(path))
        start = time.perf_counter()
        boxes = search(image, options.mode)
        seconds += time.perf_counter() - start
        boxes = boxes[:options.boxes]
        counts += len(boxes)
        overlaps.append(best_overlaps(objects, boxes))
    overlaps = numpy.concatenate(overlaps)
    print(json.dumps({
        "images": len(images), "objects": len(overlaps), "boxes_per_image": counts / len(images),
        "recall": float((overlaps >= 0.5).mean()), "recall_at_70": float((overlaps >= 0.7).mean()),
        "mean_best_overlap": float(overlaps.mean()),
        "seconds_per_image": seconds / len(images)}))


if __name__ == "__main__":
    main()
