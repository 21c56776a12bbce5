"""Drawn pictures without faces: clouds, stripes, chequers, blobs in pairs, and lines of text."""

import numpy as np
from PIL import Image, ImageDraw

SIDE = 480  # pixels


def draw_texture(rng: np.random.Generator, number: int) -> np.ndarray:
    """Return a picture (SIDE, SIDE, 3) uint8, of a kind that follows from its number."""
    kinds = (_clouds, _stripes, _chequers, _blobs, _text)
    pixels = kinds[number % len(kinds)](rng)
    noisy = pixels + rng.normal(0, rng.uniform(0, 12), pixels.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _colours(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.uniform(20, 235, (count, 3))


def _between(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two colours, mixed by shares (SIDE, SIDE)."""
    low, high = _colours(rng, 2)
    return low + share[..., None] * (high - low)


def _clouds(rng: np.random.Generator) -> np.ndarray:
    """Noise of several scales."""
    total = np.zeros((SIDE, SIDE))
    for cells in (3, 6, 12, 24, 48):
        noise = Image.fromarray(rng.uniform(0, 1, (cells, cells)).astype(np.float32))
        total += np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / cells**0.7
    return _between((total - total.min()) / np.ptp(total), rng)


def _stripes(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, period = rng.uniform(0, np.pi), rng.uniform(8, 60)
    bend = 20 * np.sin(x / rng.uniform(30, 120))
    return _between(0.5 + 0.5 * np.sin(2 * np.pi * (x * np.cos(angle) + (y + bend) * np.sin(angle)) / period), rng)


def _chequers(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    step = int(rng.integers(12, 70))
    return _between((x // step + y // step) % 2, rng)


def _blobs(rng: np.random.Generator) -> np.ndarray:
    """Ellipses, some of them in pairs above a third one, as dark as eyes and a mouth are."""
    image = Image.new("RGB", (SIDE, SIDE), tuple(_colours(rng, 1)[0].astype(int)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(8, 30))):
        x, y, size = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(6, 40)
        fill = tuple(_colours(rng, 1)[0].astype(int))
        places = [(0, 0)] if rng.uniform() < 0.5 else [(-1.5, 0), (1.5, 0), (rng.uniform(-2, 2), 3)]
        for right, down in places:
            centre, radii = (x + right * size, y + down * size), size * rng.uniform(0.4, 1, 2)
            draw.ellipse([*(centre - radii), *(centre + radii)], fill=fill)
    return np.asarray(image, float)


def _text(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("RGB", (SIDE, SIDE), tuple(_colours(rng, 1)[0].astype(int)))
    draw, letters = ImageDraw.Draw(image), "abcdefghijklmnopqrstuvwxyz 0123456789 OoQ8&@"
    size = float(rng.integers(10, 60))
    for top in np.arange(5, SIDE, 1.4 * size):
        line = "".join(letters[k] for k in rng.integers(0, len(letters), 60))
        draw.text((5, top), line, fill=tuple(_colours(rng, 1)[0].astype(int)), font_size=size)
    return np.asarray(image, float)
