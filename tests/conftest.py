"""Fixtures that several rooms share."""

import gc
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from filelock import FileLock
from helpers import write_ibug, write_imm, write_run


def pytest_collection_finish():
    """What the imports have made stays; the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def imm(tmp_path):
    """A data folder of IMM that the test may change (see `helpers.write_imm`)."""
    return write_imm(tmp_path / "faces")


@pytest.fixture
def ibug(tmp_path):
    """A data folder of iBUG that the test may change (see `helpers.write_ibug`)."""
    return write_ibug(tmp_path / "faces")


@pytest.fixture(scope="session")
def exported(tmp_path_factory, worker_id):
    """A run whose network was never trained, and the files that were exported from it, by name."""
    for module in ("ai_edge_litert", "onnxruntime", "tf2onnx"):
        pytest.importorskip(module, reason="the extra export is not installed")
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "exported"  # one for all processes
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            write_exported(folder.with_suffix(".new")).rename(folder)
    return {name: folder / name for name in ("run", "a.tflite", "half.onnx")}


def write_exported(folder):
    from kp_tf.apps.export import export

    folder.mkdir()
    config = write_run(folder / "run") / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"data": "/secret/place"}))
    export("litert", str(folder / "run"), folder / "a.tflite", "float32")
    export("onnx", str(folder / "run"), folder / "half.onnx", "float16")
    return folder


@pytest.fixture
def nobody():
    """Without the rights of root, who may read and write anywhere. Use paths relative to the working directory."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


@pytest.fixture
def open_folder(tmp_path, monkeypatch):
    """The working directory, in which `nobody` may read all but the file a.json and the folder `locked`."""
    work = tmp_path / "work"  # tmp_path itself is closed to others
    (work / "locked").mkdir(parents=True)
    (work / "locked" / "a.json").touch()
    (work / "a.json").touch()
    (work / "readable.json").write_text("{}")
    for closed in (work / "locked", work / "a.json"):
        closed.chmod(0)
    monkeypatch.chdir(work)
    yield
    (work / "locked").chmod(0o700)
