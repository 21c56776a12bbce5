"""Clips whose truth is known: a labelled photograph that moves across a frame and is zoomed, with camera noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.geometry import overlaps
from kp_tf.data.samples import Samples
from kp_tf.predict.detectors import find_detector

FRAME_SIZE = (640, 480)  # width and height in pixels
FACE_SIDE = 160  # pixels: the side of a face's box at rest
RATE, FRAMES = 30, 120  # frames per second, and of a clip
NOISE = 5.0  # standard deviation of each colour of a pixel, of 255
MARGIN = 640  # pixels added around the photograph by replicating its edges


@dataclass(frozen=True)
class Motion:
    """A sinusoidal motion from side to side, or a sinusoidal zoom."""

    pixels: float  # largest distance from the middle of the frame
    zoom: float  # largest factor of the face's size; the smallest is its inverse
    period: float  # seconds

    def at(self, seconds: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Return the face's distance in pixels to the right of the middle, and its size relative to FACE_SIDE."""
        wave = np.sin(2 * np.pi * np.asarray(seconds) / self.period)
        return self.pixels * wave, self.zoom**wave


MOTIONS = {
    "still": Motion(0, 1, 1),
    "slow": Motion(40, 1, 4),  # at most 63 pixels per second: 2 per frame, 0.4 faces per second
    "fast": Motion(150, 1, 1.5),  # at most 628 per second: 21 per frame, 3.9 faces per second
    "zoom": Motion(0, 1.3, 3),
}


@dataclass(frozen=True)
class Scene:
    """A photograph of a face, ready to be moved."""

    picture: Image.Image  # scaled so that the face's box has FACE_SIDE, with MARGIN around it
    points: np.ndarray  # (K, 2) of the face in the picture's pixels
    centre: np.ndarray  # (2,) of the face's box in the picture's pixels

    @classmethod
    def from_photograph(cls, photograph: Image.Image, points: np.ndarray, box: np.ndarray) -> "Scene":
        """Make a scene from a photograph of any size, and the points (K, 2) and box (4,) of its face in pixels."""
        size = np.rint(np.array(photograph.size) * FACE_SIDE / max(box[2:])).astype(int)
        scale = size / photograph.size
        pixels = np.asarray(photograph.convert("RGB").resize(tuple(size), Image.Resampling.LANCZOS))
        picture = Image.fromarray(np.pad(pixels, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), "edge"))
        centre = box[:2] + box[2:] / 2 - 0.5
        return cls(picture, *((place + 0.5) * scale - 0.5 + MARGIN for place in (points, centre)))

    def truth(self, motion: Motion, seconds: np.ndarray) -> np.ndarray:
        """Return the points (T, K, 2) in pixels of the frames at times (T,)."""
        x, zoom = motion.at(seconds)
        centre = np.array(FRAME_SIZE) / 2 - 0.5 + np.stack([x, 0 * x], axis=-1)
        return zoom[:, None, None] * (self.points - self.centre) + centre[:, None]

    def frame(self, motion: Motion, seconds: float) -> np.ndarray:
        """Return the frame (H, W, 3) at a time, without noise."""
        x, zoom = motion.at(seconds)
        corner = self.centre + 0.5 - (np.array(FRAME_SIZE) / 2 + np.array([x, 0.0])) / zoom  # Pillow counts from edges
        inverse = (1 / zoom, 0, corner[0], 0, 1 / zoom, corner[1])
        # Pillow's bicubic filter moves pixels by up to 0.06
        frame = self.picture.transform(FRAME_SIZE, Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR)
        return np.asarray(frame)

    def clip(self, motion: Motion, seed: Sequence[int]) -> np.ndarray:
        """Return FRAMES frames (T, H, W, 3) with camera noise."""
        rng, clip = np.random.default_rng(seed), np.empty((FRAMES, *FRAME_SIZE[::-1], 3), np.uint8)
        for k in range(FRAMES):
            noise = NOISE * rng.standard_normal(clip.shape[1:], np.float32)
            clip[k] = np.clip(self.frame(motion, k / RATE) + noise + 0.5, 0, 255)
        return clip


def random_scenes(samples: Samples, count: int) -> Iterator[Scene]:
    """Yield scenes of faces in random order, leaving out those that dlib's detector does not find at rest.

    Raises:
        KpError: if there are fewer than `count`.
    """
    taken, at_rest = 0, np.array([*(np.array(FRAME_SIZE) - FACE_SIDE) / 2, FACE_SIDE, FACE_SIDE])
    for k in np.random.default_rng(0).permutation(len(samples)):
        with Image.open(samples.root / samples.files[k]) as photograph:
            scene = Scene.from_photograph(photograph, samples.labels[k], samples.boxes[k])
        if (overlaps(find_detector("dlib")(Image.fromarray(scene.frame(MOTIONS["still"], 0))), at_rest) > 0.3).any():
            yield scene
            taken += 1
            if taken == count:
                return
    raise KpError(f"--faces {count}: dlib's detector finds only {taken} of the faces")
