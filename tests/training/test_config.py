"""What one training does, and which run `--resume` continues."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import write_run
from training_steps import OWN

from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, NOSE, Scheme
from kp_tf.recipes import RECIPES
from kp_tf.training.config import TrainConfig, new_config, run_to_resume
from kp_tf.training.options import Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "train needs either --part or --labels$"),
        ({"part": 1, "labels": Path("a.xml")}, "train needs either --part or --labels, not both"),
        ({"part": 2, "recipe": "large"}, "--recipe large is for part 3, not for part 2"),
        ({"labels": Path("a.xml"), "recipe": "course"}, "course is for part 1, part 2, part 3, not for --labels"),
        ({"part": 3, "scheme_file": Path("a.json")}, "--scheme goes with --labels, not with --part 3"),
        ({"part": 3, "allow_outside": True}, "--allow-outside goes with --labels, --add or --add-val, not with"),
        ({"part": 3, "val_labels": Path("a.xml")}, "--val-labels goes with --labels, not with --part 3"),
        ({"part": 3, "recipe": "strong", "init": "nothing"}, "nothing is not a run"),
        (
            {"part": 3, "init": "compact"},
            "its network is heatmap, and the recipe course trains the network resnet18; start",
        ),
        ({"part": 2, "add": (Path("a.xml"),)}, "--add goes with --part 3 or --labels, not with --part 2"),
        ({"part": 1, "add_val": (Path("a.xml"),)}, "--add-val goes with --part 3 or --labels, not with --part 1"),
        ({"part": 1, "teacher": "compact"}, "--teacher needs the recipe strong or large, not course"),
        ({"labels": Path("a.xml"), "data": "b"}, "--data and --labels cannot be used together"),
        ({"part": 1, "data": "nowhere"}, "--data nowhere: there is no folder imm_face_db/ in it"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(work, options, message):
    with pytest.raises(KpError, match=message):
        new_config(Options(**options))


def test_options_replace_the_recipes_settings(imm_data):
    config = new_config(Options(part=1, data=str(imm_data), epochs=7, learning_rate=0.1, seed=3, skip_bad=True))
    assert config.recipe == replace(RECIPES["course", 1], epochs=7, learning_rate=0.1)
    assert config == TrainConfig(config.recipe, imm_data, seed=3, skip_bad=True)
    assert (config.label, config.title) == ("part1-course", "Part 1, nose tip, recipe course")


def test_a_training_that_starts_from_weights_takes_their_network(work):
    recipe = new_config(Options(labels=Path("mine.xml"), init="large", precision="float32")).recipe
    large = RECIPES["large", 3]
    assert recipe == replace(
        RECIPES["strong", None],
        init="large",
        settings=recipe.settings,
        shape=large.shape,
        stored_shape=(240, 240),
        precision="float32",
    )
    assert [tuple(value) for value in recipe.settings.values()] == [(64, 128, 192, 256), (1, 2, 2, 2)]


def test_a_course_training_starts_from_its_own_kind_alone(work, imm_data):
    begun = Path("runs/part1-course-001")
    course = {part: RECIPES["course", part] for part in (1, 2, 3)}
    begun.parent.mkdir(parents=True)
    write_run(begun, ModelInfo(begun, course[1], NOSE))
    config = new_config(Options(part=1, data=str(imm_data), init=str(begun), epochs=3))
    assert config.recipe == replace(course[1], init=str(begun), epochs=3)
    again = TrainConfig.from_json(begun, {**ModelInfo(begun, config.recipe, NOSE).to_json(), **config.to_json()})
    assert again.recipe.init == str(begun), "a run that began so can be read and resumed"
    with pytest.raises(KpError, match="its points are those of nose, and part 2 with the recipe course needs those of"):
        new_config(Options(part=2, data=str(imm_data), init=str(begun)))
    with pytest.raises(KpError, match="its network is cnn, and the recipe strong trains the network heatmap"):
        new_config(Options(part=1, recipe="strong", data=str(imm_data), init=str(begun)))


def test_labels_take_the_scheme_of_what_they_start_from(work):
    labels = Path("mine.xml")
    assert new_config(Options(labels=labels, init="compact")).dataset.scheme == IBUG68
    assert new_config(Options(labels=labels)).dataset.scheme is None
    assert new_config(Options(labels=labels, init="compact", scheme_file=Path("a.json"))).dataset.scheme is None
    plain = write_run(Path("plain"), ModelInfo(Path(), OWN, Scheme("own", IBUG68.names, ())))
    assert new_config(Options(labels=labels, init=str(plain))).dataset.scheme is None, (
        "it knows no more than the labels"
    )


def test_a_teacher_counts_half(work):
    recipe = new_config(Options(labels=Path("mine.xml"), teacher="compact")).recipe
    assert recipe.teacher == "compact"
    assert recipe.loss_settings == {**RECIPES["strong", None].loss_settings, "teacher_weight": 0.5}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: f"{recipe.name}-{recipe.part}")
def test_settings_come_back_from_json(recipe):
    config = TrainConfig(recipe, Path("/data"), seed=2, deterministic=True)
    if recipe.part in (None, 3):
        config = replace(config, add=(Path("/a.xml"), Path("/b.xml"), Path("/a.xml")), add_val=(Path("/c.xml"),))
    if recipe.part is None:
        config = replace(config, labels=Path("/mine.xml"), scheme=IBUG68)
    scheme = {"scheme": recipe.scheme or "ibug68"}
    content = {**ModelInfo(Path(), recipe, IBUG68).to_json(), **config.to_json(), **scheme}
    again = TrainConfig.from_json(Path("run"), json.loads(json.dumps(content)))
    assert json.dumps(again.recipe.settings) == json.dumps(recipe.settings)  # JSON makes lists of tuples
    assert replace(again, recipe=replace(again.recipe, settings=recipe.settings)) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("data"), "data: the entry is missing"),
        (lambda content: content.pop("labels"), "labels: expected to fit recipe.dataset, labels, found null"),
        (lambda content: content.update(seed="x"), "seed: expected a whole number, found 'x'"),
        (lambda content: content.update(data="a\0"), "data: expected a path, found"),
        (lambda content: content["recipe"].update(layers=3), "recipe.layers: there is no such entry"),
        (
            lambda content: content["recipe"].update(part=1),
            "recipe.part: expected that of the data set labels",
        ),
        (lambda content: content["recipe"].update(stored_shape=[64, 64]), "recipe.stored_shape: expected about"),
        (
            lambda content: content["recipe"].update(dataset="imm", part=2) or content.pop("labels"),
            "scheme: expected one of the data set imm, found 'ibug68'",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_named(change, message):
    config = TrainConfig(replace(OWN, crop_scale=1.5, stored_scale=2.25), Path("/data"), labels=Path("/mine.xml"))
    content = json.loads(json.dumps(ModelInfo(Path(), config.recipe, IBUG68).to_json() | config.to_json()))
    change(content)
    with pytest.raises(KpError, match=f"^run/config.json, {message}"):
        TrainConfig.from_json(Path("run"), content)


def begin_run(path, seed, data, completed=False, **added):
    """The settings of a run of part 3, and if it is completed its metrics."""
    path.mkdir(parents=True)
    recipe = RECIPES["course", 3]
    content = {**TrainConfig(recipe, data, seed=seed, **added).to_json(), **ModelInfo(path, recipe, IBUG68).to_json()}
    (path / "config.json").write_text(json.dumps(content))
    if completed:
        (path / "metrics.json").write_text("{}")


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({}, 2),
        ({"seed": 1, "precision": "auto"}, 0),
        ({"data": "a"}, 1),
        ({"data": "./a/", "seed": 3}, 3),
    ],
)
def test_resume_takes_the_newest_unfinished_run_with_the_settings_asked_for(work, asked, number):
    for k, (data, seed, completed) in enumerate([("a", 1, False), ("a", 2, False), ("b", 2, False), ("a", 3, True)]):
        path = work / f"runs/part3-course-00{k}"
        begin_run(path, seed, work / data, completed)
        os.utime(path / "config.json", (k, k))
    run, config = run_to_resume(Options(part=3, **asked), None)
    assert run.name == f"part3-course-00{number}"
    assert config.recipe == RECIPES["course", 3]
    with pytest.raises(KpError, match=r"--seed 9: the run began with 3 \(runs/part3-course-003\)"):
        run_to_resume(Options(part=3, seed=9), None)


def test_resume_takes_a_run_with_the_same_further_faces(work):
    begin_run(work / "run", 0, work, add=(work / "a.xml", work / "a.xml"))
    assert (
        run_to_resume(Options(part=3, add=(Path("a.xml"), Path("./a.xml"))), work / "run")[1].add[0] == work / "a.xml"
    )
    with pytest.raises(KpError, match=r"--add .*/b\.xml: the run began with .*/a\.xml .*/a\.xml"):
        run_to_resume(Options(part=3, add=(Path("b.xml"),)), work / "run")


def test_resume_takes_a_run_with_the_same_further_validation_faces(work):
    begin_run(work / "run", 0, work, add_val=(work / "a.xml",))
    assert run_to_resume(Options(part=3, add_val=(Path("a.xml"),)), work / "run")[1].add_val == (work / "a.xml",)
    with pytest.raises(KpError, match=r"--add-val .*/b\.xml: the run began with .*/a\.xml"):
        run_to_resume(Options(part=3, add_val=(Path("b.xml"),)), work / "run")


def test_resume_takes_a_run_of_fewer_epochs_if_there_is_none_of_as_many(work):
    for number, completed in ((1, True), (2, False), (3, True)):
        begin_run(work / f"runs/part3-course-00{number}", 0, work, completed)
        os.utime(work / f"runs/part3-course-00{number}/config.json", (number, number))
    assert run_to_resume(Options(part=3, epochs=5), None)[0].name == "part3-course-002"
    run, config = run_to_resume(Options(part=3, epochs=9), None)
    assert (run.name, config.recipe.epochs) == ("part3-course-002", 9)
    content = json.loads((work / "runs/part3-course-001/config.json").read_text())
    content["recipe"]["epochs"] = 9
    (work / "runs/part3-course-001/config.json").write_text(json.dumps(content))
    assert run_to_resume(Options(part=3, epochs=9), None)[0].name == "part3-course-001"


@pytest.mark.parametrize(("options", "keep"), [({}, "last"), ({"keep": "best"}, "best")])
def test_a_part_keeps_its_last_epoch_unless_asked(imm_data, options, keep):
    assert new_config(Options(part=1, data=str(imm_data), **options)).keep == keep


@pytest.mark.parametrize(("options", "keep"), [({}, "best"), ({"keep": "last"}, "last")])
def test_own_labels_keep_the_best_epoch_unless_asked(options, keep):
    assert new_config(Options(labels=Path("mine.xml"), **options)).keep == keep


def test_resume_needs_a_run(work):
    with pytest.raises(KpError, match=r"--resume: there is no run runs/part2-course-…"):
        run_to_resume(Options(part=2), None)
    with pytest.raises(KpError, match=r"--resume: there is no run mine "):
        run_to_resume(Options(part=2), Path("mine"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"epochs": 3}, "--epochs 3: the run began with 5"),
        ({"batch_size": 2}, "--batch-size 2: the run began with 64"),
        ({"learning_rate": 0.1}, "--learning-rate 0.1: the run began with 0.0005"),
        ({"seed": 1}, "--seed 1: the run began with 0"),
        ({"data": "elsewhere"}, "--data elsewhere: the run began with /"),
        ({"recipe": "strong"}, "--recipe strong: the run began with course"),
        ({"part": 1}, "--part 1: the run began with 3"),
        ({"precision": "mixed_bfloat16"}, "--precision mixed_bfloat16: the run began with float32"),
        ({"deterministic": True}, "--deterministic: the run began without"),
        ({"keep": "best"}, "--keep best: the run began with last"),
        ({"scheme_file": Path("a.json")}, "--scheme a.json: the run began without"),
    ],
)
def test_resume_refuses_other_settings(work, asked, message):
    begin_run(Path("mine"), 0, Path("/data"))
    with pytest.raises(KpError, match=message):
        run_to_resume(Options(**asked), Path("mine"))
