// Image quality by field with its flags, and what became of every well.
function qualitySection(host) {
  const keys = hasTable("fields") ? Object.keys(DATA.tables.fields.columns).filter((k) => k.startsWith("Quality_")) : [];
  if (!keys.length) {
    host.append(el("p", { class: "absent" }, "Image quality was not measured in this run: its field table has no Quality_ columns."));
    if (rowsOf("fields")) asTable(host, "Fields as a table", () => makeTable(rowNumbers("fields"), [...tableColumns("fields", [["Metadata_Well", "Well", { well: true }]]), ...fieldColumns()], { table: "fields", caption: "Fields" }));
    return;
  }
  const flagged = rowNumbers("fields", (r) => Boolean(cellOf("fields", "Flags", r)));
  const counts = new Map();
  flagged.forEach((r) => String(cellOf("fields", "Flags", r)).split(";").map((f) => f.trim()).filter(Boolean).forEach((f) => counts.set(f, (counts.get(f) || 0) + 1)));
  host.append(el("p", null, flagged.length
    ? `${flagged.length} of ${fixed(rowsOf("fields"), 0)} fields are flagged: ${[...counts].sort((a, b) => b[1] - a[1]).map(([f, n]) => `${f} (${n})`).join(", ")}.`
    : `None of ${fixed(rowsOf("fields"), 0)} fields is flagged.`));
  if (flagged.length) host.append(makeTable(flagged, [...tableColumns("fields", [["Metadata_Well", "Well", { well: true }]]), ...fieldColumns()], { table: "fields", limit: 20, caption: "Flagged fields", well: (r) => cellOf("fields", "Metadata_Well", r) }));
  const grid = el("div", { class: "panels small" });
  keys.filter((k) => column("fields", k).some(isNumber)).forEach((k) => grid.append(strip(k)));
  host.append(grid, el("p", { class: "note" }, "A point a field, in plate order; ◆ flagged for any reason. Click one to see its well."));
  if (rowsOf("quality")) asTable(host, "Thresholds as a table", () => makeTable(rowNumbers("quality"), tableColumns("quality", Object.keys(DATA.tables.quality.columns).filter((k) => k !== "Metadata_Plate").map((k) => [k, k.replace(/_/g, " "), { wide: k === "Reason" }])), { table: "quality", caption: "Thresholds learned from this plate" }));
  asTable(host, "All fields as a table", () => makeTable(rowNumbers("fields"), [...tableColumns("fields", [["Metadata_Well", "Well", { well: true }]]), ...fieldColumns()], { table: "fields", caption: "Fields" }));
}

function strip(key) {
  const values = column("fields", key);
  const rows = rowNumbers("fields", (r) => isNumber(values[r]));
  const title = key.slice(8).replace(/_/g, " ");
  const chart = makeChart({ x: [-1, rowsOf("fields")], y: spread(rows.map((r) => values[r])), width: 260, height: 130, yTicks: 3, label: `${title} of ${rows.length} fields in plate order` });
  const many = rows.length > 1200;
  const ordinary = svg("path", { d: "", class: "dust" });
  let dust = "";
  chart.add(ordinary);
  rows.forEach((r) => {
    const x = chart.x(r), y = chart.y(values[r]);
    const flags = cellOf("fields", "Flags", r);
    if (many && !flags) {
      dust += `M${x.toFixed(1)} ${y.toFixed(1)}h.01`;
      return;
    }
    const mark = flags ? svg("path", { d: `M${x} ${y - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5z`, class: "flagged" }) : svg("circle", { cx: x, cy: y, r: 2, class: "point plain" });
    const well = cellOf("fields", "Metadata_Well", r);
    mark.addEventListener("click", () => chooseWell(well, true));
    chart.add(withTip(mark, () => [`${well}, field ${cellOf("fields", "Metadata_Site", r)}`, `${title}: ${show(values[r], 4)}`, ...(flags ? [`flagged: ${flags}`] : [])]));
  });
  ordinary.setAttribute("d", dust);
  return el("figure", { class: "panel" }, el("figcaption", { title: definitionOf({ table: "fields", key }) }, el("strong", null, title)), chart.node);
}

function ledgerSection(host) {
  if (!rowsOf("wells")) return absent(host, "wells");
  const state = { text: "", status: "" };
  const place = el("div");
  const counts = new Map();
  column("wells", "Status").forEach((s) => counts.set(s, (counts.get(s) || 0) + 1));
  const draw = () => {
    clear(place);
    const wanted = state.text.toLowerCase();
    const rows = rowNumbers("wells", (r) => {
      if (state.status === "look" ? !(WELLS[r] in DATA.distrusted) : state.status && cellOf("wells", "Status", r) !== state.status) return false;
      return !wanted || ["Metadata_Well", "Metadata_Compound", "Metadata_Role", "Reason"].some((k) => String(cellOf("wells", k, r) || "").toLowerCase().includes(wanted));
    });
    place.append(makeTable(rows, [
      ...tableColumns("wells", [["Metadata_Well", "Well", { well: true }], ["Status", "Status"], ["Metadata_Role", "Role"], ["Metadata_Compound", "Compound", { wide: true }], ["Metadata_Dose", "Dose"], ["Metadata_Unit", "Unit"], ["Fields_Ok", "Fields done"], ["Fields_Expected", "of"], ["Count_Nuclei", "Nuclei"], ["Count_Dead", "dead"], ["Count_Nuclei_Measured", "measured"], ...DATA.readouts.map((k) => [k, readoutName(k)])]),
      { title: "Look twice because", wide: true, value: (r) => DATA.distrusted[WELLS[r]] || "", text: (v) => v || "" },
    ], { table: "wells", limit: 24, caption: "Wells", well: (r) => WELLS[r] }));
  };
  const search = el("input", { type: "search", placeholder: "well, compound, reason", "aria-label": "search wells", oninput: () => { state.text = search.value; draw(); } });
  host.append(el("div", { class: "controls" },
    choice("Wells", [{ value: "", text: `all ${WELLS.length}` }, { value: "look", text: `to look at twice: ${Object.keys(DATA.distrusted).length}` }, ...[...counts].map(([s, n]) => ({ value: s, text: `${s}: ${n}` }))], "", (v) => { state.status = v; draw(); }),
    el("label", { class: "control" }, el("span", null, "Search"), search)), place);
  draw();
}
