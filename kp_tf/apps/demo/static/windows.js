/**
 * Boxes and crop windows, as core/geometry.py has them.
 *
 * A box or window is [left, top, width, height] in pixels, or has a fifth number: the angle in degrees by which it is
 * rotated about its centre, clockwise in the picture. Points are in pixels, or in the unit square of a window, which is
 * rotated with it.
 *
 * @typedef {number[]} Window
 * @typedef {[number, number]} Point
 */

const MAX_EMPTINESS = 50; // a window may be this many times as large as its part inside the picture

/** Rounds as NumPy does: halves to the even neighbour.  @param {number} value */
export function rint(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/**
 * The window to crop; one that is not rotated is of whole pixels.
 *
 * @param {Window} box
 * @param {?number} scale  side of a square about the box's centre, in units of its longer side; null: the box itself
 */
export function cropWindow([left, top, width, height, ...angle], scale) {
  if (scale !== null) {
    const side = scale * Math.max(width, height);
    [left, top, width, height] = [left + (width - side) / 2, top + (height - side) / 2, side, side];
  }
  if (angle[0]) return [left, top, Math.max(width, 1), Math.max(height, 1), ...angle];
  return [rint(left), rint(top), Math.max(rint(width), 1), Math.max(rint(height), 1), ...angle];
}

/** A box scaled by a factor about its centre, without rounding. */
export function scaledBox([left, top, width, height, ...angle], factor) {
  const [x, y] = [left - ((factor - 1) / 2) * width, top - ((factor - 1) / 2) * height];
  return [x, y, factor * width, factor * height, ...angle];
}

/** A square of whole pixels that holds a rotated window, whatever its angle. */
export function enclosingWindow([left, top, width, height]) {
  const side = Math.ceil(Math.hypot(width, height)) + 2; // one pixel more on each side, for interpolation
  return [Math.floor(left + (width - side) / 2), Math.floor(top + (height - side) / 2), side, side];
}

/** Whether a window lies almost or wholly outside a picture. */
export function missesPicture(window, { width, height }) {
  const [left, top, wide, high] = window.length > 4 ? enclosingWindow(window) : window;
  const inside = (start, length, size) => Math.max(Math.min(size, start + length) - Math.max(start, 0), 0);
  return wide * high > MAX_EMPTINESS * inside(left, wide, width) * inside(top, high, height);
}

/** @param {Point} point  @param {number} degrees  clockwise in the picture  @returns {Point} */
export function rotated([x, y], degrees) {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return [cos * x - sin * y, sin * x + cos * y];
}

/** A point in pixels to the unit square of a window.  @param {Point} point  @returns {Point} */
export function toUnit([x, y], [left, top, width, height, angle = 0]) {
  const [dx, dy] = rotated([x - left + 0.5 - width / 2, y - top + 0.5 - height / 2], -angle);
  return [dx / width + 0.5, dy / height + 0.5];
}

/** A point in the unit square of a window to pixels.  @param {Point} point  @returns {Point} */
export function toPixels([u, v], [left, top, width, height, angle = 0]) {
  const [dx, dy] = rotated([(u - 0.5) * width, (v - 0.5) * height], angle);
  return [left + width / 2 + dx - 0.5, top + height / 2 + dy - 0.5];
}

/** Of two boxes the part of the smaller one that lies in the other. */
export function nesting(one, other) {
  const [shared, area, size] = [overlap(one, other), one[2] * one[3], other[2] * other[3]];
  return ((shared / (1 + shared)) * (area + size)) / Math.min(area, size);
}

/** Intersection over union of two boxes; angles are ignored. */
export function overlap([left, top, width, height], [x, y, wide, high]) {
  const across = Math.max(Math.min(left + width, x + wide) - Math.max(left, x), 0);
  const down = Math.max(Math.min(top + height, y + high) - Math.max(top, y), 0);
  return (across * down) / (width * height + wide * high - across * down);
}
