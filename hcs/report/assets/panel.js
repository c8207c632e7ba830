// The chosen well: its picture with outlines in the colours of phase or flag, its numbers, its fields.
const PICTURES = DATA.pictures || { wells: {}, channels: [], colourings: [] };
const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
const LETTER_AT = new Map([...LETTERS].map((letter, i) => [letter, i]));

// Path of an outline: x and y in two letters each, then steps in x and y, 32 for none.
function outlinePath(text) {
  const at = (i) => LETTER_AT.get(text[i]);
  let x = at(0) * 64 + at(1), y = at(2) * 64 + at(3);
  let path = `M${x} ${y}`;
  for (let i = 4; i < text.length; i += 2) {
    x += at(i) - 32;
    y += at(i + 1) - 32;
    path += `L${x} ${y}`;
  }
  return `${path}z`;
}

const panelState = { channel: 0, colouring: 0, outlines: true };

function panelSection(host) {
  const draw = (well) => { clear(host); drawPanel(host, well); };
  wellListeners.push(draw);
  if (!chosenWell) host.append(el("p", { class: "absent" }, "Choose a well on the plate to see its picture and its numbers."));
}

function drawPanel(host, well) {
  const row = WELL_ROW.get(well);
  if (row === undefined) return;
  const compound = cellOf("wells", "Metadata_Compound", row);
  const facts = [
    ["Compound", compound, "Metadata_Compound"],
    ["Dose", doseText(cellOf("wells", "Metadata_Dose", row), cellOf("wells", "Metadata_Unit", row)), "Metadata_Dose"],
    ["Role", ROLES[row], "Metadata_Role"],
    ["Group", cellOf("wells", "Metadata_Group", row), "Metadata_Group"],
    ["Status", cellOf("wells", "Status", row), "Status"],
    ["Reason", cellOf("wells", "Reason", row), "Reason"],
    ["Nuclei", cellOf("wells", "Count_Nuclei", row), "Count_Nuclei"],
    ["of them dead", cellOf("wells", "Count_Dead", row), "Count_Dead"],
    ["of them measured", cellOf("wells", "Count_Nuclei_Measured", row), "Count_Nuclei_Measured"],
    ...DATA.readouts.map((key) => [readoutName(key), cellOf("wells", key, row), key]),
    ...["Fraction_G1", "Fraction_S", "Fraction_G2M"].filter((k) => hasColumn("wells", k) && isNumber(cellOf("wells", k, row))).map((k) => [readoutName(k), cellOf("wells", k, row), k]),
  ];
  const list = el("dl", { class: "facts" });
  for (const [name, value, key] of facts) {
    if (value === null || value === undefined || value === "") continue;
    list.append(el("dt", null, name), el("dd", { "data-key": key, "data-value": value, title: isNumber(value) ? String(value) : null }, show(value, 4)));
  }
  host.append(el("h3", null, `Well ${well}`));
  if (well in DATA.distrusted) host.append(el("p", { class: "warn" }, `Look twice: ${DATA.distrusted[well]}`));
  const picture = PICTURES.wells[well];
  host.append(picture ? pictureOf(well, picture) : el("p", { class: "absent" }, "No picture: the well has no processed field, or the plate's images were not within reach when the report was made."));
  host.append(list);
  const fields = rowNumbers("fields", (r) => cellOf("fields", "Metadata_Well", r) === well);
  if (fields.length) {
    host.append(el("h4", null, fields.length > 1 ? "Its fields" : "Its field"));
    host.append(makeTable(fields, fieldColumns(), { table: "fields", caption: `Fields of ${well}` }));
  }
}

function fieldColumns() {
  const keys = hasTable("fields") ? Object.keys(DATA.tables.fields.columns) : [];
  const first = [["Metadata_Site", "Field"], ["Status", "Status"], ["Flags", "Flags", { wide: true }], ["Reason", "Reason", { wide: true }], ["Count_Nuclei", "Nuclei"]];
  const rest = keys.filter((k) => /^(Quality_|Background_)/.test(k)).map((k) => [k, k.replace(/^Quality_/, "").replace(/_/g, " ")]);
  return tableColumns("fields", [...first, ...rest, ["Seconds", "Seconds"]]);
}

function pictureOf(well, picture) {
  const [width, height] = picture.size;
  const image = el("img", { alt: "", width, height });
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const legend = el("div", { class: "legend" });
  const whole = picture.shown[0] === picture.field[0] && picture.shown[1] === picture.field[1];
  const what = `field ${picture.site}${whole ? "" : `, its middle ${picture.shown[1]} × ${picture.shown[0]} px of ${picture.field[1]} × ${picture.field[0]}`}`;
  const draw = () => {
    const channel = Math.min(panelState.channel, picture.images.length - 1);
    image.src = picture.images[channel];
    image.alt = `Well ${well}, ${what}, channel ${PICTURES.channels[channel]}, ${picture.outlines.length} nuclei outlined`;
    clear(drawing);
    clear(legend);
    if (panelState.outlines) drawOutlines(drawing, legend, well, picture);
  };
  const controls = el("div", { class: "controls" },
    choice("Channel", PICTURES.channels.map((c, i) => ({ value: String(i), text: shorten(c, 40) })), String(panelState.channel), (v) => { panelState.channel = Number(v); draw(); }),
    choice("Outlines", [...PICTURES.colourings.map((c, i) => ({ value: String(i), text: `by ${c.title}` })), { value: "none", text: "none" }],
      panelState.outlines ? String(panelState.colouring) : "none", (v) => { panelState.outlines = v !== "none"; panelState.colouring = v === "none" ? 0 : Number(v); draw(); }));
  draw();
  return el("figure", { class: "picture" }, el("div", { class: "frame", style: `aspect-ratio:${width}/${height}` }, image, drawing), legend, el("figcaption", null, `${well}, ${what}`), controls);
}

function drawOutlines(drawing, legend, well, picture) {
  const colouring = PICTURES.colourings[panelState.colouring];
  const codes = colouring ? picture.codes[panelState.colouring] : "";
  const content = picture.content ? decode(picture.content, Float32Array) : null;
  const ratio = picture.ratio ? decode(picture.ratio, Float32Array) : null;
  const counts = new Map();
  picture.outlines.forEach((text, i) => {
    const code = codes && codes[i] !== "." ? Number(codes[i]) : -1;
    counts.set(code, (counts.get(code) || 0) + 1);
    const path = svg("path", { d: outlinePath(text), stroke: colouring ? categoryColour(colouring, code) : "#56B4E9" });
    drawing.append(withTip(path, () => {
      const lines = [`Nucleus ${picture.objects[i]}`];
      if (colouring && code >= 0) lines.push(`${colouring.title}: ${PHASE_WORDS[colouring.categories[code]] || colouring.categories[code] || "none"}`);
      if (content && Number.isFinite(content[i])) lines.push(`DNA content ${show(content[i])} N`);
      if (ratio && Number.isFinite(ratio[i])) lines.push(`sensor ratio ${show(ratio[i])}`);
      return lines;
    }));
  });
  for (const [code, n] of [...counts].sort((a, b) => a[0] - b[0])) {
    const name = code < 0 ? "not in the table" : PHASE_WORDS[colouring.categories[code]] || colouring.categories[code] || "not assigned";
    legend.append(el("span", null, el("i", { class: "key", style: `background:${colouring ? categoryColour(colouring, code) : "#56B4E9"}` }), ` ${name}: ${n}`));
  }
}
