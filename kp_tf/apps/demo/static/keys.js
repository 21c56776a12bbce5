/** What keys mean on every page. */

import { cancelBox, moveBox, resizeBox } from "./draft.js";
import { showAll, showFace, zoomIn, zoomOut } from "./view.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SCALE = 1.05; // of a new box, at one press of + or -
const BOX_KEYS = { "+": () => resizeBox(SCALE), "-": () => resizeBox(1 / SCALE), Escape: cancelBox };

export const ZOOM_KEYS = { z: showFace, 0: showAll, "+": zoomIn, "-": zoomOut };

/** @param {(event: KeyboardEvent) => ((() => void) | undefined)} actionFor  undefined leaves a key to the browser */
export function connectKeys(actionFor) {
  document.addEventListener("keydown", (event) => {
    const action = actionFor(event);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** The key, whatever its case. */
export const keyOf = ({ key }) => (key.length === 1 ? key.toLowerCase() : key);

/** By how many pixels an arrow key moves something.  @returns {import("./geometry.js").Point | undefined} */
export const stepOf = ({ key, shiftKey }) => ARROWS[key]?.map((pixels) => pixels * (shiftKey ? 10 : 1));

/** Whether Enter and Space press what has the focus. */
export const isPressed = ({ target }) => target.matches("button, summary, input, a");

/** What a key does to the new box.  @param {() => void} accept */
export function boxAction(event, accept) {
  const [key, step] = [keyOf(event), stepOf(event)];
  if (step) return () => moveBox(step);
  if (key === "Enter") return isPressed(event) ? undefined : accept;
  return BOX_KEYS[key];
}
