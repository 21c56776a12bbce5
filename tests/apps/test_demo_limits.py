"""What the demo's server refuses, and that it goes on answering."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest
from helpers import fetch, serving

from kp_tf.apps.demo.limits import Limits
from kp_tf.apps.demo.server import name_networks
from kp_tf.apps.demo.service import DemoService

PHOTO = Path(__file__).parents[2] / "docs" / "images" / "part2_strong_faces.jpg"
SOURCES = {"compact": "compact"}
SMALL = Limits(upload=100_000, uploads=150_000, requests=2, connections=4, head_seconds=0.3, body_seconds=0.3)
LONG = Limits(upload=100_000, uploads=150_000, requests=2, connections=4)  # nothing is ended for its time


@pytest.fixture(scope="module")
def address():
    with serving(SOURCES) as address:
        yield address


def connect(address):
    opened = socket.create_connection(("127.0.0.1", int(address.rsplit(":")[-1])))
    opened.settimeout(30)
    return opened


def begin(address, size, sent=0):
    """A connection that has sent the head of an upload and a part of its body."""
    opened = connect(address)
    headers = f"Host: 127.0.0.1\r\nContent-Length: {size}\r\nExpect: 100-continue\r\n\r\n"
    opened.sendall(f"POST /predict?name=a.jpg HTTP/1.1\r\n{headers}".encode())
    assert opened.recv(100).startswith(b"HTTP/1.1 100 ")  # its body is being read
    opened.sendall(b"x" * sent)
    return opened


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "own"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
)
def test_requests_of_other_sites_are_refused(address, headers, status):
    headers = {name: address if value == "own" else value for name, value in headers.items()}
    assert fetch(f"{address}/predict?name=a.jpg&boxes=[]", PHOTO.read_bytes(), headers).status == status
    assert fetch(f"{address}/settings", headers=headers).status == status


def test_a_link_opens_the_page_but_sends_nothing(address):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert fetch(f"{address}/", headers=headers).status == 200
    assert fetch(f"{address}/save", b"{}", headers).status == 403


NUMBERS = ["NaN", "Infinity", "-Infinity", "1e308", "1e999", "-1e999", "1" + "0" * 400, "9" * 5000, '"\\ud800"', "1e7"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("place", ["box", "points", "confidence", "width", "orientation"])
def test_numbers_that_cannot_be_coordinates_are_refused(address, place, number):
    face = {"box": [1, 2, 3, 4], "points": [[1, 2]] * 68}
    photograph = {"file": "a.jpg", "width": 9, "height": 9, "orientation": 6, "faces": [face]}
    values = {"box": ["?", 2, 3, 4], "points": [["?", 2]] * 68, "confidence": ["?"] * 68}
    (face if place in values else photograph)[place] = values.get(place, "?")
    sent = json.dumps(photograph).replace('"?"', number)
    requests = [f'{{"format": "{kind}", "network": "compact", "photographs": [{sent}]}}' for kind in ("json", "xml")]
    for path, request in [("upright", sent), *(("save", request) for request in requests)]:
        answer = fetch(f"{address}/{path}", request.encode())
        assert answer.status == 422
        assert answer.json()["error"].startswith("invalid request: ")


@pytest.mark.parametrize("number", NUMBERS)
def test_boxes_that_cannot_be_predicted_are_refused(address, number):
    query = urlencode({"name": "a.jpg", "boxes": f"[[{number},1,9,9]]"})
    answer = fetch(f"{address}/predict?{query}", PHOTO.read_bytes())
    assert answer.status == 422
    assert answer.json()["error"].startswith("invalid request: ")


def test_a_name_that_xml_cannot_hold_is_saved_as_json(address):
    photograph = {"file": "a\x01\n.jpg", "width": 9, "height": 9, "orientation": 1, "faces": []}
    request = {"format": "xml", "network": "compact", "photographs": [photograph]}
    answer = fetch(f"{address}/save", json.dumps(request).encode())
    assert answer.status == 422
    assert "XML cannot hold this name; rename the file" in answer.json()["error"]
    answer = fetch(f"{address}/save", json.dumps(request | {"format": "json"}).encode())
    assert [each["file"] for each in answer.json()["photographs"]] == ["a\x01\n.jpg"]


@pytest.mark.parametrize(
    "change",
    [
        {"network": "\ud800"},
        {"format": "\ud800"},
        {"opened": {"head": "\ud800", "entries": [], "tail": ""}},
        {"opened": {"head": "", "entries": [{"lead": "", "text": "<image", "photograph": "a.jpg"}], "tail": ""}},
        {"opened": "all"},
        {"photographs": [{"file": "\ud800"}]},
    ],
)
def test_requests_that_no_file_can_hold_are_refused(address, change):
    photograph = {"file": "a.jpg", "width": 9, "height": 9, "orientation": 1, "faces": []}
    request = {"format": "xml", "network": "compact", "photographs": [photograph]} | change
    answer = fetch(f"{address}/save", json.dumps(request).encode())
    assert answer.status == 422
    assert answer.json()["error"]


def test_a_client_that_goes_away_leaves_no_traceback(capsys):
    with serving(SOURCES) as address:
        begin(address, 1000, sent=10).close()
        assert fetch(f"{address}/settings").status == 200
    assert "Traceback" not in capsys.readouterr().err


def test_half_sent_requests_are_ended():
    with serving(SOURCES, limits=SMALL) as address, connect(address) as silent, connect(address) as head:
        head.sendall(b"POST /predict HTTP/1.1\r\nHost:")
        with begin(address, 1000, sent=10) as body:
            answer = body.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"did not arrive within 0.3 seconds" in answer + body.recv(10_000)
            assert ended(body)
        assert ended(silent)
        assert ended(head)
        assert fetch(f"{address}/settings").status == 200


def ended(connection):
    try:
        return connection.recv(10_000) == b""
    except ConnectionResetError:
        return True


def test_requests_beyond_the_limit_are_told_that_the_server_is_busy():
    with serving(SOURCES, limits=LONG) as address, ExitStack() as stack:
        first = [stack.enter_context(begin(address, 1000, sent=10)) for _ in range(2)]
        answer = fetch(f"{address}/predict?name=a.jpg", b"x")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json()["error"] == "the server is busy; try again"
        assert fetch(f"{address}/settings").status == 200
        for one in first:
            one.sendall(b"x" * 990)
            assert one.recv(100).startswith(b"HTTP/1.1 422 ")
        assert fetch(f"{address}/predict?name=a.jpg", b"x").status == 422  # no image, but it was read


def test_the_memory_of_uploads_is_bounded():
    with serving(SOURCES, limits=LONG) as address, begin(address, 100_000, sent=99_000) as first:
        answer = fetch(f"{address}/predict?name=a.jpg", b"x" * 60_000)
        assert answer.status == 503
        first.sendall(b"x" * 1000)
        assert first.recv(100).startswith(b"HTTP/1.1 422 ")
        assert fetch(f"{address}/predict?name=a.jpg", b"x" * 60_000).status == 422


def test_connections_beyond_the_limit_are_told_that_the_server_is_busy():
    with serving(SOURCES, limits=LONG) as address, ExitStack() as stack:
        for _ in range(LONG.connections):
            stack.enter_context(connect(address))
        with connect(address) as other:
            assert other.recv(100).startswith(b"HTTP/1.1 503 ")


def test_networks_of_the_same_name(tmp_path):
    (tmp_path / "v1.2").mkdir()
    mine, run = "mine/compact.npz", str(tmp_path / "v1.2")
    assert name_networks([mine, "other/compact.npz", run]) == {
        "compact": mine,
        "compact 2": "other/compact.npz",
        "v1.2": run,
        "compact 3": "compact",
        "large": "large",
    }
    assert list(name_networks([mine])) == ["compact", "compact 2", "large"], "the user's own first"
    assert name_networks(["large", "compact"]) == {"large": "large", "compact": "compact"}


def test_requests_are_answered_one_at_a_time_in_one_thread(monkeypatch):
    threads, working = set(), []

    def to_upright(self, content):
        threads.add(threading.current_thread())
        working.append(1)
        time.sleep(0.02)
        assert len(working) == 1
        working.pop()
        return []

    monkeypatch.setattr(DemoService, "to_upright", to_upright)
    with serving(SOURCES) as address, ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: fetch(f"{address}/upright", b"{}").status, range(8)))
    assert answers == [200] * 8
    assert len(threads) == 1
