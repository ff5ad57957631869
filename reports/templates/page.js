"use strict";
// Sorting of tables, and one job lit in all tables and charts. Without script the page shows everything all the same.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

function sortBy(th) {
  const table = th.closest("table");
  const column = [...th.parentNode.children].indexOf(th);
  const isNumber = th.classList.contains("number");
  // Numbers begin with the highest: that is what a reader of AP looks for.
  const first = isNumber ? "descending" : "ascending";
  const order = th.getAttribute("aria-sort") === first ? (isNumber ? "ascending" : "descending") : first;
  for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
  th.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, two) => {
    const [a, b] = [one, two].map((row) => row.cells[column].dataset.value);
    // What has no number stays below, however the others are sorted.
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (isNumber ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
  });
  table.tBodies[0].append(...rows);
}

function light(key) {
  for (const node of document.querySelectorAll("[data-key]")) node.classList.toggle("is-lit", node.dataset.key === key);
  for (const svg of document.querySelectorAll("svg")) {
    svg.classList.toggle("is-dim", key !== null && svg.querySelector("g.is-lit") !== null);
  }
}

for (const node of document.querySelectorAll("tr[data-key], li[data-key]")) {
  node.addEventListener("mouseenter", () => light(node.dataset.key));
  node.addEventListener("mouseleave", () => light(null));
}

const tip = document.getElementById("tip");
const REACH_PX = 40;

for (const svg of document.querySelectorAll("svg")) {
  const spots = [];
  for (const line of svg.querySelectorAll("g.line")) {
    const epochs = line.dataset.epochs.split(",");
    const values = line.dataset.values.split(",");
    line.querySelector("polyline").getAttribute("points").split(" ").forEach((pair, index) => {
      const [x, y] = pair.split(",").map(Number);
      spots.push({ line, x, y, epoch: epochs[index], value: values[index] });
    });
  }
  svg.addEventListener("mousemove", (event) => {
    const frame = svg.getBoundingClientRect();
    const scale = frame.width / svg.viewBox.baseVal.width;
    let near = null;
    let least = REACH_PX;
    for (const spot of spots) {
      const distance = Math.hypot(frame.left + spot.x * scale - event.clientX, frame.top + spot.y * scale - event.clientY);
      if (distance < least) [near, least] = [spot, distance];
    }
    light(near && near.line.dataset.key);
    tip.hidden = near === null;
    if (near === null) return;
    tip.textContent = `${near.line.dataset.title}, epoch ${near.epoch}: ${near.value}`;
    const left = frame.left + near.x * scale + 12;
    const overhang = Math.max(0, left + tip.offsetWidth + 8 - document.documentElement.clientWidth);
    tip.style.left = `${window.scrollX + left - overhang}px`;
    tip.style.top = `${window.scrollY + frame.top + near.y * scale - tip.offsetHeight - 10}px`;
  });
  svg.addEventListener("mouseleave", () => {
    light(null);
    tip.hidden = true;
  });
}
