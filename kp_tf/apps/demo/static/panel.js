/** The side panel: messages, photographs, faces, points and groups. */

import { distance, mean } from "./geometry.js";
import { Noun } from "./noun.js";
import { comparedFaces, currentFace, currentPhoto, selectFace, setGroupVisible, state } from "./state.js";

const byId = (id) => document.getElementById(id);

export function renderPanel() {
  const photo = currentPhoto();
  setText(byId("status"), state.status);
  renderMessages();
  byId("drop-hint").hidden = Boolean(photo);
  byId("photographs").hidden = state.photos.length < 2;
  for (const id of ["faces", "points", "zoom"]) byId(id).hidden = !photo?.faces;
  renderComparison();
  renderSave(photo);
  if (photo) renderPosition();
  if (!photo?.faces) return;
  renderFaces(photo);
  renderDifference(photo);
  renderPoint(photo);
  renderMissing(photo);
  renderGroups(photo);
  renderConfidence(photo);
}

/** Colours by confidence are offered where the network has one. */
function renderConfidence({ faces }) {
  const isKnown = !faces.length || faces.some(({ confidence }) => confidence.some((value) => value !== null));
  const option = document.querySelector("[data-show=confidence]");
  option.disabled = !isKnown;
  option.parentElement.title = isKnown ? "" : "This network has no confidence: it was trained with too few photographs for validation";
  byId("legend").hidden = !(state.show.confidence && isKnown);
}

function renderMessages() {
  const messages = [state.error, state.notice].filter(Boolean).join("\n");
  setText(byId("error"), messages);
  byId("error").hidden = !messages;
  byId("error").classList.toggle("notice", !state.error);
}

/** A network cannot be compared with itself. */
function renderComparison() {
  for (const option of byId("compare").options) option.disabled = option.value === state.network;
  byId("compare").value = state.comparedNetwork;
}

function renderSave(photo) {
  byId("save").hidden = !state.photos.some(({ faces }) => faces);
  for (const button of document.querySelectorAll("[data-save=picture], [data-save=pts]")) button.disabled = !photo?.faces;
  setText(byId("save-hint"), state.saveHint);
}

/** Leaves equal text alone, so that screen readers do not repeat it. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function renderPosition() {
  const [count, reviewed] = [state.photos.length, state.photos.filter((photo) => photo.reviewed).length];
  setText(byId("position"), `${state.photoIndex + 1} of ${count}, ${reviewed} reviewed`);
  byId("previous").disabled = state.photoIndex === 0;
  byId("next").disabled = state.photoIndex === count - 1;
}

function renderFaces(photo) {
  const list = byId("face-list");
  while (list.children.length > photo.faces.length) list.lastElementChild.remove();
  while (list.children.length < photo.faces.length) list.append(faceButton(list.children.length));
  photo.faces.forEach((face, index) => {
    const button = list.children[index];
    const known = face.confidence.filter((confidence) => confidence !== null);
    button.setAttribute("aria-checked", index === state.faceIndex);
    setText(button.lastElementChild, known.length ? `confidence ${(100 * mean(known)).toFixed(0)}%` : "");
  });
  byId("draw-box").setAttribute("aria-pressed", Boolean(state.draftBox));
  byId("remove-face").disabled = !currentFace();
  byId("undo").disabled = !photo.history.length;
}

function faceButton(index) {
  const button = document.createElement("button");
  button.setAttribute("role", "radio");
  button.append(document.createElement("span"), document.createElement("span"));
  button.firstElementChild.textContent = `${Noun} ${index + 1}`;
  button.addEventListener("click", () => selectFace(index));
  return button;
}

/** The mean distance from the points of the face to those of the compared network. */
function renderDifference(photo) {
  const [face, compared] = [currentFace(), comparedFaces(photo)[state.faceIndex]];
  byId("difference").hidden = !compared;
  if (!compared) return;
  const distances = face.points.flatMap((point, index) => (point ? [distance(point, compared.points[index])] : []));
  const [pixels, percent] = [mean(distances), (100 * mean(distances)) / face.box[2]];
  const text = `mean distance ${pixels.toFixed(1)} px (${percent.toFixed(1)}% of the box width)`;
  setText(byId("difference"), `Rings: ${photo.comparison.network}, ${text}.`);
}

function renderPoint(photo) {
  const [face, index] = [currentFace(), state.pointIndex];
  const selected = face && index !== null;
  byId("toggle-point").disabled = !selected;
  setText(byId("toggle-point"), selected && !face.points[index] ? "Restore" : "Not visible");
  setText(byId("point-info"), selected ? describePoint(photo, face, index) : "Drag a point to move it.");
}

function describePoint(photo, face, index) {
  const [point, confidence] = [face.points[index], face.confidence[index]];
  const group = Object.entries(photo.groups).find(([, points]) => points.includes(index))?.[0];
  const title = `Point ${photo.names[index]}${group ? ` (${group})` : ""}`;
  if (!point) return `${title}: not visible`;
  const position = point.map((value) => value.toFixed(1)).join(", ");
  return `${title}: ${position}${confidence === null ? "" : `, confidence ${confidence.toFixed(2)}`}`;
}

function renderMissing(photo) {
  const missing = photo.names.filter((_, index) => currentFace()?.points[index] === null);
  byId("missing").hidden = !missing.length;
  setText(byId("missing"), `Not visible: ${missing.join(", ")}`);
}

/** One checkbox for each group of points; they are replaced only if a network has other groups. */
function renderGroups(photo) {
  const fieldset = byId("groups");
  const groups = JSON.stringify(photo.groups);
  if (fieldset.dataset.groups === groups) return;
  fieldset.dataset.groups = groups;
  fieldset.hidden = !Object.keys(photo.groups).length;
  const options = Object.entries(photo.groups).map(([name, points]) => groupOption(name, photo.colours[points[0]]));
  fieldset.replaceChildren(fieldset.firstElementChild, ...options);
}

function groupOption(name, colour) {
  const [label, checkbox, swatch] = ["label", "input", "span"].map((tag) => document.createElement(tag));
  Object.assign(checkbox, { type: "checkbox", checked: !state.hiddenGroups.has(name) });
  checkbox.addEventListener("change", () => setGroupVisible(name, checkbox.checked));
  swatch.className = "swatch";
  swatch.style.background = colour;
  label.append(checkbox, swatch, name);
  return label;
}
