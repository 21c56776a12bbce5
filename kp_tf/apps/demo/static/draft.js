/** A new box while it is drawn: by the pointer, or by the keyboard alone. */

import { svg } from "./canvas.js";
import { round, scaleBox } from "./geometry.js";
import { noun } from "./noun.js";
import { setDraftBox, setStatus, state } from "./state.js";

const INSTRUCTIONS = `Drag a box around the ${noun}, or move it with the arrow keys, scale it with + and −, and press Enter.`;

/** Starts with a square in the middle of what is visible. */
export function startBox(status = INSTRUCTIONS) {
  const { x, y, width, height } = state.view;
  const side = Math.min(width, height) * 0.4;
  setDraftBox([x + (width - side) / 2, y + (height - side) / 2, side, side].map(round));
  setStatus(status);
  svg.focus(); // so that the arrow keys move the box
}

export function moveBox([dx, dy]) {
  const [left, top, width, height] = state.draftBox;
  setDraftBox([left + dx, top + dy, width, height]);
}

export const resizeBox = (factor) => setDraftBox(scaleBox(state.draftBox, factor));

export function cancelBox() {
  setDraftBox(null);
  setStatus("The new box was cancelled.");
}
