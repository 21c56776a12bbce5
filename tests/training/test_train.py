"""`train`: from options to a run directory, and how it resumes."""

import json
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import write_ibug, write_imm
from training_steps import (
    OWN,
    THREE,
    TINY,
    complete,
    history,
    prepare,
    read,
    stopped_at_epoch,
    weights,
    write_own_labels,
    write_scheme,
)

from kp_tf.apps.kaggle import predict_kaggle
from kp_tf.artifacts.runs import read_run
from kp_tf.backends.keras_backend import load_model
from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.core.files import write_json
from kp_tf.data.synthetic.sample import draw_sample, sample_path
from kp_tf.evaluate.command import evaluate
from kp_tf.recipes import RECIPES
from kp_tf.training.config import TrainConfig, new_config
from kp_tf.training.faces import load
from kp_tf.training.fitting import fit
from kp_tf.training.options import Options
from kp_tf.training.pictures import draw_run
from kp_tf.training.report import finish, write_metrics
from kp_tf.training.train import train

REPOSITORY = Path(__file__).parents[2]
TRAIN = "kp_tf.training.train:train"


def test_train_part_2_leaves_a_whole_run(work, imm_data, capsys):
    run = train(part=2, data=str(imm_data), epochs=2, batch_size=3)
    assert run == Path("runs/part2-course-001")
    names = [
        "architecture.txt",
        "checkpoint.npz",
        "config.json",
        "figures",
        "history.csv",
        "logs",
        "metrics.json",
        "model.keras",
    ]
    assert {path.name for path in run.iterdir()} - {"lock"} == {*names, "split.json"}
    figures = ["error_by_condition", "filters", "losses", "training_samples", "validation_faces"]
    assert sorted(path.name for path in (run / "figures").iterdir()) == [f"{name}.png" for name in figures]

    split = read(run / "split.json")
    assert split["training"] == ["31-1m.jpg", "31-3m.jpg", "32-1m.jpg", "32-3m.jpg"]
    assert split["validation"] == ["33-1m.jpg", "33-3m.jpg", "34-1m.jpg", "34-3m.jpg"]
    recipe = read(run / "config.json")["recipe"]
    assert (recipe["name"], recipe["part"], recipe["epochs"], recipe["batch_size"]) == ("course", 2, 2, 3)
    metrics = read(run / "metrics.json")
    assert (recipe["precision"], metrics["precision"]) == ("float32", "float32")
    assert (metrics["part"], metrics["recipe"], metrics["dataset"]) == (2, "course", "imm")
    assert (metrics["training_images"], metrics["validation_images"]) == (4, 4)
    assert (metrics["epochs"], metrics["kept_epoch"], metrics["optimizer_steps"]) == (2, 2, 2 * 2)
    assert len(metrics["seconds_per_epoch"]) == 2
    assert {"val_nme", "mean_shape_nme", "val_mae_px", "val_aligned_error_px"} <= set(metrics)
    by_condition = list(metrics["val_mean_error_px_by_condition"].values())
    assert np.mean(by_condition) == pytest.approx(metrics["val_mean_error_px"], abs=1e-3)
    assert [row["epoch"] for row in history(run)] == [0, 1]
    assert "184,052" in (run / "architecture.txt").read_text()
    out = capsys.readouterr().out
    assert "Part 2, 58 landmarks, recipe course: 4 training and 4 validation images of " in out
    assert f"Validation: mean error {metrics['val_mean_error_px']:.2f} px (mean shape: " in out
    assert f"The run is in {run}, its figures in {run}/figures" in out
    assert "The network is hardly better than the mean shape: label more photographs" in out, "after two epochs"


def test_part_3_is_scored_and_drawn_on_test_photographs(tmp_path):
    data = write_ibug(tmp_path / "faces")
    recipe = replace(TINY, part=3, dataset="ibug", scheme="ibug68", shape=(32, 32), epochs=1, batch_size=8)
    fitting = prepare(TrainConfig(recipe, data), tmp_path / "run")
    fit(fitting)
    run = finish(fitting)
    draw_run(run)
    write_metrics(run, fitting, "CPU")
    assert {"val_nme", "mean_shape_nme", "val_mae_px", "val_aligned_error_px"} <= set(read(run.path / "metrics.json"))
    figures = ["filters", "losses", "test_photographs", "training_samples", "validation_faces"]
    assert sorted(path.stem for path in (run.path / "figures").iterdir()) == figures
    assert run.scores.predicted.shape == (len(fitting.faces.validation), 68, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "--epochs must be at least 1, not 0"),
        ({"batch_size": 0}, "--batch-size must be at least 1, not 0"),
        ({"devices": 0}, "--devices must be at least 1, not 0"),
        ({"seed": -1}, "--seed must be at least 0, not -1"),
        ({"learning_rate": 1.0}, r"--learning-rate must be between 0 and 1, not 1\.0"),
        ({"learning_rate": 0.0}, r"--learning-rate must be between 0 and 1, not 0\.0"),
        ({"labels": Path("a.xml")}, "train needs either --part or --labels, not both"),
        ({"part": None, "labels": Path("a.xml")}, "a.xml"),
        ({"resume": True, "overwrite": True}, "--overwrite and --resume cannot be used together"),
        ({"part": None, "resume": True}, "--resume needs --part, --labels or --out"),
    ],
)
def test_options_that_cannot_be_used_make_no_run(work, options, message):
    with pytest.raises(KpError, match=message):
        train(**{"part": 1} | options)
    assert not list(work.iterdir())


def test_out_that_exists_is_refused_without_overwrite(work, untraced, imm_data):
    Path("mine").mkdir()
    for name in ("config.json", "old.txt"):
        Path("mine", name).touch()
    with pytest.raises(KpError, match="--out mine exists already; --overwrite replaces a run"):
        train(part=1, data=str(imm_data), epochs=1, out=Path("mine"))
    assert Path("mine/old.txt").exists()
    with stopped_at_epoch(1):
        train(part=1, data=str(imm_data), out=Path("mine"), overwrite=True)
    assert not Path("mine/old.txt").exists()
    assert read(Path("mine/config.json"))["recipe"]["part"] == 1


def test_overwrite_refuses_what_is_no_run(work, imm_data):
    Path("photos").mkdir()
    Path("photos/precious.jpg").touch()
    with pytest.raises(KpError, match="--out photos is not a run"):
        train(part=1, data=str(imm_data), epochs=1, out=Path("photos"), overwrite=True)
    assert Path("photos/precious.jpg").exists()


def test_a_bad_photograph_makes_no_run(work, imm, capfd):
    image = imm / "imm_face_db/33-1m.jpg"
    image.write_bytes(image.read_bytes()[:1000])
    assert exit_status(TRAIN, part=1, data=str(imm)) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: 33-1m.asf: cannot read ")
    assert "Traceback" not in error
    assert not list(work.iterdir())


def test_a_bad_test_photograph_makes_no_run(work, ibug, capfd):
    (ibug / "ibug_300W_large_face_landmark_dataset/helen/023x.jpg").unlink()
    assert exit_status(TRAIN, part=3, data=str(ibug)) == 2
    assert "labels_ibug_300W_test_parsed.xml, image 4 (helen/023x.jpg)" in capfd.readouterr().err
    assert not list(work.iterdir())


def test_the_program_names_data_that_does_not_exist(work, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["train.py", "--part", "2", "--data", "nowhere"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
    assert caught.value.code == 2
    assert capfd.readouterr() == ("", "error: --data nowhere: there is no folder imm_face_db/ in it\n")


def test_a_resumed_training_ends_as_if_never_interrupted(work, untraced, begun_run, tiny_run, capsys):
    begun = Path("runs/part1-course-001")
    shutil.copytree(begun_run, begun)
    (begun / "checkpoint.npz").unlink()
    with stopped_at_epoch(2):
        train(part=1, resume=True)
    assert f"Resuming {begun}, from the start: it has no checkpoint\n" in capsys.readouterr().out
    run = train(part=1, epochs=2, resume=True, figures=False)
    assert run == begun
    out = capsys.readouterr().out
    assert f"Resuming {run}\n" in out
    assert "Epoch 2/2" in out
    assert "Epoch 1/2" not in out
    for one, other in zip(weights(tiny_run), weights(run), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert [row["epoch"] for row in history(run)] == [0, 1]
    assert read(run / "config.json") == read(tiny_run / "config.json")

    assert train(part=1, resume=True) == run
    assert f"{run}: all 2 epochs are done" in capsys.readouterr().out


def test_a_finished_training_can_be_trained_on(work, untraced, imm_data, tiny_run, capsys):
    run = complete(TrainConfig(replace(TINY, epochs=1), imm_data), Path("runs/part1-course-001"))
    with stopped_at_epoch(2):
        train(part=1, resume=True, epochs=2)
    assert f"Resuming {run}, for 2 epochs instead of 1\n" in capsys.readouterr().out
    assert len(load_model(read_run(run)).weights), "it can be used while it is trained on"
    assert read(run / "metrics.json")["interrupted"] == {"after_epoch": 1}
    assert train(part=1, resume=True, figures=False) == run
    assert [row["epoch"] for row in history(run)] == [0, 1]
    assert read(run / "config.json") == read(tiny_run / "config.json")
    for one, other in zip(weights(tiny_run), weights(run), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    (run / "checkpoint.npz").unlink()
    with pytest.raises(KpError, match=r"001 has no checkpoint.npz, so it cannot be trained on; start .* --init runs/"):
        train(part=1, resume=True, epochs=3)
    assert "interrupted" not in read(run / "metrics.json")


def test_the_best_epoch_is_saved_and_named(work, imm_data, capsys):
    recipe = replace(TINY, epochs=3, learning_rate=0.6)  # so high that it diverges
    run = complete(TrainConfig(recipe, imm_data, keep="best"), Path("run"))
    best = int(np.argmin([row["val_loss"] for row in history(run)]))
    assert best < 2
    assert (read(run / "metrics.json")["kept_epoch"], read(run / "config.json")["keep"]) == (best + 1, "best")
    assert f"The weights are those of epoch {best + 1} of 3, which has the lowest" in capsys.readouterr().out
    with np.load(run / "checkpoint.npz") as archive:
        for k, weight in enumerate(weights(run)):
            np.testing.assert_array_equal(weight, archive[f"best{k}"])
        assert np.abs(archive["best0"] - archive["v0"]).max() > 0


def as_version_1(config):
    """The settings of a run as version 0.1 wrote them: the recipe's beside the others, some by other names."""
    recipe = config["recipe"]
    names = {"num_passes": "looks", "first_pass_scale": "wide", "cooldown_fraction": "calm"}
    settings = {names.get(name, name): value for name, value in recipe.items()}
    del settings["crop_margin"], settings["name"]
    settings |= {"recipe": recipe["name"], "crop_scale": 1.0, "augmentation": {}, "scheme": config["scheme"]}
    others = ("seed", "deterministic", "skip_bad", "data", "sample")
    return settings | {name: config[name] for name in others}


def test_a_training_that_version_1_began_resumes(work, untraced, begun_run, tiny_run):
    shutil.copytree(begun_run, "run")
    old = as_version_1(read(Path("run/config.json")))
    assert (old["recipe"], old["looks"], old["crop_scale"], old["shape"]) == ("course", 1, 1.0, [15, 20])
    Path("run/config.json").write_text(json.dumps(old))
    split = read(Path("run/split.json"))
    Path("run/split.json").write_text(json.dumps({side: split[side] for side in ("training", "validation")}))
    assert train(resume=True, out=Path("run"), figures=False) == Path("run")
    for one, other in zip(weights(tiny_run), weights(Path("run")), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert read(Path("run/config.json")) == read(tiny_run / "config.json")


def test_resume_refuses_other_data_and_damaged_checkpoints(work, imm, begun_run):
    shutil.copytree(begun_run, "mine")
    config = read(Path("mine/config.json")) | {"data": str(imm)}
    Path("mine/config.json").write_text(json.dumps(config))
    folder = imm / "imm_face_db"
    for suffix in (".asf", ".jpg"):
        (folder / f"32-5m{suffix}").write_bytes((folder / f"32-3m{suffix}").read_bytes().replace(b"32-3m", b"32-5m"))
    with pytest.raises(KpError, match="mine: the labels or photographs have changed since the run began"):
        train(resume=True, out=Path("mine"))
    for suffix in (".asf", ".jpg"):
        (folder / f"32-5m{suffix}").unlink()
    photograph = (folder / "31-1m.jpg").read_bytes()
    (folder / "31-1m.jpg").write_bytes((folder / "32-1m.jpg").read_bytes())
    with pytest.raises(KpError, match="mine: the labels or photographs have changed since the run began"):
        train(resume=True, out=Path("mine"))
    (folder / "31-1m.jpg").write_bytes(photograph)
    archive = Path("mine/checkpoint.npz").read_bytes()
    for damaged in (archive[:-400], b""):
        Path("mine/checkpoint.npz").write_bytes(damaged)
        with pytest.raises(KpError, match=r"mine/checkpoint.npz: expected a checkpoint, found"):
            train(resume=True, out=Path("mine"))


def test_resume_takes_a_run_of_an_earlier_version_without_its_mean_face(work, monkeypatch):
    config = small(new_config(Options(labels=write_own_labels(work / "own"))))
    info = load(config, "CPU").info.to_json()
    mean_face = info.pop("mean_face")
    Path("mine").mkdir()
    write_json(Path("mine/config.json"), {"format": 2, **config.to_json(), **info})
    monkeypatch.setattr("kp_tf.training.train.build", lambda *_: sys.exit("goes on"))
    with pytest.raises(SystemExit, match="goes on"):
        train(resume=True, out=Path("mine"))
    mean_face["points"][0][0] += 0.1
    write_json(Path("mine/config.json"), {"format": 2, **config.to_json(), **info, "mean_face": mean_face})
    with pytest.raises(KpError, match="mine: the labels or photographs have changed since the run began"):
        train(resume=True, out=Path("mine"))


@pytest.mark.long
def test_without_data_everything_runs_on_the_sample(work, capsys):
    write_imm(sample_path("imm"))  # drawn people with a validation side would be 198 photographs
    draw_sample(sample_path("ibug"), "ibug", count=24)
    run = train(part=1, epochs=1)
    assert run == Path("runs/part1-course-sample-001")
    assert read(run / "metrics.json")["dataset"] == "sample"
    out = capsys.readouterr().out
    assert "There is no folder data/imm_face_db/, so a sample of synthetic faces is used instead." in out
    assert "python -m kp_tf download imm" in out

    run = train(part=3, epochs=1, batch_size=8, data="sample")
    assert predict_kaggle(run=str(run)) == Path("submission-sample.csv")
    assert "a sample of synthetic faces is used instead" in capsys.readouterr().out


def small(config):
    """A training of points of one's own with a small network."""
    names = ("shape", "stored_shape", "settings", "augmentation", "batch_size")
    return replace(config, recipe=replace(config.recipe, **{name: getattr(OWN, name) for name in names}))


@pytest.mark.long
def test_own_labels_with_a_scheme_from_a_run_and_with_a_teacher(work):
    labels, scheme = write_own_labels(work / "own"), write_scheme(work / "scheme.json")
    first = complete(small(new_config(Options(labels=labels, epochs=1, precision="float32"))), Path("first"))
    config, metrics = read(first / "config.json"), read(first / "metrics.json")
    assert config["scheme"] == {"name": "own", "names": ["left eye", "nose", "right eye"], "groups": {}}
    assert (metrics["training_images"], metrics["validation_images"]) == (18, 2)
    assert "val_nme" not in metrics
    assert np.isfinite(metrics["val_mean_error_px"])

    options = {"labels": labels, "val_labels": labels, "scheme_file": scheme, "init": str(first), "epochs": 1}
    second = complete(small(new_config(Options(**options, precision="mixed_bfloat16"))), Path("second"))
    assert read(second / "config.json")["recipe"]["precision"] == "mixed_bfloat16"
    assert read(second / "metrics.json")["precision"] == "mixed_bfloat16"
    assert load_model(read_run(second)).dtype_policy.name == "float32"
    assert read(second / "config.json")["recipe"]["init"] == "first"
    assert read(second / "metrics.json")["validation_images"] == 20
    assert read_run(second).scheme == THREE
    evaluate(labels, str(second), json=Path("scores.json"), flips=True)
    assert read(Path("scores.json"))["all"]["nme_mean"]["value"] > 0
    held_out = evaluate(labels, str(first), split="validation")
    assert held_out["all"]["faces"] == 2, "the photograph that its training held out"
    with pytest.raises(KpError, match="--flips needs a network whose points have flip partners"):
        evaluate(labels, str(first), flips=True)

    taught = complete(small(new_config(Options(**options, teacher="second", precision="float32"))), Path("taught"))
    alone = complete(small(new_config(Options(**options, precision="float32"))), Path("alone"))
    assert read(taught / "config.json")["recipe"]["teacher"] == "second"
    assert history(taught)[0]["loss"] != pytest.approx(history(alone)[0]["loss"], rel=1e-4)


@pytest.mark.long
def test_strong_part_2_needs_no_box(work, imm_data):
    whole = {"augmentation": RECIPES["strong", 2].augmentation}
    recipe = replace(OWN, part=2, dataset="imm", scheme="imm58", num_passes=3, batch_size=2, **whole)
    run = complete(TrainConfig(recipe, imm_data), Path("run"))
    config = read(run / "config.json")
    assert len(config["framing"]["points"]) == 58
    assert config["recipe"]["num_passes"] == 3
    evaluate(imm_data / "imm_face_db", str(run), split="validation", json=Path("scores.json"))
    assert read(Path("scores.json"))["all"]["euclidean_px"]["value"] == pytest.approx(
        read(run / "metrics.json")["val_mean_error_px"], abs=1e-3
    )
