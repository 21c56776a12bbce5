"""Commands that are killed at twenty random moments.

No file is cut under its own name, nothing of the user's is gone, and a last attempt ends as if there had been no other.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from helpers import picture, write_xml, xml_image

from kp_tf import Predictor
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.dlib_xml import read_dlib_xml

KILLS = 20
KP_TF = (sys.executable, "-m", "kp_tf")
ROOT = Path(__file__).parents[1]
FACES = ROOT / "docs/images/part2_strong_faces.jpg"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def kill_often(command, check):
    """Run a command once, then twenty times until a random moment of that time; check what is there each time."""
    begin = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    seconds, moments, kills = time.monotonic() - begin, random.Random(0), 0
    check()
    while kills < KILLS:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                output = process.communicate(timeout=moments.uniform(0.3, 1) * seconds)[0]
                assert process.returncode == 0, output
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        check()
    subprocess.run(command, check=True, capture_output=True)
    check()


def test_predict(folder):
    photographs = [f"{number}.jpg" for number in range(10)]
    for name in photographs:
        shutil.copy(FACES, name)
    mine = [Path("results/mine.json"), Path("results/drawn/mine.jpg")]
    mine[1].parent.mkdir(parents=True)
    for path in mine:
        path.write_bytes(b"a file of the user")

    def check():
        assert [path.read_bytes() for path in mine] == [b"a file of the user"] * 2
        drawn = [path for path in folder.glob("results/drawn/[!.]*") if path.name != "mine.jpg"]
        assert len([open_photograph(path) for path in drawn]) == 10
        found = json.loads(Path("results/points.json").read_bytes())["photographs"]
        assert [len(photograph["faces"]) for photograph in found] == [12] * 10

    kill_often([*KP_TF, "predict", *photographs, "--out", "results"], check)


def test_export(folder):
    crop = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)
    expected = Predictor.load("compact").predict(crop, [[2, 2, 90, 90]])[0].points

    def check():
        found = Predictor.load("mine.tflite").predict(crop, [[2, 2, 90, 90]])[0].points
        np.testing.assert_allclose(found, expected, atol=0.05)
        assert [path.name for path in folder.glob("[!.]*")] == ["mine.tflite"]

    kill_often([*KP_TF, "export", "--to", "litert", "--run", "compact", "--out", "mine.tflite"], check)


def labelled_faces(count):
    """An XML of `count` photographs with one face each."""
    for number in range(count):
        picture(64, 64, number).save(f"{number}.png")
    write_xml(Path("points.xml"), [xml_image(f"{number}.png", [(2, 2, 60, 60)]) for number in range(count)])


@pytest.mark.parametrize("to", ["coco", "labelme"])
def test_convert(to):
    labelled_faces(1000)
    target = {"coco": "coco.json", "labelme": "."}[to]

    def check():
        for path in Path().glob("[!.]*.json"):
            json.loads(path.read_bytes())
        assert len(list(Path().glob("[!.]*.json"))) == {"coco": 1, "labelme": 1000}[to]
        assert len(read_dlib_xml(Path("points.xml"), IBUG68)) == 1000

    kill_often([*KP_TF, "convert", "points.xml", target, "--to", to, "--overwrite"], check)


def test_submit():
    labelled_faces(20)
    whole = []

    def check():
        whole.append(Path("submission.csv").read_bytes())
        assert whole[-1] == whole[0]
        assert whole[0].count(b"\n") == 1 + 20 * 136

    kill_often([*KP_TF, "submit", "--labels", "points.xml", "--run", "compact"], check)


DOWNLOAD = """
import sys
from dataclasses import replace
from pathlib import Path
from kp_tf.data.download import IMM, download
download(replace(IMM, addresses=(sys.argv[1],), counts={"*.jpg": 300, "*.asf": 300}), Path("data"))
"""


def test_download(folder):
    """The server is Python's own, which sends whole files only: what a kill leaves is fetched anew."""
    random_bytes = random.Random(0).randbytes
    source = folder / "source"
    source.mkdir()
    files = {f"{number}.{kind}": random_bytes(100_000) for number in range(300) for kind in ("jpg", "asf")}
    for name, content in files.items():
        (source / name).write_bytes(content)
    shutil.make_archive("served/imm", "gztar", source)
    Path("data").mkdir()
    Path("data/mine.txt").write_text("a file of the user")

    def check():
        assert Path("data/mine.txt").read_text() == "a file of the user"
        complete = Path("data/imm_face_db")
        if complete.exists():
            assert {path.name: path.read_bytes() for path in complete.iterdir()} == files
            shutil.rmtree(complete)

    server = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", "served"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        address = re.search(r"http://\S+?/", process.stdout.readline())[0]
        kill_often([sys.executable, "-c", DOWNLOAD, f"{address}imm.tar.gz"], check)
        process.kill()
    assert [path.name for path in Path("data").iterdir()] == ["mine.txt"]


def test_demo_while_it_saves(folder, monkeypatch):
    """A client gets a whole file or an error, and the server leaves nothing in the temporary folder."""
    temporary = folder / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    face = {"box": [1, 2, 30, 40], "points": [[k, 2 * k] for k in range(68)], "confidence": [1] * 68}
    photographs = [
        {"file": f"{k}.jpg", "width": 200, "height": 200, "orientation": 1, "faces": [face] * 5} for k in range(20)
    ]
    request = json.dumps({"format": "xml", "network": "compact", "photographs": photographs}).encode()
    whole, answers, moments = None, [], random.Random(0)
    for kill in range(KILLS + 1):
        command = [*KP_TF, "demo", "--port", "0", "--no-browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            address = re.search(r"http://\S+", process.stdout.readline())[0]
            if kill == 0:
                begin = time.monotonic()
                whole = save(address, request)
                seconds = time.monotonic() - begin
                process.kill()
                continue
            clients = [threading.Thread(target=keep_saving, args=(address, request, answers)) for _ in range(4)]
            for client in clients:
                client.start()
            time.sleep(moments.uniform(0.5, 8) * seconds)  # four of them share the time
            process.kill()
            for client in clients:
                client.join()
    assert whole.count(b"<image ") == 20
    assert len(answers) > KILLS
    assert set(answers) == {whole}
    assert os.listdir(temporary) == []


def save(address, request):
    with urlopen(Request(f"{address}/save", request), timeout=30) as response:
        return response.read()


def keep_saving(address, request, answers):
    with suppress(OSError, HTTPException):  # the server has been killed
        while True:
            answers.append(save(address, request))
