/**
 * The pose of a head, and how far its eyes and mouth are open, as core/pose.py and core/measures.py have them.
 *
 * @typedef {?import("./windows.js").Point} Point  null if it is missing
 */

const FIRST = 27; // of the 68: the points of nose and eyes follow
const EYES = [36, 42].map((k) => ({ heights: [[k + 1, k + 5], [k + 2, k + 4]], width: [k, k + 3] }));
const MOUTH = { heights: [[61, 67], [62, 66], [63, 65]], width: [60, 64] };

/**
 * What the JSON of a face says of its head.
 *
 * @param {Point[]} points  the 68, in pixels of the upright photograph
 * @param {number[][]} inverse  of the mean shape of nose and eyes, transposed: (21, 3)
 */
export function describeHead(points, inverse) {
  return {
    pose: poseOf(points, inverse),
    eye_aspect_ratio: EYES.map((eye) => aspectRatio(points, eye)),
    mouth_aspect_ratio: aspectRatio(points, MOUTH),
  };
}

/** Angles in degrees: the affine camera by least squares, then the nearest scaled orthographic one. */
function poseOf(points, inverse) {
  const used = points.slice(FIRST, FIRST + inverse.length);
  if (used.includes(null)) return null;
  const camera = [0, 1].map((axis) => [0, 1, 2].map((k) => sumOf(used, (point, n) => point[axis] * inverse[n][k])));
  const [right, down] = orthonormal(camera);
  const towards = [1, 2, 0].map((j, k) => right[j] * down[(k + 2) % 3] - right[(k + 2) % 3] * down[j]);
  const yaw = Math.atan2(-towards[0], towards[2]);
  const pitch = Math.asin(Math.min(Math.max(towards[1], -1), 1));
  const roll = Math.atan2(-right[1], down[1]);
  const degrees = (angle) => Number(((angle * 180) / Math.PI).toFixed(1)) + 0; // + 0 for -0
  return Number.isNaN(yaw) ? null : { yaw: degrees(yaw), pitch: degrees(pitch), roll: degrees(roll) };
}

/** The nearest two orthonormal vectors: (C Cᵀ)^(-1/2) C. */
function orthonormal([one, other]) {
  const dot = (a, b) => sumOf(a, (value, k) => value * b[k]);
  const [a, b, d] = [dot(one, one), dot(one, other), dot(other, other)];
  const root = Math.sqrt(a * d - b * b);
  const scale = root * Math.sqrt(a + d + 2 * root);
  const mixed = (p, q) => one.map((value, k) => (p * value + q * other[k]) / scale);
  return [mixed(d + root, -b), mixed(-b, a + root)];
}

function aspectRatio(points, { heights, width }) {
  if ([...heights.flat(), ...width].some((k) => points[k] === null)) return null;
  const distance = ([k, n]) => Math.hypot(points[k][0] - points[n][0], points[k][1] - points[n][1]);
  const across = distance(width);
  return across ? Number((sumOf(heights, distance) / heights.length / across).toFixed(3)) : null;
}

const sumOf = (items, value) => items.reduce((sum, item, index) => sum + value(item, index), 0);
