"""LiteRT.js and ONNX Runtime Web in Chromium, and the frames a second that the exported page's tracker reaches.

    npm pack @litertjs/core@2.5.3 @litertjs/wasm-utils@2.5.3 onnxruntime-web@1.30.0
    python -m benchmarks.web_runtimes --archives .

Each side opens a page of its own in every round and predicts with `compact`: the time from the first request to the
first prediction, and the median of further predictions of one crop. Threads have a host that sends the headers which
they need. The tracker follows one face in frames of 640 × 480 pixels.
"""

import argparse
import base64
import io
import shutil
import tarfile
import tempfile
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from PIL import Image

from benchmarks.interleave import measure_rounds, quartiles, summarize_all
from benchmarks.report import machine, parse_arguments, save_table
from kp_tf.apps.export import export

PHOTOGRAPH = Path(__file__).parents[1] / "docs" / "images" / "astronaut.jpg"
ONNX = "onnxruntime-web-1.30.0.tgz"
ONNX_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
RATE = 30  # frames a second, as the tracker is told
LITERT = """async ([kind, threads, number]) => {
  const start = performance.now();
  const { loadAndCompile, loadLiteRt, Tensor } = await import("/litert/index.js");
  globalThis.Module = { print() {}, printErr() {} };
  await loadLiteRt(threads ? "/litert/" : `/litert/${kind}.js`, { threads });
  const weights = new Uint8Array(await (await fetch("/model.tflite")).arrayBuffer());
  const compiled = await loadAndCompile(weights, { accelerator: "wasm" });
  const crop = Float32Array.from({ length: 128 * 128 }, (_, k) => Math.sin(k / 97) / 2);
  const predict = async () => {
    const input = new Tensor(crop, [1, 128, 128, 1]);
    const [output] = await compiled.run([input]);
    output.toTypedArray();
    for (const tensor of [input, output]) tensor.delete();
  };
  MEASURE
}"""
ORT = """async ([, threads, number]) => {
  const start = performance.now();
  const ort = await import("/onnx/ort.wasm.min.mjs");
  Object.assign(ort.env.wasm, { wasmPaths: "/onnx/", numThreads: threads ? navigator.hardwareConcurrency : 1 });
  const session = await ort.InferenceSession.create("/compact.onnx", { executionProviders: ["wasm"] });
  const crop = Float32Array.from({ length: 128 * 128 }, (_, k) => Math.sin(k / 97) / 2);
  const predict = () => session.run({ [session.inputNames[0]]: new ort.Tensor("float32", crop, [1, 128, 128, 1]) });
  MEASURE
}"""
MEASURE = """await predict();
  const ready = performance.now() - start;
  const times = [];
  for (let k = 0; k < number; k += 1) {
    const before = performance.now();
    await predict();
    times.push(performance.now() - before);
  }
  return [ready, times.sort((one, other) => one - other)[number >> 1]];"""
TRACK = """async ([picture, number, rate]) => {
  const [{ loadPredictors }, { Tracker }, { greyPicture }] = await Promise.all(
    ["./model.js", "./tracker.js", "./pixels.js"].map((name) => import(name)));
  const bytes = Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const context = new OffscreenCanvas(640, 480).getContext("2d", { willReadFrequently: true });
  const tracker = new Tracker((await loadPredictors()).live, { findEvery: Infinity });
  const frame = (k) => {
    context.drawImage(bitmap, 80 + 40 * Math.sin(k / 15), 0, 480, 480);
    return tracker.update(greyPicture(context.getImageData(0, 0, 640, 480)), k / rate);
  };
  await frame(0); // the face is searched for once
  const before = performance.now();
  let followed = 0;
  for (let k = 1; k <= number; k += 1) followed += (await frame(k)).length;
  if (followed !== number) throw new Error(`one face was followed in ${followed} of ${number} frames`);
  return (1000 * number) / (performance.now() - before);
}"""
SIDES: dict[str, tuple[str, str, bool]] = {
    "LiteRT.js, relaxed SIMD": (LITERT, "litert_wasm_internal", False),
    "LiteRT.js, plain SIMD": (LITERT, "litert_wasm_compat_internal", False),
    "LiteRT.js, threads": (LITERT, "litert_wasm_threaded_internal", True),
    "ONNX Runtime Web": (ORT, "", False),
    "ONNX Runtime Web, threads": (ORT, "", True),
}


def main() -> None:
    """Measure, print a table and write it with all values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", metavar="DIR", type=Path, required=True, help="what `npm pack` wrote")
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("web_runtimes"))
    parser.add_argument("--rounds", metavar="N", type=int, default=7)
    parser.add_argument("--number", metavar="N", type=int, default=200, help="of predictions and frames in each round")
    options = parse_arguments(parser, {"rounds": 1, "number": 20})
    result = {"machine": machine()}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _prepare(folder, options["archives"])
        pages = {threads: stack.enter_context(host(folder, threads)) for threads in (False, True)}
        browser = stack.enter_context(_chromium())
        number, rounds = options["number"], options["rounds"]
        found: dict[str, list[list[float]]] = {name: [] for name in SIDES}

        def predict(name: str) -> float:
            code, kind, threads = SIDES[name]
            values = _evaluate(browser, pages[threads], code.replace("MEASURE", MEASURE), [kind, threads, number])
            found[name].append(values)
            return values[1]

        predicting = measure_rounds({name: partial(predict, name) for name in SIDES}, rounds)
        track = partial(_evaluate, browser, f"{pages[False]}/site/model.json", TRACK, [_picture(), number, RATE])
        frames = measure_rounds({"the page's tracker": track}, rounds)
    starts = {name: [start for start, _ in values[-rounds:]] for name, values in found.items()}
    result |= {"predict_ms": summarize_all(predicting), "start_ms": summarize_all(starts)}
    result |= {"frames_a_second": summarize_all(frames)}
    rows = [f"| {name} | {_cell(starts[name], 0)} | {_cell(predicting[name], 1)} |" for name in SIDES]
    tracked = _cell(frames["the page's tracker"], 1)
    lines = ["| `compact` | start, ms | one prediction, ms |", "|---|---|---|", *rows]
    save_table(options["out"], result, [*lines, "", f"Frames of 640 × 480 with one face: {tracked} a second."])


def _cell(values: list[float], digits: int) -> str:
    median, low, high = quartiles(values, digits)
    return f"{median:g} ({low:g}–{high:g})"


def _prepare(folder: Path, archives: Path) -> None:
    """The site, the network for both runtimes, and the runtimes uncompressed, as the sides ask for them."""
    export("web", "compact", folder / "site", runtime=archives)
    shutil.copy(folder / "site" / "model.tflite", folder)
    export("onnx", "compact", folder / "compact.onnx")
    (folder / "litert").mkdir()
    (folder / "onnx").mkdir()
    for name in ("index.js", "loader.js"):
        shutil.copy(folder / "site" / "runtime" / name, folder / "litert")
    with tarfile.open(archives / "litertjs-core-2.5.3.tgz") as archive:
        for member in archive.getmembers():
            if member.name.startswith("package/wasm/"):
                (folder / "litert" / Path(member.name).name).write_bytes(_content(archive, member.name))
    with tarfile.open(archives / ONNX) as archive:
        for name in ONNX_FILES:
            (folder / "onnx" / name).write_bytes(_content(archive, f"package/dist/{name}"))


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


@contextmanager
def host(folder: Path, isolated: bool = False) -> Any:
    """The address of a web server of the folder, with the headers that threads need or without."""

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

        def end_headers(self) -> None:
            for name, value in (ISOLATION if isolated else {}).items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _chromium() -> Any:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def _evaluate(browser: Any, address: str, code: str, arguments: list) -> Any:
    page = browser.new_page()
    page.goto(address)
    try:
        return page.evaluate(code, arguments)
    finally:
        page.close()


def _picture() -> str:
    content = io.BytesIO()
    with Image.open(PHOTOGRAPH) as photograph:
        photograph.resize((480, 480)).save(content, "JPEG", quality=92)
    return base64.b64encode(content.getvalue()).decode()


if __name__ == "__main__":
    main()
