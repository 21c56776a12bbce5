/**
 * The passes of a network: a large window first, then smaller ones centred on the points just predicted, as
 * predict/cascade.py.
 *
 * @typedef {object} Output  of a network for one window
 * @property {import("./windows.js").Point[]} points  in pixels of the picture
 * @property {number[]} variance  of the points' heatmaps, in units of the window's side; NaN if there are no heatmaps
 *
 * @typedef {(crop: Float32Array) => Promise<Float32Array>} Network  a grey crop in [-0.5, 0.5] to x, y and, of networks
 *   with heatmaps, the variance of each point, in the unit square of the crop
 */

import { isSharp, isUnusual, mean, meanDeviation } from "./confidence.js";
import { crop } from "./crop.js";
import { boxAround, boxIn, rotatedBoxAround } from "./mean-face.js";
import { cropWindow, missesPicture, scaledBox, toPixels } from "./windows.js";

const TURNS = [45, 90, 135, 180, 225, 270, 315]; // degrees by which a first window in doubt is rotated further
const KNOWN_TURNS = [90, 180, 270]; // likewise, if the angle is known roughly: most of what is in doubt then is no face
const KEPT_TURNS = 3; // of them, those with the sharpest heatmaps, go on to the next pass
const UPRIGHT_BONUS = 0.85; // another rotation must have sharper heatmaps than the upright one by this factor
const STEP = 0.5; // of the box, between the nine windows of a first pass over a whole photograph
const STEPS = [0, -STEP, STEP].flatMap((y) => [0, -STEP, STEP].map((x) => [x, y]));

/**
 * Predicts the points of one face.
 *
 * @param {Network} network
 * @param {import("./predictor.js").Model} model
 * @param {import("./crop.js").Picture} picture
 * @param {import("./windows.js").Window} around  the box of the face, with its angle if that is known at least roughly,
 *   or of the whole picture
 * @param {boolean} [framed]  the box is the whole picture
 * @returns {Promise<Output>}
 */
export async function runCascade(network, model, picture, around, framed = false) {
  const [left, top, width, height, angle] = around;
  const box = model.rotated_windows ? [left, top, width, height, angle ?? 0] : [left, top, width, height];
  const framing = framed ? model.framing : null;
  const meanFace = framing ?? model.mean_face;
  const passes = meanFace ? model.num_passes : 1;
  const start = framing ? boxIn(framing, box) : box;
  const look = (next) => runPass(network, model, picture, next);
  const isKnown = angle !== undefined;
  const turns = model.rotated_windows && passes > 1 ? (isKnown ? KNOWN_TURNS : TURNS) : [];
  let tried = framing
    ? [await sharpestWindow(look, start, model.first_pass_scale)]
    : await firstPass(look, scaledBox(box, passes > 1 ? model.first_pass_scale : 1), model, turns, isKnown);
  for (let pass = 1; pass < passes; pass += 1) {
    const next = [];
    for (const { points } of tried) next.push(await look(nextBox(meanFace, points, box, start, model, picture)));
    tried = next;
  }
  return sharpestTurn(tried);
}

/** One pass of the network.  @returns {Promise<Output>} */
export async function runPass(network, model, picture, box) {
  const window = cropWindow(box, model.crop_scale);
  const pixels = new Float32Array(crop(picture, window, model.shape));
  const values = await network(pixels.map((value) => value / 255 - 0.5));
  const size = values.length / model.names.length;
  const places = Array.from(model.names, (_, k) => k * size);
  return {
    points: places.map((at) => toPixels([values[at], values[at + 1]], window)),
    variance: places.map((at) => (size > 2 ? values[at + 2] : NaN)),
  };
}

/**
 * The first window and, if it is in doubt, the sharpest of its other rotations: if the angle is known, only those
 * with sharp heatmaps.
 */
async function firstPass(look, box, model, turns, isKnown) {
  const upright = await look(box);
  if (!turns.length || !isUnusual(upright.variance, model)) return [upright];
  const turned = [];
  for (const turn of turns) turned.push(await look([...box.slice(0, 4), box[4] + turn]));
  const sorted = turned.sort((one, other) => meanDeviation(one.variance) - meanDeviation(other.variance));
  return [upright, ...sorted.slice(0, KEPT_TURNS).filter(({ variance }) => !isKnown || isSharp(variance, model))];
}

/** The box of the next pass; stray points must not lead out of the picture. */
function nextBox(meanFace, points, box, start, model, picture) {
  const around = model.rotated_windows ? rotatedBoxAround(meanFace, points, box) : boxAround(meanFace, points, box);
  if (!missesPicture(cropWindow(around, model.crop_scale), picture)) return around;
  return around.length > start.length ? [...start, 0] : start; // a start within a framing has no angle
}

function sharpestTurn(tried) {
  const deviation = tried.map(({ variance }, k) => meanDeviation(variance) * (k ? 1 : UPRIGHT_BONUS));
  return tried[deviation.reduce((best, value, k) => (value < deviation[best] ? k : best), 0)];
}

/** The output of the box or of one of the eight around it, wherever the heatmaps are sharpest. */
async function sharpestWindow(look, [left, top, width, height], scale) {
  let sharpest = null;
  for (const [x, y] of STEPS) {
    const output = await look(scaledBox([left + x * width, top + y * height, width, height], scale));
    if (!sharpest || mean(output.variance) < mean(sharpest.variance)) sharpest = output;
  }
  return sharpest;
}
