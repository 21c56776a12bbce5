"""Scores by group, their intervals, and what the table says; the networks themselves are measured on real faces."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import card, face_sets, hard_faces
from benchmarks.face_sets import FaceSet
from benchmarks.held_out import fold_of
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.samples import Samples


def faces_at(angles, nose, files):
    """Faces whose eyes are 100 pixels apart on a line at these degrees, with the nose tip off by a part of that."""
    along = np.array([[np.cos(np.radians(a)), np.sin(np.radians(a))] for a in angles])
    points = np.full((len(angles), 68, 2), np.nan)
    points[:, 36], points[:, 45] = 200 - 50 * along, 200 + 50 * along
    down = along[:, ::-1] * (-1, 1)
    points[:, 30] = 200 + 60 * down + 100 * np.array(nose)[:, None] * along
    count = len(angles)
    samples = Samples(Path(), tuple(files), np.full((count, 4), 150.0), points, IBUG68, ("",) * count)
    return FaceSet("fgnet", samples, np.arange(count) % 2 == 0, np.array([file[6:9] for file in files]))


FILES = [f"fgnet/{k:03d}a{k:02d}.jpg" for k in (1, 14, 30, 70)]
FACES = faces_at([-10, 20, 37, 178], [0.1, -0.4, 0.5, 0], FILES)


def test_rotation_and_turn_are_those_of_the_face_whatever_its_angle():
    np.testing.assert_allclose(face_sets.rotations(FACES.samples.labels), [-10, 20, 37, 178])
    np.testing.assert_allclose(face_sets.turns(FACES.samples.labels), [0.1, -0.4, 0.5, 0], atol=1e-9)


def test_faces_are_grouped_by_rotation_turn_and_age():
    groups = {name: np.flatnonzero(mask).tolist() for name, mask in face_sets.groups(FACES).items()}
    assert [groups[f"rotated {name}°"] for name in ("0–15", "15–30", "30–60", "60–180")] == [[0], [1], [2], [3]]
    assert groups["turned"] == [1, 2]
    assert groups["turned, rotated below 30°"] == [1]
    assert groups["frontal, rotated below 30°"] == [0]
    assert [groups[f"{name} years"] for name in ("0–2", "3–12", "13–19", "20–39", "40–59", "60+")] == [
        [0], [], [1], [2], [], [3]
    ]  # fmt: skip


def test_ages_come_from_the_names_of_two_sets_alone():
    files = ["fgnet/001a02.jpg", "aaf/00000A71.jpg", "wflw/0001_a_33.jpg", "ytfaces/test_5a10_01.jpg"]
    np.testing.assert_array_equal(face_sets.ages(files), [2, 71, np.nan, np.nan])


def test_a_limit_keeps_the_validation_part_first():
    limited = FACES.limited(3)
    assert limited.held_out.tolist() == [True, False, True]
    assert FACES.limited(4) is FACES
    assert FACES.limited(1).samples.files == (FILES[0],)


def test_the_interval_is_over_persons():
    values = np.array([0.0] * 50 + [1.0] * 50)
    value, low, high = hard_faces.with_interval(values, np.arange(100).astype(str))
    assert (value, low, high) == pytest.approx((0.5, 0.4, 0.6), abs=0.02)
    _, low, high = hard_faces.with_interval(values, np.repeat(["a", "b"], 50))
    assert (low, high) == (0, 1), "two persons say little, however many pictures they have"


def test_scores_are_of_the_parts_and_compared_with_the_first_run():
    nme = np.array([0.05, 0.2, 0.03, np.nan])
    scores = hard_faces.score(FACES, nme, nme + 0.01)
    assert scores["validation"]["all"]["faces"] == 2
    everything = scores["all"]["all"]
    assert everything["faces"] == 3
    assert everything["nme"][0] == pytest.approx(0.28 / 3)
    assert everything["failures"][0] == pytest.approx(1 / 3)
    assert everything["difference"] == pytest.approx([-0.01] * 3)
    assert "rotated 60–180°" not in scores["all"], "its face has no NME"


def test_trust_compares_confidence_with_near_points():
    said, near = np.linspace(0, 1, 20)[None], (np.arange(20) >= 1)[None].astype(float)
    near[0, 19] = np.nan
    trusted = hard_faces.trust(said, near)
    assert trusted["near"] == pytest.approx(18 / 19)
    assert trusted["lowest_tenth_near"] == 0
    assert hard_faces.trust(np.full((1, 20), np.nan), near) == {}


def test_each_fold_is_predicted_by_its_own_network(monkeypatch):
    loaded = []
    monkeypatch.setattr(hard_faces, "load_network", lambda run: (loaded.append(run) or Info(), None))
    monkeypatch.setattr(hard_faces, "predict_samples", lambda network, samples, info, flips: answer(samples))
    nme, trusted = hard_faces.predict("run-{fold}", FACES, flips=False)
    assert loaded == [f"run-{k}" for k in sorted({fold_of(file) for file in FILES})]
    np.testing.assert_allclose(nme, 0.01)
    assert trusted == {}


class Info:
    recipe = type("Recipe", (), {"crop_scale": 1.3})()
    calibration = None


def answer(samples):
    """Points that are one pixel off."""
    points = np.nan_to_num(samples.labels) + (1, 0)
    return np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1)


def test_the_table_has_a_row_for_each_set_and_group():
    scores = {"fgnet": hard_faces.score(FACES, np.array([0.05, 0.2, 0.03, 0.1]), None) | {"confidence": {}}}
    lines = hard_faces.table({"limit": 300, "runs": {"compact": scores, "compact, flips": scores}})
    assert any(line.startswith("| fgnet, 2 | 4.00 (3.00–5.00), median 4.00, over 10 %: 0.0 % |") for line in lines)
    assert any(line.startswith("| fgnet, 3–12 years") for line in lines) is False
    assert any(line.startswith("| fgnet, 60+ years, 1 |") for line in lines)


def test_the_card_pools_sets_by_age_and_by_rotation():
    files = [FILES[k].replace("fgnet", "aaf") for k in (1, 0, 2, 3)]
    more = face_sets.FaceSet("aaf", faces_at([0] * 4, [0] * 4, files).samples, FACES.held_out, FACES.units)
    sets = {"fgnet": FACES, "aaf": more, "infanface": FACES, "wflw": FACES}
    plain = {name: np.array([0.05, 0.2, 0.03, np.nan]) for name in sets}
    lines = list(card.rows(sets, plain, {name: nme / 2 for name, nme in plain.items()}))
    assert len(lines) == 4 + 3 + 6
    assert lines[0].startswith("| FG-NET: all ages, 53 points | 3 | 9.33 (3.00–20.00) | 4.67 (")
    assert lines[4] == "| 0–2 years (fgnet, aaf) | 2 | 12.50 (5.00–20.00) | 6.25 (2.50–10.00) | 0.0 |"
    assert any(line.startswith("| turned, rotated below 30° (infanface, wflw) | 2 | 20.00 ") for line in lines)


def test_the_card_is_of_validation_faces():
    assert card.held_out(FACES).samples.files == (FILES[0], FILES[2])
