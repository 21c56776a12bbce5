"""The exported site in a browser. In place of LiteRT.js stands a runtime that asks Python, which needs no download."""

import base64
import gzip

import numpy as np

from kp_tf.apps.web.runtime import KINDS
from kp_tf.predict.cascade import scale_crops
from kp_tf.predict.detectors.builtin import SIDES

ASKS_PYTHON = b"""
export const supportsFeature = async () => true;
export const loadLiteRt = async () => {};
export class Tensor {
  constructor(crop, shape) { Object.assign(this, { crop, shape }); }
  delete() {}
}
export const loadAndCompile = async () => ({
  async run([{ crop, shape }]) {
    const bytes = Array.from(crop, (value) => String.fromCharCode(Math.round((value + 0.5) * 255)));
    const values = await globalThis.runNetwork(btoa(bytes.join("")), shape);
    return [{ toTypedArray: () => Float32Array.from(values), delete() {} }];
  },
});
"""
RUNTIME = {"index.js": ASKS_PYTHON, **{f"{kind}.wasm.gz": gzip.compress(b"") for kind in KINDS}}


def answer_with(page, network, detector=None):
    """Let a network of Python, and that of a detector, answer the page's runtime."""

    def run_network(crop, shape):
        pixels = np.frombuffer(base64.b64decode(crop), np.uint8).reshape(shape)
        asked = detector if shape[1] in SIDES else network
        return asked(scale_crops(pixels)).ravel().astype(float).tolist()

    page.expose_function("runNetwork", run_network)
