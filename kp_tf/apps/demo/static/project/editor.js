/** The points of the project while they are named. Nothing changes before they are saved. */

import { nearestPoint } from "../geometry.js";
import { changed, currentPhoto } from "../state.js";
import { project } from "./project.js";

/** Colours of groups, as predict/drawing.py has them; people with a colour vision deficiency can tell them apart. */
const COLOURS = ["#56b4e9", "#e69f00", "#009e73", "#f0e442", "#d55e00", "#cc79a7"];

/**
 * @typedef {object} Draft
 * @property {string} name  of the scheme
 * @property {DraftPoint[]} points
 * @property {Record<string, string>} colours  by group
 * @property {?DraftPoint} from  the points that measure the size
 * @property {?DraftPoint} to
 * @property {boolean} mirrors  has partners, or each point is its own
 * @property {boolean} clicking  a click on the photograph adds a point
 * @property {boolean} changed
 *
 * @typedef {object} DraftPoint
 * @property {string} name
 * @property {?string} old  the name in the project's scheme
 * @property {string} group
 * @property {?DraftPoint} partner
 * @property {?import("../geometry.js").Point} position  where it was clicked in the current photograph
 */

/** @type {Draft} */
export let draft = draftOf(null, false);

/** Begins with a scheme.  @param {?import("./api.js").Scheme} scheme  @param {boolean} isOwn  it is that of the project */
export function beginDraft(scheme, isOwn) {
  draft = draftOf(scheme, isOwn);
  changed();
}

function draftOf(scheme, isOwn) {
  const { name = "own", names = [], groups = {}, mirror = null, eyes = null, colours = [] } = scheme ?? {};
  const points = names.map((point) => ({ name: point, old: isOwn ? point : null, group: "", partner: null, position: null }));
  const chosen = {};
  for (const [group, indices] of Object.entries(groups)) {
    for (const index of indices) points[index].group = group;
    chosen[group] = colours[indices[0]];
  }
  for (const [one, other] of mirror ?? []) [points[one].partner, points[other].partner] = [points[other], points[one]];
  const [from, to] = eyes ? eyes.map((index) => points[index]) : [null, null];
  return { name, points, colours: chosen, from, to, mirrors: mirror !== null, clicking: false, changed: !isOwn && names.length > 0 };
}

/** Changes the draft.  @param {(draft: Draft) => void} edit */
export function editDraft(edit) {
  edit(draft);
  draft.changed = true;
  changed();
}

export function setClicking(clicking) {
  draft.clicking = clicking;
  changed();
}

export function addPoint(position = null) {
  editDraft(({ points }) => {
    const taken = new Set(points.map(({ name }) => name));
    let number = points.length + 1;
    while (taken.has(`point ${number}`)) number += 1;
    points.push({ name: `point ${number}`, old: null, group: points.at(-1)?.group ?? "", partner: null, position });
  });
}

/** Adds a point where there is none, or takes the one away that is there. */
export function clickPoint(position, reach) {
  const near = nearestPoint(draft.points.map((point) => point.position), position, reach);
  if (near === null) addPoint(position.map((value) => Math.round(value)));
}

export function removePoint(point) {
  editDraft((edited) => {
    edited.points = edited.points.filter((other) => other !== point);
    setPartner(point, null);
    if (edited.from === point) edited.from = null;
    if (edited.to === point) edited.to = null;
  });
}

/** Makes two points partners, and parts them from those they had. */
export function setPartner(point, partner) {
  editDraft((edited) => {
    for (const one of [point, partner]) {
      if (one?.partner) [one.partner.partner, one.partner] = [null, null];
    }
    if (partner && partner !== point) [point.partner, partner.partner] = [partner, point];
    edited.mirrors ||= partner !== null;
  });
}

/** Makes those points partners whose names differ in left and right alone. */
export function pairByName() {
  const other = (name) => name.replace(/left|right/gi, (side) => {
    const opposite = side.toLowerCase() === "left" ? "right" : "left";
    return side[0] === side[0].toUpperCase() ? opposite[0].toUpperCase() + opposite.slice(1) : opposite;
  });
  for (const point of draft.points) {
    const partner = draft.points.find(({ name }) => name !== point.name && name === other(point.name));
    if (partner && point.partner !== partner) setPartner(point, partner);
  }
}

/** The groups in the order of their points, each with its colour. */
export function draftGroups() {
  const groups = [...new Set(draft.points.map(({ group }) => group).filter(Boolean))];
  return groups.map((group, index) => [group, draft.colours[group] ?? COLOURS[index % COLOURS.length]]);
}

/** The colour of a point. */
export const draftColour = ({ group }) => Object.fromEntries(draftGroups())[group] ?? "#dfe5ec";

/** What cannot be saved yet; empty if it can. */
export function draftProblem() {
  const names = draft.points.map(({ name }) => name);
  if (!names.length) return "Add at least one point.";
  if (names.some((name) => !name)) return "Every point needs a name.";
  const doubled = names.find((name, index) => names.indexOf(name) !== index);
  if (doubled) return `Two points are called ${doubled}. Give each a name of its own.`;
  if (Boolean(draft.from) !== Boolean(draft.to) || (draft.from && draft.from === draft.to)) return "Size needs two different points.";
  return "";
}

/** The draft as the server saves it. */
export function draftContent() {
  const { points, from, to } = draft;
  const names = points.map(({ name }) => name);
  const groups = draftGroups();
  const scheme = {
    name: draft.name,
    names,
    groups: Object.fromEntries(groups.map(([group]) => [group, points.filter((p) => p.group === group).map(({ name }) => name)])),
  };
  if (draft.mirrors) {
    const first = points.filter((point, index) => point.partner && points.indexOf(point.partner) > index);
    scheme.mirror = first.map((point) => [point.name, point.partner.name]);
  }
  if (from && to) scheme.eyes = [from.name, to.name];
  const renamed = points.filter(({ old, name }) => old !== null && old !== name);
  return { scheme, colours: Object.fromEntries(groups), renames: Object.fromEntries(renamed.map(({ old, name }) => [old, name])) };
}

/** The object that was clicked on the current photograph while its points were named; null if there is none. */
export function clickedObject() {
  const positions = draft.points.map(({ position }) => position);
  return positions.some(Boolean) && currentPhoto()?.faces ? positions : null;
}

/** Whether the points differ from those of the project. */
export const isChanged = () => draft.changed && (draft.points.length > 0 || Boolean(project.scheme));
