// The small instruments of the panel: acceleration, steering wheel, speed over the drive.

const FRICTION_RANGE = 6; // edge of the acceleration dial [m/s²]
const WHEEL_GAIN = 6; // turn of the drawn wheel for a turn of the front wheels; in cars 12 to 18
const TAIL_SECONDS = 1.2;

/** Colours of the page's controls as canvases understand them; main.js resolves them. */
function uiColors() {
  const style = getComputedStyle(document.body);
  const names = ["line", "accent", "muted", "bad", "ink", "sunken"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}-now`)]));
}

class Dials {
  /** Acceleration as a dot: up is faster, left is left; its tail is the last second. */
  drawFriction(world, agent, step, state) {
    const [context, width, height] = freshCanvas(element("friction"));
    const [cx, cy, radius] = [width / 2, height / 2, Math.min(width, height) / 2 - 4];
    const color = uiColors();
    const place = (along, across) => {
      const size = Math.max(1, Math.hypot(along, across) / FRICTION_RANGE);
      return [cx - (across / FRICTION_RANGE / size) * radius, cy - (along / FRICTION_RANGE / size) * radius];
    };
    context.strokeStyle = color.line;
    for (const share of [1 / 3, 2 / 3, 1]) {
      context.beginPath();
      context.arc(cx, cy, radius * share, 0, 7);
      context.stroke();
    }
    context.beginPath();
    context.moveTo(cx - radius, cy);
    context.lineTo(cx + radius, cy);
    context.moveTo(cx, cy - radius);
    context.lineTo(cx, cy + radius);
    context.stroke();
    if (!state) return;
    const drive = world.driveAt(agent, step);
    context.strokeStyle = color.accent;
    context.globalAlpha = 0.45;
    context.lineWidth = 1.5;
    context.beginPath();
    for (let k = Math.max(drive.first, step - Math.round(TAIL_SECONDS / world.dt)); k <= step; k++) {
      const here = (k * world.agents + agent) * 2;
      const [along, across] = [0, 1].map((c) => world.data.acceleration[here + c] * world.unit.acceleration);
      context.lineTo(...place(along, across));
    }
    context.lineTo(...place(state.along, state.across));
    context.stroke();
    context.globalAlpha = 1;
    disc(context, ...place(state.along, state.across), 4.5, state.along < -3 ? color.bad : color.accent);
  }

  drawWheel(state) {
    const [context, width, height] = freshCanvas(element("wheel"));
    const color = uiColors();
    const radius = Math.min(width, height) / 2 - 8;
    if (radius <= 0) return; // hidden where there is no room
    context.translate(width / 2, height / 2);
    context.strokeStyle = color.line;
    context.lineWidth = 6;
    context.beginPath();
    context.arc(0, 0, radius, 0, 7);
    context.stroke();
    if (!state) return;
    const turn = -state.steering * WHEEL_GAIN; // to the left is counter-clockwise on the screen too
    context.strokeStyle = color.accent;
    context.beginPath();
    context.arc(0, 0, radius, -Math.PI / 2, -Math.PI / 2 + turn, turn < 0);
    context.stroke();
    context.rotate(turn);
    context.strokeStyle = context.fillStyle = color.muted;
    context.lineWidth = 4;
    context.beginPath();
    context.moveTo(-radius + 4, 0);
    context.lineTo(radius - 4, 0);
    context.moveTo(0, 0);
    context.lineTo(0, radius - 4);
    context.stroke();
    disc(context, 0, 0, 7, color.muted);
    disc(context, 0, -radius, 3.5, color.accent);
  }

  /** Speed over the drive, the limit, and the events of the drive. */
  drawHistory(world, agent, time, step, lanes, incidents, palette) {
    const drive = world.driveAt(agent, step);
    const [context, width, height] = freshCanvas(element("history"));
    this.historySpan = drive ? [drive.first * world.dt, Math.max(drive.last, drive.first + 1) * world.dt] : null;
    if (!drive) return;
    const color = uiColors();
    const [from, to] = this.historySpan;
    const at = (k) => k * world.agents + agent;
    const speeds = [];
    const limits = [];
    for (let k = drive.first; k <= drive.last; k++) {
      speeds.push(Math.abs(world.data.speed[at(k)]) * world.unit.speed);
      const lane = world.data.lane[at(k)];
      limits.push(lane >= 0 ? lanes.limit[lane] : null);
    }
    const top = 1.15 * Math.max(5, ...speeds, ...limits.filter((one) => one !== null && one < 45));
    const x = (t) => ((t - from) / (to - from)) * width;
    const y = (v) => height - 2 - (v / top) * (height - 4);
    context.fillStyle = color.sunken;
    context.beginPath();
    context.roundRect(0, 0, width, height, 6);
    context.fill();
    context.strokeStyle = color.muted;
    context.globalAlpha = 0.8;
    context.setLineDash([3, 3]);
    context.beginPath();
    limits.forEach((limit, k) => {
      const left = x((drive.first + k) * world.dt);
      const right = x((drive.first + k + 1) * world.dt);
      if (limit === null) return;
      if (k && limits[k - 1] === limit) context.lineTo(right, y(limit));
      else {
        context.moveTo(left, y(limit));
        context.lineTo(right, y(limit));
      }
    });
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
    context.beginPath();
    speeds.forEach((speed, k) => context.lineTo(x((drive.first + k) * world.dt), y(speed)));
    context.strokeStyle = color.accent;
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    context.stroke();
    context.lineTo(x(drive.last * world.dt), height);
    context.lineTo(0, height);
    context.globalAlpha = 0.12;
    context.fillStyle = color.accent;
    context.fill();
    context.globalAlpha = 1;
    for (const one of incidents) {
      if (one.agent !== agent || one.step < drive.first || one.step > drive.last) continue;
      context.fillStyle = eventColor(palette, one.name);
      context.fillRect(x(one.time) - 1, 3, 2, height - 6);
    }
    context.fillStyle = color.ink;
    context.fillRect(x(Math.min(time, to)) - 0.5, 0, 1, height);
  }
}
