/** The project: its points, its photographs, and what the page asks for. Changed only by the functions below. */

import { changed, setPhotos, state } from "../state.js";

export const project = {
  folder: "",
  /** @type {?import("./api.js").Scheme} */
  scheme: null,
  /** @type {Record<string, import("./api.js").Scheme>} */
  sets: {},
  /** @type {import("./api.js").Shape | {}} */
  shape: {},
  site: "", // the folder of the page that was made last
  view: "", // points, mark, train or try
  /** @type {import("./api.js").Training} */
  training: { state: "none", runs: null, hardly_better: null }, // runs: not known yet
  /** @type {import("./api.js").Next}  orders of the photographs to mark */
  next: { network: "", mixed: [], unsure: [], of: 0 },
  /** The one that is used.  @type {"mixed" | "unsure" | "names"} */
  order: "mixed",
  clip: "", // the name of the clip that is open
  /** The frame of the clip that is being corrected.  @type {?import("../state.js").Photo} */
  returning: null,
  saved: "", // what is said about saving
  failure: "", // why saving failed
  blocked: "", // why this window may not change the project
  /** The next click begins another object. */
  beginning: false,
  /** The points before this one are asked for last. */
  from: 0,
  /** Where the keyboard has moved the point that is asked for.  @type {?import("../geometry.js").Point} */
  cursor: null,
};

export function setProject(values) {
  Object.assign(project, values);
  changed();
}

/** Takes in what the server says about the project.  @param {import("./api.js").Content} content */
export function adopt({ folder, scheme, photographs, sets, site }) {
  setPhotos(photographs.map((photo) => opened(photo, folder)));
  setProject({ folder, scheme, sets, site, shape: {}, beginning: false, from: 0, cursor: null });
}

const opened = (photo, folder) => ({
  ...photo, entries: [], reviewed: false, changed: false, history: [], folder, failure: photo.problem || undefined,
});

/** Adds a photograph that the server has added; one that is there already stays.  @returns {import("../state.js").Photo} */
export function addPhoto(photo) {
  const known = state.photos.find(({ name }) => name === photo.name);
  if (known) return known;
  state.photos.push(opened(photo, project.folder));
  changed();
  return state.photos.at(-1);
}
