/** Starts the page of a project: connects its controls and opens the project. */

import { renderCanvas, screenPixel, svg } from "../canvas.js";
import { connectPointer } from "../pointer.js";
import { changed, currentPhoto, onChange, onEdit, setError, setShown, setStatus, state, updatePhoto } from "../state.js";
import { showAll, showFace, zoomIn, zoomOut } from "../view.js";
import * as api from "./api.js";
import { beginDraft, clickedObject, clickPoint, draft, draftContent, isChanged } from "./editor.js";
import { connectEditor, drawDraft, renderEditor } from "./editor_view.js";
import { connectKeyboard } from "./keyboard.js";
import * as marking from "./marking.js";
import { nextToMark, showPhoto } from "./opening.js";
import { connectPanel, renderPanel } from "./panel.js";
import { adopt, project, setProject } from "./project.js";
import { connectPrompt, drawProposals, renderPrompt } from "./prompt.js";
import { predictPhoto } from "./proposals.js";
import { allSaved, isSaving, regain, saveSoon } from "./saving.js";
import { watchTraining } from "./training.js";
import { connectTraining, renderTraining } from "./training_view.js";
import { connectTrying, leaveTrying, renderTrying } from "./trying.js";

const byId = (id) => document.getElementById(id);
const HEARTBEAT = 5000; // milliseconds after which the server is told that this window is open

const BUTTONS = {
  previous: () => showPhoto(state.photoIndex - 1),
  next: () => showPhoto(state.photoIndex + 1),
  "next-open": marking.showNextToMark,
  nothing: marking.nothingHere,
  "new-object": marking.newObject,
  "draw-box": marking.toggleBox,
  "remove-face": marking.removeObject,
  accept: marking.takeProposals,
  back: marking.back,
  skip: marking.skip,
  "toggle-point": marking.toggleVisible,
  "zoom-in": zoomIn,
  "zoom-out": zoomOut,
  "zoom-all": showAll,
  "zoom-face": showFace,
  take: () => (project.view ? regain(true) : openProject(true)),
};

/** Opens the project.  @param {boolean} [take]  also if another window has it */
async function openProject(take = false) {
  try {
    adopt(await api.open(take));
  } catch (error) {
    if (error.status === 409) setProject({ blocked: error.message });
    else setError(error.message);
    setStatus("The project is not open.");
    return;
  }
  setProject({ blocked: "", saved: "", failure: "" });
  setError("");
  beginDraft(project.scheme, true);
  byId("drop-hint").textContent = `There are no photographs in “${project.folder}”. Copy some into the folder and reload this page.`;
  setStatus(state.photos.length ? "" : "The project has no photographs.");
  setProject({ view: project.scheme ? "mark" : "points" });
  let isUsable = await showPhoto(Math.max(nextToMark(), 0));
  while (!isUsable && currentPhoto()?.isBroken && nextToMark() >= 0) isUsable = await showPhoto(nextToMark());
}

async function showView(view) {
  if (view === project.view) return;
  if (project.view === "points" && isChanged() && !confirm("The points are not saved. Discard the changes?")) return;
  leaveTrying();
  setError("");
  beginDraft(project.scheme, true);
  setProject({ view });
  if (view !== "points") watchTraining();
  if (view === "mark" && currentPhoto()?.faces && !currentPhoto().predicted) predictPhoto(currentPhoto());
}

/** Saves the points and, if they were clicked on the photograph, the object there; then marking goes on. */
async function savePoints() {
  const [index, clicked] = [state.photoIndex, clickedObject()];
  setError("");
  try {
    await allSaved();
    adopt(await api.changeScheme(draftContent()));
  } catch (error) {
    if (error.status === 409) await regain();
    if (!project.blocked) setError(error.message);
    return;
  }
  beginDraft(project.scheme, true);
  setProject({ view: "mark" });
  await showPhoto(Math.max(index, 0));
  if (clicked && project.beginning) marking.addObject(clicked);
}

/** Makes boxes follow what has changed, and writes it to disk. */
function afterEdit(photo) {
  const before = JSON.parse(photo.history.at(-1) ?? "[]");
  photo.faces.forEach((face, index) => {
    if (JSON.stringify(face.points) !== JSON.stringify(before[index]?.points)) marking.fitBox(face);
  });
  if (photo.faces.length) updatePhoto(photo, { nothing: false });
  saveSoon(photo);
}

function click(position) {
  if (project.view === "mark") marking.click(position);
  else if (draft.clicking) clickPoint(position, 6 * screenPixel());
}

function beat() {
  if (project.blocked || !project.view) return;
  api.alive().catch((error) => error.status === 409 && regain());
}

onChange(() => {
  renderPanel();
  renderEditor();
  renderTraining();
  renderTrying();
  renderCanvas(project.view === "mark" ? drawProposals : drawDraft);
  renderPrompt();
});
onEdit(afterEdit);
for (const [id, action] of Object.entries(BUTTONS)) {
  byId(id).addEventListener("click", ({ detail }) => {
    action();
    if (detail) svg.focus({ preventScroll: true }); // by the pointer: Enter and Space are for the photograph again
  });
}
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => showView(button.dataset.view));
}
for (const checkbox of document.querySelectorAll("[data-show]")) {
  const apply = () => setShown(checkbox.dataset.show, checkbox.checked);
  checkbox.addEventListener("change", apply);
  apply();
}
connectPanel();
connectPrompt();
connectEditor(savePoints);
connectTraining();
connectTrying();
connectPointer({ acceptBox: marking.acceptBox, replaceBox: marking.replaceBox, click });
connectKeyboard();
window.addEventListener("resize", changed);
window.addEventListener("beforeunload", (event) => (isSaving() || (project.view === "points" && isChanged())) && event.preventDefault());
window.addEventListener("pagehide", api.close);
setInterval(beat, HEARTBEAT);
await openProject();
watchTraining();
