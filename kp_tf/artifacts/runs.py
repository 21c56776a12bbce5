"""The run directory: its number, its files, and how later commands find it.

config.json        every setting; enough to use the network again
split.json         the photographs for training and for validation
model.keras        the network, in float32
architecture.txt   layers, output shapes, parameters
history.csv        the loss by epoch, and its seconds
checkpoint.npz     weights, optimizer and history so far, for --resume
progress.json      points on some validation photographs after the last epoch, of points of a user's own
metrics.json       figures and conditions; written last: it marks a run that is complete or was interrupted
figures/, logs/    pictures; TensorBoard's files
lock               held by the training while it runs; the empty file stays
"""

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.schema import SplitEntry, parse
from kp_tf.core.errors import KpError, printable
from kp_tf.core.files import is_unicode, read_json, write_json

RUNS = Path("runs")
HARDLY = 0.75  # of the mean shape's error; useful networks have half of it or less
LOCK = "lock"
FIGURES = (
    "training_samples.png",
    "losses.png",
    "filters.png",
    "validation_faces.png",
    "error_by_condition.png",
    "test_photographs.png",
)
OWN_FILES = (
    "config.json",
    "split.json",
    "model.keras",
    "architecture.txt",
    "history.csv",
    "checkpoint.npz",
    "progress.json",
    "metrics.json",
    *FIGURES,
)


def hardly_better(report: Mapping) -> bool:
    """Whether a network is hardly better than always predicting the mean shape, by its metrics.json."""
    return report.get("val_mean_error_px", 0) > HARDLY * report.get("mean_shape_error_px", math.inf)


def new_run(label: str, out: Path | None, overwrite: bool) -> Path:
    """Make an empty run directory.

    Args:
        label: such as `part2-course`; without `out`, the run becomes `runs/LABEL-001` or the next free number.
        out: the directory to make instead.
        overwrite: whether `out` may replace an existing run.

    Raises:
        KpError: if `out` exists and may not be replaced, or cannot be made.
    """
    try:
        if out is None:
            return _numbered(label)
        if out.exists():
            check_free(out, overwrite)
            with locked(out):
                _empty(out)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KpError(f"cannot make the folder {out or RUNS}: {error.strerror}") from None
    return out


def check_free(out: Path, overwrite: bool) -> None:
    """Refuse a directory that exists, unless it is a run and may be replaced.

    Raises:
        KpError: if `out` is refused.
    """
    if not is_unicode(str(out)):
        raise KpError(f"--out {printable(str(out))}: choose a name in UTF-8, because TensorBoard writes to no other")
    if not out.exists():
        return
    if not overwrite:
        raise KpError(f"--out {out} exists already; --overwrite replaces a run")
    if not (out / "config.json").is_file() and (not out.is_dir() or {p.name for p in out.iterdir()} - {LOCK}):
        raise KpError(f"--out {out} is not a run (it has no config.json), so it is not overwritten")


def _empty(run: Path) -> None:
    for path in run.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _numbered(label: str) -> Path:
    RUNS.mkdir(exist_ok=True)
    number = 1
    while True:
        path = RUNS / f"{label}-{number:03d}"
        try:
            path.mkdir()  # fails if another training has just taken the number
            return path
        except FileExistsError:
            number += 1


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Keep other trainings out of a run directory. The system releases the lock when this process ends in any way.

    Raises:
        KpError: if another training holds the lock, or it cannot be written.
    """
    with exclusive(run / LOCK, f"another process is training in {run}", f"cannot write {run / LOCK}"):
        yield


@contextmanager
def exclusive(file: Path, taken: str, unwritable: str) -> Iterator[None]:
    """Hold the lock of a file. The system releases it when this process ends in any way.

    Args:
        file: of the lock; it is made if it is not there.
        taken: the message if another process holds the lock.
        unwritable: the message if the file cannot be written; the reason is added to it.

    Raises:
        KpError: with one of these messages.
    """
    from filelock import FileLock, Timeout  # predicting needs none of it

    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise KpError(taken) from None
    except OSError as error:
        raise KpError(f"{unwritable}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def clear_leftovers(run: Path) -> None:
    """Remove the temporary files (see `files.replacing`) of a training that was killed, and nothing else."""
    for folder in (run, run / "figures"):
        for path in folder.glob(".*-*.*"):
            name, _, process = path.stem[1:].rpartition("-")
            if process.isdigit() and name + path.suffix in OWN_FILES and path.is_file():
                path.unlink()


def is_complete(run: Path) -> bool:
    """Whether all epochs are done and scored."""
    return (run / "metrics.json").is_file() and "interrupted" not in read_json(run / "metrics.json")


def reopen(run: Path) -> None:
    """Mark a complete run as interrupted after its last epoch, before it is trained on."""
    if is_complete(run):
        metrics = read_json(run / "metrics.json")
        write_json(run / "metrics.json", metrics | {"interrupted": {"after_epoch": metrics.get("epochs")}})


def runs_of(label: str) -> list[Path]:
    """The runs of that label, complete or not, from the newest to the oldest."""
    configs = sorted(RUNS.glob(f"{label}-*/config.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in configs]


def read_split(run: Path) -> SplitEntry:
    """The photographs of a run.

    Raises:
        KpError: if split.json is missing or damaged.
    """
    path = run / "split.json"
    return parse(SplitEntry, read_json(path), path)


def read_run(path: Path) -> ModelInfo:
    """What a completed run says of its network.

    Raises:
        KpError: if the directory is not a run, or not a completed one.
    """
    if not (path / "config.json").is_file():
        raise KpError(
            f"{path} is not a run (a folder with config.json and model.keras); compact and large come with the package"
        )
    if not (path / "metrics.json").is_file():
        raise KpError(f"{path}: the training is not complete (there is no metrics.json); --resume continues it")
    metrics = read_json(path / "metrics.json")
    if "completed" not in metrics:
        raise KpError(f"{path / 'metrics.json'}, completed: the entry is missing")
    return ModelInfo.from_json(path, read_json(path / "config.json"), metrics)


def newest_run(part: int) -> ModelInfo | None:
    """The run of a part that was completed last; runs on synthetic faces do not count."""
    runs = [read_run(path.parent) for path in RUNS.glob("*/metrics.json") if is_complete(path.parent)]
    runs = [run for run in runs if run.recipe.part == part and not run.is_sample]
    return max(runs, key=lambda run: run.completed or "", default=None)
