"""Paints drawn people: a texture of skin and features wrapped about the head, and the body below it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter

from kp_tf.data.synthetic.head import EYE_Y, PIVOT, Head, Pose, smooth_step
from kp_tf.data.synthetic.people import Person
from kp_tf.data.synthetic.render import Pixels, render_head

_CORNER = np.array([-140.0, -235.0])  # the flat coordinates of the texture's first texel
_TEXTURE = (630, 420)  # (H, W) in texels
_TEXELS = 1.5  # of a head unit
_AMBIENT = 0.36  # light from all sides


@dataclass
class Layer:
    """A picture (H, W, 3) in [0, 1] with coordinates of its own: its pixels are origin + scale * coordinates."""

    picture: np.ndarray
    origin: np.ndarray  # (2,)
    scale: float

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """The coordinates x (W,) of the columns and y (H, 1) of the rows."""
        x, y = ((np.arange(self.picture.shape[1 - k]) - self.origin[k]) / self.scale for k in (0, 1))
        return x.astype(np.float32), y[:, None].astype(np.float32)

    def fill(self, outline: np.ndarray, colour: ArrayLike, opacity: float = 1.0, soft: float = 0.5) -> None:
        """Fill an outline (n, 2) whose edge fades over `soft`, both in the layer's coordinates.

        The colour is (3,), or broadcasts to the picture, of which the pixels within the outline are taken.
        """
        outline, soft = self.origin + self.scale * outline, float(soft * self.scale)
        margin = 2 + int(3 * soft)
        left, top = np.maximum(np.floor(outline.min(axis=0)).astype(int) - margin, 0)
        right, bottom = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + margin, self.picture.shape[1::-1])
        if left >= right or top >= bottom:
            return
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon((outline - (left, top) + 0.5).ravel().tolist(), fill=255)
        mask = np.asarray(mask.filter(ImageFilter.GaussianBlur(soft)), np.float32)[..., None]
        window = self.picture[top:bottom, left:right]
        colour = np.broadcast_to(np.asarray(colour, np.float32), self.picture.shape)[top:bottom, left:right]
        window += mask * np.float32(opacity / 255) * (colour - window)


def paint_body(canvas: np.ndarray, pose: Pose, person: Person, light: np.ndarray, rng: np.random.Generator) -> None:
    """Paint neck and shirt onto a canvas (H, W, 3); they do not turn with the head."""
    layer = Layer(canvas, pose.project(PIVOT)[:2] - PIVOT[:2] * pose.scale, pose.scale)
    x, y = layer.axes()
    neck, shirt = (_AMBIENT + (0.45 + float(light[0]) * x[:, None] / radius).clip(0.1, 0.8) for radius in (90, 500))
    side = np.array([(70, 30), (66, 130), (76, 190), (60, 320)])
    shade = 0.55 + 0.35 * smooth_step(y, 110, 210)[..., None]
    layer.fill(_between(side, side * (-1, 1)), person.skin * neck * shade)
    collar, slope = rng.uniform(140, 215), rng.uniform(20, 200)
    side = np.array([(0, collar + rng.uniform(20, 70)), (64, collar), (150, 218), (360, 230 + slope), (470, 900)])
    folds = 0.75 + 0.4 * smooth_noise(rng, (len(y), len(x)), 30)[..., None]
    layer.fill(_between(side, side * (-1, 1)), person.shirt * shirt * folds)


def paint_head(
    canvas: np.ndarray, head: Head, pose: Pose, person: Person, light: np.ndarray, rng: np.random.Generator
) -> None:
    """Paint the head onto a canvas (H, W, 3)."""
    pixels = render_head(head, pose, person, canvas.shape[:2])
    texture = _paint_texture(head, person, rng)
    column, row = np.rint((pixels.flat - _CORNER) * _TEXELS).astype(int).T
    front = texture[row.clip(0, _TEXTURE[0] - 1), column.clip(0, _TEXTURE[1] - 1)]
    colour = np.where(np.abs(pixels.angle)[:, None] < 90, front, person.skin)
    colour = _grow_hair(colour, pixels, person, rng)
    canvas[pixels.row, pixels.column] = colour * _brightness(pixels.normals, light)[:, None]


def _brightness(normals: np.ndarray, light: np.ndarray) -> np.ndarray:
    """The brightness (N,) of a surface: wrapped diffuse light, a gloss, and more ambient light from above."""
    strength = np.linalg.norm(light)
    halfway = light / strength + (0, 0, 1)
    gloss = np.maximum(normals @ (halfway / np.linalg.norm(halfway)), 0) ** 24
    diffuse = np.maximum((normals @ light + 0.25 * strength) / 1.25, 0)
    return diffuse + 0.12 * strength * gloss + _AMBIENT * (0.8 - 0.2 * normals[:, 1] + 0.15 * normals[:, 2])


def _grow_hair(colour: np.ndarray, pixels: Pixels, person: Person, rng: np.random.Generator) -> np.ndarray:
    """Cover the colours (N, 3) of pixels above the hairline by strands that run down the head."""
    strand = smooth_noise(rng, (1, 1440), 2)[0][((pixels.angle + 180) * 4).astype(int).clip(0, 1439)]
    height = person.hair_above(pixels.angle) + 22 * (strand - 0.5) - pixels.flat[:, 1]
    tone = (0.55 + 0.6 * strand) * (0.75 + 0.25 * smooth_step(height, 0, 40))
    return colour + smooth_step(height, -3, 5)[:, None] * (person.hair * tone[:, None] - colour)


def _paint_texture(head: Head, person: Person, rng: np.random.Generator) -> np.ndarray:
    """The colours (H, W, 3) of the front of the head at its flat coordinates."""
    layer = Layer(np.empty((*_TEXTURE, 3), np.float32), -_CORNER * _TEXELS, _TEXELS)
    _paint_skin(layer, head, person, rng)
    _paint_mouth(layer, head, person)
    for side in (-1, 1):
        nostril = head.nose(_ellipse((side * 13.5, 20), 7.5, 4))
        layer.fill(nostril, person.skin * 0.18, opacity=0.85, soft=1)
        wing = np.array([(28, 4), (34, 12), (33, 20), (26, 24), (31, 18), (30, 10)])
        layer.fill(head.nose(wing * (side, 1)), person.skin * 0.45, opacity=0.6, soft=1.3)
        _paint_eye(layer, head, person, side)
        _paint_lens(layer, head, person.glasses, side)
    return layer.picture


def _paint_skin(layer: Layer, head: Head, person: Person, rng: np.random.Generator) -> None:
    """Skin with spots, with shadows about the eyes and below nose and mouth, and with a beard."""
    (x, y), face = layer.axes(), head.face
    mottled = 0.9 + 0.1 * smooth_noise(rng, _TEXTURE, 27) + 0.1 * smooth_noise(rng, _TEXTURE, 6)
    dark = 0.45 * _spot(np.abs(x) - 40, y - EYE_Y + 4, 26, 14)
    dark = dark + 0.30 * _spot(x, y - 32 - face.nose, 24, 7) + 0.18 * _spot(x, y - 98 - face.drop, 26, 7)
    fold = (np.abs(x) - 38 - 0.35 * (y - 30)) / 5  # from the nose to the corner of the mouth
    dark += (0.10 + 0.3 * face.smile) * _spot(fold, y - 42, 1, 20)
    layer.picture[:] = person.skin * (mottled * (1 - 0.85 * dark))[..., None]
    jaw = smooth_step(y + 0.25 * np.abs(x), 52, 88) * (1 - 0.8 * _spot(np.abs(x) - 62, y - 50, 20, 22))
    beard = (jaw + _spot(x, y - 45 - face.nose, 40, 10)).clip(0, 1) * (0.5 + smooth_noise(rng, _TEXTURE, 3))
    layer.picture += (person.beard * beard).clip(0, 0.95)[..., None] * (0.75 * person.hair - layer.picture)


def _paint_mouth(layer: Layer, head: Head, person: Person) -> None:
    upper, top, bottom, lower = (head.lip(np.linspace(-1, 1, 25), edge) for edge in range(4))
    layer.fill(_between(upper, bottom), person.lip * 0.85, opacity=0.9)
    layer.fill(_between(top, lower), person.lip, opacity=0.85)
    layer.fill(_between(top, bottom + (0, 1.6)), person.lip * 0.25)
    teeth = top + ((bottom - top) * (0, 1) - (0, 1)).clip(0, 13)
    layer.fill(_between(top, teeth), (0.85, 0.82, 0.76), opacity=0.9)
    layer.fill(_between(lower[6:-6], lower[6:-6] + (0, 7)), person.skin * 0.55, opacity=0.5, soft=2.5)


def _paint_eye(layer: Layer, head: Head, person: Person, side: int) -> None:
    """An eye with its lids, and its brow."""
    q, face = np.linspace(-1, 1, 17), head.face
    upper, lower = head.eyelid(side, q, 1), head.eyelid(side, q, -1)
    layer.fill(_between(upper, upper - (0, 7)), person.skin * 0.5, opacity=0.45, soft=1.8)
    layer.fill(_between(upper, lower + (0, 1)), (0.80, 0.77, 0.74))
    for radius, colour in ((11.5, person.iris), (5, person.iris * 0.1)):
        ring = _ellipse((side * face.eye_x + face.gaze, EYE_Y - 5), radius, radius)
        at = ((ring[:, 0] * side - face.eye_x) / face.eye_width).clip(-1, 1)
        ring[:, 1] = ring[:, 1].clip(head.eyelid(side, at, 1)[:, 1], head.eyelid(side, at, -1)[:, 1])
        layer.fill(ring, colour)
    lash = np.stack([0 * q, 1.2 + 2.6 * (1 - q**2)], axis=-1)
    layer.fill(_between(upper + (0, 1), upper - lash), person.skin * 0.12, opacity=0.85)
    upper = head.brow(side, np.linspace(0, 4, 22))
    thickness = np.stack([np.zeros(22), 11 * np.interp(range(22), [0, 3, 11, 17, 21], [0.3, 1, 1, 0.75, 0])], axis=-1)
    layer.fill(_between(upper, upper + thickness), person.hair * 0.45, opacity=person.brow, soft=0.8)


def _paint_lens(layer: Layer, head: Head, opacity: float, side: int) -> None:
    """The rim of a lens, and its half of the bridge."""
    middle, bridge = (side * (head.face.eye_x + 2), EYE_Y + 2), np.array([(0, -6), (19, -6), (19, -1), (0, -1)])
    layer.fill(_between(_ellipse(middle, 41, 30), _ellipse(middle, 37, 26)), (0.1, 0.1, 0.1), opacity)
    layer.fill(bridge * (side, 1) + (0, EYE_Y), (0.1, 0.1, 0.1), opacity)


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The outline between two curves (n, 2) in the same direction."""
    return np.concatenate([one, other[::-1]])


def _ellipse(centre: tuple[float, float], width: float, height: float) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 24)
    return centre + np.stack([width * np.cos(t), height * np.sin(t)], axis=-1)


def _spot(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
    """A Gaussian of height 1."""
    return np.exp(-0.5 * (x / width) ** 2) * np.exp(-0.5 * (y / height) ** 2)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    """Noise (H, W) in [0, 1] without details finer than `grain` pixels."""
    coarse = [int(side / grain) + 2 if side > 1 else 1 for side in shape]
    noise = Image.fromarray(rng.integers(0, 256, coarse, np.uint8))
    return np.asarray(noise.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float32) / 255
