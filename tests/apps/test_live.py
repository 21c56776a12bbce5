import numpy as np
import pytest
from discs import DISC_SIDES_INFO
from helpers import INFO

from kp_tf.apps.demo.live import LiveService, describe, run_network
from kp_tf.apps.demo.pages import STATIC, compose
from kp_tf.apps.demo.proposals import Key, Loaded, Proposals
from kp_tf.core.errors import KpError


def network(crops):
    return np.full((len(crops), 68, 3), crops.mean())


def test_a_crop_goes_through_the_network_as_bytes():
    crop = np.full((32, 32), 0.25, "<f4")
    output = np.frombuffer(run_network(INFO, network, crop.tobytes()), "<f4")
    np.testing.assert_array_equal(output, np.full(68 * 3, 0.25))


@pytest.mark.parametrize("content", [b"", bytes(4), np.full((32, 32), 2, "<f4"), np.full((32, 32), np.nan, "<f4")])
def test_what_is_no_crop_is_refused(content):
    with pytest.raises(KpError, match="invalid request"):
        run_network(INFO, network, bytes(content))


def test_the_network_is_described_and_a_newer_one_is_told(tmp_path, monkeypatch):
    project, proposals = type("Stub", (), {"scheme": INFO.scheme})(), Proposals()
    monkeypatch.setattr(proposals, "own", lambda project: ("002", Key("002")))
    monkeypatch.setattr(proposals, "load", lambda key: Loaded(INFO, network, None))
    service = LiveService(project, proposals)
    assert service.network(b"") == {"network": "002", "detects_faces": True, **describe(INFO)}
    assert len(service.crop(np.zeros((32, 32), "<f4").tobytes(), "002")) == 4 * 68 * 3
    with pytest.raises(KpError, match="network 001 is no longer the newest; begin again"):
        service.crop(b"", "001")
    project.scheme = None
    assert service.network(b"") == {}


@pytest.mark.parametrize("page", ["index.html", "project/index.html"])
def test_pages_have_all_their_parts(page):
    text = compose(STATIC / page)
    assert "<!--" not in text
    assert text.count('id="zoom-face"') == 1
    assert not {"NOUN", "LOWER"} & set(text.split('"'))


def test_faces_of_the_68_points_are_found_by_the_detector_unless_the_network_should_search():
    grey = np.zeros((40, 60), np.uint8)
    grey[10:20, 30:50] = 255
    service = LiveService(None, Proposals(lambda picture: np.argwhere(np.array(picture)[..., 0])[[0, -1]]))
    assert service.detect(grey.tobytes(), "60", "40") == [[10, 30], [19, 49]]
    for content, *size in ((grey.tobytes(), "60", "41"), (grey.tobytes(), "x", "40"), (b"", "0", "0")):
        with pytest.raises(KpError, match="invalid request"):
            service.detect(content, *size)
    without_angle = LiveService(None, Proposals(lambda picture: np.array([[1, 2, 3, 4, np.nan], [1, 2, 3, 4, 30]])))
    assert without_angle.detect(grey.tobytes(), "60", "40") == [[1, 2, 3, 4], [1, 2, 3, 4, 30]]
    assert Proposals().detects_faces(INFO)
    assert not Proposals("network").detects_faces(INFO)
    assert not Proposals().detects_faces(DISC_SIDES_INFO)
