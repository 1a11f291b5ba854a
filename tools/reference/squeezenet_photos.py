"""Writes what torchvision's SqueezeNet 1.0 says of photos, prepared by Pillow: `logits`, one row for
each photo in the order of their names. Metadata: the names and the versions.

Usage: squeezenet_photos.py WEIGHTS.safetensors FOLDER OUTPUT.safetensors
"""

import json
import pathlib
import sys

import PIL
import safetensors.torch
import torch
import torchvision
from PIL import Image
from torchvision import transforms

weights, folder, output = sys.argv[1:]
network = torchvision.models.squeezenet1_0(weights=None)
network.load_state_dict(safetensors.torch.load_file(weights))
network.eval()
prepare = transforms.Compose([
    transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
photos = sorted(pathlib.Path(folder).glob("*.JPEG"))
images = torch.stack([prepare(Image.open(photo).convert("RGB")) for photo in photos])
with torch.no_grad():
    logits = network(images)
metadata = {"photos": json.dumps([photo.name for photo in photos]), "torch": torch.__version__,
            "torchvision": torchvision.__version__, "pillow": PIL.__version__}
safetensors.torch.save_file({"logits": logits}, output, metadata)
