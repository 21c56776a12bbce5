import json
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from kp_tf.artifacts.config import upgraded
from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.schema import CHOICES, RANGES, CnnSettings, HeatmapSettings, LossSettings
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, IMM58, NOSE, Scheme
from kp_tf.core.mean_face import MeanFace
from kp_tf.recipes import COMPACT, RECIPES, Augmentation, Recipe

PATH = Path("runs/part3-strong-001")
FACE = MeanFace(np.array([0.1, 0.2, 0.5, 0.6]), np.random.default_rng(0).uniform(size=(68, 2)))
OWN = Scheme("own", ("tip", "a", "b"), (("claws", (1, 2)),), flip_indices=(0, 2, 1))


def through_json(info):
    return ModelInfo.from_json(info.path, json.loads(json.dumps(info.to_json())), info.metrics)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: f"{recipe.name}-{recipe.part}")
def test_settings_come_back_from_json(recipe):
    again = through_json(ModelInfo(PATH, recipe, OWN, is_sample=True))
    lists = json.loads(json.dumps(recipe.settings))
    assert again == ModelInfo(PATH, replace(recipe, settings=lists), OWN, is_sample=True)


def test_mean_faces_come_back_from_json():
    again = through_json(ModelInfo(PATH, COMPACT, IBUG68, mean_face=FACE))
    np.testing.assert_array_equal(again.mean_face.points, FACE.points)
    assert again.framing is None
    again = through_json(ModelInfo(PATH, COMPACT, IBUG68, framing=FACE))
    np.testing.assert_array_equal(again.framing.box, FACE.box)
    assert again.mean_face is None


def test_a_network_is_calibrated_if_its_metrics_say_so():
    info = ModelInfo(PATH, COMPACT, IMM58)
    assert (info.name, info.calibration) == ("part3-strong-001", None)
    for numbers in ((-7.0, -1.5), (-7.0, -1.5, -0.5)):
        read = ModelInfo.from_json(Path("run"), info.to_json(), {"calibration": list(numbers)})
        assert read.calibration == numbers
    old = {"calibration": [-7.254680269910454, -2.0]}  # version 0.1, where nothing was calibrated
    assert ModelInfo.from_json(Path("run"), info.to_json(), old).calibration is None


CNN = ModelInfo(PATH, RECIPES["course", 1], NOSE).to_json()
CONFIG = ModelInfo(PATH, COMPACT, IBUG68, mean_face=FACE).to_json()


def recipe_with(**changes):
    return CONFIG | {"recipe": CONFIG["recipe"] | changes}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({name: CONFIG[name] for name in ("recipe", "sample")}, "scheme: the entry is missing"),
        ({name: CONFIG[name] for name in ("scheme", "sample")}, "recipe: the entry is missing"),
        (CONFIG | {"scheme": "ibug69"}, "scheme: expected the keys name, names"),
        (CONFIG | {"scheme": {"name": 3, "names": ["a"]}}, "scheme, name: expected text, found 3"),
        (CONFIG | {"sample": 1}, "sample: expected true or false, found 1"),
        (CONFIG | {"recipe": 3}, "recipe: expected an object, found 3"),
        (CONFIG | {"mean_face": {"box": [0, 0, 1, 1]}}, "mean_face.points: the entry is missing"),
        (CONFIG | {"mean_face": FACE.to_json() | {"box": [0, 0, 1]}}, r"mean_face.box: expected a list of 4, found \["),
        (CONFIG | {"mean_face": FACE.to_json() | {"box": [0, 0, 1, 0]}}, "mean_face.box: expected a width and height"),
        (CONFIG | {"mean_face": FACE.to_json() | {"points": [[0, 0]]}}, "mean_face.points: expected a list of 68"),
        (CONFIG | {"mean_face": FACE.to_json() | {"box": [0, 0, 1, float("nan")]}}, "from -1000 to 1000, found nan"),
        (recipe_with(colour=3), "recipe.colour: there is no such entry"),
        (recipe_with(shape=[128]), r"recipe.shape: expected a list of 2, found \[128\]"),
        (recipe_with(shape=[128, 1e9]), r"recipe.shape: expected a whole number, found 1000000000\.0"),
        (recipe_with(shape=[128, 10**6]), "recipe.shape: expected a whole number from 8 to 2048, found 1000000"),
        (recipe_with(shape=[128, 100]), r"recipe.shape: expected multiples of 32, found \(128, 100\)"),
        (recipe_with(network="vit"), "recipe.network: expected one of cnn, resnet18, heatmap, own, found 'vit'"),
        (recipe_with(num_passes="2"), "recipe.num_passes: expected a whole number, found '2'"),
        (recipe_with(num_passes=10**9), "recipe.num_passes: expected a whole number from 1 to 10, found 1000000000"),
        (recipe_with(name="\ud800"), "recipe.name: expected text that can be printed"),
        (recipe_with(init="a\0b"), "recipe.init: expected a path"),
        (recipe_with(epochs=True), "recipe.epochs: expected a whole number, found True"),
        (recipe_with(precision=None), "recipe.precision: expected text, found null"),
        (recipe_with(augmentation={"zoom": 1}), "recipe.augmentation.zoom: there is no such entry"),
        (recipe_with(settings={"widths": [8, 8]}), "recipe.settings.depths: the entry is missing"),
        (recipe_with(settings={"widths": [8], "depths": [1]}), "recipe.settings: expected 2 to 8 widths"),
        (
            recipe_with(settings={"widths": [4096] * 3, "depths": [1] * 3}),
            "recipe.settings: expected a network of at most",
        ),
        (recipe_with(settings={"widths": [8, "8"], "depths": [1, 1]}), "recipe.settings.widths: .* found '8'"),
        (CNN | {"recipe": CNN["recipe"] | {"teacher": "a"}}, "recipe.teacher: expected null for the loss mse"),
        (
            CNN | {"recipe": CNN["recipe"] | {"network": "own", "settings": {}, "init": "a"}},
            "recipe.init: expected null for the network own",
        ),
        (recipe_with(loss_settings={"w": 10}), "recipe.loss_settings.epsilon: the entry is missing"),
        (recipe_with(network="resnet18", settings={}), "recipe.loss: expected mse or mae for the network resnet18"),
        (CNN | {"recipe": CNN["recipe"] | {"shape": [8, 8]}}, "recipe.settings: expected stages that fit a picture"),
        (CNN | {"recipe": CNN["recipe"] | {"shape": [2048, 2048]}}, "recipe.settings: expected a network of at most"),
    ],
)
def test_settings_that_cannot_be_used_are_named(config, message):
    with pytest.raises(KpError, match=rf"^{PATH}/config\.json, .*{message}"):
        ModelInfo.from_json(PATH, config, {})


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([], "expected an object, found \\[\\]"),
        ({"completed": 3}, "completed: expected text, found 3"),
        ({"calibration": [1.0]}, "calibration: expected a list of 2 or 3, found \\(1.0,\\)"),
        ({"calibration": [1.0] * 4}, "calibration: expected a list of 2 or 3"),
        ({"calibration": [1.0, float("inf")]}, "calibration: expected a number from -1000 to 1000, found inf"),
    ],
)
def test_metrics_that_cannot_be_used_are_named(metrics, message):
    with pytest.raises(KpError, match=f"^{PATH}/metrics.json.* {message}"):
        ModelInfo.from_json(PATH, CONFIG, metrics)


def test_every_number_of_a_recipe_has_a_range():
    for kind in (Recipe, Augmentation, CnnSettings, HeatmapSettings, LossSettings):
        numbers = [name for name, hint in get_type_hints(kind).items() if "int" in str(hint) or "float" in str(hint)]
        assert not set(numbers) - RANGES.keys() - CHOICES.keys() - {"loss_settings"}


def test_todays_settings_are_not_changed():
    assert upgraded(CONFIG) is CONFIG
