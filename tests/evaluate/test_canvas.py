from pathlib import Path

import matplotlib.figure
import matplotlib.patches
import numpy as np
import PIL.Image
import pytest

from kp_tf.evaluate.canvas import PAD, new_plot, save_figure, set_title, square_crop


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
    save = PIL.Image.Image.save

    def fail(self, file, *args, **kwargs):
        if not isinstance(file, Path):  # matplotlib draws into memory
            return save(self, file, *args, **kwargs)
        file.write_bytes(b"half")
        raise ValueError("no")

    monkeypatch.setattr(PIL.Image.Image, "save", fail)
    with pytest.raises(ValueError, match="no"):
        save_figure(new_plot("a", "x", "y")[0], tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_is_saved_without_its_white_margins(tmp_path):
    figure = matplotlib.figure.Figure(figsize=(4, 3), dpi=100)
    figure.add_artist(matplotlib.patches.Rectangle((0.25, 0.5), 0.5, 0.25, color="black", linewidth=0))
    save_figure(figure, tmp_path / "a.png")
    with PIL.Image.open(tmp_path / "a.png") as image:
        assert image.size == (200 + 2 * PAD, 75 + 2 * PAD)
        assert image.getpixel((PAD, PAD)) == (0, 0, 0)
        assert image.getpixel((0, 0)) == (255, 255, 255)


def test_a_title_leaves_no_single_word_on_a_line():
    figure = matplotlib.figure.Figure(figsize=(7, 4))
    set_title(figure, "Part 2, 58 landmarks, recipe course: best and worst of 48 validation faces")
    lines = figure.get_suptitle().split("\n")
    assert len(lines) == 2
    assert min(map(len, lines)) > 30
