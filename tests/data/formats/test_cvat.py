"""CVAT's XML as CVAT exports it."""

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.data.formats import cvat

META = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><job><id>1</id><size>2</size><mode>annotation</mode><labels>
    <label><name>face</name><color>#ff0000</color><type>skeleton</type><attributes></attributes>
      <svg>&lt;line x1="1"&gt;&lt;/line&gt;</svg></label>
    <label><name>nose</name><type>points</type><attributes></attributes><parent>face</parent></label>
  </labels></job><dumped>2024-05-04 10:00:00.000000+00:00</dumped></meta>
"""
SKELETON = """
    <skeleton label="face" source="manual" z_order="0"{more}>
      <points label="nose" source="manual" outside="0" occluded="1" points="10.50,20.50">
      </points>
      <points label="left eye" source="manual" outside="{outside}" occluded="0" points="30.50,40.50">
        <attribute name="sure">yes</attribute>
      </points>
    </skeleton>"""
BOX = '<box label="head" source="manual" occluded="0" xtl="5.00" ytl="6.00" xbr="45.00" ybr="56.00" z_order="0"{more}/>'


def write(folder, shapes, name="a.jpg", size='width="160" height="120"'):
    body = "".join(shapes)
    (folder / "annotations.xml").write_text(f'{META}<image id="0" name="{name}" {size}>{body}</image></annotations>')
    return folder / "annotations.xml"


def test_skeletons_as_cvat_exports_them(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("L", (160, 120)).save(tmp_path / "images" / "a.jpg")
    shapes = [SKELETON.format(more="", outside=0), SKELETON.format(more=' group_id="2"', outside=1)]
    shapes += [BOX.format(more=' group_id="2"'), '<polygon label="x" points="1,2;3,4;5,6"/>', "<tag label='good'/>"]
    samples = cvat.read(write(tmp_path, shapes)).checked()
    assert samples.files == ("images/a.jpg",) * 2
    assert samples.scheme.names == ("left eye", "nose")
    # occluded points are present, those outside are not
    np.testing.assert_array_equal(samples.labels, [[[30, 40], [10, 20]], [[np.nan, np.nan], [10, 20]]])
    assert samples.boxes.tolist() == [[10, 20, 20, 20], [5, 6, 40, 50]], "around the points; of its group"


def test_points_without_a_skeleton_are_joined_by_their_groups(tmp_path):
    point = '<points label="{}" points="{},{}" occluded="0" source="manual" z_order="0"{}></points>'
    shapes = [point.format(name, x, 5.5, more) for name, x, more in (("a", 1.5, ""), ("b", 2.5, ""))]
    samples = cvat.read(write(tmp_path, [*shapes, BOX.format(more="")])).checked()
    assert samples.labels.tolist() == [[[1, 5], [2, 5]]]
    assert samples.boxes.tolist() == [[5, 6, 40, 50]], "the only box belongs to the only face"
    shapes += [point.format("a", 7.5, 5.5, ' group_id="1"'), '<points label="f" points="1.5,2.5;3.5,4.5"/>']
    samples = cvat.read(write(tmp_path, shapes)).checked()
    assert samples.scheme.names == ("00", "01", "a", "b")
    nothing = [np.nan, np.nan]
    expected = [
        [[1, 2], [3, 4], nothing, nothing],
        [nothing, nothing, [1, 5], [2, 5]],
        [nothing, nothing, [7, 5], nothing],
    ]
    np.testing.assert_array_equal(samples.labels, expected)


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ('<points label="b" points="1,2"/>' * 2, "point 'b' occurs twice in a face; group the shapes"),
        ('<points label="b" points="1"/>', "expected points x,y;x,y, found '1'"),
        ('<points label="b"/>', "expected points x,y;x,y, found ''"),
        ('<points label="b" points="nan,1"/>', "expected a number x, found 'nan'"),
        ('<points label="b" points="1,1e9"/>', "expected a number y, found '1e9'"),
        ('<skeleton><points label="b" points="1,2;3,4"/></skeleton>', "each points of a skeleton needs one x,y"),
        ('<box xtl="1"/>', "expected a number ytl of a box, found ''"),
        ('<points label="b" points="1,2"/><box xtl="9" ytl="1" xbr="2" ybr="2"/>', "a box needs positive width"),
    ],
)
def test_an_image_that_cannot_be_used_is_a_problem(tmp_path, shape, problem):
    path = write(tmp_path, [shape])
    good = '<image name="b.jpg"><points label="b" points="1,2"/></image></annotations>'
    path.write_text(path.read_text().replace("</annotations>", good))
    samples = cvat.read(path)
    assert samples.files == ("b.jpg",)
    (found,) = samples.problems
    assert found.startswith("annotations.xml, image 1 (a.jpg): ")
    assert problem in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations><track id='0'/></annotations>", "tracks of a video; export the task as CVAT for images 1.1"),
        ("<annotations></annotations>", "there are no faces with points"),
        (
            "".join(
                ["<annotations>", *(f"<image name='a'><points label='{k}' points='1,2'/></image>" for k in range(1001))]
            )
            + "</annotations>",
            "its points have 1,001 different names",
        ),
        ("<annotations>", "not valid XML"),
        ("<!DOCTYPE d [<!ENTITY e 'x'>]><annotations>&e;</annotations>", "expected plain XML without entities"),
        ("<annotations>" + "<a>" * 60, "nested more than 50 levels deep"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, content, message):
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(KpError, match=message):
        cvat.read(tmp_path / "a.xml")


def test_points_that_are_absent_are_written_as_outside(labels):
    text = cvat.render(labels.root / "a.xml", labels)[labels.root / "a.xml"].decode()
    assert text.count('outside="1"') == 2
    assert '<points label="nose" source="manual" outside="0" occluded="0" points="10.50,20.50" />' in text
    assert '<image id="1" name="sub/b.jpg" width="120" height="160">' in text, "upright, as CVAT shows it"
