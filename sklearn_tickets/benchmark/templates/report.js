// Tables that can be sorted and filtered. Without this script, those in the page stay readable.
"use strict";
(() => {
  const PAGE_SIZE = 50;
  const text = new Intl.Collator("en", { numeric: true });
  const number = (cell) => parseFloat(cell.replaceAll(",", ""));

  const element = (tag, properties, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };

  // The rows of a table, each with its cells as text and a function that returns its element.
  const rowsInPage = (table) =>
    [...table.tBodies[0].rows].map((row) => ({
      cells: [...row.cells].filter((cell) => cell.className !== "bar").map((c) => c.textContent),
      draw: () => row,
    }));

  const rowsOfData = (columns) =>
    columns[0].codes.map((_, i) => {
      const cells = columns.map((column) => column.texts[column.codes[i]]);
      return {
        cells,
        draw: () =>
          element("tr", {}, ...cells.map((cell, j) => {
            const properties = { className: columns[j].is_number ? "n" : "" };
            const scope = j === 0 ? { scope: "row" } : {};
            return element(j === 0 ? "th" : "td", { ...properties, ...scope }, cell);
          })),
      };
    });

  // Every word must occur in the row, or in the column that is named before a colon.
  const matcher = (query, names) => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const tests = words.map((word) => {
      const colon = word.indexOf(":");
      const column = names.indexOf(word.slice(0, Math.max(colon, 0)));
      const part = column < 0 ? word : word.slice(colon + 1);
      return (cells) =>
        (column < 0 ? cells : [cells[column]]).some((c) => c.toLowerCase().includes(part));
    });
    return (row) => tests.every((test) => test(row.cells));
  };

  const comparer = (column, isNumber, sign) => (a, b) => {
    const [left, right] = [a.cells[column], b.cells[column]];
    if (!isNumber) return sign * text.compare(left, right);
    const [x, y] = [number(left), number(right)];
    // Missing values are last in both directions.
    return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y) || 0;
  };

  const enhance = (table) => {
    const source = document.getElementById(table.dataset.source);
    const rows = source ? rowsOfData(JSON.parse(source.textContent)) : rowsInPage(table);
    const size = source ? PAGE_SIZE : Infinity;
    const heads = [...table.tHead.rows[0].cells].filter((head) => head.className !== "bar");
    const names = heads.map((head) => head.textContent.toLowerCase().replaceAll(" ", "-"));
    let sorted = rows;
    let page = 0;

    const input = element("input", { type: "search", autocomplete: "off", spellcheck: false });
    const status = element("span", {});
    status.setAttribute("role", "status");
    const step = (label, by) =>
      element("button", { type: "button", textContent: label, onclick: () => { page += by; show(); } });
    const [previous, next] = [step("Previous", -1), step("Next", 1)];

    const show = () => {
      const found = sorted.filter(matcher(input.value, names));
      const start = page * size || 0;
      const shown = found.slice(start, start + size);
      table.tBodies[0].replaceChildren(...shown.map((row) => row.draw()));
      const count = (n) => n.toLocaleString("en");
      const range = `Rows ${count(start + 1)} to ${count(start + shown.length)} of `;
      status.textContent =
        `${shown.length < found.length ? range : ""}${count(found.length)}` +
        (found.length < rows.length ? ` found, ${count(rows.length)} in all` : " rows");
      previous.disabled = page === 0;
      next.disabled = start + size >= found.length;
    };

    heads.forEach((head, column) => {
      const isNumber = head.classList.contains("n");
      const button = element("button", { type: "button" }, ...head.childNodes);
      button.onclick = () => {
        const isAscending = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", isAscending ? "descending" : "ascending");
        sorted = [...rows].sort(comparer(column, isNumber, isAscending ? -1 : 1));
        page = 0;
        show();
      };
      head.append(button);
    });

    input.oninput = () => { page = 0; show(); };
    if (rows.length > 8) {
      const label = element("label", {}, "Filter", input);
      input.title = `Words that must all occur; ${names[0]}:word looks in one column only`;
      const pager = rows.length > size ? [previous, next] : [];
      table.parentElement.before(element("div", { className: "tools" }, label, status, ...pager));
    }
    if (source) show();
  };

  document.querySelectorAll("table").forEach(enhance);

  // Paper shows what is folded up on the screen.
  const folded = [];
  addEventListener("beforeprint", () => {
    folded.push(...document.querySelectorAll("details:not([open])"));
    folded.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => {
    folded.splice(0).forEach((details) => { details.open = false; });
  });
})();
