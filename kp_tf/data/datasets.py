"""Where the data is, and files to records."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.core.geometry import bounding_boxes
from kp_tf.data.dlib_xml import part_names, read_dlib_xml
from kp_tf.data.imm import imm_validation, read_imm
from kp_tf.data.samples import Records, in_validation, is_mirror
from kp_tf.core.keypoints import IBUG68, NOSE, NOSE_POINT, Scheme, parse_scheme

FOLDERS = {"imm": "imm_face_db", "ibug": "ibug_300W_large_face_landmark_dataset"}
TRAIN_XML = "labels_ibug_300W_train.xml"
# of Kaggle's package, of dlib's archive
TEST_XMLS = ("labels_ibug_300W_test_parsed.xml", "labels_ibug_300W_test.xml")
HOME = Path("data")  # in the working folder: where downloads and the drawn sample go
SAMPLE = HOME / "sample"


@dataclass(frozen=True)
class Data:
    """A folder that holds a data set, and whether its faces are drawn."""

    root: Path
    sample: bool

    def folder(self, dataset: str) -> Path:
        """The folder of `imm` or `ibug`."""
        return self.root / FOLDERS[dataset]


def find_data(named: str | None, dataset: str) -> Data:
    """Look in the folder named, then in $KP_TF_DATA, then in `data/`; where nothing is found, draw a sample.

    Args:
        named: a folder that holds the data sets' folders, `sample` for the drawn faces, or None.
        dataset: `imm` or `ibug`.

    Raises:
        KpError: if a folder was named, here or by $KP_TF_DATA, and lacks the data set.
    """
    if named == "sample":
        return _sample(dataset)
    source = "--data" if named else "$KP_TF_DATA"
    named = named or os.environ.get("KP_TF_DATA")
    if named:
        if not (Path(named) / FOLDERS[dataset]).is_dir():
            raise KpError(f"{source} {named}: expected a folder that holds {FOLDERS[dataset]}/, found none")
        return Data(Path(named), sample=False)
    if (HOME / FOLDERS[dataset]).is_dir():
        return Data(HOME, sample=False)
    print(
        f"No real data found (looked for {HOME / FOLDERS[dataset]}/). Working on a sample of drawn faces instead.\n"
        f"For real faces: python -m kp_tf download {dataset}, or name a folder with --data or $KP_TF_DATA."
    )
    return _sample(dataset)


def _sample(dataset: str) -> Data:
    from kp_tf.data.synthetic.sample import FACES, PEOPLE, make_sample  # nobody with real data needs it

    folder = SAMPLE / dataset  # each has its own, because drawing takes a minute
    make_sample(folder, people=PEOPLE if dataset == "imm" else 0, faces=FACES if dataset == "ibug" else 0)
    return Data(folder, sample=True)


def read_labelled(data: Data, dataset: str, scheme: Scheme, skipped: list[str] | None = None) -> Records:
    """The labelled faces of `imm` (all 58 points, or the nose alone) or `ibug`; `skipped` as their readers have it.

    Raises:
        KpError: as the reader of the data set.
    """
    if dataset == "ibug":
        return read_dlib_xml(data.folder("ibug") / TRAIN_XML, IBUG68, skipped=skipped)
    return read_imm_as(data.folder("imm"), scheme, skipped)


def read_imm_as(folder: Path, scheme: Scheme, skipped: list[str] | None = None) -> Records:
    """A folder of IMM's files with all 58 points, or with the nose alone."""
    records = read_imm(folder, skipped)
    if scheme is NOSE:
        return replace(records, points=records.points[:, [NOSE_POINT]], scheme=NOSE)
    return records


def with_face_boxes(records: Records) -> Records:
    """Faces of IMM with the box around all 58 points, which a network may know in training only."""
    boxes = dict(zip((whole := read_imm(records.root, [])).files, bounding_boxes(whole.points), strict=True))
    return replace(records, boxes=np.array([boxes[file] for file in records.files]))


def read_own(config: dict, skipped: list[str] | None = None) -> tuple[Records, Records]:
    """A user's own labelled faces for training and for validation.

    Args:
        config: "labels" names dlib's XML; "val_labels" another one, else a tenth of the photographs is taken, at
            least one; "scheme_file" a JSON for `parse_scheme`, else the points are all parts in the labels.
        skipped: see `read_dlib_xml`.

    Raises:
        KpError: if a file is bad, a point of the scheme is on no face, or there is one photograph alone.
    """
    labels, where = Path(config["labels"]), config.get("scheme_file")
    names = part_names(labels)
    scheme = parse_scheme(read_json(Path(where)), where, names) if where else Scheme("own", names, ())
    records = read_dlib_xml(labels, scheme, partial=True, skipped=skipped)
    if "val_labels" in config:
        validation = read_dlib_xml(Path(config["val_labels"]), scheme, partial=True, skipped=skipped)
        training = records
    else:
        training, validation = _tenth(records)
    never = np.isnan(training.points[..., 0]).all(axis=0)
    if never.any():
        point = scheme.names[never.argmax()]
        raise KpError(f"{labels}: expected every point on a face for training, found none with {point!r}")
    return training, validation


def _tenth(records: Records) -> tuple[Records, Records]:
    """Split off a tenth of the photographs, at least one, by a hash of their names."""
    photographs = sorted(set(records.files), key=lambda file: hashlib.sha256(file.encode()).digest())
    if len(photographs) < 2:
        raise KpError(f"{records.root}: expected at least two photographs, one for validation, found one")
    held_out = set(photographs[: max(1, round(len(photographs) / 10))])
    side = np.array([file in held_out for file in records.files])
    return records.take(np.flatnonzero(~side)), records.take(np.flatnonzero(side))


def read_test(data: Data) -> Records:
    """The test photographs of `ibug` with their boxes, as Kaggle's package or dlib's archive has them.

    Raises:
        KpError: if neither XML is there, or as the reader.
    """
    path = test_xml(data)
    if path is None:
        raise KpError(f"{data.folder('ibug')}: expected {' or '.join(TEST_XMLS)}, found neither")
    return read_dlib_xml(path, IBUG68, labelled=False)


def test_xml(data: Data) -> Path | None:
    """The XML of iBUG's test photographs, Kaggle's before dlib's."""
    paths = [data.folder("ibug") / name for name in TEST_XMLS]
    return next((path for path in paths if path.is_file()), None)


def split(records: Records, dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the faces for training and for validation, which has no mirrors.

    IMM: people 33–40 are for validation. iBUG: a tenth, by photograph (see records.py).

    Raises:
        KpError: if one side is empty.
    """
    held_out, originals = held_out_faces(records, dataset)
    train, validation = np.flatnonzero(~held_out), np.flatnonzero(held_out & originals)
    if not len(train) or not len(validation):
        found = f"{len(train)} and {len(validation)} of {len(records)}"
        raise KpError(f"{records.root}: expected faces for training and for validation, found {found}")
    return train, validation


def held_out_faces(records: Records, dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """Which of N faces are on validation's side, and which are no mirrors: two arrays (N,) of bool."""
    rule = imm_validation if dataset == "imm" else in_validation
    held_out = np.array([rule(file) for file in records.files])
    return held_out, np.array([not is_mirror(file) for file in records.files])
