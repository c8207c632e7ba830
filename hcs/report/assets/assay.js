// Z′ of every readout with intervals and rank, what lowers it, and the multivariate one.
function assaySection(host) {
  const name = rowsOf("assay") ? "assay" : "plate";
  if (!rowsOf(name)) return absent(host, "plate");
  const groups = [...new Set(column(name, "Group"))];
  const state = { group: groups.includes("") ? "" : groups[0] };
  const place = el("div");
  const draw = () => { clear(place); drawAssay(place, name, state.group); drawDiscriminant(place, state.group); };
  if (groups.length > 1) {
    host.append(el("div", { class: "controls" }, choice("Controls", groups.map((g) => ({ value: g, text: g ? shorten(g, 60) : "all controls of the plate" })), state.group, (v) => { state.group = v; draw(); })));
  }
  host.append(place);
  draw();
}

function drawAssay(host, name, group) {
  if (name === "plate") host.append(el("p", { class: "absent" }, DATA.absent.assay || ""));
  const rows = rowNumbers(name, (r) => cellOf(name, "Group", r) === group);
  const rank = column(name, "Rank");
  const value = column(name, "ZPrime");
  rows.sort((a, b) => compare(rank[a], rank[b], true) || compare(value[a], value[b], false));
  const statistic = (key, title) => [key, title, { text: (v, row) => withInterval(name, key, row) }];
  host.append(makeTable(rows, [
    ...tableColumns(name, [["Rank", "Rank"], ["Readout", "Readout", { text: (v, row) => onScale(v, cellOf(name, "Transform", row)), wide: true }]]),
    { title: "Z′ (0 to 1)", draw: (row) => intervalBar(cellOf(name, "ZPrime", row), cellOf(name, "ZPrime_Low", row), cellOf(name, "ZPrime_High", row)) },
    ...tableColumns(name, [statistic("ZPrime", "Z′ (interval)"), statistic("RobustZPrime", "Robust Z′"), statistic("OneSidedZPrime", "One-sided Z′"), statistic("SSMD", "SSMD"), ["SSMD_Class", "SSMD class"],
      ["VFactor", "V"], ["SignalToBackground", "S/B"], ["SignalWindow", "Signal window"], ["CV_Positive", "CV pos.", { text: (v) => percent(v, 1) }], ["CV_Negative", "CV neg.", { text: (v) => percent(v, 1) }],
      ["Count_Positive", "n pos."], ["Count_Negative", "n neg."], ["Count_Wells", "n"], ["Count_NegativeWells", "n neg."], ["Mean", "Mean"], ["NegativeMean", "Mean neg."], ["Reason", "Remarks", { wide: true }]]),
  ], { table: name, limit: 12, caption: "Readouts by Z′, best first; intervals are generalised ones over wells" }));
  host.append(el("p", { class: "note" }, "Bars: green where the lower end of the interval (thin line) is 0.5 (dashed; excellent after Zhang et al. 1999) or more, brown where it is above 0, else red. n counts wells, never fields or nuclei."));
}

const onScale = (readout, scale) => `${readoutName(readout)}${scale && scale !== "none" ? `, ${scale} scale` : ""}`;

function withInterval(name, key, row) {
  const [value, low, high] = [key, `${key}_Low`, `${key}_High`].map((k) => cellOf(name, k, row));
  if (!isNumber(value)) return show(value);
  return isNumber(low) ? `${fixed(value, 2)} (${fixed(low, 2)} to ${isNumber(high) ? fixed(high, 2) : show(high)})` : fixed(value, 2);
}

// A bar from 0 to 1 with its interval; what lies below 0 ends at the left edge.
function intervalBar(value, low, high) {
  const at = (v) => 4 + 112 * Math.min(Math.max(v, 0), 1);
  const words = isNumber(value) ? `Z′ ${show(value)}` : "no Z′";
  const bar = svg("svg", { class: "bar", viewBox: "0 0 120 14", width: 120, height: 14, role: "img", "aria-label": words });
  bar.append(svg("line", { x1: at(0), x2: at(1), y1: 12.5, y2: 12.5, class: "axis" }), svg("line", { x1: at(0.5), x2: at(0.5), y1: 1, y2: 13, class: "axis dashed" }));
  if (!isNumber(value)) return bar;
  bar.append(svg("rect", { x: at(0), y: 3, width: Math.max(0, at(value) - at(0)), height: 8, class: low >= 0.5 ? "good-fill" : low > 0 ? "fair-fill" : "poor-fill" }));
  if (isNumber(low) && isNumber(high)) bar.append(svg("line", { x1: at(low), x2: at(high), y1: 7, y2: 7, class: "whisker" }));
  if (value <= 0) bar.append(svg("text", { x: 6, y: 10, class: "tick" }, "◂ below 0"));
  return bar;
}

function drawDiscriminant(host, group) {
  host.append(el("h3", null, "All readouts together"));
  if (!rowsOf("discriminant")) return absent(host, "discriminant");
  const rows = rowNumbers("discriminant", (r) => !hasColumn("discriminant", "Group") || cellOf("discriminant", "Group", r) === group);
  const skip = /^(Metadata_Plate|Group)$|_(Low|High)$/;
  const keys = Object.keys(DATA.tables.discriminant.columns).filter((k) => !skip.test(k));
  const named = (text) => (text ? String(text).split(";").map(readoutName).join(", ") : "–");
  const columns = tableColumns("discriminant", keys.map((k) => [k, DISCRIMINANT_WORDS[k] || k.replace(/_/g, " "), { text: hasColumn("discriminant", `${k}_Low`) ? (v, r) => withInterval("discriminant", k, r) : k === "Readouts" || k === "Leading" ? named : null, wide: k === "Readouts" || k === "Leading" || k === "Reason" }]));
  host.append(uprightTable("discriminant", rows, columns, "Linear discriminant of the controls, cross-validated by well: no well is judged by a rule that it helped to make"));
}
const DISCRIMINANT_WORDS = { ZPrime: "Z′", RobustZPrime: "Robust Z′", SSMD: "SSMD", Count_Positive: "n positive", Count_Negative: "n negative", Count_Readouts: "Readouts used", Leading: "Of most weight", Readouts: "All readouts used", Reason: "Remarks" };

function attributionSection(host) {
  if (!rowsOf("attribution")) return absent(host, "attribution");
  const readouts = [...new Set(column("attribution", "Readout"))];
  const groups = [...new Set(column("attribution", "Group"))];
  const state = { readout: readouts.includes(DATA.readouts[0]) ? DATA.readouts[0] : readouts[0], group: groups.includes("") ? "" : groups[0] };
  const place = el("div");
  const draw = () => {
    clear(place);
    const rows = rowNumbers("attribution", (r) => cellOf("attribution", "Readout", r) === state.readout && cellOf("attribution", "Group", r) === state.group);
    rows.sort((a, b) => compare(cellOf("attribution", "Delta", a), cellOf("attribution", "Delta", b), false));
    const best = rows.find((r) => isNumber(cellOf("attribution", "Delta", r)));
    if (best !== undefined) {
      const gain = cellOf("attribution", "Delta", best);
      const chance = cellOf("attribution", "PValue", best);
      place.append(el("p", null, gain > 0.02 && !(chance > 0.05)
        ? `The largest part: ${cellOf("attribution", "Cause", best)} (${shorten(cellOf("attribution", "Detail", best) || "", 120)}). Without it Z′ would be ${show(cellOf("attribution", "ZPrime_Without", best))} instead of ${show(cellOf("attribution", "ZPrime", best))}.`
        : `No cause stands out: the largest gain, ${show(gain)} (${cellOf("attribution", "Cause", best)}), is no more than chance gives.`));
    }
    place.append(makeTable(rows, [
      ...tableColumns("attribution", [["Cause", "Cause"], ["Detail", "What", { wide: true }]]),
      { title: "Z′, with and without", draw: (r) => dumbbell(cellOf("attribution", "ZPrime", r), cellOf("attribution", "ZPrime_Without", r)) },
      ...tableColumns("attribution", [["ZPrime", "Z′"], ["ZPrime_Without", "Z′ without"], ["Delta", "Gain"], ["PValue", "p"], ["Count_WellsRemoved", "Wells left out"], ["Reason", "Remarks", { wide: true }]]),
    ], { table: "attribution", limit: 14, caption: "Z′ that would result without each cause, largest gain first" }));
  };
  host.append(el("div", { class: "controls" },
    choice("Readout", readouts.map((r) => ({ value: r, text: readoutName(r) })), state.readout, (v) => { state.readout = v; draw(); }),
    groups.length > 1 ? choice("Controls", groups.map((g) => ({ value: g, text: g ? shorten(g, 60) : "all controls of the plate" })), state.group, (v) => { state.group = v; draw(); }) : null), place);
  draw();
}

function dumbbell(before, after) {
  const at = (v) => 4 + 112 * Math.min(Math.max(v, 0), 1);
  const drawing = svg("svg", { class: "bar", viewBox: "0 0 120 14", width: 120, height: 14, role: "img", "aria-label": isNumber(after) ? `from ${show(before)} to ${show(after)}` : "no value" });
  drawing.append(svg("line", { x1: at(0), x2: at(1), y1: 12.5, y2: 12.5, class: "axis" }));
  if (isNumber(before) && isNumber(after)) {
    drawing.append(svg("line", { x1: at(before), x2: at(after), y1: 7, y2: 7, class: "whisker" }), svg("circle", { cx: at(before), cy: 7, r: 3.5, class: "hollow" }), svg("circle", { cx: at(after), cy: 7, r: 3.5, class: "dot" }));
  }
  return drawing;
}
