"""Write a network as packed weights, or as LiteRT, ONNX or a page for a web host, which run without TensorFlow."""

import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from kp_tf.apps.web.detector import detector_networks
from kp_tf.apps.web.runtime import runtime_files
from kp_tf.apps.web.site import check_folder, site_files, write_site
from kp_tf.artifacts.find import find_model, say_network, source_of
from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.runs import read_run
from kp_tf.artifacts.weights import describe_model, save_weights
from kp_tf.backends import load_network
from kp_tf.backends.litert_file import write_litert
from kp_tf.backends.network import Network
from kp_tf.backends.onnx import PROPERTY
from kp_tf.core.environment import captured_stderr
from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing
from kp_tf.core.geometry import crop_windows, to_pixels
from kp_tf.data.formats import read_labels
from kp_tf.evaluate import metrics
from kp_tf.predict.cascade import scale_crops

if TYPE_CHECKING:
    import keras

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx"}
NUM_NOISE = 64  # pictures of noise that the report compares, if there are no labels
NUM_TIMED = 50  # predictions of one face that the report times


def pack(run: Path, out: Path) -> None:
    """Write the weights of a completed run as one small file, like those that come with the project.

    Raises:
        KpError: if there is no such run, the name does not end in `.npz`, or the file cannot be written.
    """
    if out.suffix != ".npz":
        raise KpError(f"--out {out}: the name must end in .npz")
    info = read_run(run)
    if info.recipe.network == "own":
        raise KpError(f"{run}: only networks of the recipes can be packed, not a model of your own; use export")
    with captured_stderr():
        from kp_tf.backends.keras_backend import load_model
    save_weights(out, load_model(info), describe_model(info))
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def export(
    to: str,
    run: str | None = None,
    out: Path | None = None,
    precision: str | None = None,
    labels: Path | None = None,
    runtime: Path | None = None,
    title: str | None = None,
) -> Path:
    """Write a network as LiteRT, ONNX or a page for a web host, read it back, and print what the conversion costs.

    Args:
        to: `litert`, `onnx` or `web`.
        run: see `find_model`.
        out: the file or, of a page, the folder. Default: the name of the run, in the working directory.
        precision: how the file stores the weights: float32, float16 or, except for ONNX, int8, see `write_litert`.
            Default: float16 for a page, float32 for the others.
        labels: dlib's XML with boxes and the network's points, in the folder of its photographs. With it, the report
            compares the error on these faces before and after.
        runtime: of a page, see `runtime_files`.
        title: heading of a page. Default: kp_tf.

    Returns:
        The path of the file or folder.

    Raises:
        KpError: if options contradict each other, there is no such run, a package is missing, or the file cannot be
            written.
    """
    if precision == "int8" and to == "onnx":
        raise KpError("--int8 is not for --to onnx")
    for option, value in (("--runtime", runtime), ("--title", title)):
        if value and to != "web":
            raise KpError(f"{option} is for --to web alone")
    info = find_model(run)
    say_network(info)
    if to == "web":
        return _export_site(info, out or Path(f"{info.name}-site"), precision or "float16", labels, runtime, title)
    precision = precision or "float32"
    out = out or Path(info.path.name).with_suffix(SUFFIXES[to])
    if out.suffix != SUFFIXES[to]:
        raise KpError(f"--out {out}: the name must end in {SUFFIXES[to]}")
    if not out.parent.is_dir():
        raise KpError(f"--out {out}: there is no folder {out.parent}")
    with captured_stderr():
        from kp_tf.backends.keras_backend import add_variance, for_prediction, load_model
    model = load_model(info)  # in float32, whatever it was trained in
    with replacing(out) as temporary:
        write = write_litert if to == "litert" else _write_onnx
        write(add_variance(model, info), describe_model(info), precision, temporary)
        _, network = load_network(temporary)
        print(f"{out}: {temporary.stat().st_size / 1e6:.2f} MB, {precision} weights, of {source_of(info)}")
        _report(info, for_prediction(model, info), network, labels)
    return out


def _export_site(
    info: ModelInfo, out: Path, precision: str, labels: Path | None, runtime: Path | None, title: str | None
) -> Path:
    check_folder(out)
    files = runtime_files(runtime)
    with captured_stderr():
        from kp_tf.backends.keras_backend import add_variance, for_prediction, load_model
    model = load_model(info)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        write_litert(add_variance(model, info), describe_model(info), precision, path, batch=1)
        _, network = load_network(path)
        content = site_files(info, path.read_bytes(), files, detector_networks(info), title)
    write_site(out, content)
    print(f"{out}: {sum(map(len, content.values())) / 1e6:.2f} MB, {precision} weights, of {source_of(info)}")
    _report(info, for_prediction(model, info), network, labels)
    print(f"to try it: python3 -m http.server --directory {out} --bind 127.0.0.1, then open http://127.0.0.1:8000")
    return out


def _write_onnx(model: "keras.Model", about: dict, precision: str, path: Path) -> None:
    try:
        import onnx
    except ImportError:
        raise KpError("--to onnx needs more packages: pip install onnx tf2onnx onnxruntime") from None
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras refuses a model that was never called
    with warnings.catch_warnings():
        # raised by Keras' copy of tf2onnx
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(str(path), format="onnx", verbose=False)
    graph = onnx.load(path)
    # tf2onnx loses the number of points on its way through the heatmaps
    sizes = graph.graph.output[0].type.tensor_type.shape.dim
    for size, value in zip(sizes, model.output_shape, strict=True):
        if value is not None:
            size.dim_value = value
    if precision == "float16":
        _halve(graph.graph)
    graph.metadata_props.add(key=PROPERTY, value=json.dumps(about))
    onnx.save(graph, path)


def _halve(graph: Any) -> None:
    """Store large weights in float16, each with a cast that the runtime does once, when it loads the file."""
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


def _report(info: ModelInfo, original: Network, network: Network, labels: Path | None) -> None:
    """Print how far the points differ, the error before and after if there are labels, and the time for one face."""
    from kp_tf.input.decode import decode_crops

    side = info.recipe.shape[1]
    if labels is None:
        crops, what = _noise(info.recipe.shape), f"{NUM_NOISE} pictures of noise"
    else:
        samples = read_labels(labels, info.scheme, partial=info.recipe.part is None).checked()
        samples = samples.upright(samples.orientations())
        windows = crop_windows(samples.boxes, info.recipe.crop_scale)
        crops, what = decode_crops(samples, windows, info.recipe.shape)[:], f"{len(samples)} faces of {labels}"
    images = scale_crops(crops)
    before, after = (
        np.concatenate([one(images[k : k + 1]) for k in tqdm(range(len(images)), leave=False, disable=None)])
        for one in (original, network)
    )
    distances = side * np.linalg.norm((after - before)[..., :2], axis=-1)
    mean, largest = distances.mean(), distances.max()
    print(f"difference in points on {what}: mean {mean:.3f}, largest {largest:.3f} pixels of {side}")
    if labels is not None and info.scheme.eyes:
        errors = [
            100 * np.nanmean(metrics.nme(to_pixels(o[..., :2], windows), samples.labels, info.scheme.eyes))
            for o in (before, after)
        ]
        print(f"NME (one pass) before {errors[0]:.3f} %, after {errors[1]:.3f} %")
    times = _interleaved({"Keras": original, "the file": network}, images[:1])
    print(f"one face: {', '.join(times)}")


def _noise(shape: tuple[int, int]) -> np.ndarray:
    """Smooth noise (N, H, W, 1) uint8: photographs have more of coarse structure than of fine."""
    from PIL import Image

    coarse = np.random.default_rng(0).integers(0, 256, (NUM_NOISE, 12, 12), np.uint8)
    smooth = [Image.fromarray(one).resize((shape[1], shape[0]), Image.Resampling.BILINEAR) for one in coarse]
    return np.stack([np.asarray(one) for one in smooth])[..., None]


def _interleaved(networks: dict[str, Network], image: np.ndarray) -> list[str]:
    """The time of one prediction by each network, in turns: median and quartiles in milliseconds."""
    seconds = {name: [] for name in networks}
    for _ in range(NUM_TIMED):
        for name, network in networks.items():
            start = time.perf_counter()
            network(image)
            seconds[name].append(time.perf_counter() - start)
    texts = []
    for name, values in seconds.items():
        median, low, high = 1000 * np.percentile(values[NUM_TIMED // 10 :], [50, 25, 75])
        texts.append(f"{name} {median:.1f} ms ({low:.1f}–{high:.1f})")
    return texts
