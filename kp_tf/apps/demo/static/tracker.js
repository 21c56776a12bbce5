/** Following faces from frame to frame, as predict/tracking.py: found once, then followed by their points. */

import { comparableConfidence, mean } from "./confidence.js";
import { boxAround, rotatedBoxAround } from "./mean-face.js";
import { filterWeight, OneEuro } from "./one-euro.js";
import { cropWindow, missesPicture, overlap } from "./windows.js";

const FIND_EVERY = 2; // seconds, while all faces are tracked with confidence
const FIND_SOON = 0.2; // seconds, while there is no face, or one is lost
const MIN_RELATIVE_CONFIDENCE = 0.6; // of the confidence that the track has had; below it the face is lost
const MAX_LOST = 1; // seconds after which the number of a lost face is given up
const SAME_FACE = 0.3; // intersection over union above which two boxes are of one face
const MAX_GROWTH = 1.2; // of a face in one frame; a track of something else shrinks to nothing
const ISOLATED = 0.05; // intersection over union below which another face does not disturb the speed of a face
const STILL = 0.01; // of the box's width: smaller moves are ignored, so that the same pixels give the same points
const RATE = 30; // frames a second, where a time does not rise

/**
 * @typedef {object} TrackedFace  in pixels of the frame
 * @property {number} number  of the face, the same in all frames
 * @property {number[]} box
 * @property {import("./windows.js").Point[]} points  filtered
 * @property {number[]} variance
 */

export class Tracker {
  #predictor;
  #steady;
  #findEvery;
  #tracks = [];
  #count = 0;
  #found = -Infinity; // when faces were last looked for
  #now = -Infinity;
  #size = null;

  /**
   * @param {import("./predictor.js").Predictor} predictor
   * @param {{steady?: boolean, findEvery?: number}} [options]  steady filters jitter out of the points
   */
  constructor(predictor, { steady = true, findEvery = FIND_EVERY } = {}) {
    this.#predictor = predictor;
    this.#steady = steady;
    this.#findEvery = findEvery;
  }

  /**
   * The faces of the next frame, ordered by number; lost ones are left out.
   *
   * @param {import("./crop.js").Picture} frame
   * @param {number} seconds  its time
   * @returns {Promise<TrackedFace[]>}
   */
  async update(frame, seconds) {
    const before = this.#now;
    this.#now = seconds > before ? seconds : before + 1 / RATE;
    if (this.#size && (this.#size.width !== frame.width || this.#size.height !== frame.height)) {
      [this.#tracks, this.#found] = [[], -Infinity]; // the camera was turned
    }
    this.#size = { width: frame.width, height: frame.height };
    await this.#follow(frame, before);
    const allSeen = this.#tracks.length && this.#tracks.every((track) => track.seen === this.#now);
    if (this.#now - this.#found >= (allSeen ? this.#findEvery : FIND_SOON) || this.#predictor.model.framing) {
      this.#found = this.#now;
      for (const face of await this.#predictor.predict(frame)) this.#adopt(face);
    }
    this.#tracks = this.#tracks.filter((track) => this.#now - track.seen <= MAX_LOST);
    const seen = this.#tracks.filter((track) => track.seen === this.#now);
    return seen.sort((one, other) => one.number - other.number).map((track) => this.#result(track));
  }

  /** Predicts each face at the place where it is expected in this frame. */
  async #follow(frame, before) {
    const passed = this.#now - before;
    for (const track of this.#tracks) {
      if (track.seen >= before) continue;
      const [left, top, ...rest] = track.box; // a lost face is assumed to keep its speed
      track.box = [left + track.speed[0] * passed, top + track.speed[1] * passed, ...rest];
    }
    const expected = [];
    for (const track of this.#tracks) {
      if (missesPicture(cropWindow(track.box, this.#predictor.model.crop_scale), frame)) continue;
      const face = await this.#predictor.follow(frame, track.box);
      const box = this.#boxAround(track, face);
      expected.push({ track, face, box, strayed: strayed(track, box, passed, before) });
    }
    // When a face passes behind another, both tracks end up on the one in front, which moves on as before. So the
    // track that deviates least from its own speed keeps the face.
    const taken = [];
    for (const { track, face, box } of expected.sort((one, other) => one.strayed - other.strayed)) {
      if (!this.#isPlausible(track, face, box, before, taken)) continue;
      this.#learnSpeed(track, box, before, passed);
      taken.push(box);
      this.#see(track, face, box);
    }
  }

  /** Whether a prediction still shows the face of the track. */
  #isPlausible(track, face, box, before, taken) {
    const isHidden = taken.some((other) => overlap(other, box) > SAME_FACE);
    const hasGone = track.seen < before && overlap(track.box, box) < SAME_FACE;
    const growth = box[2] / track.box[2];
    const isUnlike = this.#confidence(face) < MIN_RELATIVE_CONFIDENCE * track.confidence;
    return growth > 1 / MAX_GROWTH && growth < MAX_GROWTH && !(isHidden || hasGone || isUnlike);
  }

  #learnSpeed(track, box, before, passed) {
    const isIsolated = this.#tracks.every((other) => other === track || overlap(other.box, box) <= ISOLATED);
    if (!isIsolated || track.seen !== before || passed <= 0) return;
    const [from, to] = [centre(track.box), centre(box)];
    track.speed = track.speed.map((speed, k) => speed + filterWeight(1, passed) * ((to[k] - from[k]) / passed - speed));
  }

  /** A face that overlaps a lost one is that face again; one that overlaps none is new. */
  #adopt(face) {
    const meanFace = this.#predictor.model.mean_face ?? meanFaceOf(face);
    const track = { meanFace, box: face.box, speed: [0, 0], confidence: NaN };
    const box = this.#boxAround(track, face);
    const shares = this.#tracks.map((other) => overlap(other.box, box));
    const known = this.#tracks[shares.indexOf(Math.max(...shares))];
    if (!shares.some((share) => share > SAME_FACE)) {
      this.#count += 1;
      Object.assign(track, { number: this.#count, filter: this.#steady ? new OneEuro() : null });
      this.#tracks.push(track);
      this.#see(track, face, box);
    } else if (known.seen < this.#now) this.#see(known, face, box);
  }

  #see(track, face, box) {
    const [now, kept] = [this.#confidence(face), 0.99 * track.confidence];
    track.confidence = kept > now ? kept : now; // also where there was none before
    Object.assign(track, { face: { ...face, box: box.slice(0, 4) }, box, seen: this.#now });
  }

  /** The box for the next frame, with the angle of the face if the network's windows are rotated. */
  #boxAround(track, { points }) {
    const { box } = track;
    const isRotated = this.#predictor.model.rotated_windows;
    const next = (isRotated ? rotatedBoxAround : boxAround)(track.meanFace, points, box);
    if (isRotated && box.length < 5) return next; // the box of a face that was found just now
    const turned = isRotated ? Math.abs(((((next[4] - box[4] + 180) % 360) + 360) % 360) - 180) : 0;
    const moved = Math.max(...next.slice(0, 4).map((value, k) => Math.abs(value - box[k])));
    return moved < STILL * box[2] && turned < (2 * STILL * 180) / Math.PI ? box : next;
  }

  #confidence = ({ variance }) => mean(comparableConfidence(variance, this.#predictor.model.calibration));

  #result({ number, face, filter }) {
    const points = filter ? filter.filter(face.points, this.#now, face.box[2]) : face.points;
    return { number, ...face, points };
  }
}

/** How far a track deviates from its speed, in widths of the face; the box of a lost track was moved already. */
function strayed({ box, speed, seen }, next, passed, before) {
  const wait = seen < before ? 0 : passed;
  const [from, to] = [centre(box), centre(next)];
  return Math.hypot(...from.map((value, k) => to[k] - value - speed[k] * wait)) / box[2];
}

const centre = ([left, top, width, height]) => [left + width / 2, top + height / 2];

/** The mean face of a single one, for networks that have none. */
function meanFaceOf({ box: [left, top, width, height], points }) {
  const place = ([x, y]) => [(x - left + 0.5) / width, (y - top + 0.5) / width];
  return { box: [0, 0, 1, height / width], points: points.map(place) };
}
