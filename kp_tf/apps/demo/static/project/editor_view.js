/** The panel in which points are named, and the points that were clicked on the photograph. */

import { element, label } from "../canvas.js";
import { currentFace, state } from "../state.js";
import {
  addPoint, beginDraft, draft, draftColour, draftGroups, draftProblem, editDraft, isChanged, pairByName, removePoint,
  setClicking, setPartner,
} from "./editor.js";
import { project } from "./project.js";

const byId = (id) => document.getElementById(id);
const OWN = "";

/** @param {() => void} save */
export function connectEditor(save) {
  byId("known").addEventListener("change", ({ target }) => {
    beginDraft(project.sets[target.value] ?? null, false);
    if (target.value === OWN) beginDraft(project.scheme, true);
  });
  byId("add-point").addEventListener("click", () => {
    addPoint();
    renderEditor();
    byId("rows").lastElementChild.querySelector("input").select();
  });
  byId("click-points").addEventListener("click", () => setClicking(!draft.clicking));
  byId("pair-names").addEventListener("click", pairByName);
  byId("save-points").addEventListener("click", save);
  byId("discard-points").addEventListener("click", () => beginDraft(project.scheme, true));
  for (const end of ["from", "to"]) {
    byId(`size-${end}`).addEventListener("change", ({ target }) => {
      editDraft((edited) => (edited[end] = edited.points[target.value] ?? null));
    });
  }
}

export function renderEditor() {
  if (project.view !== "points") return;
  const { points } = draft;
  const known = byId("known");
  if (known.options.length === 1) known.append(...Object.keys(project.sets).map((title) => new Option(title, title)));
  for (const row of [known.closest(".row"), byId("begin-hint")]) row.hidden = Boolean(project.scheme); // marks need their points
  byId("click-points").setAttribute("aria-pressed", draft.clicking);
  byId("click-hint").hidden = !draft.clicking;
  byId("click-points").disabled = !state.photos.length;
  for (const id of ["names", "size-pair"]) byId(id).hidden = !points.length;
  byId("name-count").textContent = points.length ? `(${points.length})` : "";
  renderRows();
  renderGroups();
  renderSize();
  const problem = draftProblem();
  byId("save-points").disabled = Boolean(problem);
  byId("draft-problem").textContent = draft.points.length ? problem : "";
  byId("discard-points").disabled = !isChanged();
}

function renderRows() {
  const [rows, { points }] = [byId("rows"), draft];
  while (rows.children.length > points.length) rows.lastElementChild.remove();
  while (rows.children.length < points.length) rows.append(newRow(rows.children.length));
  const options = points.map(({ name }) => name);
  points.forEach((point, index) => {
    const [name, group] = rows.children[index].querySelectorAll("input");
    const partner = rows.children[index].querySelector("select");
    // a space at the end stays while one types
    if (name.value.trim() !== point.name) name.value = point.name;
    if (group.value.trim() !== point.group) group.value = point.group;
    fillOptions(partner, options, point.partner ? points.indexOf(point.partner) : -1, "itself");
  });
  const groups = draftGroups().map(([group]) => Object.assign(document.createElement("option"), { value: group }));
  byId("group-names").replaceChildren(...groups);
}

function newRow(index) {
  const row = document.createElement("tr");
  const [name, group] = ["Name", "Group"].map((title) => Object.assign(document.createElement("input"), {
    type: "text", ariaLabel: `${title} of point ${index + 1}`, spellcheck: false, autocomplete: "off",
  }));
  group.setAttribute("list", "group-names");
  name.addEventListener("input", () => editDraft(({ points }) => (points[index].name = name.value.trim())));
  name.addEventListener("keydown", (event) => event.key === "Enter" && goToNextName(row));
  group.addEventListener("input", () => editDraft(({ points }) => (points[index].group = group.value.trim())));
  const partner = document.createElement("select");
  partner.ariaLabel = `Mirror partner of point ${index + 1}`;
  partner.addEventListener("change", () => setPartner(draft.points[index], draft.points[partner.value] ?? null));
  const remove = Object.assign(document.createElement("button"), { textContent: "×", ariaLabel: `Remove point ${index + 1}` });
  remove.title = remove.ariaLabel;
  remove.addEventListener("click", () => removePoint(draft.points[index]));
  for (const control of [name, group, partner, remove]) row.appendChild(document.createElement("td")).append(control);
  return row;
}

/** Goes to the name of the next point; adds one after the last. */
function goToNextName(row) {
  if (row.nextElementSibling) row.nextElementSibling.querySelector("input").select();
  else byId("add-point").click();
}

/** Fills a list of points; the first option is that of none. */
function fillOptions(select, names, chosen, none) {
  const key = JSON.stringify(names);
  if (select.dataset.names !== key) {
    select.dataset.names = key;
    select.replaceChildren(new Option(none, ""), ...names.map((name, index) => new Option(name, index)));
  }
  select.value = chosen < 0 ? "" : chosen;
}

function renderGroups() {
  const groups = draftGroups();
  byId("group-colours").hidden = !groups.length;
  const list = byId("colour-list");
  const key = JSON.stringify(groups.map(([group]) => group));
  if (list.dataset.groups !== key) {
    list.dataset.groups = key;
    list.replaceChildren(...groups.map(([group]) => colourInput(group)));
  }
  groups.forEach(([, colour], index) => (list.children[index].firstElementChild.value = colour));
}

function colourInput(group) {
  const [shown, input] = [document.createElement("label"), document.createElement("input")];
  input.type = "color";
  input.addEventListener("input", () => editDraft(({ colours }) => (colours[group] = input.value)));
  shown.append(input, group);
  return shown;
}

function renderSize() {
  const names = draft.points.map(({ name }) => name);
  for (const end of ["from", "to"]) fillOptions(byId(`size-${end}`), names, draft.points.indexOf(draft[end]), "none");
}

/** The points that were clicked and, with their present names, those that the photograph has already. */
export function drawDraft(photo, pixel) {
  const marked = currentFace()?.points ?? [];
  return draft.points.flatMap((point) => {
    const position = point.position ?? marked[photo.names.indexOf(point.old)];
    if (!position) return [];
    const [cx, cy] = position;
    const dot = element("circle", { cx, cy, r: 4 * pixel, fill: draftColour(point), class: "dot" });
    return [dot, label(position, point.name, 12 * pixel, pixel)];
  });
}
