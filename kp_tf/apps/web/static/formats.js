/** The files of points that `kp-tf predict --upright` writes too, see predict/writers.py. */

import { describeHead } from "./head.js";

/** One JSON text: what the points are, then each photograph with its faces, in pixels of the upright photograph. */
export function asJson(photographs, { name, names, groups, mirror, head }) {
  const face = ({ box, points, confidence }) => (
    { box, points, confidence, ...(head ? describeHead(points, head) : {}) }
  );
  const plain = photographs.map(({ file, width, height, faces }) => (
    { file, width, height, orientation: 1, faces: faces.map(face) }
  ));
  return `${JSON.stringify({ network: name, names, groups, mirror, photographs: plain })}\n`;
}

/** 300-W's format, which counts pixels from 1. */
export function asPts({ points }) {
  const missing = points.indexOf(null);
  if (missing >= 0) throw new Error("cannot save .pts: it needs all points, and some are not visible");
  const lines = points.map(([x, y]) => `${(x + 1).toFixed(2)} ${(y + 1).toFixed(2)}`);
  return `version: 1\nn_points: ${points.length}\n{\n${lines.join("\n")}\n}\n`;
}
