"use strict";
// Sorts a table by a column, and leaves out rows. Without this script the tables are complete, in their own order.
(() => {
  const UNITS = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, "µs": 1e3, ms: 1e6, s: 1e9 };
  // The number that a cell begins with, in the smallest unit: "≤ −1.5 KiB [1, 2]" is -1536. Text sorts behind all numbers.
  const numberOf = (text) => {
    const plain = text.replaceAll(",", "").replaceAll("−", "-");
    const found = plain.match(/^[^\p{L}\d+-]*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s?(\p{L}*)/u);
    return found ? Number(found[1]) * (UNITS[found[2]] ?? 1) : null;
  };
  const compare = (a, b, down) => {
    const [x, y] = [numberOf(a), numberOf(b)];
    if (x === null && y === null) return down ? b.localeCompare(a) : a.localeCompare(b);
    if (x === null || y === null) return x === null ? 1 : -1;
    return down ? y - x : x - y;
  };
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const text = (row) => (row.cells[column]?.textContent ?? "").trim();
        body.append(...[...body.rows].sort((a, b) => compare(text(a), text(b), down)));
      });
    });
    const filter = table.parentElement.querySelector(".filter input");
    filter?.addEventListener("input", () => {
      const wanted = filter.value.toLowerCase();
      for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  }
  // A link to something inside a closed part opens it; what is printed is open.
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((part) => { part.open = false; }));
  // Only what scrolls needs a place in the order of the keyboard. Many parts may open at once.
  let asked = 0;
  const reach = () => {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(() => {
      const parts = [...document.querySelectorAll(".drawing, .table, pre")].filter((part) => part.checkVisibility());
      const scrolls = parts.map((part) => part.scrollWidth > part.clientWidth);
      parts.forEach((part, at) => { part.tabIndex = scrolls[at] ? 0 : -1; });
    });
  };
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  reach();
})();
