"""From the test photographs to the competition's CSV, in one go or in shards."""

import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import RECIPE, picture, write_run, write_xml, xml_image
from PIL import Image
from training_steps import TINY

from kp_tf import cli
from kp_tf.apps.kaggle import Submission, predict_kaggle
from kp_tf.apps.submission_csv import read_submission
from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.errors import KpError, PartialError
from kp_tf.core.files import write_json
from kp_tf.core.keypoints import IBUG68, NOSE
from kp_tf.data.synthetic.sample import draw_sample, sample_path
from kp_tf.recipes import PART1, PART3, RECIPES, Augmentation

PROGRAM = Path(__file__).parents[2] / "predict_kaggle.py"


def network(images):
    """The points of each crop lie on a line through its middle, whose length is the crop's brightness."""
    length = images.mean(axis=(1, 2, 3)) + 0.5
    line = np.linspace(-0.5, 0.5, 136).reshape(68, 2)
    points = 0.5 + length[:, None, None] * line
    return np.concatenate([points, np.full((len(images), 68, 1), 0.01)], axis=-1).astype(np.float32)


def write_settings(path, info):
    """A completed run without its network."""
    path.mkdir()
    write_json(path / "config.json", info.to_json())
    write_json(path / "metrics.json", {"completed": "2026-01-01T00:00:00+00:00"})


@pytest.fixture
def arguments(ibug, tmp_path, monkeypatch):
    """Of the course's part 3 with that network, which takes the box itself and has one pass."""
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path / "course", ModelInfo(tmp_path / "course", PART3, IBUG68))
    return {"data": str(ibug), "run": "course", "network": network}


@pytest.fixture
def folder(ibug):
    return ibug / "ibug_300W_large_face_landmark_dataset"


def test_the_rows_follow_the_xml(arguments, capsys):
    outputs = np.stack([np.arange(68) / 60, np.full(68, 0.25), np.full(68, np.nan)], axis=-1)
    arguments["network"] = lambda images: np.repeat(outputs[None], len(images), axis=0)
    assert predict_kaggle(**arguments) == Path("submission.csv")
    said = capsys.readouterr().out
    assert "Predicting with course, completed 2026-01-01 00:00 UTC" in said
    assert "submission.csv: 544 rows for 4 faces of " in said
    points = read_submission(Path("submission.csv"), 4)
    # the box of photograph n has its left at 50 + n, its top at 20, and 60 × 64 pixels
    for n in range(4):
        np.testing.assert_allclose(points[n, :, 0], 50 + n - 0.5 + np.arange(68), atol=1e-4)
        np.testing.assert_allclose(points[n, :, 1], 20 - 0.5 + 16, atol=1e-4)


def test_the_program_prints_what_it_does(ibug, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["predict_kaggle.py", "--run", str(run), "--data", str(ibug), "--out", "a.csv"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(PROGRAM), run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("a.csv: 544 rows for 4 faces")
    assert read_submission(tmp_path / "a.csv", 4).shape == (4, 68, 2)


@pytest.mark.long
def test_the_program_prints_nothing_of_tensorflows(ibug, tmp_path):
    command = [sys.executable, PROGRAM, "--run", write_run(tmp_path / "run"), "--data", ibug, "--out", "a.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1].startswith("a.csv: 544 rows for 4 faces")
    assert done.stderr == "network: run\n"


def test_points_move_with_box_and_photograph(arguments, folder):
    expected = read_submission(predict_kaggle(**arguments), 4)[0] + (7, 3)
    moved = Image.new("RGB", (157, 203))
    with Image.open(folder / "helen" / "020x.png") as image:
        moved.paste(image, (7, 3))
    moved.save(folder / "helen" / "020x.png")
    xml = folder / "labels_ibug_300W_test_parsed.xml"
    xml.write_text(xml.read_text().replace("top='20' left='50'", "top='23' left='57'"))
    points = read_submission(predict_kaggle(**arguments), 4)[0]
    np.testing.assert_allclose(points, expected, atol=2e-4)


def test_any_xml_takes_the_place_of_the_data(arguments, folder, tmp_path):
    predict_kaggle(**arguments | {"data": None}, labels=folder / "labels_ibug_300W_train.xml", out=Path("other.csv"))
    assert read_submission(Path("other.csv"), 20).shape == (20, 68, 2)
    with pytest.raises(KpError, match="--data and --labels cannot be used together"):
        predict_kaggle(**arguments, labels=folder / "labels_ibug_300W_train.xml")
    picture(50, 50).save(folder / "one.png")
    write_xml(folder / "labels_ibug_300W_test.xml", [xml_image("one.png", [(5, 5, 40, 40)])])
    (folder / "labels_ibug_300W_test_parsed.xml").unlink()
    assert read_submission(predict_kaggle(**arguments), 1).shape == (1, 68, 2)
    (folder / "labels_ibug_300W_test.xml").unlink()
    with pytest.raises(KpError, match=r"neither labels_ibug_300W_test_parsed\.xml nor labels_ibug_300W_test\.xml"):
        predict_kaggle(**arguments)


def test_without_data_the_test_photographs_alone_are_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KP_TF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    drawn = sample_path("ibug", test_only=True)
    draw_sample(drawn, "ibug", count=30, test_only=True)  # fewer than the command would draw
    assert not list(drawn.rglob("*train*.xml"))
    assert predict_kaggle(run="compact", network=network) == Path("submission-sample.csv")
    assert "a sample of synthetic faces is used instead" in capsys.readouterr().out
    assert read_submission(Path("submission-sample.csv"), 4).shape == (4, 68, 2)
    assert not sample_path("ibug").exists()


def test_without_a_run_the_most_accurate_weights_are_taken(arguments, capsys):
    predict_kaggle(**arguments | {"run": None})
    assert "Predicting with large," in capsys.readouterr().out


@pytest.mark.parametrize(("run", "default"), [("course", False), ("compact", True)])
def test_flips_follow_the_recipe(arguments, run, default):
    arguments["run"] = run
    expected = {flips: predict_kaggle(**arguments, flips=flips).read_bytes() for flips in (True, False)}
    assert expected[True] != expected[False]
    assert predict_kaggle(**arguments).read_bytes() == expected[default]


def test_shards_join_to_the_whole(arguments):
    whole = predict_kaggle(**arguments).read_bytes()
    for shard in ("2/3", "1/3", "3/3"):
        with pytest.raises(KpError, match=r"--merge: "):
            predict_kaggle(**arguments, merge=True, out=Path("joined.csv"))
        assert not Path("joined.csv").exists()
        predict_kaggle(**arguments, shard=shard, out=Path("joined.csv"))
    joined = predict_kaggle(**arguments, merge=True, out=Path("joined.csv"))
    assert joined.read_bytes() == whole


def test_shards_that_do_not_fit_are_refused(arguments):
    def refused(message, **others):
        with pytest.raises(KpError, match=message):
            predict_kaggle(**arguments | others, merge=True)

    refused(r"there are no shards submission\.I-of-N\.npz in \.")
    predict_kaggle(**arguments, shard="1/2")
    refused(r"the shard submission\.2-of-2\.npz is missing")
    predict_kaggle(**arguments, shard="2/2")
    for others in ({"run": "large"}, {"flips": True}, {"precision": "mixed_bfloat16"}):
        refused(r"submission\.1-of-2\.npz: the shard belongs to another network", **others)
    shutil.copy("submission.2-of-2.npz", "submission.1-of-3.npz")
    refused("there are shards of 2 and of 3")
    Path("submission.1-of-3.npz").unlink()
    shutil.copy("submission.1-of-2.npz", "submission.2-of-2.npz")
    refused(r"submission\.2-of-2\.npz: it was not written as shard 2 of 2")
    Path("submission.2-of-2.npz").write_bytes(b"no shard")
    refused(r"submission\.2-of-2\.npz: expected a shard")
    assert not Path("submission.csv").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "-1/2", "a/b", "1/2/3"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(KpError, match="write I/N with I from 1 to N, such as 2/5"):
        predict_kaggle(shard=text)


def test_more_shards_than_faces_are_refused(arguments):
    with pytest.raises(KpError, match="--shard 5/5: there are only 4 faces"):
        predict_kaggle(**arguments, shard="5/5")


def test_a_shard_is_not_merged(arguments):
    with pytest.raises(KpError, match="--shard and --merge cannot be used together"):
        predict_kaggle(**arguments, shard="1/2", merge=True)


def test_a_run_of_another_part_is_refused(arguments, tmp_path):
    write_settings(tmp_path / "nose", ModelInfo(tmp_path / "nose", PART1, NOSE))
    with pytest.raises(KpError, match="needs a network of 68 points, and this one has nose"):
        predict_kaggle(**arguments | {"run": "nose"})


def test_a_folder_that_is_missing_is_named_before_the_work(arguments):
    with pytest.raises(KpError, match=r"cannot write no/a\.csv: there is no folder no"):
        predict_kaggle(**arguments, out=Path("no/a.csv"))


def test_no_submission_where_a_photograph_is_bad(arguments, folder, tmp_path):
    photograph = folder / "helen" / "022x.jpg"
    photograph.write_bytes(photograph.read_bytes()[:900])
    with pytest.raises(KpError, match=r"image 3 \(helen/022x\.jpg\): cannot read .*022x\.jpg: the image is damaged"):
        predict_kaggle(**arguments)
    assert not list(tmp_path.glob("*.csv"))


TINY_PART3 = replace(TINY, part=3, dataset="ibug", scheme="ibug68", shape=(32, 32), epochs=1, batch_size=8)


def train(ibug, recipe, monkeypatch, submit, **options):
    """`train.py --part 3 --submit` with a small network."""
    monkeypatch.setitem(RECIPES, ("course", 3), recipe)
    cli.train(part=3, data=str(ibug), out=Path("run"), figures=False, submit=submit, **options)


FLIPS = Augmentation(flip=0.5)  # without the others, which take long to trace
HEATMAPS = replace(
    RECIPE, stored_shape=(32, 32), name="course", augmentation=FLIPS, epochs=1, batch_size=8, precision="float32"
)


@pytest.mark.parametrize("recipe", [TINY_PART3, pytest.param(HEATMAPS, marks=pytest.mark.long)], ids=["cnn", "heatmap"])
def test_a_training_ends_with_the_same_submission(ibug, tmp_path, monkeypatch, capsys, recipe):
    monkeypatch.chdir(tmp_path)
    train(ibug, recipe, monkeypatch, Path("a.csv"))
    said = capsys.readouterr().out
    assert said.index("The run is in run") < said.index("a.csv: 544 rows for 4 faces of ")
    predict_kaggle(run="run", data=str(ibug), out=Path("b.csv"))
    train(ibug, recipe, monkeypatch, Path("c.csv"), resume=True)  # with nothing left to train
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes() == Path("c.csv").read_bytes()


@pytest.mark.parametrize("fault", ["cut", "folder", "taken", "no test"])
def test_what_a_submission_would_fail_by_makes_no_run(ibug, folder, tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    submit, message = Path("a.csv"), r"there is neither labels_ibug_300W_test_parsed\.xml nor"
    if fault == "cut":  # decoding alone shows it
        photograph = folder / "helen" / "022x.jpg"
        photograph.write_bytes(photograph.read_bytes()[:900])
        message = r"image 3 \(helen/022x\.jpg\): cannot read .*022x\.jpg: the image is damaged"
    elif fault == "folder":
        submit, message = Path("no/a.csv"), r"cannot write no/a\.csv: there is no folder no"
    elif fault == "taken":
        submit, message = tmp_path, "cannot write .*: it is a folder"
    else:
        (folder / "labels_ibug_300W_test_parsed.xml").unlink()
    with pytest.raises(KpError, match=message):
        train(ibug, TINY_PART3, monkeypatch, submit)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_a_submission_is_of_part_3_alone(tmp_path):
    with pytest.raises(KpError, match="--submit goes with --part 3"):
        Submission(Path("a.csv")).check(PART1, tmp_path)


def test_a_run_whose_submission_fails_is_kept(arguments, ibug, folder):
    (folder / "helen" / "022x.jpg").unlink()
    with pytest.raises(PartialError, match=r"^course is complete, but its submission .*022x\.jpg"):
        Submission(Path("a.csv")).write(Path("course"), ibug, network)
