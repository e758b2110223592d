// The page: reads what is in it, and starts.

import "uplot/dist/uPlot.min.css";
import "./style.css";
import { json } from "./columns.ts";
import type { About } from "./data.ts";
import { Page } from "./page.ts";

const blocks = (name: string): string => document.getElementById(`block-${name}`)?.textContent ?? "";

async function start(): Promise<void> {
  const about = (await json(blocks, "about")) as About;
  const licences = document.getElementById("licences")?.textContent ?? "";
  const page = new Page(document.getElementById("viewer")!, about, blocks, licences);
  await page.open(0);
}

void start();
