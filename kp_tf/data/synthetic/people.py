"""Who is drawn, with what expression and in what light: the random choices of the synthetic faces."""

from dataclasses import dataclass, replace

import numpy as np

from kp_tf.data.synthetic.head import Face

_DEVIATIONS = {  # of faces at rest from the mean
    "width": 0.05, "jaw": 0.05, "length": 0.06, "eye_x": 3, "eye_width": 1.8, "brow": 4, "nose": 4,
    "nose_width": 0.1, "mouth": 3.5, "mouth_width": 4, "lips": 0.15,
}  # fmt: skip
_SKINS = np.array([(0.86, 0.66, 0.57), (0.78, 0.57, 0.48), (0.70, 0.50, 0.40), (0.42, 0.28, 0.21)], np.float32)
_HAIRS = np.array(
    [(0.07, 0.06, 0.06), (0.17, 0.11, 0.08), (0.30, 0.20, 0.13), (0.62, 0.50, 0.36), (0.62, 0.60, 0.58)], np.float32
)
_IRISES = np.array([(0.16, 0.10, 0.06), (0.25, 0.18, 0.10), (0.25, 0.32, 0.40)], np.float32)


@dataclass(frozen=True)
class Person:
    """Someone to be drawn; colours are RGB in [0, 1]."""

    gender: str  # m or f
    face: Face  # at rest
    skin: np.ndarray
    lip: np.ndarray
    iris: np.ndarray
    hair: np.ndarray
    hairline: tuple[float, ...]  # the heights above which hair grows, at angles of 0, 50, 90 and 180 about the head
    thickness: float  # of the hair, in head units
    brow: float  # opacity of the brows, in [0, 1]
    beard: float  # its opacity, in [0, 1]
    glasses: float  # opacity of their rims, in [0, 1]
    shirt: np.ndarray

    def hair_above(self, angle: np.ndarray) -> np.ndarray:
        """The heights above which hair grows, at angles in degrees about the head."""
        return np.interp(np.abs(angle), (0, 50, 90, 180), self.hairline)


def draw_person(rng: np.random.Generator) -> Person:
    """Draw a person with a face at rest."""
    uniform, woman = rng.uniform, rng.random() < 0.35
    skin = _SKINS[rng.choice(4, p=(0.4, 0.35, 0.17, 0.08))] * uniform(0.85, 1.15)
    skin *= np.exp(rng.normal(0, 0.03, 3))
    front, bald = uniform(-195, -110), not woman and rng.random() < 0.08
    sides = (uniform(0, 80), uniform(60, 90)) if woman else (uniform(-30, 10), uniform(30, 60))
    return Person(
        gender="f" if woman else "m",
        face=Face(**{key: getattr(Face, key) + rng.normal(0, deviation) for key, deviation in _DEVIATIONS.items()}),
        skin=skin,
        lip=skin * (1.0, 0.72, 0.74) * uniform(0.75, 1.0),
        iris=_IRISES[rng.integers(3)],
        hair=_HAIRS[rng.integers(5 if skin.mean() > 0.45 else 2)] * uniform(0.7, 1.3),
        hairline=(-250.0,) * 4 if bald else (front, front + uniform(-15, 30), *sides),
        thickness=uniform(6, 24),
        brow=uniform(0.35, 0.95),
        beard=0.0 if woman else uniform(0.4, 0.9) if rng.random() < 0.3 else uniform(0, 0.3),
        glasses=uniform(0.4, 1.0) if rng.random() < 0.12 else 0.0,
        shirt=uniform(0.05, 0.9) * uniform(0.5, 1.1, 3),
    )


def draw_expression(rng: np.random.Generator, face: Face, mood: str) -> Face:
    """Draw an expression of a face: `neutral`, `happy`, or `any`."""
    lids = np.full(2, np.exp(rng.normal(0, 0.15)))
    change = {"gaze": rng.normal(0, 4), "gap": max(0.0, rng.normal(-2, 2))}
    if mood == "any":
        lids *= rng.uniform(0.6, 1.3)
        lids[rng.random(2) < 0.06] = 0.1  # winks
        smile, drop, brow, width = rng.uniform((-1.0, -30, -8, 0.7), (1.2, 42, 14, 1.5)).tolist()
        change |= {"smile": max(0.0, smile), "drop": max(0.0, drop), "brow": face.brow + brow}
        change["mouth_width"] = face.mouth_width * min(1.0, width)
    elif mood == "happy":
        smile, gap, drop = rng.uniform((0.4, -4, -6), (1.2, 16, 12)).tolist()
        change |= {"smile": smile, "gap": max(0.0, gap), "drop": max(0.0, drop)}
        lids *= 1 - 0.15 * smile
    return replace(face, eyelids=(float(lids[0]), float(lids[1])), **change)


def draw_light(rng: np.random.Generator, spot: bool) -> np.ndarray:
    """Draw a spot light from one side or soft light from the front: a vector (3,) as long as it is strong."""
    soft = np.array([rng.normal(0, 0.4), rng.normal(-0.4, 0.3), 0.9])
    light = np.array([rng.choice([-1, 1]) * rng.uniform(0.5, 1.3), rng.uniform(-0.5, 0.1), 0.7]) if spot else soft
    return light / np.linalg.norm(light) * rng.uniform(0.55, 0.85 if spot else 0.72)
