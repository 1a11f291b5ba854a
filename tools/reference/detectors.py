"""Writes detectors.safetensors: what torchvision's parts of detectors, and whole detectors, compute in float64.

Maps, images, gradients and weights are the tensors that stand for their names (the rule of models.py), weights times
SCALES, so that there are detections; boxes are in the file. With photos: what the detectors find in them.
Entries are described in tests/reference/README.md.

Usage: python detectors.py OUTPUT.safetensors [PHOTO ...]
Needs: torch, torchvision, numpy, Pillow and safetensors (requirements.txt beside this file).
"""

import json
import sys

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import resnet50
from torchvision.models.detection import FasterRCNN, MaskRCNN, _utils
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import batched_nms, box_iou, nms, roi_align, roi_pool
from torchvision.ops.misc import FrozenBatchNorm2d

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


SCALES = {"backbone.fpn.inner_blocks": 2**-15, "rpn.head.bbox_pred": 0.125, "roi_heads.box_predictor.bbox_pred": 0.5}
# All anchors and regions are sampled, so that no lot is drawn.
TRAINING = {"rpn_batch_size_per_image": 1000000, "box_batch_size_per_image": 1000000, "rpn_post_nms_top_n_train": 200,
            "rpn_pre_nms_top_n_train": 200}
SMALL = {"min_size": 160, "max_size": 240}


def detector(masks, **options):
    backbone = _resnet_fpn_extractor(resnet50(norm_layer=FrozenBatchNorm2d), 3)
    model = (MaskRCNN if masks else FasterRCNN)(backbone, 91, **options)
    _utils.overwrite_eps(model, 0.0)  # as of the published weights
    state = model.state_dict()
    for key, value in state.items():
        scale = next((s for prefix, s in SCALES.items() if key.startswith(prefix)), 1)
        state[key] = generated(key, tuple(value.shape)) * scale
    model.load_state_dict(state)
    return model.double()


def images():
    return [(generated("input.image", (3, 120, 160)) + 2) / 4, (generated("input.other", (3, 150, 90)) + 2) / 4]


def targets():
    """Two objects in the first image, whose masks are the box without its first quarter; none in the second."""
    found = torch.tensor([[20, 30, 90, 100], [60.5, 10, 150, 115]], dtype=torch.float64)
    masks = torch.zeros(2, 120, 160, dtype=torch.uint8)
    masks[0, 47:100, 20:90] = 1
    masks[1, 10:115, 82:150] = 1
    none = {"boxes": torch.zeros(0, 4, dtype=torch.float64), "labels": torch.zeros(0, dtype=torch.int64),
            "masks": torch.zeros(0, 150, 90, dtype=torch.uint8)}
    return [{"boxes": found, "labels": torch.tensor([3, 88]), "masks": masks}, none]


def found(model, inputs, name):
    with torch.no_grad():
        results = model.eval()(inputs)
    out = {}
    for i, result in enumerate(results):
        out |= {f"{name}/{i}/{key}": result[key] for key in ("boxes", "labels", "scores")}
        if "masks" in result:
            out[f"{name}/{i}/mask_sums"] = result["masks"].sum((1, 2, 3))
            out[f"{name}/{i}/mask"] = result["masks"][0, 0].float()
    return out


def systems():
    result = {}
    for masks, name in ((False, "faster"), (True, "mask")):
        result |= found(detector(masks, **SMALL), images(), name)
        model = detector(masks, **SMALL, **TRAINING).train()
        losses = model(images(), targets())
        sum(losses.values()).backward()
        result |= {f"{name}/{key}": value.detach() for key, value in losses.items()}
        result |= {f"{name}/gradient/{key}": p.grad.norm() for key, p in model.named_parameters() if p.requires_grad}
        result[f"{name}/whole/rpn.head.cls_logits.weight"] = model.rpn.head.cls_logits.weight.grad
    return result


def photos(paths):
    inputs = [torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).double() / 255
              for path in paths]
    result = {}
    for i, image in enumerate(inputs):
        for masks, name in ((False, "faster"), (True, "mask")):
            result |= {key.replace("/0/", f"/{i}/"): value for key, value in
                       found(detector(masks), [image], name).items() if not key.endswith("/mask")}
    return result


def main():
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    chosen = photos(sys.argv[2:]) if len(sys.argv) > 2 else parts() | systems()
    tensors = {key: value.contiguous() for key, value in chosen.items()}
    save_file(tensors, sys.argv[1], {"versions": json.dumps(versions)})


main()
