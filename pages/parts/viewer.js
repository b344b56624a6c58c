/**
 * The radiograph viewer in the browser. `viewer.py` sends reduced films and heat maps; all that
 * the user does to them happens here, without the server. It is asked for one thing only:
 * a region in more detail, once the zoom has outrun the pixels at hand.
 *
 * @typedef {[left: number, top: number, right: number, bottom: number]} Box in pixels of the film
 * @typedef {{box: Box, width: number, height: number, grey: Uint8Array,
 *   canvas: HTMLCanvasElement, tone: string}} Picture of a region, as it came and as it is drawn
 * @typedef {{values: Float32Array, canvas: HTMLCanvasElement, palette: string,
 *   outline: Path2D, threshold: number}} Heat upsampled, and what was last made of it
 * @typedef {{name: string, description: string, width: number, height: number,
 *   heat: Heat | null, base: Picture, detail?: Picture}} Film
 * @typedef {{film: Film, explained: boolean, canvas: HTMLCanvasElement}} Pane
 * @typedef {{scale: number, left: number, top: number}} Placement of a film in its pane
 */

const DEFAULTS = {
  layout: "side", divider: 50,
  heat: true, opacity: 45, outline: 0, palette: "inferno",
  window: 256, level: 128, invert: false, flip: false,
};
// What a reader likes to see is remembered in this tab. What makes a film look otherwise than it is,
// grey levels and sides, stays from film to film, but every page begins without.
const REMEMBERED = ["layout", "divider", "heat", "opacity", "outline", "palette"];
const HEAT_SIDE = 160; // samples a side of an upsampled heat map; smooth enough for any screen
const STEP = 1.5; // of the zoom, for a key or a button
const PATIENCE = 150; // milliseconds of rest before more detail is asked for
const MARGIN = 0.15; // of what is seen, asked for beyond each edge: a small move need not wait
const NARROW = 560; // pixels of width under which two films do not fit side by side
const WIDE = 1100; // from here on four films stand in one row, none below the window

// What comes from the server -----------------------------------------------------------------

/** Takes a message apart: the length of the header, the header, one JPEG file for each film. */
function unpack(/** @type {Uint8Array} */ data) {
  const length = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)));
  let offset = 4 + length;
  for (const film of header.films) film.jpeg = data.subarray(offset, (offset += film.bytes));
  return header;
}

/** @returns {Promise<Picture>} */
async function decode(/** @type {Uint8Array} */ jpeg, /** @type {Box} */ box) {
  const image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  const { width, height } = image;
  const reader = newCanvas(width, height).getContext("2d", { willReadFrequently: true });
  reader.drawImage(image, 0, 0);
  image.close();
  const rgba = reader.getImageData(0, 0, width, height).data;
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++) grey[i] = rgba[4 * i];
  return { box, width, height, grey, canvas: newCanvas(width, height), tone: "" };
}

function newCanvas(/** @type {number} */ width, /** @type {number} */ height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

// Grey levels --------------------------------------------------------------------------------

/** What each grey level becomes by the linear window of DICOM (PS3.3, C.11.2.1.2), as RGBA. */
function toneTable({ window, level, invert }) {
  return Uint32Array.from({ length: 256 }, (_, grey) => {
    const share = clamp((grey - (level - 0.5)) / (window - 1) + 0.5, 0, 1);
    const shown = Math.round(255 * (invert ? 1 - share : share));
    return 0xff000000 | (shown * 0x010101);
  });
}

/** The picture in the grey levels of the settings, made anew only when these change. */
function toned(/** @type {Picture} */ picture, settings) {
  const tone = `${settings.window} ${settings.level} ${settings.invert}`;
  if (picture.tone !== tone) {
    const table = toneTable(settings);
    const image = new ImageData(picture.width, picture.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[picture.grey[i]];
    picture.canvas.getContext("2d").putImageData(image, 0, 0);
    picture.tone = tone;
  }
  return picture.canvas;
}

// Heat ---------------------------------------------------------------------------------------

/** @returns {Heat} */
function newHeat(/** @type {number[][]} */ rows) {
  return {
    values: upsample(rows, HEAT_SIDE),
    canvas: newCanvas(HEAT_SIDE, HEAT_SIDE), palette: "",
    outline: new Path2D(), threshold: 0,
  };
}

/** Bicubic, as OpenCV does it in `figures.overlay`, to `side` × `side` values in [0, 1]. */
function upsample(/** @type {number[][]} */ rows, /** @type {number} */ side) {
  const wide = rows.map((row) => stretch(row, side));
  const values = new Float32Array(side * side);
  for (let x = 0; x < side; x++) {
    const column = stretch(wide.map((row) => row[x]), side);
    for (let y = 0; y < side; y++) values[y * side + x] = clamp(column[y], 0, 1);
  }
  return values;
}

function stretch(/** @type {number[]} */ values, /** @type {number} */ length) {
  return Array.from({ length }, (_, i) => {
    const position = ((i + 0.5) * values.length) / length - 0.5;
    const first = Math.floor(position) - 1;
    let sum = 0;
    for (let k = first; k < first + 4; k++) {
      sum += cubic(Math.abs(position - k)) * values[clamp(k, 0, values.length - 1)];
    }
    return sum;
  });
}

/** Keys' kernel with OpenCV's slope of -0.75. */
function cubic(/** @type {number} */ distance) {
  const a = -0.75;
  if (distance <= 1) return ((a + 2) * distance - (a + 3)) * distance ** 2 + 1;
  return a * (((distance - 5) * distance + 8) * distance - 4);
}

/** The heat in its colours, as opaque as it is hot. */
function coloured(/** @type {Heat} */ heat, /** @type {string} */ name, palette) {
  if (heat.palette !== name) {
    const image = new ImageData(HEAT_SIDE, HEAT_SIDE);
    heat.values.forEach((value, i) => {
      const shade = Math.round(255 * value);
      image.data.set(palette.subarray(3 * shade, 3 * shade + 3), 4 * i);
      image.data[4 * i + 3] = shade;
    });
    heat.canvas.getContext("2d").putImageData(image, 0, 0);
    heat.palette = name;
  }
  return heat.canvas;
}

/** Where the heat reaches the threshold, as a path over a square of side 1. */
function outlined(/** @type {Heat} */ heat, /** @type {number} */ threshold) {
  if (heat.threshold !== threshold) {
    heat.outline = contour(heat.values, HEAT_SIDE, threshold);
    heat.threshold = threshold;
  }
  return heat.outline;
}

/**
 * Marching squares. Beyond the edge it is cold, so that every line closes.
 *
 * @param {Float32Array} values of a square of `side` × `side`.
 */
function contour(values, side, threshold) {
  const path = new Path2D();
  const at = (x, y) => (x < 0 || y < 0 || x >= side || y >= side ? 0 : values[y * side + x]);
  const place = (index) => clamp((index + 0.5) / side, 0, 1);
  for (let y = -1; y < side; y++) {
    for (let x = -1; x < side; x++) {
      const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
      const heats = corners.map(([column, row]) => at(column, row));
      if (Math.min(...heats) >= threshold || Math.max(...heats) < threshold) continue;
      const crossings = [];
      for (let i = 0; i < 4; i++) {
        const j = (i + 1) % 4;
        if (heats[i] >= threshold === heats[j] >= threshold) continue;
        const share = (threshold - heats[i]) / (heats[j] - heats[i]);
        crossings.push([
          place(corners[i][0] + share * (corners[j][0] - corners[i][0])),
          place(corners[i][1] + share * (corners[j][1] - corners[i][1])),
        ]);
      }
      for (let i = 0; i < crossings.length; i += 2) {
        path.moveTo(...crossings[i]);
        path.lineTo(...crossings[i + 1]);
      }
    }
  }
  return path;
}

// Geometry -----------------------------------------------------------------------------------

function clamp(/** @type {number} */ value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** The centre of the view, held so that no empty space is shown where there is film. */
function heldCentre(/** @type {number} */ centre, /** @type {number} */ visibleShare) {
  return visibleShare >= 1 ? 0.5 : clamp(centre, visibleShare / 2, 1 - visibleShare / 2);
}

/** Screen pixels for a pixel of the film, when all of it is shown. */
function fittingScale(/** @type {Pane} */ { film, canvas }) {
  return Math.min(canvas.clientWidth / film.width, canvas.clientHeight / film.height);
}

/** @returns {Placement} before flipping, in screen pixels from the pane's upper left corner. */
function placement(/** @type {Pane} */ pane, view) {
  const { film, canvas: { clientWidth: width, clientHeight: height } } = pane;
  const scale = view.zoom * fittingScale(pane);
  const x = heldCentre(view.x, width / (film.width * scale));
  const y = heldCentre(view.y, height / (film.height * scale));
  return {
    scale,
    left: width / 2 - x * film.width * scale,
    top: height / 2 - y * film.height * scale,
  };
}

/** @returns {Box} the part of the film that a pane shows, with `margin` of it beyond each edge. */
function seenBox(/** @type {Pane} */ pane, view, margin = 0) {
  const { film, canvas } = pane;
  const { scale, left, top } = placement(pane, view);
  const [width, height] = [canvas.clientWidth / scale, canvas.clientHeight / scale];
  const grown = [-left / scale - margin * width, -top / scale - margin * height];
  return [
    clamp(Math.floor(grown[0]), 0, film.width - 1),
    clamp(Math.floor(grown[1]), 0, film.height - 1),
    clamp(Math.ceil(grown[0] + (1 + 2 * margin) * width), 1, film.width),
    clamp(Math.ceil(grown[1] + (1 + 2 * margin) * height), 1, film.height),
  ];
}

function covers(/** @type {Box} */ [left, top, right, bottom], /** @type {Box} */ inner) {
  return left <= inner[0] && top <= inner[1] && right >= inner[2] && bottom >= inner[3];
}

/** Pixels of a picture for a pixel of its film: 1 is all that the film has. */
function density(/** @type {Picture} */ { box, width }) {
  return width / (box[2] - box[0]);
}

// The viewer ---------------------------------------------------------------------------------

class Viewer {
  /** @type {Film[]} */ films = [];
  /** @type {Pane[]} */ panes = [];
  /** @type {Record<string, Uint8Array>} */ palettes = {};
  settings = { ...DEFAULTS };
  view = { zoom: 1, x: 0.5, y: 0.5 }; // zoom 1 shows the whole film; x, y: its centre, in shares
  digest = "";
  asked = "";
  frame = 0;
  timer = 0;
  /** @type {Map<number, {x: number, y: number}>} */ pointers = new Map();
  gone = new AbortController();

  constructor(/** @type {ShadowRoot} */ root) {
    this.root = root;
    this.element = root.querySelector(".viewer");
    this.stage = root.querySelector(".stage");
    this.badge = root.querySelector(".badge");
    this.divider = root.querySelector(".divider");
    this.listenToControls();
    this.listenToStage();
    this.listenToDivider();
    this.resizes = new ResizeObserver(() => this.arrange());
    this.resizes.observe(this.stage);
  }

  /** Takes what the server sent; it sends again at every run, mostly what is known already. */
  async update(component) {
    this.component = component;
    const message = unpack(component.data);
    const isKnown = this.digest === message.digest;
    const isWhole = message.films.every(({ box, width, height }) =>
      covers(box, [0, 0, width, height]));
    if (!isWhole && !isKnown) return this.ask(null); // detail of films that are not at hand

    const held = isKnown ? this.films : [];
    const pictures = await Promise.all(message.films.map(({ jpeg, box }, i) => {
      const known = [held[i]?.base, held[i]?.detail];
      return known.find((it) => String(it?.box) === String(box)) ?? decode(jpeg, box);
    }));
    if (this.component !== component) return; // overtaken while it was decoded

    if (!isKnown) this.forget(message);
    this.films = message.films.map(({ name, description, width, height, heat }, i) => ({
      name, description, width, height,
      heat: heat && newHeat(heat),
      base: isWhole ? pictures[i] : held[i].base,
      detail: isWhole ? held[i]?.detail : pictures[i],
    }));
    this.side = message.side;
    this.buildPanes();
  }

  /** Asks the server for regions, or with null for the whole films. */
  ask(request) {
    this.component.setStateValue("region", request);
  }

  /** Begins anew with other films. The settings stay: they are what the user likes to see. */
  forget({ key, digest, palettes }) {
    if (!this.memory) {
      this.memory = `pneumoViewer ${key}`;
      this.settings = remembered(this.memory);
      for (const [name, colours] of Object.entries(palettes)) {
        this.palettes[name] = Uint8Array.from(colours.match(/../g), (byte) => parseInt(byte, 16));
      }
      const choices = Object.keys(palettes).map((name) => new Option(capitalised(name), name));
      this.root.querySelector("[name=palette]").replaceChildren(...choices);
    }
    this.view = { zoom: 1, x: 0.5, y: 0.5 };
    this.digest = digest;
    this.asked = "";
  }

  // Panes ------------------------------------------------------------------------------------

  /** One film is shown without and with its heat map, several with theirs. */
  buildPanes() {
    const wanted = this.films.flatMap((film) =>
      this.films.length === 1 && film.heat
        ? [{ film, explained: false }, { film, explained: true }]
        : [{ film, explained: film.heat !== null }],
    );
    const holder = this.root.querySelector(".panes");
    while (holder.children.length > wanted.length) holder.lastChild.remove();
    while (holder.children.length < wanted.length) holder.append(newPane());
    this.panes = wanted.map((pane, i) => {
      const canvas = holder.children[i].querySelector("canvas");
      const { name, description, heat } = pane.film;
      const isOriginal = this.films.length === 1 && !pane.explained;
      const title = this.films.length > 1 ? name : pane.explained ? "With heat map" : "Original";
      canvas.ariaLabel = isOriginal && heat ? `Chest radiograph ${name}, original` : description;
      holder.children[i].querySelector("span").textContent = title;
      return { ...pane, canvas };
    });
    const names = this.films.map((film) => film.name).join(", ");
    this.stage.ariaLabel = `Viewer of ${names}. The question mark lists keys and gestures.`;
    this.element.classList.toggle("paired", this.films.length === 1 && this.panes.length === 2);
    this.element.classList.toggle("unexplained", !this.films.some((film) => film.heat));
    this.arrange();
  }

  /** Those that the layout shows; none while the viewer itself is hidden. */
  get visiblePanes() {
    return this.panes.filter((pane) => pane.canvas.clientWidth);
  }

  get layout() {
    return this.isNarrow && this.settings.layout === "side" ? "swipe" : this.settings.layout;
  }

  /** Gives each pane its place, as the settings and the width of the page will have it. */
  arrange() {
    if (!this.panes.length) return; // nothing has come yet
    this.isNarrow = this.stage.clientWidth < NARROW;
    const isPaired = this.element.classList.contains("paired");
    const count = this.panes.length;
    const layout = isPaired ? this.layout : "side";
    const isWide = this.stage.clientWidth >= WIDE;
    const columns = count === 4 ? (isWide ? 4 : 2) : this.isNarrow ? 1 : count;
    this.element.dataset.layout = layout;
    this.element.classList.toggle("narrow", this.isNarrow);
    this.element.style.setProperty("--columns", String(columns));
    this.element.classList.toggle("tall", layout === "side" && count > columns);
    this.showSettings();
    this.redraw();
  }

  // Drawing ----------------------------------------------------------------------------------

  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.visiblePanes.length) return;
      this.holdView();
      this.visiblePanes.forEach((pane) => this.drawPane(pane));
      this.showState();
      this.askForDetail();
    });
  }

  drawPane(/** @type {Pane} */ pane) {
    const { film, canvas } = pane;
    const { flip, heat, opacity, outline, palette } = this.settings;
    const ratio = devicePixelRatio;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const { scale, left, top } = placement(pane, this.view);
    const context = canvas.getContext("2d");
    context.resetTransform();
    context.clearRect(0, 0, width, height);
    if (flip) context.transform(-1, 0, 0, 1, width, 0);
    context.transform(scale * ratio, 0, 0, scale * ratio, left * ratio, top * ratio);

    if (!film.detail || !covers(film.detail.box, seenBox(pane, this.view))) {
      drawPicture(context, film.base, this.settings);
    }
    if (film.detail) drawPicture(context, film.detail, this.settings);
    if (!pane.explained || !heat) return;

    const colours = coloured(film.heat, palette, this.palettes[palette]);
    context.globalAlpha = opacity / 100;
    context.drawImage(colours, 0, 0, film.width, film.height);
    context.globalAlpha = 1;
    if (outline > 0 && outline < 100) drawOutline(context, film, outline / 100, scale);
  }

  /** How much of the film's detail a pane shows, and how much of it the screen could show. */
  sharpness(/** @type {Pane} */ pane) {
    const { film } = pane;
    const isDetailed = film.detail && covers(film.detail.box, seenBox(pane, this.view));
    const shown = density(isDetailed ? film.detail : film.base);
    return { shown, wanted: Math.min(1, placement(pane, this.view).scale * devicePixelRatio) };
  }

  /** Asks the server for what is seen, once the hand rests, if it has more than is shown. */
  askForDetail() {
    clearTimeout(this.timer);
    const visible = this.visiblePanes;
    const boxes = this.films.map((film) =>
      seenBox(visible.find((pane) => pane.film === film), this.view, MARGIN));
    const gains = visible.some((pane) => {
      const { shown, wanted } = this.sharpness(pane);
      const [left, top, right, bottom] = boxes[this.films.indexOf(pane.film)];
      const offered = Math.min(1, this.side / Math.max(right - left, bottom - top));
      return shown < 0.98 * wanted && offered > 1.02 * shown;
    });
    const request = { films: this.digest, boxes };
    if (!gains || this.asked === JSON.stringify(request)) return;
    this.timer = setTimeout(() => {
      this.asked = JSON.stringify(request);
      this.ask(request);
    }, PATIENCE);
  }

  /** Writes what the picture is at the moment: the zoom, and what was done to it. */
  showState() {
    const { settings, view } = this;
    const isFull = this.visiblePanes.every((pane) => this.sharpness(pane).shown > 0.999);
    const words = [`${view.zoom.toFixed(1)}×${isFull ? ", full detail" : ""}`];
    if (settings.flip) words.push("flipped");
    if (settings.invert) words.push("inverted");
    if (settings.window !== DEFAULTS.window || settings.level !== DEFAULTS.level) {
      words.push(`window ${settings.window}, level ${settings.level}`);
    }
    const text = words.join(" · ");
    if (this.badge.value !== text) this.badge.value = text; // screen readers hear each change
    this.badge.classList.toggle("altered", words.length > 1);
    this.element.classList.toggle("zoomed", view.zoom > 1);
  }

  showSettings() {
    const { settings, root } = this;
    for (const button of root.querySelectorAll("[data-toggle]")) {
      button.ariaPressed = String(settings[button.dataset.toggle]);
    }
    for (const control of root.querySelectorAll("[name]")) {
      const value = settings[control.name];
      if (control.type === "radio") control.checked = control.value === this.layout;
      else control.value = value;
      const output = control.parentElement.querySelector("output");
      if (output) output.value = spoken(control.name, value);
    }
    root.querySelector(".ramp").style.background = ramp(this.palettes[settings.palette]);
    this.element.style.setProperty("--divider", `${settings.divider}%`);
    this.divider.ariaValueNow = String(Math.round(settings.divider));
  }

  // What the user does -----------------------------------------------------------------------

  change(/** @type {Partial<typeof DEFAULTS>} */ settings) {
    Object.assign(this.settings, settings);
    sessionStorage.setItem(this.memory, JSON.stringify(this.settings, REMEMBERED));
    this.arrange();
  }

  commands = {
    zoomIn: () => this.zoomBy(STEP),
    zoomOut: () => this.zoomBy(1 / STEP),
    reset: () => this.look({ zoom: 1, x: 0.5, y: 0.5 }),
    resetLevels: () => this.change({ window: DEFAULTS.window, level: DEFAULTS.level }),
  };

  /** Each key, and what it does. */
  keys = {
    "+": this.commands.zoomIn,
    "=": this.commands.zoomIn,
    "-": this.commands.zoomOut,
    "0": this.commands.reset,
    ArrowLeft: () => this.moveBy(60, 0),
    ArrowRight: () => this.moveBy(-60, 0),
    ArrowUp: () => this.moveBy(0, 60),
    ArrowDown: () => this.moveBy(0, -60),
    i: () => this.change({ invert: !this.settings.invert }),
    f: () => this.change({ flip: !this.settings.flip }),
    h: () => this.change({ heat: !this.settings.heat }),
    1: () => this.change({ layout: "side" }),
    2: () => this.change({ layout: "swipe" }),
    3: () => this.change({ layout: "overlay" }),
    Escape: () => this.stage.blur(),
    "?": () => this.root.getElementById("keys").togglePopover(),
  };

  look(/** @type {typeof this.view} */ view) {
    this.view = view;
    this.redraw();
  }

  /** Keeps the view within bounds: up to four screen pixels for a pixel of the film. */
  holdView() {
    const visible = this.visiblePanes;
    const highest = Math.max(8, ...visible.map((pane) => 4 / fittingScale(pane)));
    this.view.zoom = clamp(this.view.zoom, 1, highest);
    const shares = visible.map((pane) => {
      const scale = this.view.zoom * fittingScale(pane);
      return {
        x: pane.canvas.clientWidth / (pane.film.width * scale),
        y: pane.canvas.clientHeight / (pane.film.height * scale),
      };
    });
    this.view.x = heldCentre(this.view.x, Math.min(...shares.map(({ x }) => x)));
    this.view.y = heldCentre(this.view.y, Math.min(...shares.map(({ y }) => y)));
  }

  /**
   * Zooms, and keeps the place under the pointer where it is.
   *
   * @param {{pane: Pane, x: number, y: number}} [pointer] in a pane; without it, the centre.
   */
  zoomBy(/** @type {number} */ factor, pointer) {
    const before = this.view;
    this.view = { ...before, zoom: before.zoom * factor };
    this.holdView();
    if (pointer) {
      const { pane, x, y } = pointer;
      const [old, now] = [placement(pane, before), placement(pane, this.view)];
      const { clientWidth: width, clientHeight: height } = pane.canvas;
      this.view.x = ((x - old.left) / old.scale - (x - width / 2) / now.scale) / pane.film.width;
      this.view.y = ((y - old.top) / old.scale - (y - height / 2) / now.scale) / pane.film.height;
    }
    this.redraw();
  }

  /** Moves the film by so many screen pixels. */
  moveBy(/** @type {number} */ right, /** @type {number} */ down) {
    const [pane] = this.visiblePanes;
    const { film } = pane;
    const { scale } = placement(pane, this.view);
    const x = this.view.x - (this.settings.flip ? -right : right) / (film.width * scale);
    this.look({ ...this.view, x, y: this.view.y - down / (film.height * scale) });
  }

  /** Where an event is, in the pane that it is over, as if that were not flipped. */
  pointerAt(/** @type {{clientX: number, clientY: number}} */ event) {
    const shown = this.visiblePanes;
    const frames = shown.map((pane) => pane.canvas.getBoundingClientRect());
    const { clientX, clientY } = event;
    const under = frames.findIndex(({ left, right, top, bottom }) =>
      clientX >= left && clientX < right && clientY >= top && clientY < bottom);
    const index = Math.max(under, 0);
    const { left, top, width } = frames[index];
    const x = clientX - left;
    return { pane: shown[index], x: this.settings.flip ? width - x : x, y: clientY - top };
  }

  listen(/** @type {EventTarget} */ target, handlers) {
    for (const [type, handler] of Object.entries(handlers)) {
      target.addEventListener(type, handler, { signal: this.gone.signal, passive: false });
    }
  }

  listenToControls() {
    this.listen(this.element, {
      input: ({ target }) => this.change({
        [target.name]: target.type === "range" ? Number(target.value) : target.value,
      }),
      click: ({ target }) => {
        const { command, toggle } = target.closest("button")?.dataset ?? {};
        if (command) this.commands[command]();
        if (toggle) this.change({ [toggle]: !this.settings[toggle] });
      },
      keydown: (event) => {
        // An arrow key on a slider and Escape on a panel mean nothing to the page.
        const isOurs = event.target.matches("input, select") || this.root.querySelector(":popover-open");
        if (isOurs) event.stopPropagation();
      },
    });
    for (const panel of this.root.querySelectorAll("[popover]")) {
      const opener = this.root.querySelector(`[popovertarget=${panel.id}]`);
      this.listen(panel, { toggle: () => placeBelow(panel, opener) });
    }
  }

  listenToStage() {
    const { stage } = this;
    this.listen(stage, {
      keydown: (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.target === this.divider) return;
        const act = this.keys[event.key] ?? this.keys[event.key.toLowerCase()];
        if (!act) return;
        event.preventDefault();
        event.stopPropagation(); // the page has a meaning of its own for some of these keys
        act();
      },
      wheel: (event) => this.onWheel(event),
      dblclick: (event) => this.zoomBy(2, this.pointerAt(event)),
      contextmenu: (event) => event.preventDefault(),
      pointerdown: (event) => {
        stage.setPointerCapture(event.pointerId);
        this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      },
      pointermove: (event) => this.onMove(event),
      pointerup: (event) => this.pointers.delete(event.pointerId),
      pointercancel: (event) => this.pointers.delete(event.pointerId),
    });
  }

  /** The wheel belongs to the page until the film is in focus, or with Ctrl, as in maps. */
  onWheel(/** @type {WheelEvent} */ event) {
    const isMeant = event.ctrlKey || event.metaKey;
    if (!isMeant && this.root.activeElement !== this.stage) {
      this.stage.classList.add("hinting");
      clearTimeout(this.hinted);
      this.hinted = setTimeout(() => this.stage.classList.remove("hinting"), 1500);
      return;
    }
    const isOut = event.deltaY > 0 && this.view.zoom === 1;
    if (!isMeant && isOut) return; // nothing left to zoom out of: the page may scroll on
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1);
    // A pinch on a touchpad comes as a wheel with Ctrl and small steps.
    const speed = event.ctrlKey && Math.abs(pixels) < 50 ? 0.01 : 0.002;
    this.zoomBy(Math.exp(-speed * pixels), this.pointerAt(event));
  }

  /** One pointer moves the film, or with the right button its grey levels; two also zoom. */
  onMove(/** @type {PointerEvent} */ event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    const [right, down] = [now.x - last.x, now.y - last.y];
    if (event.buttons & 2) {
      const { window, level } = this.settings;
      this.change({ window: clamp(window + right, 2, 256), level: clamp(level + down, 0, 256) });
    } else if (other) {
      const distance = (point) => Math.hypot(point.x - other.x, point.y - other.y);
      const middle = { clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 };
      this.moveBy(right / 2, down / 2);
      this.zoomBy(distance(now) / Math.max(distance(last), 1), this.pointerAt(middle));
    } else {
      this.moveBy(right, down);
    }
  }

  listenToDivider() {
    const { divider, stage } = this;
    const steps = { ArrowLeft: -2, ArrowRight: 2, Home: -100, End: 100 };
    const move = (percent) => this.change({ divider: clamp(percent, 0, 100) });
    this.listen(divider, {
      pointerdown: (event) => {
        event.stopPropagation();
        divider.setPointerCapture(event.pointerId);
      },
      pointermove: (event) => {
        event.stopPropagation();
        if (!divider.hasPointerCapture(event.pointerId)) return;
        const { left, width } = stage.getBoundingClientRect();
        move((100 * (event.clientX - left)) / width);
      },
      dblclick: (event) => event.stopPropagation(),
      keydown: (event) => {
        if (!(event.key in steps)) return;
        event.preventDefault();
        move(this.settings.divider + steps[event.key]);
      },
    });
  }

  destroy() {
    this.gone.abort();
    this.resizes.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    clearTimeout(this.hinted);
  }
}

// Small parts of the page --------------------------------------------------------------------

function newPane() {
  const pane = document.createElement("div");
  const canvas = document.createElement("canvas");
  canvas.role = "img";
  pane.className = "pane";
  pane.append(canvas, document.createElement("span"));
  return pane;
}

function drawPicture(context, /** @type {Picture} */ picture, settings) {
  const [left, top, right, bottom] = picture.box;
  context.drawImage(toned(picture, settings), left, top, right - left, bottom - top);
}

/** White on black, which stands out from every grey and every colour; as broad at any zoom. */
function drawOutline(context, /** @type {Film} */ film, threshold, scale) {
  const path = new Path2D();
  const stretched = new DOMMatrix([film.width, 0, 0, film.height, 0, 0]);
  path.addPath(outlined(film.heat, threshold), stretched);
  context.lineCap = "round";
  for (const [colour, breadth] of [["#000", 4], ["#fff", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = breadth / scale;
    context.stroke(path);
  }
}

/** The colours of heat as they look over a black film. */
function ramp(/** @type {Uint8Array} */ palette) {
  const stops = Array.from({ length: 18 }, (_, i) => {
    const [red, green, blue] = palette.subarray(45 * i, 45 * i + 3);
    return `rgb(${red} ${green} ${blue} / ${i / 17})`;
  });
  return `linear-gradient(to right, ${stops}) #000`;
}

function spoken(/** @type {string} */ name, /** @type {number} */ value) {
  if (name === "outline") return value > 0 && value < 100 ? `${value} %` : "off";
  return name === "opacity" ? `${value} %` : String(Math.round(value));
}

function capitalised(/** @type {string} */ word) {
  return word[0].toUpperCase() + word.slice(1);
}

/** The settings that a viewer had in this tab, as far as they still mean something. */
function remembered(/** @type {string} */ memory) {
  const saved = JSON.parse(sessionStorage.getItem(memory) ?? "{}");
  const known = Object.entries(saved).filter(([name, it]) =>
    REMEMBERED.includes(name) && typeof it === typeof DEFAULTS[name]);
  return { ...DEFAULTS, ...Object.fromEntries(known) };
}

/** A panel opens under the button that opens it, within the window. */
function placeBelow(/** @type {HTMLElement} */ panel, /** @type {HTMLElement} */ opener) {
  const { bottom, right } = opener.getBoundingClientRect();
  panel.style.left = `${Math.max(8, right - panel.offsetWidth)}px`;
  panel.style.top = `${Math.min(bottom + 6, innerHeight - panel.offsetHeight - 8)}px`;
}

/** @type {WeakMap<ShadowRoot, Viewer>} */
const viewers = new WeakMap();

/** Streamlit calls this when the viewer appears, and again whenever its data come anew. */
export default function show(component) {
  const { parentElement } = component;
  if (!viewers.has(parentElement)) viewers.set(parentElement, new Viewer(parentElement));
  const viewer = viewers.get(parentElement);
  viewer.update(component);
  return () => {
    if (viewer.component !== component) return; // a call that a later one has overtaken
    viewer.destroy();
    viewers.delete(parentElement);
  };
}
