// The figure of the front page: similarity by layer, one line for each ε, drawn as SVG from the JSON beside it. The reader
// guesses first; until then the page hides what tells the answer (class "guessing", see answer.css). Who came back, or
// follows a link to a section, is not asked. Everything is a native control, so that the keyboard and a screen reader work.
(function () {
  var SVG = "http://www.w3.org/2000/svg";
  var MARGIN = { top: 14, right: 14, bottom: 92, left: 46 }, HEIGHT = 380;

  function make(name, attributes, parent, text) {
    var node = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) { node.setAttribute(key, attributes[key]); });
    if (text !== undefined) { node.textContent = text; }
    parent.append(node);
    return node;
  }
  function scale(width, layers) {
    var inner = width - MARGIN.left - MARGIN.right, tall = HEIGHT - MARGIN.top - MARGIN.bottom;
    return {
      x: function (k) { return MARGIN.left + inner * (layers < 2 ? 0.5 : k / (layers - 1)); },
      y: function (value) { return MARGIN.top + tall * (1 - value); },
      right: width - MARGIN.right
    };
  }
  function axes(svg, at, layers, label) {
    [0, 0.25, 0.5, 0.75, 1].forEach(function (value) {
      make("line", { x1: MARGIN.left, x2: at.right, y1: at.y(value), y2: at.y(value), class: "grid" }, svg);
      make("text", { x: MARGIN.left - 6, y: at.y(value) + 4, "text-anchor": "end" }, svg, value.toFixed(2));
    });
    layers.forEach(function (name, k) {
      var x = at.x(k), y = at.y(0) + 12, place = { x: x, y: y, "text-anchor": "end", transform: "rotate(-60 " + x + " " + y + ")" };
      make("text", place, svg, name);
    });
    make("text", { x: MARGIN.left, y: HEIGHT - 4, class: "axis" }, svg, "from the input to the output \u2192");
    make("text", { x: 12, y: at.y(0.5), class: "axis", "text-anchor": "middle", transform: "rotate(-90 12 " + at.y(0.5) + ")" }, svg, label);
  }
  function line(svg, at, values, attributes) {
    var points = values.map(function (value, k) { return at.x(k).toFixed(1) + "," + at.y(value).toFixed(1); });
    make("polyline", Object.assign({ points: points.join(" "), fill: "none" }, attributes), svg);
  }
  function band(svg, at, low, high) {
    var there = high.map(function (v, k) { return at.x(k).toFixed(1) + "," + at.y(v).toFixed(1); });
    var back = low.map(function (v, k) { return at.x(k).toFixed(1) + "," + at.y(v).toFixed(1); }).reverse();
    make("polygon", { points: there.concat(back).join(" "), class: "band" }, svg);
  }
  function draw(figure, data, state) {
    var network = data.networks[state.network], svg = figure.querySelector("svg");
    var width = Math.max(300, figure.querySelector(".answer-plot").clientWidth);
    svg.replaceChildren();
    svg.setAttribute("viewBox", "0 0 " + width + " " + HEIGHT);
    svg.setAttribute("height", HEIGHT);
    var at = scale(width, network.layers.length), calibrated = state.scale === "calibrated";
    axes(svg, at, network.layers, calibrated ? "calibrated similarity" : "similarity s(\u03b5)");
    if (calibrated) {
      band(svg, at, network.calibrated.low, network.calibrated.high);
      line(svg, at, network.calibrated.untrained, { class: "untrained" });
      line(svg, at, network.calibrated.mean, { class: "chosen" });
    } else {
      data.epsilons.forEach(function (epsilon, number) {
        line(svg, at, network[state.count][Math.round(epsilon / data.step)], { class: "paper e" + number });
      });
      line(svg, at, network[state.count][state.at], { class: "chosen" });
    }
    if (state.guess !== null && !calibrated) {
      make("line", { x1: MARGIN.left, x2: at.right, y1: at.y(state.guess), y2: at.y(state.guess), class: "guess" }, svg);
      make("text", { x: at.right, y: at.y(state.guess) - 5, "text-anchor": "end", class: "guess" }, svg, "your guess");
    }
    say(figure, data, state, network);
  }
  function say(figure, data, state, network) {
    var epsilon = state.at * data.step, words;
    if (state.scale === "calibrated") {
      words = network.name + ": 1 less the median critical \u03b5, from 0 (chance) to 1 (two checkpoints of one training). Solid: two trained copies, with " +
        "a 95 % interval. Dashed: untrained copies.";
    } else {
      var values = network[state.count][state.at], middle = network.middle.map(function (k) { return values[k]; });
      var mean = middle.reduce(function (a, b) { return a + b; }, 0) / middle.length;
      words = network.name + ", \u03b5 = " + epsilon.toFixed(2) + ": similarity " + values[0].toFixed(2) + " in the first layer, " + mean.toFixed(2) +
        " in the middle on average, " + values[values.length - 1].toFixed(2) + " in the logits.";
    }
    if (state.guess !== null) { words += " You guessed " + Math.round(100 * state.guess) + " % for the middle."; }
    figure.querySelector(".answer-words").textContent = words;
    figure.querySelector(".answer-epsilon output").textContent = epsilon.toFixed(2);
    figure.querySelector(".answer-epsilon").hidden = state.scale === "calibrated";
    figure.querySelector(".answer-legend").hidden = state.scale === "calibrated";
    figure.querySelectorAll("[name=answer-count]").forEach(function (input) { input.disabled = state.scale === "calibrated"; });
  }
  function start(figure) {
    var data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    var state = { network: 0, count: "neurons", scale: "raw", at: Math.round(0.3 / data.step), guess: null };
    var ask = figure.querySelector(".answer-guess"), shown = figure.querySelector(".answer-live");
    function again() { draw(figure, data, state); }
    figure.querySelectorAll("input[type=radio]").forEach(function (input) {
      input.addEventListener("change", function () {
        state[input.name.replace("answer-", "")] = input.name === "answer-network" ? Number(input.value) : input.value;
        again();
      });
    });
    var slider = figure.querySelector(".answer-epsilon input");
    slider.addEventListener("input", function () { state.at = Number(slider.value); again(); });
    var guess = ask.querySelector("input");
    guess.addEventListener("input", function () { ask.querySelector("output").textContent = guess.value + " %"; });
    function reveal(value) {
      state.guess = value;
      ask.hidden = true;
      shown.hidden = false;
      document.documentElement.classList.remove("guessing");
      again();
    }
    function answered(value) {
      var said = figure.closest("section") && figure.closest("section").querySelector("p");
      try { localStorage.setItem("answer-seen", "yes"); } catch (refused) { /* then it is asked again next time */ }
      reveal(value);
      if (said) { said.tabIndex = -1; said.focus({ preventScroll: true }); }
    }
    ask.querySelector(".show").addEventListener("click", function () { answered(Number(guess.value) / 100); });
    ask.querySelector(".skip").addEventListener("click", function () { answered(null); });
    window.addEventListener("resize", function () { if (!shown.hidden) { again(); } });
    window.addEventListener("hashchange", function () {
      if (shown.hidden) { reveal(null); (document.getElementById(location.hash.slice(1)) || figure).scrollIntoView(); }
    });
    figure.classList.add("drawn");
    if (document.documentElement.classList.contains("guessing")) { ask.hidden = false; } else { reveal(null); }
  }
  function all() { document.querySelectorAll("figure.answer").forEach(start); }
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", all); } else { all(); }
})();
