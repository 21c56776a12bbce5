/** The 1 € filter, as predict/tracking.py (Casiez, Roussel, Vogel: 1 € Filter, CHI 2012). */

const MIN_CUTOFF = 0.5; // Hz, for a face that does not move
const SPEED_COEFFICIENT = 100; // Hz for each face width per second
const SPEED_CUTOFF = 4; // Hz, of the filter of the speed itself

/** The weight of a new value in a first-order low-pass filter with this cutoff in Hz, `passed` seconds later. */
export const filterWeight = (cutoff, passed) => 1 / (1 + 1 / (2 * Math.PI * cutoff * passed));

/** A low-pass filter whose cutoff rises with speed, so that it smooths at rest and lags little. */
export class OneEuro {
  #last = null;

  /**
   * @param {import("./windows.js").Point[]} points  in pixels
   * @param {number} seconds  the time of the frame
   * @param {number} width  of the face in pixels
   * @returns {import("./windows.js").Point[]}
   */
  filter(points, seconds, width) {
    if (!this.#last) {
      this.#last = { seconds, points, speeds: points.map(() => [0, 0]) };
      return points;
    }
    const passed = seconds - this.#last.seconds;
    if (passed <= 0) return this.#last.points;
    const before = this.#last.points;
    const speedWeight = filterWeight(SPEED_CUTOFF, passed);
    const speeds = this.#last.speeds.map((speed, k) => speed.map((value, axis) => {
      const now = (points[k][axis] - before[k][axis]) / (passed * width);
      return value + speedWeight * (now - value);
    }));
    const filtered = points.map((point, k) => {
      const weight = filterWeight(MIN_CUTOFF + SPEED_COEFFICIENT * Math.hypot(...speeds[k]), passed);
      return point.map((value, axis) => before[k][axis] + weight * (value - before[k][axis]));
    });
    this.#last = { seconds, points: filtered, speeds };
    return filtered;
  }
}
