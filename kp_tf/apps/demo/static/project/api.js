/** The requests that the server of a project answers; see ../api.js. */

import { post } from "../api.js";

/** What this window calls itself, so that two do not change the project at once. */
export const page = crypto.randomUUID();

/**
 * @typedef {object} Scheme
 * @property {string} name
 * @property {string[]} names
 * @property {Record<string, number[]>} groups
 * @property {?[number, number][]} mirror  partners by index; null if photographs are not mirrored
 * @property {?[number, number]} eyes  the two points that measure the size
 * @property {string[]} colours  one CSS colour for each point
 *
 * @typedef {"new" | "begun" | "done" | "none" | "problem"} State  of a photograph
 *
 * @typedef {object} Content
 * @property {string} folder
 * @property {?Scheme} scheme
 * @property {{name: string, problem: string, state: State}[]} photographs
 * @property {Record<string, Scheme>} sets  published sets of points by title
 * @property {string} site  the folder of the page that was made last, or empty
 *
 * @typedef {object} Shape  empty if no face is finished
 * @property {number} count
 * @property {(?import("../geometry.js").Point)[]} points
 * @property {[number, number]} centre
 * @property {number} size
 * @property {(?[string, number])[]} example
 */

const ask = async (path, content, query) => (await post(`/project/${path}`, content, query)).json();

/** @returns {Promise<Content>} */
export const open = (take) => ask("open", "", { page, take: take ? "1" : "" });
export const alive = () => ask("alive", "", { page });

/** Tells the server that this window is closed. */
export function close() {
  fetch(`/project/close?${new URLSearchParams({ page })}`, { method: "POST", keepalive: true }).catch(() => {});
}

/** @returns {Promise<Blob>} */
export const photograph = async (name) => (await post("/project/photograph", "", { name })).blob();

/** @returns {Promise<{width: number, height: number, orientation: number, faces: object[]}>} */
export const faces = (name) => ask("faces", "", { name });

/**
 * @param {string} name
 * @param {object[]} content  the faces
 * @param {boolean} nothing  there is nothing to mark
 * @returns {Promise<{state: State}>}
 */
export const save = (name, content, nothing) => ask("save", JSON.stringify({ name, faces: content, nothing }), { page });

/** @returns {Promise<Content>} */
export const changeScheme = (content) => ask("scheme", JSON.stringify(content), { page });

/** @returns {Promise<Shape>} */
export const shape = () => ask("shape", "", {});

/**
 * @param {string} name
 * @param {?import("../geometry.js").Box} box  where the object is likely to be
 * @returns {Promise<{network: string, faces: object[]}>}
 */
export const propose = (name, box) => ask("propose", JSON.stringify(box), { name });

/**
 * @typedef {object} Next
 * @property {string} network  that has looked at the photographs; empty if there is none
 * @property {string[]} mixed  the names of the photographs to mark that it has seen, in a random order
 * @property {string[]} unsure  the same, those first that it is least sure of; in both, those that look alike are apart
 * @property {number} of  how many there are to mark
 *
 * @returns {Promise<Next>}
 */
export const next = () => ask("next", "", {});

/**
 * @typedef {object} Training
 * @property {"none" | "running" | "finished" | "stopped" | "failed"} state
 * @property {string[]} runs  the networks of the project, the newest first
 * @property {?{error: number, mean_shape: number, unit: string}} hardly_better  errors of the newest network and of the
 *   mean shape, if it is hardly better
 * @property {string} [run]
 * @property {boolean} [has_begun]  everything is loaded
 * @property {number} [epochs]
 * @property {Record<string, number>[]} [rows]  one for each epoch so far
 * @property {?number} [seconds_left]
 * @property {string} [message]
 * @property {?{epoch: number, faces: {file: string, window: number[], points: object[], labels: object[]}[]}} [progress]
 */

/** @returns {Promise<Training>} */
export const training = () => ask("training", "", {});
export const stopTraining = () => ask("stop", "", { page });

/** @param {{init: string, epochs: number, go_on: boolean}} content  @returns {Promise<Training>} */
export const train = (content) => ask("train", JSON.stringify(content), { page });

/**
 * Adds a frame to the photographs.
 *
 * @param {File} file
 * @returns {Promise<{name: string, problem: string, state: State}>}
 */
export const add = async (file) => (await post("/project/add", file, { page, name: file.name })).json();

/**
 * @returns {Promise<import("../predictor.js").Model & {network: string, detects_faces: boolean}>}  empty if there is no
 *   network
 */
export const network = () => ask("network", "", {});

/** The boxes of the faces in a frame.  @param {import("../crop.js").Picture} picture  @returns {Promise<number[][]>} */
export const detect = ({ grey, width, height }) => ask("detect", grey, { width, height });

/** Makes a page without a server.  @returns {Promise<{network: string, folder: string, size: number}>}  size in bytes */
export const exportSite = () => ask("export", "", {});

/** The output of a network for a crop.  @param {string} name  @param {Float32Array} pixels  @returns {Promise<Float32Array>} */
export async function runCrop(name, pixels) {
  return new Float32Array(await (await post("/project/crop", pixels, { network: name })).arrayBuffer());
}
