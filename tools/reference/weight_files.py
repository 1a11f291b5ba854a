"""Writes the small weight files of tests/reference/pth: what torch.save and the safetensors library
write, in the forms that published checkpoints have. Beside `NAME.pth` (the zip form) and
`NAME_stream.pth` (the older form) lies `NAME.safetensors` with the tensors that must be read.

Usage: weight_files.py [FOLDER]
"""

import collections
import pathlib
import sys

import safetensors
import safetensors.torch
import torch

DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
DTYPES += [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def ramp(*shape, dtype=torch.float32):
    """Element i is (i mod 7) - 3; unsigned types wrap, and a bool is whether it is not 0."""
    count = torch.Size(shape).numel()
    return (torch.arange(count) % 7 - 3).to(dtype).reshape(shape)


def expected(tensors):
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def save(folder, name, content, tensors, protocols=(2,)):
    for protocol in protocols:
        suffix = "" if protocol == 2 else f"_protocol{protocol}"
        for form, zipped in [("", True), ("_stream", False)]:
            torch.save(content, folder / f"{name}{suffix}{form}.pth", pickle_protocol=protocol,
                       _use_new_zipfile_serialization=zipped)
    path = folder / f"{name}.safetensors"
    path.write_bytes(safetensors.torch.save(expected(tensors)))


def dtypes(folder):
    tensors = collections.OrderedDict()
    for dtype in DTYPES:
        tensors[str(dtype).removeprefix("torch.")] = ramp(3, 5, dtype=dtype)
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.empty(0, 3)
    tensors["parameter"] = torch.nn.Parameter(ramp(2, 2))
    save(folder, "dtypes", tensors, tensors, protocols=(2, 3, 4, 5))
    flat = expected(tensors)
    metadata = {"format": "pt", "quote": '"\\\u00e9\n'}
    (folder / "metadata.safetensors").write_bytes(safetensors.torch.save(flat, metadata))


def views(folder):
    base = ramp(4, 6)
    image = ramp(2, 3, 4, 5).to(memory_format=torch.channels_last)
    tensors = {
        "base": base,
        "row": base[2],
        "columns": base[:, 1:4],
        "transposed": base.t(),
        "stepped": base[::2, ::3],
        "tied": base,
        "expanded": base[0].expand(3, 6),
        "channels_last": image,
        "nothing": base[4:],
    }
    save(folder, "views", tensors, tensors)


def network():
    layers = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3, bias=False), torch.nn.BatchNorm2d(3))
    with torch.no_grad():
        for tensor in layers.parameters():
            tensor.copy_(ramp(*tensor.shape))
    return layers


def checkpoint(folder):
    layers = network()
    tensors = layers.state_dict()
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.1, momentum=0.9)
    layers(ramp(1, 2, 4, 4)).sum().backward()
    optimizer.step()
    prefixed = collections.OrderedDict((f"module.{name}", value) for name, value in tensors.items())
    content = {
        "epoch": 90,
        "arch": "resnet18",
        "best_prec1": 76.25,
        "done": True,
        "nothing": None,
        "state_dict": prefixed,
        "optimizer": optimizer.state_dict(),
    }
    save(folder, "checkpoint", content, tensors)
    save(folder, "plain", tensors, tensors)


def nested(folder):
    tensors = {"encoder.weight": ramp(2, 3), "encoder.bias": ramp(3), "layers.0": ramp(1),
               "layers.1": ramp(2)}
    content = {
        "model": {
            "encoder": {"weight": tensors["encoder.weight"], "bias": tensors["encoder.bias"]},
            "layers": [tensors["layers.0"], tensors["layers.1"]],
            "width": 3,
        },
        "model_ema": {"encoder": {"weight": torch.zeros(2, 3)}},
        "shape": torch.Size([2, 3]),
        "dtype": torch.float32,
        "device": torch.device("cpu"),
        "raw": b"\x00\xff",
        "classes": {"cat", "dog"},
        "seed": 2**70,
        "negative": -(2**40),
    }
    save(folder, "nested", content, tensors)


def old_densenet(folder):
    tensors, old = {}, {}
    for layer, shape in [("norm1", (4,)), ("conv1", (2, 4, 1, 1)), ("norm2", (2,)), ("conv2", (1, 2, 3, 3))]:
        name = f"features.denseblock1.denselayer1.{layer}.weight"
        tensors[name] = ramp(*shape)
        old[name.replace(layer, f"{layer[:-1]}.{layer[-1]}")] = tensors[name]
    for name in ["features.norm0.weight", "features.transition1.norm.weight", "classifier.weight"]:
        tensors[name] = old[name] = ramp(3)
    save(folder, "densenet", collections.OrderedDict(old), tensors)


def main():
    default = pathlib.Path(__file__).parents[2] / "tests" / "reference" / "pth"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    for write in [dtypes, views, checkpoint, nested, old_densenet]:
        write(folder)
    versions = f"torch {torch.__version__}, safetensors {safetensors.__version__}\n"
    (folder / "VERSIONS").write_text(versions)


if __name__ == "__main__":
    main()
