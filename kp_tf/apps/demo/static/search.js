/**
 * Finding things without a detector: the network's own first pass at many places, where its heatmaps are sharp, as
 * predict/search.py.
 */

import { runCascade, runPass } from "./cascade.js";
import { isSharp, meanDeviation } from "./confidence.js";
import { boxAround } from "./mean-face.js";
import { cropWindow, missesPicture, nesting, overlap, scaledBox } from "./windows.js";

const SIDES = [0.75, 0.5, 0.34]; // of the boxes, in units of the picture's shorter side
const STEP = 0.5; // between boxes, in units of their side
const TRIED = 6; // of the sharpest places go through all passes
const SAME = 0.3; // intersection over union from which two boxes are of one thing
const NESTED = 0.8; // so they are if this much of the smaller one lies in the other
const PAUSE_EVERY = 4; // passes, so that the page answers meanwhile

/**
 * The boxes of the things that are at least a quarter of the picture high, the surest first.
 *
 * @param {import("./cascade.js").Network} network
 * @param {import("./predictor.js").Model} model
 * @param {import("./crop.js").Picture} picture
 * @returns {Promise<number[][]>}
 */
export async function search(network, model, picture) {
  const around = (points, box) => (model.mean_face ? boxAround(model.mean_face, points, box) : box);
  const places = [];
  for (const box of boxesIn(picture)) {
    if (places.length % PAUSE_EVERY === 0) await pause();
    const { points, variance } = await runPass(network, model, picture, scaledBox(box, model.first_pass_scale));
    places.push({ box: around(points, box), deviation: meanDeviation(variance) });
  }
  const found = [];
  for (const place of distinct(places).slice(0, TRIED)) {
    const { points, variance } = await runCascade(network, model, picture, place.box);
    const box = around(points, place.box);
    const isOutside = missesPicture(cropWindow(box, model.crop_scale), picture);
    if (isOutside || !isSharp(variance, model)) continue;
    found.push({ box, deviation: meanDeviation(variance) });
  }
  return distinct(found, NESTED).map(({ box }) => box);
}

function boxesIn({ width, height }) {
  return SIDES.flatMap((share) => {
    const side = share * Math.min(width, height);
    return starts(height, side).flatMap((top) => starts(width, side).map((left) => [left, top, side, side]));
  });
}

/** Where boxes of a side begin that cover a length evenly, a step apart at most. */
function starts(length, side) {
  const count = Math.ceil((length - side) / (STEP * side)) + 1;
  if (count === 1) return [(length - side) / 2];
  return Array.from({ length: count }, (_, k) => (k * (length - side)) / (count - 1));
}

/** Those that are not of one thing with a sharper one, the sharpest first. */
export function distinct(places, nested = Infinity) {
  const kept = [];
  for (const place of [...places].sort((one, other) => one.deviation - other.deviation)) {
    const isSame = ({ box }) => overlap(box, place.box) >= SAME || nesting(box, place.box) >= nested;
    if (!kept.some(isSame)) kept.push(place);
  }
  return kept;
}

const pause = () => new Promise((resolve) => setTimeout(resolve));
