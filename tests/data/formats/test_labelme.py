"""LabelMe's JSON as LabelMe writes it."""

import json

import numpy as np
import pytest

from kp_tf.core.errors import KpError
from kp_tf.core.files import write_files
from kp_tf.data.formats import labelme


def shape(label, *points, group=None, kind="point", **more):
    known = {"label": label, "points": list(points), "group_id": group, "shape_type": kind, "flags": {}}
    return known | {"description": "", "mask": None} | more


def write(path, shapes, image="a.jpg", **more):
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": "iVBORw0KGgo="}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content | {"imageHeight": 60, "imageWidth": 80} | more, indent=2))


def test_files_as_labelme_writes_them(tmp_path):
    shapes = [
        shape("nose", [10.5, 20.5], group=1),
        shape("mouth", [12.5, 30.0], group=1),
        shape("face", [45.0, 56.0], [5.0, 6.0], group=1, kind="rectangle"),  # drawn from below
        shape("nose", [50.5, 20.5], group=2),
        shape("hat", [1, 2], [3, 4], [5, 6], kind="polygon"),
        shape("sign", [1, 2], [3, 4], kind="rectangle"),
    ]
    write(tmp_path / "json" / "a.json", shapes, "..\\a.jpg")  # on Windows
    write(tmp_path / "b.json", [], "b.jpg")
    (tmp_path / "scheme.json").write_text('{"names": ["nose"]}')
    samples = labelme.read(tmp_path).checked()
    assert samples.files == ("a.jpg", "a.jpg")
    assert samples.scheme.names == ("mouth", "nose")
    np.testing.assert_array_equal(samples.labels, [[[12, 29.5], [10, 20]], [[np.nan, np.nan], [50, 20]]])
    assert samples.boxes.tolist() == [[5, 6, 40, 50], [50, 20, 1, 1]]
    assert samples.entries == ("json/a.json",) * 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"shapes": [shape("a", [1, 2]), shape("a", [3, 4])]},
            "point 'a' occurs twice in a face; give each face a group_id",
        ),
        ({"shapes": [shape("a", [1, float("inf")])]}, "expected a number x and y of a shape, found inf"),
        ({"shapes": [shape("a", [1, 2], [3, 4])]}, "expected 1 points in a shape, found a list of 2"),
        ({"shapes": [shape("a", [1, 2, 3])]}, "expected 2 numbers x and y of a shape, found a list of 3"),
        ({"shapes": [shape(None, [1, 2])]}, "expected a text label, found None"),
        ({"shapes": [shape("a", [1, 2], kind="rectangle")]}, "expected 2 points in a shape, found a list of 1"),
        ({"shapes": {}}, "expected a list of objects shapes, found an object of 0"),
        ({"shapes": [[]]}, "expected a list of objects shapes, found a list of 1"),
        ({"imagePath": 5}, "expected a text imagePath, found 5"),
        ({"imagePath": ""}, "the entry names no image"),
        ({"imagePath": "../../etc/passwd"}, "found a path that leaves it"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem(tmp_path, change, problem):
    write(tmp_path / "good.json", [shape("a", [1, 2])])
    write(tmp_path / "bad.json", **({"shapes": [shape("a", [1, 2])]} | change))
    samples = labelme.read(tmp_path)
    assert samples.entries == ("good.json",)
    (found,) = samples.problems
    assert found.startswith("bad.json: ")
    assert problem in found


def test_json_that_is_cut_is_a_problem_and_a_folder_without_faces_is_refused(tmp_path):
    write(tmp_path / "a.json", [shape("a", [1, 2])])
    (tmp_path / "b.json").write_text('{"shapes": [')
    assert "as JSON" in labelme.read(tmp_path).problems[0]
    (tmp_path / "a.json").unlink()
    assert labelme.recognizes(tmp_path)
    with pytest.raises(KpError, match=r"^b\.json: cannot read .*b\.json as JSON"):
        labelme.read(tmp_path)
    (tmp_path / "b.json").write_text('{"names": ["a"]}')
    assert not labelme.recognizes(tmp_path)


def test_each_photograph_gets_a_file_beside_it(labels):
    contents = labelme.render(labels.root, labels)
    assert {path.relative_to(labels.root).as_posix() for path in contents} == {"a.json", "sub/b.json"}
    turned = json.loads(contents[labels.root / "sub" / "b.json"])
    assert (turned["imagePath"], turned["imageWidth"], turned["imageHeight"]) == ("b.jpg", 120, 160)
    # (0, 0) of the picture as stored is the upper right corner of the upright one
    assert turned["shapes"][1] | {"points": 0} == shape("left eye", group=1) | {"points": 0}
    assert [each["points"] for each in turned["shapes"]] == [[[0, 0], [120, 160]], [[119.5, 0.5]], [[0.5, 159.5]]]


def test_photographs_of_one_name_do_not_share_a_file(labels):
    write_files({labels.root / "a.jpg": (labels.root / "a.png").read_bytes()})
    files = ("a.png", "a.jpg", "a.jpg")
    with pytest.raises(KpError, match="2: another photograph has the same name a without its suffix"):
        labelme.render(labels.root, type(labels)(**{**vars(labels), "files": files}))
