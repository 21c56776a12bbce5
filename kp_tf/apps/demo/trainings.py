"""Trainings of a project. Each is a `kp-tf train` in a process of its own, which outlives the page and the server.

FOLDER/runs/NNN            the run directory
FOLDER/runs/NNN.log        what the training prints
FOLDER/runs/training.json  the latest training: its run and its process
FOLDER/.training.xml       the labels as they were when it began, so that it can go on while others are marked
FOLDER/.training.json      the scheme likewise
"""

import csv
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kp_tf.apps.demo.processes import ERROR, PROGRAM, environment, last_words
from kp_tf.apps.demo.project import POINTS, RUNS, Project
from kp_tf.artifacts.runs import is_complete
from kp_tf.core.errors import KpError
from kp_tf.core.files import json_bytes, write_files, write_json
from kp_tf.core.keypoints import spell_out

COMMAND = (*PROGRAM, "train")
LABELS, SCHEME, LATEST = ".training.xml", ".training.json", "training.json"
FEWEST = 2  # photographs, one of them for validation
LOG_SPACE = 100_000  # bytes; with less, a training may not have been able to say it
FULL = f"{ERROR}the disk is full. Free some space and try again"
RECENT = 5  # epochs whose seconds tell the time that is left


class Trainings:
    """Starts, stops and watches the trainings of a project, one at a time."""

    def __init__(self, project: Project, command: Sequence[str] = COMMAND) -> None:
        """Find the latest training of the project, which may still run.

        Args:
            project: to train on.
            command: the training, to which its options are added.
        """
        self._project, self._command = project, command
        self._runs = project.folder / RUNS
        self._child: subprocess.Popen | None = None

    def start(self, init: str | None, epochs: int) -> None:
        """Train on what is marked.

        Args:
            init: a network to start from, as `train --init` takes it; None: from scratch.
            epochs: the number of epochs.

        Raises:
            KpError: if a training runs, too little is marked, or the folder cannot be written.
        """
        self._check_idle()
        project = self._project
        if len(project.labels.finished()) < FEWEST or project.scheme is None:
            raise KpError(f"mark all points in at least {FEWEST} photographs first; one of them is kept for validation")
        labels, scheme = (project.folder / POINTS).read_bytes(), json_bytes(spell_out(project.scheme))
        write_files({project.folder / LABELS: labels, project.folder / SCHEME: scheme})
        options = ["--labels", LABELS, "--scheme", SCHEME, "--epochs", str(epochs), *(["--init", init] if init else [])]
        self._spawn(self._free_name(), [*options, "--skip-bad"], epochs)

    def go_on(self, epochs: int) -> None:
        """Continue the latest training, up to a number of epochs.

        Raises:
            KpError: if there is none, or it runs.
        """
        self._check_idle()
        if not (latest := self._latest()):
            raise KpError("there is no training to continue")
        self._spawn(latest["run"], ["--resume", "--epochs", str(epochs)], epochs)

    def stop(self) -> None:
        """Ask the training to stop after this batch and to keep its results."""
        latest = self._latest()
        if latest and self._runs_now(latest):
            os.kill(latest["process"], signal.SIGINT)

    def status(self) -> dict:
        """How the latest training is.

        Returns:
            The state: none, running, finished, stopped or failed. If there is one, also its run, whether everything is
            loaded (has_begun), the number of epochs, a row of history for each epoch so far (epoch from 0, loss,
            val_loss, seconds and the other metrics), the seconds left (null before the second epoch is done), its error
            or the last line of its output (message), and what it predicts on validation photographs (progress, see
            `training.progress`; null before that).
        """
        latest = self._latest()
        if not latest:
            return {"state": "none"}
        run, epochs = self._runs / latest["run"], latest["epochs"]
        rows = _read_rows(run / "history.csv")
        running = self._runs_now(latest)
        seconds = [row["seconds"] for row in rows[1:][-RECENT:]]  # the first epoch also prepares the network
        left = (epochs - len(rows)) * sum(seconds) / len(seconds) if seconds and running else None
        message = self._message(run, running)
        return {
            "state": "running" if running else _state(run, message),
            "run": latest["run"],
            "has_begun": (run / "config.json").is_file(),
            "epochs": epochs,
            "rows": rows,
            "seconds_left": left,
            "message": message,
            "progress": _read(run / "progress.json"),
        }

    def _message(self, run: Path, running: bool) -> str:
        message = _last_line(run.with_suffix(".log"))
        is_full = not running and not _is_done(run) and shutil.disk_usage(self._runs).free < LOG_SPACE
        return FULL if is_full and not message.startswith(ERROR) else message

    def _check_idle(self) -> None:
        latest = self._latest()
        if latest and self._runs_now(latest):
            raise KpError("a training runs already; stop it first")

    def _free_name(self) -> str:
        taken = [int(path.stem) for path in self._runs.glob("*") if path.stem.isdecimal()]
        return f"{max(taken, default=0) + 1:03d}"

    def _spawn(self, run: str, options: list[str], epochs: int) -> None:
        try:
            self._runs.mkdir(exist_ok=True)
            with (self._runs / f"{run}.log").open("wb") as log:
                self._child = subprocess.Popen(
                    [*self._command, *options, "--out", f"{RUNS}/{run}"],
                    cwd=self._project.folder,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C of the server does not reach it
                )
        except OSError as error:
            raise KpError(f"cannot train in {self._runs}: {error.strerror}") from None
        process = self._child.pid
        latest = {"run": run, "epochs": epochs, "process": process, "started": _started(process)}
        try:
            write_json(self._runs / LATEST, latest)
        except KpError:  # a training that no other server would find
            self._child.kill()
            raise

    def _latest(self) -> dict | None:
        return _read(self._runs / LATEST)

    def _runs_now(self, latest: dict) -> bool:
        if self._child and self._child.pid == latest["process"]:
            return self._child.poll() is None
        return latest["started"] is not None and _started(latest["process"]) == latest["started"]


def _started(process: int) -> float | None:
    """When a process was started, which tells it from a later one of the same number; None if it has ended."""
    import psutil

    with suppress(psutil.Error):
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else found.create_time()
    return None


def _is_done(run: Path) -> bool:
    """Whether a training has come to its end."""
    with suppress(KpError):
        return is_complete(run)
    return False


def _state(run: Path, message: str) -> str:
    if _is_done(run):
        return "finished"
    return "stopped" if (run / "history.csv").is_file() and not message.startswith(ERROR) else "failed"


def _read_rows(path: Path) -> list[dict[str, float]]:
    with suppress(OSError, ValueError, TypeError), path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return []


def _read(path: Path) -> dict | None:
    with suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    return None


def _last_line(log: Path) -> str:
    with suppress(OSError):
        return last_words(log.read_text(encoding="utf-8", errors="replace"))[:300]
    return ""
