import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import picture, write_xml
from PIL import Image

from kp_tf.apps.kaggle import predict_kaggle, read_submission
from kp_tf.artifacts import runs
from kp_tf.backends.inference import load_model, start_from
from kp_tf.core.environment import exit_status
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import Scheme
from kp_tf.data.synthetic import sample
from kp_tf.evaluate.command import evaluate
from kp_tf.recipes import RECIPES
from kp_tf.training import train as training
from kp_tf.training.config import run_to_resume

REPOSITORY = Path(__file__).parents[2]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder; no data is named."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("KP_TF_DATA", raising=False)
    return folder


def test_train_part_2_leaves_a_whole_run(work, imm):
    run = training.train(part=2, data=str(imm), epochs=2, batch_size=3)
    assert run == Path("runs/part2-course-001")
    names = ["architecture.txt", "config.json", "figures", "history.csv", "logs", "metrics.json", "model.keras"]
    assert sorted(path.name for path in run.iterdir()) == [*names, "split.json"]
    figures = ["error_by_condition", "filters", "losses", "training_samples", "validation_faces"]
    assert sorted(path.name for path in (run / "figures").iterdir()) == [f"{name}.png" for name in figures]

    split = read(run / "split.json")
    assert split["training"] == ["31-1m.jpg", "31-3m.jpg", "32-1m.jpg", "32-3m.jpg"]
    assert split["validation"] == ["33-1m.jpg", "33-3m.jpg", "34-1m.jpg", "34-3m.jpg"]
    config = read(run / "config.json")
    assert (config["recipe"], config["part"], config["epochs"], config["batch_size"]) == ("course", 2, 2, 3)
    metrics = read(run / "metrics.json")
    assert (config["precision"], metrics["precision"]) == ("float32", "float32")
    assert (metrics["dataset"], metrics["training_images"], metrics["validation_images"]) == ("imm", 4, 4)
    assert metrics["optimizer_steps"] == 2 * 2
    assert len(metrics["seconds_per_epoch"]) == 2
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert "184,052" in (run / "architecture.txt").read_text()
    check_scores(metrics, imm)


def check_scores(metrics, imm):
    """The mean shape's error again, from the files: points as fractions of 160 × 120 pixels."""
    points = {}
    for path in sorted((imm / "imm_face_db").glob("*.asf")):
        rows = [line.split()[2:4] for line in path.read_text().splitlines() if line.startswith("0 \t4")]
        points[path.name[:2]] = [*points.get(path.name[:2], []), np.array(rows, float) * [160, 120]]
    mean = np.mean(points["31"] + points["32"], axis=0)
    expected = np.mean([np.hypot(*(truth - mean).T).mean() for truth in points["33"] + points["34"]])
    assert metrics["mean_shape_error_px"] == pytest.approx(expected, rel=1e-6)
    by_condition = metrics["val_mean_error_px_by_condition"]
    assert np.mean(list(by_condition.values())) == pytest.approx(metrics["val_mean_error_px"], abs=1e-3)


def test_train_same_seed_same_history(work, imm, monkeypatch):
    for drawing in ("draw_training", "draw_validation"):  # tested elsewhere, and slow
        monkeypatch.setattr(training, drawing, lambda *_, **__: None)
    histories, losses = [], []
    for seed in (1, 1, 2):
        run = training.train(part=2, data=str(imm), epochs=3, batch_size=2, seed=seed)
        histories.append(history(run)[:, :-1])  # without the seconds
        losses.append(histories[-1][-1, 1])
    np.testing.assert_allclose(histories[0], histories[1], atol=1e-5)
    assert abs(losses[0] - losses[2]) > 1e-5
    assert sorted(path.name for path in Path("runs").iterdir()) == [f"part2-course-00{k}" for k in (1, 2, 3)]


def test_the_last_epochs_have_half_of_the_augmentation(work, imm, monkeypatch):
    caught = []

    class Caught(training.Finite):
        def __init__(self, batch_of):
            caught.append(batch_of)
            super().__init__(batch_of)

    def transform(recipe, mirror, strength):  # grey says how strong it was
        return lambda images, points, draws: (images * 0 + 200 * strength, points)

    monkeypatch.setitem(RECIPES, ("course", 1), replace(RECIPES["course", 1], calm=0.5))
    monkeypatch.setattr(training, "Finite", Caught)
    monkeypatch.setattr(training, "transform", transform)
    for drawing in ("draw_training", "draw_validation"):  # tested elsewhere, and slow
        monkeypatch.setattr(training, drawing, lambda *_, **__: None)
    training.train(part=1, data=str(imm), epochs=4, batch_size=2)
    # two batches an epoch; as the epochs follow each other, and taken up at each
    grey = [[float(caught[0](epoch, batch)[0][0, 0, 0, 0] + 0.5) * 255 for batch in (0, 1)] for epoch in range(4)]
    np.testing.assert_allclose(grey, [[200] * 2, [200] * 2, [100] * 2, [100] * 2], rtol=1e-5)
    grey = [float(caught[0](0, batch)[0][0, 0, 0, 0] + 0.5) * 255 for batch in range(8)]
    np.testing.assert_allclose(grey, [200] * 4 + [100] * 4, rtol=1e-5)


def test_part_3_to_submission(work, ibug):
    run = training.train(part=3, data=str(ibug), epochs=1, batch_size=8)
    assert {"val_nme", "mean_shape_nme", "val_mae_px", "val_aligned_error_px"} <= set(read(run / "metrics.json"))
    assert (run / "figures" / "test_photographs.png").is_file()
    out = predict_kaggle(data=str(ibug))
    points = read_submission(out, 4)
    assert out == Path("submission.csv")
    assert len(out.read_text().splitlines()) == 1 + 4 * 136

    # another XML of the same layout; the folder of --data does not matter then
    labels = ibug / "ibug_300W_large_face_landmark_dataset" / "labels_ibug_300W_train.xml"
    predict_kaggle(run=str(run), data="nowhere", labels=labels, out=Path("other.csv"))
    assert read_submission(Path("other.csv"), 20).shape == (20, 68, 2)

    # a box moved by whole pixels with its photograph moves the points as much
    folder = labels.parent
    first = folder / "helen" / "020x.png"
    moved = Image.new("RGB", (157, 203))
    with Image.open(first) as image:
        moved.paste(image, (7, 3))
    moved.save(first)
    xml = folder / "labels_ibug_300W_test_parsed.xml"
    xml.write_text(xml.read_text().replace("top='20' left='50'", "top='23' left='57'"))
    predict_kaggle(data=str(ibug), out=Path("moved.csv"))
    np.testing.assert_allclose(read_submission(Path("moved.csv"), 4)[0], points[0] + [7, 3], atol=2e-3)


def test_predict_kaggle_on_a_fresh_machine_takes_the_committed_weights(work, ibug, capsys):
    out = predict_kaggle(data=str(ibug))
    assert "large.npz" in capsys.readouterr().out
    assert read_submission(out, 4).shape == (4, 68, 2)


def a_run(path, completed, part=3, sample=False):
    path.mkdir(parents=True)
    scheme = {1: "nose", 2: "imm58", 3: "ibug68"}[part]
    (path / "config.json").write_text(json.dumps({"part": part, "sample": sample, "scheme": scheme}))
    if completed:
        (path / "metrics.json").write_text(json.dumps({"completed": completed}))


def test_newest_run_goes_by_completion(work):
    assert runs.newest_run(3) is None
    a_run(work / "runs/part3-course-001", "2026-01-03T00:00:00+00:00")
    a_run(work / "runs/part3-course-002", "2026-01-02T00:00:00+00:00")
    a_run(work / "runs/part3-course-003", None)
    a_run(work / "runs/part2-course-001", "2026-01-05T00:00:00+00:00", part=2)
    a_run(work / "runs/part3-course-sample-001", "2026-01-06T00:00:00+00:00", sample=True)
    assert runs.newest_run(3).path.name == "part3-course-001"
    assert runs.newest_run(3, sample=True).path.name == "part3-course-sample-001"
    with pytest.raises(KpError, match=r"without metrics\.json"):
        runs.load_run(Path("runs/part3-course-003"))
    (work / "runs/part2-course-001/config.json").write_text("{}")
    with pytest.raises(KpError, match=r"config\.json: expected part, scheme, sample .* found no part"):
        runs.load_run(Path("runs/part2-course-001"))


def test_new_run_takes_the_next_free_number(work):
    (work / "runs/part1-course-001").mkdir(parents=True)
    assert runs.new_run("part1-course", None, overwrite=False) == Path("runs/part1-course-002")


def test_predict_kaggle_refuses_a_run_of_another_part(work, ibug):
    a_run(work / "nose", "2026-01-01T00:00:00+00:00", part=1)
    with pytest.raises(KpError, match="expected a run with 68 points, found one with nose"):
        predict_kaggle(run="nose", data=str(ibug))


def test_out_that_exists_is_refused_without_overwrite(work, imm):
    a_run(work / "mine", "2026-01-01T00:00:00+00:00")
    (work / "mine/old.txt").touch()
    with pytest.raises(KpError, match="--out mine: expected a new folder"):
        training.train(part=1, data=str(imm), epochs=1, out=Path("mine"))
    assert (work / "mine/old.txt").exists()
    assert runs.new_run("part1-course", Path("mine"), overwrite=True) == Path("mine")
    assert not list((work / "mine").iterdir())


def test_overwrite_refuses_what_is_no_run(work, imm):
    (work / "photos").mkdir()
    (work / "photos/precious.jpg").touch()
    with pytest.raises(KpError, match="expected a run to overwrite"):
        training.train(part=1, data=str(imm), epochs=1, out=Path("photos"), overwrite=True)
    assert (work / "photos/precious.jpg").exists()


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_train_refuses_numbers_below_one(work, imm, name):
    with pytest.raises(KpError, match=f"--{name.replace('_', '-')}: expected a number of at least 1, found 0"):
        training.train(part=1, data=str(imm), **{name: 0})


def test_train_with_a_bad_image_makes_no_run(work, imm, capfd):
    image = imm / "imm_face_db" / "33-1m.jpg"
    image.write_bytes(image.read_bytes()[:1000])
    assert exit_status("kp_tf.training.train:train", part=1, data=str(imm)) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: 33-1m.asf: expected the JPEG or PNG image")
    assert "a damaged one" in error
    assert "Traceback" not in error
    assert not list(work.iterdir())


def test_train_with_a_bad_test_photograph_makes_no_run(work, ibug, capfd):
    (ibug / "ibug_300W_large_face_landmark_dataset" / "helen" / "023x.jpg").unlink()
    assert exit_status("kp_tf.training.train:train", part=3, data=str(ibug)) == 2
    assert "labels_ibug_300W_test_parsed.xml, image 4 (helen/023x.jpg)" in capfd.readouterr().err
    assert not list(work.iterdir())


def test_shell_without_data_named_wrongly(work):
    command = [sys.executable, REPOSITORY / "train.py", "--part", "2", "--data", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: --data nowhere: expected a folder that holds imm_face_db/, found none\n"


@pytest.mark.long
def test_without_data_everything_runs_on_the_sample(work, monkeypatch, capsys):
    monkeypatch.setattr(sample, "PEOPLE", 33)
    monkeypatch.setattr(sample, "FACES", 24)
    run = training.train(part=1, epochs=1)
    assert run == Path("runs/part1-course-sample-001")
    assert read(run / "metrics.json")["dataset"] == "sample"
    said = capsys.readouterr().out
    assert "No real data found" in said
    assert "python -m kp_tf download imm" in said
    assert (
        Path("data/sample/imm/imm_face_db/33-1m.asf").exists()
        or Path("data/sample/imm/imm_face_db/33-1f.asf").exists()
    )

    run = training.train(part=3, epochs=1, batch_size=8, data="sample")
    assert predict_kaggle(run=str(run)) == Path("submission-sample.csv")
    assert "No real data found" in capsys.readouterr().out


def fake_drawing(monkeypatch):
    for drawing in ("draw_training", "draw_validation"):  # tested elsewhere, and slow
        monkeypatch.setattr(training, drawing, lambda *_, **__: None)


def history(run):
    return np.array([row.split(",") for row in (run / "history.csv").read_text().splitlines()[1:]], float)


def weights(run):
    return load_model(runs.load_run(run)).get_weights()


def train_until(monkeypatch, epoch, **options):
    """A training that is cut off in this epoch, counted from 0, before it is kept."""
    keep = training.Checkpoint.on_epoch_end

    def end(self, number, logs=None):
        if number == epoch:
            raise KeyboardInterrupt
        keep(self, number, logs)

    with monkeypatch.context() as patched:
        patched.setattr(training.Checkpoint, "on_epoch_end", end)
        with pytest.raises(KeyboardInterrupt):
            training.train(**options)


def test_resume_ends_as_if_never_interrupted(work, imm, monkeypatch, capsys):
    fake_drawing(monkeypatch)
    options = {"part": 2, "data": str(imm), "batch_size": 2, "epochs": 4}
    whole = training.train(**options)
    train_until(monkeypatch, 0, **options)
    train_until(monkeypatch, 2, part=2, resume=True)  # starts over
    run = training.train(part=2, epochs=4, resume=True)
    assert run == Path("runs/part2-course-002")
    assert "Epoch 3/4" in (said := capsys.readouterr().out.split("Going on with")[-1])
    assert "Epoch 2/4" not in said
    for one, other in zip(weights(whole), weights(run), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    rows = [line.split(",")[:-1] for line in (run / "history.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["epoch", "0", "1", "2", "3"]
    assert not list(run.glob("*checkpoint*"))

    assert training.train(part=2, resume=True) == run
    assert f"{run}: all 4 epochs are done" in capsys.readouterr().out


def test_resume_refuses_other_settings_and_runs(work, imm, monkeypatch):
    with pytest.raises(KpError, match=r"--resume: runs/part2-course-…: expected a run"):
        training.train(part=2, resume=True)
    with pytest.raises(KpError, match=r"--resume --out mine: expected a run"):
        training.train(part=2, resume=True, out=Path("mine"))
    train_until(monkeypatch, 1, part=2, data=str(imm), batch_size=4, epochs=2, out=Path("mine"))
    for name, value in {"epochs": 3, "batch_size": 2, "seed": 1, "data": "elsewhere", "recipe": "strong"}.items():
        with pytest.raises(KpError, match=f"--{name.replace('_', '-')} {value}: expected .*, as mine began"):
            training.train(part=2, resume=True, out=Path("mine"), **{name: value})
    with pytest.raises(KpError, match="--precision mixed_bfloat16: expected float32, as mine began"):
        training.train(part=2, resume=True, out=Path("mine"), precision="mixed_bfloat16")
    extra = imm / "imm_face_db"
    for suffix in (".asf", ".jpg"):
        (extra / f"32-5m{suffix}").write_bytes((extra / f"32-3m{suffix}").read_bytes().replace(b"32-3m", b"32-5m"))
    with pytest.raises(KpError, match="mine: expected the data as the run began"):
        training.train(part=2, resume=True, out=Path("mine"))
    for suffix in (".asf", ".jpg"):
        (extra / f"32-5m{suffix}").unlink()
    archive = Path("mine/checkpoint.npz").read_bytes()
    for damaged in (archive[:-400], b""):
        Path("mine/checkpoint.npz").write_bytes(damaged)
        with pytest.raises(KpError, match=r"mine/checkpoint.npz: expected a checkpoint, found"):
            training.train(part=2, resume=True, out=Path("mine"))


def test_resume_takes_the_unfinished_run_with_the_settings_given(work):
    for number, (data, seed, done) in enumerate([("a", 1, None), ("a", 2, None), ("b", 2, None), ("a", 3, "now")]):
        path = work / f"runs/part3-course-00{number}"
        a_run(path, done)
        config = read(path / "config.json") | {"data": str(work / data), "seed": seed}
        (path / "config.json").write_text(json.dumps(config))
        os.utime(path / "config.json", (number, number))
    for given, expected in [
        ({}, 2),
        ({"seed": 1, "precision": "auto"}, 0),
        ({"data": "a"}, 1),
        ({"data": "./a/", "seed": 3}, 3),
    ]:
        assert run_to_resume(3, "course", None, given)[0].name == f"part3-course-00{expected}"
    with pytest.raises(KpError, match=r"--seed 9: expected 3, as runs/part3-course-003 began"):
        run_to_resume(3, "course", None, {"seed": 9})


@pytest.fixture
def tiny(monkeypatch):
    """Small networks in place of those of the recipe `strong`."""
    network = {"settings": {"widths": (8, 8, 16), "depths": (1, 1, 1)}, "shape": (32, 32), "stored_shape": (48, 48)}
    for key in (("strong", None), ("strong", 2), ("strong", 3)):
        small = replace(RECIPES[key], **network, epochs=2, precision="float32", init=None, teacher=None)
        monkeypatch.setitem(RECIPES, key, small)


def own_labels(folder, names=("nose", "left eye", "right eye")):
    """Ten photographs with two faces each and one that is ignored; the second face lacks its second point."""
    folder.mkdir()
    images = []
    for number in range(10):
        picture(120, 90, number).save(folder / f"{number}.png")
        boxes = []
        for left in (8, 68):
            at = {name: (left + 20 * k + number / 2, 30 + 5 * k) for k, name in enumerate(names)}
            parts = [
                f"<part name='{n}' x='{x}' y='{y}'/>" for n, (x, y) in at.items() if (n, left) != (names[1], 68)
            ]
            boxes.append(f"<box left='{left}' top='20' width='40' height='44'>{''.join(parts)}</box>")
        boxes.append("<box left='0' top='0' width='5' height='5' ignore='1'/>")
        images.append(f"<image file='{number}.png'>{''.join(boxes)}</image>")
    write_xml(folder / "mine.xml", images)
    return folder / "mine.xml"


@pytest.mark.long
def test_train_own_labels_with_a_scheme_and_from_a_run(work, tiny, capsys):
    labels = own_labels(work / "own")
    scheme = work / "scheme.json"
    scheme.write_text(
        json.dumps({"name": "three", "mirror": [["left eye", "right eye"]], "eyes": ["left eye", "right eye"]})
    )
    first = training.train(labels=labels)
    assert first == Path("runs/labels-strong-001")
    config, metrics = read(first / "config.json"), read(first / "metrics.json")
    assert config["scheme"] == {"name": "own", "names": ["left eye", "nose", "right eye"], "groups": {}}
    assert (metrics["training_images"], metrics["validation_images"]) == (18, 2)
    assert "val_nme" not in metrics
    assert np.isfinite(metrics["val_mean_error_px"])
    # the right eye is the farthest from the middle of the box, at 20.5 + number / 2; the box is 44 pixels high
    reach = [20.5 + int(file[0]) / 2 for file in read(first / "split.json")["training"]]
    assert config["crop_scale"] == pytest.approx(1.36 * 2 * np.median(reach) / 44, abs=2e-3)
    assert config["stored_scale"] == pytest.approx(1.5 * config["crop_scale"], abs=1e-3)

    again = {"val_labels": labels, "scheme": scheme, "init": str(first), "epochs": 1, "precision": "mixed_bfloat16"}
    second = training.train(labels=labels, **again)
    assert (
        read(second / "config.json")["precision"] == read(second / "metrics.json")["precision"] == "mixed_bfloat16"
    )
    assert load_model(runs.load_run(second)).dtype_policy.name == "float32"
    assert read(second / "config.json")["init"] == str(first)
    assert read(second / "metrics.json")["validation_images"] == 20
    assert read(second / "config.json")["scheme"]["mirror"] == [["left eye", "right eye"]]
    evaluate(labels, str(second), json=Path("scores.json"), flips=True)
    assert read(Path("scores.json"))["all"]["nme_mean"]["value"] > 0
    part = evaluate(labels, str(first), split="validation")
    assert part["all"]["faces"] == 2, "the photograph that its training kept aside"
    with pytest.raises(KpError, match=r"--flips: expected a network whose points have mirror partners"):
        evaluate(labels, str(first), flips=True)


@pytest.mark.long
def test_other_points_begin_as_the_nearest_of_the_old(work, tiny):
    run = training.train(labels=own_labels(work / "own"))
    old = load_model(runs.load_run(run))
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 32, 32, 1)).astype(np.float32)
    found = old.predict_on_batch(images)
    units = found[:, [2, 0, 1, 0]] + [0.001, 0.001]
    units[0, 3] = np.nan
    recipe = replace(RECIPES["strong", None], epochs=1)
    model = training.build(recipe, 4, seed=1)
    start_from(model, str(run), Scheme("other", tuple("abcd"), ()), images, units)
    np.testing.assert_allclose(model.predict_on_batch(images), found[:, [2, 0, 1, 0]], atol=1e-6)


@pytest.mark.long
def test_strong_part_2_looks_twice_without_a_box(work, tiny, imm):
    run = training.train(part=2, recipe="strong", data=str(imm))
    config = read(run / "config.json")
    assert len(config["framing"]["points"]) == 58
    assert (config["looks"], config["crop_scale"]) == (3, pytest.approx(1.36, abs=0.02))
    evaluate(imm / "imm_face_db", str(run), split="validation", json=Path("scores.json"))
    assert read(Path("scores.json"))["all"]["euclidean_px"]["value"] == pytest.approx(
        read(run / "metrics.json")["val_mean_error_px"], abs=1e-3
    )


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, "expected either --part or --labels, found neither"),
        ({"part": 1, "labels": Path("a.xml")}, "found both"),
        ({"part": 2, "recipe": "large"}, "--recipe large: expected part 3, found part 2"),
        ({"labels": Path("a.xml"), "recipe": "course"}, "expected part 1, part 2, part 3, found --labels"),
        ({"part": 3, "scheme": Path("a.json")}, "--scheme: expected --labels, found --part 3"),
        ({"part": 3, "recipe": "strong", "init": "nothing"}, "nothing: expected a run"),
        ({"part": 3, "init": "compact"}, "--init compact: expected networks of the recipes strong and large"),
        ({"labels": Path("a.xml"), "data": "b"}, "--data b: expected no --data with --labels"),
        ({"part": 1, "resume": True, "overwrite": True}, "--overwrite: expected no --overwrite with --resume"),
        ({"resume": True}, "--resume: expected --part, --labels or --out"),
        ({"labels": Path("a.xml")}, "a.xml: expected dlib's XML"),
    ],
)
def test_train_refuses_what_does_not_fit_together(work, options, found):
    with pytest.raises(KpError, match=found):
        training.train(**options)
    assert not list(work.iterdir())


@pytest.mark.long
def test_a_teachers_points_move_with_the_pictures(work, tiny, ibug, monkeypatch):
    fake_drawing(monkeypatch)
    monkeypatch.setitem(RECIPES, ("strong", 3), replace(RECIPES["strong", 3], looks=1))  # at the given box alone
    teacher = training.train(part=3, recipe="strong", data=str(ibug), epochs=1)
    taught = replace(RECIPES["strong", 3], teacher=str(teacher))
    monkeypatch.setitem(RECIPES, ("strong", 3), taught)
    given = []

    def batches(crops, units, *rest, **named):
        given.append((crops, units))
        return batches.keep(crops, units, *rest, **named)

    batches.keep = training.training_batches
    monkeypatch.setattr(training, "training_batches", batches)
    run = training.train(part=3, recipe="strong", data=str(ibug), epochs=1)
    assert read(run / "config.json")["teacher"] == str(teacher)
    crops, units = given[0]
    assert units.shape == (len(crops), 2 * 68, 2)
    images, points = training.window(crops.astype(np.float32), units.astype(np.float32), (32, 32), 1.6 / 2.4)
    predicted = load_model(runs.load_run(teacher)).predict_on_batch(images / 255 - 0.5)
    # the teacher took its own window from the photograph, and the mean with its mirror image
    np.testing.assert_allclose(points[:, 68:], predicted, atol=0.1)
    assert history(run)[0, 1] != pytest.approx(history(teacher)[0, 1], rel=1e-4)


def test_validation_without_eyes_is_judged_in_pixels(work, tiny):
    labels = own_labels(work / "own")
    blind, scheme = labels.with_name("blind.xml"), work / "scheme.json"
    blind.write_text(re.sub(r"<part name='right eye'[^>]*>", "", labels.read_text()))
    scheme.write_text('{"eyes": ["left eye", "right eye"]}')
    run = training.train(labels=labels, val_labels=blind, scheme=scheme, epochs=1)
    assert "val_nme" not in read(run / "metrics.json")
    evaluate(blind, str(run), json=Path("scores.json"))
    assert sorted(path.name for path in work.glob("scores*")) == [
        "scores-confidence.png",
        "scores-faces.png",
        "scores-worst.png",
        "scores.json",
    ]
