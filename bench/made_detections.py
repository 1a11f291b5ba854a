"""Made-up files of COCO's format and size: what benchmarks of reading and evaluation need."""

import json

import numpy

CLASSES = 80


def polygon(draw, x, y, w, h):
    corners = int(draw.integers(8, 40))
    angles = numpy.sort(draw.uniform(0, 2 * numpy.pi, corners))
    reach = draw.uniform(0.6, 1, corners)
    points = numpy.stack([x + w / 2 * (1 + reach * numpy.cos(angles)),
                          y + h / 2 * (1 + reach * numpy.sin(angles))], axis=1)
    return [round(float(value), 2) for value in points.ravel()]


def box(draw):
    w, h = numpy.exp(draw.uniform(2, 5.5, 2))
    x, y = draw.uniform(0, 640 - w), draw.uniform(0, 480 - h)
    return [round(float(value), 2) for value in (x, y, w, h)]


def make_instances(path, images, objects, masks=False, seed=1):
    """Writes instances and returns them. With masks, each has a polygon."""
    draw = numpy.random.default_rng(seed)
    annotations = []
    for i in range(objects):
        x, y, w, h = box(draw)
        one = {"id": i + 1, "image_id": int(draw.integers(images)) + 1,
               "category_id": int(draw.integers(CLASSES)) + 1, "bbox": [x, y, w, h],
               "area": round(w * h * 0.7, 4), "iscrowd": 0}
        if masks:
            one["segmentation"] = [polygon(draw, x, y, w, h)]
        annotations.append(one)
    with open(path, "w") as file:
        json.dump({
            "info": {"year": 2017}, "licenses": [],
            "images": [{"id": i + 1, "file_name": f"{i + 1:012}.jpg", "width": 640, "height": 480}
                       for i in range(images)],
            "annotations": annotations,
            "categories": [{"id": i + 1, "name": f"class {i + 1}"} for i in range(CLASSES)]}, file)
    return annotations


def make_results(path, annotations, images, detections, masks=False, seed=2):
    """Writes detections: half of them near objects, half anywhere."""
    draw = numpy.random.default_rng(seed)
    results = []
    for _ in range(detections):
        one = {"image_id": int(draw.integers(images)) + 1,
               "category_id": int(draw.integers(CLASSES)) + 1, "bbox": box(draw)}
        if draw.random() < 0.5:
            near = annotations[int(draw.integers(len(annotations)))]
            x, y, w, h = near["bbox"]
            shift = draw.normal(0, 0.1, 4)
            one = {"image_id": near["image_id"], "category_id": near["category_id"],
                   "bbox": [round(float(value), 2) for value in
                            (x + shift[0] * w, y + shift[1] * h, w * numpy.exp(shift[2]),
                             h * numpy.exp(shift[3]))]}
        one["score"] = round(float(draw.random()), 3)
        if masks:
            x, y, w, h = one.pop("bbox")
            one["segmentation"] = rle(polygon(draw, x, y, w, h))
        results.append(one)
    with open(path, "w") as file:
        json.dump(results, file)


def rle(corners):
    from pycocotools import mask
    made = mask.frPyObjects([corners], 480, 640)[0]
    return {"size": made["size"], "counts": made["counts"].decode()}
