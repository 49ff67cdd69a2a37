"""Makes the JPEG files of this folder and, beside each, what libjpeg-turbo decodes it to (an RGB PNG).

Run with Pillow 11.3 or later (libjpeg-turbo 2 or later, defaults: accurate DCT, fancy upsampling). The pictures are
computed: a gradient, coloured waves and seeded noise, at sizes that are no multiple of a block.
"""
import io
import pathlib

import numpy as np
from PIL import Image

here = pathlib.Path(__file__).parent


def picture(width, height):
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 90 * np.sin(x / 3.0 + c * 2 + y * (c + 1) / 7.0) for c in range(3)]
    noise = np.random.default_rng(width * 1000 + height).normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(waves, -1) + x[..., None] + noise, 0, 255).astype(np.uint8))


def keep(name, jpeg):
    (here / f"{name}.jpg").write_bytes(jpeg)
    Image.open(io.BytesIO(jpeg)).convert("RGB").save(here / f"{name}.png", optimize=True)


def encode(image, **settings):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **settings)
    return buffer.getvalue()


def store(name, image, **settings):
    keep(name, encode(image, **settings))


def relabel(jpeg, width, height, sampling):
    """The same blocks under another size and luma sampling, for layouts that Pillow does not write. The number of MCUs
    and of blocks in each must stay; what the picture shows is nonsense, how it is to be decoded is not."""
    at = jpeg.index(b"\xff\xc0") + 5
    head = height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([3, jpeg[at + 5], sampling])
    return jpeg[:at] + head + jpeg[at + 7 :]


store("420", picture(37, 29), quality=75)
store("420-narrow", picture(3, 5), quality=75)
store("422", picture(37, 29), quality=90, subsampling="4:2:2")
store("444", picture(23, 17), quality=100, subsampling="4:4:4")
keep("440", relabel(encode(picture(37, 29), quality=90, subsampling="4:2:2"), 29, 37, 0x12))
keep("411", relabel(encode(picture(37, 29), quality=60, subsampling="4:2:0"), 60, 20, 0x41))
store("gray", picture(21, 30).convert("L"), quality=50)
store("rgb", picture(19, 21), quality=80, keep_rgb=True)
store("optimized", picture(33, 33), quality=20, optimize=True)
store("restart", picture(50, 40), quality=75, restart_marker_blocks=2)
store("progressive", picture(41, 35), quality=85, progressive=True)
store("progressive-444", picture(16, 25), quality=30, progressive=True, subsampling="4:4:4")
store("progressive-gray", picture(25, 16).convert("L"), quality=95, progressive=True)
