"""The passes with a network and a cropper that only play back and record, so that windows can be worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.keypoints import Scheme
from kp_tf.core.mean_face import MeanFace
from kp_tf.predict.cascade import BATCH_SIZE, TURNS, predict_crops, run_cascade
from kp_tf.recipes import COMPACT

EYES = Scheme("eyes", ("left", "right"), (), flip_indices=(1, 0))
RECIPE = replace(COMPACT, shape=(4, 4), crop_scale=2.0, num_passes=2, first_pass_scale=1.5, rotated_windows=False)
MEAN_FACE = MeanFace(np.array([0.0, 0, 1, 1]), np.array([[0.25, 0.5], [0.75, 0.5]]))
INFO = ModelInfo(Path("fake"), RECIPE, EYES, mean_face=MEAN_FACE)
# a photograph of 100 × 80 pixels has its face in (25, 25, 50, 50), with eyes at a quarter and three quarters of that
FRAMING = MeanFace(np.array([0.25, 0.25, 0.5, 0.5]), np.array([[0.375, 0.5], [0.625, 0.5]]))
BOX = (10.0, 20, 40, 40)
CENTRED = ((0.25, 0.5, 0.01), (0.75, 0.5, 0.01))  # x, y and variance of both eyes in the unit square of a window
MIRRORED = 100  # added to the number of a crop whose columns are in reverse order


class Recorder:
    """Crops that carry their number, and a network that answers each number with what it was told."""

    def __init__(self, answers=None):
        self.answers, self.windows, self.batches = answers or {}, [], []

    def crop(self, faces, windows):
        for face, window in zip(faces, windows, strict=True):
            pixels = np.zeros((4, 4), np.uint8)
            pixels[0, 0], pixels[0, -1] = len(self.windows), MIRRORED + len(self.windows)
            self.windows.append((int(face), *window.tolist()))
            yield pixels

    def network(self, images):
        numbers = np.rint((images[:, 0, 0, 0] + 0.5) * 255).astype(int).tolist()
        self.batches.append(numbers)
        return np.array([self.answers.get(number, CENTRED) for number in numbers], np.float32)

    def run(self, info, boxes, size=(300, 300), **options):
        boxes = np.array(boxes, float)
        return run_cascade(self.network, info, self.crop, boxes, np.array([size] * len(boxes)), **options)


def test_windows_of_both_passes():
    # The first pass takes 1.5 boxes, (0, 10, 60, 60), in a window of 2 of those, (-30, -20, 120, 120). There the
    # answer means eyes at x = 24.5 and 44.5, y = 39.5: the mean face of 40 pixels with its corner at (15, 20).
    recorder = Recorder({0: [(55 / 120, 0.5, 0.3), (75 / 120, 0.5, 0.3)], 1: [(0.25, 0.5, 0.1), (0.75, 0.5, 0.2)]})
    outputs = recorder.run(INFO, [BOX])
    assert recorder.windows == [(0, -30, -20, 120, 120), (0, -5, 0, 80, 80)]
    np.testing.assert_allclose(outputs, [[[14.5, 39.5, 0.1], [54.5, 39.5, 0.2]]], atol=1e-4)


def test_the_window_grows_with_the_face_at_most_twofold():
    # in the window (-30, -20, 120, 120): eyes at x = -10.5 and 69.5, y = 39.5, as of a face of 160 pixels
    recorder = Recorder({0: [(20 / 120, 0.5, 0), (100 / 120, 0.5, 0)]})
    recorder.run(INFO, [BOX])
    # 80 pixels about the middle of the eyes, in a window of twice that
    assert recorder.windows[1] == (0, -50, -40, 160, 160)


def test_stray_landmarks_fall_back_to_the_first_box():
    recorder = Recorder({0: [(100.25, 0.5, 0), (100.75, 0.5, 0)], 1: [(55 / 120, 0.5, 0), (75 / 120, 0.5, 0)]})
    recorder.run(INFO, [BOX, BOX])
    first, second = recorder.windows[:2], recorder.windows[2:]
    assert first == [(0, -30, -20, 120, 120), (1, -30, -20, 120, 120)]
    assert second[0] == (0, -10, 0, 80, 80), "the box itself, not 1.5 of it"
    assert second[1] == (1, -5, 0, 80, 80), "the other face is not affected"


def test_one_pass_takes_the_box_itself():
    for info in (replace(INFO, recipe=replace(RECIPE, num_passes=1)), replace(INFO, mean_face=None)):
        recorder = Recorder()
        recorder.run(info, [BOX])
        assert recorder.windows == [(0, -10, 0, 80, 80)]


FRAMED = replace(INFO, recipe=replace(RECIPE, crop_scale=None, first_pass_scale=1.0), framing=FRAMING)


def test_framed_takes_the_sharpest_of_nine_windows():
    vague = [(0.25, 0.5, 0.2), (0.75, 0.5, 0.2)]
    answers = dict.fromkeys(range(9), vague)
    answers[5] = [(0.25, 0.5, 0.1), (0.75, 0.5, 0.1)]
    recorder = Recorder(answers)
    outputs = recorder.run(FRAMED, [(0, 0, 100, 80)], (100, 80), framed=True)
    corners = [(25, 25), (0, 25), (50, 25), (25, 0), (0, 0), (50, 0), (25, 50), (0, 50), (50, 50)]
    assert recorder.windows[:9] == [(0, *corner, 50, 50) for corner in corners]
    # the sixth has eyes at x = 62 and 87, y = 24.5: the mean face with its corner at (50, 0)
    assert recorder.windows[9:] == [(0, 50, 0, 50, 50)]
    np.testing.assert_allclose(outputs, [[[62, 24.5, 0.01], [87, 24.5, 0.01]]], atol=1e-4)


def test_framed_falls_back_to_where_faces_lie_on_average():
    recorder = Recorder({number: [(90.25, 0.5, 0), (90.75, 0.5, 0)] for number in range(9)})
    recorder.run(FRAMED, [(0, 0, 100, 80)], (100, 80), framed=True)
    assert recorder.windows[9:] == [(0, 25, 25, 50, 50)]


def test_a_box_is_used_even_if_the_network_knows_how_photographs_are_framed():
    recorder = Recorder()
    recorder.run(FRAMED, [(0, 0, 100, 80)], (100, 80))
    assert recorder.windows[0] == (0, 0, 0, 100, 80)
    assert len(recorder.windows) == 2


@pytest.mark.parametrize(("info", "framed"), [(INFO, False), (FRAMED, True)])
def test_flips_are_averaged_in_the_last_pass_alone(info, framed):
    first = list(range(9)) if framed else [0]
    last = len(first)
    mirrored = [(0.35, 0.5, 0.03), (0.65, 0.7, 0.05)]  # of the right eye at 0.65, of the left eye at 0.35
    recorder = Recorder({last: [(0.25, 0.5, 0.01), (0.75, 0.5, 0.01)], MIRRORED + last: mirrored})
    outputs = recorder.run(info, [(0, 0, 100, 80)], (100, 80), framed=framed, flips=True)
    assert recorder.batches == [first, [last], [MIRRORED + last]]
    _, left, top, width, height = recorder.windows[-1]
    in_window = (outputs[0] - (left - 0.5, top - 0.5, 0)) / (width, height, 1)
    offset = info.recipe.augmentation.flip_offset
    np.testing.assert_allclose(in_window, [(0.3 + offset, 0.6, 0.03), (0.7 + offset, 0.5, 0.02)], atol=1e-5)


def test_a_mirrored_prediction_is_mirrored_back():
    crops = np.zeros((1, 2, 3, 1), np.uint8)
    crops[0, :, 0] = 255  # the left column

    def network(images):  # puts the right eye where the picture is bright
        bright = (images[0, 0, :, 0].argmax() + 0.5) / 3
        return np.array([[(1 - bright, 0.2, 0.1), (bright, 0.4, 0.1)]])

    # as it is: left eye 5/6, right eye 1/6; mirrored: left 1/6, right 5/6, that is right 5/6 and left 1/6 again
    np.testing.assert_allclose(predict_crops(network, crops)[0, :, 0], [5 / 6, 1 / 6])
    np.testing.assert_allclose(predict_crops(network, crops, (1, 0))[0], [(0.5, 0.3, 0.1), (0.5, 0.3, 0.1)])
    np.testing.assert_allclose(predict_crops(network, crops, (1, 0), 0.02)[0], [(0.52, 0.3, 0.1), (0.52, 0.3, 0.1)])


def test_crops_go_through_the_network_in_batches():
    recorder = Recorder()
    recorder.run(replace(INFO, recipe=replace(RECIPE, num_passes=1)), [BOX] * (BATCH_SIZE + 1))
    assert [len(batch) for batch in recorder.batches] == [BATCH_SIZE, 1]


def test_pixels_are_scaled_to_half_around_zero():
    seen = []
    crops = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
    predict_crops(lambda images: seen.append(images) or np.zeros((1, 2, 3)), crops)
    np.testing.assert_array_equal(seen[0], np.array([-0.5, 0.5], np.float32).reshape(1, 1, 2, 1))


ROTATED = replace(INFO, recipe=replace(RECIPE, rotated_windows=True), metrics={"usual_deviation": 0.15})
WIDE, SHARP = 0.04, 0.01  # variances: deviations of 0.2 and 0.1 where more than 0.15 is unusual


def eyes(variance, tilted=False):
    return [(0.5, 0.25, variance), (0.5, 0.75, variance)] if tilted else [(0.25, 0.5, variance), (0.75, 0.5, variance)]


def test_the_second_window_is_rotated_with_the_face():
    # eyes one above the other, 40 pixels apart: a mean face of 80 pixels on its side
    recorder = Recorder({0: [(0.5, 40 / 120, SHARP), (0.5, 80 / 120, SHARP)]})
    outputs = recorder.run(ROTATED, [BOX])
    np.testing.assert_allclose(recorder.windows[1], (0, -50, -40, 160, 160, 90), atol=1e-4)
    # the answer is upright in that window, so the left eye is above the right one
    np.testing.assert_allclose(outputs[0, :, :2], [(29.5, -0.5), (29.5, 79.5)], atol=1e-3)


def test_rotations_are_tried_for_a_face_in_doubt_and_the_sharpest_is_kept():
    # crops 0 and 1 are the first pass; 2 to 8 the second face rotated by 45° to 315°; then four candidates of it
    answers = {0: eyes(SHARP), 1: eyes(WIDE), **{2 + k: eyes(WIDE / (1 + k)) for k in range(7)}}
    recorder = Recorder(answers | {9: eyes(SHARP), 10: eyes(WIDE), 11: eyes(0.02), 12: eyes(0.03), 13: eyes(0.02)})
    outputs = recorder.run(ROTATED, [BOX, BOX])
    first, tried, second = recorder.windows[:2], recorder.windows[2:9], recorder.windows[9:]
    assert first == [(0, -30, -20, 120, 120, 0), (1, -30, -20, 120, 120, 0)]
    assert tried == [(1, -30, -20, 120, 120, angle) for angle in TURNS]
    assert [face for face, *_ in second] == [0, 1, 1, 1, 1]
    angles = np.array([window[5] for window in second])
    np.testing.assert_allclose(angles % 360, [0, 0, 315, 270, 225], atol=1e-4)
    np.testing.assert_allclose(outputs[:, 0, 2], [SHARP, 0.02], err_msg="crop 11, the first of the sharpest")


def test_the_upright_rotation_is_kept_unless_another_is_clearly_sharper():
    doubtful = {0: eyes(WIDE), 8: eyes(0.0201), 9: eyes(0.02), 10: eyes(0.02), 11: eyes(0.02)}
    outputs = Recorder(doubtful).run(ROTATED, [BOX])
    np.testing.assert_allclose(outputs[0, 0, 2], 0.0201, rtol=1e-5)


def test_other_rotations_than_the_known_one_go_on_only_if_they_are_sharp():
    # crops 2 to 4 are the first face rotated by 90° to 270° from its known angle, 5 to 11 the second by 45° to 315°
    sharp = {3: eyes(SHARP), 4: eyes(0.16**2)}  # a tenth above the usual deviation is still sharp
    recorder = Recorder({crop: eyes(WIDE) for crop in range(12)} | sharp)
    recorder.run(ROTATED, [(*BOX, 30), (*BOX, np.nan)])
    first, tried, second = recorder.windows[:2], recorder.windows[2:12], recorder.windows[12:]
    assert [window[5] for window in first] == [30, 0]
    assert [window[5] for window in tried] == [30 + 90, 30 + 180, 30 + 270, *TURNS]
    assert [face for face, *_ in second] == [0, 1, 0, 0, 1, 1, 1]
    angles = [window[5] % 360 for window in second[2:4]]
    np.testing.assert_allclose(angles, [30 + 180, 30 + 270], atol=1e-4)


def test_stray_landmarks_fall_back_to_the_first_box_upright():
    recorder = Recorder({0: [(100.25, 0.5, SHARP), (100.75, 0.5, SHARP)]})
    recorder.run(ROTATED, [BOX])
    assert recorder.windows[1] == (0, -10, 0, 80, 80, 0)
