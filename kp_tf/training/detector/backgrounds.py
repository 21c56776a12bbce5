"""What surrounds faces and what isn't one: windows of pictures without a face, drawn textures and text."""

import string
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from kp_tf.training.detector.pictures import Picture

NUM_WINDOWS = 6  # that are looked for in each picture
MIN_WINDOW = 40  # pixels
NUM_TEXTURES, TEXTURE = 240, 192  # drawn pictures, and their side in pixels
CLEAR = 1.25  # a window keeps this much of a face's half side away from its centre


class Window(NamedTuple):
    """A square without a face in a picture: the picture's number, and left, top and side in pixels."""

    picture: int
    left: int
    top: int
    side: int


def find_windows(pictures: list[Picture], rng: np.random.Generator) -> list[Window]:
    """Squares that touch no face and no place that might be one; hair, necks and clothes are among them."""
    found = []
    for number, picture in enumerate(pictures):
        height, width = picture.grey.shape
        taken = np.concatenate([picture.boxes.faces[:, :3], picture.boxes.ignored])
        for _ in range(NUM_WINDOWS):
            most = min(height, width)
            if most < MIN_WINDOW:
                break
            side = int(np.exp(rng.uniform(np.log(MIN_WINDOW), np.log(most))))
            left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
            nearest = np.clip(taken[:, :2], (left, top), (left + side, top + side))
            if (np.abs(taken[:, :2] - nearest).max(axis=1) >= CLEAR * taken[:, 2] / 2).all():
                found.append(Window(number, left, top, side))
    return found


def draw_textures(rng: np.random.Generator) -> list[np.ndarray]:
    """Pictures (H, W) uint8 without a face: stripes, spots, noise of every coarseness, shapes and text."""
    kinds = (_noise, _stripes, _shapes, _text)
    return [kinds[number % len(kinds)](rng) for number in range(NUM_TEXTURES)]


def _noise(rng: np.random.Generator) -> np.ndarray:
    coarse = rng.integers(0, 256, (2 ** rng.integers(1, 8),) * 2, np.uint8)
    kind = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(coarse).resize((TEXTURE, TEXTURE), kind))


def _stripes(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:TEXTURE, :TEXTURE]
    value = np.zeros((TEXTURE, TEXTURE))
    for _ in range(rng.integers(1, 4)):
        turn, period = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(np.log(4), np.log(120)))
        wave = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / period + rng.uniform(0, 6))
        value += np.sign(wave) if rng.random() < 0.4 else wave
    return np.clip(128 + rng.uniform(20, 90) * value, 0, 255).astype(np.uint8)


def _shapes(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("L", (TEXTURE, TEXTURE), int(rng.integers(256)))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 40)):
        corner, size = rng.uniform(-20, TEXTURE, 2), np.exp(rng.uniform(np.log(4), np.log(120), 2))
        kind = (draw.ellipse, draw.rectangle)[rng.integers(2)]
        kind((*corner, *(corner + size)), fill=int(rng.integers(256)), outline=int(rng.integers(256)))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2))))


def _text(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("L", (TEXTURE, TEXTURE), int(rng.integers(128, 256)))
    draw, size = ImageDraw.Draw(image), int(rng.integers(8, 60))
    letters = np.array(list(string.ascii_letters + string.digits + "    .,:;"))
    for top in range(0, TEXTURE, int(size * 1.2)):
        line = "".join(rng.choice(letters, 40))
        draw.text((-5, top), line, fill=int(rng.integers(128)), font=ImageFont.load_default(size))
    return np.asarray(image)
