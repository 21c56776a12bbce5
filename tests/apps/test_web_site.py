"""The exported site as files: what it holds, where it is written, and how LiteRT.js is fetched."""

import base64
import hashlib
import io
import json
import re
import stat
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from helpers import INFO
from web_steps import RUNTIME

from kp_tf.apps.export import export
from kp_tf.apps.web import runtime, site
from kp_tf.apps.web.detector import detector_networks
from kp_tf.apps.web.runtime import CORE, KINDS, LOADER, runtime_files
from kp_tf.apps.web.site import check_folder, site_files, write_site
from kp_tf.artifacts.weights import committed
from kp_tf.core.centres import STRIDE
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import NOSE
from kp_tf.predict.detectors.builtin import SIDES


@pytest.fixture(scope="module")
def files():
    return site_files(INFO, b"the network", RUNTIME)


def test_every_file_that_a_site_names_is_in_it(files):
    kept = json.loads(re.search(r"= \[\"[0-9a-f]{16}\", (\[.*\])\];", files["sw.js"].decode())[1])
    assert set(kept) == {"./"} | set(files) - {"sw.js", "index.html"}
    page = files["index.html"].decode()
    for name in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert name in files
    for name in [name for name in files if name.endswith(".js") and "/" not in name]:
        text = files[name].decode()
        for imported, source in re.findall(r'import \{([^}]*)\} from "\./([^"]+)"', text):
            for one in imported.replace("\n", " ").split(","):
                exported = rf"export (?:async )?(?:const|function|class) {one.strip()}\b"
                assert not one.strip() or re.search(exported, files[source].decode()), (name, one, source)


def test_the_module_that_computes_has_all_that_the_page_asks_the_server_for(files):
    used = {
        name
        for page, content in files.items()
        if page.endswith(".js") and "/" not in page
        for name in re.findall(r"\bapi\.(\w+)\(", content.decode())
    }
    for name in used | {"Unavailable", "fetchSettings"}:
        assert re.search(rf"export (?:async )?(?:const|function|class) {name}\b", files["api.js"].decode()), name


def test_the_page_loads_nothing_from_elsewhere(files):
    page = files["index.html"].decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';")
    assert not re.search(r"https?:|unsafe-inline|'unsafe-eval'|\*", policy)
    assert page.index("Content-Security-Policy") < page.index("site.js")
    for name, content in files.items():
        if name.endswith((".js", ".html", ".css", ".webmanifest")) and not name.startswith("runtime/"):
            addresses = set(re.findall(r"https?://[\w./-]+", content.decode()))
            assert addresses <= {"http://www.w3.org/2000/svg"}, name


def test_a_title_heads_the_page_and_names_the_app(files):
    titled = site_files(INFO, b"the network", RUNTIME, title="Cats & <dogs>")
    page, manifest = titled["index.html"].decode(), json.loads(titled["site.webmanifest"])
    assert "<h1>Cats &amp; &lt;dogs&gt;</h1>" in page
    assert re.search("<title>Cats &amp; &lt;dogs&gt;: (facial )?keypoints</title>", page)
    assert manifest["short_name"] == "Cats & <dogs>"
    assert manifest["name"].startswith("Cats & <dogs>: ")
    assert "<h1>kp_tf</h1>" in files["index.html"].decode()


def test_the_version_of_a_site_follows_from_its_files(files):
    assert site_files(INFO, b"the network", RUNTIME) == files
    assert site_files(INFO, b"another network", RUNTIME)["sw.js"] != files["sw.js"]


def test_a_site_is_replaced_whole_and_nothing_else_is(files, tmp_path):
    out = tmp_path / "site"
    write_site(out, {**files, "old.js": b""})
    check_folder(out)
    write_site(out, files)
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == set(files)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    refused = {
        "mine": "the folder has other files",
        "mine/letter.txt": "expected a folder, found a file",
        "no/site": "there is no folder",
    }
    for name, reason in refused.items():
        with pytest.raises(KpError, match=reason):
            check_folder(tmp_path / name)


def test_a_site_that_cannot_be_written_leaves_the_one_before(files, tmp_path):
    out = tmp_path / "site"
    write_site(out, files)
    with pytest.raises(KpError, match=r"cannot write .*site: File name too long"):
        write_site(out, {**files, "x" * 300: b""})
    assert (out / "index.html").read_bytes() == files["index.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_the_included_network_fits_a_site():
    description = json.loads(site_files(committed("compact"), b"", RUNTIME)["model.json"])
    assert description["names"] == [f"{k:02}" for k in range(68)]
    assert (description["shape"], description["num_passes"], len(description["mean_face"]["points"])) == (
        [128, 128],
        2,
        68,
    )


def test_a_detector_is_in_the_site_of_a_network_of_faces():
    site = site_files(INFO, b"", RUNTIME, {640: b"large squares", 320: b"small ones"})
    assert json.loads(site["model.json"])["detector"]["sides"] == [640, 320]
    assert (site["detector-640.tflite"], site["detector-320.tflite"]) == (b"large squares", b"small ones")
    assert '"detector-320.tflite"' in site["sw.js"].decode(), "kept for use offline"
    assert json.loads(site_files(INFO, b"", RUNTIME)["model.json"])["detector"] is None
    assert detector_networks(replace(INFO, scheme=NOSE)) == {}


def test_a_network_for_every_size_becomes_one_for_squares(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra export is not installed")
    import keras
    from ai_edge_litert.interpreter import Interpreter

    image = keras.Input((None, None, 1))
    network = keras.Model(image, keras.layers.Conv2D(6, STRIDE, STRIDE, padding="same")(image))
    path = tmp_path / "detector.tflite"
    signature = [keras.InputSpec(shape=(1, None, None, 1), dtype="float32")]
    network.export(str(path), format="litert", verbose=False, input_signature=signature)
    networks = detector_networks(INFO, path)
    assert tuple(networks) == SIDES
    for side, content in networks.items():
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        (image,), (cells,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert image["shape_signature"].tolist() == [1, side, side, 1], "LiteRT.js takes no other"
        assert cells["shape_signature"].tolist() == [1, side // STRIDE, side // STRIDE, 6]
        square = np.random.default_rng(0).uniform(-0.5, 0.5, (1, side, side, 1)).astype(np.float32)
        interpreter.set_tensor(image["index"], square)
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(cells["index"]), network(square), atol=1e-5)


@pytest.fixture
def packages(monkeypatch):
    """Archives like npm's by their names, which are the ones that are pinned."""
    names = {
        CORE: ["dist/index.js", *(f"wasm/{kind}.{end}" for kind in KINDS for end in ("js", "wasm"))],
        LOADER: ["dist/index.js"],
    }
    archives = {}
    for package, members in names.items():
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as archive:
            for path in members:
                text = b'import { createWasmLib } from "@litertjs/wasm-utils";' if package == CORE else b"loader"
                member = tarfile.TarInfo(f"package/{path}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
        digest = base64.b64encode(hashlib.sha512(content.getvalue()).digest()).decode()
        archives[package.archive] = content.getvalue()
        monkeypatch.setattr(
            runtime, "CORE" if package == CORE else "LOADER", replace(package, integrity=f"sha512-{digest}")
        )
    return archives


def install_npm(folder, monkeypatch, script):
    """A program npm, and no other, on the path."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/bin:/usr/bin")


def test_the_runtime_comes_from_a_folder_or_through_npm(packages, tmp_path, monkeypatch):
    folder = tmp_path / "archives"
    folder.mkdir()
    for name, content in packages.items():
        (folder / name).write_bytes(content)
    found = runtime_files(folder)
    assert found["index.js"] == b'import { createWasmLib } from "./loader.js";'
    assert set(found) == {"index.js", "loader.js", *(f"{kind}.{end}" for kind in KINDS for end in ("js", "wasm.gz"))}
    # as the real one: npm pack … --pack-destination FOLDER NAME@VERSION …
    install_npm(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/asked; cp {folder}/*.tgz "$5"')
    assert runtime_files(None) == found
    assert "@litertjs/core@2.5.3 @litertjs/wasm-utils@2.5.3" in (tmp_path / "asked").read_text()


def test_a_runtime_that_cannot_be_had_is_one_message(packages, tmp_path, monkeypatch):
    with pytest.raises(
        KpError, match=r"cannot read .*core-2.5.3.tgz: No such file .*; `npm pack @litertjs/core@2.5.3` writes it"
    ):
        runtime_files(tmp_path)
    for name, content in packages.items():
        (tmp_path / name).write_bytes(content[:-1] + b"x")
    with pytest.raises(KpError, match=r"litertjs-core-2.5.3.tgz is not @litertjs/core 2.5.3 as it was published"):
        runtime_files(tmp_path)
    install_npm(tmp_path, monkeypatch, 'echo "npm error code ENOTFOUND\nnpm error network is away" >&2; exit 1')
    with pytest.raises(
        KpError, match=r"npm could not fetch @litertjs/core@2.5.3 and .*: network is away; or use --runtime"
    ):
        runtime_files(None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        KpError, match=r"fetches LiteRT.js with npm, which is not installed: install Node.js, or name a folder"
    ):
        runtime_files(None)


def test_a_network_is_exported_as_a_site(exported, packages, tmp_path, capsys):
    from kp_tf.backends import load_network

    for name, content in packages.items():
        (tmp_path / name).write_bytes(content)
    out = export("web", str(exported["run"]), tmp_path / "site", runtime=tmp_path)
    assert re.match(r".*site: \d\.\d\d MB, float16 weights, of .*run\n", capsys.readouterr().out)
    _, network = load_network(out / "model.tflite")
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(network(images), load_network(exported["a.tflite"])[1](images), atol=0.01)
    from ai_edge_litert.interpreter import Interpreter

    (image,) = Interpreter(str(out / "model.tflite")).get_input_details()
    assert image["shape_signature"].tolist() == [1, 32, 32, 1], "LiteRT.js takes no other"


@pytest.mark.parametrize(
    ("init", "has_detector", "expected"),
    [
        (None, False, "The network belongs to those who trained it. LiteRT.js, which runs it, has the Apache"),
        (
            "compact",
            False,
            "trained it. Its training began with a network of kp_tf, so it is for research and non-comm",
        ),
        (
            "runs/001",
            False,
            "trained it. If the first of its trainings began with a network of kp_tf, it is for research",
        ),
        (
            "runs/001",
            True,
            "use only. The detector comes with kp_tf and is for research and non-commercial use only. Lit",
        ),
    ],
)
def test_the_licences_of_the_parts_of_a_network_of_ones_own_are_said(init, has_detector, expected):
    info = replace(INFO, recipe=replace(INFO.recipe, init=init))
    page = site_files(info, b"", RUNTIME, dict.fromkeys(SIDES, b"") if has_detector else None)["index.html"].decode()
    assert expected in re.search(r'<p id="licence" class="hint">([^<]+)</p>', page)[1]


def test_the_licences_of_a_network_of_the_package_are_said():
    words = site.licence(committed("compact"), has_detector=True)
    assert words.startswith(
        "The network and the detector come with kp_tf and are for research and non-commercial use only."
    )
