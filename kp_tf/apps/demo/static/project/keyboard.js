/** Keyboard shortcuts of marking; the page lists them under "Keyboard shortcuts". */

import { boxAction, connectKeys, isPressed, keyOf, stepOf, ZOOM_KEYS } from "../keys.js";
import { currentFace, currentPhoto, selectPoint, state } from "../state.js";
import { returnToClip } from "./clip.js";
import * as marking from "./marking.js";
import { showPhoto } from "./opening.js";
import { project } from "./project.js";
import { CLIP_KEYS } from "./trying.js";

const PAGE_KEYS = { PageDown: () => showPhoto(state.photoIndex + 1), PageUp: () => showPhoto(state.photoIndex - 1) };

const KEYS = {
  x: marking.toggleVisible,
  Delete: marking.toggleVisible,
  s: marking.skip,
  Backspace: marking.back,
  n: marking.newObject,
  c: () => project.clip && returnToClip(),
  b: marking.toggleBox,
  e: marking.nothingHere,
  f: () => currentPhoto().faces.length && marking.chooseFace((state.faceIndex + 1) % currentPhoto().faces.length),
  ".": () => selectNeighbour(1),
  ",": () => selectNeighbour(-1),
  Escape: () => selectPoint(null),
  ...ZOOM_KEYS,
};

const PRESS_KEYS = { Enter: marking.takeProposals, " ": marking.placeProposed }; // on a button, they press it

export const connectKeyboard = () => connectKeys(actionFor);

function actionFor(event) {
  const { target } = event;
  const [photo, key] = [currentPhoto(), keyOf(event)];
  const isPlain = !(project.blocked || event.altKey);
  if (isPlain && project.view === "try") return clipAction(event);
  if (!photo || !isPlain || project.view !== "mark") return undefined;
  if (target.matches("input:not([type=checkbox])") || (target.matches("select") && key !== "Enter")) return undefined;
  if (event.ctrlKey || event.metaKey) return key === "z" ? marking.back : undefined;
  if (key in PAGE_KEYS) return PAGE_KEYS[key];
  if (!photo.faces || !project.scheme) return undefined;
  if (state.draftBox) return boxAction(event, marking.acceptBox);
  const step = stepOf(event);
  if (step) return () => marking.nudge(step);
  if (key in PRESS_KEYS) return isPressed(event) ? undefined : PRESS_KEYS[key];
  return KEYS[key];
}

function clipAction(event) {
  const { key, target, ctrlKey, metaKey } = event;
  if (!project.clip || ctrlKey || metaKey || target.matches("input, select")) return undefined;
  return key in PRESS_KEYS && isPressed(event) ? undefined : CLIP_KEYS[key];
}

function selectNeighbour(offset) {
  const count = project.scheme.names.length;
  const at = marking.askedPoint() ?? state.pointIndex;
  if (project.beginning || currentFace()) marking.choosePoint(at === null ? 0 : (at + offset + count) % count);
}
