"""A training in steps, with networks that are traced in a moment, and what a run holds."""

import csv
import json
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace

import pytest
import tensorflow as tf
from helpers import picture, write_xml

from kp_tf.artifacts.runs import read_run
from kp_tf.backends.keras_backend import load_model
from kp_tf.core.keypoints import Scheme
from kp_tf.recipes import RECIPES, Augmentation
from kp_tf.training.faces import load
from kp_tf.training.fitting import build, fit
from kp_tf.training.report import finish, write_metrics

# of part 1: an epoch of IMM's four training pictures has two batches
TINY = replace(RECIPES["course", 1], shape=(15, 20), settings={"convs": ((4, 3),), "hidden": 8}, epochs=2, batch_size=2)
# points of one's own, with heatmaps
OWN = replace(
    RECIPES["strong", None],
    shape=(16, 16),
    stored_shape=(24, 24),
    settings={"widths": (8, 8), "depths": (1, 1)},
    augmentation=Augmentation(flip=0.5, rotation=9.0, shift=0.04),  # without those of pixels, which take long to trace
    epochs=1,
    batch_size=8,
    precision="float32",
)
NAMES = ("nose", "left eye", "right eye")
THREE = Scheme("three", ("left eye", "nose", "right eye"), (), flip_indices=(2, 1, 0), eyes=(0, 2))


def prepare(config, path):
    """A new training up to its first step; the run directory is made."""
    path.mkdir(parents=True)
    fitting = build(config, load(config, "CPU"), tf.distribute.get_strategy(), lambda label: path)
    fitting.fitted.run_eagerly = True  # which takes less time than tracing, for so few batches
    return fitting


def complete(config, path):
    """A whole training without figures, its network scored."""
    fitting = prepare(config, path)
    fit(fitting)
    write_metrics(finish(fitting), fitting, "CPU")
    return path


@contextmanager
def at_epoch(number, do):
    """Within its block, do something before the first batch of an epoch, when Keras prints `Epoch N/…`."""
    out = sys.stdout

    class Heard:
        def write(self, text):
            out.write(text)
            if text.startswith(f"Epoch {number}/"):
                do()

        def __getattr__(self, name):
            return getattr(out, name)

    with redirect_stdout(Heard()):
        yield


@contextmanager
def stopped_at_epoch(number):
    """The training in the block ends at the start of an epoch, as after two Ctrl-C."""

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), at_epoch(number, stop):
        yield


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def history(run):
    """The rows of history.csv without the seconds, as numbers by name."""
    with (run / "history.csv").open() as file:
        return [{name: float(row[name]) for name in row if name != "seconds"} for row in csv.DictReader(file)]


def weights(run):
    return load_model(read_run(run)).get_weights()


def write_scheme(path):
    """The scheme `THREE` for labels of `write_own_labels`."""
    path.write_text('{"name": "three", "mirror": [["left eye", "right eye"]], "eyes": ["left eye", "right eye"]}')
    return path


def write_own_labels(folder):
    """Ten photographs with two faces each and one that is ignored; the second face lacks the left eye.

    Point k of photograph n is at x = left + 20 k + n / 2, y = 30 + 5 k of the box 40 × 44 at (left, 20).
    """
    folder.mkdir()
    images = []
    for number in range(10):
        picture(120, 90, number).save(folder / f"{number}.png")
        boxes = []
        for left in (8, 68):
            places = {name: (left + 20 * k + number / 2, 30 + 5 * k) for k, name in enumerate(NAMES)}
            if left == 68:
                del places["left eye"]
            parts = [f"<part name='{name}' x='{x}' y='{y}'/>" for name, (x, y) in places.items()]
            boxes.append(f"<box left='{left}' top='20' width='40' height='44'>{''.join(parts)}</box>")
        boxes.append("<box left='0' top='0' width='5' height='5' ignore='1'/>")
        images.append(f"<image file='{number}.png'>{''.join(boxes)}</image>")
    write_xml(folder / "mine.xml", images)
    return folder / "mine.xml"
