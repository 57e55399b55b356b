// What the theme leaves out for readers who use a screen reader or the keyboard.
(function () {
  function label(selector, text) {
    document.querySelectorAll(selector).forEach(function (node) { node.setAttribute("aria-label", text); });
  }
  function mend() {
    label("button.search-button, button.search-button__button", "Search");
    label("button.theme-switch-button", "Colour mode");
    label("button.primary-toggle, button.pst-navbar-icon.primary-toggle", "Toggle the table of contents");
    label("button.secondary-toggle", "Toggle the contents of this page");
    document.querySelectorAll(".bd-sidebar-primary").forEach(function (node) {
      if (node.tagName !== "NAV") { node.setAttribute("role", "navigation"); node.setAttribute("aria-label", "Book"); }
    });
    document.querySelectorAll("details.hide > summary, details.toggle-details > summary").forEach(function (node) {
      node.removeAttribute("aria-label");
    });
    document.querySelectorAll("[role='doc-biblioentry'], .citation-list").forEach(function (node) { node.removeAttribute("role"); });
    reach();
  }
  // What scrolls sideways must be reachable by keyboard; it depends on the width of the window and on the typeset formulas.
  function reach() {
    document.querySelectorAll("pre, .cell_output figure, .cell_output .output, mjx-container[display='true'], div.math").forEach(function (node) {
      if (node.scrollWidth > node.clientWidth) { node.setAttribute("tabindex", "0"); } else { node.removeAttribute("tabindex"); }
    });
  }
  function typeset() {
    const mathjax = window.MathJax && window.MathJax.startup;
    if (mathjax && mathjax.promise) { mathjax.promise.then(reach); }
  }
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", mend); } else { mend(); }
  window.addEventListener("load", function () { mend(); typeset(); });
  window.addEventListener("resize", reach);
})();
