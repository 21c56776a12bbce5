/** Keyboard shortcuts of marking; the page lists them under "Keyboard shortcuts". */

import { svg } from "../canvas.js";
import { cancelBox, moveBox, resizeBox } from "../draft.js";
import { currentFace, currentPhoto, selectPoint, state } from "../state.js";
import { showAll, showFace, zoomIn, zoomOut } from "../view.js";
import { returnToClip } from "./clip.js";
import * as marking from "./marking.js";
import { showPhoto } from "./opening.js";
import { project } from "./project.js";
import { CLIP_KEYS } from "./trying.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SCALE = 1.05; // of a new box, at one press of + or -

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
  z: showFace,
  0: showAll,
  "+": zoomIn,
  "-": zoomOut,
};

const PRESS_KEYS = { Enter: marking.takeProposals, " ": marking.placeProposed }; // on a button, they press it

const BOX_KEYS = { "+": () => resizeBox(SCALE), "-": () => resizeBox(1 / SCALE), Escape: cancelBox, Enter: marking.acceptBox };

export function connectKeyboard() {
  document.addEventListener("keydown", (event) => {
    const action = actionFor(event);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function actionFor(event) {
  const { target } = event;
  const photo = currentPhoto();
  const isPlain = !(project.blocked || event.altKey);
  if (isPlain && project.view === "try") return clipAction(event);
  if (!photo || !isPlain || project.view !== "mark") return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (target.matches("input:not([type=checkbox])") || (target.matches("select") && key !== "Enter")) return undefined;
  if (event.ctrlKey || event.metaKey) return key === "z" ? marking.back : undefined;
  if (key in PAGE_KEYS) return PAGE_KEYS[key];
  if (!photo.faces || !project.scheme) return undefined;
  const step = ARROWS[key]?.map((pixels) => pixels * (event.shiftKey ? 10 : 1));
  const presses = target === svg || target === document.body || target.matches("select");
  if (state.draftBox) {
    if (step) return () => moveBox(step);
    return key === "Enter" && !presses ? undefined : BOX_KEYS[key];
  }
  if (step) return () => marking.nudge(step);
  if (key in PRESS_KEYS) return presses ? PRESS_KEYS[key] : undefined;
  return KEYS[key];
}

function clipAction({ key, target, ctrlKey, metaKey }) {
  if (!project.clip || ctrlKey || metaKey || target.matches("input, select")) return undefined;
  const presses = target.matches("button, summary") && [" ", "Enter"].includes(key);
  return presses ? undefined : CLIP_KEYS[key];
}

function selectNeighbour(offset) {
  const count = project.scheme.names.length;
  const at = marking.askedPoint() ?? state.pointIndex;
  if (project.beginning || currentFace()) marking.choosePoint(at === null ? 0 : (at + offset + count) % count);
}
