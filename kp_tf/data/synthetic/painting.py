"""Pictures of drawn people: skin, hair and features painted on the head's surface, neck and shirt below it."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from kp_tf.data.synthetic.head import EYE_Y, PIVOT, Head, Pose, smooth_step
from kp_tf.data.synthetic.mesh import EAR, hairline, head_mesh, rasterise

FINER = 3  # masks are drawn so much larger, then averaged


@dataclass(frozen=True)
class Look:
    """What a person looks like apart from the shape; colours are RGB in [0, 1]."""

    skin: np.ndarray
    hair: np.ndarray
    style: str  # of HAIRLINES
    thick: float  # of the hair, in units
    brow: float  # how dark the brows are, in [0, 1]
    iris: np.ndarray
    lip: np.ndarray
    ruddy: float
    stubble: float
    moustache: float
    goatee: float
    glasses: float  # 0: none; else how dark the rims are
    tint: float  # of the lenses, in [0, 1]
    shirt: np.ndarray
    collar: float  # height at which the shirt ends, in units
    curtain: float  # height down to which the hair hangs behind the neck; 0: it does not


@dataclass(frozen=True)
class Light:
    """From where the light comes, (3,) in the head's axes, how strong it is, and what comes from all sides."""

    direction: np.ndarray
    key: float
    ambient: float
    colour: np.ndarray

    def on_round(self, x: np.ndarray, radius: float) -> np.ndarray:
        """Brightness at x of an upright round thing about 0."""
        return self.ambient + self.key * np.clip(0.72 + np.clip(self.direction[0], -1, 1) * x / radius, 0.15, 1.2)


def paint_body(canvas: np.ndarray, pose: Pose, look: Look, light: Light, rng: np.random.Generator) -> None:
    """Paint hanging hair, neck and shoulders onto a canvas (H, W, 3); they do not turn with the head."""
    origin = pose.project(PIVOT)[:2] - PIVOT[:2] * pose.scale
    row = int(np.clip(origin[1] + 130 * pose.scale, 0, canvas.shape[0] - 1))  # nothing of the shirt is above
    x, y = (((np.arange(canvas.shape[k]) - origin[1 - k]) / pose.scale).astype(np.float32) for k in (1, 0))

    def put(places: list[tuple[float, float]], sway: float = 0.0) -> np.ndarray:
        return np.array(places) * pose.scale + origin + (sway * pose.scale, 0)

    if look.curtain:
        t = np.linspace(0, 2 * np.pi, 60)
        wide = (138 + look.thick) * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** 0.7
        high = -40 + np.sin(t) * np.where(np.sin(t) > 0, look.curtain + 40, 165 + look.thick)
        strands = 0.55 + 0.5 * smooth_noise(rng, (1, len(x)), 3)[0]
        _blend(canvas, put(np.stack([wide, high], axis=-1)), look.hair * (strands * light.on_round(x, 90))[:, None])
    sway = rng.normal(0, 10)
    half = [(70, 30), (66, 130), (76, 190), (150, 232), (60, 320)]
    neck = put([*half, *((-px, py) for px, py in reversed(half))], sway / 3)
    shade = smooth_step(y, 110, 210)[:, None] * 0.35 + 0.55
    _blend(canvas, neck, look.skin * (light.on_round(x, 90) * shade)[..., None])
    _blend(canvas[row:], put(_shirt(look.collar, rng), sway) - (0, row), _cloth(look, light, x, y[row:], rng))


def _shirt(top: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Outline of a shirt that ends at a height on the neck."""
    slope, cut = rng.uniform(0, 90), rng.uniform(5, 25)
    right = [(64, top - 4), (80, max(top, 190)), (150, 218), (250, 222 + 0.7 * slope), (360, 245 + 1.6 * slope)]
    left = [(-x, y + rng.normal(0, 6)) for x, y in reversed(right)]
    dip = [(-30, top + cut), (0, top + rng.uniform(10, 70)), (30, top + cut)]
    return [(-470, 900), *left, *dip, *right, (470, 900)]


def _cloth(look: Look, light: Light, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cloth (H, W, 3) with folds, some of it striped."""
    shade = (0.75 + 0.4 * smooth_noise(rng, (len(y), len(x)), rng.uniform(6, 50))) * light.on_round(x, 500)
    if rng.random() < 0.25:
        shade *= 1 + rng.uniform(0.05, 0.4) * np.sin(y / rng.uniform(2, 8))[:, None]
    return look.shirt.astype(np.float32) * shade[..., None]


def paint_head(
    canvas: np.ndarray, head: Head, pose: Pose, look: Look, light: Light, rng: np.random.Generator
) -> None:
    """Paint the head onto a canvas (H, W, 3), in place."""
    pixels = rasterise(head_mesh(head, look.style, look.thick), pose, canvas.shape[:2])
    if pixels is None:
        return
    colour = np.zeros((*pixels.inside.shape, 3), np.float32)
    view = _View(colour, pixels.depth, head, replace(pose, x=pose.x - pixels.left, y=pose.y - pixels.top))
    _skin(colour, pixels.places, look, head, rng)
    _mouth(view, look)
    _nose(view, look)
    _eyes(view, look)
    _brows(view, look)
    _hair(colour, pixels.places, look, rng)
    colour *= _lit(pixels.normals, light)[..., None]
    if look.glasses:
        _glasses(view, look)
    high, wide = pixels.inside.shape
    window = canvas[pixels.top : pixels.top + high, pixels.left : pixels.left + wide]
    window[pixels.inside] = colour[pixels.inside]


def _lit(normals: np.ndarray, light: Light) -> np.ndarray:
    """Brightness (h, w): wrapped diffuse light, a little from above, and a gloss."""
    direction = light.direction / np.linalg.norm(light.direction)
    facing = normals @ direction.astype(np.float32)
    half = direction + np.array([0, 0, 1])
    gloss = np.clip(normals @ (half / np.linalg.norm(half)).astype(np.float32), 0, 1) ** 24
    around = 0.8 - 0.2 * normals[..., 1] + 0.15 * normals[..., 2]
    return light.ambient * around + light.key * (np.clip((facing + 0.25) / 1.25, 0, None) + 0.12 * gloss)


def _skin(colour: np.ndarray, places: np.ndarray, look: Look, head: Head, rng: np.random.Generator) -> None:
    """Skin with its spots, red cheeks and beard, at each pixel's place."""
    x, y = places[..., 0], places[..., 1]
    drop = head.face.drop
    mottled = 1 + 0.10 * (smooth_noise(rng, x.shape, 14) - 0.5) + 0.10 * (smooth_noise(rng, x.shape, 3) - 0.5)
    colour[:] = look.skin * mottled[..., None]
    red = look.ruddy * (_spot(np.abs(x), y, 68, 12, 26, 26) + 0.7 * _spot(x, y, 0, 12, 22, 16))
    colour *= 1 - red[..., None] * np.array([0.03, 0.2, 0.17], np.float32)
    dark = 0.45 * _spot(np.abs(x), y, 40, EYE_Y - 4, 26, 14) * (1 - 0.6 * _spot(x, y, 0, -50, 12, 40))
    dark += 0.30 * _spot(x, y, 0, 32 + head.face.nose, 24, 7) + 0.18 * _spot(x, y, 0, 98 + drop, 26, 7)
    fold = np.abs(x) - 38 - 0.35 * (y - 30)
    dark += (0.10 + 0.3 * head.face.smile) * np.exp(-((fold / 3.5) ** 2)) * _spot(0 * x, y, 0, 42, 1, 20)
    dark += 0.35 * smooth_step(np.abs(places[..., 2]), 78, 100) * (y > 34)
    colour *= 1 - dark[..., None] * np.array([0.75, 0.9, 0.95], np.float32)
    grain = 0.5 + smooth_noise(rng, x.shape, 1.6)
    jaws = smooth_step(y + 0.25 * np.abs(x), 52, 88) * (1 - 0.8 * _spot(np.abs(x), y, 62, 50, 20, 22))
    lip = _spot(x, y, 0, 45 + head.face.nose, 40, 10)
    chin = _spot(x, y, 0, 122 + drop, 34, 26) + 0.8 * _spot(np.abs(x), y, 55, 88 + drop / 2, 9, 24)
    beard = look.stubble * np.clip(jaws + lip, 0, 1) + look.moustache * lip + look.goatee * chin
    beard = np.clip(beard * grain, 0, 0.95)[..., None] * (places[..., 2:] < EAR / 2)
    colour[:] = colour * (1 - beard) + beard * look.hair * 0.75


def _hair(colour: np.ndarray, places: np.ndarray, look: Look, rng: np.random.Generator) -> None:
    """Hair above its line, in strands that run down the head."""
    angle, y = places[..., 2], places[..., 1]
    strand = smooth_noise(rng, (1, 1440), 2)[0]
    fine = strand[np.clip((angle + 180) * 4, 0, 1439).astype(int)]
    line = hairline(look.style, angle) + 22 * (fine - 0.5)
    covered = smooth_step(line - y, -3, 5) * (angle < EAR / 2)
    root = 0.75 + 0.25 * smooth_step(line - y, 0, 40)
    tone = (0.55 + 0.6 * fine) * (0.8 + 0.4 * smooth_noise(rng, y.shape, 9)) * root
    colour[:] = colour * (1 - covered[..., None]) + covered[..., None] * look.hair * tone[..., None]


@dataclass
class _View:
    """A colour image (h, w, 3) of the head's surface, its depth (h, w), and what projects onto it."""

    colour: np.ndarray
    depth: np.ndarray
    head: Head
    pose: Pose

    def fill(
        self,
        places: np.ndarray,
        paint: np.ndarray,
        opacity: float = 1.0,
        soft: float = 0.0,
        raised: float = 0.0,
        hole: np.ndarray | None = None,
    ) -> None:
        """Fill an outline of places (n, 2), less a hole, where nothing of the head is in front of it.

        Args:
            places, hole: seen from the front, on the head's surface, or `raised` above it.
            paint: a colour.
            opacity: in [0, 1].
            soft: units over which the edge fades.
        """
        front = np.array([0, 0, raised])
        seen = self.pose.project(self.head.lift(places) + front)
        cut = None if hole is None else self.pose.project(self.head.lift(hole) + front)[:, :2]
        hidden = self.depth > seen[:, 2].max() + 12
        _blend(self.colour, seen[:, :2], paint, opacity, soft * self.pose.scale, hidden, cut)


def _blend(
    canvas: np.ndarray,
    outline: np.ndarray,
    paint: np.ndarray,
    opacity: float = 1.0,
    soft: float = 0.0,
    hidden: np.ndarray | None = None,
    hole: np.ndarray | None = None,
) -> None:
    """Blend paint, a colour or a picture as large as the canvas, into an outline (n, 2) in pixels."""
    margin = 2 + int(3 * soft)
    left, top = np.maximum(np.floor(outline.min(0)).astype(int) - margin, 0)
    right, bottom = np.minimum(np.ceil(outline.max(0)).astype(int) + margin + 1, canvas.shape[1::-1])
    if left >= right or top >= bottom:
        return
    size = ((right - left) * FINER, (bottom - top) * FINER)
    mask = Image.new("L", size)
    for points, value in ((outline, 255), (hole, 0)):
        if points is not None:
            corners = (points - (left, top) + 0.5) * FINER - 0.5
            ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners], fill=value)
    mask = mask.reduce(FINER)
    if soft:
        mask = mask.filter(ImageFilter.GaussianBlur(float(soft)))
    alpha = np.asarray(mask, np.float32)[..., None] * np.float32(opacity / 255)
    window = (slice(top, bottom), slice(left, right))
    if hidden is not None:
        alpha = alpha * ~hidden[window][..., None]
    paint = np.asarray(paint, np.float32)
    if paint.ndim > 1:
        paint = np.broadcast_to(paint, canvas.shape)[window]
    canvas[window] += alpha * (paint - canvas[window])


def _mouth(view: _View, look: Look) -> None:
    head, q = view.head, np.linspace(-1, 1, 25)
    upper, top, bottom, lower = (head.lip(q, edge) for edge in range(4))
    view.fill(np.concatenate([upper, bottom[::-1]]), look.lip * 0.85, opacity=0.9, soft=0.8)
    view.fill(np.concatenate([top, lower[::-1]]), look.lip, opacity=0.85, soft=1.0)
    view.fill(np.concatenate([top, bottom[::-1] + _down(1.6)]), look.lip * 0.25)
    opened = bottom[:, 1] - top[:, 1]
    if opened.max() > 3:
        inset = slice(3, -3)
        teeth = top[inset] + np.stack([0 * q, np.minimum(opened - 1, 13)], axis=-1)[inset]
        view.fill(np.concatenate([top[inset], teeth[::-1]]), (0.85, 0.82, 0.76), opacity=0.9, soft=0.6)
    shadow = lower[6:-6] + _down(7)
    view.fill(np.concatenate([lower[6:-6], shadow[::-1]]), look.skin * 0.55, opacity=0.5, soft=2.5)


def _nose(view: _View, look: Look) -> None:
    t = np.linspace(0, 2 * np.pi, 16)
    for side in (-1, 1):
        hole = np.stack([side * 13.5 + 7.5 * np.cos(t), 20 + 0.15 * side * 7 * np.cos(t) + 4 * np.sin(t)], axis=-1)
        view.fill(view.head.nose(hole), look.skin * 0.18, opacity=0.85, soft=1.0)
        wing = [(28, 4), (34, 12), (33, 20), (26, 24), (31, 18), (30, 10)]
        view.fill(view.head.nose([(side * x, y) for x, y in wing]), look.skin * 0.45, opacity=0.6, soft=1.3)


def _eyes(view: _View, look: Look) -> None:
    head, q = view.head, np.linspace(-1, 1, 17)
    t = np.linspace(0, 2 * np.pi, 20)
    for side in (-1, 1):
        upper, lower = head.eye(side, q, 1), head.eye(side, q, -1)
        outline = np.concatenate([upper, lower[::-1]])
        crease = upper - _down(7)
        view.fill(np.concatenate([upper, crease[::-1]]), look.skin * 0.5, opacity=0.45, soft=1.8)
        view.fill(outline, (0.80, 0.77, 0.74))
        ball = np.array([side * head.face.eye_x + head.face.gaze, EYE_Y - 5])
        for radius, tone in ((11.5, look.iris), (5, np.full(3, 0.02))):
            ring = ball + radius * np.stack([np.cos(t), np.sin(t)], axis=-1)
            column = np.clip((ring[:, 0] * side - head.face.eye_x) / head.face.eye_width, -1, 1)
            high, low = (head.eye(side, column, lid)[:, 1] for lid in (1, -1))
            ring[:, 1] = np.clip(ring[:, 1], high, low)
            view.fill(ring, tone)
        view.fill(
            ball + 2.2 * np.stack([np.cos(t), np.sin(t)], axis=-1) - (3, 4),
            (1, 1, 1),
            head.face.open[side > 0] > 0.6,
        )
        lash = upper - np.stack([0 * q, 1.2 + 2.6 * (1 - q**2)], axis=-1)
        view.fill(np.concatenate([upper + _down(1), lash[::-1]]), look.skin * 0.12, opacity=0.85)
        view.fill(np.concatenate([lower, lower[::-1] + _down(2)]), look.skin * 0.5, opacity=0.5, soft=0.8)


def _brows(view: _View, look: Look) -> None:
    q = np.linspace(0, 4, 22)
    thick = view.head.face.brow_width * np.interp(q, [0, 0.6, 2, 3.3, 4], [0.3, 1, 1, 0.75, 0.05])
    for side in (-1, 1):
        upper = view.head.brow(side, q)
        lower = upper + np.stack([0 * q, thick], axis=-1)
        view.fill(np.concatenate([upper, lower[::-1]]), look.hair * 0.45, opacity=look.brow, soft=1.0)


def _glasses(view: _View, look: Look) -> None:
    t = np.linspace(0, 2 * np.pi, 28)
    shape = np.stack(
        [np.sign(np.cos(t)) * np.abs(np.cos(t)) ** 0.6, np.sign(np.sin(t)) * np.abs(np.sin(t)) ** 0.7], axis=-1
    )
    rim = np.full(3, 0.5 * (1 - look.glasses))
    for side in (-1, 1):
        middle = np.array([side * (view.head.face.eye_x + 2), EYE_Y + 2])
        outer, inner = middle + shape * (41, 30), middle + shape * (37, 26)
        if look.tint:
            view.fill(inner, rim, opacity=look.tint, raised=12)
        view.fill(outer, rim, opacity=0.9, raised=12, hole=inner)
    view.fill([(-18, EYE_Y - 6), (18, EYE_Y - 6), (18, EYE_Y - 1), (-18, EYE_Y - 1)], rim, opacity=0.9, raised=12)


def _down(units: float) -> np.ndarray:
    return np.array([0, units])


def _spot(x: np.ndarray, y: np.ndarray, cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
    return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    """Noise (H, W) in [0, 1] without detail finer than `grain` pixels."""
    small = [max(2, int(side / grain) + 2) if side > 1 else 1 for side in shape]
    noise = Image.fromarray(rng.integers(0, 256, small, np.uint8))
    return np.asarray(noise.resize(shape[::-1], Image.Resampling.BICUBIC), np.float32) / 255
