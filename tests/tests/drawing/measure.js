// SPDX-License-Identifier: Apache-2.0
// Says where the browser put every text and box of the drawing, and in which colours.
const svg = document.querySelector("svg");
const area = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
const look = (e) => ({
  area: area(e),
  class: e.getAttribute("class") || "",
  fill: getComputedStyle(e).fill,
  text: encodeURIComponent([...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("").trim()),
});
const all = (tag) => [...svg.querySelectorAll(tag)].map(look);
const dot = (e) => area(e);
const report = {
  page: area(svg),
  view: [0, 0, svg.viewBox.baseVal.width, svg.viewBox.baseVal.height],
  dark: matchMedia("(prefers-color-scheme: dark)").matches,
  texts: all("text"),
  boxes: all("rect"),
  lines: [...svg.querySelectorAll("line,circle")].map(dot),
};
const out = document.createElement("pre");
out.id = "report";
out.textContent = JSON.stringify(report);
document.body.append(out);
