// Photographs, their faces and points: shown, corrected and saved. Points and boxes are in pixels of the upright
// photograph; (0, 0) is the centre of the top left pixel, so a picture begins at -0.5.

const $ = (id) => document.getElementById(id);
const SVG = $("picture");
const PICTURES = /\.(jpe?g|jpe|png|bmp|gif|tiff?|webp|ppm|pgm|hei[cf]|avif)$/i;
const TRAINABLE = /\.(jpe?g|png)$/i;
const RAMP = [[213, 94, 0], [240, 228, 66], [86, 180, 233]]; // confidence from 0.5 to 1; colour-blind people tell them apart
const BY_HAND = "#ffffff"; // the colour of a point whose confidence is not known
const REACH = 10; // pixels of the screen around a point in which a pointer takes it

let about = { upload: 0, networks: [] };
let photos = []; // {file, name, url, width, height, orientation, faces, names, groups, colours, …} in the order of names
let marks = new Map(); // of a dlib XML in an opened folder: name to faces as stored, points by name
let at = -1; // the photograph shown
let chosen = 0; // its face
let point = null; // and the point of it
let view = { x: 0, y: 0, width: 1, height: 1 }; // of the photograph
let boxing = null; // a new box while it is drawn: {box}
let drag = null;
const hidden = new Set(); // groups

const photo = () => photos[at];
const face = () => photo()?.faces?.[chosen];

// --- what the server computes ---

async function ask(what, query, body) {
  let answer;
  try {
    answer = await fetch(`/${what}?${new URLSearchParams(query)}`, { method: "POST", body });
  } catch {
    throw new Error("The server does not answer. Is `python -m kp_tf demo` still running?");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.error ?? `The server answered ${answer.status}.`);
}

async function look(shown, boxes, network = $("network").value) {
  if (shown.file.size > about.upload) {
    const found = (shown.file.size / 1e6).toFixed(0);
    throw new Error(`${shown.name}: expected at most ${about.upload / 1e6} MB, found ${found} MB`);
  }
  const query = { network, name: shown.name, ...(boxes && { boxes: JSON.stringify(boxes) }) };
  return (await ask("predict", query, shown.file)).json();
}

// Faces and picture of a photograph, once.
function prepare(shown) {
  shown.ready ??= (async () => {
    const marked = marks.get(shown.name);
    let found;
    try {
      found = await look(shown, marked && []);
    } catch (error) {
      found = await look(shown, []); // a photograph all the same? then boxes can be drawn
      shown.trouble = error.message;
    }
    if (marked) found.faces = await upright(marked, found, shown.name);
    await picture(shown, found);
    Object.assign(shown, found);
  })();
  return shown.ready;
}

async function picture(shown, { width, height, orientation }) {
  const image = new Image();
  image.src = shown.url = URL.createObjectURL(shown.file);
  const usable = await image.decode().then(() => true, () => false);
  // browsers differ in what they open and turn: the server shows the rest
  if (!usable || orientation !== 1 || image.naturalWidth !== width || image.naturalHeight !== height) {
    URL.revokeObjectURL(shown.url);
    const blob = await (await ask("show", { name: shown.name }, shown.file)).blob();
    image.src = shown.url = URL.createObjectURL(blob);
    await image.decode();
  }
  shown.image = image;
}

async function upright(marked, { width, height, orientation, names }, name) {
  const known = new Set(names);
  const faces = marked.map(({ box, parts }) => {
    const strange = [...parts.keys()].find((part) => !known.has(part));
    if (strange !== undefined) {
      throw new Error(`${name}: expected points of ${$("network").value}, found ${strange} in the XML of the folder`);
    }
    return { box, points: names.map((part) => parts.get(part) ?? null) };
  });
  return (await ask("upright", {}, JSON.stringify({ width, height, orientation, faces }))).json();
}

// --- opening ---

const pathOf = (file) => file.path ?? (file.webkitRelativePath || file.name);

async function open(files) {
  complain();
  if (photos.some((shown) => shown.changed) && !confirm("Corrections are not saved. Open others all the same?")) return;
  const sorted = [...files].sort((a, b) => pathOf(a).localeCompare(pathOf(b), undefined, { numeric: true }));
  const pictures = sorted.filter((file) => PICTURES.test(file.name) || file.type.startsWith("image/"));
  const xmls = sorted.filter((file) => /\.xml$/i.test(file.name));
  if (!pictures.length) return complain(`${sorted[0]?.name ?? "The folder"}: expected photographs, found none`);
  const folder = pathOf(pictures[0]).includes("/") ? pathOf(pictures[0]).split("/")[0] : null;
  const inside = (path) => (folder ? path.slice(folder.length + 1) : path);
  photos.forEach((shown) => shown.url && URL.revokeObjectURL(shown.url));
  try {
    const newest = xmls.sort((a, b) => b.lastModified - a.lastModified)[0];
    marks = newest ? readMarks(await newest.text(), inside(pathOf(newest))) : new Map();
  } catch (error) {
    marks = new Map();
    complain(error.message);
  }
  photos = pictures.map((file) => ({ file, folder, name: inside(pathOf(file)), undo: [] }));
  photos.forEach((shown) => (shown.looked = marks.has(shown.name)));
  const first = photos.findIndex((shown) => !shown.looked); // where the marking was left
  await go(Math.max(first, 0));
}

function readMarks(text, path) {
  const xml = new DOMParser().parseFromString(text, "application/xml");
  if (xml.querySelector("parsererror")) throw new Error(`${path}: expected dlib's XML, found a damaged file`);
  const below = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
  const numbers = (node, ...names) => names.map((name) => Number(node.getAttribute(name)));
  return new Map([...xml.querySelectorAll("images > image")].map((image) => [
    below + image.getAttribute("file"),
    [...image.querySelectorAll("box")].filter((box) => !["1", "true"].includes(box.getAttribute("ignore"))).map((box) => ({
      box: numbers(box, "left", "top", "width", "height"),
      parts: new Map([...box.querySelectorAll("part")].map((part) => [part.getAttribute("name"), numbers(part, "x", "y")])),
    })),
  ]));
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [];
  const visit = async (entry, deep) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      if (deep) file.path = entry.fullPath.slice(1);
      files.push(file);
      return;
    }
    const reader = entry.createReader();
    for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length; ) {
      for (const inner of some) await visit(inner, true);
    }
  };
  for (const entry of entries) await visit(entry, false);
  return files;
}

async function go(index) {
  complain();
  [at, chosen, point, boxing] = [index, 0, null, null];
  const shown = photo();
  say(`Looking at ${shown.name} …`);
  render();
  try {
    await prepare(shown);
  } catch (error) {
    if (photo() === shown) {
      say(`${shown.name} cannot be shown.`);
      complain(error.message);
      render();
    }
    return;
  }
  if (photo() !== shown) return;
  shown.looked = true;
  if (shown.trouble) complain(shown.trouble);
  zoomTo();
  if (shown.faces.length) say(`${count(shown.faces.length, "face")} in ${shown.name}.`);
  else startBox("No face found. Drag a box around one, or press Enter to take the one shown.");
  render();
  compare();
  photos[at + 1] && prepare(photos[at + 1]).catch(() => {}); // its trouble is told when it is opened
}

// --- changing ---

function change(act) {
  const shown = photo();
  shown.undo.push(JSON.stringify(shown.faces));
  act(shown);
  shown.changed = true;
  render();
}

function undo() {
  const shown = photo();
  if (!shown?.undo.length) return;
  shown.faces = JSON.parse(shown.undo.pop());
  chosen = Math.min(chosen, Math.max(0, shown.faces.length - 1));
  shown.changed = true;
  render();
  compare();
}

function move(x, y) {
  const moved = face();
  moved.points[point] = [round(x), round(y)];
  moved.confidence[point] = null; // a person says where it is
}

// Look into a box: a new face, or the chosen one again.
async function lookInto(box, again) {
  const shown = photo();
  say("Looking into the box …");
  try {
    const found = (await look(shown, [box])).faces[0];
    if (photo() !== shown) return;
    change(() => (again === undefined ? shown.faces.push(found) : (shown.faces[again] = found)));
    chosen = again ?? shown.faces.length - 1;
    point = null;
    say(`Face ${chosen + 1} of ${shown.name}.`);
  } catch (error) {
    complain(error.message);
    say(again === undefined ? "No face in this box." : "The box is as it was.");
  }
  render();
  compare();
}

function startBox(words = "Drag a box around the face; or move it by the arrow keys, + and −, and press Enter.") {
  const side = round(Math.min(view.width, view.height) * 0.4);
  boxing = { box: [round(view.x + (view.width - side) / 2), round(view.y + (view.height - side) / 2), side, side] };
  say(words);
  SVG.focus();
  render();
}

async function takeBox() {
  const { box } = boxing;
  boxing = null;
  await lookInto(box);
}

function toggleAbsent() {
  if (point === null) return;
  const it = face();
  if (it.points[point]) {
    change(() => {
      (it.gone ??= {})[point] = it.points[point];
      it.points[point] = null;
    });
  } else putBack(point);
}

async function putBack(index) {
  const [shown, it] = [photo(), face()];
  const place = it.gone?.[index] ?? (await look(shown, [it.box]).catch(() => null))?.faces[0].points[index] ?? centre(it.box);
  if (photo() !== shown) return;
  point = index;
  change(() => move(...place));
}

// --- another network ---

async function compare() {
  const [shown, network] = [photo(), $("other").value];
  if (!shown?.faces) return;
  const boxes = shown.faces.map((it) => it.box);
  if (!network || !boxes.length) {
    shown.other = null;
    return render();
  }
  try {
    const found = await look(shown, boxes, network);
    if (JSON.stringify(found.names) !== JSON.stringify(shown.names)) throw new Error(`${network}: expected the same points, found others`);
    shown.other = { network, boxes: JSON.stringify(boxes), faces: found.faces };
  } catch (error) {
    complain(error.message);
  }
  if (photo() === shown) render();
}

// The other network's faces, while they are of the same boxes.
function others(shown) {
  const same = shown.other && shown.other.boxes === JSON.stringify(shown.faces.map((it) => it.box));
  return same ? shown.other.faces : [];
}

// --- saving ---

async function save(kind) {
  complain();
  const shown = photo();
  const stem = shown.name.split("/").pop().replace(/\.[^.]*$/, "");
  try {
    if (kind === "picture") return download(await drawn(shown), `${stem}-points.jpg`);
    const plain = (it) => ({ box: it.box, points: it.points, confidence: it.confidence });
    const told = (one, faces) => ({
      file: one.name, width: one.width, height: one.height, orientation: one.orientation, faces: faces.map(plain),
    });
    let content;
    if (kind === "pts") {
      if (!face()) throw new Error(".pts: expected a face, found none in this photograph");
      content = [told(shown, [face()])];
    } else {
      const looked = photos.filter((one) => one.looked);
      for (const one of looked) await prepare(one); // those of an earlier XML have not been opened yet
      content = looked.map((one) => told(one, one.faces));
    }
    const network = $("network").value;
    const answer = await ask("save", {}, JSON.stringify({ format: kind, network, photographs: content }));
    const several = shown.faces.length > 1 ? `_${chosen + 1}` : "";
    download(await answer.blob(), kind === "pts" ? `${stem}${several}.pts` : `points.${kind}`);
    if (kind !== "pts") photos.forEach((one) => (one.changed = false));
    if (kind === "xml") {
      const place = shown.folder ?? "the folder of the photographs";
      const strange = content.find((one) => !TRAINABLE.test(one.file));
      $("saving").textContent = `Put points.xml into ${place}, and train: python train.py --labels ${shown.folder ?? "FOLDER"}/points.xml --init compact`
        + (strange ? `. Training reads JPEG and PNG alone: ${strange.file} is neither.` : "");
    }
    say("Saved.");
  } catch (error) {
    complain(error.message);
  }
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// The photograph with what is drawn on it, in its own pixels.
async function drawn(shown) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [shown.width, shown.height];
  const pen = canvas.getContext("2d");
  pen.drawImage(shown.image, 0, 0);
  pen.translate(0.5, 0.5);
  for (const it of shown.faces) {
    const size = Math.max(it.box[2], it.box[3]);
    pen.lineWidth = Math.max(1, size / 150);
    pen.strokeStyle = "#ffffff";
    if ($("boxes").checked) pen.strokeRect(it.box[0] - 0.5, it.box[1] - 0.5, it.box[2], it.box[3]);
    pen.strokeStyle = "#000000";
    pen.lineWidth = Math.max(0.5, size / 330);
    pen.font = `${Math.max(8, size / 28)}px sans-serif`;
    it.points.forEach((place, index) => {
      if (!place || isHidden(shown, index)) return;
      pen.fillStyle = colour(shown, it, index);
      pen.beginPath();
      pen.arc(...place, Math.max(1.5, size / 110), 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
      if ($("numbers").checked) pen.fillText(shown.names[index], place[0] + size / 70, place[1] - size / 70);
    });
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("This browser cannot draw so large a picture."))), "image/jpeg", 0.92);
  });
}

// --- showing ---

const round = (value) => Math.round(value * 100) / 100;
const count = (number, what) => (number === 1 ? `1 ${what}` : `${number} ${what}s`);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const centre = ([left, top, width, height]) => [left + (width - 1) / 2, top + (height - 1) / 2];
const isHidden = (shown, index) => Object.entries(shown.groups).some(([name, of]) => hidden.has(name) && of.includes(index));
const say = (words) => ($("status").textContent = words);

function complain(words) {
  $("error").hidden = !words;
  $("error").textContent = words ?? "";
}

function colour(shown, it, index) {
  if (!$("confidence").checked) return shown.colours[index];
  const sure = it.confidence[index];
  if (sure === null) return BY_HAND;
  const place = Math.min(Math.max((sure - 0.5) / 0.5, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  const mixed = RAMP[low].map((value, k) => Math.round(value + (place - low) * (RAMP[low + 1][k] - value)));
  return `rgb(${mixed.join(",")})`;
}

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const rectangle = ([left, top, width, height], kind) =>
  element("rect", { x: left - 0.5, y: top - 0.5, width, height, class: kind });

// Pixels of the photograph in one of the screen.
const unit = () => 1 / (SVG.getScreenCTM()?.a || 1);

function render() {
  const shown = photo();
  const ready = Boolean(shown?.faces);
  $("drop").hidden = Boolean(shown);
  for (const id of ["about", "faces", "points", "save", "zoom"]) $(id).hidden = !(id === "about" ? photos.length > 1 : ready);
  SVG.classList.toggle("boxing", Boolean(boxing));
  SVG.replaceChildren();
  if (ready) draw(shown);
  if (shown) panel(shown, ready);
}

function draw(shown) {
  SVG.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  SVG.append(element("image", { href: shown.url, x: -0.5, y: -0.5, width: shown.width, height: shown.height }));
  const pixel = unit();
  others(shown).forEach((other, index) => {
    other.points.forEach(([x, y], k) => {
      if (isHidden(shown, k)) return;
      const own = shown.faces[index].points[k];
      if (own) SVG.append(element("line", { x1: own[0], y1: own[1], x2: x, y2: y, class: "apart" }));
      SVG.append(element("circle", { cx: x, cy: y, r: 5 * pixel, class: "other" }));
    });
  });
  shown.faces.forEach((it, index) => {
    const group = element("g", { class: index === chosen ? "face chosen" : "face" });
    if ($("boxes").checked) group.append(rectangle(it.box, "box shade"), rectangle(it.box, "box"));
    it.points.forEach((place, k) => {
      if (!place || isHidden(shown, k)) return;
      const [x, y] = place;
      const on = index === chosen && k === point;
      const size = { cx: x, cy: y, r: (on ? 5 : 3.2) * pixel, fill: colour(shown, it, k) };
      group.append(element("circle", { ...size, class: on ? "dot chosen" : "dot", "data-point": k }));
      if ($("numbers").checked) {
        const at = { x: x + 5 * pixel, y: y - 5 * pixel, "font-size": 11 * pixel, "stroke-width": 2.5 * pixel };
        group.append(element("text", { ...at, class: "number" }, shown.names[k]));
      }
    });
    if (index === chosen && $("boxes").checked && !boxing) {
      corners(it.box).forEach(([x, y]) => {
        group.append(element("rect", { x: x - 4 * pixel, y: y - 4 * pixel, width: 8 * pixel, height: 8 * pixel, class: "corner" }));
      });
    }
    SVG.append(group);
  });
  if (boxing) SVG.append(rectangle(boxing.box, "new"));
}

const corners = ([left, top, width, height]) => [
  [left - 0.5, top - 0.5], [left + width - 0.5, top - 0.5], [left + width - 0.5, top + height - 0.5], [left - 0.5, top + height - 0.5],
];

function panel(shown, ready) {
  $("place").textContent = `${at + 1} of ${photos.length}, ${photos.filter((one) => one.looked).length} looked at`;
  $("before").disabled = at === 0;
  $("next").disabled = at === photos.length - 1;
  if (!ready) return;
  $("list").replaceChildren(...shown.faces.map((it, index) => {
    const known = it.confidence.filter((sure) => sure !== null);
    const button = document.createElement("button");
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", index === chosen);
    const [name, sure] = [document.createElement("span"), document.createElement("span")];
    name.textContent = `Face ${index + 1}`;
    sure.textContent = known.length ? `confidence ${(100 * mean(known)).toFixed(0)} %` : "";
    button.append(name, sure);
    button.addEventListener("click", () => choose(index));
    return button;
  }));
  $("box").setAttribute("aria-pressed", Boolean(boxing));
  $("forget").disabled = !face();
  $("undo").disabled = !shown.undo.length;
  const other = others(shown)[chosen];
  $("difference").hidden = !other;
  if (other) {
    const apart = mean(other.points.flatMap(([x, y], k) => {
      const own = face().points[k];
      return own ? [Math.hypot(x - own[0], y - own[1])] : [];
    }));
    const share = (100 * apart) / face().box[2];
    $("difference").textContent = `Rings: ${shown.other.network}, ${apart.toFixed(1)} px away in the mean (${share.toFixed(1)} % of the box).`;
  }
  aboutPoint(shown);
  const groups = Object.entries(shown.groups);
  $("groups").hidden = !groups.length;
  if ($("groups").dataset.of !== JSON.stringify(groups)) {
    $("groups").dataset.of = JSON.stringify(groups);
    $("groups").replaceChildren($("groups").firstElementChild, ...groups.map(([name, of]) => {
      const [label, box, swatch] = ["label", "input", "span"].map((kind) => document.createElement(kind));
      Object.assign(box, { type: "checkbox", checked: !hidden.has(name) });
      box.addEventListener("change", () => {
        box.checked ? hidden.delete(name) : hidden.add(name);
        render();
      });
      swatch.className = "swatch";
      swatch.style.background = shown.colours[of[0]];
      label.append(box, swatch, name);
      return label;
    }));
  }
  $("legend").hidden = !$("confidence").checked;
}

function aboutPoint(shown) {
  const it = face();
  const absent = (it?.points ?? []).flatMap((place, k) => (place ? [] : [k]));
  const words = $("point");
  words.replaceChildren();
  $("absent").disabled = !it || point === null;
  $("absent").textContent = it && point !== null && !it.points[point] ? "Put it back" : "Cannot be seen";
  if (it && point !== null) {
    const group = Object.entries(shown.groups).find(([, of]) => of.includes(point))?.[0];
    const sure = it.confidence[point];
    const place = it.points[point]?.map((value) => value.toFixed(1)).join(", ") ?? "cannot be seen";
    const known = sure === null || !it.points[point] ? "" : `, confidence ${sure.toFixed(2)}`;
    words.append(`Point ${shown.names[point]}${group ? ` (${group})` : ""}: ${place}${known}`);
  } else words.append("Drag a point to move it.");
  if (absent.length) words.append(document.createElement("br"), `Not seen: ${absent.map((k) => shown.names[k]).join(", ")}`);
}

function choose(index) {
  [chosen, point] = [index, null];
  render();
}

// --- zoom ---

function zoomTo(area) {
  const shown = photo();
  const [left, top, width, height] = area ?? [0, 0, shown.width, shown.height];
  view = { x: left - 0.5, y: top - 0.5, width, height };
}

function zoom(factor, place = [view.x + view.width / 2, view.y + view.height / 2]) {
  const shown = photo();
  if (!shown?.faces) return;
  const width = Math.min(Math.max(view.width * factor, 12), 2 * Math.max(shown.width, shown.height));
  const by = width / view.width;
  view = { x: place[0] - (place[0] - view.x) * by, y: place[1] - (place[1] - view.y) * by, width, height: view.height * by };
  render();
}

function zoomToFace() {
  if (!face()) return;
  const [left, top, width, height] = face().box;
  zoomTo([left - width * 0.35, top - height * 0.35, width * 1.7, height * 1.7]);
  render();
}

function zoomOut() {
  if (!photo()?.faces) return;
  zoomTo();
  render();
}

// --- pointer ---

function placeOf(event) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(SVG.getScreenCTM().inverse());
  return [x, y];
}

// The nearest of some places within reach: its index, or null.
function nearest(places, [x, y]) {
  let [best, least] = [null, REACH * unit()];
  places.forEach((place, index) => {
    const away = place ? Math.hypot(place[0] - x, place[1] - y) : Infinity;
    if (away < least) [best, least] = [index, away];
  });
  return best;
}

SVG.addEventListener("pointerdown", (event) => {
  const shown = photo();
  if (!shown?.faces || event.button !== 0) return;
  const place = placeOf(event);
  SVG.focus();
  try {
    SVG.setPointerCapture(event.pointerId);
  } catch {
    // a pointer that is gone already has nothing to be followed
  }
  if (boxing) {
    drag = { kind: "box", from: place };
    return;
  }
  const order = [chosen, ...shown.faces.keys()].filter((index) => shown.faces[index]);
  for (const index of order) {
    const taken = nearest(shown.faces[index].points.map((spot, k) => (isHidden(shown, k) ? null : spot)), place);
    if (taken !== null) {
      [chosen, point] = [index, taken];
      drag = { kind: "point", before: JSON.stringify(shown.faces) };
      return render();
    }
  }
  const corner = face() && $("boxes").checked ? nearest(corners(face().box), place) : null;
  if (corner !== null) drag = { kind: "corner", box: [...face().box], opposite: corners(face().box)[(corner + 2) % 4], before: JSON.stringify(shown.faces) };
  else drag = { kind: "pan", from: [event.clientX, event.clientY], view: { ...view } };
});

SVG.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [x, y] = placeOf(event);
  drag.moved = true;
  if (drag.kind === "box") boxing.box = between(drag.from, [x, y]);
  if (drag.kind === "point") move(x, y);
  if (drag.kind === "corner") face().box = between(drag.opposite, [x, y]);
  if (drag.kind === "pan") {
    const by = unit();
    view = { ...view, x: drag.view.x - (event.clientX - drag.from[0]) * by, y: drag.view.y - (event.clientY - drag.from[1]) * by };
  }
  render();
});

SVG.addEventListener("pointerup", (event) => {
  const [done, shown] = [drag, photo()];
  drag = null;
  if (!done) return;
  if (done.kind === "box" && done.moved) {
    if (Math.min(boxing.box[2], boxing.box[3]) < 4) return say("This box is too small.");
    takeBox();
  } else if (done.kind === "point" && done.moved) {
    shown.undo.push(done.before);
    shown.changed = true;
    render();
  } else if (done.kind === "corner") {
    const box = face().box;
    shown.faces = JSON.parse(done.before);
    if (done.moved && Math.min(box[2], box[3]) >= 4) lookInto(box, chosen);
    else render();
  } else if (done.kind === "pan" && !done.moved) {
    const [x, y] = placeOf(event);
    const inside = shown.faces.findIndex(({ box: [left, top, width, height] }) => x > left && y > top && x < left + width && y < top + height);
    if (inside >= 0) choose(inside);
  }
});

SVG.addEventListener("pointercancel", () => {
  if (drag?.before) photo().faces = JSON.parse(drag.before);
  drag = null;
  render();
});

SVG.addEventListener("wheel", (event) => {
  if (!photo()?.faces) return;
  event.preventDefault();
  zoom(Math.exp(event.deltaY * 0.0015), placeOf(event));
}, { passive: false });

const between = ([x0, y0], [x1, y1]) =>
  [Math.min(x0, x1) + 0.5, Math.min(y0, y1) + 0.5, Math.abs(x1 - x0), Math.abs(y1 - y0)].map(round);

// --- keys ---

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function pressed(event) {
  const shown = photo();
  if (!shown || event.target.matches("select, input") || event.altKey) return false;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return key === "z" ? (undo(), true) : false;
  if (key === "PageDown" || key === "PageUp") {
    const index = at + (key === "PageDown" ? 1 : -1);
    if (photos[index]) go(index);
    return true;
  }
  if (!shown.faces) return false;
  const steps = event.shiftKey ? 10 : 1;
  if (boxing) {
    const [left, top, width, height] = boxing.box;
    if (ARROWS[key]) boxing.box = [left + ARROWS[key][0] * steps, top + ARROWS[key][1] * steps, width, height];
    else if (key === "+" || key === "-") {
      const by = key === "+" ? 1.05 : 1 / 1.05;
      boxing.box = [left - (width * (by - 1)) / 2, top - (height * (by - 1)) / 2, width * by, height * by].map(round);
    } else if (key === "Enter" && event.target === SVG) takeBox();
    else if (key === "Escape") {
      boxing = null;
      say("No box.");
    } else return false;
    render();
    return true;
  }
  const it = face();
  if (it && (key === "." || key === ",")) {
    const places = it.points.length;
    point = point === null ? 0 : (point + (key === "." ? 1 : places - 1)) % places;
    render();
  } else if (it && point !== null && ARROWS[key] && it.points[point]) {
    const [x, y] = it.points[point];
    change(() => move(x + ARROWS[key][0] * steps, y + ARROWS[key][1] * steps));
  } else if (it && (key === "Delete" || key === "Backspace")) toggleAbsent();
  else if (key === "b") startBox();
  else if (key === "f" && shown.faces.length) choose((chosen + 1) % shown.faces.length);
  else if (key === "z") zoomToFace();
  else if (key === "0") zoomOut();
  else if (key === "+" || key === "-") zoom(key === "+" ? 0.8 : 1.25);
  else if (key === "Escape" && point !== null) choose(chosen);
  else return false;
  return true;
}

document.addEventListener("keydown", (event) => pressed(event) && event.preventDefault());

// --- the rest of the page ---

$("before").addEventListener("click", () => go(at - 1));
$("next").addEventListener("click", () => go(at + 1));
$("box").addEventListener("click", () => (boxing ? ((boxing = null), render()) : startBox()));
$("forget").addEventListener("click", () => {
  change((shown) => shown.faces.splice(chosen, 1));
  choose(0);
});
$("undo").addEventListener("click", undo);
$("absent").addEventListener("click", toggleAbsent);
$("closer").addEventListener("click", () => zoom(0.8));
$("farther").addEventListener("click", () => zoom(1.25));
$("whole").addEventListener("click", zoomOut);
$("near").addEventListener("click", zoomToFace);
for (const id of ["boxes", "numbers", "confidence"]) $(id).addEventListener("change", render);
for (const button of document.querySelectorAll("[data-save]")) button.addEventListener("click", () => save(button.dataset.save));
$("other").addEventListener("change", compare);
$("network").addEventListener("change", () => {
  if (photos.some((shown) => shown.changed) && !confirm("Corrections are not saved. Look again all the same?")) return;
  photos.forEach((shown) => Object.assign(shown, { ready: undefined, faces: undefined, trouble: undefined, undo: [], changed: false }));
  if (photo()) go(at);
});
for (const id of ["files", "folder"]) {
  $(id).addEventListener("change", () => {
    const files = [...$(id).files];
    $(id).value = ""; // the same ones may be opened again
    if (files.length) open(files);
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("stage").classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || $("stage").classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  $("stage").classList.remove("over");
  const files = await dropped(event.dataTransfer);
  if (files.length) open(files);
});
window.addEventListener("resize", render);
window.addEventListener("beforeunload", (event) => photos.some((shown) => shown.changed) && event.preventDefault());

about = await (await fetch("/about")).json();
for (const name of about.networks) {
  $("network").append(new Option(name, name));
  $("other").append(new Option(name, name));
}
$("other").prepend(new Option("none", ""));
$("other").value = "";
