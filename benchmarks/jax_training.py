"""Train `strong` or `large` with Keras on JAX, on a GPU of a machine that has no TensorFlow.

    python -m benchmarks.jax_training prepare crops.npz --part 3 --recipe large --data DIR --init large --epochs 300 …
    KERAS_BACKEND=jax python -m benchmarks.jax_training fit crops.npz trained.npz
    python -m benchmarks.jax_training finish trained.npz large.npz

`prepare` takes the options of `train.py` that choose faces and settings, and writes all that the GPU's machine needs in
one file: the settings, the first weights, and the crops as WebP. `fit` needs Keras, JAX for that GPU and Pillow there,
and the folders `kp_tf` and `benchmarks`; its options replace those of `prepare`. `finish` scores and calibrates the
network, and writes it as `pack` does.

Augmentation, loss, schedule and settings are those of `train.py`. Three things differ: the random numbers are JAX's;
the last batch of an epoch is filled up with faces from its beginning; and a GPU computes in bfloat16, with products of
float32 in JAX's default precision (TF32 on recent NVIDIA cards).
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from PIL import Image

from benchmarks.report import OUTER_EYES
from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import describe_model, load_weights, save_weights, stored_weights
from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_npz, replacing
from kp_tf.input.augment import NUM_DRAWS, training_transform
from kp_tf.models.build import build_network
from kp_tf.models.heatmap import with_variance
from kp_tf.models.losses import HeatmapLoss, nme
from kp_tf.predict.cascade import scale_crops
from kp_tf.recipes import COOLDOWN_STRENGTH, Recipe
from kp_tf.training.adam import optimizer_of
from kp_tf.training.arguments import add_options

QUALITY = 85  # of the crops as WebP: within 1.7 grey levels (RMS) of what they were
SHOWN = 20  # lines of progress at least, if there are as many epochs
WITHOUT_EFFECT = ("out", "overwrite", "resume", "submit", "devices", "keep", "deterministic")  # options of train.py

ops: Any = keras.ops  # annotated for all backends at once


def prepare(crops: Path, **options: Any) -> None:
    """Write the crops, points, settings and first weights of a training; `options` as of `train`.

    Raises:
        KpError: as `train`, or if the recipe or an option is not for this.
    """
    from kp_tf.training.config import new_config
    from kp_tf.training.faces import load
    from kp_tf.training.model import start_from_init, targets_of
    from kp_tf.training.options import Options

    known = {field.name for field in fields(Options)}  # the others are of the run directory
    if given := [name for name in WITHOUT_EFFECT if options.get(name)]:
        raise KpError(f"--{given[0]} has no effect here; leave it out")
    config = new_config(Options(**{name: value for name, value in options.items() if name in known}))
    if config.recipe.part != 3 or not config.recipe.has_heatmaps:
        raise KpError("this trains part 3 with the recipes strong and large; see --part and --recipe")
    faces = load(config, "no device")
    recipe, training, validation = faces.info.recipe, faces.training, faces.validation
    targets, flip_indices = targets_of(recipe, training)
    model = build_network(recipe, len(faces.info.scheme), config.seed)
    if recipe.init:
        start_from_init(model, faces.info, training)
    files = [_encoded(crop) for crop in training.crops[:]]
    unique = {file: number for number, file in enumerate(dict.fromkeys(files))}
    arrays = {
        "config": np.array(json.dumps({"format": 2, **config.to_json(), **faces.info.to_json()})),
        "index": np.array([unique[file] for file in files], np.int32),  # a face that is named twice counts twice
        "targets": targets.astype(np.float32),
        "flip_indices": np.array(flip_indices, np.int32),
        "validation_points": validation.points_norm,
        **_concatenated("crops", list(unique)),
        **_concatenated("validation", [_encoded(crop) for crop in validation.crops[:]]),
        **stored_weights(model),
    }
    _write(crops, arrays)
    print(f"{crops}: {len(files)} faces an epoch, {len(unique)} crops, {crops.stat().st_size / 2**20:.1f} MiB")


def _encoded(crop: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(crop[..., 0]).convert("RGB").save(file, "WEBP", quality=QUALITY)
    return file.getvalue()


def _decoded(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("L"))[..., None]


def _concatenated(name: str, files: list[bytes]) -> dict[str, np.ndarray]:
    """Files as one array of bytes, and where each of them ends."""
    return {name: np.frombuffer(b"".join(files), np.uint8), f"{name}_ends": np.cumsum([len(file) for file in files])}


@dataclass(frozen=True)
class Prepared:
    """What `prepare` or `fit` wrote."""

    info: ModelInfo
    config: dict
    arrays: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> "Prepared":
        """Read the file. Raises KpError if it is missing, damaged or another."""
        arrays = read_npz(path, "what `prepare` or `fit` of benchmarks.jax_training wrote")
        if "config" not in arrays:
            raise KpError(f"{path}: expected what `prepare` or `fit` of benchmarks.jax_training wrote")
        content = json.loads(str(arrays["config"]))
        return cls(ModelInfo.from_json(path, content, {}), content, arrays)

    def with_settings(self, **settings: Any) -> "Prepared":
        """The same with other settings of the recipe; None leaves one as it is."""
        recipe = replace(self.info.recipe, **{name: value for name, value in settings.items() if value is not None})
        return replace(self, info=replace(self.info, recipe=recipe), config={**self.config, "recipe": asdict(recipe)})

    def pictures(self, name: str) -> np.ndarray:
        """The crops (N, H, W, 1) uint8."""
        ends = self.arrays[f"{name}_ends"]
        files = [self.arrays[name][start:end].tobytes() for start, end in pairwise([0, *ends])]
        with ThreadPoolExecutor() as pool:
            return np.stack(list(pool.map(_decoded, files)))

    def network(self, precision: str = "float32") -> keras.Model:
        """The network with the first weights, in a precision of Keras."""
        model = build_network(self.info.recipe, len(self.info.scheme), self.config["seed"], precision)
        load_weights(self.info.path, model)
        return model


def fit(crops: Path, trained: Path, init: Path | None = None, seed: int | None = None, **settings: Any) -> None:
    """Train on the device that JAX finds, and write the averaged weights; those so far after each line of progress.

    Args:
        crops: what `prepare` wrote.
        trained: the file to write.
        init: begin with these weights: another such file, or a packed network.
        seed: of order and augmentation, instead of that of `prepare`.
        **settings: of the recipe, likewise; None leaves one as it is.

    Raises:
        KpError: if Keras does not run on JAX, a file cannot be used, or the loss is not finite: the last weights that
            were written are kept.
    """
    if keras.backend.backend() != "jax":
        raise KpError("set KERAS_BACKEND=jax")
    import jax

    device = jax.devices()[0]
    precision = "mixed_bfloat16" if device.platform == "gpu" else "float32"
    prepared = Prepared.read(crops).with_settings(init=init and str(init), precision=precision, **settings)
    if seed is not None:
        prepared.config["seed"] = seed
    recipe, model = prepared.info.recipe, prepared.network(precision)
    if init:
        load_weights(init, model)
    if min(recipe.epochs, recipe.batch_size) < 1:
        raise KpError("--epochs and --batch-size must be at least 1")
    fitted, count = with_variance(model), len(prepared.arrays["index"])
    steps = -(-count // recipe.batch_size)
    optimizer = optimizer_of(replace(recipe, averaging=0.0), steps)  # the averages are in the state
    optimizer.build(fitted.trainable_variables)
    strong, weak = (_batches_of(prepared, strength) for strength in (1.0, COOLDOWN_STRENGTH))
    take_step = _step_of(fitted, optimizer, recipe)
    values = [variable.value for variable in fitted.trainable_variables]
    fixed = [variable.value for variable in fitted.non_trainable_variables]
    state = _State(values, fixed, [variable.value for variable in optimizer.variables], values)
    begun = time.perf_counter()
    # an argument of `batch`, because a constant of this size takes a minute to compile
    data = jax.device_put((prepared.pictures("crops"), prepared.arrays["index"], prepared.arrays["targets"]))
    pictures = scale_crops(prepared.pictures("validation"))
    print(f"{count} faces in {steps} steps, {recipe.epochs} epochs, on {device}", flush=True)
    for epoch in range(recipe.epochs):
        key, losses = jax.random.fold_in(jax.random.key(prepared.config["seed"]), epoch), []
        order = jax.numpy.resize(jax.random.permutation(key, count), (steps, recipe.batch_size))
        batch = strong if epoch < recipe.cooldown_epoch else weak
        for step in range(steps):
            state, value = take_step(state, *batch(data, jax.random.fold_in(key, step), order[step]))
            losses.append(value)
        if (epoch + 1) % max(1, recipe.epochs // SHOWN) == 0 or epoch + 1 == recipe.epochs:
            seconds, mean = time.perf_counter() - begun, float(np.mean([float(value) for value in losses]))
            if not np.isfinite(mean):
                raise KpError(f"epoch {epoch + 1}: the loss is {mean}; try a lower --learning-rate")
            variables = *fitted.trainable_variables, *fitted.non_trainable_variables
            for variable, value in zip(variables, (*state.averages, *state.fixed), strict=True):
                variable.assign(value)
            error = _validation_nme(model, pictures, prepared)
            print(f"epoch {epoch + 1}: {seconds:.0f} s, loss {mean:.3f}, validation NME {error:.2f} %", flush=True)
            _write(trained, {"config": np.array(json.dumps(prepared.config)), **stored_weights(model)})


class _State(NamedTuple):
    """Values of the model's trainable and other variables, of the optimizer's, and averages of the trainable ones."""

    trainable: list
    fixed: list
    moments: list
    averages: list


def _batches_of(prepared: Prepared, strength: float) -> Callable:
    """A function of the crops, indices and targets, a key, and the places of a batch to its images and points."""
    import jax

    recipe = prepared.info.recipe
    transform = training_transform(recipe, prepared.arrays["flip_indices"].tolist(), strength)

    @jax.jit
    def batch(data: tuple, key: Any, places: Any) -> tuple[Any, Any]:
        crops, index, targets = data
        draws = jax.random.uniform(key, (recipe.batch_size, NUM_DRAWS))
        images, points = transform(crops[index[places]].astype("float32"), targets[places], draws)
        return images / 255 - 0.5, points

    return batch


def _step_of(fitted: keras.Model, optimizer: keras.optimizers.Optimizer, recipe: Recipe) -> Callable:
    """A function of the state, images and points to the state after a step and the loss."""
    import jax

    loss, kept = HeatmapLoss(**recipe.loss_settings), recipe.averaging

    def loss_of(trainable: list, fixed: list, images: Any, points: Any) -> tuple[Any, list]:
        result: Any = fitted.stateless_call(trainable, fixed, images, training=True)
        outputs, fixed = result
        return loss(points, outputs), fixed

    @jax.jit
    def step(state: _State, images: Any, points: Any) -> tuple[_State, Any]:
        trainable, fixed, moments, averages = state
        (value, fixed), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, fixed, images, points)
        updated: Any = optimizer.stateless_apply(moments, gradients, trainable)
        trainable, moments = updated
        averages = [kept * old + (1 - kept) * new for old, new in zip(averages, trainable, strict=True)]
        return _State(trainable, fixed, moments, averages), value

    return step


def _validation_nme(model: keras.Model, pictures: np.ndarray, prepared: Prepared) -> float:
    """NME (%) on the validation faces in upright windows fitted to the labels, as during a training."""
    predicted = np.concatenate([ops.convert_to_numpy(model(part)) for part in np.array_split(pictures, 4)])
    errors = nme(prepared.arrays["validation_points"], predicted, OUTER_EYES)
    return 100 * float(np.mean(ops.convert_to_numpy(errors)))


def _write(path: Path, arrays: dict[str, Any]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:  # of a path, NumPy would change the suffix
        np.savez(file, **arrays)


def finish(trained: Path, out: Path) -> None:
    """Score and calibrate the network as at the end of a training, and write it as `pack` does.

    Raises:
        KpError: if the faces that it was trained on cannot be read.
    """
    from kp_tf.backends.keras_backend import for_prediction
    from kp_tf.training.config import TrainConfig
    from kp_tf.training.faces import load
    from kp_tf.training.scores import score

    ended = Prepared.read(trained)
    info, model = ended.info, ended.network()
    faces = load(TrainConfig.from_json(trained, ended.config), "no device")
    scores = score(for_prediction(model, info), info, faces.training, faces.validation, faces.added)
    metrics = {
        **{"part": info.recipe.part, "recipe": info.recipe.name, "dataset": info.recipe.dataset},
        **{"training_images": len(faces.training), "validation_images": len(faces.validation), **scores.report},
        "completed": datetime.now(UTC).isoformat(),
    }
    save_weights(out, model, describe_model(replace(info, metrics=metrics)))
    print(f"{out}: validation NME {100 * metrics['val_nme']:.2f} %")


def main() -> int:
    parser = argparse.ArgumentParser(description="Train on a GPU with Keras on JAX.")
    commands = parser.add_subparsers(dest="command", required=True)
    preparing, fitting, finishing = (commands.add_parser(name) for name in ("prepare", "fit", "finish"))
    preparing.add_argument("crops", type=Path, help="the file to write")
    add_options(preparing)
    fitting.add_argument("crops", type=Path, help="what prepare wrote")
    fitting.add_argument("trained", type=Path, help="the file to write")
    fitting.add_argument("--init", metavar="FILE", type=Path, help="begin with the weights of another such file")
    fitting.add_argument("--epochs", metavar="N", type=int)
    fitting.add_argument("--batch-size", metavar="N", type=int)
    fitting.add_argument("--learning-rate", metavar="R", type=float)
    fitting.add_argument("--seed", metavar="N", type=int)
    finishing.add_argument("trained", type=Path, help="what fit wrote")
    finishing.add_argument("out", type=Path, help="the packed network to write")
    given = vars(parser.parse_args())
    return exit_status(f"benchmarks.jax_training:{given.pop('command')}", **given)


if __name__ == "__main__":
    sys.exit(main())
