import json

import numpy as np
from training_steps import OWN, prepare, write_own_labels, write_scheme

from kp_tf.training.config import TrainConfig
from kp_tf.training.fitting import fit


def test_each_epoch_leaves_points_on_validation_photographs(tmp_path):
    labels, scheme = write_own_labels(tmp_path / "own"), write_scheme(tmp_path / "scheme.json")
    config = TrainConfig(OWN, labels.parent, labels=labels, scheme_file=scheme)
    fitting = prepare(config, tmp_path / "run")
    fit(fitting)
    progress = json.loads((tmp_path / "run/progress.json").read_text())
    assert progress["epoch"] == 1
    validation = fitting.faces.validation
    assert [face["file"] for face in progress["faces"]] == list(validation.samples.files)
    first, second = progress["faces"]
    np.testing.assert_allclose(first["labels"], validation.upright.labels[0], atol=0.06)
    assert second["labels"].count(None) == 1
    left, top, width, height = first["window"]
    inside = (np.array(first["points"]) - [left, top]) / [width, height]
    assert ((inside > -0.5) & (inside < 1.5)).all()
