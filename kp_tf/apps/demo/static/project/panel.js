/** The side panel while points are marked: photographs, objects and points. */

import { currentFace, currentPhoto, setError, state } from "../state.js";
import { askedPoint, chooseFace, choosePoint } from "./marking.js";
import { isOrdered, nextToMark, showPhoto, toMark } from "./opening.js";
import { project, setProject } from "./project.js";
import { canTake } from "./proposals.js";

const byId = (id) => document.getElementById(id);
const SIGNS = { new: "○", begun: "◐", done: "●", none: "–", problem: "!" };
const ORDERS = {
  mixed: ["To mark", "A random order, with photographs that look alike apart. On faces, it gave better networks than “least sure first”."],
  unsure: ["To mark, the least sure first", "The network is likely to be wrong there. On faces, marking in a mixed order gave better networks."],
  names: ["", ""],
};
const WORDS = { new: "to mark", begun: "begun", done: "marked", none: "nothing to mark", problem: "cannot be used" };

export function connectPanel() {
  byId("photo-list").addEventListener("change", (event) => showPhoto(Number(event.target.value)));
  const order = () => setProject({ order: byId("order-kind").value });
  byId("order-kind").addEventListener("change", order);
  order(); // a browser may keep the choice of an earlier visit
}

export function renderPanel() {
  const photo = currentPhoto();
  setText(byId("folder"), project.folder);
  setText(byId("status"), state.status);
  byId("status").hidden = ["train", "try"].includes(project.view); // which have a status of their own
  setText(byId("error"), state.error);
  byId("error").hidden = !state.error;
  setText(byId("saved"), project.saved);
  byId("saved").classList.toggle("failed", Boolean(project.failure));
  byId("blocked").hidden = !project.blocked;
  setText(byId("blocked-text"), project.blocked);
  for (const view of ["points", "mark", "train", "try"]) {
    byId(`${view}-view`).hidden = project.view !== view;
    document.querySelector(`[data-view=${view}]`).setAttribute("aria-pressed", project.view === view);
  }
  for (const view of ["mark", "train", "try"]) document.querySelector(`[data-view=${view}]`).disabled = !project.scheme;
  byId("drop-hint").hidden = state.photos.length > 0 || project.view === "try";
  byId("zoom").hidden = !photo?.faces || !["points", "mark"].includes(project.view);
  byId("keys").hidden = project.view !== "mark";
  if (project.view !== "mark") return;
  renderPhotographs();
  for (const id of ["faces", "points"]) byId(id).hidden = !photo?.faces;
  if (photo?.faces) {
    renderFaces(photo);
    renderPoints(photo);
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function renderPhotographs() {
  const [list, { photos }] = [byId("photo-list"), state];
  fillList(list);
  for (const option of list.options) {
    const photo = photos[option.value];
    const how = photo.isBroken ? "problem" : photo.state;
    setText(option, `${SIGNS[how]} ${photo.name}`);
    option.title = WORDS[how];
  }
  if (list.value !== String(state.photoIndex)) list.value = state.photoIndex;
  renderOrder();
  const marked = photos.filter((photo) => ["done", "none"].includes(photo.state)).length;
  setText(byId("position"), `${state.photoIndex + 1} of ${photos.length}, ${marked} finished`);
  byId("previous").disabled = state.photoIndex <= 0;
  byId("next").disabled = state.photoIndex >= photos.length - 1;
  byId("next-open").disabled = nextToMark() < 0;
}

/** All photographs by name or, once a network puts them in order, those to mark and then the others. */
function fillList(list) {
  const all = [...state.photos.keys()];
  const open = new Set(isOrdered() ? toMark() : []);
  const sections = [[ORDERS[project.order][0], [...open]], ["Others", all.filter((index) => !open.has(index))]];
  const key = JSON.stringify([project.order, isOrdered(), state.photos.length, [...open]]);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  const options = (indices) => indices.map((index) => new Option("", index));
  const groups = sections.filter(([, indices]) => indices.length).map(([label, indices]) => {
    const group = Object.assign(document.createElement("optgroup"), { label });
    group.append(...options(indices));
    return group;
  });
  list.replaceChildren(...(isOrdered() ? groups : options(all)));
}

/** Says in which order the photographs come, and why. */
function renderOrder() {
  const { network, mixed, of } = project.next;
  byId("order").hidden = !network || !of;
  const seen = isOrdered() && mixed.length < of ? ` Network ${network} has looked at ${mixed.length} of ${of} so far.` : "";
  setText(byId("order-hint"), ORDERS[project.order][1] + seen);
}

function renderFaces(photo) {
  const list = byId("face-list");
  const texts = photo.faces.map(({ todo }) => (todo.length ? `${todo.length} to mark` : "marked"));
  if (project.beginning) texts.push("new");
  fill(list, texts.length, (index) => chooseFace(index));
  texts.forEach((text, index) => {
    const button = list.children[index];
    button.setAttribute("aria-checked", project.beginning ? index === photo.faces.length : index === state.faceIndex);
    button.disabled = index === photo.faces.length;
    const parts = [`Object ${index + 1}`, text].map((part) => Object.assign(document.createElement("span"), { textContent: part }));
    if (button.textContent !== parts.map((part) => part.textContent).join("")) button.replaceChildren(...parts);
  });
  byId("draw-box").setAttribute("aria-pressed", Boolean(state.draftBox));
  byId("remove-face").disabled = project.beginning || !currentFace();
  byId("new-object").disabled = Boolean(project.beginning);
}

function renderPoints(photo) {
  const asked = askedPoint();
  const [face, { names }] = [project.beginning ? null : currentFace(), project.scheme];
  const list = byId("point-list");
  fill(list, face || project.beginning ? names.length : 0, choosePoint);
  [...list.children].forEach((button, index) => {
    const kind = !face || face.todo.includes(names[index]) ? "todo" : face.points[index] ? "" : "unseen";
    setText(button, names[index]);
    button.className = kind;
    button.title = { todo: "to mark", unseen: "not visible" }[kind] ?? "marked";
    button.setAttribute("aria-checked", index === (asked ?? state.pointIndex));
    button.style.borderLeft = `4px solid ${photo.colours[index]}`;
  });
  byId("accept").disabled = asked === null || !canTake();
  byId("back").disabled = !photo.history.length;
  byId("skip").disabled = asked === null;
  const index = asked === null ? state.pointIndex : null;
  byId("toggle-point").disabled = asked === null && (index === null || !face);
  setText(byId("toggle-point"), index !== null && face && !face.points[index] ? "Ask for it again" : "Not visible");
}

function fill(list, count, choose) {
  while (list.children.length > count) list.lastElementChild.remove();
  while (list.children.length < count) {
    const [button, index] = [document.createElement("button"), list.children.length];
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => {
      setError("");
      choose(index);
    });
    list.append(button);
  }
}
