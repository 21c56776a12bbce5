/** What the page needs when it is a site of static files: the camera, and everything kept for use without a network. */

import { connectCamera, stopCamera } from "./camera.js";
import { loadPredictors } from "./model.js";
import { aNoun, noun } from "./noun.js";
import { openFiles } from "./photographs.js";

connectCamera({
  load: async () => (await loadPredictors()).live,
  take: (frame) => openFiles([frame]),
  looking: () => `Looking for ${aNoun}. ${noun === "face" ? "Come closer, and face the camera" : "Bring it closer"}.`,
});
for (const id of ["files", "folder"]) document.getElementById(id).addEventListener("change", stopCamera);
// only pages on https or on localhost have one
navigator.serviceWorker?.register("sw.js").catch((error) => console.warn(`not kept for use offline: ${error.message}`));
