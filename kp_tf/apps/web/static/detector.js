/** Finding faces with the detector's network on squares, as predict/detectors/builtin.py. */

import { boxOf, decode, eachOnce, STRIDE } from "./centres.js";
import { crop } from "./crop.js";
import { rint } from "./windows.js";

const MAX_ENLARGED = 2; // times
const MIN_SIDE = 16; // pixels of the picture: a smaller box is seldom a face, and shows no landmarks

/**
 * @typedef {object} Detector
 * @property {number} side  of the squares that its network takes, in pixels
 * @property {import("./cascade.js").Network} network  a grey square in [-0.5, 0.5] to cells, see centres.js
 */

/**
 * The boxes of the faces in a picture with their angles, the surest first.
 *
 * @param {Detector[]} detectors  of several sizes; smaller squares show large faces
 * @param {import("./crop.js").Picture} picture
 * @param {number} threshold  lowest score of a face
 * @returns {Promise<number[][]>}
 */
export async function detect(detectors, picture, threshold) {
  const found = [];
  for (const { side, network } of detectors) {
    const scale = Math.min(MAX_ENLARGED, side / Math.max(picture.width, picture.height));
    const cells = await network(square(picture, scale, side));
    for (const { x, y, side: length, ...rest } of decode(cells, side / STRIDE, threshold)) {
      found.push({ x: x / scale, y: y / scale, side: length / scale, ...rest });
    }
  }
  return eachOnce(found).filter(({ side }) => side >= MIN_SIDE).map(boxOf);
}

/** A picture, resized, in the upper left of a black square. */
function square(picture, scale, side) {
  const [columns, rows] = [picture.width, picture.height].map((length) => Math.max(1, rint(length * scale)));
  const small = crop(picture, [0, 0, picture.width, picture.height], [rows, columns]);
  const pixels = new Float32Array(side * side).fill(-0.5);
  for (let row = 0, place = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, place += 1) {
      pixels[row * side + column] = small[place] / 255 - 0.5;
    }
  }
  return pixels;
}
