// The run's claims, each with the packets that show it.

import { h } from "./dom.ts";
import { count } from "./format.ts";
import { say, told } from "./phrases.ts";
import type { Claim, Evidence } from "./data.ts";
import type { Viewer } from "./viewer.ts";

const SIGNS: Record<string, string> = { PASS: "✓", FAIL: "✗", INCONCLUSIVE: "?" };

export function claimsPanel(viewer: Viewer): HTMLElement {
  const { claims } = viewer.about;
  if (claims.length === 0) return h("p", { class: "quiet" }, say("no_claims"));
  return h("div", {}, ...claims.map((claim) => claimView(viewer, claim)));
}

function claimView(viewer: Viewer, claim: Claim): HTMLElement {
  const shown = claim.evidence.filter((one) => one.frames > 0);
  const first = shown.find((one) => one.scene !== null && one.rows.length > 0);
  const go = (one: Evidence) => () => { void viewer.light(one.scene!, one.rows); };
  return h(
    "details", { class: `claim ${claim.status.toLowerCase()}` },
    h(
      "summary", { onclick: first ? go(first) : undefined },
      h("span", { class: "status" }, `${SIGNS[claim.status] ?? ""} ${claim.status}`), ` ${told(claim.sentence, viewer.about.chinese)} `,
      h("span", { class: "quiet" }, claim.source),
    ),
    h("p", {}, h("b", {}, `${say("observed")}: `), claim.observed),
    h("p", {}, h("b", {}, `${say("expected")}: `), claim.expected),
    shown.length ? h("h4", {}, say("evidence")) : undefined,
    ...shown.map((one) => evidence(viewer, one, go(one))),
  );
}

function evidence(viewer: Viewer, one: Evidence, go: () => void): HTMLElement {
  const where = say("frames", count(one.frames), one.capture);
  const scenario = one.scene === null ? "" : say("of_scenario", viewer.about.scenes[one.scene].name);
  const words = [one.what, where, viewer.about.scenes.length > 1 ? scenario : ""].filter(Boolean).join(" · ");
  if (one.scene === null || one.rows.length === 0) return h("p", { class: "quiet" }, `${words}: ${say("evidence_elsewhere")}`);
  return h("p", {}, h("button", { onclick: go }, say("show_evidence")), ` ${words}`);
}

export function aboutPanel(viewer: Viewer): HTMLElement {
  const { about } = viewer;
  const clock = about.clock === "real" ? say("clock_real") : say("clock_virtual");
  const what = about.kind === "run" ? say("run", about.folder ?? "", about.seed ?? "", clock) : say("of_capture", about.title);
  return h(
    "div", {},
    h("h2", {}, told(about.title, about.chinese)),
    h("p", {}, what),
    h("h3", {}, say("left_out")),
    about.notes.length
      ? h("ul", {}, ...about.notes.map((note) => h("li", {}, note)))
      : h("p", {}, say("nothing_left_out")),
    h("h3", {}, say("keys")),
    h("p", {}, say("key_list")),
    h("details", {}, h("summary", {}, say("licences")), h("pre", { tabindex: "0" }, viewer.licences)),
  );
}
