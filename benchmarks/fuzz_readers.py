"""Everything that reads what may come from other people, as functions of bytes.

Each function of READERS either returns or raises KpError, whatever the bytes are. `benchmarks.fuzz` searches for bytes
with which one does not; tests/corpus/NAME holds its first inputs, and those that once ended in another way.
"""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from kp_tf.core.errors import KpError

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests" / "corpus"
OLD_RUN = ROOT / "tests" / "artifacts" / "old_run"
KEY = "key"  # of the shards


@cache
def _folder() -> Path:
    """A folder for the files of this process, with a photograph."""
    from PIL import Image

    folder = Path(tempfile.mkdtemp(prefix="kp_tf-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("a.png", "31-1m.jpg"):
        Image.new("RGB", (64, 48), "grey").save(folder / name)
    return folder


def _written(name: str, data: bytes) -> Path:
    """The bytes as a file in a folder of its own, beside the photographs."""
    folder = _folder() / name
    if not folder.exists():
        folder.mkdir()
        for photograph in ("a.png", "31-1m.jpg"):
            shutil.copy(_folder() / photograph, folder)
    path = folder / name
    path.write_bytes(data)
    return path


def _xml(data: bytes) -> None:
    from kp_tf.core.keypoints import IBUG68
    from kp_tf.data.dlib_xml import part_names, read_dlib_xml

    path = _written("labels.xml", data)
    for labelled, partial in ((True, False), (False, False), (True, True)):
        with suppress(KpError):
            read_dlib_xml(path, IBUG68, labelled, partial)
    part_names(path)


def _asf(data: bytes) -> None:
    from kp_tf.data.imm import read_imm

    read_imm(_written("31-1m.asf", data).parent)


def _format(name: str, file: str) -> Callable[[bytes], None]:
    """A reader of `data.formats`; the file is alone in its folder, but for the photographs."""

    def read(data: bytes) -> None:
        from kp_tf.data.formats import FORMATS

        path, kind = _written(file, data), FORMATS[name]
        kind.recognizes(path.parent if kind.is_folder else path)
        kind.read(path.parent if kind.is_folder else path, None)

    return read


def _kaggle(data: bytes) -> None:
    from kp_tf.data.formats import kaggle_csv

    path = _written("kaggle.csv", data)
    kaggle_csv.recognizes(path)
    kaggle_csv.unpack(path, path.with_name("unpacked"))


def _submission(data: bytes) -> None:
    from kp_tf.apps.submission_csv import read_submission

    read_submission(_written("submission.csv", data), 1)


def _scheme(data: bytes) -> None:
    from kp_tf.core.files import read_json
    from kp_tf.core.keypoints import parse_scheme

    parse_scheme(read_json(_written("scheme.json", data)), "scheme.json", ("a", "b"))


def _shard(data: bytes) -> None:
    from kp_tf.apps.kaggle import read_shards

    read_shards(_written("out.1-of-1.npz", data).with_name("out.csv"), KEY, 1)


def _packed(data: bytes) -> None:
    from kp_tf.artifacts.weights import read_weights

    read_weights(_written("packed.npz", data))


def _keras(data: bytes) -> None:
    from kp_tf.backends.keras_backend import _read_keras

    _read_keras(_written("model.keras", data), (None, 4, 4, 1), (None, 1, 2))


def _litert(data: bytes) -> None:
    from kp_tf.artifacts.weights import parse_description
    from kp_tf.backends.litert_file import _read

    path = _written("a.tflite", data)
    parse_description(path, _read(path)[0])


def _onnx(data: bytes) -> None:
    from kp_tf.backends.onnx import load_onnx

    load_onnx(_written("a.onnx", data))


def _run_file(name: str) -> Callable[[bytes], None]:
    """A run directory with another config.json, metrics.json or split.json."""

    def read(data: bytes) -> None:
        from kp_tf.artifacts.runs import is_complete, read_run, read_split
        from kp_tf.core.files import read_json
        from kp_tf.training.config import TrainConfig

        run = _folder() / f"run-{name}"
        if not run.exists():
            shutil.copytree(OLD_RUN / "part2-strong", run, ignore=shutil.ignore_patterns("*.keras"))
        (run / name).write_bytes(data)
        if name == "split.json":
            read_split(run)
        with suppress(KpError):
            TrainConfig.from_json(run, read_json(run / "config.json"))
        is_complete(run)
        read_run(run)

    return read


def _checkpoint(data: bytes) -> None:
    from kp_tf.training.checkpoint import Checkpoint

    model = _tiny_model()
    Checkpoint(_written("checkpoint.npz", data).parent, model).restore(model)


@cache
def _tiny_model() -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def _picture(data: bytes) -> None:
    from kp_tf.core.images import open_photograph, read_orientation

    with suppress(KpError):
        read_orientation(_written("picture.jpg", data))
    open_photograph("picture.jpg", data)


def _archive(data: bytes) -> None:
    from kp_tf.data.unpack import unpack

    path = _written("archive", data)
    into = path.with_name("into")
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    unpack(path, into)


@cache
def _service() -> Any:
    from kp_tf.apps.demo.service import DemoService

    return DemoService({"compact": "compact"})


def _page_save(data: bytes) -> None:
    _service().save(data)


def _page_upright(data: bytes) -> None:
    _service().to_upright(data)


def _page_labels(data: bytes) -> None:
    _service().read_labels(data, "sub/labels.xml")


def _page_boxes(data: bytes) -> None:
    picture = (_folder() / "a.png").read_bytes()
    _service().predict(picture, "a.png", boxes=data.decode(errors="replace"))


def _page_request(data: bytes) -> None:
    """A whole request: its first line, headers, an empty line and the body."""
    head, _, body = data.partition(b"\n\n")
    line, *headers = head.split(b"\n")
    method, _, address = line.decode("latin-1").partition(" ")
    path, _, query = address.partition("?")
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (text.partition(b":") for text in headers)]
    scope = {"type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": query.encode()}
    scope |= {
        "headers": pairs,
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 9),
        "root_path": "",
    }

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        if message.get("status", 0) >= 500:
            raise RuntimeError(f"the answer is {message['status']}")

    application, loop = _application()
    loop.run_until_complete(application(scope, receive, send))


@cache
def _application() -> tuple[Any, asyncio.AbstractEventLoop]:
    from kp_tf.apps.demo.server import http_server

    return http_server({"compact": "compact"}).config.app, asyncio.new_event_loop()


READERS: dict[str, Callable[[bytes], object]] = {
    "xml": _xml,
    "asf": _asf,
    "coco": _format("coco", "coco.json"),
    "cvat": _format("cvat", "cvat.xml"),
    "labelme": _format("labelme", "a.json"),
    "pts": _format("pts", "a.pts"),
    "kaggle": _kaggle,
    "submission": _submission,
    "scheme": _scheme,
    "shard": _shard,
    "packed": _packed,
    "keras": _keras,
    "litert": _litert,
    "onnx": _onnx,
    "config": _run_file("config.json"),
    "metrics": _run_file("metrics.json"),
    "split": _run_file("split.json"),
    "checkpoint": _checkpoint,
    "picture": _picture,
    "archive": _archive,
    "page-save": _page_save,
    "page-upright": _page_upright,
    "page-labels": _page_labels,
    "page-boxes": _page_boxes,
    "page-request": _page_request,
}
