// One recording: what every road user does at any moment, and what happened when.

const MERGE_SECONDS = 1.0; // the same event of the same drive again within this time is one

class World {
  constructor(header, decoded, missing) {
    Object.assign(this, {
      title: header.title, dt: header.dt, steps: header.steps, agents: header.agents,
      map: header.map, kinds: header.kinds, drivers: header.drivers, eventNames: header.events, tones: header.tones,
      rewardNames: header.rewards, personaNames: header.personas, settings: header.settings,
      eyes: header.eyes,
    });
    this.data = decoded.arrays;
    this.unit = decoded.steps;
    this.missing = missing;
    this.duration = (this.steps - 1) * this.dt;
    this.waypointCount = header.arrays.find((array) => array.name === "waypoints").shape[2];
    this.lightCount = header.arrays.find((array) => array.name === "lights").shape[1];
    this.incidents = this.findIncidents();
    this.drives = Array.from({ length: this.agents }, (_, agent) => this.findDrives(agent));
    this.personaRanges = this.personaNames.map((_, k) => this.rangeOf("persona", k));
    this.rewardRanges = this.rewardNames.map((_, k) => this.rangeOf("rewards", k));
  }

  stepAt(time) {
    return Math.max(0, Math.min(this.steps - 1, Math.floor(time / this.dt + 1e-3)));
  }

  isAlive(step, agent) {
    return this.data.alive[step * this.agents + agent] === 1;
  }

  /** The state of a road user at a moment, between steps interpolated; null where it is absent. */
  state(agent, time) {
    const step = this.stepAt(time);
    const here = step * this.agents + agent;
    const data = this.data;
    if (!data.alive[here]) return null;
    const next = here + this.agents;
    const goesOn = step + 1 < this.steps && data.alive[next] && data.episode[next] === data.episode[here];
    const share = goesOn ? Math.max(0, Math.min(1, time / this.dt - step)) : 0;
    const mix = (name, width, k) => {
      const from = data[name][here * width + k];
      return (from + (share ? share * (data[name][next * width + k] - from) : 0)) * this.unit[name];
    };
    const heading = data.heading[here] * this.unit.heading;
    let turn = share ? data.heading[next] * this.unit.heading - heading : 0;
    turn -= 2 * Math.PI * Math.round(turn / (2 * Math.PI)); // the short way round
    return {
      agent, step,
      x: mix("position", 3, 0), y: mix("position", 3, 1), heading: heading + share * turn,
      speed: mix("speed", 1, 0),
      along: mix("acceleration", 2, 0), across: mix("acceleration", 2, 1),
      steering: mix("steering", 1, 0),
      length: data.size[here * 3] * this.unit.size, width: data.size[here * 3 + 1] * this.unit.size,
      kind: data.kind[here], driver: data.driver[here], level: data.level[here],
      lane: data.lane[here], episode: data.episode[here], events: data.events[here],
    };
  }

  /** Way-points [x, y] still ahead of a road user; the last one is its goal. */
  waypoints(step, agent) {
    const points = [];
    const row = (step * this.agents + agent) * this.waypointCount;
    for (let k = row; k < row + this.waypointCount; k++) {
      const [x, y] = [this.data.waypoints[2 * k], this.data.waypoints[2 * k + 1]];
      if (x !== this.missing && y !== this.missing) {
        points.push([x * this.unit.waypoints, y * this.unit.waypoints]);
      }
    }
    return points;
  }

  /** A drive is one road user's stay in a slot: {first, last} steps. */
  findDrives(agent) {
    const drives = [];
    let open = null;
    for (let step = 0; step < this.steps; step++) {
      const here = step * this.agents + agent;
      const episode = this.data.episode[here];
      if (!this.data.alive[here]) {
        open = null;
      } else if (open && open.episode === episode) {
        open.last = step;
      } else {
        open = { first: step, last: step, episode };
        drives.push(open);
      }
    }
    return drives;
  }

  driveAt(agent, step) {
    return this.drives[agent].find((drive) => drive.first <= step && step <= drive.last) || null;
  }

  /** Every moment at which an event begins, in order of time. */
  findIncidents() {
    const found = [];
    const open = new Map();
    for (let step = 0; step < this.steps; step++) {
      for (let agent = 0; agent < this.agents; agent++) {
        const here = step * this.agents + agent;
        let mask = this.data.events[here];
        for (let event = 0; mask; event++, mask >>>= 1) {
          if (!(mask & 1)) continue;
          const key = agent * 32 + event;
          const before = open.get(key);
          const episode = this.data.episode[here];
          const isSame = before && before.episode === episode &&
            (step - before.last) * this.dt <= MERGE_SECONDS;
          if (isSame) {
            before.last = step;
            continue;
          }
          const incident = {
            step, last: step, agent, event, episode, time: step * this.dt,
            name: this.eventNames[event], tone: this.tones[event],
            x: this.data.position[here * 3] * this.unit.position,
            y: this.data.position[here * 3 + 1] * this.unit.position,
          };
          found.push(incident);
          open.set(key, incident);
        }
      }
    }
    return found;
  }

  /** Least and largest value of one column of a (steps, agents, columns) array. */
  rangeOf(name, column) {
    const columns = name === "persona" ? this.personaNames.length : this.rewardNames.length;
    let [low, high] = [Infinity, -Infinity];
    for (let k = column, row = 0; row < this.steps * this.agents; row++, k += columns) {
      if (!this.data.alive[row]) continue;
      low = Math.min(low, this.data[name][k]);
      high = Math.max(high, this.data[name][k]);
    }
    return low <= high ? [low, high] : [0, 0];
  }

  label(agent, step) {
    const here = Math.min(step, this.steps - 1) * this.agents + agent;
    return `#${agent} ${this.kinds[this.data.kind[here]]}`;
  }
}

function words(name) {
  return name.replaceAll("_", " ");
}

function clock(seconds) {
  const tenths = Math.floor(Math.max(0, seconds) * 10 + 1e-6);
  const minutes = Math.floor(tenths / 600);
  const rest = (tenths % 600) / 10;
  return `${minutes}:${rest < 10 ? "0" : ""}${rest.toFixed(1)}`;
}
