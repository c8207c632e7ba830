// The plate as a heat map of any readout; wells can be hovered, focused, walked over with arrows, and chosen.
let chosenWell = null;
const wellListeners = [];
function chooseWell(well, jump) {
  chosenWell = well;
  for (const listen of wellListeners) listen(well);
  if (jump) byId("well-panel").scrollIntoView({ block: "center", behavior: "auto" });
}

const FIELD_FLAGS = new Map();
rowNumbers("fields").forEach((row) => {
  const flags = cellOf("fields", "Flags", row);
  if (flags) FIELD_FLAGS.set(cellOf("fields", "Metadata_Well", row), flags);
});

const SCORE_KINDS = { PercentOfControl: "percent of control", PercentEffect: "percent of the positives' effect", RobustZ: "robust z", Corrected: "after correction of plate effects", RobustZ_Corrected: "robust z after correction", BScore: "B-score", PValue: "p", QValue: "q" };

// Everything that can be shown on the plate: {value, text, group, of(well) → number or null, n(well)}.
function layers() {
  const found = [];
  const ofWells = (key) => { const values = column("wells", key); return (well) => values[WELL_ROW.get(well)]; };
  for (const key of DATA.readouts) if (DATA.wellReadouts.includes(key)) found.push({ value: `w:${key}`, text: readoutName(key), group: "Readouts of this run", of: ofWells(key) });
  for (const kind of Object.keys(SCORE_KINDS)) {
    if (!hasColumn("scores", kind) || !column("scores", kind).some(isNumber)) continue;
    for (const readout of new Set(column("scores", "Readout"))) {
      const values = new Map(rowNumbers("scores", (r) => cellOf("scores", "Readout", r) === readout).map((r) => [cellOf("scores", "Metadata_Well", r), cellOf("scores", kind, r)]));
      found.push({ value: `s:${kind}:${readout}`, text: `${readoutName(readout)}: ${SCORE_KINDS[kind]}`, group: "Scores", of: (well) => values.get(well) });
    }
  }
  for (const key of Object.keys(DATA.wellQuality.columns)) {
    const values = DATA.wellQuality.columns[key];
    found.push({ value: `q:${key}`, text: `${key.slice(8).replace(/_/g, " ")}, mean over fields`, group: "Image quality", of: (well) => values[WELL_ROW.get(well)] });
  }
  for (const key of DATA.wellReadouts) if (!DATA.readouts.includes(key)) found.push({ value: `w:${key}`, text: readoutName(key), group: "All well readouts", of: ofWells(key) });
  return found;
}

const rowLetters = (i) => (i < 26 ? String.fromCharCode(65 + i) : String.fromCharCode(64 + Math.floor(i / 26)) + String.fromCharCode(65 + (i % 26)));
function wellPlace(well) {
  const letters = well.replace(/\d+$/, "");
  let row = 0;
  for (const letter of letters) row = row * 26 + letter.charCodeAt(0) - 64;
  return [row - 1, parseInt(well.slice(letters.length), 10) - 1];
}

function wellLines(well, layer) {
  const row = WELL_ROW.get(well);
  const compound = cellOf("wells", "Metadata_Compound", row);
  const dose = doseText(cellOf("wells", "Metadata_Dose", row), cellOf("wells", "Metadata_Unit", row));
  const role = ROLES[row];
  const status = cellOf("wells", "Status", row);
  const lines = [`${well}${role ? `, ${role}` : ""}`];
  if (compound || dose) lines.push(`${shorten(compound || "", 60)} ${dose}`.trim());
  if (layer) lines.push(`${layer.text}: ${show(layer.of(well), 4)}`);
  lines.push(`n = ${show(cellOf("wells", "Count_Nuclei_Measured", row))} nuclei measured`);
  if (status !== "ok") lines.push(`${status}: ${shorten(cellOf("wells", "Reason", row) || "no nucleus found", 100)}`);
  if (FIELD_FLAGS.has(well)) lines.push(`flagged: ${shorten(FIELD_FLAGS.get(well), 100)}`);
  return lines;
}
const shorten = (text, n) => (String(text).length > n ? `${String(text).slice(0, n - 1)}…` : String(text));

function plateSection(host) {
  if (!rowsOf("wells")) return absent(host, "wells");
  const all = layers();
  const state = { layer: all[0], map: "viridis", robust: false };
  const stage = el("div", { class: "plate-stage" });
  const redraw = () => { clear(stage); drawPlate(stage, state); };
  const controls = el("div", { class: "controls" },
    choice("Readout", all.map((l) => ({ value: l.value, text: l.text, group: l.group })), all[0] && all[0].value, (v) => { state.layer = all.find((l) => l.value === v); redraw(); }),
    choice("Colours", [{ value: "viridis", text: "viridis" }, { value: "cividis", text: "cividis" }], "viridis", (v) => { state.map = v; redraw(); }),
    choice("Range", [{ value: "", text: "all values" }, { value: "robust", text: "5th to 95th percentile" }], "", (v) => { state.robust = v === "robust"; redraw(); }));
  controls.querySelector("select").id = "readout-select";
  host.append(controls, stage);
  redraw();
  asTable(host, "This readout as a table", () => {
    const place = el("div");
    const fillTable = () => clear(place).append(layerTable(state.layer));
    controls.addEventListener("change", fillTable);
    fillTable();
    return place;
  });
}

function layerTable(layer) {
  const key = layer && layer.value.startsWith("w:") ? layer.value.slice(2) : null;
  return makeTable(rowNumbers("wells"), [
    ...tableColumns("wells", [["Metadata_Well", "Well", { well: true }], ["Metadata_Role", "Role"], ["Metadata_Compound", "Compound", { wide: true }], ["Metadata_Dose", "Dose"], ["Metadata_Unit", "Unit"]]),
    { title: layer ? layer.text : "Value", number: true, key, table: "wells", value: (row) => (layer ? layer.of(WELLS[row]) : null) },
    ...tableColumns("wells", [["Count_Nuclei_Measured", "n"]]),
  ], { table: "wells", caption: layer ? layer.text : "" });
}

function drawPlate(stage, state) {
  const [rows, columns] = DATA.shape;
  const values = WELLS.map((well) => (state.layer ? state.layer.of(well) : null));
  const known = values.filter(isNumber).sort((a, b) => a - b);
  const at = (share) => known[Math.min(known.length - 1, Math.max(0, Math.round(share * (known.length - 1))))];
  const low = known.length ? (state.robust ? at(0.05) : known[0]) : 0;
  const high = known.length ? (state.robust ? at(0.95) : known[known.length - 1]) : 1;
  const side = 20, gap = columns > 24 ? 1 : 2, left = 22, top = 18;
  const text = columns > 12 ? 9.5 : 6.5;
  const drawing = svg("svg", { class: "plate", style: `--tick:${text}px`, viewBox: `0 0 ${left + columns * side + 2} ${top + rows * side + 2}`, role: "group", "aria-label": `Heat map of ${state.layer ? state.layer.text : "the plate"}, ${rows} rows and ${columns} columns; arrow keys move between wells` });
  drawing.append(svg("defs", null, svg("pattern", { id: "hatch", width: 4, height: 4, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("rect", { width: 1.3, height: 4, class: "hatch" }))));
  for (let c = 0; c < columns; c += columns > 24 ? 2 : 1) drawing.append(svg("text", { x: left + (c + 0.5) * side, y: top - 5, class: "tick", "text-anchor": "middle" }, c + 1));
  for (let r = 0; r < rows; r += 1) drawing.append(svg("text", { x: left - 6, y: top + (r + 0.5) * side + text / 3, class: "tick", "text-anchor": "end" }, rowLetters(r)));
  const nodes = new Map();
  WELLS.forEach((well, i) => {
    const node = wellNode(well, values[i], { state, low, high, side, gap, left, top });
    nodes.set(well, node);
    drawing.append(node);
  });
  const first = chosenWell && nodes.has(chosenWell) ? chosenWell : WELLS[0];
  if (nodes.has(first)) nodes.get(first).setAttribute("tabindex", "0");
  drawing.addEventListener("keydown", (event) => walk(event, nodes));
  stage.append(drawing, plateLegend(state, low, high, known.length));
  const mark = (well) => nodes.forEach((node, name) => { node.classList.toggle("chosen", name === well); node.setAttribute("aria-pressed", name === well); });
  mark(chosenWell);
  drawPlate.mark = mark;
}
wellListeners.push((well) => drawPlate.mark && drawPlate.mark(well));

function wellNode(well, value, { state, low, high, side, gap, left, top }) {
  const [row, col] = wellPlace(well);
  const x = left + col * side + gap / 2, y = top + row * side + gap / 2, size = side - gap;
  const known = isNumber(value);
  const share = known ? (high > low ? (value - low) / (high - low) : 0.5) : 0;
  const role = ROLES[WELL_ROW.get(well)];
  const node = svg("g", { class: "well", "data-well": well, tabindex: "-1", role: "button", "aria-label": wellLines(well, state.layer).join(", ") });
  node.append(svg("rect", { x, y, width: size, height: size, rx: 2.5, fill: known ? mapColour(state.map, share) : "url(#hatch)", class: known ? null : "no-value" }));
  const ink = known ? (isDark(state.map, share) ? "#fff" : "#000") : "currentColor";
  const cx = x + size / 2, cy = y + size / 2;
  if (role === "negative") node.append(svg("circle", { cx, cy, r: 3, fill: "none", stroke: ink, "stroke-width": 1.2 }));
  if (role === "positive") node.append(svg("path", { d: `M${cx} ${cy - 3.4}l3.4 6h-6.8z`, fill: "none", stroke: ink, "stroke-width": 1.2 }));
  if (well in DATA.distrusted) node.append(svg("path", { d: `M${x + size - 7} ${y}h7v7z`, class: "corner" }));
  node.addEventListener("click", () => chooseWell(well));
  return withTip(node, () => wellLines(well, state.layer));
}

function walk(event, nodes) {
  const node = event.target.closest && event.target.closest(".well");
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  if (!node) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    chooseWell(node.dataset.well);
  } else if (event.key in steps) {
    event.preventDefault();
    let [row, col] = wellPlace(node.dataset.well);
    for (let k = 0; k < 48; k += 1) {
      row += steps[event.key][0];
      col += steps[event.key][1];
      const next = nodes.get(rowLetters(Math.max(row, 0)) + String(col + 1).padStart(2, "0"));
      if (next && row >= 0) {
        node.setAttribute("tabindex", "-1");
        next.setAttribute("tabindex", "0");
        next.focus();
        break;
      }
    }
  }
}

function plateLegend(state, low, high, n) {
  const bar = svg("svg", { class: "ramp", viewBox: "0 0 200 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  for (let i = 0; i < 50; i += 1) bar.append(svg("rect", { x: i * 4, y: 0, width: 4.2, height: 10, fill: mapColour(state.map, i / 49) }));
  return el("div", { class: "legend" },
    n ? el("span", { class: "ramp-box" }, el("span", null, show(low)), bar, el("span", null, show(high))) : el("span", null, "no well has a value"),
    el("span", null, "○ negative"), el("span", null, "△ positive"), el("span", null, "▨ no value"), el("span", null, el("i", { class: "corner-key" }), " look twice"));
}
