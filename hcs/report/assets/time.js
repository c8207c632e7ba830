// A plate with time: traces of single cells, film strip and lineage of a well, responses, Z′ over time, quality of tracks.
const TIME = DATA.time;
const timeUnit = () => (TIME.intervalMin || TIME.timesMin ? "h" : "frame");
const atTime = (frame) => (TIME.timesMin ? TIME.timesMin[Math.min(frame, TIME.timesMin.length - 1)] / 60 : TIME.intervalMin ? (frame * TIME.intervalMin) / 60 : frame);
// Time of the k-th frame of a trace, since the movie's first frame or since the trace's own.
const alongTrace = (trace, k, aligned) => atTime(trace.first + k) - (aligned ? atTime(trace.first) : 0);
const MISSING = 65535;

// The light, or the stimulus, behind a chart whose time is the movie's.
function stimulusBand(chart) {
  if (!isNumber(TIME.stimulusMin) || timeUnit() !== "h") return;
  const end = atTime(TIME.frames - 1);
  const begins = TIME.stimulusMin / 60, ends = isNumber(TIME.lightOffMin) ? Math.min(TIME.lightOffMin / 60, end) : null;
  if (begins > end) return;
  const height = chart.bottom - chart.top;
  const shape = ends === null
    ? svg("line", { x1: chart.x(begins), x2: chart.x(begins), y1: chart.top, y2: chart.bottom, class: "stimulus" })
    : svg("rect", { x: chart.x(begins), y: chart.top, width: Math.max(chart.x(ends) - chart.x(begins), 1), height, class: "light" });
  chart.add(withTip(shape, () => (ends === null ? ["stimulus", `at ${hours(begins)} h`] : ["light", `${hours(begins)} to ${hours(ends)} h`])));
}

const hours = (value) => String(Number(value.toFixed(2)));

function timeSection(host) {
  if (!host || !TIME) return;
  const names = Object.keys(TIME.wells);
  if (!names.length) host.append(el("p", { class: "absent" }, "No field has all its frames done, so there are no tracks yet; `hcs run` into the same folder goes on."));
  else wellTime(host, names);
  responseTime(host);
  zprimeTime(host);
  qualityTime(host);
}

function tracesOf(well) {
  const coded = TIME.wells[well];
  const lengths = decode(coded.lengths, Uint16Array), firsts = decode(coded.firsts, Uint16Array), values = decode(coded.values, Uint16Array);
  const scale = TIME.what === "sensor ratio" ? TIME.scale : 1;
  const traces = [];
  let at = 0;
  lengths.forEach((n, i) => {
    const line = [];
    for (let k = 0; k < n; k += 1) if (values[at + k] !== MISSING) line.push([k * coded.step, values[at + k] / scale]);
    traces.push({ first: firsts[i], born: coded.born[i] === "1", line });
    at += n;
  });
  return traces;
}

function wellTime(host, names) {
  const state = { well: names.includes(chosenWell) ? chosenWell : names[0], aligned: false };
  const place = el("div");
  const draw = () => { clear(place); drawWellTime(place, state); };
  const options = names.map((w) => ({ value: w, text: wellTitle(w) }));
  const well = choice("Well", options, state.well, (v) => { state.well = v; draw(); });
  const axis = choice("Time", [{ value: "movie", text: "since the first frame" }, { value: "mitosis", text: "since mitosis" }], "movie", (v) => { state.aligned = v === "mitosis"; draw(); });
  host.append(el("div", { class: "controls" }, well, axis), place);
  wellListeners.push((chosen) => {
    if (!names.includes(chosen)) return;
    state.well = chosen;
    well.querySelector("select").value = chosen;
    draw();
  });
  draw();
}

function wellTitle(well) {
  const row = WELL_ROW.get(well);
  const compound = row === undefined ? "" : cellOf("wells", "Metadata_Compound", row) || "";
  const dose = row === undefined ? "" : doseText(cellOf("wells", "Metadata_Dose", row), cellOf("wells", "Metadata_Unit", row));
  return shorten(`${well} ${compound} ${dose}`.trim(), 60);
}

function drawWellTime(place, state) {
  const all = tracesOf(state.well);
  const traces = state.aligned ? all.filter((t) => t.born) : all;
  const grid = el("div", { class: "panels" });
  grid.append(tracePanel(state, traces), lineagePanel(state.well));
  place.append(grid);
  const strip = TIME.strips[state.well];
  if (!strip) return;
  const times = strip.frames.map((f) => hours(atTime(f))).join(", ");
  place.append(el("figure", { class: "strip" }, el("img", { src: strip.image, alt: `Track ${strip.track} of ${state.well}, field ${strip.site}, in ${strip.frames.length} frames: ${strip.channels.join(" above ")}` }),
    el("figcaption", null, `Track ${strip.track} of field ${strip.site} in ${strip.channels.map((c) => shorten(c, 30)).join(" (top) and ")}, at ${times} ${timeUnit()}`)));
}

function tracePanel(state, traces) {
  const points = traces.flatMap((t) => t.line.map(([, v]) => v));
  const last = state.aligned ? Math.max(...traces.map((t) => (t.line.length ? alongTrace(t, t.line[t.line.length - 1][0], true) : 0))) : atTime(TIME.frames - 1);
  const caption = el("figcaption", null, el("strong", null, wellTitle(state.well)), ` ${fixed(traces.length, 0)} of ${fixed(TIME.wells[state.well].tracks, 0)} tracks${state.aligned ? ", born in a division" : ""}; thick: median`);
  if (!points.length) return el("figure", { class: "panel" }, caption, el("p", { class: "absent" }, state.aligned ? "No track of this well was born in a division." : "No track."));
  const sorted = [...points].sort((a, b) => a - b);
  const high = sorted[Math.floor(0.995 * (sorted.length - 1))], low = Math.min(sorted[Math.ceil(0.005 * (sorted.length - 1))], high);
  const chart = makeChart({ x: [0, last || 1], y: [Math.min(low - 0.04 * (high - low), high * 0.99), high * 1.05], width: 420, height: 240, xTitle: `${state.aligned ? "time since mitosis" : "time"} (${timeUnit()})`, yTitle: TIME.what, label: `${TIME.what} of single cells of ${state.well} over time` });
  const clip = (v) => Math.min(Math.max(v, chart.range.y[0]), chart.range.y[1]);
  if (!state.aligned) stimulusBand(chart);
  for (const t of traces) {
    if (t.line.length < 2) continue;
    const d = t.line.map(([k, v], i) => `${i ? "L" : "M"}${chart.x(alongTrace(t, k, state.aligned)).toFixed(1)} ${chart.y(clip(v)).toFixed(1)}`).join("");
    chart.add(svg("path", { d, class: "trace" }));
  }
  const median = state.aligned ? alignedMedian(traces) : movieMedian(state.well);
  const d = median.map(([at, v], i) => `${i ? "L" : "M"}${chart.x(at).toFixed(1)} ${chart.y(clip(v)).toFixed(1)}`).join("");
  if (median.length) chart.add(svg("path", { d, class: "trace median" }));
  return el("figure", { class: "panel" }, caption, chart.node);
}

function movieMedian(well) {
  const coded = TIME.wells[well];
  return [...decode(coded.median, Float32Array)].map((v, i) => [atTime(i * coded.step), v]).filter(([, v]) => Number.isFinite(v));
}

// The median at each time since mitosis, as long as five cells are still followed.
function alignedMedian(traces) {
  const at = new Map();
  const unit = atTime(TIME.frames - 1) / Math.max(TIME.frames - 1, 1) || 1;
  for (const t of traces) for (const [k, v] of t.line) {
    const place = Math.round(alongTrace(t, k, true) / unit);
    at.set(place, [...(at.get(place) || []), v]);
  }
  return [...at].filter(([, own]) => own.length >= 5).sort((a, b) => a[0] - b[0]).map(([place, own]) => [place * unit, own.sort((a, b) => a - b)[Math.floor(own.length / 2)]]);
}

const END_WORDS = { end: "end of the movie", divided: "divided", left: "left the field", died: "died", lost: "lost", merged: "merged" };

function lineagePanel(well) {
  const rows = TIME.wells[well].lineage;
  const caption = el("figcaption", null, el("strong", null, "Largest lineage"), ` ${rows.length} track${rows.length === 1 ? "" : "s"}`);
  if (!rows.length) return el("figure", { class: "panel" }, caption, el("p", { class: "absent" }, "No lineage."));
  const chart = makeChart({ x: [0, atTime(TIME.frames - 1) || 1], y: [0, 1], width: 420, height: 240, yTicks: 0, xTitle: `time (${timeUnit()})`, label: `Largest lineage of ${well}: ${rows.length} tracks` });
  const known = new Set(rows.map((r) => r[0]));
  const height = new Map();
  let leaves = 0;
  const placeRow = (row) => {
    const daughters = rows.filter((r) => r[1] === row[0]);
    const places = daughters.map(placeRow);
    height.set(row[0], places.length ? places.reduce((a, b) => a + b, 0) / places.length : leaves);
    if (!places.length) leaves += 1;
    return height.get(row[0]);
  };
  rows.filter((r) => !known.has(r[1])).forEach(placeRow);
  const y = (label) => chart.bottom - ((height.get(label) + 0.5) / Math.max(leaves, 1)) * (chart.bottom - chart.top);
  for (const [label, parent, first, last, ended] of rows) {
    // A mother is drawn until her daughters are seen.
    const until = Math.max(last, ...rows.filter((r) => r[1] === label).map((r) => r[2]));
    const line = svg("line", { x1: chart.x(atTime(first)), x2: chart.x(atTime(until)), y1: y(label), y2: y(label), class: `branch ${ended}` });
    chart.add(withTip(line, () => [`Track ${label}`, `frames ${first} to ${last}`, END_WORDS[ended] || ended]));
    if (height.has(parent)) chart.add(svg("line", { x1: chart.x(atTime(first)), x2: chart.x(atTime(first)), y1: y(parent), y2: y(label), class: "branch" }));
  }
  return el("figure", { class: "panel" }, caption, chart.node);
}

function responseTime(host) {
  const { readouts, conditions, times } = TIME.response;
  host.append(el("h3", null, "Response over time"));
  if (!readouts.length || !conditions.length) {
    host.append(el("p", { class: "absent" }, "No response over time was made; that needs a plate map and linked fields."));
    return;
  }
  const state = { readout: readouts[0] };
  const place = el("div");
  const draw = () => {
    clear(place);
    const grid = el("div", { class: "panels" });
    const samples = conditions.filter((c) => c.role === "sample");
    for (const name of new Set(samples.map((c) => c.compound))) grid.append(responsePanel(name, samples.filter((c) => c.compound === name), state.readout, times, conditions));
    if (!samples.length) grid.append(responsePanel("controls", [], state.readout, times, conditions));
    place.append(grid, el("p", { class: "note" }, "Median over the wells of each condition; darker for higher doses. Dashed: negative (blue) and positive (orange) controls."));
  };
  host.append(el("div", { class: "controls" }, choice("Readout", readouts.map((r) => ({ value: r, text: readoutName(r) })), state.readout, (v) => { state.readout = v; draw(); })), place);
  draw();
}

function responsePanel(name, own, readout, times, conditions) {
  const controls = conditions.filter((c) => c.role === "negative" || c.role === "positive");
  const series = (c) => [...decode(c.values[readout], Float32Array)];
  const levels = [...own, ...controls].flatMap(series).filter(Number.isFinite);
  const caption = el("figcaption", null, el("strong", { title: name }, shorten(name || "(unnamed)", 40)), ` ${own.length} dose${own.length === 1 ? "" : "s"}`);
  if (!levels.length) return el("figure", { class: "panel" }, caption, el("p", { class: "absent" }, "No value."));
  const chart = makeChart({ x: [0, atTime(times[times.length - 1]) || 1], y: spread(levels), width: 360, height: 220, xTitle: `time (${timeUnit()})`, label: `${readoutName(readout)} over time: ${name}` });
  stimulusBand(chart);
  const path = (values) => {
    let d = "", pen = "M";
    values.forEach((v, i) => { if (!Number.isFinite(v)) { pen = "M"; return; } d += `${pen}${chart.x(atTime(times[i])).toFixed(1)} ${chart.y(v).toFixed(1)}`; pen = "L"; });
    return d;
  };
  for (const c of controls) chart.add(withTip(svg("path", { d: path(series(c)), class: `response control ${c.role}` }), () => [c.role, c.compound || "", `${c.wells} wells`]));
  const ordered = [...own].sort((a, b) => (a.dose || 0) - (b.dose || 0));
  ordered.forEach((c, i) => {
    const shade = 0.25 + (0.75 * (i + 1)) / ordered.length;
    chart.add(withTip(svg("path", { d: path(series(c)), class: "response", style: `stroke-opacity:${shade.toFixed(2)}` }), () => [doseText(c.dose, c.unit) || c.compound, `${c.wells} well${c.wells === 1 ? "" : "s"}`]));
  });
  return el("figure", { class: "panel" }, caption, chart.node);
}

function zprimeTime(host) {
  if (!TIME.zprime) return;
  host.append(el("h3", null, "Z′ over time"));
  const columns = TIME.zprime.columns;
  const readouts = [...new Set(columns.Readout)];
  const grid = el("div", { class: "panels" });
  const whyNot = new Set();
  for (const readout of readouts) {
    const rows = columns.Readout.map((r, i) => (r === readout ? i : -1)).filter((i) => i >= 0 && isNumber(columns.ZPrime[i]));
    const caption = el("figcaption", null, el("strong", null, readoutName(readout)));
    if (!rows.length) {
      whyNot.add((columns.Reason && columns.Reason[columns.Readout.indexOf(readout)]) || "no value");
      continue;
    }
    const frames = columns.Metadata_Timepoint;
    const low = rows.map((i) => Math.max(-2, isNumber(columns.ZPrime_Low[i]) ? columns.ZPrime_Low[i] : columns.ZPrime[i]));
    const chart = makeChart({ x: [0, atTime(TIME.frames - 1) || 1], y: [Math.min(-0.2, ...low), 1], width: 360, height: 220, xTitle: `time (${timeUnit()})`, yTitle: "Z′", label: `Z′ of ${readoutName(readout)} over time` });
    const at = (i, v) => `${chart.x(atTime(frames[i])).toFixed(1)} ${chart.y(Math.min(Math.max(v, chart.range.y[0]), 1)).toFixed(1)}`;
    const step = Math.min(...frames.filter((f) => f > 0), TIME.frames);
    const known = rows.filter((i) => isNumber(columns.ZPrime_Low[i]) && isNumber(columns.ZPrime_High[i]));
    for (const run of unbroken(known, frames, step)) chart.add(svg("path", { d: `M${run.map((i) => at(i, columns.ZPrime_High[i])).join("L")}L${[...run].reverse().map((i) => at(i, columns.ZPrime_Low[i])).join("L")}z`, class: "zband" }));
    for (const run of unbroken(rows, frames, step)) chart.add(svg("path", { d: run.length > 1 ? `M${run.map((i) => at(i, columns.ZPrime[i])).join("L")}` : `M${at(run[0], columns.ZPrime[run[0]])}h2`, class: "response" }));
    grid.append(el("figure", { class: "panel" }, caption, chart.node));
  }
  host.append(grid);
  if (grid.children.length) host.append(el("p", { class: "note" }, "Shaded: interval of Z′. What is below −2 is drawn at the lower edge; where there is no line, Z′ cannot be told."));
  for (const why of whyNot) host.append(el("p", { class: "absent" }, `${grid.children.length ? "No Z′ of the other readouts" : "No Z′"}: ${shorten(why, 240)}.`));
  if (TIME.windows && grid.children.length) host.append(plainTable(TIME.windows, "The frame or window at which each readout separates the controls best, cross-validated by well"));
}

// Rows in runs of frames without a gap: no line is drawn where there is no value.
function unbroken(rows, frames, step) {
  const runs = [];
  for (const i of rows) {
    const last = runs.length && runs[runs.length - 1];
    if (last && frames[i] - frames[last[last.length - 1]] === step) last.push(i);
    else runs.push([i]);
  }
  return runs;
}

function plainTable(table, caption) {
  const keys = Object.keys(table.columns).filter((k) => k !== "Metadata_Plate");
  const rows = [...Array(table.rows).keys()];
  return makeTable(rows, keys.map((key) => {
    const values = table.columns[key];
    return { key, title: key.replace(/^Metadata_/, "").replace(/_/g, " ").replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`), number: values.some((v) => typeof v === "number"), value: (row) => values[row], wide: key === "Reason" };
  }), { caption, limit: 30 });
}

function qualityTime(host) {
  if (!TIME.quality) return;
  host.append(el("h3", null, "Quality of the tracks"), plainTable(TIME.quality, "Tracks of each well: how many, how long, how sure, how they began and ended; area jumps is the share of steps at which the area changes by more than 30 %"));
}
