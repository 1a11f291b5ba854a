"""Writes detectors.safetensors: what torchvision's parts of detectors compute, in float64.

Maps and gradients are the tensors that stand for their names (the rule of models.py); boxes are in the file.
Entries are described in tests/reference/README.md.

Usage: python detectors.py OUTPUT.safetensors
Needs: torch, torchvision, numpy and safetensors (requirements.txt beside this file).
"""

import json
import sys

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models.detection import _utils
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import batched_nms, box_iou, nms, roi_align, roi_pool

from models import generated

MAPS = (2, 5, 9, 11)
GRID = (3, 4)
SCALE = 0.25
# Inside, across maps, outside, of no size, wider than the map, reversed.
REGIONS = [[0, 3.2, 4.1, 30.7, 20.9], [1, 0, 0, 44, 36], [1, 10, 10, 10, 10], [0, -9, -7, 5.5, 6],
           [1, 41, 30, 70, 50], [0, -20, 5, 90, 8.5], [1, 17.4, 3.3, 19.1, 30.2], [0, 20, 20, 15, 12]]


def boxes(seed, count, size):
    random = np.random.default_rng(seed)
    corner = random.uniform(0, size * 0.8, (count, 2))
    sides = random.uniform(size * 0.05, size * 0.4, (count, 2))
    return torch.from_numpy(np.concatenate([corner, corner + sides], 1).astype(np.float32))


def pooled(pool, result, name):
    maps = generated("input.maps", MAPS).requires_grad_()
    regions = torch.tensor(REGIONS, dtype=torch.float64)
    y = pool(maps, regions)
    y.backward(generated("input.gradient", tuple(y.shape)))
    result[name] = y.detach()
    result[name + "/gradient"] = maps.grad


def parts():
    result = {"regions": torch.tensor(REGIONS, dtype=torch.float64)}
    for aligned in (0, 1):
        for ratio in (0, 1, 2):
            pooled(lambda m, r: roi_align(m, r, GRID, SCALE, ratio, bool(aligned)), result,
                   f"align/{aligned}/{ratio}")
    pooled(lambda m, r: roi_pool(m, r, GRID, SCALE), result, "pool")

    anchors, objects = boxes(1, 40, 100), boxes(2, 40, 100)
    coder = _utils.BoxCoder((10, 10, 5, 5))
    codes = generated("input.codes", (40, 8))
    result |= {"coding/anchors": anchors, "coding/boxes": objects,
               "coding/codes": coder.encode_single(objects.double(), anchors.double()),
               "coding/decoded": coder.decode(codes, [anchors.double()])}

    generator = AnchorGenerator(((32, 45.3), (128,)), ((0.5, 1.0, 2.0),) * 2)
    images = ImageList(torch.zeros(1, 3, 100, 131), [(100, 131)])
    result["anchors"] = generator(images, [torch.zeros(1, 1, 13, 17), torch.zeros(1, 1, 4, 5)])[0]

    overlaps = box_iou(boxes(3, 6, 100), boxes(4, 300, 100))
    overlaps[2, 5] = overlaps[2, 6] = overlaps[2].max()
    result["match/overlaps"] = overlaps
    for best in (False, True):
        result[f"match/{int(best)}"] = _utils.Matcher(0.5, 0.3, best)(overlaps.clone())

    crowded = boxes(5, 400, 60)
    scores = torch.from_numpy(np.random.default_rng(6).permutation(400).astype(np.float32) / 400)
    groups = torch.arange(400) % 3
    result |= {"nms/boxes": crowded, "nms/scores": scores}
    for threshold in (0.3, 0.5, 0.7):
        result[f"nms/{threshold}"] = nms(crowded, scores, threshold)
        result[f"nms/groups/{threshold}"] = batched_nms(crowded.double(), scores.double(), groups, threshold)
    return result


def main():
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    tensors = {key: value.contiguous() for key, value in parts().items()}
    save_file(tensors, sys.argv[1], {"versions": json.dumps(versions)})


main()
