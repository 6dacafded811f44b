// The strip under the slider: events of everyone above, drives and events of the followed below.

const THUMB = 14; // width of the slider's thumb; its middle runs from 7 px to 7 px before the end
const NEAR_PIXELS = 6;

/** A canvas of the size of its box on the page, cleared, in CSS pixels. */
function freshCanvas(canvas) {
  const box = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return [context, box.width, box.height];
}

class Timeline {
  constructor(canvas, on) {
    this.canvas = canvas;
    canvas.addEventListener("click", (event) => {
      const { incident, time } = this.at(event);
      if (incident) on.jumped(incident);
      else on.sought(time);
    });
    canvas.addEventListener("pointermove", (event) => {
      const { incident } = this.at(event);
      canvas.title = incident
        ? `${clock(incident.time)} ${words(incident.name)}, ${this.world.label(incident.agent, incident.step)}`
        : "";
    });
  }

  /** Remembers what to show; `draw` shows it. */
  show(world, agent, incidents) {
    this.world = world;
    this.agent = agent;
    this.incidents = incidents;
  }

  x(time) {
    const width = this.canvas.getBoundingClientRect().width - THUMB;
    return THUMB / 2 + (this.world.duration ? time / this.world.duration : 0) * width;
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const isLower = this.agent !== null && event.clientY - box.top > box.height / 2;
    let incident = null;
    let best = NEAR_PIXELS;
    for (const one of this.incidents) {
      if (isLower && one.agent !== this.agent) continue;
      const distance = Math.abs(this.x(one.time) - x);
      if (distance < best) [best, incident] = [distance, one];
    }
    const share = Math.max(0, Math.min(1, (x - THUMB / 2) / (box.width - THUMB)));
    return { incident, time: share * this.world.duration };
  }

  draw(palette, time) {
    const [context, width] = freshCanvas(this.canvas);
    const tick = (incident, top, height, wide) => {
      context.fillStyle = eventColor(palette, incident.name);
      context.beginPath();
      context.roundRect(this.x(incident.time) - wide / 2, top, wide, height, wide / 2);
      context.fill();
    };
    context.fillStyle = uiColors().line;
    context.fillRect(THUMB / 2, 7, width - THUMB, 1);
    for (const incident of this.incidents) {
      const isIncident = incident.tone === "incident";
      context.globalAlpha = isIncident ? 0.95 : 0.6;
      tick(incident, isIncident ? 2 : 4, isIncident ? 11 : 7, 2.5);
    }
    context.globalAlpha = 1;
    if (this.agent !== null) {
      context.fillStyle = palette.highlight;
      context.globalAlpha = 0.22;
      for (const drive of this.world.drives[this.agent]) {
        const [from, to] = [this.x(drive.first * this.world.dt), this.x(drive.last * this.world.dt)];
        context.beginPath();
        context.roundRect(from, 20, Math.max(2, to - from - 1), 6, 3);
        context.fill();
      }
      context.globalAlpha = 1;
      for (const incident of this.incidents) {
        if (incident.agent === this.agent) tick(incident, 17, 12, 3.5);
      }
    }
    context.fillStyle = palette.highlight;
    context.globalAlpha = 0.7;
    context.fillRect(this.x(time) - 0.5, 0, 1, 30);
    context.globalAlpha = 1;
  }
}
