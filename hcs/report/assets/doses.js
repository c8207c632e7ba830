// Dose curves: a point a well, the fitted curve with EC50 and its interval, bands of the controls.
function dosesSection(host) {
  const dosed = dosedCompounds();
  if (!dosed.length) {
    host.append(el("p", { class: "absent" }, "No compound has two or more doses on this plate."));
    return hitsPart(host);
  }
  const options = [...new Set([...DATA.readouts, ...column("doses", "Readout")])].filter((r) => hasColumn("wells", r));
  const state = { readout: options[0] };
  const place = el("div");
  const draw = () => {
    clear(place);
    const grid = el("div", { class: "panels" });
    dosed.forEach((compound) => grid.append(dosePanel(compound, state.readout)));
    place.append(grid, el("p", { class: "note" }, "Points are wells; click one to see it. Line: fitted four-parameter logistic, where there is one. Dashed: EC50, shaded: its interval. Bands: mean ± SD of ○ negative and △ positive controls."));
    doseTables(place, state.readout);
  };
  host.append(el("div", { class: "controls" }, choice("Readout", options.map((r) => ({ value: r, text: readoutName(r) })), state.readout, (v) => { state.readout = v; draw(); })), place);
  draw();
  hitsPart(host);
}

function dosedCompounds() {
  const doses = new Map();
  rowNumbers("wells", (r) => ROLES[r] === "sample" || ROLES[r] === "positive").forEach((r) => {
    const dose = cellOf("wells", "Metadata_Dose", r);
    const name = cellOf("wells", "Metadata_Compound", r) || "";
    if (dose > 0) doses.set(name, (doses.get(name) || new Set()).add(dose));
  });
  return [...doses].filter(([, d]) => d.size >= 2).map(([name]) => name).sort((a, b) => compare(a, b, true)).slice(0, 60);
}

function fitsOf(compound, readout) {
  return rowNumbers("doses", (r) => cellOf("doses", "Compound", r) === compound && cellOf("doses", "Readout", r) === readout);
}

function dosePanel(compound, readout) {
  const values = column("wells", readout);
  const own = rowNumbers("wells", (r) => (cellOf("wells", "Metadata_Compound", r) || "") === compound && cellOf("wells", "Metadata_Dose", r) > 0 && isNumber(values[r]));
  const groups = new Set(own.map((r) => cellOf("wells", "Metadata_Group", r)));
  const bands = ["negative", "positive"].map((role) => controlBand(role, values, groups)).filter(Boolean);
  const doses = own.map((r) => Math.log10(cellOf("wells", "Metadata_Dose", r)));
  const levels = [...own.map((r) => values[r]), ...bands.flatMap((b) => [b.low, b.high])];
  const fit = fitsOf(compound, readout).find((r) => isNumber(cellOf("doses", "EC50", r)));
  const unit = own.length ? cellOf("wells", "Metadata_Unit", own[0]) : "";
  const title = shorten(compound || "(unnamed)", 36);
  const chart = makeChart({ x: [Math.min(...doses) - 0.25, Math.max(...doses) + 0.25], y: spread(levels), logX: true, xTitle: unit ? `dose (${shorten(unit, 16)})` : "dose", label: `${title}: ${readoutName(readout)} against dose` });
  for (const band of bands) {
    chart.add(svg("rect", { x: chart.left, width: chart.right - chart.left, y: chart.y(band.high), height: Math.max(1, chart.y(band.low) - chart.y(band.high)), class: `band ${band.role}` }));
    chart.add(svg("line", { x1: chart.left, x2: chart.right, y1: chart.y(band.mean), y2: chart.y(band.mean), class: `mean ${band.role}` }));
    const home = band.role === "negative" ? { x: chart.right - 2, "text-anchor": "end" } : { x: chart.left + 3 }; // where the curve has left the band
    chart.add(svg("text", { ...home, y: chart.y(band.mean) - 3, class: "tick" }, `${band.role === "negative" ? "○" : "△"} n = ${band.n}`));
  }
  if (fit !== undefined) drawFit(chart, fit);
  own.forEach((r) => {
    const x = chart.x(Math.log10(cellOf("wells", "Metadata_Dose", r))), y = chart.y(values[r]);
    const mark = ROLES[r] === "positive" ? svg("path", { d: `M${x} ${y - 4.5}l4.5 8h-9z`, class: "point positive" }) : svg("circle", { cx: x, cy: y, r: 3.4, class: "point" });
    mark.addEventListener("click", () => chooseWell(WELLS[r], true));
    chart.add(withTip(mark, () => wellLines(WELLS[r], { text: readoutName(readout), of: () => values[r] })));
  });
  const caption = el("figcaption", null, el("strong", { title: compound }, title), ` ${fitWords(compound, readout, fit)}`);
  return el("figure", { class: "panel" }, caption, chart.node);
}

function spread(levels) {
  if (!levels.length) return [0, 1];
  const low = Math.min(...levels), high = Math.max(...levels);
  const room = 0.08 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

function controlBand(role, values, groups) {
  let own = rowNumbers("wells", (r) => ROLES[r] === role && isNumber(values[r]));
  const grouped = own.filter((r) => groups.has(cellOf("wells", "Metadata_Group", r)));
  if (grouped.length) own = grouped;
  if (!own.length) return null;
  const mean = own.reduce((sum, r) => sum + values[r], 0) / own.length;
  const sd = own.length > 1 ? Math.sqrt(own.reduce((sum, r) => sum + (values[r] - mean) ** 2, 0) / (own.length - 1)) : 0;
  return { role, mean, low: mean - sd, high: mean + sd, n: own.length };
}

function drawFit(chart, fit) {
  const [ec50, hill, bottom, top, low, high] = ["EC50", "Hill", "Bottom", "Top", "EC50_Low", "EC50_High"].map((k) => cellOf("doses", k, fit));
  const inside = (v) => Math.min(Math.max(chart.x(Math.log10(v)), chart.left), chart.right);
  if (isNumber(low) && (isNumber(high) || high === "inf")) {
    const [from, to] = [low > 0 ? inside(low) : chart.left, high === "inf" ? chart.right : inside(high)];
    chart.add(svg("rect", { x: from, width: Math.max(1, to - from), y: chart.top, height: chart.bottom - chart.top, class: "ec50-band" }));
  }
  if (ec50 > 0) chart.add(svg("line", { x1: inside(ec50), x2: inside(ec50), y1: chart.top, y2: chart.bottom, class: "ec50" }));
  let path = "";
  for (let k = 0; k <= 80; k += 1) {
    const logDose = chart.range.x[0] + (k / 80) * (chart.range.x[1] - chart.range.x[0]);
    const level = bottom + (top - bottom) / (1 + 10 ** (hill * (Math.log10(ec50) - logDose)));
    path += `${k ? "L" : "M"}${chart.x(logDose).toFixed(1)} ${chart.y(level).toFixed(1)}`;
  }
  chart.add(svg("path", { d: path, class: "fit" }));
}

function fitWords(compound, readout, fit) {
  if (fit === undefined) {
    const refused = fitsOf(compound, readout)[0];
    const why = refused === undefined ? (rowsOf("doses") ? "" : "no curve was fitted") : `no fit: ${shorten(cellOf("doses", "Reason", refused) || "", 140)}`;
    return why;
  }
  const [low, high] = ["EC50_Low", "EC50_High"].map((k) => cellOf("doses", k, fit));
  const ends = low > 0 && isNumber(high) ? ` (${show(low)} to ${show(high)})` : low > 0 ? ` (at least ${show(low)})` : isNumber(high) ? ` (at most ${show(high)})` : " (interval open)";
  return `EC50 ${show(cellOf("doses", "EC50", fit))}${ends} ${shorten(cellOf("doses", "Unit", fit) || "", 12)}`;
}

function doseTables(host, readout) {
  if (rowsOf("doses")) {
    const rows = rowNumbers("doses", (r) => cellOf("doses", "Readout", r) === readout);
    asTable(host, "Fitted curves as a table", () => makeTable(rows, tableColumns("doses", [["Compound", "Compound", { wide: true }], ["Group", "Group"], ["EC50", "EC50"], ["EC50_Low", "low"], ["EC50_High", "high"], ["Unit", "Unit"], ["Hill", "Hill"], ["Bottom", "Bottom"], ["Top", "Top"], ["Direction", "Direction"], ["Efficacy", "Efficacy"], ["Efficacy_Percent", "% of positives"], ["R2", "R²"], ["Count_Wells", "wells"], ["Count_Doses", "doses"], ["Reason", "Why not", { wide: true }], ["Note", "Note", { wide: true }]]), { table: "doses", caption: `Four-parameter logistic of ${readoutName(readout)}` }));
  } else {
    absent(host, "doses");
  }
  const rows = rowNumbers("compounds", (r) => cellOf("compounds", "Readout", r) === readout);
  if (!rows.length) return;
  asTable(host, "Each dose against the negatives, as a table", () => makeTable(rows, [
    ...tableColumns("compounds", [["Compound", "Compound", { wide: true }], ["Dose", "Dose"], ["Unit", "Unit"], ["Role", "Role"], ["Count_Wells", "n"], ["Mean", "Mean"], ["NegativeMean", "Mean neg."], ["ZPrime", "Z′", { text: (v, r) => withInterval("compounds", "ZPrime", r) }], ["RobustZPrime", "Robust Z′", { text: (v, r) => withInterval("compounds", "RobustZPrime", r) }], ["SSMD", "SSMD", { text: (v, r) => withInterval("compounds", "SSMD", r) }], ["Reason", "Remarks", { wide: true }]]),
  ], { table: "compounds", caption: `${readoutName(readout)}: compounds and doses against negative wells` }));
}

function hitsPart(host) {
  host.append(el("h3", null, "Hits"));
  if (!rowsOf("hits")) return absent(host, "hits");
  const readouts = [...new Set(column("hits", "Readout"))];
  const place = el("div");
  const draw = (readout) => {
    const rows = rowNumbers("hits", (r) => !readout || cellOf("hits", "Readout", r) === readout);
    const rank = (r) => [Number(cellOf("hits", "Hit", r) === true), Math.abs(cellOf("hits", "SSMD", r) || 0)];
    rows.sort((a, b) => rank(b)[0] - rank(a)[0] || rank(b)[1] - rank(a)[1]);
    const columns = [["Compound", "Compound", { wide: true }], ["Dose", "Dose"], ["Unit", "Unit"], ["Readout", "Readout", { text: (v) => readoutName(v), wide: true }], ["Hit", "Hit"], ["RobustZ", "Robust z"], ["SSMD", "SSMD"], ["PercentEffect", "% effect"], ["PValue", "p"], ["QValue", "q"], ["Count_Wells", "n"], ["Warning", "Warning", { wide: true }], ["Reason", "Remarks", { wide: true }]];
    clear(place).append(makeTable(rows, tableColumns("hits", columns), { table: "hits", limit: 15, caption: "Compounds and doses against the negatives, hits first; % effect: 0 as negatives, 100 as positives; q holds the false-discovery rate" }));
  };
  const first = readouts.includes(DATA.readouts[0]) ? DATA.readouts[0] : readouts[0];
  host.append(el("div", { class: "controls" }, choice("Readout", [...readouts.map((r) => ({ value: r, text: readoutName(r) })), { value: "", text: "all readouts" }], first, draw)), place);
  draw(first);
  toxicityPart(host);
}

function toxicityPart(host) {
  host.append(el("h3", null, "Toxicity"));
  if (!rowsOf("toxicity")) return absent(host, "toxicity");
  const rows = rowNumbers("toxicity", () => true);
  const rank = (r) => [Number(cellOf("toxicity", "Toxic", r) === true), cellOf("toxicity", "LivingRatio", r) ?? 9];
  rows.sort((a, b) => rank(b)[0] - rank(a)[0] || rank(a)[1] - rank(b)[1]);
  const share = (title, digits = 0) => [title, { text: (v) => (isNumber(v) ? percent(v, digits) : "–") }];
  const ratio = (v, r) => (isNumber(v) ? `${percent(v, 0)} (${percent(cellOf("toxicity", "LivingRatio_Low", r), 0)} to ${percent(cellOf("toxicity", "LivingRatio_High", r), 0)})` : "–");
  const columns = [["Compound", "Compound", { wide: true }], ["Dose", "Dose"], ["Unit", "Unit"], ["Role", "Role"], ["Toxic", "Toxic"], ["LowestToxicDose", "Toxic from"], ["LivingRatio", "Living nuclei", { text: ratio }], ["Living", "a field"], ["NegativeLiving", "neg. a field"], ["FractionDead", ...share("Dead", 1)], ["NegativeFractionDead", ...share("neg. dead", 1)], ["PValue", "p"], ["PValue_Adjusted", "p adjusted"], ["Count_Wells", "n"], ["Reference", "Compared with"], ["Note", "Note", { wide: true }], ["Reason", "Remarks", { wide: true }]];
  host.append(makeTable(rows, tableColumns("toxicity", columns), { table: "toxicity", limit: 15, caption: "Living nuclei of compounds and doses relative to the negatives (interval), toxic ones first; p adjusted: on a plate without toxicity anything is at most 0.05 with a probability of at most 5 %" }));
}
