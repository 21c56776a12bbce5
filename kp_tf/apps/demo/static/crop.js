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
  const [across, down] = [filterWeights(wide, columns), filterWeights(high, rows)];
  const [first, end] = [Math.max(top, 0), Math.min(top + high, height)]; // of the rows inside the picture
  const narrow = new Uint8Array(Math.max(end - first, 0) * columns);
  for (let y = first, place = 0; y < end; y += 1) {
    for (let column = 0; column < columns; column += 1, place += 1) {
      const { start, weights } = across[column];
      let sum = 1 << (BITS - 1);
      for (let k = Math.max(0, -left - start); k < weights.length && left + start + k < width; k += 1) {
        sum += grey[y * width + left + start + k] * weights[k];
      }
      narrow[place] = clipped(sum >> BITS);
    }
  }
  const result = new Uint8Array(rows * columns);
  for (let row = 0, place = 0; row < rows; row += 1) {
    const { start, weights } = down[row];
    const [from, to] = [Math.max(0, first - top - start), Math.min(weights.length, end - top - start)];
    for (let column = 0; column < columns; column += 1, place += 1) {
      let sum = 1 << (BITS - 1);
      for (let k = from; k < to; k += 1) sum += narrow[(top + start + k - first) * columns + column] * weights[k];
      result[place] = clipped(sum >> BITS);
    }
  }
  return result;
}

/** For each of `count` pixels, the first of `size` pixels that it covers and the weights from there on. */
function filterWeights(size, count) {
  const scale = size / count;
  const reach = Math.max(scale, 1);
  return Array.from({ length: count }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), size);
    const weight = (_, k) => Math.max(1 - Math.abs((k + start - centre + 0.5) / reach), 0);
    const weights = Array.from({ length: end - start }, weight);
    const total = weights.reduce((sum, value) => sum + value, 0);
    return { start, weights: Int32Array.from(weights, (value) => Math.trunc(0.5 + (value / total) * (1 << BITS))) };
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
  const inRow = (offset) => {
    const start = clamp(row + offset, height) * width;
    const at = (k) => grey[start + clamp(column + k, width)];
    return cubic(at(-1), at(0), at(1), at(2), x - column);
  };
  return clipped(Math.trunc(cubic(inRow(-1), inRow(0), inRow(1), inRow(2), y - row)));
}

/** Pillow's cubic through four values, `t` after the second. */
const cubic = (a, b, c, d, t) => b + t * (c - a + t * (2 * (a - b) + c - d + t * (b - a + d - c)));

const clamp = (index, size) => Math.min(Math.max(index, 0), size - 1);

const clipped = (value) => Math.min(Math.max(value, 0), 255);
