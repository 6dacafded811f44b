// Where the map is seen from: centre, scale, turn; and the fingers and mouse that move it.

const LEAST_SCALE = 0.05; // pixels a metre
const LARGEST_SCALE = 120;
const DRAG_PIXELS = 4; // a press that moves less is a click
const PICK_PIXELS = 16;

class Camera {
  constructor(canvas) {
    this.canvas = canvas;
    this.x = 0;
    this.y = 0;
    this.scale = 4;
    this.turn = 0; // counter-clockwise turn of the map on the screen [rad]
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    this.ratio = window.devicePixelRatio || 1;
    this.width = Math.max(1, box.width);
    this.height = Math.max(1, box.height);
    const [width, height] = [Math.round(this.width * this.ratio), Math.round(this.height * this.ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
  }

  /** Puts a canvas context into map metres, y up. */
  apply(context) {
    const s = this.scale * this.ratio;
    const [c, n] = [Math.cos(this.turn) * s, Math.sin(this.turn) * s];
    context.setTransform(
      c, -n, -n, -c,
      (this.width / 2) * this.ratio - c * this.x + n * this.y,
      (this.height / 2) * this.ratio + n * this.x + c * this.y,
    );
  }

  toScreen(x, y) {
    const [dx, dy] = [(x - this.x) * this.scale, (y - this.y) * this.scale];
    const [c, n] = [Math.cos(this.turn), Math.sin(this.turn)];
    return [this.width / 2 + c * dx - n * dy, this.height / 2 - n * dx - c * dy];
  }

  toMap(sx, sy) {
    const [dx, dy] = [(sx - this.width / 2) / this.scale, (this.height / 2 - sy) / this.scale];
    const [c, n] = [Math.cos(this.turn), Math.sin(this.turn)];
    return [this.x + c * dx + n * dy, this.y - n * dx + c * dy];
  }

  /** Corners of a box in the map that holds everything visible: left, bottom, right, top. */
  visible() {
    const reach = this.turn ? Math.hypot(this.width, this.height) / 2 : 0;
    const [dx, dy] = [reach || this.width / 2, reach || this.height / 2].map((p) => p / this.scale);
    return [this.x - dx, this.y - dy, this.x + dx, this.y + dy];
  }

  fit([[left, bottom], [right, top]]) {
    this.turn = 0;
    this.x = (left + right) / 2;
    this.y = (bottom + top) / 2;
    const margin = 0.92;
    this.scale = this.bounded(margin * Math.min(
      this.width / Math.max(right - left, 1), this.height / Math.max(top - bottom, 1)));
  }

  bounded(scale) {
    return Math.max(LEAST_SCALE, Math.min(LARGEST_SCALE, scale));
  }

  /** Zooms so that the point of the map under a place on the screen stays there. */
  zoom(factor, sx, sy) {
    const [x, y] = this.toMap(sx, sy);
    this.scale = this.bounded(this.scale * factor);
    const [movedX, movedY] = this.toMap(sx, sy);
    this.x += x - movedX;
    this.y += y - movedY;
  }

  pan(dx, dy) {
    const [x, y] = this.toMap(this.width / 2 - dx, this.height / 2 - dy);
    this.x = x;
    this.y = y;
  }
}

/**
 * Binds pointers and the wheel. Calls `on.moved()` after a drag, `on.zoomed()` after a zoom,
 * `on.clicked(x, y)` and `on.hovered(x, y)` with places on the screen, `on.left()`.
 */
function bindCamera(camera, on) {
  const canvas = camera.canvas;
  const pointers = new Map();
  let travelled = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 1) travelled = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      on.hovered(...now);
      return;
    }
    if (pointers.size === 1) {
      travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
      if (travelled > DRAG_PIXELS) {
        canvas.classList.add("dragging");
        camera.pan(now[0] - before[0], now[1] - before[1]);
        on.moved();
      }
    } else {
      travelled = Infinity;
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const spread = (p) => Math.max(10, Math.hypot(p[0] - other[0], p[1] - other[1]));
      const middle = (p) => [(p[0] + other[0]) / 2, (p[1] + other[1]) / 2];
      const [from, to] = [middle(before), middle(now)];
      camera.pan(to[0] - from[0], to[1] - from[1]);
      camera.zoom(spread(now) / spread(before), ...to);
      on.zoomed();
    }
    pointers.set(event.pointerId, now);
  });
  const release = (event) => {
    const wasDown = pointers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (event.type === "pointerup" && wasDown && travelled <= DRAG_PIXELS) on.clicked(...place(event));
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => on.left());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    camera.zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0016)), ...place(event));
    on.zoomed();
  }, { passive: false });
}
