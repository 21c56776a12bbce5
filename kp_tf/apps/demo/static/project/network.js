/** The project's network for frames of the camera and of clips: the page does everything but its arithmetic. */

import { runPass } from "../cascade.js";
import { isDoubtful } from "../confidence.js";
import { Predictor } from "../predictor.js";
import { search } from "../search.js";
import { missesPicture } from "../windows.js";
import * as api from "./api.js";
import { project } from "./project.js";
import { boxAround, shapeOn } from "./shape.js";

const ROUNDS = 2; // from a place where the object may be

/** A predictor with the newest network; one that finds nothing if there is none.  @returns {Promise<Predictor>} */
export async function loadPredictor() {
  const model = await api.network();
  const { names = [], groups = {}, colours = [] } = project.scheme ?? {};
  if (!model.network) return new Predictor(null, { names, groups, colours }, async () => []);
  const network = (pixels) => api.runCrop(model.network, pixels);
  return new Predictor(network, { ...model, colours }, model.detects_faces ? api.detect : finder(network, model));
}

/** Looks where the object was last and where objects lie on average, and only then everywhere. */
function finder(network, model) {
  let last = null;
  return async (picture) => {
    const usual = project.shape.points ? boxAround(shapeOn(project.shape, [], picture)) : null;
    for (const start of [last, usual]) {
      const box = start && (await follow(network, model, picture, start));
      if (box) return [(last = box)];
    }
    const found = await search(network, model, picture);
    last = found[0] ?? null;
    return found;
  };
}

/** The box onto which the network moves from a place, or null if there is nothing. */
async function follow(network, model, picture, start) {
  let box = start;
  for (let round = 0; round < ROUNDS; round += 1) {
    if (missesPicture(box, picture)) return null;
    const { points, variance } = await runPass(network, model, picture, box);
    if (round === ROUNDS - 1 && isDoubtful(variance, model)) return null;
    box = boxAround(points);
  }
  return box;
}
