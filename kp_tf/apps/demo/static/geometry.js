/**
 * Geometry of points and boxes, in pixels of the upright photograph.
 *
 * The centre of the top left pixel is (0, 0), so the photograph begins at -0.5, and a box covers
 * [left - 0.5, left + width - 0.5).
 *
 * @typedef {[number, number]} Point  x, y
 * @typedef {[number, number, number, number]} Box  left, top, width, height
 */

/** Rounds to hundredths of a pixel, as the server does. */
export const round = (value) => Math.round(value * 100) / 100;

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

export const distance = ([x0, y0], [x1, y1]) => Math.hypot(x1 - x0, y1 - y0);

/** @param {Box} box  @returns {Point} */
export const boxCentre = ([left, top, width, height]) => [left + (width - 1) / 2, top + (height - 1) / 2];

/** The outer corners of a box, clockwise from the top left.  @param {Box} box  @returns {Point[]} */
export function boxCorners([left, top, width, height]) {
  const [x0, y0, x1, y1] = [left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5];
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

/** The box with two opposite outer corners.  @param {Point} one  @param {Point} other  @returns {Box} */
export function boxBetween([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1) + 0.5, Math.min(y0, y1) + 0.5, Math.abs(x1 - x0), Math.abs(y1 - y0)].map(round);
}

/** The box scaled about its centre.  @param {Box} box  @param {number} factor  @returns {Box} */
export function scaleBox([left, top, width, height], factor) {
  const [growX, growY] = [width * (factor - 1), height * (factor - 1)];
  return [left - growX / 2, top - growY / 2, width + growX, height + growY].map(round);
}

/** @param {Box} box  @param {Point} point */
export function boxContains([left, top, width, height], [x, y]) {
  return x > left - 0.5 && y > top - 0.5 && x < left + width - 0.5 && y < top + height - 0.5;
}

const [DIGIT_WIDTH, DIGIT_HEIGHT] = [0.64, 0.73]; // in the size of the text

/**
 * The size of the text beside a point that leaves the texts of its neighbours room.
 *
 * @param {(Point | null)[]} points  null for those that have no text
 * @param {number} index
 * @param {string} text
 * @param {number} largest
 */
export function labelSize(points, index, text, largest) {
  const nearest = Math.min(...points.map((point, k) => (point && k !== index ? distance(point, points[index]) : Infinity)));
  return Math.min(largest, nearest / Math.hypot(text.length * DIGIT_WIDTH, DIGIT_HEIGHT));
}

/**
 * Where the number of a box is written: above its upper left corner, or below its upper edge where there is no room
 * above, and always in the photograph. The numbers of boxes that have this corner in common stand side by side.
 *
 * @param {Box[]} boxes
 * @param {number} index
 * @param {number} size  of the text
 * @returns {Point}  the left end of the text's line
 */
export function numberPosition(boxes, index, size) {
  const corners = boxes.slice(0, index + 1).map(([x, y]) => [Math.max(x, 0), Math.max(y, 0)]);
  const [left, top] = corners.pop();
  const near = ([x, y]) => Math.abs(x - left) < 1.5 * size && Math.abs(y - top) < size;
  const earlier = corners.filter(near).length;
  const y = top > size ? top - 0.2 * size : top + DIGIT_HEIGHT * size + 0.2 * size;
  return [left + (0.1 + 1.5 * earlier) * size, y];
}

/**
 * The index of the point nearest to a position, or null if none lies within reach.
 *
 * @param {(Point | null)[]} points  null is skipped
 * @param {Point} position
 * @param {number} reach  in pixels of the photograph
 */
export function nearestPoint(points, position, reach) {
  let nearest = null;
  points.forEach((point, index) => {
    const away = point ? distance(point, position) : Infinity;
    if (away < reach) [nearest, reach] = [index, away];
  });
  return nearest;
}
