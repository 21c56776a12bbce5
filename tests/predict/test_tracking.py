from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import DISC_INFO, DISC_SIZE, FakeDetector, disc_network, draw_discs
from PIL import ExifTags, Image

from kp_tf.core.geometry import rotated
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import OneEuro, Tracker

ASTRONAUT = Path(__file__).parents[2] / "docs" / "images" / "astronaut.jpg"


def new_tracker(detector):
    return Tracker(Predictor(DISC_INFO, disc_network, detector), make_filter=None)


def centre(face):
    return face.points.mean(axis=0)


def test_the_filter_by_hand():
    smooth = OneEuro(min_cutoff=1, speed_coefficient=2, speed_cutoff=1)
    assert smooth(np.array([[0.0, 0.0]]), 0, 10).tolist() == [[0, 0]]
    # a tenth of a second: 1 Hz has the weight 1 / (1 + 1 / 0.2π) = 0.38587; the speed is 0.38587 · 5 widths per second,
    # so the cutoff is 4.8587 Hz, whose weight is 0.753268
    np.testing.assert_allclose(smooth(np.array([[5.0, 0.0]]), 0.1, 10), [[5 * 0.753268, 0]], rtol=1e-4)
    assert smooth(np.array([[9.0, 9.0]]), 0.1, 10)[0, 1] == 0, "no time has passed"


def test_the_filter_smooths_a_face_at_rest_and_keeps_up_with_a_fast_one():
    noise = np.random.default_rng(1).normal(0, 0.06, (200, 68, 2))  # as measured of `compact`
    for speed in (0.0, 8.0):  # pixels per frame
        truth = speed * np.arange(200)[:, None, None]
        smooth = OneEuro()
        filtered = np.array([smooth(points, k / 30, 100) for k, points in enumerate(truth + noise)])
        error = (filtered - truth)[50:]
        if speed == 0:
            assert error.std(axis=0).mean() < noise.std(axis=0).mean() / 2
        else:
            assert abs(error.mean()) < speed, "less than a frame behind"


def test_a_moving_face_is_followed_without_the_detector():
    detector = FakeDetector((60, 60))
    tracker = new_tracker(detector)
    for k in range(50):
        (face,) = tracker.update(draw_discs((60 + 4 * k, 60)), k / 30)
        assert face.number == 1
        np.testing.assert_allclose(centre(face), (60 + 4 * k, 60), atol=1.5)
    assert detector.calls == 1
    tracker.update(draw_discs((256, 60)), 2.1)
    assert detector.calls == 2, "DETECT_EVERY seconds have passed"


def test_points_of_a_turned_frame_are_as_stored():
    image = Image.fromarray(draw_discs((60, 40))).transpose(Image.Transpose.ROTATE_90)
    image.getexif()[ExifTags.Base.Orientation] = 6
    (face,) = new_tracker(FakeDetector((60, 40))).update(image, 0)
    np.testing.assert_allclose(centre(face), (40, 319 - 60), atol=1.5)


def test_a_face_that_comes_back_soon_keeps_its_number():
    detector = FakeDetector((60, 60))
    tracker = new_tracker(detector)
    numbers = []
    for k in range(24):
        centres = () if 6 <= k < 15 else ((60, 60),)
        detector.centres = centres
        numbers.append([face.number for face in tracker.update(draw_discs(*centres), k / 30)])
    assert numbers[5] == [1]
    assert all(number == [] for number in numbers[6:15])
    assert numbers[23] == [1]
    assert 2 <= detector.calls <= 5
    detector.centres = ()
    for k in range(24, 80):
        assert tracker.update(draw_discs(), k / 30) == []
    detector.centres = ((200, 60),)
    (face,) = tracker.update(draw_discs((200, 60)), 3)
    assert face.number == 2, "another face, long after"


def test_a_track_that_shrinks_to_nothing_is_no_face():
    def shrinking(crops):
        outputs = disc_network(crops)
        outputs[..., :2] = 0.5 + 0.75 * (outputs[..., :2] - 0.5)
        return outputs

    tracker = Tracker(Predictor(DISC_INFO, shrinking, FakeDetector((60, 60))))
    faces = [tracker.update(draw_discs((60, 60)), k / 30) for k in range(4)]
    assert [len(each) for each in faces] == [1, 0, 0, 0]


@pytest.mark.parametrize("gap", [0, 12])
def test_faces_that_pass_each_other_keep_their_numbers(gap):
    detector = FakeDetector((60, 60), (260, 60 + gap))
    tracker = new_tracker(detector)
    for k in range(51):
        detector.centres = back, front = (60 + 4 * k, 60), (260 - 4 * k, 60 + gap)
        if abs(back[0] - front[0]) < DISC_SIZE:
            detector.centres = (front,)
        faces = {face.number: face for face in tracker.update(draw_discs(back, front), k / 30)}
        assert set(faces) <= {1, 2}
    assert set(faces) == {1, 2}
    np.testing.assert_allclose(centre(faces[1]), back, atol=2)
    np.testing.assert_allclose(centre(faces[2]), front, atol=2)


def test_a_doubtful_detection_gets_no_number():
    detector = FakeDetector((200, 60))  # where there is nothing
    calibrated = replace(DISC_INFO, metrics={"calibration": [-8.6, -3.0]})
    tracker = Tracker(Predictor(calibrated, disc_network, detector), make_filter=None)
    assert tracker.update(draw_discs((60, 60)), 0) == []
    detector.centres = (200, 60), (60, 60)
    (face,) = tracker.update(draw_discs((60, 60)), 1)
    assert face.number == 1
    np.testing.assert_allclose(centre(face), (60, 60), atol=1.5)


@pytest.mark.parametrize("times", [(0.0, 0.1, 0.1, 0.1), (3.0, 2.0, 1.0, 0.0), (None, None, 0.0, float("nan"))])
def test_times_that_are_missing_or_do_not_rise_are_counted(times):
    detector = FakeDetector((60, 60))
    tracker = Tracker(Predictor(DISC_INFO, disc_network, detector))
    for k, seconds in enumerate(times):
        (face,) = tracker.update(draw_discs((60 + 2 * k, 60)), seconds)
        assert face.number == 1
        assert 0 <= 60 + 2 * k - centre(face)[0] < 2, "it is followed"
    detector.centres = ()
    assert tracker.update(draw_discs(), times[-1]) == [], "the face is gone"


def test_frames_of_another_size_show_the_same_face():
    detector = FakeDetector((60, 60))
    tracker = Tracker(Predictor(DISC_INFO, disc_network, detector))
    tracker.update(draw_discs((60, 60)), 0)
    image = Image.fromarray(draw_discs((60, 60)))
    detector.centres = ()
    (face,) = tracker.update(image.resize((640, 240)), 0.1)
    assert (face.number, detector.calls) == (1, 2)
    np.testing.assert_allclose(centre(face), (120, 120), atol=2)


def test_a_head_that_turns_upside_down_is_followed():
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    with Image.open(ASTRONAUT) as image:
        picture = image.convert("L").reduce(3)  # 320 × 260; the face has 90 pixels
    box, middle = np.array([[87.0, 77, 90, 90]]), np.array(picture.size) / 2
    predictor, detected = Predictor.load("compact", lambda picture: box), []
    points = predictor.predict(picture)[0].points
    tracker = Tracker(predictor, make_filter=None)
    for k, angle in enumerate(range(0, 181, 12)):
        detected.append(tracker.update(picture.rotate(-angle, Image.Resampling.BICUBIC), k / 30))
        (face,) = detected[-1]
        expected = rotated(points + 0.5 - middle, angle) + middle - 0.5
        assert np.linalg.norm(face.points - expected, axis=1).mean() < 0.03 * 90
    assert {face.number for (face,) in detected} == {1}
