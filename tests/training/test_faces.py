"""Labelled photographs to crops and points in memory."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from helpers import INFO, RECIPE, SHAPE, picture, write_ibug, write_xml
from PIL import Image
from training_steps import OWN, TINY, history, prepare, read, write_own_labels

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.formats import read_labels
from kp_tf.recipes import RECIPES
from kp_tf.training import distributed
from kp_tf.training.config import TrainConfig
from kp_tf.training.faces import _decode_training, _digests, _Reading, load
from kp_tf.training.fitting import fit
from kp_tf.training.report import finish, write_metrics

FILES = [f"{number}.png" for number in range(10)]


def write_photographs(folder, turned):
    """Ten photographs 120 × 90 with a face each; `turned` stores them by 90° with EXIF orientation 6.

    A pixel (x, y) is then stored at (y, 119 - x).
    """
    folder.mkdir()
    tag, images = Image.Exif(), []
    tag[0x0112] = 6
    for number, file in enumerate(FILES):
        image, (left, top, width, height) = picture(120, 90, number), (30 + number, 20, 40, 44)
        places = [(left + 7 * k, top + 9 * k) for k in range(5)]
        if turned:
            image = image.transpose(Image.Transpose.ROTATE_90)
            places = [(y, 119 - x) for x, y in places]
            left, top, width, height = top, 120 - left - width, height, width
        image.save(folder / file, **({"exif": tag} if turned else {}))
        parts = "".join(f"<part name='{k}' x='{x}' y='{y}'/>" for k, (x, y) in enumerate(places))
        box = f"<box left='{left}' top='{top}' width='{width}' height='{height}'>{parts}</box>"
        images.append(f"<image file='{file}'>{box}</image>")
    write_xml(folder / "mine.xml", images)
    return folder / "mine.xml"


def test_photographs_turned_by_exif_are_trained_on_as_if_stored_upright(tmp_path):
    recipe = replace(TINY, part=None, dataset="labels", scheme=None, crop_scale=1.5, epochs=1)
    scheme = tmp_path / "scheme.json"
    scheme.write_text('{"name": "five", "mirror": [["0", "4"]]}')
    loaded, runs = [], []
    for name in ("upright", "turned"):
        labels = write_photographs(tmp_path / name, turned=name == "turned")
        config = TrainConfig(recipe, labels.parent, labels=labels, scheme_file=scheme)
        fitting = prepare(config, tmp_path / name / "run")
        fit(fitting)
        write_metrics(finish(fitting), fitting, "CPU")
        loaded.append(fitting.faces)
        runs.append(fitting.path)
    upright, turned = loaded
    assert not np.allclose(turned.training.samples.boxes, upright.training.samples.boxes)
    for one, other in ((upright.training, turned.training), (upright.validation, turned.validation)):
        assert one.samples.files == other.samples.files
        np.testing.assert_array_equal(one.upright.boxes, other.upright.boxes)
        np.testing.assert_allclose(one.points_norm, other.points_norm, atol=1e-6)
        # TensorFlow decodes the upright ones itself; a few greys are rounded to the other side
        np.testing.assert_allclose(one.crops.astype(int), other.crops.astype(int), atol=1)
    for one, other in zip(*map(history, runs), strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    for name in ("val_mean_error_px", "mean_shape_error_px", "val_aligned_error_px"):
        metrics = [read(run / "metrics.json")[name] for run in runs]
        assert metrics[0] == pytest.approx(metrics[1], rel=1e-3)


def on_both_machines(config, monkeypatch, total=lambda strategy, values: np.asarray(values)):
    """What each of two machines loads, with what is totalled over both."""
    monkeypatch.setattr(distributed, "total", total)
    monkeypatch.setattr(distributed, "check_alike", lambda *_: None)
    loaded = []
    for number in range(2):
        task = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": number}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(task))
        loaded.append(load(config, "CPU"))
    monkeypatch.delenv("TF_CONFIG")
    return loaded


def test_machines_decode_and_keep_their_own_part_of_the_faces(imm, monkeypatch):
    config = TrainConfig(TINY, imm)
    whole = load(config, "CPU")
    expected = [_digests(whole.training), _digests(whole.validation)]
    digests = []
    for number, loaded in enumerate(on_both_machines(config, monkeypatch)):
        monkeypatch.setattr(distributed, "machines", lambda number=number: (2, number))
        faces = loaded.training
        assert (len(faces), faces.own.tolist()) == (4, [number, number + 2])
        np.testing.assert_array_equal(faces.crops[faces.own], whole.training.crops[faces.own])
        with pytest.raises(LookupError, match="another machine keeps these crops"):
            faces.crops[:]
        np.testing.assert_array_equal(faces.crops_of(np.arange(4)), whole.training.crops)
        np.testing.assert_array_equal(faces.points_norm, whole.training.points_norm)
        digests.append([_digests(faces), _digests(loaded.validation)])
    np.testing.assert_array_equal(np.sum(digests, axis=0), expected)


def test_machines_leave_out_what_another_cannot_use(imm, monkeypatch):
    photograph = imm / "imm_face_db/32-1m.jpg"  # of the third face, which the first machine decodes
    photograph.write_bytes(photograph.read_bytes()[:1000])
    found = []

    def total(strategy, values):  # of training and validation faces
        found.append(np.asarray(values))
        return found[-1] if len(found) < 3 else found[-1] + found[len(found) - 3]

    first, second = on_both_machines(TrainConfig(TINY, imm, skip_bad=True), monkeypatch, total)
    assert [faces.skipped for faces in (first, second)] == [first.skipped, []]
    assert "32-1m" in first.skipped[0]
    for loaded in (first, second):
        assert loaded.training.samples.files == ("31-1m.jpg", "31-3m.jpg", "32-3m.jpg")
        assert loaded.training.shards.tolist() == [0, 1, 1]
    whole = load(TrainConfig(TINY, imm, skip_bad=True), "CPU").training.crops
    np.testing.assert_array_equal(first.training.crops[np.array([0])], whole[:1])
    np.testing.assert_array_equal(second.training.crops[np.array([2, 1])], whole[[2, 1]])


def test_skip_bad_trains_without_bad_faces_and_counts_them(imm, tmp_path, capsys):
    folder = imm / "imm_face_db"
    (folder / "31-1m.jpg").write_bytes((folder / "31-1m.jpg").read_bytes()[:1000])
    (folder / "33-1m.asf").write_text("58")
    config = TrainConfig(replace(TINY, epochs=1), imm)
    with pytest.raises(KpError, match=r"33-1m\.asf: expected 58 lines"):
        load(config, "CPU")
    fitting = prepare(replace(config, skip_bad=True), run := tmp_path / "run")
    write_metrics(finish(fitting), fitting, "CPU")
    assert read(run / "metrics.json")["skipped_bad"] == 2
    split = read(run / "split.json")
    assert split["training"] == ["31-3m.jpg", "32-1m.jpg", "32-3m.jpg"]
    assert split["validation"] == ["33-3m.jpg", "34-1m.jpg", "34-3m.jpg"]
    out = capsys.readouterr().out
    assert "2 problems; these are left out:\n" in out
    assert "31-1m.asf: cannot read " in out


def test_a_side_without_a_good_photograph_is_refused_even_with_skip_bad(imm):
    for path in (imm / "imm_face_db").glob("3[34]-*.jpg"):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(KpError, match="4 images cannot be used"):
        load(TrainConfig(TINY, imm, skip_bad=True), "CPU")


def test_windows_reach_a_margin_beyond_the_farthest_point(tmp_path):
    labels = write_own_labels(tmp_path / "own")
    loaded = load(TrainConfig(OWN, labels.parent, labels=labels), "CPU")
    assert (len(loaded.training), len(loaded.validation)) == (18, 2)
    assert loaded.info.scheme.names == ("left eye", "nose", "right eye")
    # the right eye is the farthest from the middle of the box, at 20.5 + number / 2; the box is 44 pixels high
    reach = [20.5 + int(file[0]) / 2 for file in loaded.training.samples.files]
    recipe = loaded.info.recipe
    assert recipe.crop_scale == pytest.approx(1.36 * 2 * np.median(reach) / 44, abs=2e-3)
    assert recipe.stored_scale == pytest.approx(1.5 * recipe.crop_scale, abs=1e-3)
    assert (loaded.training.crops.shape, loaded.validation.crops.shape) == ((18, 24, 24, 1), (2, 16, 16, 1))


def test_further_faces_are_trained_on_and_not_validated(tmp_path, capsys):
    own, more = write_own_labels(tmp_path / "own"), write_own_labels(tmp_path / "more")
    more.write_text(more.read_text().replace("nose", "tail"))
    config = TrainConfig(OWN, own.parent, labels=own)
    alone, loaded = load(config, "CPU"), load(replace(config, add=(more, own, more)), "CPU")
    assert "18 + 60 training and 2 validation images" in capsys.readouterr().out
    files = [str(loaded.training.samples.root / file) for file in loaded.training.samples.files]
    assert [sum(str(folder) in file for file in files) for folder in (more.parent, own.parent)] == [40, 38]
    assert np.isnan(loaded.training.points_norm[18:38, 1]).all(), "a point that the further labels do not name"
    np.testing.assert_array_equal(loaded.training.crops[18:38], loaded.training.crops[38:58])
    assert loaded.validation.samples.files == alone.validation.samples.files
    assert loaded.info.recipe == alone.info.recipe, "the part's own faces determine the windows"


def test_further_validation_faces_are_read_by_the_name_of_their_file_and_validated_on_their_own(tmp_path, capsys):
    own, more, third = (write_own_labels(tmp_path / name) for name in ("own", "more", "third"))
    more.write_text(more.read_text().replace("nose", "tail"))
    third = third.rename(third.with_name("hard.xml"))
    config = TrainConfig(OWN, own.parent, labels=own)
    alone, loaded = load(config, "CPU"), load(replace(config, add_val=(more, third, own, more)), "CPU")
    assert "18 training and 2 + 20 + 20 + 20 validation images" in capsys.readouterr().out
    assert {name: samples.root for name, samples in loaded.added.items()} == {
        "mine": more.parent, "hard": third.parent, "mine-2": own.parent
    }  # fmt: skip
    assert np.isnan(loaded.added["mine"].labels[:, 1]).all(), "a point that the labels do not name"
    assert alone.split["validation"] == loaded.split["validation"]
    assert alone.split["digest"] != loaded.split["digest"], "a run is not resumed with others"
    np.testing.assert_array_equal(alone.training.crops, loaded.training.crops)


def test_further_validation_faces_that_cannot_be_used_stop_the_training_or_are_left_out(tmp_path):
    own, more = write_own_labels(tmp_path / "own"), write_own_labels(tmp_path / "more")
    (more.parent / "3.png").write_bytes(b"")
    config = TrainConfig(OWN, own.parent, labels=own, add_val=(more,))
    with pytest.raises(KpError, match=r"more/3\.png"):
        load(config, "CPU")
    loaded = load(replace(config, skip_bad=True), "CPU")
    assert (len(loaded.added["mine"]), len(loaded.skipped)) == (18, 2)


def rotated_photograph(folder, degrees):
    """A drawn face of 68 points rotated about its middle, and its labels."""
    folder.mkdir()
    image = Image.fromarray(np.asarray(picture(400, 400, 1)))
    image.rotate(-degrees, Image.Resampling.BICUBIC, center=(200, 200)).save(folder / "face.png")
    x, y = (SHAPE - SHAPE.mean(axis=0)).T * 80
    angle = np.radians(degrees)
    places = 199.5 + np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], axis=1)
    parts = "".join(f"<part name='{k:02d}' x='{x}' y='{y}'/>" for k, (x, y) in enumerate(places))
    box = f"<box left='160' top='160' width='80' height='80'>{parts}</box>"
    write_xml(folder / "face.xml", [f"<image file='face.png'>{box}</image>"])
    return folder / "face.xml"


def test_a_rotated_face_is_kept_upright(tmp_path):
    recipe = replace(RECIPE, rotated_windows=True, stored_shape=(64, 64))
    info, faces = replace(INFO, recipe=recipe), []
    for degrees in (0, 70):
        labels = rotated_photograph(tmp_path / str(degrees), degrees)
        samples = read_labels(labels).with_scheme(IBUG68)
        reading = _Reading(False, [], tf.distribute.get_strategy())
        faces.append(_decode_training(info, samples, reading))
    upright, rotated = faces
    np.testing.assert_allclose((rotated.windows - upright.windows)[:, 2:], [[0, 0, 70]], atol=1e-6)
    np.testing.assert_allclose(rotated.points_norm, upright.points_norm, atol=1e-6)
    assert np.abs(rotated.crops.astype(int) - upright.crops).mean() < 4
    assert np.abs(np.rot90(upright.crops, axes=(1, 2)).astype(int) - upright.crops).mean() > 30


def test_photographs_of_imm_are_framed_by_the_mean_face(imm_data):
    recipe = replace(OWN, part=2, dataset="imm", scheme="imm58", num_passes=3)
    info = load(TrainConfig(recipe, imm_data), "CPU").info
    assert info.framing.points.shape == (58, 2)
    assert (info.recipe.num_passes, info.recipe.crop_scale) == (3, pytest.approx(1.36, abs=0.02))


def test_test_photographs_are_read_if_there_are_any(tmp_path, imm_data):
    data = write_ibug(tmp_path / "faces")
    test = load(TrainConfig(replace(RECIPES["course", 3], shape=(32, 32)), data), "CPU").test
    assert set(test.files) == {"helen/020x.png", "helen/021x.jpg", "helen/022x.jpg", "helen/023x.jpg"}
    assert load(TrainConfig(TINY, imm_data), "CPU").test is None
