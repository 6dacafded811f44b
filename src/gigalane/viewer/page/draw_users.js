// Road users, and what is drawn for the one that is followed: path, way-points, halo.

const FLASH_SECONDS = 2.5; // how long the place of an event is marked
const TRAIL_SECONDS = 6;

class UserDrawing {
  constructor(payload) {
    const outline = (points) => {
      const path = new Path2D();
      points.forEach(([x, y], k) => (k ? path.lineTo(x, y) : path.moveTo(x, y)));
      path.closePath();
      return path;
    };
    this.figures = {};
    for (const [kind, parts] of Object.entries(payload.figures)) {
      this.figures[kind] = parts.map(([fill, points]) => [fill, outline(points)]);
    }
    this.dart = outline(payload.dart);
    this.braking = payload.braking;
    this.far = payload.far; // from how few pixels on a road user is a dart
    this.partColors = payload.parts;
  }

  /** Colours of a figure's parts for one driver. */
  fillsFor(palette, driver) {
    const fills = this.partColors[palette.name];
    return fills[driver % fills.length];
  }

  draw(context, camera, palette, world, state) {
    const fills = this.fillsFor(palette, state.driver);
    const parts = this.figures[world.kinds[state.kind]] || this.figures.other;
    const isSmall = state.length < this.far.small;
    const least = (isSmall ? this.far.smallest : this.far.dart) / camera.scale;
    context.save();
    context.translate(state.x, state.y);
    context.rotate(state.heading);
    if (state.length < least) {
      const length = isSmall ? Math.max(state.length, this.far.smallDart / camera.scale) : least;
      context.scale(length, length * 0.72);
      context.lineWidth = 0.16;
      context.strokeStyle = palette.map_colors.land;
      context.stroke(this.dart);
      context.fillStyle = fills.body;
      context.fill(this.dart);
    } else {
      context.save();
      context.scale(state.length + this.far.rim, state.width + this.far.rim);
      context.globalAlpha = 0.35;
      context.fillStyle = "#000";
      const [[, first]] = parts;
      context.fill(first);
      context.restore();
      context.scale(state.length, state.width);
      const isBraking = state.along < this.braking;
      for (const [fill, path] of parts) {
        context.fillStyle = fill === "brake" && isBraking ? palette.brake : fills[fill];
        context.fill(path);
      }
      if (isBraking) this.glow(context, palette, parts);
    }
    context.restore();
  }

  glow(context, palette, parts) {
    context.globalAlpha = 0.35;
    context.strokeStyle = palette.brake;
    context.lineWidth = 0.06;
    for (const [fill, path] of parts) if (fill === "brake") context.stroke(path);
    context.globalAlpha = 1;
  }

  halo(context, camera, palette, state) {
    const pixel = 1 / camera.scale;
    const [length, width] = [Math.max(state.length, 9 * pixel), Math.max(state.width, 9 * pixel)];
    const gap = Math.max(0.5, 5 * pixel);
    context.save();
    context.translate(state.x, state.y);
    context.rotate(state.heading);
    context.beginPath();
    context.roundRect(-length / 2 - gap, -width / 2 - gap, length + 2 * gap, width + 2 * gap, gap * 1.3);
    context.globalAlpha = 0.14;
    context.fillStyle = palette.highlight;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 2 * pixel;
    context.strokeStyle = palette.highlight;
    context.stroke();
    context.restore();
  }

  /** Where the followed road user has been and will be in this drive. */
  path(context, camera, palette, world, agent, time) {
    const step = world.stepAt(time);
    const drive = world.driveAt(agent, step);
    if (!drive) return;
    const pixel = 1 / camera.scale;
    const at = (k) => {
      const here = (k * world.agents + agent) * 3;
      return [world.data.position[here] * world.unit.position, world.data.position[here + 1] * world.unit.position];
    };
    const now = world.state(agent, time);
    context.strokeStyle = palette.highlight;
    context.lineCap = "round";
    context.lineWidth = Math.max(0.18, 1.5 * pixel);
    context.globalAlpha = 0.5;
    context.setLineDash([0.01, Math.max(1.1, 6 * pixel)]);
    context.beginPath();
    context.moveTo(now.x, now.y);
    for (let k = step + 1; k <= drive.last; k++) context.lineTo(...at(k));
    context.stroke();
    context.setLineDash([]);
    context.lineCap = "butt";
    context.lineWidth = Math.max(0.35, 2.5 * pixel);
    const oldest = Math.max(drive.first, step - Math.round(TRAIL_SECONDS / world.dt));
    for (let k = oldest; k <= step; k++) {
      context.globalAlpha = 0.5 * (1 - (step - k) / (step - oldest + 1));
      context.beginPath();
      context.moveTo(...at(k));
      context.lineTo(...(k < step ? at(k + 1) : [now.x, now.y]));
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  waypoints(context, camera, palette, world, state) {
    const points = world.waypoints(state.step, state.agent);
    if (!points.length) return;
    const pixel = 1 / camera.scale;
    context.strokeStyle = context.fillStyle = palette.highlight;
    context.lineWidth = 1.2 * pixel;
    context.globalAlpha = 0.45;
    context.setLineDash([4 * pixel, 4 * pixel]);
    context.beginPath();
    context.moveTo(state.x, state.y);
    points.forEach(([x, y]) => context.lineTo(x, y));
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
    points.forEach(([x, y], k) => {
      const isGoal = k === points.length - 1;
      const radius = Math.max(isGoal ? 1.6 : 0.9, (isGoal ? 7 : 4) * pixel);
      disc(context, x, y, radius, palette.map_colors.land);
      context.lineWidth = 2 * pixel;
      context.stroke();
      if (k === 0) disc(context, x, y, radius * 0.55, palette.highlight);
      if (isGoal) disc(context, x, y, radius * 0.35, palette.highlight);
    });
  }

  /** A ring that opens where an event began a moment ago. */
  flashes(context, camera, palette, world, time, isShown) {
    const pixel = 1 / camera.scale;
    for (const incident of world.incidents) {
      const age = (time - incident.time) / FLASH_SECONDS;
      if (age < 0 || age > 1 || !isShown(incident)) continue;
      const color = eventColor(palette, incident.name);
      context.globalAlpha = (1 - age) * 0.9;
      context.strokeStyle = color;
      context.lineWidth = (3 - 2 * age) * pixel;
      context.beginPath();
      const radius = Math.max(2.5, 11 * pixel) * (0.6 + 1.1 * Math.sqrt(age));
      context.arc(incident.x, incident.y, radius, 0, 7);
      context.stroke();
      context.globalAlpha *= 0.22;
      context.fillStyle = color;
      context.fill();
    }
    context.globalAlpha = 1;
  }
}

function disc(context, x, y, radius, color) {
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.save();
  context.fillStyle = color;
  context.fill();
  context.restore();
}

function eventColor(palette, name) {
  return palette.event_colors[name] || palette.event_colors[""];
}
