// The side panel: the followed road user, the list of events, the run.

const LOG_ROWS = 1500; // more would make the page slow; filters bring the rest into reach

function element(id) {
  return document.getElementById(id);
}

/** Makes an element; text is only ever text. */
function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else if (name === "data") Object.assign(node.dataset, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : (value < 0 ? "\u2212" : "+") + text;
}

/** A number with as many digits as tell something. */
function compact(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1000 || size < 0.001) return value.toExponential(1).replaceAll("-", "\u2212");
  return (value < 0 ? "\u2212" : "") + size.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

class Panel {
  constructor(on) {
    this.on = on;
    this.dials = new Dials();
    this.hidden = new Set(); // names of events that lists and strips leave out
    this.known = new Set(); // names seen so far; quiet ones are hidden when first seen
    this.tabs = ["user", "log", "run"];
    for (const tab of this.tabs) element(`tab-${tab}`).addEventListener("click", () => this.open(tab));
    element("user-select").addEventListener("change", (event) => {
      on.followed(event.target.value === "" ? null : Number(event.target.value));
    });
    element("history").addEventListener("click", (event) => {
      if (!this.dials.historySpan) return;
      const box = event.target.getBoundingClientRect();
      const [from, to] = this.dials.historySpan;
      on.sought(from + ((event.clientX - box.left) / box.width) * (to - from));
    });
    this.open("user");
  }

  open(tab) {
    this.logPast = -1; // a list out of sight is not scrolled; do it anew
    for (const one of this.tabs) {
      element(`tab-${one}`).setAttribute("aria-selected", String(one === tab));
      element(`page-${one}`).hidden = one !== tab;
    }
  }

  /** Fills everything that does not change with time. */
  show(world, map, palette) {
    this.world = world;
    this.map = map;
    this.palette = palette;
    const first = (agent) => (world.drives[agent][0] || { first: 0 }).first;
    const driverAt = (agent) => world.data.driver[first(agent) * world.agents + agent];
    const counts = new Array(world.agents).fill(0);
    for (const one of world.incidents) if (one.tone === "incident") counts[one.agent] += 1;

    element("user-select").replaceChildren(make("option", { value: "", textContent: "Nobody" }));
    element("user-list").replaceChildren();
    for (let agent = 0; agent < world.agents; agent++) {
      if (!world.drives[agent].length) continue;
      const name = world.label(agent, first(agent));
      const driver = words(world.drivers[driverAt(agent)]);
      const sees = world.eyes && world.eyes.films.some((film) => film.agent === agent);
      const text = `${name} \u00b7 ${driver}${sees ? " \u00b7 camera" : ""}`;
      element("user-select").append(make("option", { value: String(agent), textContent: text }));
      const color = palette.driver_colors[driverAt(agent) % palette.driver_colors.length];
      element("user-list").append(make("button", { className: "row", onclick: () => this.on.followed(agent) },
        make("span", { className: "swatch", style: { background: color } }),
        make("span", { textContent: name }),
        make("span", { className: "muted", textContent: driver }),
        ...(sees ? [make("span", { className: "seer", textContent: "camera" })] : []),
        make("span", { className: "end", textContent: counts[agent] ? `${counts[agent]} incident${counts[agent] > 1 ? "s" : ""}` : "" })));
    }
    world.eventNames.forEach((name, k) => {
      if (!this.known.has(name) && world.tones[k] === "quiet") this.hidden.add(name);
      this.known.add(name);
    });
    this.showFilters();
    this.showLog();
    this.showRun();
    this.showRewardRows();
    this.showPersonaRows();
    const happened = new Set(world.incidents.map((one) => one.name));
    element("chips").replaceChildren(...world.eventNames.filter((name) => happened.has(name)).map((name) =>
      make("span", { className: "chip", data: { event: name }, style: { "--chip": eventColor(palette, name) } },
        make("i", { className: "dot" }), words(name))));
  }

  shownIncidents() {
    return this.shown;
  }

  showFilters() {
    const counts = new Map(this.world.eventNames.map((name) => [name, 0]));
    for (const one of this.world.incidents) counts.set(one.name, counts.get(one.name) + 1);
    for (const [name, count] of counts) if (!count) counts.delete(name);
    element("filters").replaceChildren(...[...counts].map(([name, count]) =>
      make("button", {
        className: `chip${this.hidden.has(name) ? "" : " on"}`,
        ariaPressed: String(!this.hidden.has(name)),
        style: { "--chip": eventColor(this.palette, name) },
        onclick: () => {
          if (!this.hidden.delete(name)) this.hidden.add(name);
          this.showFilters();
          this.showLog();
          this.on.filtered();
        },
      }, `${words(name)} ${count}`)));
  }

  showLog() {
    this.shown = this.world.incidents.filter((one) => !this.hidden.has(one.name));
    const shown = this.shown;
    const rows = shown.slice(0, LOG_ROWS).map((one) =>
      make("li", {}, make("button", { className: "row", onclick: () => this.on.jumped(one) },
        make("span", { className: "clock", textContent: clock(one.time) }),
        make("i", { className: "dot", style: { background: eventColor(this.palette, one.name) } }),
        make("span", { textContent: words(one.name) }),
        make("span", { className: "end", textContent: this.world.label(one.agent, one.step) }))));
    if (shown.length > LOG_ROWS) {
      rows.push(make("li", { className: "muted", textContent: `and ${shown.length - LOG_ROWS} more: choose fewer kinds above` }));
    }
    if (!shown.length) rows.push(make("li", { className: "muted row", textContent: "Nothing to list." }));
    element("log").replaceChildren(...rows);
    element("log-count").textContent = String(this.world.incidents.filter((one) => one.tone === "incident").length);
    this.logTimes = shown.slice(0, LOG_ROWS).map((one) => one.time);
    this.logPast = -1;
  }

  showRun() {
    const world = this.world;
    const alive = world.data.alive.reduce((sum, one) => sum + one, 0) * world.dt;
    const facts = [["Map", this.map.name], ["Duration", `${world.duration.toFixed(1)} s`],
      ["Time step", `${Number(world.dt.toFixed(4))} s`], ["Slots", world.agents], ["Drives", world.drives.flat().length],
      ["Time driven", `${(alive / 60).toFixed(1)} min`]];
    fillList(element("run-facts"), facts);
    fillList(element("settings"), flattened(world.settings));
  }

  showRewardRows() {
    const rows = this.world.rewardNames.map((name) => rewardRow(words(name)));
    const total = rewardRow("total");
    total.row.className = "total";
    total.bar.remove();
    this.rewardRows = rows;
    this.totalRow = total;
    element("rewards").replaceChildren(...rows.map((one) => one.row), total.row);
  }

  showPersonaRows() {
    element("persona-title").hidden = !this.world.personaNames.length;
    this.personaRows = this.world.personaNames.map((name) => {
      const [dot, value] = [make("i"), make("td", { className: "number" })];
      const row = make("tr", {}, make("td", { textContent: words(name), title: words(name) }),
        make("td", {}, make("div", { className: "range" }, dot)), value);
      return { row, dot, value };
    });
    element("personas").replaceChildren(...this.personaRows.map((one) => one.row));
  }

  /** Shows the followed road user at a moment. */
  update(agent, time) {
    const world = this.world;
    element("user-none").hidden = agent !== null;
    element("user-some").hidden = agent === null;
    element("user-select").value = agent === null ? "" : String(agent);
    this.updateLog(time);
    if (agent === null || element("page-user").hidden) return;
    const state = world.state(agent, time);
    element("user-absent").hidden = state !== null;
    element("user-present").classList.toggle("absent", state === null);
    const step = world.stepAt(time);
    element("speed").textContent = state ? String(Math.abs(Math.round(state.speed * 3.6))) : "\u2013";
    const limit = state && state.lane >= 0 ? this.map.lanes.limit[state.lane] : null;
    element("limit-line").hidden = limit === null;
    element("limit-line").className = limit !== null && state.speed > limit + 0.5 ? "over" : "muted";
    element("limit").textContent = limit === null ? "" : String(Math.round(limit * 3.6));
    for (const chip of element("chips").children) {
      const bit = world.eventNames.indexOf(chip.dataset.event);
      chip.classList.toggle("on", Boolean(state && (state.events >>> bit) & 1));
    }
    this.dials.drawFriction(world, agent, step, state);
    this.dials.drawWheel(state);
    this.dials.drawHistory(world, agent, time, step, this.map.lanes, this.shown, this.palette);
    this.updateFacts(state);
    this.updateRewards(agent, step);
    this.updatePersona(agent, step);
  }

  updateLog(time) {
    let past = 0;
    while (past < this.logTimes.length && this.logTimes[past] <= time + 1e-6) past += 1;
    if (past === this.logPast) return;
    const rows = element("log").children;
    const [from, to] = this.logPast < 0 ? [0, rows.length] : [Math.min(past, this.logPast) - 1, Math.max(past, this.logPast)];
    for (let k = Math.max(0, from); k < Math.min(rows.length, to + 1); k++) {
      const button = rows[k].firstElementChild;
      if (!button) continue;
      button.classList.toggle("past", k < past);
      button.classList.toggle("now", k === past - 1);
    }
    this.logPast = past;
    const list = element("log");
    // Keeps the latest event in sight, unless somebody is reading there.
    if (past > 0 && !list.matches(":hover")) rows[past - 1].scrollIntoView({ block: "nearest" });
  }

  updateFacts(state) {
    if (!state) {
      fillList(element("facts"), []);
      return;
    }
    const waypoints = this.world.waypoints(state.step, state.agent);
    const distance = ([x, y]) => `${Math.round(Math.hypot(x - state.x, y - state.y))} m`;
    const lanes = this.map.lanes;
    const facts = [
      ["Acceleration", `${signed(state.along, 1)} m/s\u00b2, across ${signed(state.across, 1)}`],
      ["Steering", `${signed((state.steering * 180) / Math.PI, 1)}\u00b0`],
    ];
    if (waypoints.length > 1) facts.push(["Next way-point", distance(waypoints[0])]);
    if (waypoints.length) facts.push(["Goal", `${distance(waypoints.at(-1))} as the crow flies`]);
    facts.push(["Lane", state.lane < 0 ? "off the road"
      : `${lanes.id[state.lane]}, ${lanes.junction[state.lane] ? "in a junction" : words(lanes.type[state.lane])}`]);
    facts.push(["Driver", words(this.world.drivers[state.driver])]);
    fillList(element("facts"), facts);
  }

  updateRewards(agent, step) {
    const world = this.world;
    const columns = world.rewardNames.length;
    const drive = world.driveAt(agent, step);
    let [nowTotal, sumTotal] = [0, 0];
    for (let k = 0; k < columns; k++) {
      const now = world.data.rewards[(step * world.agents + agent) * columns + k];
      let sum = 0;
      if (drive) {
        for (let t = drive.first; t <= step; t++) sum += world.data.rewards[(t * world.agents + agent) * columns + k];
      }
      nowTotal += now;
      sumTotal += sum;
      const largest = Math.max(...world.rewardRanges[k].map(Math.abs)) || 1;
      setReward(this.rewardRows[k], now, sum, now / largest);
    }
    setReward(this.totalRow, nowTotal, sumTotal, 0);
  }

  updatePersona(agent, step) {
    const world = this.world;
    const columns = world.personaNames.length;
    for (let k = 0; k < columns; k++) {
      const value = world.data.persona[(step * world.agents + agent) * columns + k];
      const [low, high] = world.personaRanges[k];
      const share = high > low ? (value - low) / (high - low) : 0.5;
      this.personaRows[k].dot.style.left = `${100 * share}%`;
      this.personaRows[k].value.textContent = compact(value);
    }
  }
}

function rewardRow(name) {
  const [bar, fill] = [make("div", { className: "balance" }), make("i")];
  bar.append(fill);
  const [now, sum] = [make("td", { className: "number" }), make("td", { className: "number" })];
  const row = make("tr", {}, make("td", { textContent: name, title: name }), make("td", {}, bar), now, sum);
  return { row, bar, fill, now, sum };
}

function setReward({ bar, fill, now, sum }, nowValue, sumValue, share) {
  now.textContent = compact(nowValue);
  sum.textContent = compact(sumValue);
  now.className = `number${nowValue === 0 ? " zero" : ""}`;
  sum.className = `number${sumValue < 0 ? " minus" : sumValue === 0 ? " zero" : ""}`;
  bar.className = `balance${share < 0 ? " minus" : ""}`;
  fill.style.width = `${50 * Math.min(1, Math.abs(share))}%`;
  fill.style.left = share < 0 ? `${50 - 50 * Math.min(1, -share)}%` : "50%";
}

function fillList(list, pairs) {
  // Reuses nodes: this runs many times a second.
  while (list.children.length > 2 * pairs.length) list.lastElementChild.remove();
  while (list.children.length < 2 * pairs.length) list.append(make("dt"), make("dd"));
  pairs.forEach(([name, value], k) => {
    list.children[2 * k].textContent = name;
    list.children[2 * k + 1].textContent = String(value);
  });
}

/** Nested settings as [dotted name, text] pairs. */
function flattened(settings, prefix = "") {
  return Object.entries(settings).flatMap(([name, value]) =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? flattened(value, `${prefix}${name}.`)
      : [[prefix + words(name), Array.isArray(value) ? value.join(", ") : value]]);
}
