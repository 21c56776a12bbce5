/** The requests that the server answers. All of them throw an Error whose message can be shown to the user. */

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

/** Converts the faces of a photograph, with the points of a network, from pixels as stored to upright ones. */
export async function toUpright({ width, height, orientation }, faces, network) {
  return (await post("/upright", JSON.stringify({ width, height, orientation, faces }), { network })).json();
}

/**
 * A file with the faces of photographs.
 *
 * @param {{format: "json" | "pts" | "xml", network: string, photographs: object[]}} request
 * @returns {Promise<Blob>}
 */
export async function save(request) {
  return (await post("/save", JSON.stringify(request))).blob();
}

const post = (path, body, query = {}) => send(`${path}?${new URLSearchParams(query)}`, { method: "POST", body });

async function send(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("The server does not respond. Check that `python -m kp_tf demo` is still running.");
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? `The server failed with status ${response.status}.`);
}
