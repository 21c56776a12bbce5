"""A folder of static files with the demo's page, a network and its runtime, for any web host.

The page is that of the demo's server. Its module `api.js` is replaced by one that computes in the browser, and what
needs the server is hidden.
"""

import hashlib
import html
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kp_tf.apps.demo import live
from kp_tf.apps.demo.pages import PARTS, compose
from kp_tf.apps.demo.pages import STATIC as PAGE
from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import FOLDER, WEIGHTS
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, SCHEMES
from kp_tf.core.pose import SHAPE
from kp_tf.predict.detectors.builtin import THRESHOLD

STATIC = Path(__file__).with_name("static")
# parts that the page has in a site, and what each precedes
FRAGMENTS = {STATIC / "head.html": "</head>", STATIC / "header.html": "</header>", PARTS / "camera.html": "</section>"}
TITLE = re.compile("(?<=<title>)[^<]+")
LICENCE = re.compile('(?<=<p id="licence" class="hint">)[^<]+')
IF_BEGUN = "If the first of its trainings began with a network of kp_tf,"
RESEARCH = "for research and non-commercial use only"
MODEL = "model.json"  # by which a folder is recognised as a site


def describe(info: ModelInfo) -> dict:
    """What the page has to know of a network, except for its detector; see static/model.js."""
    return live.describe(info) | {"head": _head() if info.scheme == IBUG68 else None}


def noun(info: ModelInfo) -> str:
    """What the page calls what the points are on: a face if they are those of one of the built-in sets."""
    return "face" if any(info.scheme.names == scheme.names for scheme in SCHEMES.values()) else "object"


def licence(info: ModelInfo, has_detector: bool) -> str:
    """What the page says of the licences of its parts: of a network, LiteRT.js and, if it has one, the detector."""
    runtime = "LiteRT.js, which runs {}, has the Apache License 2.0."
    if info.path.parent == FOLDER:
        words = "The network and the detector come" if has_detector else "The network comes"
        are, them = ("are", "them") if has_detector else ("is", "it")
        return f"{words} with kp_tf and {are} {RESEARCH}. {runtime.format(them)}"
    words, init = ["The network belongs to those who trained it."], info.recipe.init
    if init:
        begun = "Its training began with a network of kp_tf, so" if init in WEIGHTS else IF_BEGUN
        words.append(f"{begun} it is {RESEARCH}.")
    if has_detector:
        words.append(f"The detector comes with kp_tf and is {RESEARCH}.")
    return " ".join([*words, runtime.format("them" if has_detector else "it")])


def _head() -> list[list[float]]:
    """The inverse of the mean shape of eyes and nose, transposed, with which the page computes the pose: (21, 3)."""
    return np.linalg.pinv(SHAPE - SHAPE.mean(axis=0)).T.round(6).tolist()


def site_files(
    info: ModelInfo,
    network: bytes,
    runtime: Mapping[str, bytes],
    detector: Mapping[int, bytes] | None = None,
    title: str | None = None,
) -> dict[str, bytes]:
    """The files of a site by their names.

    Args:
        info: of the network.
        network: it as LiteRT, for one picture at a time.
        runtime: the result of `runtime.runtime_files`.
        detector: the result of `detector.detector_networks`. None: the network itself finds what it was trained on.
        title: heading of the page. None: kp_tf.
    """
    description = describe(info) | {"detector": {"sides": [*detector], "threshold": THRESHOLD} if detector else None}
    paths = [path for folder in (PAGE, STATIC) for path in sorted(folder.glob("*.*")) if path not in FRAGMENTS]
    files = {path.name: path.read_bytes() for path in paths}
    worker, page = files.pop("sw.js").decode(), compose(PAGE / "index.html", noun(info))
    page = LICENCE.sub(licence(info, bool(detector)), page)
    page = page.replace("<h1>kp_tf</h1>", f"<h1>{html.escape(title or 'kp_tf')}</h1>")
    name = (title or "kp_tf") + (": facial keypoints" if noun(info) == "face" else ": keypoints")
    page = TITLE.sub(lambda _: html.escape(name), page)
    manifest = json.loads(files["site.webmanifest"]) | {"name": name, "short_name": title or "kp_tf"}
    for path, anchor in FRAGMENTS.items():
        page = page.replace(anchor, path.read_text(encoding="utf-8") + anchor, 1)
    files |= {
        "index.html": page.encode(),
        "site.webmanifest": json.dumps(manifest, ensure_ascii=False).encode(),
        MODEL: json.dumps(description, ensure_ascii=False).encode(),
        "model.tflite": network,
        **{f"detector-{side}.tflite": content for side, content in (detector or {}).items()},
        **{f"runtime/{name}": content for name, content in runtime.items()},
    }
    names = ["./", *sorted(name for name in files if name != "index.html")]
    digest = hashlib.sha256(b"".join(name.encode() + files[name] for name in sorted(files))).hexdigest()[:16]
    head = f'const [DIGEST, FILES] = ["{digest}", {json.dumps(names)}];\n'
    return files | {"sw.js": (head + worker).encode()}


def check_folder(out: Path) -> None:
    """Refuse a folder that holds anything but a site that was exported earlier.

    Raises:
        KpError: also if the folder that it should be in does not exist.
    """
    if not out.absolute().parent.is_dir():
        raise KpError(f"--out {out}: there is no folder {out.absolute().parent}")
    if os.path.lexists(out) and not out.is_dir():
        raise KpError(f"--out {out}: expected a folder, found a file")
    if out.is_dir() and not (out / MODEL).is_file() and next(out.iterdir(), None):
        raise KpError(f"--out {out}: the folder has other files; choose an empty one, or a new name")


def write_site(out: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a folder beside `out`, and put it in the place of `out` once it is complete.

    Raises:
        KpError: if they cannot be written; what was there stays.
    """
    target = Path(os.path.realpath(out))
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
            new, old = Path(temporary, "new"), Path(temporary, "old")
            for name, content in files.items():
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if target.exists():
                target.rename(old)
            new.rename(target)
    except OSError as error:
        raise KpError(f"cannot write {out}: {error.strerror or error}") from error
