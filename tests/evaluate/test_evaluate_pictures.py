"""The pictures have the right panels, and a point is drawn at its place."""

import numpy as np
import pytest
from PIL import Image

from kp_tf.evaluate import pictures

GREEN = (40, 160, 40)  # a photograph's colour, which no figure has
BLUE, ORANGE, BOX = [0x00, 0x72, 0xB2], [0xE6, 0x9F, 0x00], [0x00, 0x9E, 0x73]


def photograph(width=100, height=100):
    return np.full((height, width, 3), GREEN, np.uint8)


def random_points(faces, count):
    return np.random.default_rng(0).uniform(10, 90, (faces, count, 2))


def colours_at(path, size, points):
    """The colours of the PNG at points (n, 2) of its only, green photograph of this size (width, height)."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    y, x = np.nonzero(np.abs(pixels - GREEN).max(axis=2) < 4)
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()]) + 1
    columns, rows = (low + (np.array(points) + 0.5) / size * (high - low)).astype(int).T
    return pixels[rows, columns].tolist()


@pytest.mark.parametrize("count", [1, 58, 68])
def test_faces_have_a_panel_each_and_rows_are_named(tmp_path, saved, count):
    truth = random_points(9, count)
    photographs = [photograph(), *[photograph()[..., 0]] * 8]
    texts = [f"{i} px" for i in range(9)]
    pictures.faces(tmp_path / "faces.png", photographs, truth, truth + 3, texts, 5, "Part 2")
    panels = saved[0].axes
    assert [axes.get_title() for axes in panels] == texts
    assert [axes.get_ylabel() for axes in panels] == ["best", "", "", "best", "", "worst", "", "", "worst"]
    assert [axes.get_subplotspec().colspan.start for axes in panels] == [0, 1, 2, 0, 1, 0, 1, 2, 0]
    assert (panels[0].collections[-1].get_sizes()[0] == 7**2) == (count == 1)
    assert saved[0].get_suptitle() == "Part 2"
    assert [path.name for path in tmp_path.iterdir()] == ["faces.png"]


def test_faces_that_are_neither_best_nor_worst_have_no_row_names(tmp_path, saved):
    truth = random_points(5, 3)
    pictures.faces(tmp_path / "faces.png", [photograph()] * 5, truth, truth, ["1 px"] * 5, None, "")
    assert {axes.get_ylabel() for axes in saved[0].axes} == {""}


def test_points_lie_at_their_places_on_a_large_photograph_which_is_shown_smaller(tmp_path, saved):
    truth = np.array([[[400.0, 600.0], [1990, 1790], [3, 5]]])
    path = tmp_path / "faces.png"
    pictures.faces(path, [photograph(2003, 1801)], truth, truth + np.nan, ["1 px"], 1, "")
    assert colours_at(path, (2003, 1801), truth[0, :1]) == [BLUE]
    image = saved[0].axes[0].images[0]
    assert image.get_array().shape == (901, 1002, 3)
    assert image.get_extent() == [-0.5, 2003.5, 1801.5, -0.5]
    assert saved[0].axes[0].get_xlim() == (-0.5, 2002.5)


def test_points_of_faces_lie_at_their_places(tmp_path):
    truth = np.array([[[20.0, 30.0], [80, 60], [50, np.nan]]])
    prediction = np.array([[[20.0, 80.0], [80, 10], [5, 5]]])
    path = tmp_path / "faces.png"
    pictures.faces(path, [photograph(100, 90)], truth, prediction, ["1 px"], 1, "")
    assert colours_at(path, (100, 90), truth[0, :2]) == [BLUE, BLUE]
    assert colours_at(path, (100, 90), prediction[0]) == [ORANGE] * 3


def test_an_exact_prediction_leaves_the_truth_visible(tmp_path):
    points = np.array([[[30.0, 30.0], [70, 70]]])
    path = tmp_path / "faces.png"
    pictures.faces(path, [photograph()], points, points, ["0 px"], 1, "")
    around = np.array(colours_at(path, (100, 100), [(x, 30) for x in np.arange(25, 30, 0.1)]))
    assert np.abs(around - BLUE).max(axis=1).min() < 40  # a thin ring is nowhere pure
    assert colours_at(path, (100, 100), points[0]) == [ORANGE, ORANGE]


def test_a_prediction_outside_the_photograph_is_shown(tmp_path, saved):
    prediction = np.array([[[150.0, -20.0]]])
    pictures.faces(tmp_path / "a.png", [photograph()], random_points(1, 1), prediction, ["90 px"], 1, "")
    axes = saved[0].axes[0]
    assert axes.get_xlim() == (-0.5, 150)
    assert axes.get_ylim() == (99.5, -20)


def test_training_samples_show_points_outside(tmp_path, saved):
    images = np.full((14, 60, 80, 1), 200, np.uint8)
    points = np.full((14, 2, 2), 0.5)
    points[3] = [[1.25, 0.5], [0.5, -0.1]]
    points[1, 0] = np.nan
    pictures.training_samples(tmp_path / "a.png", images, points, "Part 1")
    assert len(saved[0].axes) == 12
    axes = saved[0].axes[3]
    np.testing.assert_allclose(axes.get_xlim(), [-0.04 * 80 - 0.5, 1.29 * 80 - 0.5])
    np.testing.assert_allclose(axes.get_ylim(), [1.04 * 60 - 0.5, -0.14 * 60 - 0.5])
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[99.5, 29.5], [39.5, -6.5]])


def test_test_photographs_have_box_and_points_at_their_places(tmp_path, saved):
    path = tmp_path / "a.png"
    points = np.array([[[30.0, 40.0], [60, 20]]])
    box = np.array([[20, 10, 50, 40]])
    pictures.test_photographs(path, [photograph(120, 80)], box, points, "Part 3")
    assert colours_at(path, (120, 80), points[0]) == [ORANGE, ORANGE]
    sides = [(19.5, 30), (69.5, 30), (40, 9.5), (40, 49.5)]
    assert colours_at(path, (120, 80), sides) == [BOX] * 4
    many = tmp_path / "many.png"
    pictures.test_photographs(many, [photograph()] * 8, np.tile([-9, 5, 20, 120], (8, 1)), random_points(8, 68), "")
    assert len(saved[1].axes) == 8
    assert saved[1].axes[0].get_xlim() == (-9.5, 99.5)
    assert saved[1].axes[0].get_ylim() == (124.5, -0.5)


@pytest.mark.parametrize("largest", [-8, 8])
def test_filters_share_one_symmetrical_scale(tmp_path, saved, largest):
    kernels = np.random.default_rng(0).normal(size=(7, 7, 1, 10))
    kernels[2, 3, 0, 9] = largest
    pictures.filters(tmp_path / "a.png", kernels, "Part 3")
    panel, bar = saved[0].axes
    assert panel.images[0].get_clim() == (-8, 8)
    pixels = panel.images[0].get_array().filled(np.nan)
    assert pixels.shape == (3 * 8 - 1, 4 * 8 - 1), "four in a row, a pixel between two"
    np.testing.assert_array_equal(pixels[16:, 8:15], kernels[:, :, 0, 9])
    assert (~np.isnan(pixels)).sum() == kernels.size
    assert bar.get_ylabel() == "weight"
