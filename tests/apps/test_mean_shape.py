import numpy as np
from helpers import picture, write_xml

from kp_tf.apps.demo.mean_shape import align, mean_shape
from kp_tf.apps.demo.project import Project

TRIANGLE = np.array([0, 3, 4j])


def test_faces_that_differ_by_a_similarity_have_their_shape_as_the_mean():
    faces = np.array(
        [
            TRIANGLE * size * np.exp(1j * turn) + place
            for size, turn, place in ((1, 0.2, 5), (3, -0.2, 7j), (10, 0.1, 1), (2, -0.1, 0))
        ]
    )
    mean = align(faces)
    assert abs(mean.mean()) < 1e-9
    assert np.isclose((np.abs(mean) ** 2).mean(), 1)
    np.testing.assert_allclose((mean[1] - mean[0]) / abs(mean[1] - mean[0]), 1, atol=1e-6)
    np.testing.assert_allclose((mean[2] - mean[0]) / (mean[1] - mean[0]), 4j / 3)


def test_points_that_are_missing_in_some_faces_come_from_the_others():
    faces = np.array([TRIANGLE, TRIANGLE * 2 + 9, TRIANGLE * 1j]).astype(complex)
    faces[0, 2], faces[1, 0] = np.nan, np.nan
    mean = align(faces)
    np.testing.assert_allclose((mean[2] - mean[0]) / (mean[1] - mean[0]), 4j / 3, atol=1e-6)
    assert np.isnan(align(np.array([[1, 2j, np.nan]]))[2])


def test_a_single_point_has_a_place_and_no_extent():
    np.testing.assert_array_equal(align(np.array([[3 + 4j]])), [0])


def test_the_shape_of_a_project(tmp_path):
    picture(100, 200, 0).save(tmp_path / "a.png")
    box = "<box left='1' top='2' width='30' height='40'>{}</box>"
    parts = "".join(f"<part name='{name}' x='{x}' y='{y}'/>" for name, x, y in (("a", 20, 50), ("b", 40, 50)))
    write_xml(tmp_path / "points.xml", [f"<image file='a.png'>{box.format(parts)}</image>"])
    project = Project(tmp_path)
    shape = mean_shape(project, project.scheme)
    assert shape["count"] == 1
    np.testing.assert_allclose(shape["points"], [[-1, 0], [1, 0]], atol=1e-9)
    np.testing.assert_allclose(shape["centre"], [0.3, 0.25])
    np.testing.assert_allclose(shape["size"], 10 / np.sqrt(100 * 200))
    assert shape["example"] == [["a.png", 0], ["a.png", 0]]
