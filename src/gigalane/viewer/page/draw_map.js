// The road network: paths are built once, then filled and stroked for each frame.

const CELL = 80; // lines are grouped into squares this large, to skip those out of sight [m]
const DETAIL = { crossing: 0.8, arrow: 2.2, signal: 2.2, sign_stop: 2.2, sign_yield: 2.2 }; // least pixels a metre
const DASH_SCALE = 1.6; // broken lines turn into faint ones below this
const LAMP = 0.36; // radius of a light's lamp [m]
const DECK_ALPHA = 0.86; // a road above another lets a little of it through

class MapDrawing {
  constructor(header, decoded) {
    this.header = header;
    this.areas = [[], []]; // by level, in drawing order: {role, path}
    this.lines = [[], []]; // by level: {role, width, dash, path, box}
    this.stopLines = [];
    this.signals = []; // lights and the stop line each belongs to
    const points = decoded.arrays.points;
    const unit = decoded.steps.points;
    const cells = new Map();
    let at = 0;
    for (const [role, isArea, width, dash, level, index, counts] of header.shapes) {
      const rings = counts.map((count) => {
        const ring = [];
        for (let k = at; k < at + count; k++) ring.push([points[2 * k] * unit, points[2 * k + 1] * unit]);
        at += count;
        return ring;
      });
      if (role === "signal" && index >= 0) this.signals.push({ index, level, at: middle(rings[0]) });
      if (role === "stop_line") this.stopLines.push({ index, width, dash, level, ring: rings[0] });
      else if (isArea) this.addArea(role, level, rings);
      else rings.forEach((ring) => this.addLine(cells, { role, width, dash, level }, ring));
    }
  }

  addArea(role, level, rings) {
    const last = this.areas[level].at(-1);
    const area = last && last.role === role ? last : { role, path: new Path2D() };
    if (area !== last) this.areas[level].push(area);
    for (const ring of rings) {
      ring.forEach(([x, y], k) => (k ? area.path.lineTo(x, y) : area.path.moveTo(x, y)));
      area.path.closePath();
    }
  }

  addLine(cells, look, ring) {
    const [x, y] = ring[ring.length >> 1];
    const key = [look.role, look.width, look.dash, look.level, Math.floor(x / CELL), Math.floor(y / CELL)].join();
    let cell = cells.get(key);
    if (!cell) {
      cell = { ...look, path: new Path2D(), box: [Infinity, Infinity, -Infinity, -Infinity] };
      cells.set(key, cell);
      this.lines[look.level].push(cell);
    }
    ring.forEach(([px, py], k) => {
      if (k) cell.path.lineTo(px, py);
      else cell.path.moveTo(px, py);
      cell.box = [Math.min(cell.box[0], px), Math.min(cell.box[1], py),
        Math.max(cell.box[2], px), Math.max(cell.box[3], py)];
    });
  }

  get hasDeck() {
    return this.areas[1].length > 0;
  }

  draw(context, camera, colors, level) {
    const onTop = new Set(Object.keys(DETAIL)); // painted after the lines
    for (const { role, path } of this.areas[level]) {
      if (onTop.has(role)) continue;
      context.globalAlpha = level ? DECK_ALPHA : 1;
      context.fillStyle = colors[role];
      context.fill(path, "evenodd");
    }
    context.globalAlpha = 1;
    this.drawLines(context, camera, colors, level);
    for (const { role, path } of this.areas[level]) {
      if (!onTop.has(role) || camera.scale < DETAIL[role]) continue;
      context.globalAlpha = Math.min(1, (camera.scale / DETAIL[role] - 1) * 2);
      context.fillStyle = colors[role];
      context.fill(path);
    }
    context.globalAlpha = 1;
  }

  drawLines(context, camera, colors, level) {
    const [left, bottom, right, top] = camera.visible();
    context.lineJoin = "round";
    context.lineCap = "butt";
    for (const { role, width, dash, path, box } of this.lines[level]) {
      if (box[0] > right || box[2] < left || box[1] > top || box[3] < bottom) continue;
      const isFar = camera.scale < DASH_SCALE;
      if (isFar && dash.length) continue;
      const isMark = role.startsWith("mark");
      // Lines thinner than a pixel keep a pixel and lose strength instead.
      const pixels = width * camera.scale;
      context.globalAlpha = Math.min(1, Math.max(isMark ? pixels : 0.8, 0.15) / 1.0);
      context.lineWidth = Math.max(pixels, 1) / camera.scale;
      context.strokeStyle = colors[role];
      context.setLineDash(dash);
      context.stroke(path);
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  /** Lamps of the lights in their colour. */
  drawSignals(context, camera, palette, states, level) {
    if (camera.scale < DETAIL.signal) return;
    for (const signal of this.signals) {
      const state = states[signal.index];
      if (signal.level !== level || !state) continue;
      context.fillStyle = palette.light_colors[state];
      context.beginPath();
      context.arc(...signal.at, LAMP, 0, 7);
      context.fill();
    }
  }

  /** Stop lines in the colour of their light; from far away a light is a dot. */
  drawStopLines(context, camera, palette, states, level) {
    for (const line of this.stopLines) {
      if (line.level !== level) continue;
      const state = states ? states[line.index] : 0;
      const isDot = camera.scale < 2;
      if (isDot && !state) continue;
      const color = palette.light_colors[state];
      const [a, b] = [line.ring[0], line.ring.at(-1)];
      context.beginPath();
      if (isDot) {
        context.fillStyle = color;
        context.arc((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, 2.2 / camera.scale, 0, 7);
        context.fill();
        continue;
      }
      line.ring.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.strokeStyle = state ? color : palette.map_colors.stop_line;
      if (state) {
        context.globalAlpha = 0.28;
        context.lineWidth = line.width + Math.max(0.8, 5 / camera.scale);
        context.lineCap = "round";
        context.stroke();
        context.lineCap = "butt";
        context.globalAlpha = 1;
      }
      context.lineWidth = Math.max(line.width, 2 / camera.scale);
      context.setLineDash(line.dash);
      context.stroke();
      context.setLineDash([]);
    }
  }
}

function middle(ring) {
  return [0, 1].map((axis) => ring.reduce((sum, point) => sum + point[axis], 0) / ring.length);
}
