/** Writes every mark to disk as soon as it is made. */

import { currentPhoto, setError, state, updatePhoto } from "../state.js";
import * as api from "./api.js";
import { showPhoto } from "./opening.js";
import { adopt, project, setProject } from "./project.js";

const RETRY_TIME = 3000; // milliseconds after which saving is tried again
const POLL_TIME = 100; // between two looks at whether it has failed

/** @type {Set<import("../state.js").Photo>}  what is not on disk yet */
const waiting = new Set();
let running = null;

/** Saves a photograph's objects, as they are by then. */
export function saveSoon(photo) {
  waiting.add(photo);
  if (!project.failure) setProject({ saved: "Saving …" });
  running ??= drain().finally(() => (running = null));
}

/** Whether there are marks that are not on disk. */
export const isSaving = () => waiting.size > 0;

/** Waits until everything is on disk. Throws if it cannot be written now. */
export async function allSaved() {
  while (running) {
    if (project.failure) throw new Error(`The last marks are not saved: ${project.failure}`);
    await Promise.race([running, new Promise((resolve) => setTimeout(resolve, POLL_TIME))]);
  }
}

async function drain() {
  for (let photo; ([photo] = waiting) && photo; ) {
    waiting.delete(photo);
    try {
      const saved = await api.save(photo.name, photo.faces.map(content), Boolean(photo.nothing));
      updatePhoto(photo, { state: saved.state, changed: waiting.has(photo) });
      if (project.failure) setError("");
      setProject({ saved: waiting.size ? "Saving …" : "All marks are saved", failure: "" });
    } catch (error) {
      waiting.add(photo);
      if (error.status === 409) {
        await regain();
        if (project.blocked) return;
        continue;
      }
      setProject({ saved: "Not saved", failure: error.message });
      if (!state.error.includes(error.message)) {
        setError(`The last marks are not saved: ${error.message}\nThey are kept in this window and saving is tried again.`);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_TIME));
    }
  }
}

let regaining = null;

/**
 * Opens the project again: after the server has been restarted or, with take, from another window. What is not on disk
 * yet is saved then; everything else is read again.
 */
export function regain(take = false) {
  regaining ??= openAgain(take).finally(() => (regaining = null));
  return regaining;
}

async function openAgain(take) {
  try {
    const content = await api.open(take);
    if (JSON.stringify(content.scheme) !== JSON.stringify(project.scheme)) adoptOther(content);
    else await readAgain(content.photographs);
    setProject({ blocked: "" });
  } catch (error) {
    if (error.status === 409) {
      setProject({ blocked: error.message });
      return;
    }
    setError(error.message);
    await new Promise((resolve) => setTimeout(resolve, RETRY_TIME));
    return;
  }
  if (!currentPhoto()?.faces) await showPhoto(Math.max(state.photoIndex, 0));
  const [photo] = waiting;
  if (photo) saveSoon(photo);
}

/** The points were changed elsewhere, so that nothing here fits any more. */
function adoptOther(content) {
  const lost = waiting.size > 0;
  waiting.clear();
  adopt(content);
  if (lost) setError("The points were changed in another window. The last marks in this one could not be saved.");
}

async function readAgain(photographs) {
  const states = new Map(photographs.map((photo) => [photo.name, photo]));
  for (const photo of state.photos) {
    updatePhoto(photo, { ...states.get(photo.name), history: [] });
    if (!waiting.has(photo)) {
      updatePhoto(photo, { faces: undefined, loading: undefined });
      continue;
    }
    const { faces } = await api.faces(photo.name); // in the same order
    photo.faces.forEach((face, index) => (face.source = faces[index]?.source));
  }
}

const content = ({ box, points, source, todo }) => ({ box, points, source: source ?? null, todo });
