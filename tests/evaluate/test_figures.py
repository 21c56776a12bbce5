"""The figures are files with the right panels, and a point is drawn at its place."""

import numpy as np
import pytest
from PIL import Image

from kp_tf.evaluate import figures

GREEN = (40, 160, 40)  # a photograph's colour that no figure has
BLUE, ORANGE, BOX = [0x00, 0x72, 0xB2], [0xE6, 0x9F, 0x00], [0x00, 0x9E, 0x73]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    saved, save = [], figures._save
    monkeypatch.setattr(figures, "_save", lambda figure, path: (saved.append(figure), save(figure, path)))
    return saved


def _photograph(width=100, height=100):
    return np.full((height, width, 3), GREEN, np.uint8)


def _points(faces, count, seed=0):
    return np.random.default_rng(seed).uniform(10, 90, (faces, count, 2))


def _colours(path, size, points):
    """The colours of the PNG at points (n, 2) of its only, green photograph of this size (width, height)."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    y, x = np.nonzero(np.abs(pixels - GREEN).max(axis=2) < 4)
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()]) + 1
    columns, rows = (low + (np.array(points) + 0.5) / size * (high - low)).astype(int).T
    return pixels[rows, columns].tolist()


@pytest.mark.parametrize("count", [1, 58, 68])
def test_faces_has_a_panel_for_each_and_rows_named(tmp_path, drawn, count):
    truth = _points(9, count)
    photographs = [_photograph(), *[_photograph()[..., 0]] * 8]
    texts = [f"{i} px" for i in range(9)]
    figures.faces(tmp_path / "faces.png", photographs, truth, truth + 3, texts, 5, "Part 2")
    panels = drawn[0].axes
    assert [axes.get_title() for axes in panels] == texts
    assert [axes.get_ylabel() for axes in panels] == ["best", "", "", "best", "", "worst", "", "", "worst"]
    assert [axes.get_subplotspec().colspan.start for axes in panels] == [0, 1, 2, 0, 1, 0, 1, 2, 0]
    assert (panels[0].collections[-1].get_sizes()[0] == 7**2) == (count == 1)
    assert drawn[0].get_suptitle() == "Part 2"
    assert [path.name for path in tmp_path.iterdir()] == ["faces.png"]


def test_faces_without_an_order_have_no_row_names(tmp_path, drawn):
    truth = _points(5, 3)
    figures.faces(tmp_path / "faces.png", [_photograph()] * 5, truth, truth, ["1 px"] * 5, None, "")
    assert {axes.get_ylabel() for axes in drawn[0].axes} == {""}


def test_learning_curve_has_a_line_for_each_method(tmp_path, drawn):
    curves = {"ours": [(100, 4.0), (10, 9.0)], "none yet": [], "theirs": [(10, 11.0), (100, 6.0)]}
    figures.learning_curve(tmp_path / "curve.png", curves, "IMM")
    lines = {line.get_label(): line.get_xydata().tolist() for line in drawn[0].axes[0].lines}
    assert lines == {"ours": [[10, 9], [100, 4]], "theirs": [[10, 11], [100, 6]]}
    assert [label.get_text() for label in drawn[0].axes[0].get_xticklabels()] == ["10", "100"]


def test_faces_points_lie_at_their_places(tmp_path):
    truth = np.array([[[20.0, 30.0], [80, 60], [50, np.nan]]])
    prediction = np.array([[[20.0, 80.0], [80, 10], [5, 5]]])
    path = tmp_path / "faces.png"
    figures.faces(path, [_photograph(100, 90)], truth, prediction, ["1 px"], 1, "")
    assert _colours(path, (100, 90), truth[0, :2]) == [BLUE, BLUE]
    assert _colours(path, (100, 90), prediction[0]) == [ORANGE] * 3


def test_faces_exact_prediction_leaves_truth_visible(tmp_path):
    points = np.array([[[30.0, 30.0], [70, 70]]])
    path = tmp_path / "faces.png"
    figures.faces(path, [_photograph()], points, points, ["0 px"], 1, "")
    around = np.array(_colours(path, (100, 100), [(x, 30) for x in np.arange(25, 30, 0.1)]))
    assert np.abs(around - BLUE).max(axis=1).min() < 40  # a thin ring is nowhere pure
    assert _colours(path, (100, 100), points[0]) == [ORANGE, ORANGE]


def test_faces_prediction_outside_photograph_is_shown(tmp_path, drawn):
    prediction = np.array([[[150.0, -20.0]]])
    figures.faces(tmp_path / "a.png", [_photograph()], _points(1, 1), prediction, ["90 px"], 1, "")
    axes = drawn[0].axes[0]
    assert axes.get_xlim() == (-0.5, 150)
    assert axes.get_ylim() == (99.5, -20)


def test_training_samples_shows_points_outside(tmp_path, drawn):
    images = np.full((14, 60, 80, 1), 200, np.uint8)
    points = np.full((14, 2, 2), 0.5)
    points[3] = [[1.25, 0.5], [0.5, -0.1]]
    points[1, 0] = np.nan
    figures.training_samples(tmp_path / "a.png", images, points, "Part 1")
    assert len(drawn[0].axes) == 12
    axes = drawn[0].axes[3]
    np.testing.assert_allclose(axes.get_xlim(), [-0.04 * 80 - 0.5, 1.29 * 80 - 0.5])
    np.testing.assert_allclose(axes.get_ylim(), [1.04 * 60 - 0.5, -0.14 * 60 - 0.5])
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[99.5, 29.5], [39.5, -6.5]])


def test_test_photographs_draws_box_and_points_at_their_places(tmp_path, drawn):
    path = tmp_path / "a.png"
    points = np.array([[[30.0, 40.0], [60, 20]]])
    box = np.array([[20, 10, 50, 40]])
    figures.test_photographs(path, [_photograph(120, 80)], box, points, "Part 3")
    assert _colours(path, (120, 80), points[0]) == [ORANGE, ORANGE]
    sides = [(19.5, 30), (69.5, 30), (40, 9.5), (40, 49.5)]
    assert _colours(path, (120, 80), sides) == [BOX] * 4
    figures.test_photographs(path, [_photograph()] * 9, np.tile([-9, 5, 20, 120], (9, 1)), _points(9, 68), "")
    assert len(drawn[1].axes) == 8
    assert drawn[1].axes[0].get_xlim() == (-9.5, 99.5)
    assert drawn[1].axes[0].get_ylim() == (124.5, -0.5)


@pytest.mark.parametrize(
    ("values", "scale"), [([3, 1, 2], "linear"), ([3, 0.01, 0.02], "log"), ([3, 0, 1], "linear"), ([0.5], "linear")]
)
def test_losses_marks_best_epoch(tmp_path, drawn, values, scale):
    history = {"loss": values, "val_loss": values}
    figures.losses(tmp_path / "a.png", history, "Part 1", "mean squared error")
    axes = drawn[0].axes[0]
    best = np.argmin(values)
    assert f"best validation: {values[best]} at epoch {best + 1}" in axes.get_legend_handles_labels()[1]
    assert axes.get_yscale() == scale
    assert axes.get_ylabel() == "mean squared error"
    assert all(tick == round(tick) for tick in axes.get_xticks())
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), np.arange(len(values)) + 1)


def test_losses_diverged_run_is_drawn(tmp_path):
    figures.losses(tmp_path / "a.png", {"loss": [1, np.nan], "val_loss": [np.nan, np.nan]}, "", "loss")
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize("largest", [-8, 8])
def test_filters_share_one_symmetrical_scale(tmp_path, drawn, largest):
    kernels = np.random.default_rng(0).normal(size=(7, 7, 1, 10))
    kernels[2, 3, 0, 9] = largest
    figures.filters(tmp_path / "a.png", kernels, "Part 3")
    panel, bar = drawn[0].axes
    assert panel.images[0].get_clim() == (-8, 8)
    pixels = panel.images[0].get_array().filled(np.nan)
    assert pixels.shape == (3 * 8 - 1, 4 * 8 - 1), "four in a row, a pixel between two"
    np.testing.assert_array_equal(pixels[16:, 8:15], kernels[:, :, 0, 9])
    assert (~np.isnan(pixels)).sum() == kernels.size
    assert bar.get_ylabel() == "weight"


def test_error_by_condition_has_means_of_both(tmp_path, drawn):
    network = {"frontal": np.array([1.0, 2.0]), "turned": np.array([4.0])}
    mean_shape = {"turned": np.array([9.0]), "frontal": np.array([5.0, 7.0])}  # in another order
    figures.error_by_condition(tmp_path / "a.png", network, mean_shape, "Part 2")
    axes = drawn[0].axes[0]
    assert [bar.get_height() for bar in axes.patches] == [1.5, 4, 6, 9]
    assert [label.get_text() for label in axes.get_xticklabels(minor=True)] == ["1.5", "4.0", "6.0", "9.0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["frontal", "turned"]
    assert [len(dots.get_offsets()) for dots in axes.collections] == [2, 1, 2, 1]


def test_ced_plot_is_in_percent(tmp_path, drawn):
    curves = {f"run {i}": np.array([0.02, 0.05, 0.3, np.nan]) for i in range(7)}
    figures.ced_plot(tmp_path / "a.png", curves, "Part 3")
    lines = drawn[0].axes[0].lines
    assert [line.get_label() for line in lines] == [f"run {i} (33.3 % beyond 10 %)" for i in range(7)]
    np.testing.assert_allclose(lines[0].get_xdata(), [0, 2, 5, 10])
    np.testing.assert_allclose(lines[0].get_ydata(), [0, 100 / 3, 200 / 3, 200 / 3])


def test_cut_out_keeps_every_point_on_its_pixel():
    photograph = np.arange(60 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(60, 80, 3)
    points = np.array([[20, 30], [50, 35], [np.nan, 5]])
    crop, offset = figures.cut_out(photograph, [points, np.array([[33, 31]])], margin=0.2)
    assert crop.shape == (42, 42, 3)  # 30 * 1.4
    assert offset.tolist() == [(20 + 50 - 42) / 2, round((30 + 35 - 42) / 2)]
    for point in points[:2].astype(int):
        x, y = point - offset
        np.testing.assert_array_equal(crop[y, x], photograph[point[1], point[0]])


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 3)])
@pytest.mark.parametrize("at", [(-30, -30), (70, 50), (40, 20), (-60, 20), (20, -60), (-500, 900)])
def test_cut_out_is_white_outside_photograph(shape, at):
    points = np.array([at, np.add(at, 40)])
    crop, offset = figures.cut_out(np.zeros(shape, np.uint8), [points])
    side = len(crop)
    x, y = np.meshgrid(np.arange(side) + offset[0], np.arange(side) + offset[1])
    inside = (x >= 0) & (x < 80) & (y >= 0) & (y < 60)
    np.testing.assert_array_equal(crop.reshape(side, side, -1)[..., 0], np.where(inside, 0, 255))
    assert crop.shape[2:] == shape[2:]


def test_save_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(self, path, **_):
        path.write_bytes(b"half")
        raise ValueError("no")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(ValueError, match="no"):
        figures.losses(tmp_path / "a.png", {"loss": [1], "val_loss": [1]}, "", "loss")
    assert list(tmp_path.iterdir()) == []
