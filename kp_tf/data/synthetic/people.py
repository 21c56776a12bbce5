"""Who is drawn, in what mood, in what light and before what: all the random choices of the drawn faces."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from kp_tf.data.synthetic.head import Face, Pose
from kp_tf.data.synthetic.painting import Light, Look, smooth_noise

_SKINS = np.array(
    [(0.86, 0.66, 0.57), (0.78, 0.57, 0.48), (0.70, 0.50, 0.40), (0.55, 0.37, 0.28), (0.36, 0.23, 0.17)]
)
_HAIRS = np.array(
    [(0.07, 0.06, 0.06), (0.17, 0.11, 0.08), (0.30, 0.20, 0.13), (0.48, 0.33, 0.20), (0.70, 0.55, 0.36),
     (0.42, 0.20, 0.11), (0.62, 0.60, 0.58)]
)  # fmt: skip
_IRISES = np.array([(0.16, 0.10, 0.06), (0.25, 0.18, 0.10), (0.25, 0.32, 0.40), (0.24, 0.30, 0.22)])
_MEN = ("short", "swept", "fringe", "receding", "bald", "shaven")
_WOMEN = ("swept", "fringe", "long", "curtain")


@dataclass(frozen=True)
class Person:
    """Someone to be drawn, at rest."""

    gender: str  # m or f
    face: Face
    look: Look
    grey: bool  # whether the photographs are grey-valued


def draw_person(rng: np.random.Generator, studio: bool) -> Person:
    """A person; in IMM's studio (`studio`) most are fair men, as there, and none wears sunglasses."""
    woman = rng.random() < (0.3 if studio else 0.45)
    normal, uniform = rng.normal, rng.uniform
    face = Face(
        width=normal(1.0 if studio else 1.03, 0.05) - 0.02 * woman,
        jaw=normal(0.01, 0.05) - 0.05 * woman,
        length=normal(1.0 if studio else 0.93, 0.06) - 0.03 * woman,
        eye_x=normal(57.5, 3),
        eye_width=normal(27, 1.8),
        eye_height=np.exp(normal(0, 0.15)),
        slant=normal(0, 2),
        brow=normal(0, 4),
        frown=normal(0, 2),
        brow_width=uniform(5, 9) if woman else uniform(8, 15),
        nose=normal(0, 4),
        nose_width=np.exp(normal(0, 0.1)),
        nose_height=normal(1, 0.15),
        mouth=normal(0, 3.5),
        mouth_width=normal(47, 4),
        lips=uniform(0.8, 1.3) if woman else uniform(0.55, 1.15),
    )
    return Person("f" if woman else "m", face, _draw_look(rng, woman, studio), rng.random() < 0.08)


def _draw_look(rng: np.random.Generator, woman: bool, studio: bool) -> Look:
    uniform = rng.uniform
    shares = (0.4, 0.42, 0.16, 0.015, 0.005) if studio else (0.3, 0.25, 0.2, 0.13, 0.12)
    skin = _SKINS[rng.choice(5, p=shares)] * uniform(0.9, 1.1) * np.exp(rng.normal(0, 0.03, 3))
    style = str(rng.choice(_WOMEN)) if woman else str(rng.choice(_MEN, p=(0.35, 0.22, 0.15, 0.15, 0.08, 0.05)))
    hair = _HAIRS[rng.integers(7 if skin.mean() > 0.45 else 2)] * uniform(0.7, 1.3)
    bearded = not woman and rng.random() < 0.3
    shirt = np.full(3, rng.choice([uniform(0.02, 0.2), uniform(0.2, 0.6), uniform(0.6, 0.95)]))
    glasses = rng.random() < (0.08 if studio else 0.2)
    return Look(
        skin=skin,
        hair=hair,
        style=style,
        thick=uniform(6, 24) * (1.2 if woman else 1),
        brow=uniform(0.35, 0.95),
        iris=_IRISES[rng.integers(4)],
        lip=skin * (1.0, 0.72, 0.74) * uniform(0.75, 1.0),
        ruddy=uniform(0, 0.7),
        stubble=0.0 if woman else (uniform(0.3, 0.9) if bearded else uniform(0, 0.35)),
        moustache=uniform(0.3, 0.9) if bearded and rng.random() < 0.5 else 0.0,
        goatee=uniform(0.3, 0.9) if bearded and rng.random() < 0.5 else 0.0,
        glasses=uniform(0.3, 1.0) if glasses else 0.0,
        tint=uniform(0.6, 0.95) if glasses and not studio and rng.random() < 0.3 else 0.0,
        shirt=shirt * (0.5 + rng.random(3)),
        collar=uniform(140, 215),
        curtain=uniform(60, 330) if woman and rng.random() < 0.7 else 0.0,
    )


def draw_expression(rng: np.random.Generator, face: Face, mood: str | None) -> Face:
    """The face in a mood: neutral, happy, open, surprised, angry, winking or pursed; None: any of them."""
    uniform = rng.uniform
    if mood is None:
        moods = ("neutral", "happy", "open", "surprised", "angry", "winking", "pursed")
        mood = str(rng.choice(moods, p=(0.18, 0.3, 0.2, 0.14, 0.07, 0.06, 0.05)))
    eyes = np.full(2, np.exp(rng.normal(0, 0.12)))
    change: dict[str, float] = {"gaze": rng.normal(0, 4), "gap": max(0.0, rng.normal(-2, 2))}
    if mood == "happy":
        smile = uniform(0.4, 1.2)
        change |= {"smile": smile, "gap": max(0.0, uniform(-4, 16)), "drop": max(0.0, uniform(-6, 12))}
        eyes *= 1 - 0.25 * smile * rng.random()
    elif mood == "open":
        change |= {"drop": uniform(8, 45), "smile": max(0.0, uniform(-0.5, 0.8))}
    elif mood == "surprised":
        change |= {"drop": uniform(0, 35), "brow": face.brow + uniform(5, 16)}
        eyes *= uniform(1.1, 1.4)
    elif mood == "angry":
        change |= {"frown": face.frown + uniform(4, 12), "brow": face.brow - uniform(0, 4)}
        eyes *= uniform(0.5, 0.9)
    elif mood == "winking":
        eyes[rng.integers(2)] = uniform(0, 0.2)
        if rng.random() < 0.4:
            eyes[:] = uniform(0, 0.15)
        change |= {"smile": uniform(0, 0.8), "skew": rng.normal(0, 4)}
    elif mood == "pursed":
        change |= {"mouth_width": face.mouth_width * uniform(0.65, 0.85), "skew": rng.normal(0, 6)}
    return replace(face, open=(float(eyes[0]), float(eyes[1])), **change)


def draw_light(rng: np.random.Generator, spot: bool, studio: bool) -> Light:
    """Soft light from the front, or a spot light from one side; in the studio the exposure hardly varies."""
    colour = np.exp(rng.normal(0, 0.03, 3) + rng.normal(0, 0.05 if studio else 0.18)).astype(np.float32)
    if spot:
        side = rng.choice([-1, 1]) * rng.uniform(0.5, 1.3)
        return Light(
            np.array([side, rng.uniform(-0.5, 0.1), 0.7]), rng.uniform(0.65, 0.9), rng.uniform(0.24, 0.36), colour
        )
    direction = np.array([rng.normal(0, 0.4), rng.normal(-0.4, 0.3), 0.9])
    return Light(direction, rng.uniform(0.55, 0.72), rng.uniform(0.36, 0.44), colour)


def board(rng: np.random.Generator, pose: Pose, light: Light) -> np.ndarray:
    """IMM's studio (480, 640, 3): a dark board, brighter where a spot light falls, with the head's shadow."""
    base = np.array([0.10, 0.19, 0.19]) * np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.1, 3))
    if rng.random() < 0.1:
        base = np.full(3, rng.uniform(0.05, 0.6)) * np.exp(rng.normal(0, 0.1, 3))
    y, x = np.mgrid[-1:1:120j, -1:1:160j]  # all of it is soft
    side, strength = np.clip(light.direction[0], -1, 1), max(0.0, light.key - light.ambient)
    bright = 1 + rng.normal(0, 0.15) * x + rng.normal(0, 0.15) * y + 0.25 * (smooth_noise(rng, x.shape, 40) - 0.5)
    spot = np.exp(-(((x - 0.8 * side) / 0.9) ** 2) - ((y + rng.uniform(-0.3, 0.5)) / 1.2) ** 2)
    bright += rng.uniform(0.5, 2.5) * abs(side) * strength * spot
    dx, dy = (x + 1) * 320 - pose.x + side * 120 * pose.scale, (y + 1) * 240 - pose.y + 10
    shadow = 1 / (1 + np.exp(np.hypot(dx / 130, dy / 190) * 12 / pose.scale - 15))
    bright *= 1 - 0.6 * abs(side) * min(1, 1.5 * strength) * shadow
    large = Image.fromarray(bright.clip(0.2, None).astype(np.float32)).resize((640, 480), Image.Resampling.BILINEAR)
    return np.asarray(large)[..., None] * base.astype(np.float32)


def background(rng: np.random.Generator, shape: tuple[int, int], person: Person) -> np.ndarray:
    """What stands behind a face in the open (H, W, 3): soft or sharp patches, a gradient, a wall."""
    canvas = np.empty((*shape, 3), np.float32)
    canvas[:] = _colour(rng)
    for _ in range(int(rng.integers(1, 4))):
        mask = smooth_noise(rng, shape, rng.choice([4, 15, 40, 90, 200]))[..., None]
        canvas += (
            (mask if rng.random() < 0.6 else mask > 0.5)
            * (rng.random(3) - canvas).astype(np.float32)
            * rng.uniform(0.3, 0.9)
        )
    for _ in range(int(rng.integers(0, 8))):
        top, left = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        high, wide = rng.integers(4, shape[0]), rng.integers(4, shape[1] // 2)
        colour = person.look.skin if rng.random() < 0.2 else _colour(rng)
        patch = canvas[top : top + high, left : left + wide]
        patch += rng.uniform(0.3, 1) * (colour - patch).astype(np.float32)
    return canvas.clip(0, 1)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A colour (3,), more often dull than bright."""
    return (rng.random() * (1 - 0.8 * rng.random() * rng.random(3))).astype(np.float32)
