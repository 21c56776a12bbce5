/**
 * The network: its description, its weights and the runtime, LiteRT.js.
 */

import { detect } from "./detector.js";
import { Predictor } from "./predictor.js";
import { search } from "./search.js";

let loading = null;

/**
 * The site's predictors, which are loaded once: one for photographs, and one for frames, which finds large faces alone
 * but sooner.
 *
 * @returns {Promise<{still: Predictor, live: Predictor}>}
 */
export function loadPredictors() {
  loading ??= load().catch((error) => {
    loading = null; // so that it can be tried again
    throw error;
  });
  return loading;
}

async function load() {
  const model = await (await fetchFile("model.json")).json();
  const compile = await loadRuntime();
  const { sides = [], threshold } = model.detector ?? {};
  const loadDetector = async (side) => ({ side, network: await compile(`detector-${side}.tflite`, [side, side]) });
  const networks = [compile("model.tflite", model.shape), ...sides.map(loadDetector)];
  const [network, ...detectors] = await Promise.all(networks);
  const predictorWith = (some) => new Predictor(network, model, (picture) => (
    some.length ? detect(some, picture, threshold) : search(network, model, picture)
  ));
  return { still: predictorWith(detectors), live: predictorWith(detectors.slice(-1)) };
}

/** The runtime: a function from a file and the rows and columns of its input to a network. */
async function loadRuntime() {
  const { loadAndCompile, loadLiteRt, supportsFeature, Tensor } = await import("./runtime/index.js");
  const kind = (await supportsFeature("relaxedSimd")) ? "litert_wasm_internal" : "litert_wasm_compat_internal";
  // The binary is stored compressed, because not every host compresses; what it logs is of no use to the page's user.
  globalThis.Module = { wasmBinary: await unpack(`runtime/${kind}.wasm.gz`), print() {}, printErr() {} };
  await loadLiteRt(`./runtime/${kind}.js`);
  return async (path, [rows, columns]) => {
    const weights = new Uint8Array(await (await fetchFile(path)).arrayBuffer());
    const compiled = await loadAndCompile(weights, { accelerator: "wasm" });
    return async (picture) => {
      const input = new Tensor(picture, [1, rows, columns, 1]);
      try {
        const [output] = await compiled.run([input]);
        const values = output.toTypedArray().slice();
        output.delete();
        return values;
      } finally {
        input.delete();
      }
    };
  };
}

async function unpack(path) {
  const packed = (await fetchFile(path)).body.pipeThrough(new DecompressionStream("gzip"));
  return new Response(packed).arrayBuffer();
}

async function fetchFile(path) {
  const response = await fetch(path).catch(() => null);
  if (!response?.ok) throw new Error(`${path} cannot be loaded. Check the connection, and reload the page.`);
  return response;
}
