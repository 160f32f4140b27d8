"use strict";
// Sorts a table by a column, and leaves out rows. Without this script the tables are complete, in their own order.
(() => {
  // The number that a cell begins with: "−1,234 [1, 2]" is -1234. Text without one sorts behind all numbers.
  const numberOf = (text) => {
    const found = text.replaceAll(",", "").replaceAll("−", "-").match(/^[<>|≥ ]*([+-]?\d+(\.\d+)?(e[+-]?\d+)?)/);
    return found ? Number(found[1]) : null;
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
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
})();
