"""Files laid out as the real ones, then mutated, cut and spliced: samples, or the project's own error."""

import io
import json
import re
import tarfile
import tracemalloc
import zipfile
from contextlib import suppress
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import RECIPE, picture, write_asf, write_xml, xml_image

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import FOLDER, read_weights
from kp_tf.backends.keras_backend import load_model
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json, read_npz
from kp_tf.core.geometry import crop_windows
from kp_tf.core.keypoints import IBUG68, NOSE, parse_scheme
from kp_tf.data.dlib_xml import part_names, read_dlib_xml
from kp_tf.data.imm import read_imm
from kp_tf.data.splits import in_imm_validation
from kp_tf.data.unpack import unpack
from kp_tf.input.decode import _what_is_wrong, load_crop

hypothesis = pytest.importorskip("hypothesis")  # of the extra dev
st = hypothesis.strategies

HOSTILE = [
    *(b"../", b"/etc/passwd", b"\0", b"a" * 300, b"1e308", b"-1", b"nan", b"\xff" * 4, b"\x7f\xff\xff\xff"),
    *(b"<!DOCTYPE d [<!ENTITY e 'x'>]>", b"&e;", b"'", b"<", b"[" * 2000, b"{", b"58", b"0" * 20, b"\xb2", b"null"),
]


@st.composite
def spoiled(draw, original):
    """The original with up to six changes: a byte, a part cut out or repeated, something hostile put in."""
    data = bytearray(original)
    place = st.integers(0, len(original))
    for _ in range(draw(st.integers(1, 6))):
        at, other = sorted((min(draw(place), len(data)), min(draw(place), len(data))))
        kind = draw(st.sampled_from(("byte", "cut", "end", "repeat", "hostile", "flip")))
        if kind == "byte" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at:other]
        elif kind == "end":
            del data[at:]
        elif kind == "repeat" and len(data) < 4 * len(original):
            data[at:at] = data[at:other]
        elif kind == "hostile":
            data[at:at] = draw(st.sampled_from(HOSTILE))
    return bytes(data)


def xml(folder):
    write_xml(folder / "a.xml", [xml_image("a.jpg", [(1, 2, 30, 40)]), xml_image("b.png", [(-3, 0, 9, 9)] * 2)])
    return folder / "a.xml"


def read_xml(path):
    for scheme, labelled, partial in ((IBUG68, True, False), (IBUG68, False, False), (IBUG68, True, True)):
        try:
            samples = read_dlib_xml(path, scheme, labelled, partial)
        except KpError:
            continue
        assert np.isfinite(samples.boxes).all()
        assert (crop_windows(samples.boxes, 1.6)[:, 2:] > 0).all()
    part_names(path)


def asf(folder):
    picture(64, 48).save(folder / "31-1m.jpg")
    write_asf(folder / "31-1m.asf", np.full((58, 2), 0.5))
    return folder / "31-1m.asf"


def read_asf(path):
    samples = read_imm(path.parent)
    assert np.isfinite(samples.labels).all()
    assert isinstance(in_imm_validation(samples.files[0]), bool)


def jpeg(folder):
    asf(folder)
    return folder / "31-1m.jpg"


def png(folder):
    picture(64, 48).save(folder / "a.png")
    return folder / "a.png"


def read_picture(path):
    window = np.array([5, 6, 30, 30])
    try:
        assert load_crop(str(path), tf.constant(window), (8, 8)).shape == (8, 8, 1)
    except tf.errors.OpError:
        assert re.match(f"(cannot read )?{path}: ", _what_is_wrong(path, window))
    if path.suffix == ".jpg":
        read_imm(path.parent)


def scheme(folder):
    content = {"name": "x", "names": ["a", "b", "c"], "mirror": [["a", "b"]], "eyes": ["a", "b"]}
    (folder / "s.json").write_text(json.dumps(content | {"groups": {"all": ["a", "b", "c"]}}))
    return folder / "s.json"


def packed(folder):
    with np.load(FOLDER / "compact.npz") as committed:
        config = json.loads(str(committed["about"]))["config"]
    about = np.array(json.dumps({"config": config, "metrics": {}}))
    np.savez(folder / "a.npz", about=about, kernel=np.ones((3, 4), np.float16))
    return folder / "a.npz"


def read_packed(path):
    tracemalloc.start()
    try:
        read_weights(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20 + 20 * path.stat().st_size


def network(folder):
    layers = [keras.layers.Flatten(), keras.layers.Dense(2), keras.layers.Reshape((1, 2))]
    keras.Sequential([keras.Input((4, 4, 1)), *layers]).save(folder / "model.keras")
    return folder / "model.keras"


def load_network(path):
    load_model(ModelInfo(path.parent, replace(RECIPE, shape=(4, 4)), NOSE))


def archive(folder, name):
    data = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("folder/a.txt", "text " * 50)
    else:
        with tarfile.open(fileobj=data, mode="w:gz") as file:
            member = tarfile.TarInfo("folder/a.txt")
            member.size = 250
            file.addfile(member, io.BytesIO(b"text " * 50))
    (folder / name).write_bytes(data.getvalue())
    return folder / name


def unpack_inside(path):
    into = path.with_name("into")
    into.mkdir(exist_ok=True)
    try:
        unpack(path, into)
    finally:
        assert {place.name for place in path.parent.iterdir()} == {path.name, "into"}


KINDS = {
    "xml": (xml, read_xml),
    "asf": (asf, read_asf),
    "jpeg": (jpeg, read_picture),
    "png": (png, read_picture),
    "scheme": (scheme, lambda path: parse_scheme(read_json(path), str(path))),
    "npz": (packed, read_packed),
    "keras": (network, load_network),
    "zip": (lambda folder: archive(folder, "a.zip"), unpack_inside),
    "tar": (lambda folder: archive(folder, "a.tar.gz"), unpack_inside),
}


def check(kind, folder, examples, **more):
    make, read = KINDS[kind]
    path = make(folder)
    read(path)

    @hypothesis.settings(max_examples=examples, deadline=None, database=None, **more)
    @hypothesis.given(spoiled(path.read_bytes()))
    def one(data):
        path.write_bytes(data)
        with suppress(KpError):
            read(path)

    one()


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoiled_file_is_read_or_refused(kind, tmp_path):
    check(kind, tmp_path, 15 if kind == "keras" else 40, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_spoiled_files_are_read_or_refused(kind, tmp_path):
    check(kind, tmp_path, 500 if kind == "keras" else 5000)


@pytest.mark.parametrize(
    ("save", "found"),
    [
        (lambda path: np.savez_compressed(path, about=np.zeros(10**7)), "about.npy is compressed"),
        (lambda path: np.savez(path, about=np.array([{}], object)), "Object arrays cannot be loaded"),
        (lambda path: claim(path, (8,), ending=b"(8 "), r"\('EOF in multi-line statement"),
        (lambda path: claim(path, (10**6, 10**6)), r"about.npy claims \(1000000, 1000000\) values of float64"),
    ],
)
def test_npz_bombs_and_pickles_are_refused(save, found, tmp_path):
    save(tmp_path / "a.npz")
    with pytest.raises(KpError, match=f"expected weights, found: {found}"):
        read_npz(tmp_path / "a.npz", "weights")


def claim(path, shape, ending=None):
    """An array of that shape and less data; with `ending` its header ends so instead of closing its braces."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": shape})
    content = head.getvalue()
    if ending is not None:
        cut = content.index(b"(")
        content = content[:cut] + ending.ljust(len(content) - cut - 1) + b"\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("about.npy", content + b"\0" * 80)


def test_a_network_that_brings_code_is_refused(tmp_path):
    layer = keras.layers.Lambda(lambda x: x + 1, output_shape=(3,))  # saved as Python's byte code
    keras.Sequential([keras.Input((3,)), layer]).save(tmp_path / "model.keras")
    with pytest.raises(KpError, match=r"cannot read .*model\.keras: .*Lambda"):
        load_network(tmp_path / "model.keras")


def test_a_keras_file_without_a_network_is_refused(tmp_path):
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    keras.saving.save_model(layer, tmp_path / "model.keras")
    with pytest.raises(KpError, match=r"cannot read .*model\.keras: it holds a Dense, not a model"):
        load_network(tmp_path / "model.keras")
    keras.Sequential([keras.Input((3,)), layer]).save(tmp_path / "model.keras")
    with pytest.raises(KpError, match=r"model\.keras: it goes from \(None, 3\) to \(None, 2\), which is not what"):
        load_network(tmp_path / "model.keras")
