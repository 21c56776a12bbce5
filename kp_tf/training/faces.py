"""Labelled photographs to what training holds in memory."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path

import numpy as np
import tensorflow as tf

from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.errors import format_problems, raise_problems
from kp_tf.core.geometry import crop_windows, median_scale_to_cover, to_unit
from kp_tf.core.mean_face import MeanFace
from kp_tf.data.datasets import Split
from kp_tf.data.formats import read_labels
from kp_tf.data.samples import Samples
from kp_tf.data.splits import is_mirror
from kp_tf.input.batches import Crops
from kp_tf.input.decode import CANNOT_USE, decode_crops
from kp_tf.input.stored import PartOfCrops
from kp_tf.training import distributed
from kp_tf.training.config import TrainConfig
from kp_tf.training.points import report_points

NUM_EXAMPLES = 8  # test photographs that are drawn


@dataclass(frozen=True)
class Faces:
    """N faces whose photographs have been decoded.

    Attributes:
        samples: in pixels of the photographs as stored.
        upright: the same in pixels of the upright photographs.
        crops: (N, H, W, 1) uint8.
        points_norm: (N, K, 2) float32 in the unit square of the crops.
        windows: (N, 4 or 5) of the crops, in pixels of the upright photographs.
        shards: (N,) the number of the machine that keeps each crop; None if this one keeps all.
    """

    samples: Samples
    upright: Samples
    crops: Crops
    points_norm: np.ndarray
    windows: np.ndarray
    shards: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def own(self) -> np.ndarray:
        """The indices of the faces whose crops this machine keeps."""
        return _own(self.shards, len(self))

    def crops_of(self, rows: np.ndarray) -> np.ndarray:
        """The crops of any faces; with several machines they are decoded again."""
        if self.shards is None:
            return self.crops[rows]
        _, height, width, _ = self.crops.shape
        return decode_crops(self.upright.take(rows), self.windows[rows], (height, width))[:]


@dataclass(frozen=True)
class Loaded:
    """Everything that was read: the network's description, both subsets, test photographs, what was left out, further
    validation faces by the name of their file, and what was read with."""

    info: ModelInfo
    training: Faces
    validation: Faces
    test: Samples | None
    skipped: list[str]
    added: dict[str, Samples] = field(default_factory=dict)
    strategy: tf.distribute.Strategy = field(default_factory=tf.distribute.get_strategy)

    @cached_property
    def split(self) -> dict[str, list[str] | str]:
        """The photographs of both subsets and a digest of their pixels and points, for split.json; machines that train
        together have the same."""
        sides, digest = {"training": self.training, "validation": self.validation}, hashlib.sha256()
        for side in sides.values():
            digest.update(distributed.total(self.strategy, _digests(side)).tobytes())
        for samples in self.added.values():
            digest.update(samples.labels.tobytes() + samples.boxes.tobytes())
        return {name: list(side.samples.files) for name, side in sides.items()} | {"digest": digest.hexdigest()}


def _digests(faces: Faces) -> np.ndarray:
    """One number for the pixels and points of each face (N,); 0 where another machine keeps the crop."""
    numbers = np.zeros(len(faces), np.int64)
    for rows in np.array_split(faces.own, -(-len(faces) // 1000)):
        points = to_unit(faces.upright.labels[rows], faces.windows[rows])
        for row, face, crop in zip(rows, points, faces.crops[rows], strict=True):
            content = hashlib.sha256(face.tobytes() + crop.tobytes())
            numbers[row] = int.from_bytes(content.digest()[:8], "big", signed=True)
    return numbers


def load(config: TrainConfig, device: str, strategy: tf.distribute.Strategy | None = None) -> Loaded:
    """Read the labels and decode the photographs; of several machines, each decodes its own part.

    Args:
        config: of the training.
        device: the name of what it will run on, for the message.
        strategy: from `distributed.strategy_of`.

    Raises:
        KpError: if labels or photographs cannot be used and are not to be skipped, or if machines have different ones.
    """
    split, skipped = _read_split(config)
    strategy = strategy or tf.distribute.get_strategy()
    reading = _Reading(config.skip_bad, skipped, strategy)
    own_boxes = _with_face_boxes(config, split.training)
    info = _describe_network(config, split.training, own_boxes)
    more = [_read_more(config, info, path, skipped) for path in config.add]
    added = reduce(Samples.joined, more) if more else None
    validated = {path: _read_more(config, info, path, skipped) for path in config.add_val}
    if distributed.is_chief():
        count = f"{len(split.training)} + {len(added)}" if added else f"{len(split.training)}"
        validation = " + ".join(map(str, map(len, (split.validation, *validated.values()))))
        sizes = f"{count} training and {validation} validation images"
        print(f"{config.title}: {sizes} of {config.dataset.root}, on {device}")
        if config.labels:
            report_points(split)
    training = own_boxes if info.framing else split.training
    test = config.dataset.read_test()
    everyone = [*split, *more, *validated.values(), *([test] if test else [])]
    distributed.check_alike(strategy, [samples.files for samples in everyone])  # before their faces are divided
    training = _decode_training(info, training.joined(added) if added else training, reading)
    validation = _decode_validation(info, split.validation, reading)
    decodable = {path: _decodable(info, samples, reading) for path, samples in validated.items()}
    if test:  # a bad one is reported now instead of after the training
        originals = [index for index, file in enumerate(test.files) if not is_mirror(file)]
        places = np.linspace(0, len(originals) - 1, NUM_EXAMPLES).round().astype(int)
        test = test if config.skip_bad else test.checked()
        test = _decodable(info, test.take([originals[place] for place in places]), reading)
    if skipped:
        print(
            format_problems(skipped, "problems; these are left out") if len(skipped) > 1 else f"Left out: {skipped[0]}"
        )
    return Loaded(info, training, validation, test, skipped, _by_name(decodable), strategy)


def _read_split(config: TrainConfig) -> tuple[Split, list[str]]:
    """The faces for training and validation, and what is left out with `skip_bad`.

    Raises:
        KpError: if labels cannot be used and are not to be skipped.
    """
    split = config.dataset.read_split()
    if not config.skip_bad:
        raise_problems(split.problems, f"entries of {config.dataset.root} cannot be used")
    return split, list(split.problems)


def _read_more(config: TrainConfig, info: ModelInfo, path: Path, skipped: list[str]) -> Samples:
    """Further faces; with `skip_bad`, `skipped` gets what is left out. Raises KpError as `_read_split`."""
    samples = read_labels(path, allow_outside=config.allow_outside).with_scheme(info.scheme)
    if not config.skip_bad:
        raise_problems(samples.problems, f"entries of {path} cannot be used")
    skipped += samples.problems
    return samples


def _by_name(by_path: dict[Path, Samples]) -> dict[str, Samples]:
    """Faces by the names of their label files without suffix, with a number from the second file of a name on."""
    names: dict[str, Samples] = {}
    for path, samples in by_path.items():
        count = sum(path.stem == other.stem for other in list(by_path)[: len(names)])
        names[f"{path.stem}-{count + 1}" if count else path.stem] = samples
    return names


def _with_face_boxes(config: TrainConfig, training: Samples) -> Samples:
    """The faces for training in boxes of their own, if the recipe makes use of them."""
    if config.recipe.num_passes == 1 and not config.recipe.crop_margin:
        return training
    return replace(training, boxes=config.dataset.face_boxes(training))


def _describe_network(config: TrainConfig, training: Samples, own_boxes: Samples) -> ModelInfo:
    """The network that will be trained, with what the training faces determine: the mean face, and how far from the
    face the crop reaches.

    Args:
        config: of the training.
        training: the faces in the boxes that the data set gives.
        own_boxes: the same faces in boxes of their own.
    """
    recipe, orientations = config.recipe, training.orientations()
    frames, own = training.upright(orientations).boxes, own_boxes.upright(orientations)
    if recipe.crop_margin and recipe.crop_scale is None and recipe.stored_shape:
        # the points may lie well inside the box, which then shows how large the object is
        scale = round(recipe.crop_margin * max(1.0, median_scale_to_cover(own.labels, own.boxes)), 3)
        stored_scale = round(scale * recipe.stored_shape[0] / recipe.shape[0], 3)
        recipe = replace(recipe, crop_scale=scale, stored_scale=stored_scale)
    # with one pass, the mean face is what a network of a user's own points finds things by (predict/search.py)
    has_all_points = not np.isnan(own.labels).all(axis=(0, 2)).any()
    needs_it = recipe.num_passes > 1 or (recipe.dataset == "labels" and has_all_points)
    mean_face = MeanFace.from_faces(frames, own.boxes, own.labels) if needs_it else None
    faces, photographs = (None, mean_face) if recipe.takes_whole_photographs else (mean_face, None)
    return ModelInfo(Path(), recipe, training.scheme, config.is_sample, mean_face=faces, framing=photographs)


@dataclass(frozen=True)
class _Reading:
    """How photographs are read: whether bad ones are skipped, the list that gets their problems, and the machines."""

    skip: bool
    skipped: list[str]
    strategy: tf.distribute.Strategy


def _decode_training(info: ModelInfo, samples: Samples, reading: _Reading) -> Faces:
    """The crops that training keeps of the faces (N), which have boxes of their own."""
    recipe = info.recipe
    shape, scale = (
        (recipe.stored_shape, recipe.stored_scale) if recipe.stored_shape else (recipe.shape, recipe.crop_scale)
    )
    upright = samples.upright(samples.orientations())
    windows = crop_windows(_last_boxes(info, upright), scale)
    return _decode(samples, upright, windows, shape, reading)


def _decode_validation(info: ModelInfo, samples: Samples, reading: _Reading) -> Faces:
    """The windows of the network's first pass, or of its last."""
    upright = samples.upright(samples.orientations())
    boxes = info.framing.boxes_in(upright.boxes) if info.framing else _last_boxes(info, upright)
    windows = crop_windows(boxes, info.recipe.crop_scale)
    return _decode(samples, upright, windows, info.recipe.shape, reading)


def _last_boxes(info: ModelInfo, upright: Samples) -> np.ndarray:
    """The boxes that the last pass should see, with their angles: the mean face fitted to the labels.

    Where windows are not rotated, they are the given boxes.
    """
    if info.mean_face is None or not info.recipe.rotated_windows:
        return upright.boxes
    return info.mean_face.rotated_boxes_around(upright.labels, upright.boxes)


def _decodable(info: ModelInfo, samples: Samples, reading: _Reading) -> Samples:
    """The samples whose images can be used."""
    upright = samples.upright(samples.orientations())
    windows = crop_windows(upright.boxes, info.recipe.crop_scale)
    return _decode(samples, upright, windows, info.recipe.shape, reading).samples


def _decode(
    samples: Samples, upright: Samples, windows: np.ndarray, shape: tuple[int, int], reading: _Reading
) -> Faces:
    """Decode the windows of this machine's faces, and leave out the faces whose images no machine can use.

    Raises:
        KpError: if an image cannot be used and is not to be skipped, or if none can.
    """
    bad: dict[int, str] = {}
    shards = distributed.shards_of(samples.files)
    own, places = _own(shards, len(samples)), np.full(len(samples), -1)
    part = (upright, windows) if shards is None else (upright.take(own), windows[own])
    crops = decode_crops(*part, shape, bad if reading.skip else None)
    reading.skipped.extend(bad.values())
    good = np.delete(own, list(bad))
    places[good] = np.arange(len(good))
    kept = np.arange(len(samples))
    if reading.skip:
        found = np.zeros(len(samples), np.int64)
        found[own] = 1
        found[good] = 0
        kept = np.flatnonzero(distributed.total(reading.strategy, found) == 0)
    if not len(kept):
        raise_problems(list(bad.values()) or ["another machine has images that cannot be used"], CANNOT_USE)
    if len(kept) < len(samples):  # otherwise nothing is copied
        samples, upright, windows = samples.take(kept), upright.take(kept), windows[kept]
    points_norm = () if upright.points is None else to_unit(upright.points, windows)
    whole = crops if shards is None else PartOfCrops(crops, places[kept])
    shards = None if shards is None else shards[kept]
    return Faces(samples, upright, whole, np.asarray(points_norm, np.float32), windows, shards)


def _own(shards: np.ndarray | None, count: int) -> np.ndarray:
    return np.arange(count) if shards is None else np.flatnonzero(shards == distributed.machines()[1])
