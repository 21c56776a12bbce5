"""What is printed on the points of a user's own labels."""

from dataclasses import replace

import pytest
from training_steps import OWN, THREE, write_own_labels

from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.training.config import TrainConfig
from kp_tf.training.faces import load
from kp_tf.training.points import describe_points, doubtful_points


def test_points_are_listed_with_their_boxes():
    assert describe_points(Scheme("own", ("Nose", "eye", "nose"), ()), [1, 6, 5], 6) == (
        "3 points, without flip pairs, in 6 boxes: eye in all; nose in 5; Nose in 1"
    )
    counts = [500] * 60 + [499] * 8
    assert describe_points(Scheme("own", ("0",), ()), [1], 1) == "1 point, without flip pairs, in 1 box: 0 in all"
    assert describe_points(IBUG68, counts, 500) == (
        "68 points of ibug68, with flip pairs, in 500 boxes: 60 points in all; 60, 61, 62, 63, 64, 65, 66, 67 in 499"
    )


@pytest.mark.parametrize(
    ("names", "counts", "boxes", "expected"),
    [
        (("eye", "nose"), [6, 6], 6, []),
        (("eye", "nose"), [2, 2], 2, []),
        (("eye", "nose"), [6, 3], 6, []),
        (("eye", "nose"), [6, 2], 6, ["the point 'nose' is in only 2 of 6 boxes"]),
        (("eye", "nose"), [100, 10], 100, []),
        (("eye", "nose"), [100, 9], 100, ["the point 'nose' is in only 9 of 100 boxes"]),
        (("Nose", "nose"), [50, 50], 100, ["'Nose' and 'nose' are trained as two different points"]),
        (("lefteye", "left eye"), [50, 50], 100, ["'lefteye' and 'left eye' are trained as two different points"]),
        (("0", "00"), [50, 50], 100, ["'0' and '00' are trained as two different points"]),
        (("0", "10"), [50, 50], 100, []),
    ],
)
def test_names_that_may_be_typos_are_reported(names, counts, boxes, expected):
    messages = doubtful_points(Scheme("own", names, ()), counts, boxes)
    assert messages[:-1] == expected
    assert ("--scheme" in messages[-1]) if expected else messages == []


def test_a_training_warns_of_a_typo_in_its_labels(tmp_path, capsys):
    labels = write_own_labels(tmp_path / "own")
    load(TrainConfig(replace(OWN, crop_scale=1.5), labels.parent, labels=labels), "CPU")
    line = "3 points, without flip pairs, in 20 boxes: nose, right eye in all; left eye in 10"
    out, error = capsys.readouterr()
    assert line in out
    assert error == ""
    labels.write_text(labels.read_text().replace("'nose'", "'Nose'", 1))
    load(TrainConfig(replace(OWN, crop_scale=1.5), labels.parent, labels=labels, scheme=THREE), "CPU")
    out, error = capsys.readouterr()
    assert "4 points, without flip pairs, in 20 boxes: right eye in all; nose in 19; left eye in 10; Nose in 1" in out
    assert "warning: 'Nose' and 'nose' are trained as two different points\n" in error
    assert "warning: the point 'Nose' is in only 1 of 20 boxes\n" in error
