"""Writes the references of the room `image`: what Pillow makes of formulas, small files and photos.

    pip install pillow numpy
    python tools/reference/pillow.py [--photos FOLDER]

Writes tests/reference/pillow_synthetic.{json,bin}, pillow_codec.{json,bin} with the files of
pillow_codec/, and, with --photos, pillow_photos.{json,bin}. A `.json` says where in the `.bin` the
bytes of each case begin.
"""

import argparse
import json
import pathlib
import zlib

import numpy
import PIL
from PIL import Image, ImageEnhance, PngImagePlugin, features

REFERENCE = pathlib.Path(__file__).resolve().parents[2] / "tests" / "reference"
VERSIONS = {
    "pillow": PIL.__version__,
    "libjpeg_turbo": features.version("libjpeg_turbo"),
    "zlib": features.version("zlib"),
    "numpy": numpy.__version__,
}
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
# One byte of so many of a result is kept; a prime, so that all channels and columns occur.
SAMPLE_STEP = 97


class Output:
    """A list of cases in JSON and their bytes in one binary file."""

    def __init__(self, name):
        self.name = name
        self.cases = []
        self.bytes = bytearray()

    def add(self, blobs, **fields):
        """Adds a case; each blob (name -> bytes) becomes {name: [offset, length]}."""
        for name, blob in blobs.items():
            fields[name] = [len(self.bytes), len(blob)]
            self.bytes += blob
        self.cases.append(fields)

    def write(self):
        REFERENCE.mkdir(parents=True, exist_ok=True)
        (REFERENCE / f"{self.name}.bin").write_bytes(self.bytes)
        lines = ",\n".join("  " + json.dumps(case) for case in self.cases)
        head = json.dumps({"versions": VERSIONS})[:-1]
        (REFERENCE / f"{self.name}.json").write_text(head + ',\n"cases": [\n' + lines + "\n]}\n")
        print(f"{self.name}: {len(self.cases)} cases, {len(self.bytes)} bytes")


def formula(width, height, channels):
    """Smooth waves with hard edges: ((x x (3 + c) + 5 x y + 11 y y + 40 c) >> 3) mod 256."""
    y, x, c = numpy.mgrid[0:height, 0:width, 0:channels].astype(numpy.int64)
    values = ((x * x * (3 + c) + 5 * x * y + 11 * y * y + 40 * c) >> 3) & 255
    return values.astype(numpy.uint8)


def to_image(values):
    return Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)


def summary(image):
    """Sampled bytes, and a checksum of all of them."""
    values = numpy.asarray(image).tobytes()
    return {"samples": values[::SAMPLE_STEP]}, {"crc32": zlib.crc32(values)}


def resize_cases(output):
    sizes = [
        ((61, 47), (61, 47)),
        ((61, 47), (30, 23)),
        ((61, 47), (13, 47)),
        ((61, 47), (61, 9)),
        ((61, 47), (97, 80)),
        ((54, 47), (76, 45)),
        ((61, 47), (7, 101)),
        ((1, 1), (5, 3)),
        ((64, 3), (1, 1)),
        ((257, 33), (19, 64)),
        ((2, 90), (33, 31)),
        ((40, 90), (35, 70)),
        ((40, 90), (30, 70)),
    ]
    boxes = {((54, 47), (76, 45)): [(7.507643222808838, 4.29538106918335, 31.968965530395508,
                                     8.047515869140625)],
             ((61, 47), (30, 23)): [(3.25, 0, 57.5, 46.125)],
             ((61, 47), (97, 80)): [(10, 12, 41, 40), (0.5, 0.5, 1.25, 47)]}
    for (source, target), channels in ((s, c) for s in sizes for c in (1, 3, 4)):
        image = to_image(formula(*source, channels))
        for box in [None, *boxes.get((source, target), [])]:
            for name, resample in FILTERS.items():
                result = image.resize(target, resample, box=box)
                blobs, checks = summary(result)
                output.add(blobs, kind="resize", source=[*source, channels], size=target,
                           interpolation=name, box=box, **checks)


def shift_hue(image, turns):
    hue, saturation, value = image.convert("HSV").split()
    shifted = (numpy.asarray(hue).astype(numpy.int64) + int(turns * 255)) & 255
    hue = Image.fromarray(shifted.astype(numpy.uint8))
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def colour_cases(output):
    # The cube has the corners and edges of the RGB space.
    levels = numpy.array([0, 1, 2, 51, 127, 128, 200, 254, 255], numpy.uint8)
    cube = numpy.stack(numpy.meshgrid(levels, levels, levels, indexing="ij"), -1)
    images = {"formula": formula(61, 47, 3), "cube": cube.reshape(27, 27, 3),
              "grey": formula(61, 47, 1), "rgba": formula(61, 47, 4)}
    for name, values in images.items():
        image = to_image(values)
        blobs, checks = summary(image.convert("L"))
        output.add(blobs, kind="to_grey", image=name, factor=0, **checks)
        for factor in (0.0, 0.3, 0.77, 1.0, 1.3, 1.4142135, 2.5, 60.0):
            for kind, enhancer in (("brightness", ImageEnhance.Brightness),
                                   ("contrast", ImageEnhance.Contrast),
                                   ("saturation", ImageEnhance.Color)):
                blobs, checks = summary(enhancer(image).enhance(factor))
                output.add(blobs, kind=kind, image=name, factor=factor, **checks)
        if image.mode == "RGB":
            for turns in (-0.5, -0.31, -0.1, -0.002, 0.0, 0.01, 0.1, 0.25, 0.4, 0.5):
                blobs, checks = summary(shift_hue(image, turns))
                output.add(blobs, kind="hue", image=name, factor=turns, **checks)


def codec_files(folder):
    """Yields (name, path) of small files of every kind, made by Pillow."""
    folder.mkdir(parents=True, exist_ok=True)
    rgb = to_image(formula(23, 17, 3))
    grey = to_image(formula(23, 17, 1))
    rgba = to_image(formula(23, 17, 4))
    cmyk = Image.frombytes("CMYK", (23, 17), formula(23, 17, 4).tobytes())
    words = (formula(23, 17, 1)[:, :, 0].astype(numpy.uint16) * 257) ^ 0x00A5
    grey_and_alpha = Image.merge("LA", (grey, rgba.getchannel("A")))
    # The last of a palette's colours are in use, so that tRNS may be shorter than PLTE.
    palette = rgb.quantize(200)
    jpegs = {
        "grey": (grey, {}),
        "grey_progressive": (grey, {"progressive": True}),
        "rgb_420": (rgb, {"quality": 85}),
        "rgb_422": (rgb, {"quality": 85, "subsampling": "4:2:2"}),
        "rgb_444": (rgb, {"quality": 95, "subsampling": "4:4:4"}),
        "rgb_low": (rgb, {"quality": 5}),
        "rgb_progressive": (rgb, {"quality": 85, "progressive": True}),
        "rgb_restarts": (rgb, {"quality": 85, "restart_marker_blocks": 1}),
        "rgb_kept": (rgb, {"keep_rgb": True}),
        "cmyk": (cmyk, {"quality": 90}),
        "cmyk_progressive": (cmyk, {"quality": 90, "progressive": True}),
        "exif_rotated": (rgb, {"exif": orientation(6)}),
    }
    pngs = {
        "bits_1": (grey.convert("1"), {}),
        "grey": (grey, {}),
        "grey_16": (Image.fromarray(words), {}),
        "grey_alpha": (grey_and_alpha, {}),
        "grey_transparent": (grey, {"transparency": 5}),
        "rgb": (rgb, {}),
        "rgb_transparent": (rgb, {"transparency": (0, 5, 10)}),
        "rgba": (rgba, {}),
        "palette_1": (rgb.quantize(2), {"bits": 1}),
        "palette_2": (rgb.quantize(4), {"bits": 2}),
        "palette_4": (rgb.quantize(13), {"bits": 4}),
        "palette_8": (palette, {}),
        "palette_transparent": (palette, {"transparency": bytes(range(0, 250, 5))}),
    }
    for name, (image, options) in jpegs.items():
        image.save(folder / f"{name}.jpg", **options)
    for name, (image, options) in pngs.items():
        image.save(folder / f"{name}.png", **options)
    # The last byte of the Adobe marker says CMYK (0) or YCCK (2).
    cmyk_bytes = (folder / "cmyk.jpg").read_bytes()
    transform = cmyk_bytes.index(b"Adobe") + 11
    ycck_bytes = cmyk_bytes[:transform] + b"\2" + cmyk_bytes[transform + 1:]
    (folder / "ycck.jpg").write_bytes(ycck_bytes)
    raw_pngs(folder)
    return sorted(folder.iterdir())


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


# The seven passes of an interlaced PNG: first column, first row, column step, row step.
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2)]


def raw_pngs(folder):
    """The kinds that Pillow reads but can't write: interlaced, 2 and 4 bits, 16-bit colour."""
    def chunk(file, name, data):
        PngImagePlugin.putchunk(file, name, data)

    def write(name, values, bits, colour_type, interlaced):
        height, width = values.shape[:2]
        parts = [values[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [values]
        data = bytearray()
        for part in (part for part in parts if part.size):
            for row in part:
                if bits == 16:
                    packed = row.astype(">u2").tobytes()
                else:
                    planes = numpy.unpackbits(row.reshape(-1, 1), axis=1)[:, 8 - bits:]
                    packed = numpy.packbits(planes.reshape(-1)).tobytes()
                data += b"\0" + packed
        with open(folder / name, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            header = width.to_bytes(4, "big") + height.to_bytes(4, "big")
            chunk(file, b"IHDR", header + bytes([bits, colour_type, 0, 0, int(interlaced)]))
            chunk(file, b"IDAT", zlib.compress(bytes(data), 9))
            chunk(file, b"IEND", b"")

    rgb = formula(23, 17, 3)
    grey = formula(23, 17, 1)[:, :, 0]
    write("rgb_interlaced.png", rgb, 8, 2, True)
    write("grey_interlaced.png", grey, 8, 0, True)
    write("bits_1_interlaced.png", grey >> 7, 1, 0, True)
    write("bits_2.png", grey >> 6, 2, 0, False)
    write("bits_4.png", grey >> 4, 4, 0, False)
    write("rgb_16.png", rgb.astype(numpy.uint16) * 257 ^ 0x5A, 16, 2, False)
    write("rgba_16.png", formula(23, 17, 4).astype(numpy.uint16) * 257 ^ 0x5A, 16, 6, False)


def codec_cases(output):
    for path in codec_files(REFERENCE / "pillow_codec"):
        with Image.open(path) as image:
            image.load()
            if image.mode.startswith("I;16"):
                # Pillow clips 16-bit grey; the library keeps the high byte.
                high = numpy.asarray(image).astype(numpy.uint16) >> 8
                image = Image.fromarray(high.astype(numpy.uint8))
            blobs = {"rgb": numpy.asarray(image.convert("RGB")).tobytes(),
                     "grey": numpy.asarray(image.convert("L")).tobytes()}
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            if has_alpha:
                blobs["alpha"] = image.convert("RGBA").getchannel("A").tobytes()
            output.add(blobs, file=path.name, size=image.size)


def photo_cases(output, folder):
    for path in sorted(folder.glob("*.[jJ][pP]*[gG]")):
        image = Image.open(path).convert("RGB")
        values = numpy.asarray(image)
        height, width = values.shape[:2]
        grid = values[numpy.ix_(numpy.arange(16) * height // 16, numpy.arange(16) * width // 16)]
        short = min(width, height)
        resized = image.resize((256 * width // short, 256 * height // short),
                               Image.Resampling.BILINEAR)
        left, top = (round((side - 224) / 2) for side in resized.size)
        cropped = numpy.asarray(resized.crop((left, top, left + 224, top + 224)))
        output.add({"decoded": grid.tobytes(), "cropped": cropped[::8, ::8].tobytes()},
                   file=path.name, size=[width, height], crc32=zlib.crc32(values.tobytes()),
                   sum=int(values.sum()), cropped_crc32=zlib.crc32(cropped.tobytes()),
                   cropped_sum=int(cropped.sum()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=pathlib.Path, help="a folder of photos")
    arguments = parser.parse_args()
    synthetic = Output("pillow_synthetic")
    resize_cases(synthetic)
    colour_cases(synthetic)
    synthetic.write()
    codec = Output("pillow_codec")
    codec_cases(codec)
    codec.write()
    if arguments.photos:
        photos = Output("pillow_photos")
        photo_cases(photos, arguments.photos)
        photos.write()


if __name__ == "__main__":
    main()
