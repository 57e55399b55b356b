// The ε explorer: which neurons of two networks are in the maximum match at ε, from their recorded critical ε.
// The page carries its data; nothing is fetched. ε and critical ε are whole numbers of 1/10000, so that no comparison
// depends on rounding: a neuron is in the maximum match exactly when its critical ε is at most ε.
(() => {
  "use strict";
  const UNIT = 10000;
  const NEVER = Infinity; // no ε on the slider takes it in
  const DEAD = -1; // never active: in no match at any ε
  const SVG = "http://www.w3.org/2000/svg";

  // ---- data

  const decode = (text) =>
    Array.from({ length: text.length / 4 }, (_, i) => {
      const four = text.slice(4 * i, 4 * i + 4);
      return four === "dead" ? DEAD : four === "----" ? NEVER : Number(four);
    });
  const inside = (critical, epsilon) => critical !== DEAD && critical <= epsilon;
  const count = (values, epsilon) => values.reduce((n, c) => n + inside(c, epsilon), 0);
  const digits = (epsilon, places = 4) => (epsilon / UNIT).toFixed(places);
  const shown = (epsilon) => digits(epsilon, epsilon % 10 ? 4 : 3);

  // One layer of one pair of networks: critical ε of the neurons of A and of B, and the steps of the curve.
  function readLayer(network, pair, index) {
    const all = decode(pair.critical[index]);
    const cut = network.layers[index].neurons;
    const steps = [...new Set(all.filter((c) => c !== DEAD && c !== NEVER))].sort((p, q) => p - q);
    return { name: network.layers[index].name, a: all.slice(0, cut), b: all.slice(cut), all, steps };
  }

  // ---- drawing

  function draw(parent, kind, attributes = {}, text = "") {
    const element = document.createElementNS(SVG, kind);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    parent.append(element);
    return element;
  }

  function clear(svg, width, height) {
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    return svg;
  }

  // The curve s(ε) above, and below it, on the same axis, how many neurons have their critical ε where.
  function drawCurve(svg, layer, epsilon, width) {
    const left = 44, right = width - 12, top = 22, bottom = 190, middle = 262, half = 50, end = 354;
    const x = (e) => left + ((right - left) * e) / UNIT;
    const y = (s) => bottom - (bottom - top) * s;
    clear(svg, width, end);
    draw(svg, "text", { x: 2, y: 12 }, "similarity s(ε)");
    for (const s of [0, 0.25, 0.5, 0.75, 1]) {
      draw(svg, "line", { x1: left, x2: right, y1: y(s), y2: y(s), class: "guide" });
      draw(svg, "text", { x: left - 6, y: y(s) + 4, "text-anchor": "end", class: "soft" }, s.toString());
    }
    drawBars(svg, layer, epsilon, { x, middle, half });
    let path = `M ${x(0)} ${y(0)}`;
    for (const step of layer.steps) path += ` H ${x(step)} V ${y(count(layer.all, step) / layer.all.length)}`;
    draw(svg, "path", { d: `${path} H ${right}`, class: "curve" });
    const s = count(layer.all, epsilon) / layer.all.length;
    draw(svg, "line", { x1: x(epsilon), x2: x(epsilon), y1: top - 6, y2: middle + half + 4, class: "cut" });
    draw(svg, "circle", { cx: x(epsilon), cy: y(s), r: 5, class: "point" });
    for (const e of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      draw(svg, "text", { x: x(e * UNIT), y: middle + half + 18, "text-anchor": "middle", class: "soft" }, e.toString());
    }
    draw(svg, "text", { x: (left + right) / 2, y: end - 2, "text-anchor": "middle" }, "ε, and critical ε of the neurons");
  }

  // Bars of width 0.01: neurons of A upwards, of B downwards; those in the match in colour.
  function drawBars(svg, layer, epsilon, { x, middle, half }) {
    const bin = UNIT / 100;
    const tally = (values) => {
      const bins = Array.from({ length: 100 }, () => [0, 0]);
      for (const c of values) {
        if (c !== DEAD && c !== NEVER) bins[Math.max(0, Math.ceil(c / bin) - 1)][inside(c, epsilon) ? 0 : 1] += 1;
      }
      return bins;
    };
    const sides = [["a", tally(layer.a), -1], ["b", tally(layer.b), 1]];
    const most = Math.max(1, ...sides.flatMap(([, bins]) => bins.map(([p, q]) => p + q)));
    for (const [name, bins, direction] of sides) {
      bins.forEach(([matched, out], i) => {
        const parts = [[0, matched, name], [matched, matched + out, "out"]];
        for (const [from, to, kind] of parts.filter(([p, q]) => q > p)) {
          const ends = [middle + (direction * half * from) / most, middle + (direction * half * to) / most];
          const place = { x: x(i * bin) + 0.3, width: Math.max(1, x(bin) - x(0) - 0.6) };
          draw(svg, "rect", { ...place, y: Math.min(...ends), height: Math.abs(ends[1] - ends[0]), class: kind });
        }
      });
      const where = { x: 2, y: middle + direction * (half / 2) + 4 };
      draw(svg, "text", { ...where, class: name }, name === "a" ? "net A" : "net B");
    }
    draw(svg, "line", { x1: x(0), x2: x(UNIT), y1: middle, y2: middle, class: "axis" });
  }

  // One box for each neuron, in order of index: in the match, not in it, just joined, dead.
  function drawNeurons(svg, values, side, epsilon, newest, width) {
    const columns = values.length <= 16 ? 8 : values.length <= 128 ? 16 : 32;
    const size = Math.min(24, width / columns);
    clear(svg, width, size * Math.ceil(values.length / columns));
    values.forEach((c, i) => {
      const px = size * (i % columns), py = size * Math.floor(i / columns), gap = size * 0.1;
      const member = inside(c, epsilon);
      const kind = (member ? side : "out") + (member && c === newest ? " new" : "");
      const box = draw(svg, "rect", { x: px + gap, y: py + gap, width: size - 2 * gap, height: size - 2 * gap, class: kind });
      const when = c === DEAD ? "dead" : c === NEVER ? "in no match on this slider" : `critical ε ${digits(c)}`;
      draw(box, "title", {}, `neuron ${i}: ${when}`);
      if (c === DEAD) {
        const [p, q] = [px + 2 * gap, px + size - 2 * gap], [r, s] = [py + 2 * gap, py + size - 2 * gap];
        draw(svg, "path", { d: `M ${p} ${r} L ${q} ${s} M ${q} ${r} L ${p} ${s}`, class: "dead" });
      }
    });
  }

  // ---- words

  function sentence(layer, epsilon) {
    const [p, q] = [count(layer.a, epsilon), count(layer.b, epsilon)];
    const next = layer.steps.find((c) => c > epsilon);
    const joining = layer.all.filter((c) => c === next).length;
    const after = next === undefined
      ? "No further neuron joins."
      : `The next ${joining === 1 ? "neuron joins" : `${joining} neurons join`} at ε = ${digits(next)}.`;
    const similarity = ((p + q) / layer.all.length).toFixed(4);
    return [
      `At ε = ${shown(epsilon)} the maximum match of ${layer.name} holds ${p} of ${layer.a.length} neurons of network A `
        + `and ${q} of ${layer.b.length} of network B: similarity `,
      similarity,
      `. ${after}`,
    ];
  }

  function membersInWords(values, epsilon) {
    const where = (test) => values.flatMap((c, i) => (test(c) ? [i] : [])).join(", ") || "none";
    const member = (c) => inside(c, epsilon);
    return `in the match: ${where(member)}. Not in it: ${where((c) => !member(c) && c !== DEAD)}. Dead: ${where((c) => c === DEAD)}.`;
  }

  // ---- one explorer on the page

  class Explorer {
    constructor(root) {
      this.root = root;
      this.data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
      this.parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((e) => [e.dataset.part, e]));
      this.chosen = { pair: 0, ...this.data.start };
      root.dataset.ready = "yes";
      this.listen();
      this.fill(this.parts.network, this.data.networks.map((n) => n.name));
      this.chooseNetwork(this.chosen.network);
      new ResizeObserver(() => this.show()).observe(root);
    }

    get network() { return this.data.networks[this.chosen.network]; }
    get pair() { return this.network.pairs[this.chosen.pair]; }

    listen() {
      const on = (part, event, action) => this.parts[part].addEventListener(event, action);
      on("network", "change", (e) => this.chooseNetwork(e.target.selectedIndex));
      on("pair", "change", (e) => this.choose({ pair: e.target.selectedIndex }));
      on("layer", "change", (e) => this.choose({ layer: e.target.selectedIndex }));
      on("epsilon", "input", (e) => this.choose({ epsilon: Math.round(e.target.value * UNIT) }));
      on("before", "click", () => this.choose({ epsilon: this.stepBefore() }));
      on("after", "click", () => this.choose({ epsilon: this.stepAfter() }));
    }

    fill(select, names) {
      select.replaceChildren(...names.map((name) => new Option(name)));
    }

    // Another network: the same layer where it has one of that name, else one as deep.
    chooseNetwork(index) {
      const old = this.network.layers[this.chosen.layer], depth = this.chosen.layer / this.network.layers.length;
      this.chosen.network = index;
      const names = this.network.layers.map((l) => l.name);
      const same = old ? names.indexOf(old.name) : -1;
      this.fill(this.parts.layer, this.network.layers.map((l) => `${l.name} (${l.neurons} neurons)`));
      this.fill(this.parts.pair, this.network.pairs.map(pairInWords));
      this.choose({ network: index, pair: 0, layer: same >= 0 ? same : Math.floor(depth * names.length) });
    }

    choose(change) {
      Object.assign(this.chosen, change);
      const { pair, layer, network } = this.chosen;
      this.layers = this.network.layers.map((_, i) => readLayer(this.network, this.pair, i));
      Object.assign(this.parts.network, { selectedIndex: network });
      Object.assign(this.parts.pair, { selectedIndex: pair });
      Object.assign(this.parts.layer, { selectedIndex: layer });
      this.show();
    }

    get layer() { return this.layers[this.chosen.layer]; }
    stepBefore() { return this.layer.steps.findLast((c) => c < this.chosen.epsilon) ?? 0; }
    stepAfter() { return this.layer.steps.find((c) => c > this.chosen.epsilon) ?? this.chosen.epsilon; }

    show() {
      const { epsilon } = this.chosen, { layer, parts } = this;
      const newest = layer.steps.findLast((c) => c <= epsilon);
      parts.epsilon.value = epsilon / UNIT;
      parts.epsilon.setAttribute("aria-valuetext", `ε = ${shown(epsilon)}`);
      parts.reading.textContent = shown(epsilon);
      parts.before.disabled = this.stepBefore() === epsilon;
      parts.after.disabled = this.stepAfter() === epsilon;
      this.say(sentence(layer, epsilon));
      const width = Math.max(260, parts.curve.parentElement.clientWidth);
      drawCurve(parts.curve, layer, epsilon, width);
      for (const side of ["a", "b"]) this.showSide(side, epsilon, newest);
      this.showLayers(epsilon);
    }

    say([before, strong, after]) {
      const mark = document.createElement("strong");
      mark.textContent = strong;
      this.parts.status.replaceChildren(before, mark, after);
    }

    showSide(side, epsilon, newest) {
      const { parts, layer } = this, values = layer[side], n = count(values, epsilon);
      const name = side === "a" ? "A" : "B", seed = this.pair.seeds[side === "a" ? 0 : 1];
      parts[`title-${side}`].textContent = `Network ${name} (seed ${seed}): ${n} of ${values.length} in the match`;
      const svg = parts[`neurons-${side}`];
      drawNeurons(svg, values, side, epsilon, newest, Math.max(200, svg.parentElement.clientWidth));
      const words = membersInWords(values, epsilon);
      parts[`words-${side}`].textContent = `Network ${name}, ${words}`;
      svg.setAttribute("aria-label", `Neurons of network ${name}: ${n} of ${values.length} in the match; the list is below.`);
    }

    // The other layers of the pair at the same ε. Buttons are kept while only ε changes, so that the focus stays.
    showLayers(epsilon) {
      const list = this.parts.layers;
      if (list.childElementCount !== this.layers.length || list.dataset.of !== this.network.id) this.makeLayers(list);
      this.layers.forEach((layer, i) => {
        const button = list.children[i].firstElementChild;
        const share = count(layer.all, epsilon) / layer.all.length;
        button.setAttribute("aria-pressed", i === this.chosen.layer);
        button.querySelector(".bar").style.width = `${100 * share}%`;
        button.querySelector(".value").textContent = share.toFixed(2);
      });
    }

    makeLayers(list) {
      list.dataset.of = this.network.id;
      list.replaceChildren(...this.network.layers.map((layer, i) => {
        const item = document.createElement("li"), button = document.createElement("button");
        button.type = "button";
        button.innerHTML = '<span class="name"></span><span class="track"><span class="bar"></span></span><span class="value"></span>';
        button.firstElementChild.textContent = layer.name;
        button.addEventListener("click", () => this.choose({ layer: i }));
        item.append(button);
        return item;
      }));
    }
  }

  function pairInWords(pair) {
    const accuracy = pair.accuracy.map((a) => (100 * a).toFixed(1)).join(" and ");
    return `seeds ${pair.seeds.join(" and ")} (accuracy ${accuracy} %)`;
  }

  for (const root of document.querySelectorAll(".explorer:not([data-ready])")) new Explorer(root);
})();
