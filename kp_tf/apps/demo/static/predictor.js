/**
 * From pictures to faces with points, as predict/predictor.py.
 *
 * @typedef {import("./cascade.js").Output & {box: number[]}} FoundFace  in pixels of the picture
 *
 * @typedef {object} Model  as apps/demo/live.py and apps/web/site.py write it
 * @property {string} name
 * @property {[number, number]} shape  rows and columns of the crop
 * @property {?number} crop_scale
 * @property {number} num_passes
 * @property {number} first_pass_scale
 * @property {boolean} rotated_windows
 * @property {boolean} takes_whole_photographs
 * @property {?import("./mean-face.js").MeanFace} mean_face
 * @property {?import("./mean-face.js").MeanFace} framing  relative to whole photographs
 * @property {?number[]} calibration
 * @property {?number} usual_deviation
 * @property {?number} max_deviation
 * @property {?[number, number, number]} shape_limit  see false-faces.js
 * @property {string[]} names  of the points
 * @property {Record<string, number[]>} groups
 * @property {string[]} colours  one for each point
 * @property {?number[]} mirror
 * @property {?number[][]} head  of the 68 points: see head.js
 * @property {?{sides: number[], threshold: number}} detector  the sides of its squares, the largest first, and the
 *   lowest score of a face; null if the network itself finds what it was trained on
 *
 * @typedef {(picture: import("./crop.js").Picture) => Promise<import("./windows.js").Window[]>} Finder  the boxes of
 *   the faces in a picture
 */

import { runCascade, runPass } from "./cascade.js";
import { mean, meanDeviation } from "./confidence.js";
import { isFalse } from "./false-faces.js";
import { cropWindow, missesPicture } from "./windows.js";

const SAME_POINTS = 0.25; // mean distance, in sides of the box, up to which two predictions are of the same face

export class Predictor {
  #network;
  #find;

  /**
   * @param {import("./cascade.js").Network} network
   * @param {Model} model
   * @param {Finder} find
   */
  constructor(network, model, find) {
    this.model = model;
    this.#network = network;
    this.#find = find;
  }

  /**
   * The faces of a picture.
   *
   * @param {import("./crop.js").Picture} picture
   * @param {?number[][]} [boxes]  by default the faces are found, and those that are probably none are discarded
   * @returns {Promise<FoundFace[]>}
   */
  async predict(picture, boxes = null) {
    const { takes_whole_photographs: takesWhole } = this.model;
    const framed = !boxes && takesWhole;
    const isInside = (box) => !missesPicture(cropWindow(box, this.model.crop_scale), picture);
    if (boxes && !boxes.every(isInside)) throw new Error("The box lies outside the photograph.");
    const whole = [[0, 0, picture.width, picture.height]];
    const found = boxes ?? (takesWhole ? whole : (await this.#find(picture)).filter(isInside));
    const faces = [];
    for (const box of found) {
      const output = await runCascade(this.#network, this.model, picture, box, framed);
      if (boxes || framed || !isFalse(output, box, this.model)) faces.push({ box: box.slice(0, 4), ...output });
    }
    return boxes || framed ? faces : distinct(faces);
  }

  /** The face where a tracker expects it, in a single pass.  @returns {Promise<FoundFace>} */
  async follow(picture, box) {
    return { box: box.slice(0, 4), ...(await runPass(this.#network, this.model, picture, box)) };
  }
}

/** Faces without those that are a sharper one again.  @param {FoundFace[]} faces  @returns {FoundFace[]} */
function distinct(faces) {
  const kept = [];
  const spread = new Map(faces.map((face) => [face, meanDeviation(face.variance)]));
  for (const face of [...faces].sort((one, other) => spread.get(one) - spread.get(other))) {
    if (!kept.some((sharper) => areSame(sharper, face))) kept.push(face);
  }
  return faces.filter((face) => kept.includes(face));
}

function areSame({ points, box }, other) {
  const apart = points.map(([x, y], k) => Math.hypot(x - other.points[k][0], y - other.points[k][1]));
  return mean(apart) <= SAME_POINTS * Math.max(box[2], box[3]);
}
