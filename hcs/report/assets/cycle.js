// DNA histograms of conditions with the fitted phases, and the fractions of the cell-cycle models.
const HISTOGRAMS = DATA.histograms;

function conditionName(c) {
  if (!c.role) return "all wells";
  const name = c.role === "negative" ? "negative controls" : c.compound || "(unnamed)";
  const dose = c.role === "negative" ? "" : doseText(c.dose, c.unit);
  const group = c.role === "negative" && c.group ? ` of ${shorten(c.group, 30)}` : "";
  return `${shorten(name, 36)}${group}${dose ? ` ${shorten(dose, 24)}` : ""}${c.role === "positive" ? " (positive)" : ""}`;
}

function cycleSection(host) {
  if (!HISTOGRAMS || !HISTOGRAMS.conditions.length) {
    host.append(el("p", { class: "absent" }, "DNA content was not measured, so there is no histogram of it."));
    return cyclesTable(host);
  }
  const names = [...new Set(HISTOGRAMS.conditions.filter((c) => c.role !== "negative").map((c) => c.compound))];
  const state = { compound: names[0] === undefined ? null : names[0] };
  const place = el("div");
  const draw = () => {
    clear(place);
    const chosen = HISTOGRAMS.conditions.filter((c) => c.compound === state.compound && c.role !== "negative");
    const groups = new Set(chosen.map((c) => c.group));
    let negatives = HISTOGRAMS.conditions.filter((c) => c.role === "negative" || !c.role);
    const grouped = negatives.filter((c) => groups.has(c.group));
    if (grouped.length) negatives = grouped;
    const shown = [...negatives.slice(0, 2), ...chosen.slice(0, 14)];
    const grid = el("div", { class: "panels small" });
    shown.forEach((c) => grid.append(histogram(c)));
    place.append(phaseLegend(), grid);
    if (chosen.length > 14) place.append(el("p", { class: "note" }, `The first 14 of ${chosen.length} doses are drawn; all are in the table.`));
    asTable(place, "These histograms as a table", () => histogramTable([...negatives, ...chosen]));
  };
  if (names.length > 1) host.append(el("div", { class: "controls" }, choice("Compound", names.map((n) => ({ value: n, text: shorten(n || "(unnamed)", 60) })), state.compound, (v) => { state.compound = v; draw(); })));
  host.append(place);
  draw();
  cyclesTable(host);
}

function phaseLegend() {
  if (!HISTOGRAMS.inN) return el("p", { class: "note" }, "No phases are fitted: the plate has no usable 2N peak. The axis is the logarithm of the raw DNA content.");
  if (!HISTOGRAMS.conditions.some((c) => c.curves)) return el("p", { class: "note" }, "No phases are fitted: the cell-cycle model of the plate was refused, or there are fewer than 50 nuclei a condition.");
  const legend = el("div", { class: "legend" });
  HISTOGRAMS.phases.forEach((p) => legend.append(el("span", null, el("i", { class: `key ${PHASE_CLASS[p]}` }), ` ${PHASE_WORDS[p] || p}`)));
  legend.append(el("span", null, el("i", { class: "key bars" }), " nuclei counted"));
  return legend;
}

function histogram(c) {
  const { edges, phases } = HISTOGRAMS;
  const top = Math.max(...c.counts, 1);
  const chart = makeChart({ x: [edges[0], edges[edges.length - 1]], y: [0, top * 1.05], width: 260, height: 150, yTicks: 3, xTitle: HISTOGRAMS.inN ? "DNA content (N)" : "log₂ DNA content", label: `DNA histogram of ${conditionName(c)}: ${fractionWords(c) || `${c.nuclei} nuclei`}` });
  let area = `M${chart.x(edges[0])} ${chart.y(0)}`;
  c.counts.forEach((n, i) => { area += `V${chart.y(n).toFixed(1)}H${chart.x(edges[i + 1]).toFixed(1)}`; });
  chart.add(svg("path", { d: `${area}V${chart.y(0)}z`, class: "bars" }));
  if (c.curves) {
    const total = c.counts.map((_, i) => c.curves.reduce((sum, curve) => sum + curve[i], 0));
    phases.forEach((phase, p) => {
      const curve = c.curves[p];
      chart.add(svg("path", { d: curvePath(chart, edges, curve), class: `curve ${PHASE_CLASS[phase]}` }));
    });
    chart.add(svg("path", { d: curvePath(chart, edges, total), class: "curve sum" }));
  }
  const caption = el("figcaption", null, el("strong", null, conditionName(c)), ` ${c.wells.length} well${c.wells.length > 1 ? "s" : ""}, ${fixed(c.nuclei, 0)} ${HISTOGRAMS.what}`, fractionWords(c) ? el("div", null, fractionWords(c)) : null);
  return el("figure", { class: "panel" }, caption, chart.node);
}

const fractionWords = (c) => (c.weights ? ["G1", "S", "G2M"].map((p) => `${PHASE_WORDS[p]} ${percent(c.weights[HISTOGRAMS.phases.indexOf(p)])}`).join(", ") : "");

function curvePath(chart, edges, values) {
  return values.map((v, i) => `${i ? "L" : "M"}${chart.x((edges[i] + edges[i + 1]) / 2).toFixed(1)} ${chart.y(v).toFixed(1)}`).join("");
}

function histogramTable(conditions) {
  const rows = [...conditions.keys()];
  const phase = (p) => ({ title: PHASE_WORDS[p] || p, number: true, value: (i) => (conditions[i].weights ? conditions[i].weights[HISTOGRAMS.phases.indexOf(p)] : null), text: (v) => percent(v, 1) });
  return makeTable(rows, [
    { title: "Condition", wide: true, value: (i) => conditionName(conditions[i]) },
    { title: "Wells", number: true, value: (i) => conditions[i].wells.length },
    { title: "Nuclei", number: true, value: (i) => conditions[i].nuclei },
    ...HISTOGRAMS.phases.map(phase),
  ], { table: "histograms", caption: `Dean-Jett-Fox fit to the pooled ${HISTOGRAMS.what} of each condition; the well table has the fits of single wells` });
}

function cyclesTable(host) {
  host.append(el("h3", null, "Cell-cycle models"));
  if (!rowsOf("cycles")) return absent(host, "cycles");
  const well = hasColumn("cycles", "Metadata_Well") ? column("cycles", "Metadata_Well") : column("cycles", "Well");
  const rows = rowNumbers("cycles");
  rows.sort((a, b) => Number(Boolean(well[a])) - Number(Boolean(well[b])));
  const reasons = new Set(column("cycles", "Reason"));
  if (reasons.size === 1 && [...reasons][0]) host.append(el("p", null, `Every fit was refused: ${shorten([...reasons][0], 300)}.`));
  const fraction = (key, title) => [key, title, { text: (v) => percent(v, 1) }];
  host.append(makeTable(rows, tableColumns("cycles", [["Metadata_Well", "Well", { text: (v) => v || "plate" }], ["Model", "Model"], fraction("Fraction_SubG1", "sub-G1"), fraction("Fraction_G1", "G1"), fraction("Fraction_S", "S"), fraction("Fraction_G2M", "G2/M"), fraction("Fraction_Above4N", "above 4N"), ["CV_G1", "CV of G1", { text: (v) => percent(v, 1) }], ["Ratio_G2G1", "G2/G1"], ["Misfit", "Misfit"], ["Count_Nuclei", "Nuclei"], ["Count_Gated", "Gated out"], ["Reason", "Why not", { wide: true }]]),
    { table: "cycles", limit: reasons.size === 1 && [...reasons][0] ? 2 : 10, caption: "Fitted models: the plate first, then wells; a refused fit says why" }));
  if (!rowsOf("sensor")) return;
  const keys = Object.keys(DATA.tables.sensor.columns).filter((k) => k !== "Metadata_Plate");
  const columns = tableColumns("sensor", keys.map((k) => [k, SENSOR_WORDS[k] || k.replace(/_/g, " "), { wide: k === "Reason" }]));
  host.append(el("h3", null, "Sensor high and low"), uprightTable("sensor", rowNumbers("sensor"), columns, "What separates nuclei of a high from those of a low sensor ratio"));
}
const SENSOR_WORDS = { Threshold: "Threshold used", Threshold_Mixture: "Threshold of the mixture", Threshold_Fixed: "Fixed threshold", Ratio_Low: "Ratio of the low ones", Ratio_High: "Ratio of the high ones", Share_High: "Share of the high ones", Separation: "Separation (Ashman's D)", Count_Nuclei: "Nuclei", SourceWells: "Found in", Reason: "Remarks" };
