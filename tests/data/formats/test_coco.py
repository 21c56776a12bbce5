"""COCO's keypoints as COCO and other tools write them, and what pycocotools makes of ours."""

import json

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.files import write_files
from kp_tf.data.formats import coco

CATEGORIES = [
    {"supercategory": "thing", "id": 3, "name": "car"},
    {"id": 1, "name": "person", "supercategory": "person", "keypoints": ["nose", "left_eye"], "skeleton": [[1, 2]]},
]


def annotation(**more):
    known = {"segmentation": [[1, 2, 3, 4, 5, 6]], "num_keypoints": 2, "area": 20.5, "iscrowd": 0, "image_id": 397133}
    return (
        known | {"keypoints": [11, 12, 2, 21, 22, 1], "bbox": [5.5, 6, 30, 40.25], "category_id": 1, "id": 183} | more
    )


def write(folder, annotations, categories=CATEGORIES, file_name="a.jpg", **more):
    images = [{"license": 3, "file_name": file_name, "height": 60, "width": 80, "id": 397133, "coco_url": "http://x"}]
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
    (folder / "a.json").write_text(json.dumps(content | more))
    return folder / "a.json"


def test_annotations_as_coco_has_them(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("L", (80, 60)).save(tmp_path / "images" / "a.jpg")
    annotations = [
        annotation(),
        annotation(id=184, bbox=[0, 0, 0, 0], keypoints=[31, 32, 2, 0, 0, 0]),
        annotation(id=185, iscrowd=1),
        annotation(id=186, num_keypoints=0, keypoints=[0] * 6),
        {"id": 187, "image_id": 397133, "category_id": 3, "bbox": [1, 2, 3, 4]},
    ]
    samples = coco.read(write(tmp_path, annotations)).checked()
    assert samples.files == ("images/a.jpg",) * 2
    assert samples.scheme.names == ("nose", "left_eye"), "in the order of the category"
    np.testing.assert_array_equal(samples.labels, [[[11, 12], [21, 22]], [[31, 32], [np.nan, np.nan]]])
    assert samples.boxes.tolist() == [[5.5, 6, 30, 40.25], [31, 32, 1, 1]], "around the points where it is zero"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"keypoints": [1, 2, 2]}, "expected 3 × 2 numbers keypoints, found 3"),
        ({"keypoints": {"a": 1}}, "expected 3 × 2 numbers keypoints, found 0"),
        ({"keypoints": [float("nan"), 2, 2, 1, 2, 2]}, "expected a number x of 'nose', found nan"),
        ({"keypoints": [1, 10**400, 2, 1, 2, 2]}, "expected a number y of 'nose', found 1000"),
        ({"keypoints": [1, 2, True, 1, 2, 2]}, "expected a number visibility of 'nose', found True"),
        ({"keypoints": ["x", 2, 2, 1, 2, 2]}, "expected a number x of 'nose', found 'x'"),
        ({"bbox": [1, 2, 0, 4]}, "a box needs positive width and height"),
        ({"bbox": "box"}, "expected 4 numbers bbox, found 'box'"),
        ({"category_id": 3}, "its category names no keypoints"),
        ({"category_id": [[]]}, "the annotation has no category_id, found a list of 1"),
        ({"image_id": 5}, "there is no image with its image_id"),
        ({"image_id": None}, "the annotation has no image_id, found None"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_a_problem(tmp_path, change, problem):
    samples = coco.read(write(tmp_path, [annotation(), annotation(id=9) | change]))
    assert len(samples) == 1
    (found,) = samples.problems
    assert found.startswith("a.json, annotation 2 (id 9): ")
    assert problem in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": 5}, "with a list of objects annotations"),
        ({"images": [5]}, "with a list of objects images"),
        ({"categories": None}, "with a list of objects categories"),
        ({"images": [{"id": []}]}, "an image has no id, found a list of 0"),
        ({"categories": [{"id": 1, "keypoints": [1]}]}, "expected a list of names keypoints in categories"),
        ({"categories": [{"id": 1, "keypoints": ["a", "a"]}]}, "two keypoints of the same name"),
        ({"annotations": []}, "there are no faces with points"),
        ({"annotations": [annotation(image_id=3)]}, "there is no image with its image_id"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, content, message):
    with pytest.raises(KpError, match=message):
        coco.read(write(tmp_path, **({"annotations": [annotation()]} | content)))


def test_keypoints_of_two_categories_are_not_mixed(tmp_path):
    dog = {"id": 2, "name": "dog", "keypoints": ["nose", "tail"]}
    with pytest.raises(KpError, match="2 categories have keypoints; keep the annotations of one of them"):
        coco.read(write(tmp_path, [annotation(), annotation(category_id=2)], [*CATEGORIES, dog]))


def test_pycocotools_reads_and_scores_what_is_written(labels, capsys):
    pycocotools = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    target = labels.root / "a.json"
    write_files(coco.render(target, labels))
    truth = pycocotools.COCO(str(target))
    assert truth.loadCats(1)[0]["keypoints"] == ["nose", "left eye", "right eye"]
    assert [image["width"] for image in truth.loadImgs(truth.getImgIds())] == [160, 120], "of the upright picture"
    assert truth.loadAnns([1])[0]["keypoints"] == [10, 20, 2, 30.25, 40.5, 2, 0, 0, 0]
    found = [{**truth.loadAnns([k])[0], "score": 1.0} for k in truth.getAnnIds()]
    scores = evaluation.COCOeval(truth, truth.loadRes(found), "keypoints")
    scores.params.kpt_oks_sigmas = np.full(3, 0.05)
    scores.evaluate()
    scores.accumulate()
    scores.summarize()
    assert scores.stats[0] == pytest.approx(1), capsys.readouterr().out
