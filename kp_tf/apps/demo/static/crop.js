/**
 * Cutting windows out of grey pictures, to the same bytes as core/images.py does with Pillow: antialiased by a triangle
 * filter in two passes of fixed-point arithmetic, and rotated windows by bicubic interpolation of an upright crop.
 *
 * @typedef {object} Picture  a grey picture
 * @property {Uint8Array} grey  row by row
 * @property {number} width
 * @property {number} height
 */

import { enclosingWindow, toPixels, toUnit } from "./windows.js";

const BITS = 22; // of the fixed-point weights
const HALF = 1 << (BITS - 1);

/**
 * The grey crop of a window; black where it leaves the picture.
 *
 * @param {Picture} picture
 * @param {import("./windows.js").Window} window
 * @param {[number, number]} shape  rows and columns of the crop
 * @returns {Uint8Array}
 */
export function crop(picture, window, [rows, columns]) {
  if (!window[4]) return resample(picture, window, [rows, columns]);
  const enclosing = enclosingWindow(window);
  const side = Math.ceil(Math.hypot(rows, columns));
  const upright = { grey: resample(picture, enclosing, [side, side]), width: side, height: side };
  return rotate(upright, enclosing, window, [rows, columns]);
}

function resample({ grey, width, height }, [left, top, wide, high], [rows, columns]) {
  const [across, down] = [filterWeights(left, wide, columns, width), filterWeights(top, high, rows, height)];
  const [first, end] = [Math.max(top, 0), Math.min(top + high, height)]; // of the rows inside the picture
  const narrow = new Uint8Array(Math.max(end - first, 0) * columns);
  for (let y = first, place = 0; y < end; y += 1) {
    for (let column = 0; column < columns; column += 1, place += 1) {
      const { start, weights } = across[column];
      const from = y * width + start;
      let sum = HALF;
      for (let k = 0; k < weights.length; k += 1) sum += grey[from + k] * weights[k];
      narrow[place] = sum >> BITS;
    }
  }
  const result = new Uint8Array(rows * columns);
  const sums = new Int32Array(columns);
  down.forEach(({ start, weights }, row) => {
    sums.fill(HALF);
    for (let k = 0; k < weights.length; k += 1) { // row by row, as the pixels lie in memory
      const [from, weight] = [(start + k - first) * columns, weights[k]];
      for (let column = 0; column < columns; column += 1) sums[column] += narrow[from + column] * weight;
    }
    for (let column = 0; column < columns; column += 1) result[row * columns + column] = sums[column] >> BITS;
  });
  return result;
}

/**
 * For each of `count` pixels that divide `size` pixels of the picture from `offset` on, the first pixel that it covers
 * and the weights from there on; pixels beyond the picture, which has `limit`, are left out.
 */
function filterWeights(offset, size, count, limit) {
  const scale = size / count;
  const reach = Math.max(scale, 1);
  return Array.from({ length: count }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), size);
    const shares = new Float64Array(end - start);
    let total = 0;
    for (let k = 0; k < shares.length; k += 1) {
      shares[k] = Math.max(1 - Math.abs((k + start - centre + 0.5) / reach), 0);
      total += shares[k];
    }
    const from = Math.max(-offset - start, 0);
    const weights = new Int32Array(Math.max(Math.min(end - start, limit - offset - start) - from, 0));
    for (let k = 0; k < weights.length; k += 1) {
      weights[k] = Math.trunc(0.5 + (shares[from + k] / total) * (1 << BITS));
    }
    return { start: offset + start + from, weights };
  });
}

/** A rotated window from the crop of the window that encloses it. */
function rotate(upright, enclosing, window, [rows, columns]) {
  const place = (corner) => toUnit(toPixels(corner, window), enclosing).map((value) => value * upright.width);
  const [origin, right, below] = [place([0, 0]), place([1, 0]), place([0, 1])];
  const [xx, yx] = [0, 1].map((axis) => (right[axis] - origin[axis]) / columns);
  const [xy, yy] = [0, 1].map((axis) => (below[axis] - origin[axis]) / rows);
  const result = new Uint8Array(rows * columns);
  for (let row = 0, index = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, index += 1) {
      const x = xx * (column + 0.5) + xy * (row + 0.5) + origin[0];
      const y = yx * (column + 0.5) + yy * (row + 0.5) + origin[1];
      const isInside = x >= 0 && x < upright.width && y >= 0 && y < upright.height;
      if (isInside) result[index] = bicubic(upright, x - 0.5, y - 0.5);
    }
  }
  return result;
}

function bicubic({ grey, width, height }, x, y) {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  const [t, right] = [x - column, width - 1];
  const a = clamp(column - 1, right);
  const b = clamp(column, right);
  const c = clamp(column + 1, right);
  const d = clamp(column + 2, right);
  const inRow = (index) => {
    const start = clamp(index, height - 1) * width;
    return cubic(grey[start + a], grey[start + b], grey[start + c], grey[start + d], t);
  };
  const value = Math.trunc(cubic(inRow(row - 1), inRow(row), inRow(row + 1), inRow(row + 2), y - row));
  return clamp(value, 255);
}

/** Pillow's cubic through four values, `t` after the second. */
const cubic = (a, b, c, d, t) => b + t * (c - a + t * (2 * (a - b) + c - d + t * (b - a + d - c)));

const clamp = (value, largest) => Math.min(Math.max(value, 0), largest);
