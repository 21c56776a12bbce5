"""What a training needs to resume or to be trained on: one file, replaced at the end of every epoch."""

import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kp_tf.artifacts.schema import History, parse, unusable
from kp_tf.core.errors import KpError
from kp_tf.core.files import parse_json, read_npz, replacing

CHECKPOINT = "checkpoint.npz"


def checkpoint_of(run: Path | None) -> Path | None:
    """The checkpoint in a run directory; None if there is no run or no checkpoint."""
    path = run and run / CHECKPOINT
    return path if path and path.is_file() else None


class Checkpoint(keras.callbacks.Callback):
    """Keeps weights, optimizer and history of the epochs so far, and writes `history.csv`.

    The order of the pictures and their augmentation follow from the seed and the epoch (see input/batches.py) and the
    learning rate from the optimizer's count of steps, so nothing else is needed. If the best epoch is kept, the file
    holds its weights as well.

    Attributes:
        rows: for each finished epoch, its number from 0, losses, metrics and seconds.
        unfinished: the same for an interrupted epoch, which is not in the file.
    """

    model: keras.Model  # while it trains
    params: dict[str, Any]  # likewise

    def __init__(self, run: Path, network: keras.Model, keep: str = "last") -> None:
        """Write into a run directory.

        Args:
            run: the directory.
            network: shares its layers with the fitted model.
            keep: `last`, or `best` for the weights after the epoch with the lowest validation loss.
        """
        super().__init__()
        self.path, self.history, self.network = run / CHECKPOINT, run / "history.csv", network
        self.rows: list[dict[str, float]] = []
        self.unfinished: list[dict[str, float]] = []
        self._batches, self._keeps_best = 0, keep == "best"
        self._best: list[np.ndarray] = []  # weights of the network

    @property
    def kept(self) -> int:
        """The epoch, counted from 1, whose weights are the result; 0 if they are the initial ones."""
        if self._keeps_best and self.rows:
            return 1 + int(np.argmin([row["val_loss"] for row in self.rows]))  # of equal ones the first
        return len(self.rows) + len(self.unfinished)

    def kept_weights(self) -> list[np.ndarray]:
        """The weights of the network after the epoch `kept`."""
        return self._best or self.network.get_weights()

    def restore(self, fitted: keras.Model) -> int:
        """Set the weights and the compiled model's optimizer to the end of the last finished epoch.

        Returns:
            The number of finished epochs.

        Raises:
            KpError: if the file is damaged or belongs to another network.
        """
        if not self.path.is_file():
            return 0
        variables = _variables(self.network, fitted)
        archive = read_npz(self.path, "a checkpoint")
        best = [archive.get(f"best{k}") for k in range(len(self.network.weights) * self._keeps_best)]
        values = [archive.get(f"v{k}") for k in range(len(variables))]
        every = [*zip(values, variables, strict=True), *zip(best, self.network.weights, strict=False)]
        if len(archive) != len(every) + 1 or not all(_fits(value, variable) for value, variable in every):
            raise KpError(f"{self.path}: the checkpoint belongs to another network, or a number in it is not finite")
        self.rows = self._read_rows(archive)
        self._best = [value for value in best if value is not None]  # all of them, as checked
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return len(self.rows)

    def _read_rows(self, archive: dict[str, np.ndarray]) -> list[dict[str, float]]:
        content = parse_json(f'{{"rows": {archive.get("rows")}}}', self.path)
        rows = list(parse(History, content, self.path).rows)
        for number, row in enumerate(rows):
            if row.get("epoch") != number or not row.keys() >= {"loss", "val_loss", "seconds"}:
                raise unusable(self.path, f"rows[{number}]", f"loss, val_loss and seconds of epoch {number}", row)
        return rows

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._batches = batch + 1

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        seconds = round(time.perf_counter() - self._start, 2)
        row = {"epoch": epoch, **{k: float(v) for k, v in (logs or {}).items()}, "seconds": seconds}
        if self._batches < self.params["steps"]:
            self.unfinished = [row]
            return
        self.rows.append(row)
        if self._keeps_best and self.kept == len(self.rows):
            self._best = _averaged_weights(self.network, self.model)
        with replacing(self.history) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)
        values = {f"v{k}": value.numpy() for k, value in enumerate(_variables(self.network, self.model))}
        values |= {f"best{k}": value for k, value in enumerate(self._best)}
        with replacing(self.path) as temporary:
            np.savez(temporary, rows=np.array(json.dumps(self.rows)), **values)


def _averaged_weights(network: keras.Model, fitted: keras.Model) -> list[np.ndarray]:
    """The network's weights, averaged over the steps if the optimizer keeps such averages."""
    if not fitted.optimizer.use_ema:
        return network.get_weights()
    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(fitted)
    swap.on_test_begin()
    weights = network.get_weights()
    swap.on_test_end()
    return weights


def _fits(value: np.ndarray | None, variable: Any) -> bool:
    """Whether an array can be the value of a Keras variable."""
    if value is None or value.shape != tuple(variable.shape):
        return False
    return str(value.dtype) == keras.backend.standardize_dtype(variable.dtype) and bool(np.isfinite(value).all())


def _variables(network: keras.Model, fitted: keras.Model) -> list:
    return [*network.weights, *fitted.optimizer.variables]
