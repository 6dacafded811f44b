// Puts the page together: loads a world, plays it, answers keys, and reads the address.
//
// After "#" the address may hold: t (seconds), follow (slot), world (number from 0), autoplay
// (0 or 1), rate, zoom (pixels a metre), x, y (centre, metres), turn (1: heading up),
// theme (light, dark), tab (user, log, run), camera (0: hidden, 1: shown, 2: large).

const RATES = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16];
const FOLLOW_SCALE = 7; // pixels a metre when the camera goes to a road user
const PANEL_HERTZ = 15;
const CAMERA_SECONDS = 0.25; // how fast the camera closes in on the road user it follows

const app = {
  world: null, drawing: null, time: 0, isPlaying: false, rate: 1,
  agent: null, isAttached: false, isHeadingUp: false, isDirty: true, panelDue: 0, worldIndex: 0,
};
const worlds = new Map();
const drawings = new Map();
let payload, camera, users, panel, timeline, eyes, palette;

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function applyTheme() {
  palette = payload.palettes[isDark() ? "dark" : "light"];
  document.documentElement.toggleAttribute("data-dark", isDark());
  // Canvases need plain colours, and light-dark() is not resolved inside custom properties.
  const probe = make("i");
  document.body.append(probe);
  for (const name of ["line", "accent", "muted", "bad", "ink", "sunken"]) {
    probe.style.color = `var(--${name})`;
    document.body.style.setProperty(`--${name}-now`, getComputedStyle(probe).color);
  }
  probe.remove();
  if (app.world) refreshWorld();
}

async function openWorld(index) {
  const header = payload.recordings[index];
  if (!drawings.has(header.map)) {
    const map = payload.maps[header.map];
    drawings.set(header.map, new MapDrawing(map, await decode(map)));
  }
  if (!worlds.has(index)) worlds.set(index, new World(header, await decode(header), payload.missing));
  const isSameMap = app.drawing === drawings.get(header.map);
  app.world = worlds.get(index);
  app.drawing = drawings.get(header.map);
  app.worldIndex = index;
  app.time = Math.min(app.time, app.world.duration);
  if (app.agent !== null && app.agent >= app.world.agents) app.agent = null;
  element("slider").max = String(app.world.duration);
  element("duration").textContent = `/ ${clock(app.world.duration)}`;
  element("world-select").value = String(index);
  element("world-title").textContent = app.world.title;
  document.title = `${app.world.title} \u2013 gigalane replay`;
  const plural = app.world.agents === 1 ? "" : "s";
  element("world-facts").textContent = `${app.world.agents} road user${plural} at a time`;
  if (!isSameMap) camera.fit(payload.maps[header.map].extent);
  eyes.show(app.world);
  refreshWorld();
}

/** Redraws everything that depends on the world or the colours but not on the time. */
function refreshWorld() {
  panel.show(app.world, payload.maps[app.world.map], palette);
  const present = new Set(app.world.data.driver.filter((_, k) => app.world.data.alive[k]));
  element("legend").replaceChildren(...[...present].sort().map((driver) =>
    make("span", {},
      make("i", { className: "swatch", style: { background: palette.driver_colors[driver % palette.driver_colors.length] } }),
      words(app.world.drivers[driver]))));
  follow(app.agent, app.isAttached);
}

function follow(agent, isAttached = true) {
  const isNew = agent !== app.agent;
  app.agent = agent;
  app.isAttached = agent !== null && isAttached;
  if (isNew && app.isAttached && camera.scale < FOLLOW_SCALE / 2) camera.scale = FOLLOW_SCALE;
  if (!app.isAttached || !app.isHeadingUp) camera.turn = app.isHeadingUp && agent !== null ? camera.turn : 0;
  timeline.show(app.world, agent, panel.shownIncidents());
  changed();
}

function changed() {
  app.isDirty = true;
  app.panelDue = 0;
}

function seek(time) {
  app.time = Math.max(0, Math.min(app.world.duration, time));
  changed();
}

function play(isPlaying) {
  if (isPlaying && app.time >= app.world.duration - 1e-6) app.time = 0;
  app.isPlaying = isPlaying;
  document.documentElement.dataset.playing = isPlaying ? "1" : "0";
  element("play").ariaLabel = isPlaying ? "Pause" : "Play";
  changed();
}

function jump(incident) {
  play(false);
  seek(incident.time);
  follow(incident.agent);
}

function jumpToNeighbour(direction) {
  const shown = panel.shownIncidents();
  const next = direction > 0
    ? shown.find((one) => one.time > app.time + 1e-3)
    : shown.findLast((one) => one.time < app.time - 1e-3);
  if (next) jump(next);
}

function setRate(rate) {
  app.rate = rate;
  element("rate").value = String(rate);
}

function stepRate(direction) {
  const now = RATES.findIndex((rate) => rate >= app.rate - 1e-9);
  setRate(RATES[Math.max(0, Math.min(RATES.length - 1, now + direction))]);
}

function followNeighbour(direction) {
  const count = app.world.agents;
  let agent = app.agent === null ? (direction > 0 ? -1 : count) : app.agent;
  for (let k = 0; k < count; k++) {
    agent = (agent + direction + count) % count;
    if (app.world.drives[agent].length) break;
  }
  follow(agent);
}

/** The road user nearest to a place on the screen, or null. */
function userAt(sx, sy) {
  let [found, best] = [null, Infinity];
  for (let agent = 0; agent < app.world.agents; agent++) {
    const state = app.world.state(agent, app.time);
    if (!state) continue;
    const [x, y] = camera.toScreen(state.x, state.y);
    const distance = Math.hypot(x - sx, y - sy);
    const reach = Math.max(PICK_PIXELS, (state.length / 2) * camera.scale);
    if (distance < reach && distance < best) [found, best] = [state, distance];
  }
  return found;
}

function moveCamera(seconds) {
  if (!app.isAttached) return;
  const state = app.world.state(app.agent, app.time);
  if (!state) return;
  const share = app.isPlaying ? 1 - Math.exp(-seconds / CAMERA_SECONDS) : 1;
  const isFar = Math.hypot(state.x - camera.x, state.y - camera.y) * camera.scale > camera.width;
  const gain = isFar ? 1 : share;
  camera.x += gain * (state.x - camera.x);
  camera.y += gain * (state.y - camera.y);
  if (app.isHeadingUp) {
    let turn = Math.PI / 2 - state.heading - camera.turn;
    turn -= 2 * Math.PI * Math.round(turn / (2 * Math.PI));
    camera.turn += gain * turn;
  }
}

function drawScene() {
  const { world, drawing } = app;
  camera.resize();
  const context = camera.canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = palette.map_colors.land;
  context.fillRect(0, 0, camera.canvas.width, camera.canvas.height);
  camera.apply(context);
  const step = world.stepAt(app.time);
  const lights = world.data.lights.subarray(step * world.lightCount, (step + 1) * world.lightCount);
  const states = [];
  for (let agent = 0; agent < world.agents; agent++) {
    const state = world.state(agent, app.time);
    if (state) states.push(state);
  }
  const followed = states.find((state) => state.agent === app.agent);
  for (const level of [0, 1]) {
    if (level && !drawing.hasDeck) break;
    drawing.draw(context, camera, palette.map_colors, level);
    drawing.drawStopLines(context, camera, palette, lights, level);
    drawing.drawSignals(context, camera, palette, lights, level);
    if (followed && level === 0) {
      eyes.drawViews(context, camera, palette, followed);
      users.path(context, camera, palette, world, app.agent, app.time);
      users.waypoints(context, camera, palette, world, followed);
    }
    for (const state of states) {
      if ((state.level && drawing.hasDeck ? 1 : 0) !== level) continue;
      if (state === followed) users.halo(context, camera, palette, state);
      users.draw(context, camera, palette, world, state);
    }
  }
  const hidden = panel.hidden;
  users.flashes(context, camera, palette, world, app.time, (one) => !hidden.has(one.name));
  document.documentElement.dataset.users = String(states.length);
}

function drawScaleBar() {
  const metres = 90 / camera.scale;
  const power = 10 ** Math.floor(Math.log10(metres));
  const length = [5, 2, 1].map((k) => k * power).find((one) => one <= metres);
  element("scale-bar").firstElementChild.textContent = length >= 1000 ? `${length / 1000} km` : `${Number(length.toPrecision(1))} m`;
  element("scale-bar").lastElementChild.style.width = `${length * camera.scale}px`;
}

let lastFrame = null;
function frame(now) {
  const seconds = lastFrame === null ? 0 : Math.min(0.1, (now - lastFrame) / 1000);
  lastFrame = now;
  if (app.world && (app.isPlaying || app.isDirty)) {
    if (app.isPlaying) {
      app.time += seconds * app.rate;
      if (app.time >= app.world.duration) {
        app.time = app.world.duration;
        play(false);
      }
    }
    app.isDirty = false;
    moveCamera(seconds);
    drawScene();
    eyes.seek(app.agent, app.time);
    drawScaleBar();
    element("slider").value = String(app.time);
    element("slider").style.setProperty("--done", `${app.world.duration ? (100 * app.time) / app.world.duration : 0}%`);
    element("time").textContent = clock(app.time);
    if (now >= app.panelDue) {
      app.panelDue = now + 1000 / PANEL_HERTZ;
      panel.update(app.agent, app.time);
      eyes.tell(app.agent, app.time);
      timeline.draw(palette, app.time);
    }
    report();
  }
  requestAnimationFrame(frame);
}

/** Says on the root element what is shown; tests and scripts read it. */
function report() {
  const root = document.documentElement;
  root.dataset.time = app.time.toFixed(3);
  root.dataset.follow = app.agent === null ? "" : String(app.agent);
  root.dataset.world = String(app.worldIndex);
  root.dataset.incidents = String(panel.shownIncidents().length);
  element("attach").ariaPressed = String(app.isAttached);
  element("attach").disabled = app.agent === null;
  element("turn").ariaPressed = String(app.isHeadingUp);
  if (root.dataset.status !== "error") root.dataset.status = "ready";
}

function showTooltip(state, sx, sy) {
  const tooltip = element("tooltip");
  camera.canvas.classList.toggle("pointing", Boolean(state));
  tooltip.hidden = !state;
  if (!state) return;
  tooltip.textContent = `${app.world.label(state.agent, state.step)}, ${words(app.world.drivers[state.driver])}, ${Math.abs(Math.round(state.speed * 3.6))} km/h`;
  const x = Math.min(sx + 14, camera.width - tooltip.offsetWidth - 6);
  tooltip.style.transform = `translate(${x}px, ${Math.max(4, sy - 34)}px)`;
}

function bindControls() {
  const click = (id, action) => element(id).addEventListener("click", action);
  click("play", () => play(!app.isPlaying));
  click("previous-event", () => jumpToNeighbour(-1));
  click("next-event", () => jumpToNeighbour(1));
  click("previous-user", () => followNeighbour(-1));
  click("next-user", () => followNeighbour(1));
  click("fit", fitMap);
  click("attach", () => follow(app.agent, !app.isAttached));
  click("turn", toggleHeadingUp);
  click("eyes-toggle", () => eyes.toggle());
  click("eyes-larger", () => eyes.enlarge());
  click("help-open", () => element("help").showModal());
  element("slider").addEventListener("input", (event) => seek(Number(event.target.value)));
  for (const rate of RATES) element("rate").append(make("option", { value: String(rate), textContent: `${rate}\u00d7` }));
  element("rate").addEventListener("change", (event) => setRate(Number(event.target.value)));
  payload.recordings.forEach((one, k) => element("world-select").append(make("option", { value: String(k), textContent: one.title })));
  element("world-select").hidden = payload.recordings.length < 2;
  element("world-title").hidden = payload.recordings.length > 1;
  element("world-select").addEventListener("change", (event) => guarded(openWorld(Number(event.target.value))));
  document.addEventListener("keydown", onKey);
}

function fitMap() {
  app.isAttached = false;
  camera.fit(payload.maps[app.world.map].extent);
  changed();
}

function toggleHeadingUp() {
  app.isHeadingUp = !app.isHeadingUp;
  if (!app.isHeadingUp) camera.turn = 0;
  changed();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || element("help").open) return;
  if (event.target.tagName === "SELECT" && event.key !== "Escape") return;
  const step = event.shiftKey ? 1.0 : app.world.dt;
  const actions = {
    " ": () => play(!app.isPlaying),
    ArrowLeft: () => { play(false); seek(Math.round(app.time / app.world.dt) * app.world.dt - step); },
    ArrowRight: () => { play(false); seek(Math.round(app.time / app.world.dt) * app.world.dt + step); },
    Home: () => seek(0),
    End: () => seek(app.world.duration),
    "+": () => stepRate(1), "=": () => stepRate(1), "-": () => stepRate(-1), "_": () => stepRate(-1),
    n: () => jumpToNeighbour(1), p: () => jumpToNeighbour(-1),
    "]": () => followNeighbour(1), "[": () => followNeighbour(-1),
    Escape: () => follow(null),
    c: () => follow(app.agent, !app.isAttached), r: toggleHeadingUp, f: fitMap,
    v: () => eyes.toggle(), l: () => eyes.enlarge(),
    "?": () => element("help").showModal(),
  };
  const action = actions[event.key] || actions[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
}

async function applyAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (name) => (given.has(name) && Number.isFinite(Number(given.get(name))) ? Number(given.get(name)) : null);
  if (["light", "dark"].includes(given.get("theme"))) document.documentElement.dataset.theme = given.get("theme");
  applyTheme();
  const index = number("world");
  if (index !== null && payload.recordings[index] && index !== app.worldIndex) await openWorld(index);
  if (number("t") !== null) seek(number("t"));
  if (number("rate") > 0) setRate(number("rate"));
  const agent = number("follow");
  if (agent !== null && Number.isInteger(agent) && agent >= 0 && agent < app.world.agents) follow(agent);
  if (number("zoom") !== null) camera.scale = camera.bounded(number("zoom"));
  if (number("x") !== null && number("y") !== null) {
    [camera.x, camera.y, app.isAttached] = [number("x"), number("y"), false];
  }
  if (number("turn") !== null) app.isHeadingUp = number("turn") === 1;
  if (number("camera") !== null) eyes.set(number("camera") > 0, number("camera") > 1);
  if (panel.tabs.includes(given.get("tab"))) panel.open(given.get("tab"));
  if (number("autoplay") !== null) play(number("autoplay") === 1);
  changed();
}

function fail(error) {
  document.documentElement.dataset.status = "error";
  document.documentElement.dataset.error = String(error && error.message ? error.message : error);
  element("failure").hidden = false;
  element("failure").textContent = `This replay cannot be shown: ${document.documentElement.dataset.error}`;
}

function guarded(promise) {
  promise.catch(fail);
}

async function start() {
  payload = JSON.parse(element("data").textContent);
  camera = new Camera(element("canvas"));
  users = new UserDrawing(payload);
  panel = new Panel({ followed: follow, jumped: jump, sought: seek, filtered: () => follow(app.agent, app.isAttached) });
  eyes = new Eyes({ followed: follow, changed });
  timeline = new Timeline(element("strip"), { jumped: jump, sought: seek });
  bindControls();
  bindCamera(camera, {
    moved: () => { app.isAttached = false; showTooltip(null); changed(); },
    zoomed: changed,
    clicked: (x, y) => { const state = userAt(x, y); if (state) follow(state.agent); else if (!app.isAttached) follow(null); },
    hovered: (x, y) => { const state = userAt(x, y); showTooltip(state, x, y); },
    left: () => showTooltip(null),
  });
  setRate(1);
  applyTheme();
  camera.resize();
  await openWorld(0);
  if (eyes.first() !== null) follow(eyes.first());
  play(true);
  await applyAddress();
  addEventListener("hashchange", () => guarded(applyAddress()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  new ResizeObserver(() => { changed(); drawScene(); }).observe(camera.canvas); // before it is painted stretched
  requestAnimationFrame(frame);
}

addEventListener("error", (event) => fail(event.error || event.message));
addEventListener("unhandledrejection", (event) => fail(event.reason));
guarded(start());
