"""What a camera does to a picture: exposure, shadow, blur, noise, low resolution and compression."""

import io

import numpy as np
from PIL import Image, ImageFilter


def expose(picture: Image.Image, rng: np.random.Generator, strength: float = 1.0) -> Image.Image:
    """A grey picture with another gamma, contrast and brightness."""
    gamma, contrast = np.exp(rng.normal(0, strength * np.array([0.25, 0.25])))
    value = 255 * (np.arange(256) / 255) ** gamma
    table = (value - 128) * contrast + 128 + rng.normal(0, 20 * strength)
    return picture.point(np.clip(table, 0, 255).astype(np.uint8).tolist())


def photograph(picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """A grey picture (H, W) uint8 as a random camera would take it."""
    if rng.random() < 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.8)))
    if rng.random() < 0.12:
        factor, size = rng.uniform(1.3, 2.5), picture.size
        small = picture.resize((round(size[0] / factor), round(size[1] / factor)), Image.Resampling.BILINEAR)
        picture = small.resize(size, Image.Resampling.BILINEAR)
    if rng.random() < 0.7:
        picture = expose(picture, rng)
    pixels = np.asarray(picture)
    if rng.random() < 0.2:
        pixels = _shade(pixels, rng)
    if rng.random() < 0.3:
        noise = rng.standard_normal(pixels.shape, np.float32) * rng.uniform(2, 18)
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        pixels = _compress(pixels, int(rng.integers(15, 70)))
    return pixels


def _shade(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Darker on one side of a line."""
    height, width = pixels.shape
    turn, sharpness = rng.uniform(0, 2 * np.pi), rng.uniform(0.01, 0.3)
    y, x = np.arange(height, dtype=np.float32) - rng.uniform(0, height), np.arange(width, dtype=np.float32)
    distance = (x - rng.uniform(0, width)) * np.float32(np.cos(turn)) + y[:, None] * np.float32(np.sin(turn))
    darkness = np.float32(rng.uniform(0.2, 0.7)) * np.clip(distance * np.float32(sharpness) + 0.5, 0, 1)
    return (pixels * (1 - darkness)).astype(np.uint8)


def _compress(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
