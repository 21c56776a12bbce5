"""The run directory: its number, its files, and how later commands find it.

config.json        every setting; enough to use the network again
split.json         the photographs of both sides
model.keras        the network, in float32
architecture.txt   layer, output shape, parameters
history.csv        loss by epoch, and its seconds
checkpoint.npz     weights, optimizer and history of the epochs so far, while it is not complete
metrics.json       figures and conditions; written last: it marks a run that is complete, or was interrupted
figures/, logs/    pictures; TensorBoard's files
lock               held by the training while it runs
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.core.geometry import Framing
from kp_tf.core.keypoints import Scheme, parse_scheme
from kp_tf.predict.confidence import UNCALIBRATED
from kp_tf.recipes import Recipe

try:
    import fcntl
except ImportError:  # Windows has no such lock: there nothing keeps two trainings apart
    fcntl = None

RUNS = Path("runs")
LOCK = "lock"


@dataclass(frozen=True)
class Run:
    """A run, or weights that were made of one.

    Attributes:
        path: its folder or file.
        config: its settings.
        metrics: its figures; empty while it is not complete.
    """

    path: Path
    config: dict
    metrics: dict

    @property
    def recipe(self) -> Recipe:
        """The recipe that it was trained with."""
        settings = {field.name: self.config[field.name] for field in fields(Recipe) if field.name in self.config}
        return Recipe(**{**settings, "name": self.config["recipe"], "scheme": None})

    @property
    def scheme(self) -> Scheme:
        """What its points are."""
        return parse_scheme(self.config["scheme"], str(self.path))

    @property
    def framing(self) -> Framing | None:
        """Where its network looks first in a whole photograph, if it was trained on such."""
        return self._framing("framing")

    @property
    def face(self) -> Framing | None:
        """The mean face in its box, if its network looks again around the points that it found."""
        return self._framing("face")

    @property
    def calibration(self) -> tuple[float, float]:
        """Of `confidence.confidence_of`, as its validation showed it."""
        return tuple(self.metrics.get("calibration", UNCALIBRATED))

    def _framing(self, name: str) -> Framing | None:
        found = self.config.get(name)
        return found and Framing(np.array(found["box"]), np.array(found["points"]))


def new_run(label: str, out: Path | None, overwrite: bool) -> Path:
    """Make an empty run directory.

    Args:
        label: such as `part2-course`; without `out` the run becomes `runs/LABEL-001` or the next free number.
        out: the directory to make instead.
        overwrite: whether `out` may replace a run that is there.

    Raises:
        KpError: if `out` exists and may not be replaced, or cannot be made.
    """
    try:
        if out is None:
            return _numbered(label)
        if out.exists():
            check_free(out, overwrite)
            with locked(out):
                shutil.rmtree(out)
        out.mkdir(parents=True)
    except OSError as error:
        raise KpError(f"{out or RUNS}: expected to make a folder, found: {error.strerror}") from None
    return out


def check_free(out: Path, overwrite: bool) -> None:
    """Refuse a directory that exists, unless it is a run and may be replaced.

    Raises:
        KpError: if `out` is refused.
    """
    if not out.exists():
        return
    if not overwrite:
        raise KpError(f"--out {out}: expected a new folder, found one that exists; --overwrite replaces a run")
    if not (out / "config.json").is_file() and (not out.is_dir() or {p.name for p in out.iterdir()} - {LOCK}):
        raise KpError(f"--out {out}: expected a run to overwrite, found something else (no config.json)")


def _numbered(label: str) -> Path:
    RUNS.mkdir(exist_ok=True)
    number = 1
    while True:
        path = RUNS / f"{label}-{number:03d}"
        try:
            path.mkdir()  # fails where another training took the number in this moment
            return path
        except FileExistsError:
            number += 1


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Keep other trainings out of a run directory; the system opens the lock when this process ends in any way.

    Raises:
        KpError: if another training is in it, or it cannot be written to.
    """
    path = run / LOCK
    try:
        file = path.open("a")
    except OSError as error:
        raise KpError(f"{path}: expected to write this file, found: {error.strerror}") from None
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(file.fileno()), path.stat())  # not one that was just removed
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if not mine:
            raise KpError(f"{run}: expected a folder that no training is in, found another process training there")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def clear_leftovers(run: Path) -> None:
    """Remove the unfinished files (see `files.replacing`) of a training that was killed."""
    for path in run.rglob(".*-[0-9]*.*"):
        path.unlink()


def is_complete(run: Path) -> bool:
    """Whether all epochs are done and judged."""
    return (run / "metrics.json").is_file() and "interrupted" not in read_json(run / "metrics.json")


def runs_of(label: str) -> list[Path]:
    """The runs of that label, complete or not, from the newest to the oldest."""
    configs = sorted(RUNS.glob(f"{label}-*/config.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in configs]


def read_config(run: Path) -> dict:
    """The settings of a run, complete or not.

    Raises:
        KpError: if they are damaged.
    """
    return _read(run / "config.json", ("part", "scheme", "sample"))


def load_run(path: Path) -> Run:
    """Read back a completed run.

    Raises:
        KpError: if the directory is no run, or not a completed one.
    """
    if not (path / "config.json").is_file():
        raise KpError(f"{path}: expected a run (a folder with config.json and model.keras), found none")
    if not (path / "metrics.json").is_file():
        raise KpError(f"{path}: expected a completed run, found one without metrics.json")
    return Run(path, read_config(path), _read(path / "metrics.json", ("completed",)))


def _read(path: Path, names: tuple[str, ...]) -> dict:
    content = read_json(path)
    missing = [name for name in names if name not in content]
    if missing:
        raise KpError(f"{path}: expected {', '.join(names)} as train.py writes them, found no {missing[0]}")
    return content


def newest_run(part: int, sample: bool = False) -> Run | None:
    """The run of a part that was completed last; runs on the drawn sample count only when asked for."""
    runs = [load_run(path.parent) for path in RUNS.glob("*/metrics.json") if is_complete(path.parent)]
    runs = [run for run in runs if run.config["part"] == part and run.config["sample"] == sample]
    return max(runs, key=lambda run: run.metrics["completed"], default=None)
