// The page: sends messages to the engine and draws its replies; engine.py has the protocol.
const $ = (id) => document.getElementById(id);
const LOW = [245, 147, 34], MIDDLE = [236, 236, 236], HIGH = [22, 119, 190];
const small = new OffscreenCanvas(1, 1);
let socket, about, state, settings; // about: the reply to start; state: the latest reply
let playing = false, starting = false, until = 0, drawing = 0, chosen = null, curve = [];

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const ask = (message) => socket.send(JSON.stringify(message));
const look = () => ask({ do: "train", steps: 0 });

// Train longer where the page needs long to draw, and where the address says how far.
function train() {
  const seconds = Math.min(0.15, Math.max(until ? 0.1 : 0.02, drawing / 1000));
  ask({ do: "train", seconds, steps: until ? until - state.step : 1e6 });
}

function start() {
  $("error").textContent = "";
  starting = true; // what still comes is of the run before
  ask({ do: "start", link: location.hash.slice(1) });
}

function setPlaying(wanted) {
  playing = wanted;
  $("play").textContent = playing ? "Pause" : "Play";
  document.body.dataset.state = playing ? "playing" : "paused";
  if (playing) delete document.body.dataset.settled;
}

// Go to other settings: the address changes, and the run begins anew.
function change(changes) {
  const { steps, edits, ...rest } = { ...settings, ...changes };
  const link = Object.entries(rest).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  go(link.join("&"));
}

function go(link) {
  history.pushState(null, "", `#${link}`);
  start();
}

function receive({ data }) {
  const reply = JSON.parse(data);
  if (reply.zip) return save(`data:application/zip;base64,${reply.zip}`, "xpnet-playground.zip");
  if (starting && !reply.settings && !reply.error) return;
  starting = false;
  if (reply.error || reply.ended) $("error").textContent = reply.error || reply.ended;
  if (reply.error) {
    setPlaying(false);
    return about || ask({ do: "start", link: "" });
  }
  state = { ...reply, findings: reply.findings ?? state?.findings };
  if (reply.settings) begin(reply);
  const last = state.ended || (until && state.step >= until);
  if (playing && !last) train(); // while this page draws
  curve.push([state.step, state.loss, state.held_out]);
  if (curve.length > 2000) curve = curve.filter((_, i) => i % 2 === 0);
  const began = performance.now();
  draw();
  drawing = performance.now() - began;
  if (reply.findings) showFindings(reply.findings);
  if (!playing || (reply.findings && !until)) history.replaceState(null, "", `#${state.link}`);
  if (!playing) document.body.dataset.settled = state.step;
  else if (last) {
    setPlaying(false);
    until = 0;
    look();
  }
}

function begin(reply) {
  about = reply;
  settings = reply.settings;
  [curve, until, chosen] = [[], settings.steps, null];
  delete document.body.dataset.settled;
  setPlaying(playing || until > 0);
  fillForm();
  buildNetwork();
  $("axes").textContent = about.axes
    .map(([name, low, high], i) => `${i ? "up" : "across"}: ${name}, ${low.toPrecision(3)} to ${high.toPrecision(3)}`)
    .join("; ");
}

function fillForm() {
  const presets = Object.entries(about.presets).map(([name, link]) => new Option(name, link));
  if ($("preset").options.length < 2) $("preset").replaceChildren(new Option("choose", ""), ...presets);
  $("preset").value = about.presets[about.preset] ?? "";
  const focused = document.activeElement?.id;
  $("settings").replaceChildren(...about.form.filter(isSet).map(control));
  const wrong = settings.mistakes.split(",").filter(Boolean);
  $("mistakes").replaceChildren(...Object.entries(about.mistakes).map(([name, text]) => {
    const box = element("input", { type: "checkbox", checked: wrong.includes(name), id: `mistake-${name}` });
    box.onchange = () => change({ mistakes: (box.checked ? [...wrong, name] : wrong.filter((w) => w !== name)).join() });
    return element("label", {}, box, ` ${text}`);
  }));
  if (focused) $(focused)?.focus(); // where the keyboard was
}

const isSet = ({ name, label }) => label && (settings.data === "your table" || !["horizontal", "vertical"].includes(name));

function control({ name, label, choices, low, high, step }) {
  const made = choices
    ? element("select", {}, ...choices.map((each) => new Option(each.replaceAll("_", " "), each)))
    : element("input", { type: "number", min: low, max: high, step });
  Object.assign(made, { id: `set-${name}`, value: settings[name] });
  made.onchange = () => change({ [name]: made.value });
  return element("label", {}, label, made);
}

// The network: a column of buttons for each layer, and an SVG path for each weight.
function buildNetwork() {
  const layers = settings.layers.split(",").filter(Boolean).map((each) => each.split(" "));
  const setLayers = (changed) => change({ layers: changed.map((each) => each.join(" ")).join() });
  $("deeper").onclick = () => setLayers([...layers, ["4", "tanh"]]);
  $("shallower").onclick = () => setLayers(layers.slice(0, -1));
  const columns = [["2", about.axes.map(([name]) => name).join(", ")], ...layers, ["1", "output"]];
  const built = columns.map(([units, activation], layer) => {
    const column = element("div", { className: "layer" });
    if (layer && layer < columns.length - 1) {
      const resize = (by) => setLayers(layers.map(([n, f], i) => [i === layer - 1 ? Number(n) + by : n, f]));
      const fewer = element("button", { textContent: "−", disabled: units === "1", onclick: () => resize(-1) });
      const more = element("button", { textContent: "+", onclick: () => resize(1) });
      fewer.ariaLabel = `Fewer units in layer ${layer}`;
      more.ariaLabel = `More units in layer ${layer}`;
      const select = element("select", {}, ...about.activations.map((each) => new Option(each)));
      select.value = activation;
      select.ariaLabel = `Activation of layer ${layer}`;
      select.onchange = () => setLayers(layers.map(([n, f], i) => [n, i === layer - 1 ? select.value : f]));
      column.append(element("span", {}, fewer, more), select);
    } else column.append(element("small", { textContent: activation }));
    for (let unit = 0; unit < Number(units); unit++) {
      const button = element("button", { className: "unit", id: `unit-${layer}-${unit}` },
        element("canvas", { width: 40, height: 40 }));
      button.ariaLabel = layer ? `Unit ${unit + 1} of ${layer < columns.length - 1 ? `layer ${layer}` : "the output"}` : `Input ${about.axes[unit][0]}`;
      button.onclick = () => choose(layer, unit);
      column.append(button);
    }
    return column;
  });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.ariaHidden = true;
  $("network").replaceChildren(svg, ...built);
  svg.style.width = `${$("network").scrollWidth}px`;
  drawEdges(svg);
  showUnit();
}

function drawEdges(svg) {
  const centre = (layer, unit, side) => {
    const box = $(`unit-${layer}-${unit}`), column = box.parentElement;
    return [column.offsetLeft + box.offsetLeft + side * box.offsetWidth, column.offsetTop + box.offsetTop + box.offsetHeight / 2];
  };
  state.weights.forEach((rows, layer) => rows.forEach((row, from) => row.forEach((_, to) => {
    const [x, y] = centre(layer, from, 1), [end, down] = centre(layer + 1, to, 0), half = (x + end) / 2;
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", `M${x} ${y} C${half} ${y} ${half} ${down} ${end} ${down}`);
    path.onclick = () => { choose(layer + 1, to); $(`weight-${from}`).focus(); };
    svg.append(path);
  })));
}

function choose(layer, unit) {
  chosen = layer ? [layer - 1, unit] : null;
  for (const each of document.querySelectorAll(".unit")) each.ariaPressed = each.id === `unit-${layer}-${unit}`;
  showUnit();
}

function showUnit() {
  $("unit").hidden = !chosen;
  if (!chosen) return;
  const [layer, column] = chosen;
  const inputs = [-1, ...state.weights[layer].keys()].map((row) => {
    const input = element("input", { type: "number", step: "any", id: `weight-${row}` });
    input.onchange = () => ask({ do: "edit", layer, row, column, value: Number(input.value) });
    return element("label", {}, row < 0 ? "bias " : `weight from ${row + 1} `, input);
  });
  $("unit").replaceChildren(element("h3", { textContent: `Unit ${column + 1} of layer ${layer + 1}` }), ...inputs);
  fillWeights();
}

function fillWeights() {
  if (!chosen) return;
  const [layer, column] = chosen;
  [state.biases[layer][column], ...state.weights[layer].map((row) => row[column])].forEach((value, i) => {
    const input = $(`weight-${i - 1}`);
    if (input !== document.activeElement) input.value = value;
  });
}

const COLOURS = Uint32Array.from({ length: 256 }, (_, value) => {
  const [from, to, share] = value < 128 ? [LOW, MIDDLE, value / 128] : [MIDDLE, HIGH, (value - 128) / 127];
  const [red, green, blue] = from.map((each, k) => Math.round(each + share * (to[k] - each)));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
});

function shade(context, bytes, width, height) {
  const side = Math.sqrt(bytes.length), image = new ImageData(side, side);
  new Uint32Array(image.data.buffer).set(Uint32Array.from(bytes, (value) => COLOURS[value]));
  small.width = small.height = side;
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, width, height);
}

function draw() {
  const maps = Uint8Array.from(atob(state.maps), (each) => each.charCodeAt(0));
  const units = document.querySelectorAll(".unit canvas"), size = maps.length / units.length;
  units.forEach((canvas, i) => shade(canvas.getContext("2d"), maps.subarray(i * size, (i + 1) * size), 40, 40));
  const marks = (state.findings ?? []).map((each) => each.marks);
  const layers = new Set(marks.flatMap((each) => each.layers));
  const stuck = new Set(marks.flatMap((each) => each.units.map((unit) => `unit-${unit.join("-")}`)));
  for (const each of document.querySelectorAll(".unit")) each.classList.toggle("marked", stuck.has(each.id));
  const paths = document.querySelectorAll("#network path");
  state.weights.flatMap((rows, layer) => rows.flat().map((value) => [layer, value])).forEach(([layer, value], i) => {
    const width = Math.min(10, 0.3 + 2 * Math.abs(value)).toFixed(1);
    const name = `${value < 0 ? "low" : ""} ${layers.has(layer) ? "marked" : ""}`;
    if (paths[i].drawn === width + name) return; // of thousands, most are as they were
    paths[i].drawn = width + name;
    paths[i].setAttribute("stroke-width", width);
    paths[i].setAttribute("class", name);
  });
  fillWeights();
  drawMap(maps.subarray(-size));
  drawCurve();
  $("count").textContent = state.step.toLocaleString("en");
  $("loss").textContent = state.loss?.toPrecision(4) ?? "not finite";
  $("held_out").textContent = state.held_out?.toPrecision(4) ?? "–";
}

function drawMap(bytes) {
  const canvas = $("map"), context = canvas.getContext("2d");
  shade(context, bytes, canvas.width, canvas.height);
  for (const [across, up, colour, held] of about.points) {
    context.beginPath();
    context.arc(across * canvas.width, (1 - up) * canvas.height, held ? 2.5 : 3.5, 0, 7);
    context.fillStyle = `rgb(${LOW.map((low, k) => low + colour * (HIGH[k] - low))})`;
    context.strokeStyle = held ? "black" : "white";
    context.fill();
    context.stroke();
  }
}

function drawCurve() {
  const canvas = $("curve"), context = canvas.getContext("2d"), { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.strokeStyle = getComputedStyle(document.body).color;
  const values = curve.flatMap((each) => each.slice(1)).filter((each) => each !== null);
  const top = Math.max(...values, 1e-9), last = Math.max(1, state.step);
  for (const column of [1, 2]) {
    context.setLineDash(column === 1 ? [] : [4, 3]);
    context.beginPath();
    for (const each of curve) if (each[column] !== null) context.lineTo((each[0] / last) * width, height - 2 - (each[column] / top) * (height - 6));
    context.stroke();
  }
  context.fillStyle = context.strokeStyle;
  context.fillText(top.toPrecision(3), 3, 10);
  context.fillText("0", 3, height - 4);
}

// While it trains, evidence alone is not said again, so that a screen reader is not flooded.
function showFindings(findings) {
  const key = !state.step + JSON.stringify(findings.map((each) => [each.code, each.where, each.change, playing || each.evidence]));
  if ($("findings").dataset.key === key) return;
  $("findings").dataset.key = key;
  const items = findings.map((each) => {
    const item = element("li", { className: each.severity },
      element("p", {}, element("strong", { textContent: `${each.severity}: ${each.code} in ${each.where}` })),
      element("p", { textContent: `${each.evidence}. ${each.explanation}` }),
      element("p", {}, element("code", { textContent: each.remedy })));
    item.dataset.code = each.code;
    const words = Object.entries(each.change).map(inWords);
    if (words.length) item.append(element("button", { textContent: `Apply: ${words.join(", ")}`, onclick: () => change(each.change) }));
    return item;
  });
  const fine = state.step ? "Nothing wrong was measured so far." : "Press Play; the doctor watches every step.";
  $("findings").replaceChildren(...(items.length ? items : [element("li", { textContent: fine })]));
}

function inWords([name, value]) {
  if (name === "mistakes") return "without this mistake";
  if (name === "layers") return `${value.split(" ").pop()} in all layers`;
  return `${about.form.find((each) => each.name === name).label.toLowerCase()} ${value}`;
}

const save = (address, name) => element("a", { href: address, download: name }).click();

$("play").onclick = () => {
  setPlaying(!playing);
  until = 0;
  playing ? train() : look();
};
$("step").onclick = () => ask({ do: "train", steps: 1 });
$("reset").onclick = () => { setPlaying(false); change({}); };
$("export").onclick = () => ask({ do: "export" });
$("picture").onclick = () => save($("map").toDataURL("image/png"), "xpnet-playground.png");
$("preset").onchange = () => { setPlaying(false); go($("preset").value); };
addEventListener("hashchange", start);
addEventListener("resize", () => { if (state) { buildNetwork(); draw(); } });
socket = new WebSocket(`ws://${location.host}${location.pathname}socket`);
socket.onopen = start;
socket.onmessage = receive;
socket.onclose = () => { setPlaying(false); $("error").textContent = "The server has ended; start xpnet playground again."; };
