"""Label files of `more_faces` for training and for validation.

    python -m benchmarks.more_faces --data DIR --out faces

Writes OUT/training_hard.xml (`infanface` and `wflw`, labelled by hand), OUT/training_other.xml (the other labelled
sets), OUT/training_taught.xml (`helen256`, labelled by a network), OUT/training_300w.xml (the training faces of 300-W,
which count twice with it) and OUT/validation_SET.xml for each labelled set, by the rule of `held_out`. They name the
photographs where they are, so `train.py --add` needs `--allow-outside`.

The points of `ytfaces` and `aaf` were made by networks. A point is left out where the teacher is sure of another place,
and so is a face where it is sure that most are wrong. A face of `helen256` is left out where the teacher's points
depend on mirroring and rotating it.
"""

import argparse
from dataclasses import replace
from functools import reduce
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from benchmarks.face_sets import LABELLED, MORE_FACES, FaceSet, read_set
from benchmarks.held_out import is_held_out
from kp_tf.artifacts.find import find_model
from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.keras_backend import load_keras_network
from kp_tf.backends.network import Network
from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing
from kp_tf.core.geometry import crop_windows, to_pixels, to_unit
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import IbugDataset
from kp_tf.data.layout import FOLDERS
from kp_tf.data.samples import Samples
from kp_tf.data.xml_elements import as_xml
from kp_tf.input.decode import stream_crops
from kp_tf.predict.cascade import predict_all
from kp_tf.predict.samples import predict_samples

HARD = ("infanface", "wflw")
BY_NETWORK = ("ytfaces", "aaf")
FRAMES = 4  # of a person of `ytfaces`
TILTS = (-15.0, 0.0, 15.0)  # degrees at which the teacher sees each face, and its mirror image
FACE, PICTURE = 93, 256  # pixels: the face in the middle of a photograph of `helen256`
SURE = 0.015  # of the window's side: how far the teacher's points of a face may scatter
WRONG = 0.04  # likewise: how far a point may be from where the teacher is sure that it is


def write_files(data: Path, teacher: str, out: Path) -> None:
    """Write all files, and print how many faces each of them holds."""
    info = find_model(teacher)
    network = load_keras_network(info)
    out.mkdir(parents=True, exist_ok=True)
    sets = {name: read_set(data, name) for name in LABELLED}
    for name, faces in sets.items():
        write_labels(out / f"validation_{name}.xml", faces.samples.take(np.flatnonzero(faces.held_out)))
    write_labels(out / "training_300w.xml", IbugDataset(data / FOLDERS["ibug"]).read_split().training)
    training = {name: for_training(faces) for name, faces in sets.items()}
    training |= {name: without_errors(training[name], *views(network, info, training[name])) for name in BY_NETWORK}
    write_labels(out / "training_hard.xml", joined([training[name] for name in HARD]))
    write_labels(out / "training_other.xml", joined([training[name] for name in LABELLED if name not in HARD]))
    write_labels(out / "training_taught.xml", taught(network, info, data / MORE_FACES))


def joined(samples: list[Samples]) -> Samples:
    """The faces of several sets."""
    return reduce(Samples.joined, samples)


def for_training(faces: FaceSet) -> Samples:
    """The faces that are not held out; of `ytfaces`, at most `FRAMES` of a person, evenly spaced."""
    kept = np.flatnonzero(~faces.held_out)
    if faces.name == "ytfaces":
        people = dict.fromkeys(faces.units[kept])
        frames = [kept[faces.units[kept] == person] for person in people]
        kept = np.sort(np.concatenate([_spaced(of_person, FRAMES) for of_person in frames]))
    return faces.samples.take(kept)


def _spaced(faces: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of some faces (n,), evenly spaced."""
    return faces[np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int)]


def upright_windows(info: ModelInfo, samples: Samples) -> np.ndarray:
    """The windows (N, 5) of a network's last pass by the labels."""
    if info.mean_face is None or info.scheme.flip_indices is None:
        raise KpError(f"--teacher {info.name}: it has no second pass, or points without flip partners")
    boxes = info.mean_face.rotated_boxes_around(samples.labels, samples.boxes)
    return crop_windows(boxes, info.recipe.crop_scale)


def views(network: Network, info: ModelInfo, samples: Samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a network sees in labelled faces, each at three rotations and mirrored.

    Returns:
        The labels (N, K, 2), the network's mean points (N, K, 2) and how far they scatter about it (N, K), all in units
        of the window's side.
    """
    windows, points, mirrored = upright_windows(info, samples), [], list(info.scheme.flip_indices or ())
    for tilt in TILTS:
        tilted = windows + (0, 0, 0, 0, tilt)
        crops = np.stack(list(stream_crops(samples, tilted, info.recipe.shape)))
        plain, flipped = (predict_all(network, seen)[..., :2] for seen in (crops, crops[:, :, ::-1]))
        flipped = flipped[:, mirrored] * (-1, 1) + (1, 0)
        points += [to_unit(to_pixels(seen, tilted), windows) for seen in (plain, flipped)]
    mean = np.mean(points, axis=0)
    scatter = np.sqrt(((points - mean) ** 2).sum(axis=-1).mean(axis=0))
    return to_unit(samples.labels, windows), mean, scatter


def without_errors(samples: Samples, labels: np.ndarray, seen: np.ndarray, scatter: np.ndarray) -> Samples:
    """The faces without what a network is sure is wrong; arguments from `views`."""
    distance = np.linalg.norm(labels - seen, axis=-1)
    wrong = (distance > WRONG) & (scatter < SURE)
    sound = ~((np.nanmean(distance, axis=1) > WRONG) & (np.nanmean(scatter, axis=1) < SURE))
    points = np.where(wrong[..., None], np.nan, samples.labels)
    return replace(samples, points=points).take(np.flatnonzero(sound))


def taught(network: Network, info: ModelInfo, folder: Path) -> Samples:
    """The faces of `helen256` with a network's points, where these do not depend on how the face is shown."""
    names = (f"helen256/{path.name}" for path in sorted((folder / "helen256").iterdir()))
    files = tuple(name for name in names if not is_held_out(name))
    corner = (PICTURE - FACE) / 2
    boxes = np.tile([corner, corner, FACE, FACE], (len(files), 1)).astype(float)
    samples = Samples(folder, files, boxes, None, IBUG68, files)
    samples = replace(samples, points=predict_samples(network, samples, info, flips=True)[..., :2])
    _, seen, scatter = views(network, info, samples)
    points = to_pixels(seen, upright_windows(info, samples))
    points[scatter > 2 * SURE] = np.nan
    return replace(samples, points=points).take(np.flatnonzero(scatter.mean(axis=1) < SURE))


def write_labels(path: Path, samples: Samples) -> None:
    """Write faces as dlib's XML with tenths of pixels and absolute file names, and print how many they are."""
    dataset = Element("dataset")
    images = SubElement(dataset, "images")
    root = samples.root.resolve()
    for file, corners, points in zip(samples.files, samples.boxes, samples.labels, strict=True):
        image = SubElement(images, "image", file=(root / file).as_posix())
        sides = {name: f"{value:.1f}" for name, value in zip(("left", "top", "width", "height"), corners, strict=True)}
        box = SubElement(image, "box", sides)
        for name, (x, y) in zip(samples.scheme.names, points, strict=True):
            if not np.isnan(x + y):
                SubElement(box, "part", name=name, x=f"{x:.1f}", y=f"{y:.1f}")
    with replacing(path) as temporary:
        temporary.write_bytes(as_xml(dataset))
    missing = np.isnan(samples.labels[..., 0]).mean()
    print(f"{path}: {len(samples)} faces, {missing:.1%} of their points missing", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder that holds more_faces/")
    parser.add_argument("--teacher", metavar="RUN", default="large", help="the network that is asked (default: large)")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True)
    arguments = parser.parse_args()
    write_files(arguments.data, arguments.teacher, arguments.out)


if __name__ == "__main__":
    main()
