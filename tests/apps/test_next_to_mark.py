import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import RECIPE, picture, wait_for, write_xml
from PIL import Image

from kp_tf.apps.demo import next_to_mark
from kp_tf.apps.demo.mean_shape import mean_shape
from kp_tf.apps.demo.next_to_mark import NextToMark
from kp_tf.apps.demo.project import Project
from kp_tf.apps.demo.proposals import Key, Loaded, Proposals
from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import Scheme

NAMES = ("a", "b")
SCHEME = Scheme("own", NAMES, (), flip_indices=(1, 0))
INFO = ModelInfo(Path("own"), RECIPE, SCHEME)
BOX = (
    "<box left='30' top='30' width='40' height='40'><part name='a' x='35' y='50'/><part name='b' x='60' y='50'/></box>"
)


def network(crops):
    """Two points in the middle; the darker the crop, the wider are their heatmaps."""
    points = np.tile([[0.3, 0.5, 0], [0.7, 0.5, 0]], (len(crops), 1, 1))
    points[..., 2] = (0.5 - crops.mean(axis=(1, 2, 3)))[:, None] ** 2
    return points.astype(np.float32)


FIRST = ("001", Key("one"))


class StubProposals(Proposals):
    """A project's network that need not be trained."""

    def __init__(self, info=INFO, newest=FIRST):
        super().__init__()
        self.newest, self.loaded = newest, Loaded(info, network, None)

    def own(self, project):
        return self.newest

    def load(self, key):
        return self.loaded


@pytest.fixture
def folder(tmp_path):
    """One photograph that is marked and four of other brightness, in another order than their names."""
    for name, brightness in (("a", 0.8), ("b", 1.0), ("c", 0.3), ("d", 0.6), ("marked", 1.0)):
        noise = picture(100, 100, len(name) + ord(name[0]))
        noise.point(lambda value, by=brightness: int(value * by)).save(tmp_path / f"{name}.png")
    write_xml(tmp_path / "points.xml", [f"<image file='marked.png'>{BOX}</image>"])
    return tmp_path


def order_of(project, marking, count):
    """The order once the network has looked at so many photographs to mark."""
    shape = mean_shape(project, project.scheme)
    wait_for(lambda: len(marking.order(project, shape)["unsure"]) == count)
    return marking.order(project, shape)


def test_photographs_are_ordered_by_how_unsure_the_network_is(folder):
    project = Project(folder)
    order = order_of(project, NextToMark(StubProposals()), 4)
    assert order["unsure"] == ["c.png", "d.png", "a.png", "b.png"]
    assert (order["network"], order["of"]) == ("001", 4)


def test_a_random_order_stays_the_same_when_photographs_are_added_or_marked(folder, monkeypatch):
    keys = {"a.png": b"2", "b.png": b"4", "c.png": b"1", "d.png": b"3", "new.png": b"0"}
    monkeypatch.setattr(next_to_mark, "_random", keys.__getitem__)
    project, marking = Project(folder), NextToMark(StubProposals())
    assert order_of(project, marking, 4)["mixed"] == ["c.png", "a.png", "d.png", "b.png"]
    picture(100, 100, 9).save(folder / "new.png")
    write_xml(folder / "points.xml", [f"<image file='{name}.png'>{BOX}</image>" for name in ("marked", "c")])
    project.refresh()
    assert order_of(project, marking, 4)["mixed"] == ["new.png", "a.png", "d.png", "b.png"]


def test_a_random_order_does_not_follow_the_names():
    names = [f"{number:03}.png" for number in range(200)]
    places = [names.index(name) for name in sorted(names, key=next_to_mark._random)]
    assert abs(np.corrcoef(places, range(200))[0, 1]) < 0.2


def test_what_looks_like_another_comes_last_and_what_cannot_be_read_is_left_out(folder):
    with Image.open(folder / "c.png") as dark:
        dark.point(lambda value: value + 1).save(folder / "again.png")
    (folder / "broken.png").write_text("no picture")
    order = order_of(Project(folder), NextToMark(StubProposals()), 5)
    assert order["unsure"][:1] + order["unsure"][-1:] == ["c.png", "again.png"]
    assert order["mixed"][-1] in ("c.png", "again.png"), "whichever of the two is later"
    assert order["of"] == 5


def test_what_is_marked_is_no_longer_in_the_order_and_counts_as_known(folder):
    project, marking = Project(folder), NextToMark(StubProposals())
    order_of(project, marking, 4)
    write_xml(folder / "points.xml", [f"<image file='{name}.png'>{BOX}</image>" for name in ("marked", "c")])
    project.refresh()
    assert order_of(project, marking, 3)["unsure"] == ["d.png", "a.png", "b.png"]
    write_xml(folder / "points.xml", [f"<image file='marked.png'>{BOX}</image>"])
    project.refresh()
    assert order_of(project, marking, 4)["unsure"][0] == "c.png"


def test_a_new_network_looks_again_and_so_do_new_photographs(folder):
    project, proposals = Project(folder), StubProposals()
    marking = NextToMark(proposals)
    order_of(project, marking, 4)
    picture(100, 100, 9).save(folder / "new.png")
    project.refresh()
    assert order_of(project, marking, 5)["of"] == 5
    proposals.newest = ("002", Key("two"))
    proposals.loaded = Loaded(INFO, lambda crops: network(-crops), None)
    order = order_of(project, marking, 5)
    assert (order["network"], order["unsure"][-1]) == ("002", "c.png")


def test_nothing_is_ordered_without_a_network_that_has_these_points(folder):
    project = Project(folder)
    shape = mean_shape(project, project.scheme)
    nothing = {"network": "", "mixed": [], "unsure": [], "of": 0}
    assert NextToMark(StubProposals(newest=None)).order(project, shape) == nothing
    assert NextToMark(StubProposals()).order(project, {}) == nothing
    other = StubProposals(replace(INFO, scheme=Scheme("own", ("a", "c"), ())))
    broken = StubProposals()
    broken.load = lambda key: (_ for _ in ()).throw(KpError("no network"))
    for proposals in (other, broken):
        marking = NextToMark(proposals)
        marking.order(project, shape)
        wait_for(lambda marking=marking: marking.order(project, shape) == nothing)


def test_looking_does_not_hold_up_who_asks(folder):
    proposals = StubProposals()
    proposals.loaded = Loaded(INFO, lambda crops: time.sleep(0.05) or network(crops), None)
    project = Project(folder)
    shape, begun = mean_shape(project, project.scheme), time.monotonic()
    assert NextToMark(proposals).order(project, shape) == {"network": "001", "mixed": [], "unsure": [], "of": 4}
    assert time.monotonic() - begun < 0.05 * 4
