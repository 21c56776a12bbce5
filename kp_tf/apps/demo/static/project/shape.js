/** The mean shape on a photograph, and boxes around points. */

import { distance, mean, round } from "../geometry.js";

const MARGIN = 0.1; // of a box around points, in units of its longer side
const SMALLEST_BOX = 8; // pixels

/**
 * Where the points of an object are likely to be: the mean shape, moved, scaled and rotated by least squares onto the
 * points that are marked. With one of them it is only moved, with none it lies where objects lie on average.
 *
 * @param {import("./api.js").Shape} shape
 * @param {(?import("../geometry.js").Point)[]} marked
 * @param {{width: number, height: number}} photo
 * @returns {(?import("../geometry.js").Point)[]}
 */
export function shapeOn(shape, marked, { width, height }) {
  const size = shape.size * Math.sqrt(width * height);
  const pairs = shape.points.flatMap((from, index) => (from && marked[index] ? [[from, marked[index]]] : []));
  const [[fromX, fromY], [toX, toY]] = pairs.length
    ? [0, 1].map((side) => [0, 1].map((axis) => mean(pairs.map((pair) => pair[side][axis]))))
    : [[0, 0], [shape.centre[0] * width, shape.centre[1] * height]];
  let [cos, sin, extent] = [0, 0, 0]; // a similarity is one complex factor
  for (const [[x, y], [u, v]] of pairs) {
    const [px, py, qx, qy] = [x - fromX, y - fromY, u - toX, v - toY];
    cos += px * qx + py * qy;
    sin += px * qy - py * qx;
    extent += px * px + py * py;
  }
  const fits = pairs.length > 1 && extent > 1e-9 && Math.hypot(cos, sin) > 1e-9;
  const [a, b] = fits ? [cos / extent, sin / extent] : [size, 0];
  return shape.points.map((point) => {
    if (!point) return null;
    const [x, y] = [point[0] - fromX, point[1] - fromY];
    return [toX + a * x - b * y, toY + b * x + a * y].map(round);
  });
}

/** The box around the points that are there.  @param {(?import("../geometry.js").Point)[]} points */
export function boxAround(points) {
  const there = points.filter(Boolean);
  const [low, high] = [Math.min, Math.max].map((end) => [0, 1].map((axis) => end(...there.map((point) => point[axis]))));
  const longest = Math.max(high[0] - low[0], high[1] - low[1]);
  const margin = MARGIN * longest;
  const [width, height] = [0, 1].map((axis) => Math.max(high[axis] - low[axis] + 2 * margin, SMALLEST_BOX));
  return [(low[0] + high[0] + 1 - width) / 2, (low[1] + high[1] + 1 - height) / 2, width, height].map(round);
}

/** Whether the box of a face is not shown: it still grows with every point that is marked. */
export const isUnboxed = ({ drawn, todo }) => !drawn && todo.length > 0;

/** Whether a box is the one around its points, in the whole pixels that files have. */
export function isAround(box, points) {
  if (!points.some(Boolean)) return true;
  const [left, top, width, height] = boxAround(points);
  const corners = ([x, y, w, h]) => [[x, y], [x + w, y + h]];
  const [one, other] = [corners(box), corners([left, top, width, height])];
  return one.every((corner, index) => distance(corner, other[index]) < 2.5);
}
