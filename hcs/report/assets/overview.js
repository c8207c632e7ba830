// Several plates: one row each, Z′ and controls over them, EC50 of every compound by plate, replicates.
const chooseWell = () => {};
const plateName = (i) => shortText(cellOf("plates", "Plate", i), 28);
const shortText = (text, n) => (String(text).length > n ? `${String(text).slice(0, n - 1)}…` : String(text));

function platesPart(host) {
  const marks = { good: "✓ good", fair: "! look", poor: "✗ poor", none: "– open" };
  const z = (i) => ["ZPrime", "ZPrime_Low", "ZPrime_High"].map((k) => cellOf("plates", k, i));
  host.append(makeTable(rowNumbers("plates"), [
    { title: "Plate", draw: (i) => el("a", { href: cellOf("plates", "Link", i), title: cellOf("plates", "Plate", i) }, shortText(cellOf("plates", "Plate", i), 60)) },
    { title: "Verdict", key: "Verdict", value: (i) => cellOf("plates", "Verdict", i), text: (v) => marks[v] },
    ...tableColumns("plates", [["ZPrime", "Z′ (interval)", { text: (v, i) => (isNumber(v) ? `${fixed(v, 2)}${isNumber(z(i)[1]) ? ` (${fixed(z(i)[1], 2)} to ${fixed(z(i)[2], 2)})` : ""}` : "–") }], ["Readout", "of", { text: (v) => readoutName(v) }], ["Date", "Date"], ["Wells", "Wells"], ["Wells_NotOk", "not ok"], ["Wells_LookTwice", "to look at twice"], ["Fields_Flagged", "flagged fields"], ["Count_Nuclei", "Nuclei"], ["DNA_CV", "2N CV", { text: (v) => percent(v, 1) }], ["DNA_FourNRatio", "4N/2N"]]),
  ], { table: "plates", caption: "Plates in the order given" }));
}

function trendsPart(host) {
  if (!rowsOf("trend")) return absent(host, "trend");
  const place = el("div");
  const groups = [...new Set(column("trend", "Group"))];
  const state = { readout: DATA.readouts[0], group: groups.includes("") ? "" : groups[0] };
  const draw = () => {
    clear(place);
    const rows = rowNumbers("trend", (r) => cellOf("trend", "Readout", r) === state.readout && cellOf("trend", "Group", r) === state.group);
    const of = (key) => new Map(rows.map((r) => [cellOf("trend", "PlateIndex", r), cellOf("trend", key, r)]));
    const grid = el("div", { class: "panels" });
    grid.append(
      trendPanel("Z′", [{ values: of("ZPrime"), low: cut(of("ZPrime_Low")), high: of("ZPrime_High"), kind: "z" }], [0.5]),
      trendPanel(`${readoutName(state.readout)}: ○ negative, △ positive controls (mean ± SD)`, [around(of("NegativeMean"), of("NegativeSD"), "negative"), around(of("Mean"), of("SD"), "positive")], []),
      trendPanel("Nuclei of the plate", [{ values: new Map(rowNumbers("plates").map((i) => [i, cellOf("plates", "Count_Nuclei", i)])), low: new Map(), high: new Map(), kind: "z" }], []));
    place.append(grid);
    asTable(place, "Trends as a table", () => makeTable(rows, [{ title: "Plate", value: (r) => cellOf("plates", "Plate", cellOf("trend", "PlateIndex", r)), wide: true }, ...tableColumns("trend", [["ZPrime", "Z′"], ["ZPrime_Low", "low"], ["ZPrime_High", "high"], ["RobustZPrime", "Robust Z′"], ["SSMD", "SSMD"], ["NegativeMean", "Mean neg."], ["NegativeSD", "SD neg."], ["Mean", "Mean pos."], ["SD", "SD pos."], ["Count_NegativeWells", "n neg."], ["Count_Wells", "n pos."]])], { table: "trend", caption: readoutName(state.readout) }));
  };
  host.append(el("div", { class: "controls" },
    choice("Readout", DATA.readouts.map((r) => ({ value: r, text: readoutName(r) })), state.readout, (v) => { state.readout = v; draw(); }),
    groups.length > 1 ? choice("Controls", groups.map((g) => ({ value: g, text: g ? shortText(g, 60) : "all controls" })), state.group, (v) => { state.group = v; draw(); }) : null), place);
  draw();
}

// An interval of few wells may end far below 0; the figure ends at -1, the table has the number.
const cut = (values) => new Map([...values].map(([i, v]) => [i, isNumber(v) ? Math.max(v, -1) : v]));

function around(mean, sd, kind) {
  const shifted = (sign) => new Map([...mean].map(([i, m]) => [i, isNumber(m) && isNumber(sd.get(i)) ? m + sign * sd.get(i) : null]));
  return { values: mean, low: shifted(-1), high: shifted(1), kind };
}

// A value a plate with its interval, joined by a line; plates by their number.
function trendPanel(title, series, lines, unit) {
  const n = rowsOf("plates");
  const levels = [...lines, ...series.flatMap((s) => [...s.values.values(), ...s.low.values(), ...s.high.values()])].filter(isNumber);
  if (!levels.length) return el("figure", { class: "panel" }, el("figcaption", null, el("strong", null, title), " no plate has a value"));
  const [low, high] = [Math.min(...levels), Math.max(...levels)];
  const room = 0.08 * (high - low || Math.abs(high) || 1);
  const chart = makeChart({ x: [0.4, n + 0.6], y: [low - room, high + room], wholeX: true, xTitle: "plate", label: `${title} of ${n} plates` });
  for (const level of lines) chart.add(svg("line", { x1: chart.left, x2: chart.right, y1: chart.y(level), y2: chart.y(level), class: "axis dashed" }));
  for (const s of series) {
    const known = [...s.values].filter(([, v]) => isNumber(v)).sort((a, b) => a[0] - b[0]);
    chart.add(svg("path", { class: `trend ${s.kind}`, d: known.map(([i, v], k) => `${k ? "L" : "M"}${chart.x(i + 1).toFixed(1)} ${chart.y(v).toFixed(1)}`).join("") }));
    for (const [i, v] of known) {
      const [x, y] = [chart.x(i + 1), chart.y(v)];
      if (isNumber(s.low.get(i)) && isNumber(s.high.get(i))) chart.add(svg("line", { x1: x, x2: x, y1: chart.y(s.low.get(i)), y2: chart.y(s.high.get(i)), class: "whisker" }));
      const mark = s.kind === "positive" ? svg("path", { d: `M${x} ${y - 4.5}l4.5 8h-9z`, class: "point positive", tabindex: "0" }) : svg("circle", { cx: x, cy: y, r: 4, class: "point", tabindex: "0" });
      mark.setAttribute("aria-label", `${plateName(i)}: ${show(v)}`);
      chart.add(withTip(mark, () => [`${i + 1}: ${plateName(i)}`, `${show(v, 4)}${unit ? ` ${unit}` : ""}`]));
    }
  }
  return el("figure", { class: "panel" }, el("figcaption", null, el("strong", null, title)), chart.node);
}

function ec50Part(host) {
  if (!rowsOf("doses")) return absent(host, "doses");
  const readouts = [...new Set(column("doses", "Readout"))];
  const place = el("div");
  const draw = (readout) => {
    clear(place);
    const rows = rowNumbers("doses", (r) => cellOf("doses", "Readout", r) === readout);
    const compounds = [...new Set(rows.map((r) => cellOf("doses", "Compound", r)))];
    const grid = el("div", { class: "panels small" });
    compounds.slice(0, 40).forEach((compound) => {
      const own = rows.filter((r) => cellOf("doses", "Compound", r) === compound);
      const of = (key) => new Map(own.map((r) => [cellOf("doses", "PlateIndex", r), cellOf("doses", key, r)]));
      grid.append(trendPanel(`${shortText(compound || "(unnamed)", 30)}: EC50 ${shortText(cellOf("doses", "Unit", own[0]) || "", 10)}`, [{ values: of("EC50"), low: of("EC50_Low"), high: of("EC50_High"), kind: "z" }], []));
    });
    place.append(grid);
    asTable(place, "EC50 as a table", () => makeTable(rows, [{ title: "Plate", value: (r) => cellOf("plates", "Plate", cellOf("doses", "PlateIndex", r)), wide: true }, ...tableColumns("doses", [["Compound", "Compound", { wide: true }], ["Group", "Group"], ["EC50", "EC50"], ["EC50_Low", "low"], ["EC50_High", "high"], ["Unit", "Unit"], ["Efficacy", "Efficacy"], ["Reason", "Why not", { wide: true }]])], { table: "doses", caption: readoutName(readout) }));
  };
  const first = DATA.readouts.find((r) => readouts.includes(r)) || readouts[0];
  host.append(el("div", { class: "controls" }, choice("Readout", readouts.map((r) => ({ value: r, text: readoutName(r) })), first, draw)), place);
  draw(first);
}

function replicatesPart(host) {
  if (!rowsOf("replicates")) return absent(host, "replicates");
  host.append(makeTable(rowNumbers("replicates"), tableColumns("replicates", [["Readout", "Readout", { text: (v) => readoutName(v), wide: true }], ["Plate_A", "Plate", { wide: true }], ["Plate_B", "and plate", { wide: true }], ["Count_Conditions", "shared conditions"], ["Pearson", "Pearson r"], ["Pearson_Low", "low"], ["Pearson_High", "high"], ["Spearman", "Spearman"], ["Reason", "Remarks", { wide: true }]]), { table: "replicates", caption: "Means of shared compounds and doses, plate against plate" }));
}

for (const [id, draw] of [["plates-body", platesPart], ["trends-body", trendsPart], ["ec50-body", ec50Part], ["replicates-body", replicatesPart]]) draw(byId(id));
document.documentElement.dataset.ready = String(Math.round(performance.now()));
