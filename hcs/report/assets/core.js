// Data, elements, numbers and tables that all parts of the page share. Texts of users go through textContent alone.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG_SPACE = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick" || name === "onchange" || name === "oninput") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) {
    if (child === null || child === undefined) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG_SPACE, tag), attributes, children);
const clear = (node) => { node.replaceChildren(); return node; };

const formatters = new Map();
function fixed(value, digits) {
  if (!formatters.has(digits)) {
    formatters.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formatters.get(digits).format(value).replace("-", "−");
}

// Three significant digits, as the console has them; a dash for no value.
function show(value, digits = 3) {
  if (value === null || value === undefined || value === "") return "–";
  if (value === "inf") return "∞";
  if (value === "-inf") return "−∞";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (Number.isNaN(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return fixed(value, 0);
  const magnitude = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  if (magnitude < -5 || magnitude >= 7) return value.toExponential(digits - 1).replace("-", "−");
  return fixed(value, Math.max(0, digits - 1 - magnitude));
}
const percent = (value, digits = 0) => (value === null || value === undefined ? "–" : `${fixed(100 * value, digits)} %`);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const doseText = (dose, unit) => (isNumber(dose) ? `${show(dose)} ${unit || ""}`.trim() : "");
const readoutName = (column) => DATA.names[column] || column;

// The tables: column(name, key)[i] is the cell as it is in the Parquet file.
const hasTable = (name) => name in DATA.tables;
const rowsOf = (name) => (hasTable(name) ? DATA.tables[name].rows : 0);
const column = (name, key) => (hasTable(name) && DATA.tables[name].columns[key]) || new Array(rowsOf(name)).fill(null);
const hasColumn = (name, key) => hasTable(name) && key in DATA.tables[name].columns;
const rowNumbers = (name, keep) => [...Array(rowsOf(name)).keys()].filter(keep || (() => true));
const cellOf = (name, key, row) => column(name, key)[row];

const WELLS = column("wells", "Metadata_Well");
const WELL_ROW = new Map(WELLS.map((well, row) => [well, row]));
const ROLES = column("wells", "Metadata_Role");

function decode(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function absent(host, name) {
  host.append(el("p", { class: "absent" }, DATA.absent[name] || "Nothing to show."));
}

function choice(label, options, chosen, act) {
  const select = el("select", { onchange: () => act(select.value) });
  const groups = new Map();
  for (const option of options) {
    let home = select;
    if (option.group) {
      if (!groups.has(option.group)) {
        groups.set(option.group, el("optgroup", { label: option.group }));
        select.append(groups.get(option.group));
      }
      home = groups.get(option.group);
    }
    home.append(el("option", { value: option.value, selected: option.value === chosen }, option.text));
  }
  return el("label", { class: "control" }, el("span", null, label), select);
}

// A table of columns {title, value(row), text(value,row), draw(row), key, table} over row numbers; heads sort.
// data-value is the cell as it is in the Parquet file, data-key its column; the text shows three digits of it.
function makeTable(rows, columns, options = {}) {
  const body = el("tbody");
  const status = el("p", { class: "more" });
  let order = [...rows];
  let limit = options.limit || 100;
  let sorted = null;
  const draw = () => {
    clear(body);
    for (const row of order.slice(0, limit)) {
      const line = el("tr", options.well ? { "data-well": options.well(row) } : null);
      for (const c of columns) line.append(tableCell(c, row, options));
      body.append(line);
    }
    clear(status);
    if (order.length > limit) {
      const more = () => { limit = order.length; draw(); };
      status.append(`${fixed(limit, 0)} of ${fixed(order.length, 0)} rows. `, el("button", { type: "button", onclick: more }, "Show all"));
    }
  };
  const head = el("tr");
  columns.forEach((c, i) => {
    const sort = () => {
      const up = sorted && sorted.i === i ? !sorted.up : !c.number;
      sorted = { i, up };
      order.sort((a, b) => compare(c.value ? c.value(a) : null, c.value ? c.value(b) : null, up));
      [...head.children].forEach((cell, k) => (k === i ? cell.setAttribute("aria-sort", up ? "ascending" : "descending") : cell.removeAttribute("aria-sort")));
      draw();
    };
    const title = c.value ? el("button", { type: "button", class: "sort", onclick: sort }, c.title) : c.title;
    head.append(el("th", { scope: "col", title: definitionOf(c), class: c.number ? "n" : null }, title));
  });
  draw();
  const shown = el("table", { "data-table": options.table }, options.caption ? el("caption", null, options.caption) : null, el("thead", null, head), body);
  return el("div", null, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": options.caption || "table" }, shown), status);
}

function tableCell(c, row, options) {
  if (c.draw) return el("td", { class: "draw" }, c.draw(row));
  const value = c.value(row);
  const text = c.text ? c.text(value, row) : show(value);
  const cell = el("td", { class: c.number ? "n" : c.wide ? "wide" : null, "data-key": c.key, "data-row": row, "data-value": value === null || value === undefined ? "" : value }, text);
  if (c.number && isNumber(value)) cell.title = String(value);
  if (c.well) clear(cell).append(wellButton(value));
  if (String(text).length > 140) {
    cell.title = String(text);
    cell.textContent = `${String(text).slice(0, 139)}…`;
  }
  return cell;
}

function wellButton(well) {
  if (!well) return "–";
  return el("button", { type: "button", class: "well-link", onclick: () => chooseWell(well, true), "aria-label": `show well ${well}` }, well);
}

function definitionOf(c) {
  const known = c.table && DATA.definitions[c.table] && DATA.definitions[c.table][c.key];
  return known ? `${c.key}${known[0] ? ` (${known[0]})` : ""}: ${known[1]}` : c.key || null;
}

function compare(a, b, up) {
  const missing = (v) => v === null || v === undefined || v === "";
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  return up ? order : -order;
}

// Columns of a table by name: numbers right, texts left.
function tableColumns(name, keys) {
  return keys.filter((k) => hasColumn(name, k[0])).map(([key, title, extra]) => {
    const values = column(name, key);
    const number = values.some((v) => typeof v === "number");
    return { key, table: name, title: title || key, number, value: (row) => values[row], ...(extra || {}) };
  });
}

// Few rows with many columns, stood up: a line a column, a cell a row.
function uprightTable(name, rows, columns, caption) {
  const body = el("tbody");
  for (const c of columns) body.append(el("tr", null, el("th", { scope: "row", title: definitionOf(c) }, c.title), ...rows.map((row) => tableCell(c, row, {}))));
  return el("div", { class: "scroll upright", tabindex: "0", role: "region", "aria-label": caption }, el("table", { "data-table": name }, el("caption", null, caption), body));
}

// Chart as a table, made when it is opened.
function asTable(host, title, make) {
  const details = el("details", { class: "as-table" }, el("summary", null, title));
  details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(make()); });
  host.append(details);
  return details;
}

// Ticks at round numbers.
function ticks(low, high, n = 5) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const raw = span / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw) || 10 * power;
  const found = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + 1e-9 * span; t += step) found.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  return found;
}

const tip = el("div", { id: "tip", role: "status", hidden: true });
document.body.append(tip);
function tipAt(node, lines) {
  clear(tip);
  lines.forEach((line, i) => tip.append(el(i ? "div" : "strong", null, line)));
  tip.hidden = false;
  const box = node.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const left = Math.min(Math.max(4, box.left + box.width / 2 - own.width / 2), window.innerWidth - own.width - 4);
  const above = box.top - own.height - 6;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : box.bottom + 6}px`;
}
const tipOff = () => { tip.hidden = true; };
function withTip(node, lines) {
  node.addEventListener("pointerenter", () => tipAt(node, lines()));
  node.addEventListener("pointerleave", tipOff);
  node.addEventListener("focus", () => tipAt(node, lines()));
  node.addEventListener("blur", tipOff);
  return node;
}
