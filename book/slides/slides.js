"use strict";
(() => {
  const root = document.documentElement;
  const slides = [...document.querySelectorAll(".slide")];
  const $ = (id) => document.getElementById(id);
  let at = 0;

  function show(index, keep) {
    at = Math.max(0, Math.min(slides.length - 1, index));
    slides.forEach((slide, i) => {
      slide.classList.toggle("now", i === at);
      slide.inert = i !== at;
    });
    $("where").textContent = `${at + 1} / ${slides.length}`;
    $("back").disabled = at === 0;
    $("next").disabled = at === slides.length - 1;
    if (!keep) history.replaceState(null, "", `#${at + 1}`);
  }

  const scale = () =>
    root.style.setProperty("--scale", Math.min(innerWidth / 1280, innerHeight / 720));

  // A slide that is too full gets smaller type, never a cut line.
  window.fitSlides = () => {
    for (const slide of slides) {
      const body = slide.querySelector(".body");
      body.style.fontSize = "";
      for (let size = 100; size > 60 && body.scrollHeight > body.clientHeight + 1; size -= 4) body.style.fontSize = `${size}%`;
    }
  };

  function notes() {
    const on = root.classList.toggle("notes");
    $("notes").setAttribute("aria-pressed", on);
    window.fitSlides();
  }

  const theme = (dark) => (root.dataset.theme = dark ? "dark" : "light");
  const keys = {
    ArrowRight: () => show(at + 1), ArrowDown: () => show(at + 1), PageDown: () => show(at + 1), " ": () => show(at + 1),
    ArrowLeft: () => show(at - 1), ArrowUp: () => show(at - 1), PageUp: () => show(at - 1), Backspace: () => show(at - 1),
    Home: () => show(0), End: () => show(slides.length - 1),
    n: notes, p: () => print(), d: () => theme(root.dataset.theme !== "dark"),
    f: () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen()),
  };

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    if (event.key === " " && event.target.closest("button")) return;
    event.preventDefault();
    keys[event.key]();
  });
  let touched = 0;
  addEventListener("touchstart", (event) => (touched = event.touches[0].clientX), { passive: true });
  addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - touched;
    if (Math.abs(moved) > 60) show(at + (moved < 0 ? 1 : -1));
  });
  addEventListener("hashchange", () => show(parseInt(location.hash.slice(1), 10) - 1 || 0, true));
  addEventListener("resize", scale);
  $("back").onclick = () => show(at - 1);
  $("next").onclick = () => show(at + 1);
  $("notes").onclick = notes;
  $("theme").onclick = () => keys.d();

  theme(matchMedia("(prefers-color-scheme: dark)").matches);
  root.classList.add("live");
  scale();
  show(parseInt(location.hash.slice(1), 10) - 1 || 0, true);
  window.fitSlides();
})();
