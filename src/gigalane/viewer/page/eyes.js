// What the followed road user sees: pictures of its cameras that keep up with the time.

const AHEAD = 6; // pictures unpacked before they are due
const KEPT = 48; // unpacked pictures that are kept
const VIEW_METRES = 38; // how far the map shows a camera's view
const LOW_RATIO = 4; // in low windows pictures go above the map that are this many times as wide as high
const PIXELATED = 2.5; // pictures enlarged more than this show their pixels

class Eyes {
  constructor(on) {
    this.on = on;
    this.canvas = element("eyes-canvas");
    this.box = element("eyes");
    this.isShown = true;
    this.isLarge = false;
    this.pointed = null; // index of the camera that the mouse points at
    this.narrow = matchMedia("(max-width: 860px) and (min-height: 521px)");
    this.low = matchMedia("(max-height: 520px)");
    for (const one of [this.narrow, this.low]) one.addEventListener("change", () => this.place());
    new ResizeObserver(() => { this.drawn = null; on.changed(); }).observe(this.box);
    this.canvas.addEventListener("pointermove", (event) => this.point(this.cameraAt(event)));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("dblclick", () => this.enlarge());
  }

  /** Takes the pictures of a world. */
  show(world) {
    this.world = world;
    this.data = world.eyes;
    for (const picture of (this.pictures || new Map()).values()) if (picture.close) picture.close();
    this.pictures = new Map(); // by film and number: a bitmap, or true while it is unpacked
    this.films = new Map();
    this.drawn = null;
    this.wanted = null;
    delete document.documentElement.dataset.picture;
    for (const film of this.data ? this.data.films : []) {
      let begin = 0;
      const starts = film.lengths.map((length) => (begin += length) - length);
      this.films.set(film.agent, { ...film, starts });
    }
    this.place();
  }

  /** The road user whose pictures come first, or null. */
  first() {
    return this.data && this.data.films.length ? this.data.films[0].agent : null;
  }

  set(isShown, isLarge = this.isLarge) {
    this.isShown = isShown;
    this.isLarge = isLarge;
    this.place();
  }

  toggle() {
    this.set(!this.isShown);
  }

  enlarge() {
    this.set(true, !this.isLarge);
  }

  /** Whether pictures go above the map, across all of it, rather than into the panel. */
  isAcross() {
    if (this.narrow.matches) return true;
    return this.low.matches ? this.data.size[0] > LOW_RATIO * this.data.size[1] : this.data.isStrip;
  }

  place() {
    const isThere = Boolean(this.data);
    const root = document.documentElement.dataset;
    element("eyes-toggle").hidden = !isThere;
    element("eyes-toggle").ariaPressed = String(this.isShown);
    element("eyes-larger").ariaPressed = String(this.isLarge);
    this.box.hidden = !isThere || !this.isShown;
    root.eyes = this.box.hidden ? "none" : this.isAcross() ? "strip" : "panel";
    root.eyesSize = this.isLarge ? "large" : "usual";
    if (root.eyes === "panel") element("panel").prepend(this.box);
    else element("stage").before(this.box);
    if (isThere) {
      document.body.style.setProperty("--eyes-ratio", String(this.data.size[0] / this.data.size[1]));
      this.drawn = null;
    }
    this.on.changed();
  }

  /** The number of the picture for a time, or null after the last. */
  numberAt(film, time) {
    const number = Math.floor(time * this.data.rate + 1e-6);
    if (number < film.lengths.length) return number;
    return time <= this.world.duration && number === film.lengths.length ? number - 1 : null;
  }

  /** Shows what a road user sees at a time, as soon as that picture is unpacked. */
  seek(agent, time) {
    if (this.box.hidden) return;
    const film = this.films.get(agent);
    const number = film ? this.numberAt(film, time) : null;
    this.wanted = number === null || !film.lengths[number] ? null : `${agent}:${number}`;
    if (this.wanted) {
      for (let k = number; k <= Math.min(number + AHEAD, film.lengths.length - 1); k++) this.unpack(film, k);
    }
    this.draw();
  }

  unpack(film, number) {
    const key = `${film.agent}:${number}`;
    if (this.pictures.has(key) || !film.lengths[number]) return;
    this.pictures.set(key, true);
    film.octets ||= Uint8Array.from(atob(film.data), (letter) => letter.charCodeAt(0));
    const begin = film.starts[number];
    const file = new Blob([film.octets.subarray(begin, begin + film.lengths[number])], { type: "image/webp" });
    const pictures = this.pictures;
    createImageBitmap(file).then((bitmap) => {
      pictures.set(key, bitmap);
      if (pictures === this.pictures) {
        this.forget();
        this.draw();
      }
    });
  }

  /** Drops the pictures that were unpacked longest ago. */
  forget() {
    for (const [key, picture] of this.pictures) {
      if (this.pictures.size <= KEPT) return;
      if (picture === true || key === this.wanted) continue;
      picture.close();
      this.pictures.delete(key);
    }
  }

  /** The name of the wanted picture, or of one shortly before it while that is being unpacked. */
  nearest() {
    const [agent, number] = this.wanted.split(":").map(Number);
    for (let k = number; k >= Math.max(0, number - AHEAD); k--) {
      const picture = this.pictures.get(`${agent}:${k}`);
      if (picture && picture !== true) return `${agent}:${k}`;
    }
    return null;
  }

  draw() {
    if (!this.data) return;
    const name = this.wanted ? this.nearest() : "";
    if (name === null) return; // until one is there the one before stays
    const picture = this.pictures.get(name);
    const key = `${name} ${this.pointed}`;
    if (key === this.drawn) return;
    const [context, width, height] = freshCanvas(this.canvas);
    if (!width || !height) return;
    this.drawn = key;
    document.documentElement.dataset.picture = name;
    if (!picture) return;
    const [across, down] = this.data.size;
    const scale = Math.min(width / across, height / down);
    this.frame = { scale, left: (width - scale * across) / 2, top: (height - scale * down) / 2 };
    context.translate(this.frame.left, this.frame.top);
    context.scale(scale, scale);
    context.imageSmoothingEnabled = scale * (window.devicePixelRatio || 1) < PIXELATED;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0);
    if (this.data.cameras.length > 1) this.drawNames(context, scale);
  }

  drawNames(context, scale) {
    const [wide, high] = this.data.tile;
    context.font = `600 ${11 / scale}px system-ui, sans-serif`;
    context.textBaseline = "top";
    this.data.cameras.forEach((one, k) => {
      const isPointed = k === this.pointed;
      if (isPointed) {
        context.strokeStyle = "#ffffff";
        context.lineWidth = 2 / scale;
        context.strokeRect(one.left + 1 / scale, one.top + 1 / scale, wide - 2 / scale, high - 2 / scale);
      }
      const text = context.measureText(one.name).width;
      context.fillStyle = isPointed ? "#ffffff" : "rgb(12 16 22 / 55%)";
      context.beginPath();
      context.roundRect(one.left + 6 / scale, one.top + 6 / scale, text + 12 / scale, 18 / scale, 9 / scale);
      context.fill();
      context.fillStyle = isPointed ? "#10141a" : "#ffffff";
      context.fillText(one.name, one.left + 12 / scale, one.top + 10 / scale);
    });
  }

  /** Says whose eyes these are, or who has a camera. */
  tell(agent, time) {
    if (this.box.hidden) return;
    const film = this.films.get(agent);
    const state = agent === null ? null : this.world.state(agent, time);
    const [width, height] = this.data.tile;
    element("eyes-who").textContent = film ? this.world.label(agent, this.world.stepAt(time)) : "";
    element("eyes-rig").textContent = `${this.data.rig}, ${width} \u00d7 ${height}`;
    let reason = "";
    if (agent === null) reason = "Nobody is followed.";
    else if (!film) reason = `#${agent} has no camera.`;
    else if (this.numberAt(film, time) === null) reason = `Pictures end at ${clock((film.lengths.length - 1) / this.data.rate)}.`;
    else if (!state) reason = "Not on the road at this moment.";
    const note = element("eyes-note");
    note.hidden = !reason;
    if (note.firstElementChild.textContent === reason) return;
    note.firstElementChild.textContent = reason;
    note.lastElementChild.replaceChildren(...(film ? [] : [...this.films.keys()].map((one) =>
      make("button", { textContent: `See with #${one}`, onclick: () => this.on.followed(one) }))));
  }

  cameraAt(event) {
    if (!this.frame || !this.wanted) return null;
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left - this.frame.left) / this.frame.scale;
    const y = (event.clientY - box.top - this.frame.top) / this.frame.scale;
    const [wide, high] = this.data.tile;
    const found = this.data.cameras.findIndex((one) =>
      x >= one.left && x < one.left + wide && y >= one.top && y < one.top + high);
    return found < 0 ? null : found;
  }

  point(camera) {
    if (camera === this.pointed) return;
    this.pointed = camera;
    this.on.changed();
  }

  /** Shades on the map what the cameras of the followed road user look at. */
  drawViews(context, camera, palette, state) {
    if (this.box.hidden || !this.films.has(state.agent)) return;
    const reach = Math.max(VIEW_METRES, 60 / camera.scale);
    const [c, s] = [Math.cos(state.heading), Math.sin(state.heading)];
    context.save();
    this.data.cameras.forEach((one, k) => {
      const [along, aside] = one.position;
      const [x, y] = [state.x + c * along - s * aside, state.y + s * along + c * aside];
      const fade = context.createRadialGradient(x, y, 0, x, y, reach);
      const strength = this.pointed === null || this.data.cameras.length < 2 ? 0.36 : this.pointed === k ? 0.6 : 0.12;
      const share = (part) => Math.round(255 * strength * part).toString(16).padStart(2, "0");
      fade.addColorStop(0, palette.highlight + share(1));
      fade.addColorStop(0.6, palette.highlight + share(0.4));
      fade.addColorStop(1, palette.highlight + "00");
      context.fillStyle = fade;
      context.beginPath();
      if (one.span < 6.28) context.moveTo(x, y);
      const [from, to] = [state.heading + one.yaw - one.span / 2, state.heading + one.yaw + one.span / 2];
      context.arc(x, y, reach, from, to);
      context.fill();
    });
    context.restore();
  }
}
