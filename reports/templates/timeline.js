"use strict";
// The numbers of one second of the figure, in a panel beside it; and which arms the figure shows.
// Without this script, the page has the same figure, and the same numbers as tables.
(() => {
  const data = JSON.parse(document.getElementById("per-second").textContent);
  const region = document.getElementById("figure");
  const tables = [...document.querySelectorAll("#numbers-per-second table")];
  const seconds = tables.length ? tables[0].tBodies[0].rows.length : 0;
  if (!seconds) return;

  const MANY_ARMS = 6;
  const PAGE_S = 10;
  const GAP_PX = 16;
  const hidden = new Set();
  let shown = null;

  const made = (tag, className, text = "") => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  };
  const between = (low, value, high) => Math.max(low, Math.min(value, high));

  const panel = made("div", "panel");
  panel.hidden = true;
  // Screen readers have the tables: they would read all of the panel again at every second.
  panel.setAttribute("aria-hidden", "true");
  document.body.append(panel);

  const charts = [...region.querySelectorAll(".chart")];
  for (const chart of charts) {
    const cursor = made("div", "cursor");
    cursor.hidden = true;
    cursor.style.top = `${chart.dataset.top}%`;
    cursor.style.bottom = `${chart.dataset.bottom}%`;
    chart.append(cursor);
  }
  // Of the sizes of the figure, the page's style shows one.
  const visible = () => charts.find((chart) => chart.getClientRects().length);

  const swatch = (arm) => {
    const element = made("span", "swatch");
    element.style.background = arm.colour;
    return element;
  };

  // Measures as rows, since names of arms are long; the other way round where there are many arms.
  const fill = () => {
    const arms = data.arms.map((arm, index) => ({ arm, index })).filter(({ index }) => !hidden.has(index));
    const heads = arms.map(({ arm }) => {
      const head = made("th", "");
      head.append(swatch(arm), arm.name);
      return head;
    });
    const cells = (index) => [...tables[index].tBodies[0].rows[shown].cells].map((cell) => cell.textContent);
    const columns = arms.map(({ index }) => cells(index).slice(1).map((text) => made("td", "", text)));
    const names = data.shown.map((measure) => made("th", "", measure.name));
    const table = made("table", "");
    if (arms.length > MANY_ARMS) {
      table.insertRow().append(made("td", ""), ...names);
      columns.forEach((column, place) => table.insertRow().append(heads[place], ...column));
    } else {
      table.insertRow().append(made("td", ""), ...heads);
      names.forEach((name, place) => table.insertRow().append(name, ...columns.map((column) => column[place])));
    }
    panel.replaceChildren(made("p", "", `${cells(0)[0]} ${data.zero}`), table);
  };

  const show = (second, pointerY = null) => {
    const chart = visible();
    shown = between(0, second, seconds - 1);
    fill();
    const box = chart.getBoundingClientRect();
    const share = (data.first_s + shown + 0.5 - data.from_s) / (data.to_s - data.from_s);
    const percent = Number(chart.dataset.left) + share * (chart.dataset.right - chart.dataset.left);
    const cursor = chart.lastElementChild;
    cursor.style.left = `${percent}%`;
    cursor.hidden = false;
    panel.hidden = false;
    const x = box.left + (box.width * percent) / 100;
    const middle = (Math.max(0, box.top) + Math.min(innerHeight, box.bottom)) / 2;
    const left = x < innerWidth / 2 ? x + GAP_PX : x - GAP_PX - panel.offsetWidth;
    const top = (pointerY ?? middle) - panel.offsetHeight / 2;
    panel.style.left = `${between(GAP_PX / 2, left, innerWidth - panel.offsetWidth - GAP_PX / 2)}px`;
    panel.style.top = `${between(GAP_PX / 2, top, innerHeight - panel.offsetHeight - GAP_PX / 2)}px`;
  };

  const hide = () => {
    panel.hidden = true;
    for (const chart of charts) chart.lastElementChild.hidden = true;
  };

  const point = (event) => {
    const chart = visible();
    const box = chart.getBoundingClientRect();
    const percent = (100 * (event.clientX - box.left)) / box.width;
    const share = (percent - chart.dataset.left) / (chart.dataset.right - chart.dataset.left);
    show(Math.floor(data.from_s + share * (data.to_s - data.from_s)) - data.first_s, event.clientY);
  };
  region.addEventListener("pointermove", point);
  region.addEventListener("pointerdown", point);
  region.addEventListener("pointerleave", (event) => {
    // A finger that is lifted leaves, too; what it has chosen stays.
    if (event.pointerType === "mouse") hide();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!region.contains(event.target)) hide();
  });

  const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -PAGE_S, PageDown: PAGE_S, Home: -Infinity, End: Infinity };
  region.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") hide();
    if (!(event.key in steps)) return;
    event.preventDefault();
    // The first key shows the second of the trigger, or the one that was shown last.
    show(panel.hidden ? (shown ?? -data.first_s) : shown + steps[event.key]);
  });
  region.addEventListener("blur", hide);

  for (const box of document.querySelectorAll(".arms input")) {
    const index = Number(box.value);
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(index);
      else hidden.add(index);
      for (const part of region.querySelectorAll("[data-arms]")) {
        const arms = part.dataset.arms.split("-").map(Number);
        part.classList.toggle("off", arms.every((arm) => hidden.has(arm)));
      }
      hide();
    });
  }
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
  region.tabIndex = 0;
})();
