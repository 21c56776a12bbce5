/** The colours of points. */

import { state } from "./state.js";

// From confidence 0.5 to 1; people with a colour vision deficiency can tell these from each other.
const RAMP = [[213, 94, 0], [240, 228, 66], [86, 180, 233]];
const UNKNOWN = "#ffffff"; // confidence is not known, as for points set by hand

/** The CSS colour of a point: that of its group, or of its confidence. */
export function pointColour(photo, face, index) {
  if (!state.show.confidence) return photo.colours[index];
  const confidence = face.confidence[index];
  return confidence === null ? UNKNOWN : rampColour((confidence - 0.5) / 0.5);
}

/** @param {number} fraction  0 for the first colour of the ramp, 1 for the last */
function rampColour(fraction) {
  const position = Math.min(Math.max(fraction, 0), 1) * (RAMP.length - 1);
  const start = Math.min(Math.floor(position), RAMP.length - 2);
  const mixed = RAMP[start].map((value, k) => Math.round(value + (position - start) * (RAMP[start + 1][k] - value)));
  return `rgb(${mixed.join(",")})`;
}
