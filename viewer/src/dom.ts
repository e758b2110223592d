// Elements in one call.

export type Child = Node | string | undefined;
type Attributes = Record<string, string | boolean | ((event: Event) => void) | undefined>;

/** An element; attributes that begin with `on` are what happens on an event. */
export function h(tag: string, attributes: Attributes = {}, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** A table; `pick` is called with the number of a row that somebody chooses. */
export function table(
  headings: string[], rows: Child[][], options: { pick?: (row: number) => void; caption?: string; marked?: (row: number) => string } = {},
): HTMLElement {
  const { pick, caption, marked } = options;
  const body = rows.map((cells, number) =>
    h(
      "tr",
      { class: marked?.(number) ?? "" },
      ...cells.map((cell, place) =>
        h("td", {}, pick && place === 0 ? h("button", { class: "pick", onclick: () => { pick(number); } }, cell) : cell),
      ),
    ),
  );
  const head = h("tr", {}, ...headings.map((heading) => h("th", { scope: "col" }, heading)));
  return h(
    "div",
    { class: "scroll" },
    h("table", {}, caption ? h("caption", {}, caption) : undefined, h("thead", {}, head), h("tbody", {}, ...body)),
  );
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag: string, attributes: Record<string, string | number>, ...children: (Node | string)[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}
