"""A run's network as one file that runs without TensorFlow, and what the change of format costs."""

import hashlib
import json
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kp_tf.artifacts.runs import Run
from kp_tf.artifacts.weights import choose_run, portable
from kp_tf.backends.engines import ABOUT, KEY, Network, load_engine
from kp_tf.backends.inference import for_prediction, load_model, with_variance
from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing
from kp_tf.core.geometry import crop_windows, to_pixels
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.evaluate import metrics
from kp_tf.input.pipeline import decode, scale_pixels

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx"}
SAMPLES = 64  # noise for the report where no labels are given
ROUNDS = 50  # of one face, for its time


def export(
    to: str,
    run: str | None = None,
    out: Path | None = None,
    precision: str = "float32",
    labels: Path | None = None,
) -> Path:
    """Write a network as LiteRT or ONNX, read it back, and print what that costs.

    Args:
        to: `litert` or `onnx`.
        run: see `weights.choose_run`.
        out: the file; by default beside the run's, or in the working folder for weights that come with the project.
        precision: of the weights in the file: float32, float16 or (LiteRT alone) int8. It computes in float32.
        labels: dlib's XML with the network's points and boxes, its photographs beside it: the report then says
            what the change of format does to the error.

    Raises:
        KpError: if there is no such run, the file cannot be written, or its outputs are far from the network's.
    """
    if precision == "int8" and to == "onnx":
        raise KpError("--int8: expected --to litert, found --to onnx")
    chosen = choose_run(run)
    out = out or Path(chosen.path.name).with_suffix(SUFFIXES[to])
    if out.suffix != SUFFIXES[to]:
        raise KpError(
            f"--out {out}: expected a name that ends in {SUFFIXES[to]}, found {out.suffix or 'no ending'}"
        )
    model, write = load_model(chosen), _write_litert if to == "litert" else _write_onnx
    # a model that was trained in mixed precision has been rebuilt in float32 by now
    about = portable(chosen)
    with replacing(out) as temporary:
        write(with_variance(model, chosen), about, precision, temporary)
        _, network = load_engine(temporary)
        print(f"{out}: {temporary.stat().st_size / 1e6:.2f} MB, {precision} weights, of {chosen.path}")
        _report(chosen, for_prediction(model, chosen), network, labels)
    return out


def _write_litert(model: keras.Model, about: dict, precision: str, path: Path) -> None:
    quantised = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    settings = {
        "float32": {},
        "float16": {**quantised, "target_spec": {"supported_types": [tf.float16]}},
        "int8": quantised,  # of the weights alone, so that no pictures are needed to measure ranges on
    }[precision]
    model.export(str(path), format="litert", verbose=False, **settings)
    content = path.read_bytes()
    about |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(ABOUT, json.dumps(about))


def _write_onnx(model: keras.Model, about: dict, precision: str, path: Path) -> None:
    try:
        import onnx
    except ImportError:
        raise KpError("--to onnx needs more: pip install onnx tf2onnx onnxruntime") from None
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras refuses a model that was never called
    with warnings.catch_warnings():
        # Keras' own look at np.object, in its copy of tf2onnx
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(str(path), format="onnx", verbose=False)
    graph = onnx.load(path)
    # tf2onnx loses the number of points on the way through the heatmaps
    sizes = graph.graph.output[0].type.tensor_type.shape.dim
    for size, value in zip(sizes, model.output_shape, strict=True):
        if value is not None:
            size.dim_value = value
    if precision == "float16":
        _halve(graph.graph)
    graph.metadata_props.add(key=KEY, value=json.dumps(about))
    onnx.save(graph, path)


def _halve(graph) -> None:
    """Keep large weights in float16, each with a cast that the run time does once, when it loads the file."""
    import onnx

    casts = []
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size > 256:
            name = weight.name
            weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_float16"))
            casts.append(onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _report(run: Run, original: Network, network: Network, labels: Path | None) -> None:
    """Print the differences in the points, in the error where there are labels, and the time of one face."""
    side = run.recipe.shape[1]
    if labels is None:
        # smooth noise: what a network sees has more of coarse than of fine
        coarse = np.random.default_rng(0).uniform(0, 255, (SAMPLES, 12, 12, 1)).astype(np.float32)
        images = scale_pixels(tf.image.resize(coarse, run.recipe.shape)).numpy()
        what = f"{SAMPLES} pictures of noise"
    else:
        records = read_dlib_xml(labels, run.scheme, partial=run.config["part"] is None)
        windows = crop_windows(records.boxes, run.recipe.crop_scale)
        images = scale_pixels(decode(records, windows, run.recipe.shape)).numpy()
        what = f"{len(records)} faces of {labels}"
    before, after = (
        np.concatenate([one(images[k : k + 1]) for k in tqdm(range(len(images)), leave=False, disable=None)])
        for one in (original, network)
    )
    apart = side * np.linalg.norm((after - before)[..., :2], axis=-1)
    print(f"difference in points on {what}: mean {apart.mean():.3f}, largest {apart.max():.3f} pixels of {side}")
    if labels is not None and run.scheme.eyes:
        errors = [
            100 * np.nanmean(metrics.nme(to_pixels(o[..., :2], windows), records.points, run.scheme.eyes))
            for o in (before, after)
        ]
        print(f"NME (one look) before {errors[0]:.3f} %, after {errors[1]:.3f} %")
    times = _interleaved({"Keras": original, "the file": network}, images[:1])
    print(
        "one face: "
        + ", ".join(f"{name} {median:.1f} ms ({low:.1f}–{high:.1f})" for name, (median, low, high) in times.items())
    )


def _interleaved(networks: dict[str, Callable], image: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Median and quartiles in milliseconds, taken in turns."""
    seconds = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            start = time.perf_counter()
            network(image)
            seconds[name].append(time.perf_counter() - start)
    return {
        name: tuple(1000 * np.percentile(values[ROUNDS // 10 :], [50, 25, 75])) for name, values in seconds.items()
    }
