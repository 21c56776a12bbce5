/** The confidence in points, and whether a detection is a face, as predict/confidence.py. */

const NEAR = 0.03; // of the crop's side
const UNCALIBRATED = [Math.log((Math.PI / 4) * NEAR ** 2), -2]; // for comparisons within one network alone
const NARROWEST = 1e-30; // variance: exact zeros have no logarithm
const SHARP = 1.1; // of the usual deviation
const MIN_CONFIDENCE = 0.7; // mean of a detection, of networks without a max_deviation

/** The probability that each point lies within 3 % of the crop's side of the truth; NaN without a calibration. */
export function confidenceOf(variance, calibration) {
  if (!calibration) return variance.map(() => NaN);
  const [a, b, c = 0] = calibration; // c: of the mean width of the face's heatmaps, which not every network has
  const widths = variance.map((value) => Math.log(Math.max(value, NARROWEST)) / 2);
  const shared = a + c * mean(widths);
  return widths.map((width) => -Math.expm1(-Math.exp(shared + b * width)));
}

/** As `confidenceOf`; what a network that is not calibrated gives tells a lost face from one that is seen. */
export const comparableConfidence = (variance, calibration) => confidenceOf(variance, calibration ?? UNCALIBRATED);

/** The geometric mean of the heatmaps' standard deviations. */
export const meanDeviation = (variance) => Math.exp(mean(variance.map(Math.log)) / 2);

/** Whether a detection is probably no face.  @param {number[]} variance  @param {import("./predictor.js").Model} model */
export const isDoubtful = (variance, { calibration, max_deviation }) => exceeds(variance, calibration, max_deviation);

/** Whether the heatmaps are wider than those of 95 of 100 faces, so that other rotations are worth a try. */
export const isUnusual = (variance, { calibration, usual_deviation }) => exceeds(variance, calibration, usual_deviation);

/** Whether a window, of many that were tried, shows what the network was trained on. */
export function isSharp(variance, { calibration, usual_deviation, max_deviation }) {
  return !exceeds(variance, calibration, usual_deviation ? SHARP * usual_deviation : max_deviation);
}

function exceeds(variance, calibration, largest) {
  if (largest) return meanDeviation(variance) > largest;
  return mean(confidenceOf(variance, calibration)) < MIN_CONFIDENCE; // false for NaN
}

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
