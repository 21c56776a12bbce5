/**
 * How the cells of a detector's network say faces, as core/centres.py.
 *
 * @typedef {object} Centre  a face, in pixels from the picture's upper left corner
 * @property {number} x  of the middle of its box
 * @property {number} y
 * @property {number} side
 * @property {number} angle  in degrees, clockwise in the picture
 * @property {number} score
 */

export const STRIDE = 8; // pixels of a cell
const SIDE = 32; // pixels of a box of which a cell says 0
const CHANNELS = 6; // of a cell: logit, x, y, logarithm of the side, cosine, sine
const SAME = 0.4; // intersection over union from which two boxes are of one face
const NESTED = 0.8; // so they are if this much of the smaller one lies in the other: its size was seen wrongly

/**
 * The faces that a network's cells say: the peaks of its heatmap, each face once.
 *
 * @param {Float32Array} cells
 * @param {number} columns
 * @param {number} threshold  lowest score of a face
 * @returns {Centre[]}  the surest first
 */
export function decode(cells, columns, threshold) {
  const rows = cells.length / CHANNELS / columns;
  const logit = (row, column) => (
    row < 0 || column < 0 || row >= rows || column >= columns ? -Infinity : cells[(row * columns + column) * CHANNELS]
  );
  const isPeak = (row, column) => [-1, 0, 1].every((y) => (
    [-1, 0, 1].every((x) => logit(row, column) >= logit(row + y, column + x))
  ));
  const least = Math.log(threshold / (1 - threshold));
  const found = [];
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      if (logit(row, column) > least && isPeak(row, column)) found.push(centreOf(cells, row, column, columns));
    }
  }
  return eachOnce(found);
}

function centreOf(cells, row, column, columns) {
  const start = (row * columns + column) * CHANNELS;
  const [logit, x, y, side, cos, sin] = cells.subarray(start, start + CHANNELS);
  return {
    x: STRIDE * (column + 0.5 + x),
    y: STRIDE * (row + 0.5 + y),
    side: SIDE * Math.exp(Math.min(Math.max(side, -4), 5)),
    angle: (Math.atan2(sin, cos) * 180) / Math.PI,
    score: 1 / (1 + Math.exp(-logit)),
  };
}

/** Without those that overlap a surer one, the surest first.  @param {Centre[]} found  @returns {Centre[]} */
export function eachOnce(found) {
  const kept = [];
  for (const face of [...found].sort((one, other) => other.score - one.score)) {
    if (!kept.some((surer) => areSame(surer, face))) kept.push(face);
  }
  return kept;
}

function areSame(one, other) {
  const least = Math.min(one.side, other.side);
  const along = (axis) => Math.min(Math.max((one.side + other.side) / 2 - Math.abs(one[axis] - other[axis]), 0), least);
  const both = along("x") * along("y");
  return both >= SAME * (one.side ** 2 + other.side ** 2 - both) || both >= NESTED * least ** 2;
}

/** The box of a face with its angle, in pixels whose centres are at whole numbers.  @param {Centre} face */
export const boxOf = ({ x, y, side, angle }) => [x - side / 2, y - side / 2, side, side, angle];
