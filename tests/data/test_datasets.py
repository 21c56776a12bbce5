"""Where the data sets are found, and both sides of their splits."""

import json

import numpy as np
import pytest
from helpers import picture, write_xml, xml_image

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, IMM58, NOSE, Scheme
from kp_tf.data.convert import convert
from kp_tf.data.datasets import DataFolder, Dataset, IbugDataset, ImmDataset, OwnLabels, find_data
from kp_tf.data.imm import read_imm
from kp_tf.data.splits import in_validation, is_mirror, photograph_key
from kp_tf.data.synthetic.sample import sample_path

FACE = (0, 0, 9, 9)


def test_find_data_order(imm, ibug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KP_TF_DATA", str(imm))
    (tmp_path / "data" / "imm_face_db").mkdir(parents=True)
    assert find_data(str(ibug), "ibug") == DataFolder(ibug, is_sample=False)
    assert find_data(None, "imm") == DataFolder(imm, is_sample=False)
    monkeypatch.delenv("KP_TF_DATA")
    assert find_data(None, "imm").folder("imm").resolve() == tmp_path / "data" / "imm_face_db"


def test_find_data_named_but_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KpError, match=r"--data .*: there is no folder imm_face_db/ in it"):
        find_data(str(tmp_path), "imm")
    monkeypatch.setenv("KP_TF_DATA", str(tmp_path))
    with pytest.raises(KpError, match=r"\$KP_TF_DATA .*: there is no folder ibug_300W"):
        find_data(None, "ibug")


def test_without_data_the_drawn_faces_are_used(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KP_TF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept, kept_test = sample_path("imm"), sample_path("ibug", test_only=True)
    (kept / "imm_face_db").mkdir(parents=True)  # as if drawn before
    (kept_test / "ibug_300W_large_face_landmark_dataset").mkdir(parents=True)
    assert find_data("sample", "imm") == DataFolder(kept, is_sample=True)
    assert not capsys.readouterr().out
    assert find_data(None, "imm") == DataFolder(kept, is_sample=True)
    said = capsys.readouterr().out
    assert "There is no folder data/imm_face_db/" in said
    assert "python -m kp_tf download imm" in said
    assert find_data(None, "ibug", test_only=True).root == kept_test


def test_imm_is_split_by_people(imm):
    dataset = ImmDataset(imm / "imm_face_db", IMM58)
    split = dataset.read_split()
    assert [file[:2] for file in split.training.files] == ["31", "31", "32", "32"]
    assert [file[:2] for file in split.validation.files] == ["33", "33", "34", "34"]
    assert dataset.read_test() is None


def test_the_nose_is_point_52(imm):
    everything = read_imm(imm / "imm_face_db")
    nose = ImmDataset(imm / "imm_face_db", NOSE).read()
    assert nose.scheme is NOSE
    assert nose.labels.shape == (8, 1, 2)
    np.testing.assert_array_equal(nose.labels[:, 0], everything.labels[:, 52])


def test_face_boxes_of_the_nose_hold_all_points(imm):
    everything = read_imm(imm / "imm_face_db")
    dataset = ImmDataset(imm / "imm_face_db", NOSE)
    low, high = everything.labels[[5, 2]].min(axis=1), everything.labels[[5, 2]].max(axis=1)
    np.testing.assert_allclose(dataset.face_boxes(dataset.read().take([5, 2])), np.hstack([low, high - low]))


def test_ibug_keeps_photographs_together_and_mirrors_out_of_validation(tmp_path):
    files = [f"helen/{n}_{face}{m}.jpg" for n in range(100) for face in (1, 2) for m in ("", "_mirror")]
    write_xml(tmp_path / "labels_ibug_300W_train.xml", [xml_image(file, [FACE]) for file in files])
    training, validation = IbugDataset(tmp_path).read_split()
    keys = [{photograph_key(file) for file in side.files} for side in (training, validation)]
    assert not keys[0] & keys[1]
    assert 5 <= len(keys[1]) <= 15
    assert len(training) == 4 * len(keys[0])
    assert len(validation) == 2 * len(keys[1])
    assert not any(is_mirror(file) for file in validation.files)
    assert all(in_validation(file) for file in validation.files)


def test_an_empty_side_is_refused(tmp_path):
    write_xml(tmp_path / "labels_ibug_300W_train.xml", [xml_image("a.jpg", [FACE])])
    with pytest.raises(KpError, match="needed for training and for validation, found 0 and 1 of 1"):
        IbugDataset(tmp_path).read_split()


def test_a_split_names_each_problem_once(imm, ibug):
    folder = imm / "imm_face_db"
    (folder / "31-1m.asf").write_text("58")
    split = ImmDataset(folder, NOSE).read_split()
    assert (len(split.training), len(split.validation)) == (3, 4)
    (problem,) = split.problems
    assert problem.startswith(str(folder / "31-1m.asf"))


def test_the_test_photographs_are_kaggles_before_dlibs(ibug):
    folder = ibug / "ibug_300W_large_face_landmark_dataset"
    dataset = IbugDataset(folder)
    picture(50, 50).save(folder / "only.jpg")
    write_xml(folder / "labels_ibug_300W_test.xml", [xml_image("only.jpg", [(1, 2, 30, 40)])])
    assert len(dataset.read_test()) == 4
    (folder / "labels_ibug_300W_test_parsed.xml").unlink()
    samples = dataset.read_test()
    assert samples.files == ("only.jpg",)
    assert samples.points is None
    (folder / "labels_ibug_300W_test.xml").unlink()
    assert dataset.read_test() is None


@pytest.mark.parametrize(("count", "kept"), [(2, 1), (14, 1), (20, 2)])
def test_labels_of_a_user_keep_a_tenth_of_the_photographs(tmp_path, count, kept):
    path = tmp_path / "own.xml"
    write_xml(path, [xml_image(f"{k}.png", [FACE, (3, 0, 9, 9)], parts=2) for k in range(count)])
    training, validation = OwnLabels(path).read_split()
    assert (len(training), len(validation)) == (2 * (count - kept), 2 * kept)
    assert not set(training.files) & set(validation.files)
    assert training.scheme.names == ("00", "01")


def unpadded(file):
    """An image whose 68 parts are 0 to 67."""
    text = xml_image(file, [FACE])
    for k in range(10):
        text = text.replace(f"name='0{k}'", f"name='{k}'")
    return text


def test_labels_of_published_points_have_their_scheme(tmp_path):
    path, scheme = tmp_path / "own.xml", tmp_path / "scheme.json"
    write_xml(path, [unpadded("0.png"), xml_image("1.png", [FACE])])
    for side in OwnLabels(path).read_split():
        assert side.scheme is IBUG68
        np.testing.assert_array_equal(side.labels[0, :, 0], np.arange(68))
    scheme.write_text(json.dumps({"names": list(IBUG68.names), "eyes": ["00", "01"]}))
    training, _ = OwnLabels(path, scheme_file=scheme).read_split()
    assert training.scheme == Scheme("own", IBUG68.names, (), eyes=(0, 1)), "a scheme file comes first"
    mine = Scheme("mine", ("00", "01"), (), flip_indices=(1, 0))
    write_xml(path, [xml_image(f"{k}.png", [FACE], parts=2) for k in range(2)])
    assert OwnLabels(path, scheme=mine).read_split().training.scheme is mine


def test_labels_for_validation_take_no_faces_from_training(tmp_path):
    (tmp_path / "other").mkdir()
    write_xml(tmp_path / "own.xml", [xml_image("0.png", [FACE], parts=2)])
    write_xml(tmp_path / "other" / "val.xml", [xml_image("1.png", [FACE, FACE], parts=1)])
    training, validation = OwnLabels(tmp_path / "own.xml", tmp_path / "other" / "val.xml").read_split()
    assert training.files == ("0.png",)
    assert validation.files == ("1.png", "1.png")
    assert validation.root == tmp_path / "other"
    assert np.isnan(validation.labels[:, 1]).all(), "validation may lack points"


@pytest.mark.parametrize("to", ["coco", "labelme"])
def test_labels_of_every_format_are_trained_on(tmp_path, to):
    for k in range(3):
        picture(80, 60).save(tmp_path / f"{k}.png")
    (tmp_path / "sub").mkdir()
    xml, converted = tmp_path / "own.xml", tmp_path if to == "labelme" else tmp_path / "sub" / "a.json"
    write_xml(xml, [xml_image(f"{k}.png", [FACE], parts=2) for k in range(3)])
    convert(xml, converted, to, allow_outside=True)
    split = OwnLabels(converted, allow_outside=True).read_split()
    assert {(side.root / file).resolve().name for side in split for file in side.files} == {"0.png", "1.png", "2.png"}
    np.testing.assert_array_equal(split.training.labels, [[[0, 0], [1, 2]]] * 2)
    assert OwnLabels(converted).root == (tmp_path if to == "labelme" else tmp_path / "sub")
    if to == "coco":
        with pytest.raises(KpError, match="a path that leaves it; --allow-outside reads it all the same"):
            OwnLabels(converted).read_split()


def test_labels_that_cannot_be_trained_on_are_refused(tmp_path):
    path = tmp_path / "own.xml"
    write_xml(path, [xml_image(f"{k}.png", [FACE], parts=2) for k in range(3)])
    (tmp_path / "s.json").write_text('{"names": ["00", "07"]}')
    with pytest.raises(KpError, match="no face for training has the point '07'"):
        OwnLabels(path, scheme_file=tmp_path / "s.json").read_split()
    write_xml(path, [xml_image("0.png", [FACE], parts=2)])
    with pytest.raises(KpError, match="at least two photographs are needed"):
        OwnLabels(path).read_split()


def test_every_dataset_is_a_dataset(imm, ibug, tmp_path):
    write_xml(tmp_path / "own.xml", [xml_image(f"{k}.png", [FACE], parts=2) for k in range(3)])
    datasets: list[Dataset] = [
        ImmDataset(imm / "imm_face_db", IMM58),
        IbugDataset(ibug / "ibug_300W_large_face_landmark_dataset"),
        OwnLabels(tmp_path / "own.xml"),
    ]
    for dataset in datasets:
        split = dataset.read_split()
        assert split.problems == ()
        assert dataset.root == split.training.root
        for side in split:
            assert dataset.face_boxes(side).shape == (len(side), 4)
