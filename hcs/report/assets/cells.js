// DNA content against the sensor over all nuclei; a region chosen by click or keys shows the nuclei in it.
const CELLS = DATA.cells;

function cellsSection(host) {
  if (!CELLS) {
    host.append(el("p", { class: "absent" }, "No nucleus has both values, so there is nothing to plot."));
    return;
  }
  const state = { compound: "", region: fullestRegion(), chosen: PICTURES.wells && Object.keys(PICTURES.wells).length > 0 };
  const canvas = el("canvas", { class: "scatter", width: 920, height: 640, tabindex: "0", role: "application", "aria-label": `Density of ${CELLS.nuclei} nuclei: ${CELLS.x.title} against ${CELLS.y.title}. Arrow keys choose a region, Enter shows its nuclei.` });
  const gallery = el("div", { class: "gallery", "aria-live": "polite" }, el("p", { class: "absent" }, "Choose a region of the plot to see nuclei from it."));
  const draw = () => drawCells(canvas, state);
  const choose = () => { state.chosen = true; draw(); drawGallery(gallery, state); };
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const { left, right, top, bottom } = cellsFrame(canvas);
    const x = ((event.clientX - box.left) / box.width) * canvas.width, y = ((event.clientY - box.top) / box.height) * canvas.height;
    const [columns, rows] = CELLS.regions;
    const clamp = (v, n) => Math.min(Math.max(Math.floor(v), 0), n - 1);
    state.region = [clamp(((x - left) / (right - left)) * columns, columns), clamp(((bottom - y) / (bottom - top)) * rows, rows)];
    choose();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step) {
      event.preventDefault();
      state.region = state.region.map((v, i) => Math.min(Math.max(v + step[i], 0), CELLS.regions[i] - 1));
      state.chosen = true;
      draw();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose();
    }
  });
  const options = [{ value: "", text: "density of all nuclei" }, { value: "r:negative", text: "negative controls", group: "Also as points" }, { value: "r:positive", text: "positive controls", group: "Also as points" },
    ...[...new Set(column("wells", "Metadata_Compound"))].filter(Boolean).map((c) => ({ value: `c:${c}`, text: shorten(c, 60), group: "Also as points" }))];
  const controls = el("div", { class: "controls" }, choice("Show", options, "", (v) => { state.compound = v; draw(); }));
  if (PICTURES.channels.length > 1) controls.append(choice("Pictures", PICTURES.channels.map((c, i) => ({ value: String(i), text: shorten(c, 40) })), "0", (v) => { state.channel = Number(v); if (state.chosen) drawGallery(gallery, state); }));
  host.append(controls, el("div", { class: "cells" }, el("figure", null, canvas, el("figcaption", null, `${fixed(CELLS.nuclei, 0)} measured nuclei of the plate${CELLS.leftOut ? `; ${fixed(CELLS.leftOut, 0)} without both values are left out` : ""}. Points are a random sample.`)), gallery));
  draw();
  if (state.chosen) drawGallery(gallery, state);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  asTable(host, "Density as a table", regionTable);
}

// The region of most nuclei among those that have pictures, as [column, row].
function fullestRegion() {
  const counts = regionCounts();
  const best = [...new Set(CELLS.shown.region)].sort((a, b) => counts[b] - counts[a])[0] || 0;
  return [best % CELLS.regions[0], Math.floor(best / CELLS.regions[0])];
}

function regionCounts() {
  const [columns, rows] = CELLS.regions;
  const counts = new Array(columns * rows).fill(0);
  CELLS.density.forEach((n, i) => {
    const c = Math.floor(((i % CELLS.bins[0]) / CELLS.bins[0]) * columns), r = Math.floor((Math.floor(i / CELLS.bins[0]) / CELLS.bins[1]) * rows);
    counts[r * columns + c] += n;
  });
  return counts;
}

function cellsFrame(canvas) {
  return { left: 108, right: canvas.width - 16, top: 14, bottom: canvas.height - 66 };
}

function drawCells(canvas, state) {
  const paint = canvas.getContext("2d");
  const style = getComputedStyle(document.body);
  const ink = style.getPropertyValue("--ink"), line = style.getPropertyValue("--line");
  const { left, right, top, bottom } = cellsFrame(canvas);
  const [columns, rows] = CELLS.bins;
  paint.clearRect(0, 0, canvas.width, canvas.height);
  const most = Math.max(...CELLS.density, 1);
  const wide = (right - left) / columns, tall = (bottom - top) / rows;
  CELLS.density.forEach((n, i) => {
    if (!n) return;
    paint.fillStyle = mapColour("viridis", Math.sqrt(n / most));
    paint.fillRect(left + (i % columns) * wide, bottom - (Math.floor(i / columns) + 1) * tall, wide + 0.5, tall + 0.5);
  });
  const atX = (v) => left + ((v - CELLS.x.low) / (CELLS.x.high - CELLS.x.low)) * (right - left);
  const atY = (v) => bottom - ((v - CELLS.y.low) / (CELLS.y.high - CELLS.y.low)) * (bottom - top);
  drawPoints(paint, state, atX, atY, { left, right, top, bottom });
  paint.strokeStyle = line;
  paint.lineWidth = 2;
  paint.strokeRect(left, top, right - left, bottom - top);
  paint.fillStyle = ink;
  paint.font = "22px system-ui, sans-serif";
  paint.textAlign = "center";
  for (const t of ticks(CELLS.x.low, CELLS.x.high, 6)) paint.fillText(shortNumber(t), atX(t), bottom + 26);
  paint.fillText(CELLS.x.title, (left + right) / 2, canvas.height - 10);
  paint.textAlign = "right";
  for (const t of ticks(CELLS.y.low, CELLS.y.high, 5)) paint.fillText(shortNumber(2 ** t), left - 8, atY(t) + 7);
  paint.save();
  paint.translate(22, (top + bottom) / 2);
  paint.rotate(-Math.PI / 2);
  paint.textAlign = "center";
  paint.fillText(CELLS.y.title, 0, 0);
  paint.restore();
  if (!state.chosen) return;
  const [w, h] = [(right - left) / CELLS.regions[0], (bottom - top) / CELLS.regions[1]];
  paint.strokeStyle = "#D55E00";
  paint.lineWidth = 4;
  paint.strokeRect(left + state.region[0] * w, bottom - (state.region[1] + 1) * h, w, h);
}

function drawPoints(paint, state, atX, atY, frame) {
  if (!state.compound) return;
  CELLS.decoded = CELLS.decoded || { well: decode(CELLS.points.well, Uint16Array), x: decode(CELLS.points.x, Float32Array), y: decode(CELLS.points.y, Float32Array) };
  const kind = state.compound[0], wanted = state.compound.slice(2);
  const of = kind === "r" ? ROLES : column("wells", "Metadata_Compound");
  const { well, x, y } = CELLS.decoded;
  for (let i = 0; i < CELLS.points.n; i += 1) {
    if (of[well[i]] !== wanted) continue;
    const [px, py] = [atX(x[i]), atY(y[i])];
    if (px < frame.left || px > frame.right || py < frame.top || py > frame.bottom) continue;
    paint.beginPath();
    paint.arc(px, py, 4.2, 0, 2 * Math.PI);
    paint.fillStyle = "#D55E00";
    paint.fill();
    paint.strokeStyle = "#fff";
    paint.lineWidth = 1;
    paint.stroke();
  }
}

function regionWords([i, k]) {
  const edge = (axis, at, n) => axis.low + (at / n) * (axis.high - axis.low);
  const number = (axis, v) => show(axis.log && axis === CELLS.y ? 2 ** v : v);
  const span = (axis, at, n) => `${number(axis, edge(axis, at, n))} to ${number(axis, edge(axis, at + 1, n))}`;
  return `${CELLS.x.title} ${span(CELLS.x, i, CELLS.regions[0])}, ${CELLS.y.title} ${span(CELLS.y, k, CELLS.regions[1])}`;
}

function drawGallery(gallery, state) {
  clear(gallery);
  const region = state.region[1] * CELLS.regions[0] + state.region[0];
  const rows = CELLS.shown.region.map((r, i) => (r === region ? i : -1)).filter((i) => i >= 0 && PICTURES.crops && PICTURES.crops[i] >= 0);
  gallery.append(el("h4", null, regionWords(state.region)));
  if (!rows.length || !PICTURES.sheets.length) {
    gallery.append(el("p", { class: "absent" }, "No pictures of nuclei from this region."));
    return;
  }
  const x = decode(CELLS.shown.x, Float32Array), y = decode(CELLS.shown.y, Float32Array), well = decode(CELLS.shown.well, Uint16Array);
  const sheet = new Image();
  const list = el("ul");
  const px = PICTURES.cropPx;
  rows.forEach((i) => {
    const picture = el("canvas", { width: px, height: px, "aria-hidden": "true" });
    const name = WELLS[well[i]];
    const words = `${name}, field ${CELLS.shown.site[i]}, nucleus ${CELLS.shown.object[i]}: ${CELLS.x.title} ${show(x[i])}, ${CELLS.y.title} ${show(2 ** y[i])}`;
    const button = el("button", { type: "button", "aria-label": words, onclick: () => chooseWell(name, true) }, picture);
    list.append(el("li", null, withTip(button, () => words.split(": "))));
    const at = PICTURES.crops[i];
    sheet.addEventListener("load", () => picture.getContext("2d").drawImage(sheet, (at % PICTURES.sheetColumns) * px, Math.floor(at / PICTURES.sheetColumns) * px, px, px, 0, 0, px, px));
  });
  sheet.src = PICTURES.sheets[Math.min(state.channel || 0, PICTURES.sheets.length - 1)];
  gallery.append(list, el("p", { class: "note" }, `${rows.length} nuclei drawn at random from the pictured fields; click one to see its well.`));
}

function regionTable() {
  const columns = CELLS.regions[0];
  const counts = regionCounts();
  const found = [...counts.keys()].filter((i) => counts[i]).sort((a, b) => counts[b] - counts[a]);
  return makeTable(found, [{ title: "Region", wide: true, value: (i) => regionWords([i % columns, Math.floor(i / columns)]) }, { title: "Nuclei", number: true, value: (i) => counts[i] }], { table: "density", limit: 30, caption: "Nuclei by region of the plot" });
}
