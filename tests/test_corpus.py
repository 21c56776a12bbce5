"""The first inputs of `benchmarks.fuzz`, and those that once escaped: each is read, or refused with one message."""

import json

import pytest

from benchmarks import fuzz
from benchmarks.fuzz_readers import CORPUS, READERS
from kp_tf.core.errors import KpError

NEEDED = {
    "onnx": "onnxruntime",
    **dict.fromkeys(("page-save", "page-upright", "page-labels", "page-boxes"), "ai_edge_litert"),
    "page-request": "starlette",
}


@pytest.mark.parametrize("reader", READERS)
def test_every_input_of_the_corpus_is_read_or_refused(reader):
    pytest.importorskip(NEEDED.get(reader, "kp_tf"))
    files = sorted((CORPUS / reader).iterdir())
    assert files
    for file in files:
        try:
            READERS[reader](file.read_bytes())
        except KpError:
            assert not file.stem.startswith("sound")


def test_the_corpus_is_small():
    assert {path.name for path in CORPUS.iterdir()} == set(READERS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*.*")) < 300_000


def test_an_input_that_takes_too_long_is_recorded(tmp_path):
    fuzz._attempt(len, b"", tmp_path)
    assert not fuzz._escapes(tmp_path)
    fuzz._attempt(len, b"", tmp_path, seconds=-1)
    assert [path.name.split("-")[1] for path in fuzz._escapes(tmp_path)] == ["TimeoutError"]


def test_an_input_that_escapes_is_recorded_once_for_each_place(tmp_path):
    def read(data):
        if data == b"refused":
            raise KpError("refused")
        json.loads(data)

    for data in (b"refused", b"{}", b"{", b"[", b"\xff"):
        fuzz._attempt(read, data, tmp_path)
    escapes = fuzz._escapes(tmp_path)
    assert [path.name.split("-")[1] for path in escapes] == ["JSONDecodeError", "UnicodeDecodeError"]
    assert all("Traceback" in path.with_suffix(".txt").read_text() for path in escapes)
