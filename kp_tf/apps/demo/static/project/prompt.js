/** What is asked for: its name, a small picture of an example, and where the points are proposed. */

import { element, label, onScreen } from "../canvas.js";
import { currentFace, currentPhoto, state } from "../state.js";
import { askedPoint, askedPosition } from "./marking.js";
import { load } from "./opening.js";
import { project } from "./project.js";
import { canTake, proposals } from "./proposals.js";

const byId = (id) => document.getElementById(id);
const PART = 0.6; // of the example's box that its picture shows

export function renderPrompt() {
  const asked = askedPoint();
  const photo = currentPhoto();
  const words = photo?.faces && project.view === "mark" ? wordsOf(photo, asked) : null;
  byId("prompt").hidden = !words;
  if (!words) return;
  const [verb, name, more] = words;
  if (byId("ask").textContent !== verb + name) {
    byId("ask").replaceChildren(verb, Object.assign(document.createElement("b"), { textContent: name }));
  }
  if (byId("ask-more").textContent !== more) byId("ask-more").textContent = more;
  drawExample(asked);
  avoidPoint();
}

let pointer = null; // on the screen

export function connectPrompt() {
  document.addEventListener("pointermove", ({ clientX, clientY }) => {
    pointer = [clientX, clientY];
    showUnder();
  });
}

/** Moves the prompt away from where its point is, as far as that is known, and shows the photograph under it. */
function avoidPoint() {
  const { classList } = byId("prompt");
  classList.remove("below");
  const point = askedPoint() === null ? currentFace()?.points[state.pointIndex] : askedPosition();
  classList.toggle("below", Boolean(point) && isUnder(onScreen(point)));
  showUnder();
}

/** Lets the photograph be seen under the prompt while the pointer is there: the point may be. */
function showUnder() {
  byId("prompt").classList.toggle("under", Boolean(pointer) && isUnder(pointer));
}

/** Whether a place on the screen is behind the prompt. */
function isUnder([x, y]) {
  const { left, top, right, bottom } = byId("prompt").getBoundingClientRect();
  return x >= left && x <= right && y >= top && y <= bottom;
}

function wordsOf(photo, asked) {
  const { names } = project.scheme;
  if (asked !== null) {
    const left = project.beginning ? names.length : currentFace().todo.length;
    const proposed = canTake() ? ", or Enter to take all that are proposed" : waiting(photo);
    return ["Click: ", names[asked], `${left} of ${names.length} points left${proposed}`];
  }
  if (!photo.faces.length) return ["", "Nothing to mark here", "Enter for the next photograph, N to mark something after all"];
  const face = currentFace();
  if (state.pointIndex === null && face && !face.todo.length) {
    const next = project.returning === photo ? "to go back to the clip" : "for the next photograph";
    return ["", "All points are marked", `Drag those that are wrong; Enter ${next}`];
  }
  if (state.pointIndex === null) return null;
  return ["Selected: ", names[state.pointIndex], "Drag it or move it with the arrow keys; Enter to go on"];
}

/** The network takes seconds for the first photograph, and less than one for the others. */
function waiting({ isAsking }) {
  const [newest] = project.training.runs ?? [];
  return isAsking && newest ? `. Network ${newest} is looking for them …` : "";
}

let drawn = ""; // the example in the small picture

/** Draws the surroundings of the point in another photograph. */
async function drawExample(asked) {
  const [name, number] = (asked === null ? null : project.shape.example?.[asked]) ?? [];
  const canvas = byId("example");
  const example = state.photos.find((photo) => photo.name === name);
  if (!example || (example === currentPhoto() && !project.beginning && number === state.faceIndex)) {
    canvas.hidden = true;
    drawn = "";
    return;
  }
  const key = `${name} ${number} ${asked}`;
  if (key === drawn) return;
  drawn = key;
  await load(example).catch(() => {});
  const point = example.faces?.[number]?.points[asked];
  if (drawn !== key) return;
  canvas.hidden = !point;
  if (point) drawPart(canvas, example, example.faces[number].box, point);
}

function drawPart(canvas, { image }, [, , width, height], [x, y]) {
  const [side, { width: size }] = [Math.max(width, height) * PART, canvas];
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, size, size);
  context.drawImage(image, x + 0.5 - side / 2, y + 0.5 - side / 2, side, side, 0, 0, size, size);
  for (const [style, line] of [["#000000", 8], ["#f0e442", 4]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.beginPath();
    context.arc(size / 2, size / 2, 16, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** Rings where the points are proposed; the one that is asked for has a cross and its name. */
export function drawProposals(photo, pixel) {
  const asked = askedPoint();
  if (asked === null) return [];
  const { names } = project.scheme;
  const todo = project.beginning ? names : currentFace().todo;
  const rings = (canTake() ? proposals() : []).flatMap((point, index) => {
    if (!point || index === asked || !todo.includes(names[index])) return [];
    return ["ghost shade", "ghost"].map((kind) => ring(point, 4 * pixel, kind));
  });
  const position = askedPosition();
  return position ? [...rings, ...cross(position, names[asked], pixel)] : rings;
}

const ring = ([cx, cy], r, kind) => element("circle", { cx, cy, r, class: kind });

function cross([x, y], name, pixel) {
  const arm = 12 * pixel;
  const lines = ["ghost shade", "ghost asked"].flatMap((kind) => [
    element("line", { x1: x - arm, y1: y, x2: x + arm, y2: y, class: kind }),
    element("line", { x1: x, y1: y - arm, x2: x, y2: y + arm, class: kind }),
  ]);
  return [...lines, label([x, y], name, 13 * pixel, pixel)];
}
