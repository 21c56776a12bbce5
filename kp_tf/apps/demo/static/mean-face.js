/**
 * The mean face of a training set, which turns points into the box of the next pass, as core/mean_face.py.
 *
 * @typedef {object} MeanFace
 * @property {number[]} box  left, top, width, height in units of the frame's width, from the frame's corner
 * @property {import("./windows.js").Point[]} points  likewise
 */

import { rotated } from "./windows.js";

/** The mean face's box in a frame.  @param {MeanFace} face  @param {number[]} frame */
export function boxIn({ box }, [left, top, width]) {
  return [left + box[0] * width, top + box[1] * width, box[2] * width, box[3] * width];
}

/**
 * The mean face's box, moved and scaled by least squares onto points, to between half and twice the frame's scale.
 *
 * @param {MeanFace} face
 * @param {import("./windows.js").Point[]} points  in pixels
 * @param {number[]} frame  whose width is the unit of scale
 */
export function boxAround(face, points, [, , width]) {
  const { shape, centre, middle, offsets } = compared(face, points);
  const extent = sumOf(shape, ([x, y]) => x * x + y * y);
  const fit = extent ? sumOf(shape, ([x, y], k) => x * offsets[k][0] + y * offsets[k][1]) / extent : width;
  const scale = Math.min(Math.max(fit, width / 2), width * 2);
  const corner = [0, 1].map((axis) => middle[axis] + 0.5 + scale * (face.box[axis] - centre[axis]));
  return [...corner, scale * face.box[2], scale * face.box[3]];
}

/** As `boxAround`, rotated with the face: a fifth number is its angle in degrees, clockwise in the picture. */
export function rotatedBoxAround(face, points, [, , width]) {
  const { shape, centre, middle, offsets } = compared(face, points);
  const extent = sumOf(shape, ([x, y]) => x * x + y * y);
  // as complex numbers, a similarity is one factor
  const real = extent ? sumOf(shape, ([x, y], k) => x * offsets[k][0] + y * offsets[k][1]) / extent : width;
  const imaginary = extent ? sumOf(shape, ([x, y], k) => x * offsets[k][1] - y * offsets[k][0]) / extent : 0;
  const scale = Math.min(Math.max(Math.hypot(real, imaginary), width / 2), width * 2);
  const angle = (Math.atan2(imaginary, real) * 180) / Math.PI;
  const size = [scale * face.box[2], scale * face.box[3]];
  const offset = rotated([0, 1].map((axis) => scale * (face.box[axis] + face.box[axis + 2] / 2 - centre[axis])), angle);
  const corner = [0, 1].map((axis) => middle[axis] + 0.5 + offset[axis] - size[axis] / 2);
  return [...corner, ...size, angle];
}

/** The full Procrustes distance of points from the mean face's, from 0 for the same shape to 1, and their angle. */
export function comparedWith(face, points) {
  const { shape, offsets } = compared(face, points);
  const [extent, other] = [shape, offsets].map((all) => sumOf(all, ([x, y]) => x * x + y * y));
  const real = sumOf(shape, ([x, y], k) => x * offsets[k][0] + y * offsets[k][1]);
  const imaginary = sumOf(shape, ([x, y], k) => x * offsets[k][1] - y * offsets[k][0]);
  const alike = (real * real + imaginary * imaginary) / (extent * other || 1);
  return { distance: Math.sqrt(Math.max(1 - alike, 0)), angle: (Math.atan2(imaginary, real) * 180) / Math.PI };
}

/** The mean face's points and the given ones, both from their middles. */
function compared(face, points) {
  const middleOf = (all) => [0, 1].map((axis) => sumOf(all, (point) => point[axis]) / all.length);
  const [centre, middle] = [face.points, points].map(middleOf);
  const from = (all, origin) => all.map(([x, y]) => [x - origin[0], y - origin[1]]);
  return { centre, middle, shape: from(face.points, centre), offsets: from(points, middle) };
}

const sumOf = (items, value) => items.reduce((sum, item, index) => sum + value(item, index), 0);
