"""`predict_kaggle.py`: the test photographs of part 3 to the competition's CSV, in one go or in shards.

`Submission` is for `train.py --submit`.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kp_tf.apps.submission_csv import write_submission
from kp_tf.artifacts.find import find_model, say_network, source_of
from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends import load_with_keras
from kp_tf.backends.network import Network
from kp_tf.core.errors import KpError, PartialError
from kp_tf.core.files import check_writable, read_npz, replacing
from kp_tf.core.geometry import crop_windows
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import IbugDataset, find_data
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.layout import TEST_XMLS
from kp_tf.data.samples import Samples
from kp_tf.data.splits import LENIENT
from kp_tf.predict.samples import predict_samples
from kp_tf.recipes import Recipe


def predict_kaggle(
    run: str | None = None,
    data: str | None = None,
    labels: Path | None = None,
    out: Path | None = None,
    flips: bool | None = None,
    precision: str = "float32",
    shard: str | None = None,
    merge: bool = False,
    allow_outside: bool = False,
    network: Network | None = None,
) -> Path:
    """Predict the test photographs and write the competition's CSV.

    Args:
        run: see `find_model`; its network must have 68 points.
        data: see `find_data`.
        labels: dlib's XML of photographs and boxes, in the folder of the photographs; excludes `data`.
        out: default: submission.csv, or submission-sample.csv for synthetic faces.
        flips: average each prediction with that of the mirrored face. Default: for all networks but the course's.
        precision: see `resolve_precision`.
        shard: `I/N` predicts only the I-th of N shards and writes it beside `out`, as `….I-of-N.npz`.
        merge: predict nothing; join the shards of the same network and photographs that lie beside `out`.
        allow_outside: with `labels`, take photographs outside their folder as well.
        network: of the run, if it is loaded already.

    Returns:
        The path of the CSV, or of the shard.

    Raises:
        KpError: if options contradict each other, or the run, the XML, a photograph or a shard cannot be used.
    """
    if shard and merge:
        raise KpError("--shard and --merge cannot be used together")
    index, count = parse_shard(shard) if shard else (1, 1)
    info = find_model(run)
    say_network(info)
    if info.scheme != IBUG68:
        raise KpError(f"--run {run}: the competition needs a network of 68 points, and this one has {info.scheme.name}")
    samples, is_sample = _read_samples(data, labels, allow_outside)
    out = out or Path("submission-sample.csv" if is_sample else "submission.csv")
    check_writable(out)
    flips = info.recipe.has_heatmaps if flips is None else flips
    key = _key(info, samples, flips, precision)
    if merge:
        points = read_shards(out, key, len(samples))
    else:
        completed = f", completed {info.completed[:16].replace('T', ' ')} UTC" if info.completed else ""
        print(f"Predicting with {source_of(info)}{completed}")
        chosen = np.array_split(np.arange(len(samples)), count)[index - 1]
        if not len(chosen):
            raise KpError(f"--shard {shard}: there are only {len(samples)} faces to divide")
        network = network or load_with_keras(info, precision)
        points = predict_samples(network, samples.take(chosen), info, flips=flips)[..., :2]
        if shard:
            return write_shard(out, index, count, points, key)
    rows = write_submission(points, out)
    print(f"{out}: {rows:,} rows for {len(samples):,} faces of {samples.root}, read back and checked")
    return out


@dataclass(frozen=True)
class Submission:
    """The submission at the end of a training of part 3, the same file as `predict_kaggle` writes for its run.

    Attributes:
        out: the CSV.
    """

    out: Path

    def check(self, recipe: Recipe, data: Path) -> None:
        """Refuse now what would fail after the training.

        Args:
            recipe: that will be trained.
            data: the folder of the data sets.

        Raises:
            KpError: if the recipe is of another part, the CSV could not be written, or there are no test photographs
                or one of them cannot be used.
        """
        from kp_tf.input.decode import stream_crops  # TensorFlow

        if recipe.part != 3:
            raise KpError("--submit goes with --part 3, the part that the competition is about")
        check_writable(self.out)
        samples, _ = _read_samples(str(data), None, allow_outside=False)
        upright = samples.upright(samples.orientations())
        for _ in stream_crops(upright, crop_windows(upright.boxes, recipe.crop_scale), recipe.shape):
            pass  # each photograph is decoded once

    def write(self, run: Path, data: Path, network: Network | None = None) -> None:
        """Write the CSV.

        Args:
            run: the directory of the completed run.
            data: the folder of the data sets.
            network: of the run, in float32, if it is loaded already.

        Raises:
            PartialError: if the submission cannot be written.
        """
        try:
            predict_kaggle(run=str(run), data=str(data), out=self.out, network=network)
        except KpError as error:
            raise PartialError(f"{run} is complete, but its submission could not be written: {error}") from None


def _read_samples(data: str | None, labels: Path | None, allow_outside: bool) -> tuple[Samples, bool]:
    """The faces to predict, and whether they are drawn."""
    if data and labels:
        raise KpError("--data and --labels cannot be used together")
    if allow_outside and not labels:
        raise KpError("--allow-outside goes with --labels")
    if labels:
        return read_dlib_xml(labels, IBUG68, labelled=False, allow_outside=allow_outside).checked(), False
    source = find_data(data, "ibug", test_only=True)
    samples = IbugDataset(source.folder("ibug")).read_test()
    if samples is None:
        raise KpError(f"{source.folder('ibug')}: there is neither {' nor '.join(TEST_XMLS)}")
    return samples.checked(), source.is_sample


def _key(info: ModelInfo, samples: Samples, flips: bool, precision: str) -> str:
    """A digest of everything that shards must share."""
    metrics = json.dumps(info.metrics, sort_keys=True)
    known = [metrics, str(flips), precision, *samples.files, *map(str, samples.boxes.ravel())]
    return hashlib.sha256("\n".join(known).encode(errors=LENIENT)).hexdigest()


def parse_shard(text: str) -> tuple[int, int]:
    """`I/N` as two numbers with 1 ≤ I ≤ N. Raises KpError for anything else."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count:
        raise KpError(f"--shard {text}: write I/N with I from 1 to N, such as 2/5")
    return index, count


def write_shard(out: Path, index: int, count: int, points: np.ndarray, key: str) -> Path:
    """Write the points (n, 68, 2) of one shard beside `out`; `key` says what they were predicted from."""
    path = out.with_name(f"{out.stem}.{index}-of-{count}.npz")
    with replacing(path) as temporary:
        np.savez(temporary, points=points, key=np.array(key), place=np.array([index, count]))
    print(f"{path}: {len(points):,} faces, shard {index} of {count}")
    return path


def read_shards(out: Path, key: str, num_faces: int) -> np.ndarray:
    """All points (N, 68, 2) of the shards beside `out`, in order.

    Raises:
        KpError: if a shard is missing, stands in another's place, or belongs to another network or other photographs.
    """
    pattern = re.compile(re.escape(out.stem) + r"\.(\d+)-of-(\d+)\.npz")
    matches = [match for path in out.parent.iterdir() if (match := pattern.fullmatch(path.name))]
    present = {(int(match[1]), int(match[2])) for match in matches}
    counts = sorted({count for _, count in present})
    if not counts:
        raise KpError(f"--merge: there are no shards {out.stem}.I-of-N.npz in {out.parent}")
    if len(counts) > 1:
        raise KpError(f"--merge: there are shards of {' and of '.join(map(str, counts))} in {out.parent}; keep one set")
    (count,) = counts
    if missing := next((index for index in range(1, count + 1) if (index, count) not in present), None):
        raise KpError(f"--merge: the shard {out.stem}.{missing}-of-{count}.npz is missing")
    shards = []
    for index in range(1, count + 1):
        path = out.with_name(f"{out.stem}.{index}-of-{count}.npz")
        content = read_npz(path, "a shard as --shard writes it")
        if not {"key", "points"} <= set(content) or str(content["key"]) != key:
            raise KpError(f"{path}: the shard belongs to another network, or to other photographs or settings")
        if content.get("place", np.zeros(2)).tolist() != [index, count]:
            raise KpError(f"{path}: it was not written as shard {index} of {count}; predict it again")
        points = content["points"]
        if points.shape[1:] != (len(IBUG68), 2) or points.dtype.kind != "f":
            raise KpError(f"{path}, points: expected (n, 68, 2) numbers, found {points.shape} of {points.dtype}")
        shards.append(points)
    points = np.concatenate(shards)
    if points.shape != (num_faces, len(IBUG68), 2):
        raise KpError(f"--merge: the shards hold {len(points)} faces, and the XML {num_faces}")
    return points
