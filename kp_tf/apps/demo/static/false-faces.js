/** Whether a detection is a face, by its heatmaps and its shape, as predict/false_faces.py. */

import { isDoubtful } from "./confidence.js";
import { comparedWith } from "./mean-face.js";

const MOST_UNLIKE = 0.5; // distance from the mean shape: faces have less

/**
 * Whether a detection is probably no face.
 *
 * @param {import("./cascade.js").Output} output
 * @param {import("./windows.js").Window} box  with the angle that the detector tells, if it tells it
 * @param {import("./predictor.js").Model} model
 */
export function isFalse({ points, variance }, box, model) {
  if (!model.shape_limit) return isDoubtful(variance, model);
  const [constant, ofDistance, ofAngle] = model.shape_limit;
  const { distance, angle } = comparedWith(model.mean_face, points);
  const apart = Math.abs(((((angle - (box[4] ?? angle) + 180) % 360) + 360) % 360) - 180);
  const exponent = constant + ofDistance * Math.min(distance, MOST_UNLIKE) + ofAngle * Math.min(apart / 90, 1);
  return isDoubtful(variance, { ...model, max_deviation: model.max_deviation * Math.exp(exponent) });
}
