"""Clips whose truth is known: a labelled photograph that is moved and zoomed over a frame, with camera noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.geometry import overlaps
from kp_tf.data.samples import Records
from kp_tf.predict.detector import find_faces

SIZE, FACE = (640, 480), 160  # pixels: of a frame, of the side of a face's box at rest
RATE, FRAMES = 30, 120  # frames a second, of a clip
NOISE = 5.0  # standard deviation of each colour of a pixel, of 255
ROOM = 640  # pixels around the photograph, its edges replicated


@dataclass(frozen=True)
class Motion:
    """From side to side, nearer and farther, as a sine: pixels and times of zoom at most, seconds of a period."""

    pixels: float
    zoom: float
    period: float

    def at(self, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The face's centre in pixels right of the frame's, and its size in parts of FACE."""
        wave = np.sin(2 * np.pi * seconds / self.period)
        return self.pixels * wave, self.zoom**wave


MOTIONS = {
    "still": Motion(0, 1, 1),
    "slow": Motion(40, 1, 4),  # 63 pixels a second at most: 2 a frame, 0.4 faces a second
    "fast": Motion(150, 1, 1.5),  # 628 a second: 21 a frame, 3.9 faces a second
    "zoom": Motion(0, 1.3, 3),
}


@dataclass(frozen=True)
class Scene:
    """A photograph that can be moved.

    Attributes:
        picture: scaled until the face's box is FACE pixels, with ROOM around it.
        points: (K, 2) of its face, in the picture's pixels.
        centre: (2,) of the face's box, likewise.
    """

    picture: Image.Image
    points: np.ndarray
    centre: np.ndarray

    @classmethod
    def of(cls, photograph: Image.Image, points: np.ndarray, box: np.ndarray) -> "Scene":
        """From a photograph of any size, and the points (K, 2) and the box (4,) of its face."""
        size = np.rint(np.array(photograph.size) * FACE / max(box[2:])).astype(int)
        scale = size / photograph.size
        pixels = np.asarray(photograph.convert("RGB").resize(tuple(size), Image.Resampling.LANCZOS))
        picture = Image.fromarray(np.pad(pixels, ((ROOM, ROOM), (ROOM, ROOM), (0, 0)), "edge"))
        centre = box[:2] + box[2:] / 2 - 0.5
        return cls(picture, *((place + 0.5) * scale - 0.5 + ROOM for place in (points, centre)))

    def truth(self, motion: Motion, seconds: np.ndarray) -> np.ndarray:
        """The points (T, K, 2) in the pixels of the frames at T times."""
        x, zoom = motion.at(seconds)
        centre = np.array(SIZE) / 2 - 0.5 + np.stack([x, 0 * x], axis=-1)
        return zoom[:, None, None] * (self.points - self.centre) + centre[:, None]

    def frame(self, motion: Motion, seconds: float) -> np.ndarray:
        """The frame (H, W, 3) at a time, without noise."""
        x, zoom = motion.at(seconds)
        corner = self.centre + 0.5 - (np.array(SIZE) / 2 + (x, 0)) / zoom  # Pillow counts from pixels' edges
        back = (1 / zoom, 0, corner[0], 0, 1 / zoom, corner[1])
        # Pillow's bicubic filter moves pixels by up to 0.06
        return np.asarray(self.picture.transform(SIZE, Image.Transform.AFFINE, back, Image.Resampling.BILINEAR))

    def clip(self, motion: Motion, seed: Sequence[int]) -> np.ndarray:
        """FRAMES frames (T, H, W, 3) with camera noise."""
        rng, clip = np.random.default_rng(seed), np.empty((FRAMES, *SIZE[::-1], 3), np.uint8)
        for k in range(FRAMES):
            noise = NOISE * rng.standard_normal(clip.shape[1:], np.float32)
            clip[k] = np.clip(self.frame(motion, k / RATE) + noise + 0.5, 0, 255)
        return clip


def scenes(records: Records, count: int) -> Iterator[Scene]:
    """As many faces as asked for, in a drawn order, without those that dlib's detector does not find at rest."""
    rest, taken = np.array([(SIZE[0] - FACE) / 2, (SIZE[1] - FACE) / 2, FACE, FACE]), 0
    for k in np.random.default_rng(0).permutation(len(records)):
        with Image.open(records.root / records.files[k]) as photograph:
            scene = Scene.of(photograph, records.points[k], records.boxes[k])
        if (overlaps(find_faces(Image.fromarray(scene.frame(MOTIONS["still"], 0))), rest) > 0.3).any():
            yield scene
            taken += 1
            if taken == count:
                return
    raise KpError(f"--faces {count}: expected so many that the detector finds, found {taken}")
