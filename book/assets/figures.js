// Plotly's sliders and its camera listen to the mouse only. In a page each gets a native range input: the arrow keys,
// Home and End move it, and a screen reader says where it stands.
(function () {
  function control(graph, id, text, options, act) {
    var row = document.createElement("label"), input = document.createElement("input");
    var words = document.createElement("span"), value = document.createElement("output");
    row.className = "figure-control";
    words.textContent = text;
    Object.assign(input, { type: "range", id: id }, options);
    row.append(words, input, value);
    graph.closest(".moving").append(row);
    input.addEventListener("input", function () { act(Number(input.value), value, input); });
    return { input: input, value: value };
  }
  function slider(graph) {
    var own = graph.layout.sliders[0], steps = own.steps;
    function say(at, value, input) {
      value.textContent = steps[at].label;
      input.setAttribute("aria-valuetext", steps[at].label + ": " + graph.layout.title.text);
    }
    function move(at, value, input) {
      var step = steps[at];
      window.Plotly.animate(graph, step.args[0], step.args[1]).then(function () { say(at, value, input); });
    }
    var options = { min: 0, max: steps.length - 1, step: 1, value: own.active || 0 };
    var made = control(graph, graph.id + "-slider", own.currentvalue.prefix.trim(), options, move);
    say(own.active || 0, made.value, made.input);
    window.Plotly.relayout(graph, { "sliders[0].visible": false });
  }
  function camera(graph) {
    var eye = graph.layout.scene.camera.eye, radius = Math.hypot(eye.x, eye.y), start = Math.atan2(eye.y, eye.x);
    function turn(degrees, value) {
      var angle = start + degrees * Math.PI / 180;
      var moved = { x: radius * Math.cos(angle), y: radius * Math.sin(angle), z: eye.z };
      window.Plotly.relayout(graph, { "scene.camera.eye": moved });
      value.textContent = degrees + "°";
    }
    control(graph, graph.id + "-turn", "turn", { min: -180, max: 180, step: 5, value: 0 }, turn).value.textContent = "0°";
  }
  function start() {
    document.querySelectorAll("figure.interactive .js-plotly-plot").forEach(function (graph) {
      if (graph.layout.sliders && graph.layout.sliders.length) { slider(graph); }
      if (graph.layout.scene && graph.layout.scene.camera) { camera(graph); }
    });
  }
  if (document.readyState === "complete") { start(); } else { window.addEventListener("load", start); }
})();
