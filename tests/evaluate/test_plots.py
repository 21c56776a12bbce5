import numpy as np
import pytest

from kp_tf.evaluate import plots


@pytest.mark.parametrize(
    ("values", "scale"), [([3, 1, 2], "linear"), ([3, 0.01, 0.02], "log"), ([3, 0, 1], "linear"), ([0.5], "linear")]
)
def test_losses_mark_the_best_epoch(tmp_path, saved, values, scale):
    history = {"loss": values, "val_loss": values}
    plots.losses(tmp_path / "a.png", history, "Part 1", "mean squared error")
    axes = saved[0].axes[0]
    best = np.argmin(values)
    assert f"best validation: {values[best]} at epoch {best + 1}" in axes.get_legend_handles_labels()[1]
    assert axes.get_yscale() == scale
    assert axes.get_ylabel() == "mean squared error"
    assert all(tick == round(tick) for tick in axes.get_xticks())
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), np.arange(len(values)) + 1)


@pytest.mark.parametrize(
    ("kept", "labels"),
    [
        (2, ["best validation (kept): 1 at epoch 2"]),
        (3, ["best validation: 1 at epoch 2", "kept: epoch 3"]),
    ],
)
def test_losses_mark_the_epoch_that_was_kept(tmp_path, saved, kept, labels):
    plots.losses(tmp_path / "a.png", {"loss": [3, 2, 1], "val_loss": [3, 1, 2]}, "Part 1", "loss", kept)
    axes = saved[0].axes[0]
    assert axes.get_legend_handles_labels()[1][2:] == labels
    assert [list(line.get_xdata()) for line in axes.lines[2:]] == [[2]] + [[3, 3]] * (kept == 3)


def test_losses_of_a_training_that_diverged_are_drawn(tmp_path):
    plots.losses(tmp_path / "a.png", {"loss": [1, np.nan], "val_loss": [np.nan, np.nan]}, "", "loss")
    assert (tmp_path / "a.png").is_file()


def test_error_by_condition_has_means_of_network_and_mean_shape(tmp_path, saved):
    network = {"frontal": np.array([1.0, 2.0]), "turned": np.array([4.0])}
    mean_shape = {"turned": np.array([9.0]), "frontal": np.array([5.0, 7.0])}  # in another order
    plots.error_by_condition(tmp_path / "a.png", network, mean_shape, "Part 2")
    axes = saved[0].axes[0]
    assert [bar.get_height() for bar in axes.patches] == [1.5, 4, 6, 9]
    assert [label.get_text() for label in axes.get_xticklabels(minor=True)] == ["1.5", "4.0", "6.0", "9.0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["frontal", "turned"]
    assert [len(dots.get_offsets()) for dots in axes.collections] == [2, 1, 2, 1]


def test_ced_is_in_percent(tmp_path, saved):
    curves = {f"run {i}": np.array([0.02, 0.05, 0.3, np.nan]) for i in range(7)}
    plots.ced_plot(tmp_path / "a.png", curves, "Part 3")
    lines = saved[0].axes[0].lines
    assert [line.get_label() for line in lines] == [f"run {i} (33.3 % beyond 10 %)" for i in range(7)]
    np.testing.assert_allclose(lines[0].get_xdata(), [0, 2, 5, 30, 30])  # to the 99th percentile
    np.testing.assert_allclose(lines[0].get_ydata(), [0, 100 / 3, 200 / 3, 100, 100])
    plots.ced_plot(tmp_path / "b.png", {"run": np.array([0.02, 0.05])}, "Part 3")
    assert [saved[k].axes[0].get_xlim() for k in (0, 1)] == [(0, pytest.approx(30)), (0, 10)]


def test_calibration_compares_ten_groups_of_as_many_points(tmp_path, saved):
    confidence = np.repeat(np.arange(10), 4) / 10 + 0.05  # 5 %, 15 %, … of four points each
    near = np.repeat([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], 4) > np.tile(np.arange(4), 10)  # as many of each group
    errors = np.where(near, 0.02, 0.05)
    order = np.random.default_rng(0).permutation(40)
    confidence, errors = np.append(confidence[order], 0.5), np.append(errors[order], np.nan)
    plots.calibration(tmp_path / "a.png", confidence, errors, 0.03, "compact")
    axes = saved[0].axes[0]
    diagonal, line = axes.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    np.testing.assert_allclose(line.get_xdata(), np.arange(5, 100, 10))
    np.testing.assert_allclose(line.get_ydata(), [0, 0, 25, 25, 50, 50, 75, 75, 100, 100])
    assert [text.get_text() for text in axes.texts][:3] == ["5.0 %", "5.0 %", "4.2 %"]
    assert axes.get_xlim() == (0, 101)


def test_learning_curve_has_a_line_for_each_method(tmp_path, saved):
    curves = {"ours": [(100, 4.0), (10, 9.0)], "none yet": [], "theirs": [(10, 11.0), (100, 6.0)]}
    plots.learning_curve(tmp_path / "curve.png", curves, "IMM")
    axes = saved[0].axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines == {"ours": [[10, 9], [100, 4]], "theirs": [[10, 11], [100, 6]]}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "100"]


def test_paths_have_a_panel_for_each_clip(tmp_path, saved):
    seconds = np.arange(4) / 30
    lines = {"truth": np.arange(4.0), "detected": np.array([0, np.nan, 2, 3]), "tracked": np.arange(4) + 0.1}
    plots.paths(tmp_path / "paths.png", seconds, {"still": lines, "fast": lines}, "one point over time")
    assert [axes.get_title() for axes in saved[0].axes] == ["still", "fast"]
    for axes in saved[0].axes:
        assert [line.get_label() for line in axes.lines] == list(lines)
        np.testing.assert_array_equal(axes.lines[1].get_xydata(), np.stack([seconds, lines["detected"]], axis=1))
