// What the pages of the site need besides the theme. Nothing is asked of another machine.
"use strict";

const root = document.documentElement.dataset.content_root || "./";

// A page that was opened from a disk may not read its neighbours: search shows titles only there.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

function isDark() {
  const theme = document.body.dataset.theme;
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

function hasWebGL() {
  return Boolean(document.createElement("canvas").getContext("webgl"));
}

// Where a plot cannot be drawn, its image stays.
function draw(box) {
  const { data, layout = {} } = JSON.parse(box.querySelector("script").textContent);
  if (data.some((trace) => trace.type === "surface") && !hasWebGL()) return;
  const ink = isDark() ? "#ddd" : "#333";
  const clear = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true };
  const own = { ...layout, ...clear, font: { ...layout.font, color: ink }, width: undefined };
  const options = { responsive: true, displaylogo: false };
  Plotly.react(box.querySelector(".plot"), data, own, options).then(() => box.querySelector("img")?.remove());
}

function drawPlots() {
  const boxes = [...document.querySelectorAll(".plotly-box")];
  if (!boxes.length) return;
  for (const box of boxes) box.prepend(Object.assign(document.createElement("div"), { className: "plot" }));
  const script = document.createElement("script");
  script.src = `${root}_static/plotly.min.js`;
  script.onload = () => {
    boxes.forEach(draw);
    new MutationObserver(() => boxes.forEach(draw)).observe(document.body, { attributeFilter: ["data-theme"] });
  };
  document.head.appendChild(script);
}

// Wide tables scroll by themselves, not with the page.
function wrapTables() {
  for (const table of document.querySelectorAll("article table")) {
    if (table.parentElement.classList.contains("table-wrapper")) continue;
    const wrapper = Object.assign(document.createElement("div"), { className: "table-wrapper" });
    table.replaceWith(wrapper);
    wrapper.appendChild(table);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  drawPlots();
  wrapTables();
});
