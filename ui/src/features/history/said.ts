/** What has happened, as one would say it. Pure. */
import type { components } from "@/api/schema";
import { duration } from "@/design/format.ts";
import { numbered } from "@/shared/project.ts";

type Entry = components["schemas"]["winslow_nomad__core__messages__Entry"];

const ANSWERS: Record<string, string> = { go: "go on", skip: "skip it", stop: "stop here" };

/** "" : nothing that another entry of the same moment does not say better. */
export function said(entry: Entry): string {
  const stage = entry.stage ? `${entry.id} ${numbered(entry.stage)}` : entry.id;
  const data = entry.data ?? {};
  const after = typeof data.seconds === "number" ? ` after ${duration(data.seconds * 1000)}` : "";
  const waited =
    typeof data.waited === "number" && data.waited >= 1 ? `, waited ${duration(data.waited * 1000)}` : "";
  const cause =
    typeof data.cause === "string" && data.cause !== "exit" ? `: ${data.cause.replaceAll("_", " ")}` : "";
  switch (entry.what) {
    case "created":
      return `made the project ${entry.text}`;
    case "state":
      return "";
    case "stage_queued":
      return `${stage} lined up`;
    case "stage_admitted":
      return `${stage} may start`;
    case "stage_started":
      return `${stage} started on ${entry.text}${waited}`;
    case "attempt_started":
      return entry.attempt > 1 ? `attempt ${entry.attempt} of ${stage} started on ${entry.text}` : "";
    case "attempt_ended":
      return data.cause === "exit" && !data.code
        ? ""
        : `attempt ${entry.attempt} of ${stage} ended${data.code ? ` with exit code ${data.code}` : cause}`;
    case "stage_ended":
      return `${stage} ${data.state ?? "ended"}${after}${entry.text ? `: ${entry.text}` : ""}`;
    case "gate_opened":
      return `asked: ${entry.text}`;
    case "gate_answered":
      return `answered for ${stage}: ${ANSWERS[entry.text] ?? entry.text}`;
    case "paused":
      return `paused${entry.text ? `: ${entry.text}` : ""}`;
    case "resumed":
      return "resumed";
    case "commented":
      return `${entry.stage ? `on ${stage}: ` : ""}“${entry.text}”`;
    case "sweep_made":
      return `sweep made: ${entry.text}`;
    case "sweep_ended":
      return `sweep ended: ${entry.text}`;
    default:
      return [entry.what.replaceAll("_", " "), stage, entry.text ? `(${entry.text}${after})` : ""]
        .filter(Boolean)
        .join(" ");
  }
}
