"""Workers answer, PyTorch's network computes what ours does, and the clips have the truth they claim."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks import calibration, false_faces, mean_shape_3d, peers, tracking
from benchmarks.scenes import FRAMES, MOTIONS, RATE, Scene
from benchmarks.virtualenvs import installed
from benchmarks.workers.protocol import Worker
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68
from kp_tf.core.pose import SHAPE, fit_head
from kp_tf.data.samples import Samples
from kp_tf.data.synthetic.head import Pose
from kp_tf.models.heatmap import heatmap_network, with_variance
from kp_tf.models.resnet18 import resnet18

WORKERS = Path(__file__).parents[1] / "benchmarks" / "workers"
PYTHON = sys.executable if find_spec("torch") else installed("pytorch")
ECHO = """
import os
from protocol import serve, settings

def echo(text):
    print("a library prints")
    os.write(1, b"and so does its C code")
    return settings()["prefix"] + text

serve(echo)
"""


def test_a_worker_answers_whatever_its_libraries_print_and_shows_why_it_ended(tmp_path):
    script = tmp_path / "echo_worker.py"
    script.write_text(ECHO)
    with Worker(sys.executable, script, {"prefix": "é"}, {**os.environ, "PYTHONPATH": str(WORKERS)}) as worker:
        assert worker.ask("echo", text="1") == "é1"
        assert worker.ask("echo", text="2") == "é2"
        with pytest.raises(KpError, match=r"echo_worker\.py ended during echo:(.|\n)*TypeError"):
            worker.ask("echo", text=3)


@pytest.mark.skipif(PYTHON is None, reason="no PyTorch: `python -m benchmarks.virtualenvs pytorch` installs it")
@pytest.mark.parametrize("settings", [{}, {"heatmap": {"shape": (64, 64), "widths": (8, 16, 24), "depths": (1, 2, 1)}}])
def test_pytorchs_networks_are_ours(tmp_path, settings):
    model = resnet18((64, 64), 68, seed=0)
    if settings:
        model = with_variance(heatmap_network(points=68, **settings["heatmap"]))
    rng = np.random.default_rng(0)
    for weight in model.weights:  # batch norm's are all 0 or 1 else
        if weight.ndim == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    images = rng.uniform(-0.5, 0.5, (3, 64, 64, 1)).astype(np.float32)
    np.savez(tmp_path / "weights.npz", **{weight.path: weight.numpy() for weight in model.weights})
    np.save(tmp_path / "images.npy", images)
    files = {"weights": "weights.npz", "images": "images.npy", "out": "out.npy"}
    with Worker(str(PYTHON), WORKERS / "pytorch_worker.py", settings, os.environ) as worker:
        worker.ask("outputs", **{name: str(tmp_path / file) for name, file in files.items()})
    expected = model.predict_on_batch(images)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("kind", MOTIONS)
def test_points_of_a_scene_go_where_its_pixels_go(kind):
    y, x = np.mgrid[:300, :400]
    dot = np.array([150.3, 180.8])
    spot = 250 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / 50)
    photograph = Image.fromarray(spot.astype(np.uint8))
    scene = Scene.from_photograph(photograph, dot[None], np.array([120.0, 110.0, 100.0, 104.0]))
    for seconds in np.array([0.0, 0.4, 1.1]):
        bright = scene.frame(MOTIONS[kind], seconds)[..., 0].astype(float)
        centre = [(bright * place).sum() / bright.sum() for place in np.mgrid[:480, :640][::-1]]
        np.testing.assert_allclose(scene.truth(MOTIONS[kind], seconds[None])[0, 0], centre, atol=0.05)


def test_the_box_of_a_scene_is_in_the_middle_and_as_large_as_said():
    corners = np.array([[99.5, 49.5], [299.5, 249.5]])
    scene = Scene.from_photograph(Image.new("RGB", (400, 400)), corners, np.array([100, 50, 200, 200]))
    expected = [[320 - 80 - 0.5, 240 - 80 - 0.5], [320 + 80 - 0.5, 240 + 80 - 0.5]]
    np.testing.assert_allclose(scene.truth(MOTIONS["still"], np.zeros(1))[0], expected)


def test_jitter_lag_and_error_of_points_that_are_made_to_have_them():
    shape = np.random.default_rng(0).uniform(0, 100, (68, 2))
    shape[[36, 45]] = (30, 50), (70, 50)
    black = Image.new("RGB", (100, 100))
    scene = Scene.from_photograph(black, shape, np.array([0, 0, 100, 100]))  # 1.6 times as large in a frame
    seconds = np.arange(FRAMES) / RATE
    noise = np.random.default_rng(1).normal(0, 0.3, (FRAMES, 68, 2))
    measured = tracking.measures(scene.truth(MOTIONS["still"], seconds) + noise, scene, "still")
    assert measured["jitter, px"] == pytest.approx(0.3, rel=0.02)
    assert measured["jitter, %"] == pytest.approx(100 * 0.3 / 64, rel=0.02)
    late = scene.truth(MOTIONS["fast"], seconds - 0.7 / RATE) + (5, 0)
    late[20:30] = np.nan
    measured = tracking.measures(late, scene, "fast")
    assert measured["lag, fast"] == pytest.approx(0.7, abs=0.02)
    assert measured["missed, fast"] == pytest.approx(100 * 10 / 105)
    aside = scene.truth(MOTIONS["zoom"], seconds) + (6.4, 0) * MOTIONS["zoom"].at(seconds)[1][:, None, None]
    assert tracking.measures(aside, scene, "zoom")["nme, zoom"] == pytest.approx(10)


def test_of_many_faces_the_nearest_counts_and_none_that_is_far():
    truth = np.random.default_rng(0).uniform(0, 100, (3, 68, 2))
    truth[:, [36, 45]] = (30, 50), (70, 50)
    points = tracking.nearest([[truth[0] + 80, truth[0] + 1], [], [truth[2] + 15]], truth)
    np.testing.assert_array_equal(points[0], truth[0] + 1)
    assert np.isnan(points[1:]).all()


def test_the_mean_shape_of_turned_views_of_a_shape_is_that_shape():
    rng, views = np.random.default_rng(0), []
    for angles in rng.uniform((-30, 5, -20), (30, 35, 20), (300, 3)):  # most of them look up
        views.append(rng.uniform(1, 9) * Pose(*angles, 1.0, 0, 0).rotate(SHAPE)[:, :2] + 50)
    found = mean_shape_3d.mean_shape(np.array(views))
    between = [np.linalg.norm(shape[:, None] - shape, axis=-1) for shape in (found, SHAPE)]
    np.testing.assert_allclose(*between, atol=0.002)
    rotations, _ = fit_head(np.array(views), found)
    assert np.median(np.degrees(np.arcsin(rotations[:, 2, 1]))) == pytest.approx(0, abs=0.5), (
        "a median face looks ahead"
    )


def test_a_calibration_on_few_faces_is_off_by_more_than_one_on_many():
    rng = np.random.default_rng(0)
    shape = (400, 1)
    deviation = np.exp(rng.normal(-3.7, 0.3, shape)) + np.zeros(20)  # the points of a face go wrong together
    errors = deviation * np.sqrt(-np.log(rng.uniform(size=shape)) * 4 / np.pi)
    few, many = (np.median(calibration.differences(deviation**2, errors, size, 30)) for size in (10, 200))
    assert many < 0.05
    assert few > 2 * many


def test_tenths_go_from_the_least_to_the_most_confident():
    said = np.linspace(0.5, 1, 21)[None]
    errors = np.where(np.arange(21) < 10, 0.1, 0.01)[None]
    errors[0, 20] = np.nan
    mixed = np.random.default_rng(0).permutation(21)
    tenths = calibration.tenths(said[:, mixed], errors[:, mixed])
    np.testing.assert_allclose(tenths[:, 0], said[0, :20].reshape(10, 2).mean(axis=1))
    assert tenths[:, 1].tolist() == [0] * 5 + [1] * 5


def test_the_far_side_of_a_turned_face_is_where_the_nose_points():
    points = np.zeros((3, 68, 2))
    points[:, 36], points[:, 45] = (-1, 0), (1, 0)
    points[:, 30, 0] = 0.9, -0.9, 0.1
    far, near = calibration.far_sides(points)
    assert (far[0, 16], far[1, 0], far[0, 0]) == (True, True, False)
    assert (far.sum(axis=1).tolist(), (far & near).any()) == ([18, 18, 0], False)
    np.testing.assert_array_equal(far[0], near[1])


def test_half_of_each_face_is_covered(tmp_path):
    Image.new("L", (100, 100), 255).save(tmp_path / "white.png")
    points = np.tile(np.random.default_rng(0).uniform(20, 80, (68, 2)), (4, 1, 1))
    samples = Samples(tmp_path, ("white.png",) * 4, np.zeros((4, 4)), points, IBUG68, ("",) * 4)
    (tmp_path / "out").mkdir()
    shown, covered = calibration.covered_faces(samples, tmp_path / "out")
    for file, are_covered in zip(shown.files, covered, strict=True):
        grey = np.asarray(Image.open(shown.root / file))[*np.rint(points[0, :, ::-1]).astype(int).T]
        assert ((grey < 190) == are_covered).mean() > 0.95, "but for points at the edge"
        assert 20 < are_covered.sum() < 48
    assert (covered[0] != covered[1]).all(), "the upper and lower, or the left and right half"


def test_boxes_without_faces_hold_none_and_overlap_none(tmp_path):
    Image.new("RGB", (300, 200)).save(tmp_path / "a.png")
    boxes = np.array([[10.0, 10, 50, 50], [15, 12, 50, 50], [200, 100, 60, 60]])

    class Judge:
        def predict(self, picture, boxes):
            means = [0.9, 0.1, 0.2, *[0.6] * false_faces.NUM_RANDOM]
            return [SimpleNamespace(confidence=np.array([mean])) for mean in means]

    found = false_faces.boxes_without_faces([tmp_path / "a.png"], Judge(), np.random.default_rng(0), lambda _: boxes)
    assert [next(iter(each.values())).tolist() for each in found] == [boxes[2:].tolist(), []]


def test_an_enlarged_photograph_keeps_the_place_of_the_box(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    file, box = peers.enlarged([str(tmp_path / "a.png"), [3, 4, 10, 12]], 60_000, tmp_path / "b.jpg")
    with Image.open(file) as photograph:
        assert photograph.size == (300, 200)
    assert box == [30, 40, 100, 120]


def test_the_ratio_is_to_the_fastest_of_the_others():
    seconds = {"kp_tf compact": [1.0, 3.0], "kp_tf large": [0.1, 0.1], "a": [9.0, 9.0], "b": [2.0, 4.0]}
    found = peers._ratio(seconds)
    assert (found["other"], found["values"]) == ("b", [0.5, 0.75])
    assert peers._ratio({"kp_tf compact": [1.0]}) == {}
