"""On the real data sets, where KP_TF_DATA names the folder that holds them."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kp_tf.artifacts.weights import WEIGHTS, committed
from kp_tf.core.geometry import boxes_around_points, crop_windows, to_unit
from kp_tf.core.keypoints import IMM58
from kp_tf.data.datasets import DataFolder, IbugDataset, ImmDataset
from kp_tf.data.layout import TRAIN_XML
from kp_tf.data.splits import is_mirror, photograph_key
from kp_tf.evaluate.command import evaluate
from kp_tf.input.decode import decode_crops
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import Tracker

FOLDER = os.environ.get("KP_TF_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="KP_TF_DATA names no folder with the real data sets")
DATA = DataFolder(Path(FOLDER or "."), is_sample=False)
IMM, IBUG = ImmDataset(DATA.folder("imm"), IMM58), IbugDataset(DATA.folder("ibug"))


@pytest.fixture(scope="module")
def imm():
    return IMM.read()


@pytest.fixture(scope="module")
def ibug():
    return IBUG.read_split()


def test_imm_is_whole_and_split_by_people(imm):
    assert len(imm) == 240
    assert imm.problems == ()
    assert np.unique(imm.boxes, axis=0).tolist() == [[0, 0, 640, 480]]
    assert [len(side) for side in IMM.read_split()] == [192, 48]


def test_imm_flip_partners_are_those_of_the_mirrored_mean_shape(imm):
    shape = imm.labels.mean(axis=0)
    # its own axis: between the partners' middles, found from all points without naming any pair:
    # the reflection, of all directions and places, under which the shape lies closest to itself
    middle, found = shape.mean(axis=0), None
    for angle in np.radians(np.arange(-8, 8.01, 0.5)):
        normal = np.array([np.cos(angle), np.sin(angle)])
        for shift in np.arange(-10, 10.01, 0.5):
            mirrored = shape - 2 * ((shape - middle) @ normal - shift)[:, None] * normal
            distances = np.linalg.norm(mirrored[:, None] - shape[None], axis=-1)
            error = distances.min(axis=1).mean()
            if found is None or error < found[0]:
                found = error, distances.argmin(axis=1)
    error, partners = found
    np.testing.assert_array_equal(partners, IMM58.flip_indices)
    assert error < 3, "pixels, on average"


def test_imm_eye_pair_is_the_outer_corners(imm):
    x = imm.labels.mean(axis=0)[:, 0]
    assert x[13] == x[13:21].max(), "the eye on the right of the photograph"
    assert x[21] == x[21:29].min()


def test_ibug_landmarks_leave_the_box_on_most_faces(ibug):
    samples = ibug.training
    points_norm = to_unit(samples.labels, crop_windows(samples.boxes, None))
    outside = ((points_norm < 0) | (points_norm > 1)).any(axis=(1, 2)).mean()
    assert 0.9 < outside < 0.97
    assert points_norm.min() < -0.3
    assert points_norm.max() > 1.3


def test_ibug_split_is_by_photograph(ibug):
    sides = [{photograph_key(file) for file in side.files} for side in ibug]
    assert not sides[0] & sides[1]
    assert not any(is_mirror(file) for file in ibug.validation.files)
    originals = sum(not is_mirror(file) for side in ibug for file in side.files)
    assert 0.08 < len(ibug.validation) / originals < 0.13


def test_ibug_every_image_decodes(ibug):
    for samples in ibug:
        crops = decode_crops(samples, crop_windows(samples.boxes, None), (32, 32))
        assert crops.shape == (len(samples), 32, 32, 1)
        assert 90 < crops.mean() < 150
        assert crops.std(axis=(1, 2, 3)).min() > 5, "no crop is blank"


@pytest.mark.long
@pytest.mark.parametrize("name", WEIGHTS)
def test_committed_weights_have_the_score_they_state(name):
    summary = evaluate(IBUG.root / TRAIN_XML, run=name, split="validation")
    assert summary["all"]["nme_mean"]["value"] == pytest.approx(committed(name).metrics["val_nme"], abs=2e-4)


def test_ibug_test_photographs_have_boxes_and_no_points():
    samples = IBUG.read_test()
    assert samples.points is None
    assert not any((IBUG.root / file).is_symlink() for file in samples.files)
    assert len(decode_crops(samples, crop_windows(samples.boxes, None), (16, 16))) == len(samples)


@pytest.mark.parametrize("gap", [0, 30])
def test_two_people_who_pass_each_other_keep_their_numbers(imm, gap):
    pytest.importorskip("dlib", reason="the extra detect is not installed")
    people = []
    for file in ("01-1m.jpg", "14-1f.jpg"):
        (left, top, width, height), *_ = boxes_around_points(imm.labels[[imm.files.index(file)]])
        x, y, reach = left + width / 2, top + height / 2, 0.85 * max(width, height)
        with Image.open(imm.root / file) as photograph:
            people.append(photograph.crop((x - reach, y - reach, x + reach, y + reach)).resize((200, 200)))
    tracker, owners = Tracker(Predictor.load()), {}
    for k in range(75):
        picture = Image.new("RGB", (720, 360), (90, 110, 100))
        centres = np.array([(110 + 7 * k, 180), (628 - 7 * k, 180 + gap)])
        for person, (x, y) in zip(people, centres, strict=True):  # the second goes in front
            picture.paste(person, (x - 100, y - 100))
        faces = tracker.update(picture, k / 30)
        for face in faces:
            apart = np.linalg.norm(face.points.mean(axis=0) - centres, axis=1)
            assert apart[owners.setdefault(face.number, int(apart.argmin()))] < 40, f"frame {k}"
        assert len(faces) == 2 or abs(k - 37) < 20, f"frame {k}"
    assert sorted(owners.values()) == [0, 1]
