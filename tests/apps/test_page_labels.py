"""Labels of earlier sessions in the page: whatever a person has marked is there again, and is saved again."""

import json
import os
import shutil
import unicodedata
from xml.etree import ElementTree

import pytest
from page_steps import CHROMIUM, PHOTO, drag, save, wait_for_status

pytestmark = [pytest.mark.long, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")]
BOX = "left='180' top='70' width='110' height='110'"
IGNORED = "<box left='1' top='1' width='50' height='50' ignore='1'><label>poster</label></box>"


def parts(x):
    return "".join(f"<part name='{k:02d}' x='{x + k}' y='100'/>" for k in range(68))


def entry(file, x=100, box=BOX, inside=None, more=""):
    inside = parts(x) if inside is None else inside
    return f"<image file='{file}'><box {box}>{inside}</box>{more}</image>"


def labels(*entries, encoding="UTF-8"):
    text = f"<?xml version='1.0' encoding='{encoding}'?>\n<dataset><images>{''.join(entries)}</images></dataset>"
    return text.encode(encoding)


def folder(tmp_path, *photographs, **files):
    """A folder with copies of the photograph, and files of other content."""
    path = tmp_path / "mine"
    for name in photographs:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PHOTO, path / name)
    for name, content in files.items():
        (path / name.replace("__", "/").replace("_", ".")).write_bytes(content)
    return path


def opened(page, path):
    page.set_input_files("#folder", str(path))
    wait_for_status(page, " in |No face|cannot")


def first_points(path):
    """For each entry of an XML the file and, for each box, where its first point lies."""
    images = ElementTree.parse(path).iter("image")
    parts = ((image.get("file"), [box.find("part") for box in image.iter("box")]) for image in images)
    return [(file, [None if part is None else part.get("x") for part in found]) for file, found in parts]


def test_a_photograph_that_cannot_be_opened_leaves_the_others_to_be_saved(page, tmp_path):
    xml = labels(entry("a.jpg"), entry("b.jpg", x=200))
    path = folder(tmp_path, "a.jpg", "c.jpg", points_xml=xml, b_jpg=PHOTO.read_bytes()[:20_000])
    opened(page, path)
    assert [photo["file"] for photo in json.loads(save(page, "json", tmp_path).read_text())["photographs"]] == [
        "a.jpg",
        "c.jpg",
    ]
    assert page.text_content("#error").startswith(
        "b.jpg is not in points.json: cannot read b.jpg: the image is damaged"
    )
    saved = save(page, "xml", tmp_path)
    assert [file for file, _ in first_points(saved)] == ["a.jpg", "b.jpg", "c.jpg"]
    assert entry("b.jpg", x=200) in saved.read_text()
    assert page.text_content("#error").startswith("The entry of b.jpg is kept as it was: cannot read b.jpg")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (entry("b.jpg", inside="<part name='chin' x='1' y='2'/>"), "the network compact has no point chin"),
        (entry("b.jpg", inside="<part name='00' x='abc' y='2'/>"), "part '00': expected a number x, found 'abc'"),
        (entry("b.jpg", inside="<part name='00' y='2'/>"), "part '00': expected a number x, found ''"),
        (entry("b.jpg", box=BOX.replace("'180'", "'Infinity'")), "box: expected a number left, found 'Infinity'"),
        (entry("b.jpg", box=BOX.replace("'110'", "'0'")), "a box needs positive width and height, found 0 × 0"),
    ],
)
def test_labels_that_cannot_be_used_are_named_and_kept(page, tmp_path, bad, said):
    opened(page, folder(tmp_path, "a.jpg", "b.jpg", "c.jpg", points_xml=labels(entry("a.jpg"), bad)))
    page.click("#previous")
    wait_for_status(page, "^b.jpg cannot be opened.$")
    assert page.text_content("#error") == f"cannot use the labels of b.jpg: {said}"
    saved = save(page, "xml", tmp_path)
    assert bad in saved.read_text()
    assert [file for file, _ in first_points(saved)] == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("file", "name", "encoding"),
    [
        ("p1.jpg", "./p1.jpg", "UTF-8"),
        ("d/p1.jpg", "d\\p1.jpg", "UTF-8"),
        ("d/p1.jpg", ".\\d//p1.jpg", "UTF-8"),
        ("Jörg.jpg", "Jörg.jpg", "ISO-8859-1"),
        ("Jörg.jpg", unicodedata.normalize("NFD", "Jörg.jpg"), "UTF-8"),
        (unicodedata.normalize("NFD", "Jörg.jpg"), "Jörg.jpg", "UTF-8"),
    ],
)
def test_names_are_matched_by_path(page, tmp_path, file, name, encoding):
    path = folder(tmp_path, file, "x.jpg", points_xml=labels(entry(name), encoding=encoding))
    opened(page, path)  # at the photograph that has no labels
    (kept, points), (new, _) = first_points(save(page, "xml", tmp_path))
    assert (kept, points, new) == (name, ["100"], "x.jpg")
    page.click("#previous")
    wait_for_status(page, "as points.xml has it")
    (kept, points), _ = first_points(save(page, "xml", tmp_path))  # a shown entry has the name of its file
    assert (kept, points) == (file, ["100"])
    assert page.is_hidden("#error")


def test_labels_in_a_folder_below(page, tmp_path):
    path = folder(tmp_path, "d/p1.jpg", "p1.jpg", d__points_xml=labels(entry("p1.jpg")))
    opened(page, path)
    assert page.text_content("#status") == "1 face in p1.jpg."
    assert [file for file, _ in first_points(save(page, "xml", tmp_path))] == ["d/p1.jpg", "p1.jpg"]


def test_what_the_page_does_not_show_is_kept(page, tmp_path):
    shown = entry("a.jpg", inside=f"<label>Ann</label>{parts(100)}", more=IGNORED)
    away = [entry(f"away{k}.jpg", x=300 + k) for k in range(3)]
    opened(page, folder(tmp_path, "a.jpg", points_xml=labels("<!-- by hand -->", shown, *away)))
    said = "3 entries of points.xml match no photograph in this folder; they are kept as they are."
    assert page.text_content("#error") == said
    page.focus("#picture")
    for key in [".", "ArrowRight"]:
        page.keyboard.press(key)
    saved = save(page, "xml", tmp_path)
    text = saved.read_text()
    assert all(one in text for one in away)
    assert "<!-- by hand -->" in text
    first = next(ElementTree.parse(saved).iter("image"))
    assert [(box.get("ignore"), box.findtext("label")) for box in first.iter("box")] == [(None, "Ann"), ("1", "poster")]
    assert first_points(saved)[0] == ("a.jpg", ["101", None])


def test_a_corrected_box_keeps_its_label(page, tmp_path):
    opened(page, folder(tmp_path, "a.jpg", points_xml=labels(entry("a.jpg", inside=f"<label>Ann</label>{parts(100)}"))))
    page.click("#zoom-face")
    drag(page, (289.5, 179.5), (310, 200))
    wait_for_status(page, "^Face 1")
    (box,) = ElementTree.parse(save(page, "xml", tmp_path)).iter("box")
    assert box.findtext("label") == "Ann"
    assert int(box.get("width")) == pytest.approx(130, abs=3)


@pytest.mark.parametrize("follow_newer", [True, False])
def test_two_xml_files_are_joined_and_the_user_is_asked_where_they_differ(page, questions, tmp_path, follow_newer):
    old = labels(entry("a.jpg", x=1), entry("b.jpg", x=2), entry("c.jpg", x=3))
    path = folder(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg", old_xml=old)
    (path / "new.xml").write_bytes(labels(entry("a.jpg", x=1), entry("b.jpg", x=9)))
    os.utime(path / "old.xml", (1, 1))
    questions.accept = follow_newer
    opened(page, path)
    (asked,) = questions.asked
    assert asked.startswith("new.xml and old.xml differ for b.jpg.")
    expected = {"a.jpg": "1", "b.jpg": "9" if follow_newer else "2", "c.jpg": "3"}
    saved = dict(first_points(save(page, "xml", tmp_path)))
    assert {file: saved[file] for file in expected} == {file: [x] for file, x in expected.items()}


def test_an_xml_of_something_else_is_named(page, tmp_path):
    other = b"<annotation><filename>b.jpg</filename></annotation>"
    path = folder(tmp_path, "a.jpg", "b.jpg", points_xml=labels(entry("a.jpg")), b_xml=other)
    os.utime(path / "points.xml", (1, 1))
    opened(page, path)
    assert page.text_content("#error") == "b.xml: there are no <image> entries in <dataset><images>"
    assert dict(first_points(save(page, "xml", tmp_path)))["a.jpg"] == ["100"]


def test_saved_is_not_said_after_another_correction(page, tmp_path):
    opened(page, folder(tmp_path, "a.jpg"))
    page.focus("#picture")
    for key in [".", "ArrowRight"]:
        page.keyboard.press(key)
    wait_for_status(page, "^Corrections of a.jpg are not saved yet.$")
    save(page, "xml", tmp_path)
    wait_for_status(page, "^Saved points.xml.$")
    page.focus("#picture")
    page.keyboard.press("ArrowRight")
    wait_for_status(page, "^Corrections of a.jpg are not saved yet.$")
    page.keyboard.press("Control+z")
    wait_for_status(page, "^Corrections of a.jpg are not saved yet.$")


def test_saved_corrections_remain_with_another_network(page, tmp_path):
    opened(page, folder(tmp_path, "a.jpg", points_xml=labels(entry("a.jpg"))))
    page.focus("#picture")
    for key in [".", "Shift+ArrowRight"]:
        page.keyboard.press(key)
    save(page, "xml", tmp_path)
    page.select_option("#network", "again")
    wait_for_status(page, "as points.xml has it")
    assert first_points(save(page, "xml", tmp_path)) == [("a.jpg", ["110"])]


def test_what_is_left_out_of_a_folder_is_counted(page, tmp_path):
    path = folder(tmp_path, "a.jpg", "sub/b.jfif", "drawn/a.jpg", a_txt=b"", b_TXT=b"", clip_mp4=b"", README=b"")
    for name in ("._a.jpg", ".DS_Store", "._points.xml"):
        (path / name).write_bytes(b"Mac OS X")
    opened(page, path)
    assert page.inner_text("#error") == "Left out: 2 .txt, 1 .mp4, 1 in drawn, 1 without a suffix."
    saved = json.loads(save(page, "json", tmp_path).read_text())
    assert [photo["file"] for photo in saved["photographs"]] == ["a.jpg"], "b.jfif has not been shown yet"
    page.keyboard.press("PageDown")
    wait_for_status(page, "b.jfif")
