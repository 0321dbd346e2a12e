"use strict";
(() => {
  const form = document.querySelector(".filters");
  const fields = ["verdict", "direction", "area", "partner", "method", "strength"].map((id) => document.getElementById(id));
  const text = document.getElementById("text");
  const cases = Array.from(document.querySelectorAll("details.case"));
  const words = cases.map((one) => one.textContent.toLowerCase());
  const shown = document.getElementById("shown");

  const filter = () => {
    const wanted = text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    cases.forEach((one, at) => {
      const fits = fields.every((field) => !field.value || one.dataset[field.id] === field.value)
        && wanted.every((word) => words[at].includes(word));
      one.hidden = !fits;
      count += fits;
    });
    shown.textContent = count === 1 ? "1 case" : `${count} cases`;
  };

  // A link to a case opens it, also if the filters hide it.
  const open = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const found = id && document.getElementById(id);
    if (!found) return;
    found.hidden = false;
    for (let one = found; one; one = one.parentElement.closest("details")) one.open = true;
    found.scrollIntoView({ block: "start" });
    const summary = found.querySelector("summary");
    if (summary) summary.focus({ preventScroll: true });
  };

  // What a cell says is in the page once.
  addEventListener("mouseover", (event) => {
    const cell = event.target.closest && event.target.closest("table.heat a");
    if (cell) cell.title = cell.getAttribute("aria-label");
  });
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  addEventListener("hashchange", open);
  open();
})();
