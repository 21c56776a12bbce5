/** What the page asks for, computed in the browser: it stands in for the module of the same name that asks a server. */

import { confidenceOf } from "./confidence.js";
import { asJson, asPts } from "./formats.js";
import { round } from "./geometry.js";
import { loadPredictors } from "./model.js";
import { readPicture } from "./pixels.js";
import { setStatus, state } from "./state.js";

/** Never thrown here: there is no server that could be away. */
export class Unavailable extends Error {}

/** @returns {Promise<{upload_limit: number, networks: string[]}>} */
export async function fetchSettings() {
  const before = state.status;
  setStatus("Loading the network …");
  const { still: { model } } = await loadPredictors();
  if (!state.photos.length) setStatus(before);
  return { upload_limit: Infinity, networks: [model.name] };
}

/** @type {{file: ?Blob, read: ?ReturnType<typeof readPicture>}}  the photograph that was decoded last */
let latest = { file: null, read: null };

/**
 * @param {File} file
 * @param {{name: string, boxes?: import("./geometry.js").Box[]}} options  without boxes the faces are found
 */
export async function predict(file, { name, boxes }) {
  if (latest.file !== file) latest = { file, read: readPicture(file, name) };
  const { picture, scale, width, height } = await latest.read;
  const { still: predictor } = await loadPredictors();
  const found = await predictor.predict(picture, boxes?.map((box) => scaled(box, scale)) ?? null);
  const { names, groups, colours, calibration } = predictor.model;
  const faces = found.map((face) => pageFace(face, scale, calibration));
  return { width, height, orientation: 1, faces, names, groups, colours };
}

/** A face as the page has it, in pixels of the photograph.  @returns {import("./state.js").Face} */
function pageFace({ box, points, variance }, scale, calibration) {
  const known = (value) => (Number.isNaN(value) ? null : Number(value.toFixed(3)));
  return {
    box: scaled(box, 1 / scale).map(round),
    points: points.map((point) => scaled(point, 1 / scale).map(round)),
    confidence: confidenceOf(variance, calibration).map(known),
  };
}

/** A point or box in a picture that is larger by a factor; pixels have their centres at whole numbers. */
const scaled = ([x, y, ...size], factor) => (
  [(x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5, ...size.map((value) => value * factor)]
);

export async function preview(_, name) {
  throw new Error(`cannot show ${name}: this browser does not open such files`);
}

export async function readLabels(_, path) {
  throw new Error(`${path} is left out: labels are opened by \`kp-tf demo\` alone.`);
}

/** @param {{format: "json" | "pts", photographs: object[]}} request  @returns {Promise<Blob>} */
export async function save({ format, photographs }) {
  const { still: { model } } = await loadPredictors();
  return new Blob([format === "pts" ? asPts(photographs[0].faces[0]) : asJson(photographs, model)]);
}

/** Labels are not opened here, so there is nothing to convert. */
export const toUpright = async (_, faces) => faces;
