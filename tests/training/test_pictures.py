"""What the figures of a run show."""

from dataclasses import replace

import numpy as np
import pytest
from training_steps import TINY, prepare

from kp_tf.training.config import TrainConfig
from kp_tf.training.pictures import best_and_worst
from kp_tf.training.report import first_images


@pytest.mark.parametrize(
    ("faces", "best", "worst"), [(1, 0, 1), (4, 2, 2), (7, 3, 4), (11, 5, 6), (12, 6, 6), (30, 6, 6)]
)
def test_no_face_is_among_the_best_and_the_worst(faces, best, worst):
    above, below = best_and_worst(np.arange(faces))
    assert list(above) == list(range(best))
    assert list(below) == list(range(faces - worst, faces))


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_as_many_training_images_are_drawn_whatever_the_batch_size(imm_data, tmp_path, monkeypatch, batch_size):
    fitting = prepare(TrainConfig(replace(TINY, batch_size=batch_size), imm_data), tmp_path / "run")
    for number, count in ((3, 3), (12, 4)):  # IMM's four training pictures are all that there are
        monkeypatch.setattr("kp_tf.training.report.NUM_DRAWN", number)
        images, points = first_images(fitting)
        assert (len(images), len(points)) == (count, count)
