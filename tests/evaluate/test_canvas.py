import matplotlib.figure
import numpy as np
import pytest

from kp_tf.evaluate.canvas import new_plot, save_figure, set_title, square_crop


def test_a_square_crop_keeps_every_point_on_its_pixel():
    photograph = np.arange(60 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(60, 80, 3)
    points = np.array([[20, 30], [50, 35], [np.nan, 5]])
    crop, offset = square_crop(photograph, [points, np.array([[33, 31]])], margin=0.2)
    assert crop.shape == (42, 42, 3)  # 30 * 1.4
    assert offset.tolist() == [(20 + 50 - 42) / 2, round((30 + 35 - 42) / 2)]
    for point in points[:2].astype(int):
        x, y = point - offset
        np.testing.assert_array_equal(crop[y, x], photograph[point[1], point[0]])


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 3)])
@pytest.mark.parametrize("at", [(-30, -30), (70, 50), (40, 20), (-60, 20), (20, -60), (-500, 900)])
def test_a_square_crop_is_white_outside_the_photograph(shape, at):
    points = np.array([at, np.add(at, 40)])
    crop, offset = square_crop(np.zeros(shape, np.uint8), [points])
    side = len(crop)
    x, y = np.meshgrid(np.arange(side) + offset[0], np.arange(side) + offset[1])
    inside = (x >= 0) & (x < 80) & (y >= 0) & (y < 60)
    np.testing.assert_array_equal(crop.reshape(side, side, -1)[..., 0], np.where(inside, 0, 255))
    assert crop.shape[2:] == shape[2:]


def test_a_long_title_takes_several_lines():
    figure, _ = new_plot("", "x", "y", width=5)
    title = "a title that is far too long for a figure of this width"
    set_title(figure, title)
    lines = figure.get_suptitle().splitlines()
    assert " ".join(lines) == title
    assert len(lines) == 2


def test_a_figure_that_cannot_be_saved_leaves_nothing(tmp_path, monkeypatch):
    def fail(self, path, **_):
        path.write_bytes(b"half")
        raise ValueError("no")

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fail)
    with pytest.raises(ValueError, match="no"):
        save_figure(new_plot("a", "x", "y")[0], tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_title_leaves_no_single_word_on_a_line():
    figure = matplotlib.figure.Figure(figsize=(7, 4))
    set_title(figure, "Part 2, 58 landmarks, recipe course: best and worst of 48 validation faces")
    lines = figure.get_suptitle().split("\n")
    assert len(lines) == 2
    assert min(map(len, lines)) > 30
