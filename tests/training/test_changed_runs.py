"""Run directories, packed and exported files with changed entries: they are used, or refused with one message."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import INFO, picture, write_run, write_xml, xml_image
from hostile import changed_arrays, changed_json, escapes, json_writer, npz_writer, read_arrays
from training_steps import OWN, THREE, prepare, read, stopped_at_epoch, write_own_labels, write_scheme

from kp_tf.apps.export import export, pack
from kp_tf.apps.kaggle import predict_kaggle, read_shards, write_shard
from kp_tf.artifacts.runs import is_complete, read_run, read_split
from kp_tf.artifacts.weights import parse_description, read_weights
from kp_tf.backends.litert_file import DESCRIPTION
from kp_tf.core.errors import KpError
from kp_tf.evaluate.command import evaluate
from kp_tf.predict.command import predict
from kp_tf.training.checkpoint import Checkpoint
from kp_tf.training.config import TrainConfig, run_to_resume
from kp_tf.training.fitting import fit
from kp_tf.training.options import Options
from kp_tf.training.train import train

OLD = Path(__file__).parents[1] / "artifacts" / "old_run"
BOX = (30.0, 20.0, 60.0, 64.0)


def own_config(folder):
    """A training on points of one's own, with heatmaps and augmentation."""
    labels = write_own_labels(folder / "mine")
    recipe = replace(OWN, epochs=2, crop_scale=1.5, stored_scale=2.25, precision="float32")
    return TrainConfig(recipe, labels.parent, labels=labels, scheme_file=write_scheme(folder / "scheme.json"))


@pytest.mark.parametrize("name", ["new", "part1-course", "part2-strong"])
def test_every_changed_setting_is_used_or_refused(tmp_path, name):
    run = tmp_path / "run"
    if name == "new":
        run.mkdir()
        content = {
            "format": 2,
            **own_config(tmp_path).to_json(),
            **replace(INFO, scheme=THREE, mean_face=None).to_json(),
        }
    else:
        shutil.copytree(OLD / name, run)
        content = read(run / "config.json")
    (run / "metrics.json").write_text('{"completed": "2026"}')

    def settings():
        read_run(run)

    def resume():
        run_to_resume(Options(), run)

    assert escapes(changed_json(content), json_writer(run / "config.json"), settings, resume) == []


def test_every_changed_metric_and_split_is_used_or_refused(tmp_path):
    run = shutil.copytree(OLD / "part2-strong", tmp_path / "run")
    metrics, split = read(run / "metrics.json"), read(run / "split.json")
    assert escapes(changed_json(split), json_writer(run / "split.json"), lambda: read_split(run)) == []
    readers = (lambda: read_run(run).calibration, lambda: is_complete(run))
    assert escapes(changed_json(metrics), json_writer(run / "metrics.json"), *readers) == []


@pytest.fixture(scope="module")
def fitted():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_every_changed_checkpoint_is_used_or_refused(tmp_path, fitted):
    checkpoint = Checkpoint(tmp_path, fitted)
    checkpoint.set_model(fitted)
    checkpoint.set_params({"steps": 0})
    checkpoint.on_epoch_begin(0)
    checkpoint.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})
    arrays, write = read_arrays(checkpoint.path), npz_writer(checkpoint.path)
    restored = []

    def restore():
        restored.append(checkpoint.restore(fitted))
        for variable in (*fitted.weights, *fitted.optimizer.variables):
            assert np.isfinite(variable.numpy()).all()

    assert escapes(changed_arrays(arrays), write, restore) == []
    rows = json.loads(str(arrays["rows"]))
    changed = (
        (name, arrays | {"rows": np.array(json.dumps(content))})
        for name, content in changed_json({"rows": rows})
        for content in [content["rows"] if isinstance(content, dict) and "rows" in content else content]
    )
    assert escapes(changed, write, restore) == []
    write(arrays)
    assert checkpoint.restore(fitted) == 1


def test_every_changed_shard_is_used_or_refused(tmp_path):
    out = tmp_path / "a.csv"
    path = write_shard(out, 1, 1, np.zeros((2, 68, 2)), "key")
    assert escapes(changed_arrays(read_arrays(path)), npz_writer(path), lambda: read_shards(out, "key", 2)) == []
    write_shard(out, 1, 10**12, np.zeros((2, 68, 2)), "key")
    path.unlink()
    with pytest.raises(KpError, match=r"the shard a\.2-of-1000000000000\.npz is missing"):
        read_shards(out, "key", 2)


def changed_descriptions(text):
    """What a packed or exported file says of itself, with changed entries."""
    for name, content in changed_json(json.loads(text)):
        yield name, json.dumps(content)
    yield "not JSON", "{"
    yield "too deep", '{"config": ' + "[" * 10_000 + "]" * 10_000 + "}"


def test_every_changed_description_is_used_or_refused(tmp_path):
    arrays, path = read_arrays(OLD / "part3-strong.npz"), tmp_path / "a.npz"
    texts = []
    changes = changed_descriptions(str(arrays["about"]))
    assert escapes(changes, texts.append, lambda: parse_description(path, texts[-1])) == []
    assert escapes(changed_arrays({"about": arrays["about"]}), npz_writer(path), lambda: read_weights(path)) == []


@pytest.fixture
def photographs(tmp_path):
    """Labelled photographs of 68 points, in dlib's XML."""
    picture(150, 200).save(tmp_path / "a.jpg")
    write_xml(tmp_path / "a.xml", [xml_image("a.jpg", [BOX])])
    return tmp_path / "a.xml"


def commands(run, labels):
    """Everything that uses a run directory or a file of a network with 68 points."""
    yield lambda: predict([str(labels.with_name("a.jpg"))], str(run), [BOX])
    yield lambda: evaluate(labels, str(run))
    if run.suffix not in (".tflite", ".onnx"):
        yield lambda: predict_kaggle(str(run), labels=labels, out=labels.with_name("a.csv"))
        yield lambda: export("litert", str(run), labels.with_name("out.tflite"))
    if run.is_dir():
        yield lambda: pack(run, labels.with_name("packed.npz"))


@pytest.mark.slow
@pytest.mark.parametrize("file", ["config.json", "metrics.json"])
def test_commands_use_or_refuse_every_changed_run(tmp_path, photographs, file):
    run = write_run(tmp_path / "run")
    changes = changed_json(read(run / file))
    assert escapes(changes, json_writer(run / file), *commands(run, photographs)) == []


@pytest.mark.slow
def test_commands_use_or_refuse_every_changed_packed_file(tmp_path, photographs):
    pack(write_run(tmp_path / "run"), path := tmp_path / "tiny.npz")
    arrays = read_arrays(path)
    readers = list(commands(path, photographs))
    changed = ((name, arrays | {"about": np.array(text)}) for name, text in changed_descriptions(str(arrays["about"])))
    assert escapes(changed, npz_writer(path), *readers) == []
    some = {name: arrays[name] for name in ("about", "stem_conv/kernel", "stem_norm/beta")}
    changed = ((name, {**arrays, **dict.fromkeys(some), **few}) for name, few in changed_arrays(some))
    changed = ((name, {key: value for key, value in all.items() if value is not None}) for name, all in changed)
    assert escapes(changed, npz_writer(path), *readers) == []


@pytest.mark.slow
def test_commands_use_or_refuse_every_changed_exported_file(tmp_path, photographs):
    export("litert", str(write_run(tmp_path / "run")), whole := tmp_path / "tiny.tflite")
    with zipfile.ZipFile(whole) as archive:
        text = archive.read(DESCRIPTION).decode()
    model, path = whole.read_bytes()[: json.loads(text)["bytes"]], tmp_path / "changed.tflite"

    def write(description):
        path.write_bytes(model)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(DESCRIPTION, description)

    assert escapes(changed_descriptions(text), write, *commands(path, photographs)) == []


@pytest.mark.slow
@pytest.mark.parametrize("file", ["config.json", "split.json", "checkpoint.npz"])
def test_resume_uses_or_refuses_every_changed_run(tmp_path, file):
    fitting = prepare(own_config(tmp_path), tmp_path / "begun")
    with stopped_at_epoch(2):
        fit(fitting)
    run, resumed = fitting.path, tmp_path / "resumed"
    if file == "checkpoint.npz":
        arrays, write_file = read_arrays(run / file), npz_writer(resumed / file)
        some = {name: arrays[name] for name in ("rows", "v0", f"v{len(arrays) - 2}")}
        changes = ((name, {**arrays, **few}) for name, few in changed_arrays(some))
    else:
        changes, write_file = changed_json(read(run / file)), json_writer(resumed / file)

    def write(content):
        shutil.rmtree(resumed, ignore_errors=True)
        shutil.copytree(run, resumed)
        write_file(content)

    assert escapes(changes, write, lambda: train(resume=True, out=resumed, figures=False)) == []


@pytest.mark.slow
def test_the_validation_photographs_of_a_changed_split_are_used_or_refused(tmp_path):
    run, labels = write_run(tmp_path / "run", replace(INFO, recipe=OWN, scheme=THREE, mean_face=None)), None
    labels = write_own_labels(tmp_path / "mine")
    content = {"training": ["0.png"], "validation": ["1.png"], "digest": "0"}
    changes = changed_json(content)
    read_labels = lambda: evaluate(labels, str(run), split="validation")  # noqa: E731
    assert escapes(changes, json_writer(run / "split.json"), read_labels) == []
