/** Starts the page: connects its controls and asks the server for the networks. */

import { fetchSettings } from "./api.js";
import { renderCanvas } from "./canvas.js";
import { cancelBox, startBox } from "./draft.js";
import { acceptBox, replaceBox, togglePoint, undoEdit } from "./editing.js";
import { droppedFiles } from "./files.js";
import { boxContains } from "./geometry.js";
import { connectKeyboard } from "./keyboard.js";
import { renderPanel } from "./panel.js";
import { changeNetwork, compare, openFiles, showPhoto } from "./photographs.js";
import { connectPointer } from "./pointer.js";
import { save } from "./saving.js";
import {
  changed, currentPhoto, hasUnsavedChanges, onChange, removeFace, selectFace, setComparedNetwork, setError, setNetwork,
  setShown, setUploadLimit, state,
} from "./state.js";
import { showAll, showFace, zoomIn, zoomOut } from "./view.js";

const byId = (id) => document.getElementById(id);

const BUTTONS = {
  previous: () => showPhoto(state.photoIndex - 1),
  next: () => showPhoto(state.photoIndex + 1),
  "draw-box": () => (state.draftBox ? cancelBox() : startBox()),
  "remove-face": () => removeFace(currentPhoto(), state.faceIndex),
  undo: undoEdit,
  "toggle-point": togglePoint,
  "zoom-in": zoomIn,
  "zoom-out": zoomOut,
  "zoom-all": showAll,
  "zoom-face": showFace,
};

function connectButtons() {
  for (const [id, action] of Object.entries(BUTTONS)) byId(id).addEventListener("click", action);
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => save(button.dataset.save));
  }
}

function connectOptions() {
  for (const checkbox of document.querySelectorAll("[data-show]")) {
    const apply = () => setShown(checkbox.dataset.show, checkbox.checked);
    checkbox.addEventListener("change", apply);
    apply(); // a browser may keep the boxes of an earlier visit ticked
  }
  byId("network").addEventListener("change", async (event) => {
    await changeNetwork(event.target.value).catch((error) => setError(error.message));
    event.target.value = state.network; // if the user declined, or the server is away
  });
  byId("compare").addEventListener("change", (event) => {
    setComparedNetwork(event.target.value);
    compare();
  });
}

function connectFiles() {
  for (const id of ["files", "folder"]) {
    byId(id).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = ""; // so that the same files can be opened again
      if (files.length) openFiles(files);
    });
  }
  const stage = byId("stage");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    stage.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || stage.classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    stage.classList.remove("over");
    const files = await droppedFiles(event.dataTransfer);
    if (files.length) openFiles(files);
  });
}

function selectFaceAt(position) {
  const inside = currentPhoto().faces.findIndex(({ box }) => boxContains(box, position));
  if (inside >= 0) selectFace(inside);
}

async function loadSettings() {
  const { upload_limit: uploadLimit, networks } = await fetchSettings();
  for (const id of ["network", "compare"]) byId(id).append(...networks.map((name) => new Option(name, name)));
  byId("compare").prepend(new Option("none", ""));
  setUploadLimit(uploadLimit);
  setNetwork(networks[0]);
}

onChange(() => {
  renderPanel();
  renderCanvas();
});
connectButtons();
connectOptions();
connectFiles();
connectPointer({ acceptBox, replaceBox, click: selectFaceAt });
connectKeyboard();
window.addEventListener("resize", changed);
window.addEventListener("beforeunload", (event) => hasUnsavedChanges() && event.preventDefault());
await loadSettings().catch((error) => setError(error.message));
