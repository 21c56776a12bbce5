from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kp_tf.artifacts.runs import Run
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import OneEuro, Tracker
from kp_tf.recipes import COMPACT

SHAPE = np.random.default_rng(0).uniform(0.1, 0.9, (68, 2))
RECIPE = {
    "recipe" if key == "name" else key: value for key, value in asdict(replace(COMPACT, shape=(32, 32))).items()
}
RUN = Run(Path("disc"), {**RECIPE, "sample": False, "face": {"box": [0, 0, 1, 1], "points": SHAPE.tolist()}}, {})
SIDE = 40  # of a face, a disc


def network(crops):
    """Finds the disc next to the middle of each crop, as a network does that is pulled to what is there."""
    places, answers = (np.stack(np.meshgrid(range(32), range(32)), axis=-1) + 0.5) / 32, []
    for crop in crops[..., 0] + 0.5:
        centre = np.full(2, 0.5)
        for _ in range(10):
            weight = crop * np.exp(-((places - centre) ** 2).sum(axis=-1) / 0.1)
            centre = (weight[..., None] * places).sum(axis=(0, 1)) / max(weight.sum(), 1e-9)
        variance = 1e-4 if crop.mean() > 0.1 else 0.1
        points = centre + (SHAPE - SHAPE.mean(axis=0)) / COMPACT.crop_scale
        answers.append(np.concatenate([points, np.full((68, 1), variance)], axis=1))
    return np.array(answers, np.float32)


def frame(*centres):
    """Discs on black, the later ones in front."""
    y, x = np.mgrid[:120, :320]
    picture = np.zeros((120, 320), np.uint8)
    for cx, cy in centres:
        picture[(x - cx) ** 2 + (y - cy) ** 2 < (SIDE / 2) ** 2] = 200
    return picture


class Finder:
    """A detector that is told where faces are, and counts its looks."""

    def __init__(self, *centres):
        self.centres, self.looks = centres, 0

    def __call__(self, picture):
        self.looks += 1
        return np.array([(x - SIDE / 2, y - SIDE / 2, SIDE, SIDE) for x, y in self.centres]).reshape(-1, 4)


def tracker(find):
    return Tracker(Predictor(RUN, network, find), steady=None)


def middle(face):
    return face.points.mean(axis=0)


def test_the_filter_is_counted_by_hand():
    steady = OneEuro(rest=1, speed=2, of_speed=1)
    assert steady(np.array([[0.0, 0.0]]), 0, 10).tolist() == [[0, 0]]
    # a tenth of a second: 1 Hz takes 1 / (1 + 1 / 0.2π) = 0.38587; speed 0.38587 · 5 widths / s; cutoff 4.8587 Hz
    np.testing.assert_allclose(steady(np.array([[5.0, 0.0]]), 0.1, 10), [[5 * 0.753268, 0]], rtol=1e-4)
    assert steady(np.array([[9.0, 9.0]]), 0.1, 10)[0, 1] == 0, "no time has passed"


def test_the_filter_calms_a_face_at_rest_and_keeps_up_with_a_fast_one():
    noise = np.random.default_rng(1).normal(0, 0.06, (200, 68, 2))  # as measured of `compact`
    for speed in (0.0, 8.0):  # pixels a frame
        truth = speed * np.arange(200)[:, None, None]
        steady = OneEuro()
        found = np.array([steady(points, k / 30, 100) for k, points in enumerate(truth + noise)])
        error = (found - truth)[50:]
        if speed == 0:
            assert error.std(axis=0).mean() < noise.std(axis=0).mean() / 2
        else:
            assert abs(error.mean()) < speed, "less than a frame behind"


def test_a_moving_face_is_followed_without_the_detector():
    find = Finder((60, 60))
    track = tracker(find)
    for k in range(50):
        (face,) = track.update(frame((60 + 4 * k, 60)), k / 30)
        assert face.number == 1
        np.testing.assert_allclose(middle(face), (60 + 4 * k, 60), atol=1.5)
    assert find.looks == 1
    track.update(frame((256, 60)), 2.1)
    assert find.looks == 2, "a time has passed"


def test_points_of_a_turned_frame_are_as_stored():
    picture = Image.fromarray(frame((60, 40))).transpose(Image.Transpose.ROTATE_90)
    picture.getexif()[0x0112] = 6
    (face,) = tracker(Finder((60, 40))).update(picture, 0)
    np.testing.assert_allclose(middle(face), (40, 319 - 60), atol=1.5)


def test_a_lost_face_is_looked_for_and_found_again_under_its_number():
    find = Finder((60, 60))
    track = tracker(find)
    numbers = []
    for k in range(24):
        gone = 6 <= k < 15
        find.centres = () if gone else ((60, 60),)
        numbers.append([face.number for face in track.update(frame() if gone else frame((60, 60)), k / 30)])
    assert numbers[5] == [1]
    assert all(number == [] for number in numbers[6:15])
    assert numbers[23] == [1]
    assert 2 <= find.looks <= 5
    find.centres = ()
    for k in range(24, 80):
        assert track.update(frame(), k / 30) == []
    find.centres = ((200, 60),)
    (face,) = track.update(frame((200, 60)), 3)
    assert face.number == 2, "another face, long after"


def test_what_shrinks_to_nothing_is_no_face():
    def shrinking(crops):
        found = network(crops)
        found[..., :2] = 0.5 + 0.75 * (found[..., :2] - 0.5)
        return found

    track = Tracker(Predictor(RUN, shrinking, Finder((60, 60))))
    answers = [track.update(frame((60, 60)), k / 30) for k in range(4)]
    assert [len(faces) for faces in answers] == [1, 0, 0, 0]


@pytest.mark.parametrize("gap", [0, 12])
def test_faces_that_pass_each_other_keep_their_numbers(gap):
    find = Finder((60, 60), (260, 60 + gap))
    track = tracker(find)
    for k in range(51):
        find.centres = back, front = (60 + 4 * k, 60), (260 - 4 * k, 60 + gap)
        if abs(back[0] - front[0]) < SIDE:
            find.centres = (front,)
        faces = {face.number: face for face in track.update(frame(back, front), k / 30)}
        assert set(faces) <= {1, 2}
    assert set(faces) == {1, 2}
    np.testing.assert_allclose(middle(faces[1]), back, atol=2)
    np.testing.assert_allclose(middle(faces[2]), front, atol=2)


def test_frames_are_taken_one_by_one():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield frame((60, 60))

    answers = Predictor(RUN, network, Finder((60, 60))).track(endless())
    assert [face.number for face in next(answers)] == [1]
    assert len(taken) == 1


def test_what_the_network_doubts_gets_no_number():
    find = Finder((200, 60))  # there is nothing
    calibrated = replace(RUN, metrics={"calibration": [-8.6, -3.0]})
    track = Tracker(Predictor(calibrated, network, find), steady=None)
    assert track.update(frame((60, 60)), 0) == []
    find.centres = (200, 60), (60, 60)
    (face,) = track.update(frame((60, 60)), 1)
    assert face.number == 1
    np.testing.assert_allclose(middle(face), (60, 60), atol=1.5)
