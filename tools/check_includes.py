#!/usr/bin/env python3
"""Fails when a room includes one that it may not use.

The rooms form an order (see ALLOWED); LibTorch is kept out of the lower ones, and the header that
includes all of LibTorch out of every one.
"""

import pathlib
import re
import sys

ALLOWED = {
    "base": [],
    "kernels": [],
    "graph": ["base"],
    "models": ["base", "graph"],
    "image": ["base"],
    "runtime": ["base", "kernels", "graph"],
    "data": ["base", "image"],
    "training": ["base", "kernels", "graph", "models", "image", "runtime", "data"],
    "sequence": ["base", "kernels", "graph", "models", "image", "runtime", "data", "training"],
    "detection": ["base", "kernels", "graph", "models", "image", "runtime", "data", "training"],
    "visualization": ["base", "kernels", "graph", "image", "runtime"],
    "report": ["base", "image"],
    "cli": ["base", "graph", "models", "image", "runtime", "data", "training", "sequence",
            "detection", "visualization", "report"],
}
WITHOUT_LIBTORCH = ["base", "kernels", "graph", "models", "image", "report"]
INCLUDE = re.compile(r'^\s*#include\s+[<"]([^>"]+)[>"]')


def included_room(header):
    parts = header.split("/")
    if parts[0] == "striate":
        return parts[1]
    return parts[0] if parts[0] in ALLOWED else None


def problems(path, room):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(1)
        other = included_room(header)
        if other and other != room and other not in ALLOWED[room]:
            yield f"{path}:{number}: {room} may not use {other}"
        if header == "torch/torch.h":
            yield f"{path}:{number}: include single headers of LibTorch, not {header}"
        if room in WITHOUT_LIBTORCH and header.split("/")[0] in ("torch", "ATen", "c10"):
            yield f"{path}:{number}: {room} is built without LibTorch"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    found = []
    for folder in ("include/striate", "src"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cpp"):
                room = path.relative_to(root / folder).parts[0]
                found += problems(path, room)
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


main()
