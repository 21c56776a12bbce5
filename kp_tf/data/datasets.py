"""The data sets: where they are on disk, how each is read, and how it is split for training and validation."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.core.geometry import boxes_around_points
from kp_tf.core.keypoints import IBUG68, NOSE, NOSE_POINT, Scheme, parse_scheme, recognize
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.formats import label_names, read_labels
from kp_tf.data.imm import read_imm
from kp_tf.data.layout import DATA, FOLDERS, TEST_XMLS, TRAIN_XML
from kp_tf.data.samples import Samples
from kp_tf.data.splits import hold_out_tenth, in_imm_validation, in_validation, is_mirror
from kp_tf.data.synthetic.sample import sample_folder


class Split(NamedTuple):
    """The faces for training and those for validation."""

    training: Samples
    validation: Samples

    @property
    def problems(self) -> tuple[str, ...]:
        """The entries of both sides' label files that could not be read."""
        return tuple(dict.fromkeys(self.training.problems + self.validation.problems))


class Dataset(Protocol):
    """Labelled faces for training and validation."""

    @property
    def root(self) -> Path:
        """The folder that is named in messages."""
        ...

    def read_split(self) -> Split:
        """Read both sides.

        Raises:
            KpError: if a label file is missing or has no usable entry, or if one side is empty.
        """
        ...

    def face_boxes(self, samples: Samples) -> np.ndarray:
        """Boxes (N, 4) of the faces themselves, where the samples' own boxes are whole photographs."""
        ...

    def read_test(self) -> Samples | None:
        """Photographs without labels to predict; None if the data set has none."""
        ...


@dataclass(frozen=True)
class ImmDataset:
    """The IMM face database: people 33–40 are for validation. The box of each face is its whole photograph."""

    root: Path
    scheme: Scheme  # IMM58, or NOSE for the nose tip alone

    def read(self) -> Samples:
        """All faces. Raises KpError as `read_imm` does."""
        samples = read_imm(self.root)
        if self.scheme is NOSE:
            return replace(samples, points=samples.labels[:, [NOSE_POINT]], scheme=NOSE)
        return samples

    def read_split(self) -> Split:
        samples = self.read()
        held_out = np.array([in_imm_validation(file) for file in samples.files])
        return _split(samples, held_out)

    def face_boxes(self, samples: Samples) -> np.ndarray:
        """Boxes around all 58 points, even if the scheme is the nose tip alone."""
        whole = read_imm(self.root)
        boxes = dict(zip(whole.files, boxes_around_points(whole.labels), strict=True))
        return np.array([boxes[file] for file in samples.files])

    def read_test(self) -> None:
        return None


@dataclass(frozen=True)
class IbugDataset:
    """dlib's release of 300-W: one photograph in ten is for validation, without mirror images."""

    root: Path

    def read_split(self) -> Split:
        samples = read_dlib_xml(self.root / TRAIN_XML, IBUG68)
        held_out = np.array([in_validation(file) for file in samples.files])
        mirrors = np.array([is_mirror(file) for file in samples.files])
        return _split(samples, held_out, ignored=held_out & mirrors)

    def face_boxes(self, samples: Samples) -> np.ndarray:
        return samples.boxes

    def read_test(self) -> Samples | None:
        """The test photographs with their boxes, as Kaggle's package or dlib's archive has them."""
        path = next((path for name in TEST_XMLS if (path := self.root / name).is_file()), None)
        return path and read_dlib_xml(path, IBUG68, labelled=False)


@dataclass(frozen=True)
class OwnLabels:
    """A user's own points in any of `data.formats`.

    Attributes:
        labels: the file or folder of labels.
        validation_labels: other labels for validation; without them, a tenth of the photographs is held out.
        scheme_file: JSON for `parse_scheme`. Without it, the points are all parts that the labels name, with flip
            partners, groups and eyes if these are the points of a scheme that `recognize` knows.
        scheme: one that is recognized as well.
        allow_outside: take photographs outside the folder of the labels as well.
    """

    labels: Path
    validation_labels: Path | None = None
    scheme_file: Path | None = None
    scheme: Scheme | None = None
    allow_outside: bool = False

    @property
    def root(self) -> Path:
        return self.labels if self.labels.is_dir() else self.labels.parent

    def read_split(self) -> Split:
        scheme = self._scheme()
        samples = read_labels(self.labels, scheme, allow_outside=self.allow_outside)
        if self.validation_labels:
            validation = read_labels(self.validation_labels, scheme, allow_outside=self.allow_outside)
            split = Split(samples, validation)
        elif len(set(samples.files)) < 2:
            raise KpError(f"{self.labels}: at least two photographs are needed, one of them for validation")
        else:
            split = _split(samples, hold_out_tenth(samples.files))
        missing = np.isnan(split.training.labels[..., 0]).all(axis=0)
        if missing.any():
            name = scheme.names[missing.argmax()]
            raise KpError(f"{self.labels}: no face for training has the point {name!r}")
        return split

    def face_boxes(self, samples: Samples) -> np.ndarray:
        return samples.boxes

    def read_test(self) -> None:
        return None

    def _scheme(self) -> Scheme:
        names = label_names(self.labels, self.allow_outside)
        if self.scheme_file is None:
            return recognize(names, self.scheme) or Scheme("own", names, ())
        return parse_scheme(read_json(self.scheme_file), str(self.scheme_file), names)


def _split(samples: Samples, held_out: np.ndarray, ignored: np.ndarray | None = None) -> Split:
    """Both sides by a mask (N,); `ignored` faces are on neither."""
    ignored = np.zeros(len(samples), bool) if ignored is None else ignored
    sides = [np.flatnonzero(side & ~ignored) for side in (~held_out, held_out)]
    if not all(len(side) for side in sides):
        counts = f"{len(sides[0])} and {len(sides[1])} of {len(samples)}"
        raise KpError(f"{samples.root}: faces are needed for training and for validation, found {counts}")
    return Split(*(samples.take(side) for side in sides))


class DataFolder(NamedTuple):
    """A folder that holds a data set's folder, and whether its faces are drawn."""

    root: Path
    is_sample: bool

    def folder(self, dataset: str) -> Path:
        """The folder of `imm` or `ibug`."""
        return self.root / FOLDERS[dataset]


def find_data(named: str | None, dataset: str, test_only: bool = False) -> DataFolder:
    """Find a data set in the folder named, else in $KP_TF_DATA, else in `data/`; if there is none, draw a sample.

    Args:
        named: a folder that holds the data sets' folders, `sample` for synthetic faces, or None.
        dataset: `imm` or `ibug`.
        test_only: of a sample, draw no more than the test photographs.

    Raises:
        KpError: if a folder was named, here or by $KP_TF_DATA, and does not hold the data set, or if the sample
            cannot be drawn.
    """
    if named == "sample":
        return DataFolder(sample_folder(dataset, test_only), is_sample=True)
    source = "--data" if named else "$KP_TF_DATA"
    named = named or os.environ.get("KP_TF_DATA")
    if named:
        if not (Path(named) / FOLDERS[dataset]).is_dir():
            raise KpError(f"{source} {named}: there is no folder {FOLDERS[dataset]}/ in it")
        return DataFolder(Path(named), is_sample=False)
    if (DATA / FOLDERS[dataset]).is_dir():
        return DataFolder(DATA, is_sample=False)
    print(
        f"There is no folder {DATA / FOLDERS[dataset]}/, so a sample of synthetic faces is used instead.\n"
        f"For real faces, run `python -m kp_tf download {dataset}`, or name a folder with --data or $KP_TF_DATA."
    )
    return DataFolder(sample_folder(dataset, test_only), is_sample=True)
