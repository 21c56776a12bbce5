"""The exported site in a browser. In place of LiteRT.js stands a runtime that asks Python, which needs no download."""

import base64
import gzip
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from kp_tf.apps.web.runtime import KINDS
from kp_tf.predict.cascade import scale_crops

ASKS_PYTHON = b"""
export const supportsFeature = async () => true;
export const loadLiteRt = async () => {};
export class Tensor {
  constructor(crop, shape) { Object.assign(this, { crop, shape }); }
  delete() {}
}
export const loadAndCompile = async () => ({
  async run([{ crop, shape }]) {
    const bytes = Uint8Array.from(crop, (value) => Math.round((value + 0.5) * 255));
    const values = await globalThis.runNetwork(btoa(String.fromCharCode(...bytes)), shape);
    return [{ toTypedArray: () => Float32Array.from(values), delete() {} }];
  },
});
"""
RUNTIME = {"index.js": ASKS_PYTHON, **{f"{kind}.wasm.gz": gzip.compress(b"") for kind in KINDS}}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def static_host(folder):
    """The address of a plain web server of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer_with(page, network):
    """Let a network of Python answer the page's runtime."""

    def run_network(crop, shape):
        pixels = np.frombuffer(base64.b64decode(crop), np.uint8).reshape(shape)
        return network(scale_crops(pixels)).ravel().astype(float).tolist()

    page.expose_function("runNetwork", run_network)
