"""Writes keys.json: which tensors torchvision's networks have, as one hash for each network.

A tensor is the line "KEY SHAPE", such as "conv1.weight (64, 3, 7, 7)", "conv1.bias (64)" or
"bn1.num_batches_tracked ()". The hash is FNV-1a, 64 bits, 16 hexadecimal digits, of all lines of
the state_dict, sorted bytewise and joined by newlines (none at the end).

Usage: python key_lists.py OUTPUT.json
Needs: requirements.txt beside this file.
"""

import json
import sys

import torchvision

from models import TORCHVISION, ZOO_TORCHVISION, make, name_hash


def lines(network):
    return sorted(f"{key} ({', '.join(map(str, tensor.shape))})"
                  for key, tensor in network.state_dict().items())


def entry(name, **options):
    text = lines(make(name, **options))
    return {"keys": len(text), "hash": f"{name_hash(chr(10).join(text)):016x}"}


def main():
    networks = {name: entry(name) for name in TORCHVISION + ZOO_TORCHVISION}
    networks["googlenet_aux"] = entry("googlenet", auxiliary_heads=True)
    document = {"torchvision": torchvision.__version__, "networks": networks}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
