"""The demo's server under an hour of requests, right and broken, from four clients at once.

    python -m benchmarks.soak --minutes 60

The clients predict, preview, save and send what no server should have to read. Every answer has to be right, as
`Predictor` gives it in this process, or a refusal with a text. Once a minute the clients pause: then the server must
hold no connection, and no more memory than after the first quarter of the time and 50 MB. Its temporary folder must
stay empty. The exit status is 1 if anything was wrong.
"""

import argparse
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import numpy as np
import psutil
from PIL import ExifTags, Image

from kp_tf.core.images import open_photograph
from kp_tf.predict import writers
from kp_tf.predict.predictor import Predictor

PHOTOGRAPH = Path(__file__).parents[1] / "docs" / "images" / "astronaut.jpg"
CLIENTS = 4
MAX_GROWTH = 50e6  # bytes
MAX_DIFFERENCE = 0.05  # pixels; the threads of a network round differently
REFUSALS = {400, 403, 404, 405, 408, 413, 421, 422, 503}


class Soak:
    """The photographs, the answers that are expected, and what was found."""

    def __init__(self, address: str, seed: int) -> None:
        self._address, self._seed = address, seed
        self._port = int(address.rsplit(":")[-1])
        self._files = _photographs()
        predictor = Predictor.load("compact")
        self._faces, self._sizes = {}, {}
        for name, content in self._files.items():
            photograph = open_photograph(name, content)
            faces = [face.upright for face in predictor.predict(photograph)]
            self._faces[name] = [writers.face_to_json(face) for face in faces]
            self._sizes[name] = photograph.upright.size, photograph.orientation_tag
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._state = threading.Condition()
        self._paused, self._ended, self._busy = False, False, 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clients send requests during the block."""
        clients = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            self._ended = True
            for client in clients:
                client.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the clients wait during the block, once their requests have been answered."""
        with self._state:
            self._paused = True
            self._state.wait_for(lambda: not self._busy)
        try:
            yield
        finally:
            with self._state:
                self._paused = False
                self._state.notify_all()

    def _client(self, number: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        actions: list[Callable[[random.Random], str | None]] = [
            *(self._predict, self._predict, self._predict_box, self._preview, self._save),
            *(self._spoiled, self._malformed, self._other_site, self._interrupted),
        ]
        while not self._ended:
            with self._state:
                self._state.wait_for(lambda: not self._paused)
                self._busy += 1
            action = chance.choice(actions)
            try:
                problem = action(chance)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            with self._state:
                self._busy -= 1
                self._state.notify_all()
                self.counts[action.__name__.strip("_")] += 1
                if problem:
                    self.problems.append(f"{action.__name__.strip('_')}: {problem}")

    def _ask(self, path: str, content: bytes | None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        try:
            with urlopen(Request(f"{self._address}{path}", content, headers or {}), timeout=120) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def _right(self, path: str, content: bytes, is_right: Callable[[bytes], bool]) -> str | None:
        """The problem with the answer to a request that can be answered; the server may be busy."""
        status, answer = self._ask(path, content)
        if status == 503:
            self.counts["busy"] += 1
            return None
        return None if status == 200 and is_right(answer) else f"{path[:80]}: {status} {answer[:200]!r}"

    def _refused(self, path: str, content: bytes | None, headers: dict[str, str] | None = None) -> str | None:
        """The problem with the answer to a request that must be refused with a text."""
        status, answer = self._ask(path, content, headers)
        return None if status in REFUSALS and answer.strip() else f"{path[:80]}: {status} {answer[:200]!r}"

    def _predict(self, chance: random.Random) -> str | None:
        name = chance.choice(sorted(self._files))
        query = urlencode({"name": name})
        return self._right(f"/predict?{query}", self._files[name], lambda answer: self._is_right(name, answer))

    def _predict_box(self, chance: random.Random) -> str | None:
        name = chance.choice([name for name, faces in self._faces.items() if faces])
        boxes = json.dumps([face["box"] for face in self._faces[name]])
        query = urlencode({"name": name, "boxes": boxes})
        return self._right(f"/predict?{query}", self._files[name], lambda answer: self._is_right(name, answer))

    def _is_right(self, name: str, answer: bytes) -> bool:
        content, expected = json.loads(answer), self._faces[name]
        same = ((content["width"], content["height"]), content["orientation"]) == self._sizes[name]
        points = [np.array([face["points"] for face in faces]) for faces in (content["faces"], expected)]
        return (
            same
            and points[0].shape == points[1].shape
            and np.abs(points[0] - points[1]).max(initial=0) <= (MAX_DIFFERENCE)
        )

    def _preview(self, chance: random.Random) -> str | None:
        name = chance.choice(sorted(self._files))

        def is_right(answer: bytes) -> bool:
            with Image.open(io.BytesIO(answer)) as image:
                return image.size == self._sizes[name][0] and image.format == "JPEG"

        return self._right(f"/preview?name={quote(name)}", self._files[name], is_right)

    def _save(self, chance: random.Random) -> str | None:
        names = chance.sample(sorted(self._files), 3)
        format = chance.choice(["json", "xml"])
        photographs = []
        for name in names:
            (width, height), tag = self._sizes[name]
            sizes = {"width": width, "height": height, "orientation": tag}
            photographs.append({"file": name, **sizes, "faces": self._faces[name]})
        request = json.dumps({"format": format, "network": "compact", "photographs": photographs}).encode()
        faces = sum(len(self._faces[name]) for name in names)

        def is_right(answer: bytes) -> bool:
            if format == "xml":
                return answer.count(b"<image ") == 3 and answer.count(b"<box ") == faces
            saved = json.loads(answer)["photographs"]
            return [item["file"] for item in saved] == names and sum(len(item["faces"]) for item in saved) == faces

        return self._right("/save", request, is_right)

    def _spoiled(self, chance: random.Random) -> str | None:
        """A photograph that is cut or changed: its faces, or a refusal."""
        content = bytearray(self._files[chance.choice(sorted(self._files))])
        if chance.random() < 0.5:
            del content[chance.randrange(len(content)) :]
        for _ in range(chance.randrange(20)):
            if content:
                content[chance.randrange(len(content))] = chance.randrange(256)
        path = chance.choice(["/predict", "/preview"])
        status, answer = self._ask(f"{path}?name=spoiled.jpg", bytes(content))
        return None if answer and status in REFUSALS | {200} else f"{path}: {status} {answer[:200]!r}"

    def _malformed(self, chance: random.Random) -> str | None:
        path, content = chance.choice(
            [
                ("/predict", b"x"),
                ("/predict?name=a.jpg&boxes=[[1,2]]", self._files["face.jpg"]),
                ("/predict?name=a.jpg&network=none", self._files["face.jpg"]),
                ("/predict?name=a.jpg", b""),
                ("/preview?name=a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
                ("/save", b"[" * 100_000),
                ("/save", b'{"format": "json"}'),
                ("/save", b"\xff"),
                ("/upright", b"{}"),
                ("/labels?path=points.xml", b"<dataset>"),
                ("/labels?path=points.xml", b"<!DOCTYPE x [<!ENTITY a 'b'>]><dataset>&a;</dataset>"),
                ("/nothing", b"x"),
                ("/settings", b"x"),
            ]
        )
        return self._refused(path, content)

    def _other_site(self, chance: random.Random) -> str | None:
        headers = chance.choice([{"Origin": "https://example.com"}, {"Host": "example.com"}])
        return self._refused("/predict?name=a.jpg", self._files["face.jpg"], headers)

    def _interrupted(self, chance: random.Random) -> str | None:
        """A request whose client goes away in the middle."""
        content = self._files["face.jpg"]
        headers = f"Host: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
        head = f"POST /predict?name=a.jpg HTTP/1.1\r\n{headers}".encode()
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
            connection.sendall((head + content)[: chance.randrange(1, len(head) + len(content))])
        return None


def _photographs() -> dict[str, bytes]:
    """The face of the photograph in several sizes and formats, and a picture without a face."""
    with Image.open(PHOTOGRAPH) as opened:
        whole = opened.convert("RGB")
    face, files = whole.resize((480, 390)), {}
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6

    def add(name: str, image: Image.Image, **options: Any) -> None:
        content = io.BytesIO()
        image.save(content, **options)
        files[name] = content.getvalue()

    add("face.jpg", face, format="JPEG", quality=90)
    add("turned.jpg", face.transpose(Image.Transpose.ROTATE_90), format="JPEG", quality=90, exif=exif)
    add("face.png", face, format="PNG")
    add("face.webp", face, format="WEBP", quality=90)
    add("deep.tif", Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257), format="TIFF")
    add("large.jpg", whole.resize((4000, 3250)), format="JPEG", quality=80)
    add("none.jpg", Image.effect_noise((640, 480), 20).convert("RGB"), format="JPEG")
    return files


@contextmanager
def _server(folder: str) -> Iterator[tuple[psutil.Process, str]]:
    """A server whose temporary files go into the folder, and its address."""
    command = [sys.executable, "-m", "kp_tf", "demo", "--run", "compact", "--port", "0", "--no-browser"]
    environment = {**os.environ, "TMPDIR": folder, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield psutil.Process(process.pid), next(word for word in line.split() if word.startswith("http"))
        finally:
            process.terminate()


def soak(minutes: float, seed: int) -> bool:
    """Run the clients, print a line each minute and a summary, and return whether all was right."""
    with tempfile.TemporaryDirectory() as folder, _server(folder) as (process, address):
        test, start, memory = Soak(address, seed), time.monotonic(), 0.0
        warm, largest = 0.0, 0.0
        with test.running():
            while (passed := (time.monotonic() - start) / 60) < minutes:
                time.sleep(min(60.0, max(1.0, minutes * 60 / 12)))
                with test.paused():
                    memory = _look_at(process, folder, test.problems)
                if passed < minutes / 4 or not warm:
                    warm = memory
                largest = max(largest, memory - warm)
                done = f"{sum(test.counts.values())} requests, {len(test.problems)} problems"
                print(f"{(time.monotonic() - start) / 60:.1f} min: {done}, {memory / 1e6:.0f} MB", flush=True)
        if largest > MAX_GROWTH:
            test.problems.append(f"memory grew by {largest / 1e6:.0f} MB")
        print(f"{dict(test.counts)}; memory {warm / 1e6:.0f} MB when warm, at most {largest / 1e6:.0f} MB more")
        print("\n".join(test.problems[:50]) or "no problems", flush=True)
        return not test.problems


def _look_at(process: psutil.Process, folder: str, problems: list[str]) -> float:
    """Add what the server holds and should not to the problems; returns its memory in bytes."""
    deadline = time.monotonic() + 30  # it may still notice that clients have gone
    while connections := [each for each in process.net_connections() if each.status != psutil.CONN_LISTEN]:
        if time.monotonic() > deadline:
            problems.append(f"{len(connections)} connections left: {connections[0]}")
            break
        time.sleep(0.2)
    if left := os.listdir(folder):
        problems.append(f"temporary files left: {left[:3]}")
    return process.memory_info().rss


def main() -> int:
    parser = argparse.ArgumentParser(description="The demo's server under requests, right and broken.")
    parser.add_argument("--minutes", metavar="N", type=float, default=60)
    parser.add_argument("--seed", metavar="N", type=int, default=0)
    options = parser.parse_args()
    return 0 if soak(options.minutes, options.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
