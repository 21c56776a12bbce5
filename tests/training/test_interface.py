"""`kp_tf.train`: the result of a training from Python, models of the user's own, and what is refused."""

import re
import shutil
from dataclasses import fields
from pathlib import Path

import keras
import numpy as np
import pytest
from training_steps import history, read, stopped_at_epoch, write_own_labels

import kp_tf
from kp_tf.apps.export import pack
from kp_tf.artifacts.runs import read_run
from kp_tf.backends.keras_backend import load_model
from kp_tf.recipes import RECIPES
from kp_tf.training import own_model
from kp_tf.training.config import new_config
from kp_tf.training.options import Options

SHAPE = RECIPES["course", 1].shape


def small_model(points=1, shape=SHAPE):
    return kp_tf.cnn(shape, points, convs=[(2, 9)], hidden=2)


@keras.saving.register_keras_serializable("tests")
class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_train_returns_the_run_and_calls_the_callbacks_which_may_end_it(work, imm_data):
    seen = []
    see = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["val_loss"]))
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=10)
    run = kp_tf.train(1, data=imm_data, epochs=9, batch_size=4, figures=False, callbacks=[see, stop])
    assert run.metrics["epochs"] == len(seen) == 2
    assert "interrupted" not in run.metrics
    assert run.folder == Path("runs/part1-course-001")
    assert run.metrics == read(run.folder / "metrics.json")
    assert set(run.history) == {"loss", "val_loss", "seconds"}
    assert run.history["val_loss"] == [row["val_loss"] for row in history(run.folder)] == seen
    loaded = keras.models.load_model(run.folder / "model.keras")
    assert loaded.output_shape == run.model.output_shape == (None, 1, 2)
    for one, other in zip(loaded.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_of_ones_own_with_the_recipes_loss(work, imm_data):
    image = keras.Input((*SHAPE, 1))
    points = keras.layers.Reshape((1, 2))(Twice()(keras.layers.Dense(2)(keras.layers.Flatten()(image))))
    model = keras.Model(image, points)
    before = model.get_weights()
    run = kp_tf.train(1, data=imm_data, epochs=1, batch_size=4, model=model)
    assert run.model is model
    assert not model.compiled, "so that it can be passed to train again"
    assert np.abs(model.get_weights()[0] - before[0]).max() > 0
    recipe = read(run.folder / "config.json")["recipe"]
    assert (recipe["network"], recipe["loss"]) == ("own", "mse")
    assert not (run.folder / "figures/filters.png").exists(), "it has no convolution"
    faces = imm_data / "imm_face_db"
    predicted = kp_tf.Predictor.load(run.folder).predict(faces / "31-1m.jpg")[0].points
    assert predicted.shape == (1, 2)
    loaded = keras.models.load_model(run.folder / "model.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    with pytest.raises(kp_tf.KpError, match="only networks of the recipes can be packed"):
        pack(run.folder, Path("a.npz"))
    with pytest.raises(kp_tf.KpError, match="computes as it was saved; leave out --precision mixed_bfloat16"):
        load_model(read_run(run.folder), "mixed_bfloat16")
    assert load_model(read_run(run.folder), "auto").dtype_policy.name == "float32"


def absolute_error(truth, prediction):
    return keras.ops.mean(keras.ops.abs(truth - prediction))


def test_a_compiled_model_keeps_its_loss_and_resumes(work, imm_data):
    def compiled():
        model = small_model()
        model.compile(keras.optimizers.SGD(0.01), absolute_error, metrics=["mae"], run_eagerly=True)  # no tracing
        return model

    options = {"data": imm_data, "epochs": 2, "batch_size": 4, "figures": False}
    whole = kp_tf.train(1, model=compiled(), **options)
    assert set(whole.history) == {"loss", "val_loss", "mae", "val_mae", "seconds"}
    assert whole.history["loss"] == pytest.approx(whole.history["mae"], rel=1e-4)
    assert not keras.models.load_model(whole.folder / "model.keras").compiled, "no code of the loss is needed"
    with stopped_at_epoch(2):
        kp_tf.train(1, model=compiled(), out="begun", **options)
    for model, message in ((None, "pass it again as model"), (small_model(), "compile this one in the same way")):
        with pytest.raises(kp_tf.KpError, match=message):
            kp_tf.train(out="begun", resume=True, model=model)
    resumed = kp_tf.train(out="begun", resume=True, figures=False, model=compiled())
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    done = kp_tf.train(out="begun", resume=True, model=compiled())  # nothing is left to train
    np.testing.assert_array_equal(done.model.get_weights()[0], resumed.model.get_weights()[0])


def test_the_recipes_network_is_not_resumed_with_a_model(work, begun_run):
    shutil.copytree(begun_run, "begun")
    with pytest.raises(kp_tf.KpError, match="the run trains the recipe's network; leave the model out"):
        kp_tf.train(out="begun", resume=True, model=small_model())


@pytest.mark.long
def test_a_model_of_ones_own_in_the_recipe_strong(work):
    labels = write_own_labels(work / "own")
    config = own_model.with_own_model(new_config(Options(labels=labels)), small_model(3, (128, 128)))
    recipe = config.recipe
    assert (recipe.network, recipe.loss, recipe.teacher, recipe.init) == ("own", "wing", None, None)
    run = kp_tf.train(labels=str(labels), epochs=1, model=small_model(3, (128, 128)), figures=False, seed=1)
    assert np.isfinite(run.history["val_loss"]).all(), "although points are missing"


def compiled_model():
    model = small_model()
    model.compile("sgd", "mse")
    return model


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"model": small_model(shape=(30, 40))},
            r"from \(None, 30, 40, 1\) .* from \(None, 60, 80, 1\) to",
        ),
        ({"model": small_model(5)}, r"it goes .* to \(None, 5, 2\); this training needs .* to \(None, 1, 2\)"),
        ({"model": "compact"}, "expected a functional or sequential Keras model with an Input, found 'compact'"),
        ({"model": Subclassed()}, "expected a functional or sequential Keras model with an Input, found <Subclassed"),
        ({"model": small_model(), "devices": 2}, "can be trained on one device only"),
        ({"model": small_model(), "init": "compact"}, "init and a model of your own cannot be used together"),
        ({"model": compiled_model(), "learning_rate": 0.1}, "learning_rate and a compiled model of your own cannot be"),
        ({"model": small_model(), "recipe": "strong"}, "the recipe strong of part 1 finds the face by heatmaps"),
        ({"callbacks": [print]}, "callbacks: expected objects of keras.callbacks, found <built-in"),
        ({"recipe": "best"}, "--recipe best: there is no such recipe; choose course, strong or large"),
        ({"precision": "half"}, "--precision half: choose auto, float32 or mixed_bfloat16"),
        ({"keep": "all"}, "--keep all: choose last or best"),
        ({"epochs": "3"}, "--epochs must be a whole number, not '3'"),
        ({"learning_rate": "0.1"}, "--learning-rate must be between 0 and 1, not '0.1'"),
        ({"part": 4}, "--recipe course is for part 1, part 2, part 3, not for part 4"),
        ({"part": None}, "train needs either --part or --labels"),
    ],
)
def test_arguments_that_cannot_be_used_make_no_run(work, imm_data, arguments, message):
    with pytest.raises(kp_tf.KpError, match=message):
        kp_tf.train(**{"part": 1, "data": imm_data} | arguments)
    assert not list(work.iterdir())


def test_every_option_is_described():
    for field in fields(Options):
        assert re.search(rf"\b{field.name}\b", kp_tf.train.__doc__), field.name


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        kp_tf.train(1, epoch=3)
