"""Writes detection.json: what pycocotools makes of polygons, masks and detections.

Usage: python detection.py OUTPUT.json
Needs: numpy and pycocotools (requirements.txt beside this file).
"""

import contextlib
import importlib.metadata
import io
import json
import random
import sys

import numpy
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def polygon(draw, width, height, kind):
    corners = draw.randint(3, 9)
    low, high = (-0.4, 1.4) if kind == "outside" else (0, 1)
    numbers = []
    for _ in range(corners):
        for side in (width, height):
            value = draw.uniform(low, high) * side
            if kind == "whole":
                value = round(value)
            numbers.append(round(value, 2))
    if kind == "repeated":
        numbers[2:2] = numbers[:2]
    if kind == "flat":
        numbers[1::2] = [numbers[1]] * corners
    return numbers


def polygon_cases():
    draw = random.Random(1)
    cases = []
    for kind in ["usual", "whole", "outside", "repeated", "flat"] * 8:
        height, width = draw.randint(1, 40), draw.randint(1, 40)
        polygons = [polygon(draw, width, height, kind) for _ in range(draw.choice([1, 1, 2, 3]))]
        made = masks.merge(masks.frPyObjects(polygons, height, width))
        cases.append({"height": height, "width": width, "polygons": polygons,
                      "text": made["counts"].decode(), "area": int(masks.area(made)),
                      "box": masks.toBbox(made).tolist(),
                      "rows": ["".join(map(str, row)) for row in masks.decode(made).tolist()]})
    return cases


def overlap_cases():
    draw = random.Random(2)
    made = []
    for kind in ["usual", "whole", "usual", "outside", "usual", "flat"]:
        made.append(masks.merge(masks.frPyObjects([polygon(draw, 30, 20, kind)], 20, 30)))
    crowd = [i % 2 for i in range(len(made))]
    return {"height": 20, "width": 30, "texts": [one["counts"].decode() for one in made],
            "crowd": crowd, "overlaps": masks.iou(made, made, crowd).tolist()}


def box(draw, around, whole):
    x, y, w, h = around if around and draw.random() < 0.7 else (
        draw.uniform(0, 200), draw.uniform(0, 150), draw.uniform(2, 110), draw.uniform(2, 110))
    shake = 0.25 * min(w, h)
    numbers = [x + draw.uniform(-shake, shake), y + draw.uniform(-shake, shake),
               w + draw.uniform(-shake, shake), h + draw.uniform(-shake, shake)]
    return [float(round(n)) if whole else round(n, 2) for n in numbers]


def rectangle(numbers):
    x, y, w, h = numbers
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def evaluation_case(seed, options):
    draw = random.Random(seed)
    height, width = 260, 310
    classes = options.get("classes", 4)
    truth, found = [], []
    for image in range(1, options.get("images", 12) + 1):
        for _ in range(draw.randint(0, options.get("objects", 6))):
            numbers = box(draw, truth[-1]["bbox"] if truth else None, options.get("whole", False))
            crowd = int(draw.random() < options.get("crowd", 0))
            truth.append({"id": len(truth) + 1, "image_id": image * 7,
                          "category_id": 3 * draw.randint(1, classes - 1) + 1,
                          "bbox": numbers, "iscrowd": crowd,
                          "area": round(numbers[2] * numbers[3] * draw.uniform(0.6, 1), 3)})
        here = [one for one in truth if one["image_id"] == image * 7]
        for _ in range(draw.randint(0, options.get("detections", 15))):
            near = draw.choice(here) if here else None
            score = draw.random()
            if options.get("ties"):
                score = round(score, 1)
            # The last class has detections and no objects.
            category = near["category_id"] if near and draw.random() < 0.8 else (
                3 * draw.randint(1, classes) + 1)
            found.append({"image_id": image * 7, "category_id": category,
                          "bbox": box(draw, near["bbox"] if near else None,
                                      options.get("whole", False)),
                          "score": round(score, 4)})
    return {"height": height, "width": width, "images": options.get("images", 12),
            "classes": classes, "truth": truth, "found": found}


def evaluate(case, kind):
    truth, found = [], []
    height, width = case["height"], case["width"]

    def with_mask(one):
        shape = masks.merge(masks.frPyObjects(rectangle(one["bbox"]), height, width))
        return {**one, "segmentation": {"size": [height, width],
                                        "counts": shape["counts"].decode()}}
    truth = [with_mask(one) if kind == "segm" else dict(one) for one in case["truth"]]
    found = [with_mask(one) if kind == "segm" else dict(one) for one in case["found"]]
    if kind == "segm":
        for one in found:
            del one["bbox"]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 7 * (i + 1), "height": height, "width": width}
                   for i in range(case["images"])],
        "categories": [{"id": 3 * (i + 1) + 1, "name": f"class {i}"}
                       for i in range(case["classes"])],
        "annotations": truth}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        result = coco.loadRes(found) if found else COCO()
        if not found:
            result.dataset = {**coco.dataset, "annotations": []}
            result.createIndex()
        evaluation = COCOeval(coco, result, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"]  # T, R, K, A, M
    by_class = []
    for k in range(case["classes"]):
        part = precision[:, :, k, 0, 2]
        by_class.append(float(part.mean()) if (part > -1).all() else -1)
    return {"scores": evaluation.stats.tolist(), "ap_by_class": by_class,
            "curve": numpy.round(precision[0, :, 0, 0, 2], 12).tolist()}


def evaluation_cases():
    options = {
        "usual": {},
        "crowds": {"crowd": 0.4},
        "ties": {"ties": True, "whole": True, "crowd": 0.2},
        "many": {"images": 2, "objects": 30, "detections": 400, "classes": 2, "ties": True},
        "no detections": {"detections": 0},
        "no objects": {"objects": 0}}
    cases = []
    for seed, (name, chosen) in enumerate(options.items(), 10):
        case = evaluation_case(seed, chosen)
        cases.append({"name": name, **case, "boxes": evaluate(case, "bbox"),
                      "masks": evaluate(case, "segm")})
        for one in case["truth"] + case["found"]:
            one["numbers"] = [one[key] for key in
                              ("image_id", "category_id", "iscrowd", "area", "score") if key in one]
            one["numbers"] += one["bbox"]
        cases[-1]["truth"] = [one["numbers"] for one in case["truth"]]
        cases[-1]["found"] = [one["numbers"] for one in case["found"]]
    return cases


def main():
    result = {"versions": {name: importlib.metadata.version(name)
                           for name in ("pycocotools", "numpy")},
              "polygons": polygon_cases(), "overlaps": overlap_cases(),
              "evaluations": evaluation_cases()}
    with open(sys.argv[1], "w") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
