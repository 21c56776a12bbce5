import contextlib
import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers import INFO, RECIPE, write_ibug, write_imm, write_run
from PIL import Image

from kp_tf.backends.keras_backend import load_keras_network
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, NOSE
from kp_tf.data.convert import convert
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.evaluate.command import evaluate
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.samples import predict_samples


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose network was never trained, as if it were calibrated."""
    run = write_run(tmp_path_factory.mktemp("evaluate") / "run")
    (run / "metrics.json").write_text('{"completed": "2026-01-01T00:00:00+00:00", "calibration": [1.0, 0.0]}')
    return run


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Twenty labelled faces."""
    root = write_ibug(tmp_path_factory.mktemp("ibug") / "faces")
    return root / "ibug_300W_large_face_landmark_dataset" / "labels_ibug_300W_train.xml"


@pytest.fixture(scope="module")
def samples(labels):
    return read_dlib_xml(labels, IBUG68)


@pytest.fixture(scope="module")
def evaluated(run, labels, tmp_path_factory):
    """The scores of all faces, the file they were written to, and what was printed."""
    path = tmp_path_factory.mktemp("scores") / "scores.json"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        scores = evaluate(labels, run=str(run), json=path)
    return scores, path, printed.getvalue()


def test_scores_are_printed_written_and_drawn(evaluated, run, labels):
    scores, path, printed = evaluated
    assert (scores["split"], scores["precision"], scores["labels"]) == ("all", "float32", str(labels))
    assert json.loads(path.read_text())["all"] == scores["all"]
    drawn = {path.name for path in path.parent.glob("*.png")}
    assert drawn == {f"scores-{what}.png" for what in ("ced", "worst", "faces", "confidence")}
    assert printed.splitlines()[0] == f"{run} on 20 faces of {labels}, split all"
    assert "jaw" in printed


def test_labels_of_another_format_have_the_same_scores(evaluated, run, labels, tmp_path):
    convert(labels, tmp_path / "a.json", "coco", allow_outside=True)
    scores = evaluate(tmp_path / "a.json", run=str(run), allow_outside=True)
    assert scores["all"] == evaluated[0]["all"]
    with pytest.raises(KpError, match="--allow-outside reads it all the same"):
        evaluate(tmp_path / "a.json", run=str(run))


def test_scores_by_hand(evaluated, run, samples):
    scores = evaluated[0]
    assert scores["all"]["faces"] == 20
    outputs = predict_samples(load_keras_network(replace(INFO, path=run)), samples, INFO)
    by_hand = np.hypot(*np.moveaxis(outputs[..., :2] - samples.points, -1, 0)).mean()
    assert scores["all"]["euclidean_px"]["value"] == pytest.approx(by_hand, rel=1e-6)


def test_the_validation_split_in_another_precision(run, labels):
    scores = evaluate(labels, run=str(run), split="validation", precision="mixed_bfloat16")
    assert 0 < scores["all"]["faces"] < 20
    assert (scores["split"], scores["precision"]) == ("validation", "mixed_bfloat16")


def test_the_validation_split_of_a_run_on_labels_of_ones_own(run, labels, samples, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    info = replace(INFO, recipe=replace(RECIPE, part=None, dataset="labels"))
    (tmp_path / "run" / "config.json").write_text(json.dumps(info.to_json()))
    (tmp_path / "run" / "split.json").write_text(
        json.dumps({"training": [], "validation": [samples.files[3], samples.files[7]]})
    )
    assert evaluate(labels, run=str(tmp_path / "run"), split="validation")["all"]["faces"] == 2
    (tmp_path / "run" / "split.json").write_text(json.dumps({"training": [], "validation": ["helen/other.jpg"]}))
    with pytest.raises(KpError, match="none of its photographs is in the validation split"):
        evaluate(labels, run=str(tmp_path / "run"), split="validation")


def test_detected_faces_are_scored_and_the_others_counted(run, labels, samples, capsys):
    boxes = {}  # by the pixels of the photograph, because a detector sees nothing else
    for k, (file, box) in enumerate(zip(samples.files, samples.boxes, strict=True)):
        with Image.open(samples.root / file) as image:
            # on the first half the labelled box and one beside it, on the others one that hardly touches it
            found = [box + (55, 0, 0, 0), box] if k < 10 else [box + (50, 50, 0, 0)]
            boxes[image.convert("RGB").tobytes()] = np.array(found)
    scores = evaluate(labels, run=str(run), detect=True, detector=lambda picture: boxes[picture.tobytes()])
    assert scores["found"] == {"faces": 10, "of": 20}
    assert "10 of 20 faces were detected; the others are not scored." in capsys.readouterr().out
    assert scores["all"]["faces"] == 10
    predictor, errors = Predictor.load(run), []
    for k in range(10):
        (face,) = predictor.predict(samples.root / samples.files[k], samples.boxes[k])
        errors.append(np.linalg.norm(face.points - samples.points[k], axis=-1))
    assert scores["all"]["euclidean_px"]["value"] == pytest.approx(np.mean(errors), rel=1e-3)


def test_no_face_is_detected(run, labels):
    with pytest.raises(KpError, match="none of its 20 faces was detected"):
        evaluate(labels, run=str(run), detect=True, detector=lambda picture: np.zeros((0, 4)))


def test_the_folder_of_imm(tmp_path, run):
    imm = write_imm(tmp_path / "faces") / "imm_face_db"
    info = replace(INFO, scheme=NOSE, mean_face=None)
    scores = evaluate(imm, run=str(write_run(tmp_path / "run", info)), split="validation")
    assert scores["all"]["faces"] == 4, "people 33 and 34, two pictures each"
    assert "nme_mean" not in scores["all"]
    with pytest.raises(KpError, match="IMM's folder needs a network of nose or imm58, not ibug68"):
        evaluate(imm, run=str(run))


def test_flips_and_detection_exclude_each_other(run, labels):
    with pytest.raises(KpError, match="--flips cannot be used with --detect"):
        evaluate(labels, run=str(run), flips=True, detect=True)


def test_flips_change_the_points(evaluated, run, labels):
    averaged = evaluate(labels, run=str(run), flips=True)["all"]
    assert averaged["euclidean_px"]["value"] != evaluated[0]["all"]["euclidean_px"]["value"]


def test_faces_without_eyes_are_scored_in_pixels(run, labels, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    info = replace(INFO, recipe=replace(RECIPE, part=None, dataset="labels"))
    (tmp_path / "run" / "config.json").write_text(json.dumps(info.to_json()))
    (tmp_path / "run" / "metrics.json").write_text('{"completed": "2026-01-01T00:00:00+00:00"}')  # not calibrated
    blind = labels.with_name("blind.xml")
    images = re.sub(r"<part name='36'[^>]*>", "", labels.read_text()).split("</image>")  # a corner of one eye
    blind.write_text("</image>".join([*images[:4], images[-1]]))
    scores = evaluate(blind, run=str(tmp_path / "run"), json=tmp_path / "scores.json")
    assert "nme_mean" not in scores["all"]
    assert scores["all"]["euclidean_px"]["value"] > 0
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {f"scores-{what}.png" for what in ("worst", "faces")}


def test_scores_by_a_column(evaluated, run, labels, samples, tmp_path, capsys):
    half = {file: "young" if index < 5 else "old" for index, file in enumerate(samples.files)}
    by = tmp_path / "ages.csv"
    by.write_text("file,age\n" + "".join(f"{file},{age}\n" for file, age in half.items()))
    scores = evaluate(labels, run=str(run), by=by)
    young, old = (scores["by"]["age"][age]["mae_px"]["value"] for age in ("young", "old"))
    assert [scores["by"]["age"][age]["faces"] for age in ("young", "old")] == [5, 15]
    assert (5 * young + 15 * old) / 20 == pytest.approx(evaluated[0]["all"]["mae_px"]["value"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if line.startswith("age ")] == [
        ["age", "old", "15"],
        ["age", "young", "5"],
    ]
