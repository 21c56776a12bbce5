/** The requests that the server answers. All of them throw an Error whose message can be shown to the user. */

import { setStatus } from "./state.js";

const BUSY = 503; // the status of a server that has reached a limit
const ATTEMPTS = 10;

/**
 * What the network predicts for a photograph.
 *
 * @typedef {object} Prediction
 * @property {number} width  of the upright photograph, in pixels
 * @property {number} height
 * @property {number} orientation  the EXIF tag of the file, 1 to 8
 * @property {import("./state.js").Face[]} faces
 * @property {string[]} names  of the points
 * @property {Record<string, number[]>} groups  names of groups and the indices of their points
 * @property {string[]} colours  one CSS colour for each point
 */

/**
 * A file of labels, taken apart. Only faces are shown; the texts are handed back when the labels are saved.
 *
 * @typedef {object} LabelFile
 * @property {string} head
 * @property {Entry[]} entries
 * @property {string} tail
 *
 * @typedef {object} Entry
 * @property {string} file  relative to the opened folder
 * @property {string[]} names  those that this may stand for, the likeliest first
 * @property {string} lead  what precedes the entry
 * @property {string} text
 * @property {number} boxes  how many it has
 * @property {import("./labels.js").LabelledFace[]} faces  the boxes that are not ignored; source counts the entry's boxes
 * @property {string} [problem]  why the faces cannot be used
 */

/** The server is away or busy, so that the request can be sent again later. */
export class Unavailable extends Error {}

/** @returns {Promise<{upload_limit: number, networks: string[]}>}  the limit in bytes */
export async function fetchSettings() {
  return (await send("/settings")).json();
}

/**
 * @param {File} file
 * @param {{name: string, network: string, boxes?: import("./geometry.js").Box[]}} options  without boxes the faces
 *   are detected
 * @returns {Promise<Prediction>}
 */
export async function predict(file, { name, network, boxes }) {
  return (await post("/predict", file, { name, network, ...(boxes && { boxes: JSON.stringify(boxes) }) })).json();
}

/** An upright JPEG of a photograph that the browser cannot show.  @returns {Promise<Blob>} */
export async function preview(file, name) {
  return (await post("/preview", file, { name })).blob();
}

/** Takes dlib's XML apart.  @param {Blob} file  @param {string} path  @returns {Promise<LabelFile>} */
export async function readLabels(file, path) {
  return (await post("/labels", file, { path })).json();
}

/** Converts the faces of a photograph, with the points of a network, from pixels as stored to upright ones. */
export async function toUpright({ width, height, orientation }, faces, network) {
  return (await post("/upright", JSON.stringify({ width, height, orientation, faces }), { network })).json();
}

/**
 * A file with the faces of photographs.
 *
 * @param {{format: "json" | "pts" | "xml", network: string, photographs: object[], opened?: ?LabelFile}} request
 * @returns {Promise<Blob>}
 */
export async function save(request) {
  return (await post("/save", JSON.stringify(request))).blob();
}

/** Sends a request.  @returns {Promise<Response>}  throws an Error with the status of the answer */
export const post = (path, body, query = {}) => send(`${path}?${new URLSearchParams(query)}`, { method: "POST", body });

async function send(address, options) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const response = await fetch(address, options).catch(() => null);
    if (!response) throw new Unavailable("The server does not respond. Check that kp-tf demo is still running.");
    if (response.ok) return response;
    if (response.status !== BUSY) {
      throw Object.assign(new Error(await messageOf(response)), { status: response.status });
    }
    setStatus("The server is busy. Trying again …");
    await new Promise((resolve) => setTimeout(resolve, 1000 * (response.headers.get("Retry-After") ?? 1)));
  }
  throw new Unavailable("The server is busy. Try again later.");
}

async function messageOf(response) {
  const { error } = await response.json().catch(() => ({}));
  return error ?? `The server failed with status ${response.status}.`;
}
