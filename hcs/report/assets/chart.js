// Axes of a small chart; add() puts marks on it in the coordinates of x() and y().
function makeChart({ x, y, logX = false, wholeX = false, xTitle, yTitle, label, width = 300, height = 190, yTicks = 4 }) {
  const left = 46, right = width - 8, top = 8, bottom = height - 34;
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label });
  const atX = (v) => left + ((v - x[0]) / (x[1] - x[0] || 1)) * (right - left);
  const atY = (v) => bottom - ((v - y[0]) / (y[1] - y[0] || 1)) * (bottom - top);
  for (const t of ticks(y[0], y[1], yTicks)) {
    node.append(svg("line", { x1: left, x2: right, y1: atY(t), y2: atY(t), class: "grid" }), svg("text", { x: left - 5, y: atY(t) + 3.5, class: "tick", "text-anchor": "end" }, shortNumber(t)));
  }
  const places = logX ? decades(x) : ticks(x[0], x[1], 5).filter((t) => !wholeX || Number.isInteger(t));
  for (const t of places) {
    node.append(svg("line", { x1: atX(t), x2: atX(t), y1: bottom, y2: bottom + 4, class: "axis" }), svg("text", { x: atX(t), y: bottom + 15, class: "tick", "text-anchor": "middle" }, logX ? shortNumber(10 ** t) : shortNumber(t)));
  }
  node.append(svg("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" }));
  if (xTitle) node.append(svg("text", { x: (left + right) / 2, y: height - 4, class: "title", "text-anchor": "middle" }, xTitle));
  if (yTitle) node.append(svg("text", { x: 11, y: (top + bottom) / 2, class: "title", "text-anchor": "middle", transform: `rotate(-90 11 ${(top + bottom) / 2})` }, yTitle));
  const marks = svg("g");
  node.append(marks);
  return { node, left, right, top, bottom, x: atX, y: atY, range: { x, y }, add: (mark) => marks.append(mark) };
}

function shortNumber(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(0).replace("e+", "e").replace("-", "−");
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

// Whole decades; 1, 2, 5 a decade where there are fewer than two.
function decades([low, high]) {
  const whole = [];
  for (let d = Math.ceil(low); d <= high; d += 1) whole.push(d);
  if (whole.length >= 2) return whole;
  const found = [];
  for (let d = Math.floor(low); d <= high; d += 1) for (const m of [1, 2, 5]) if (Math.log10(m) + d >= low && Math.log10(m) + d <= high) found.push(Math.log10(m) + d);
  return found;
}
