/** What can be done with a project in its present state: one primary action at most, and what cannot be done is not shown. Pure. */
import type { Command, Project } from "@/shared/project.ts";

export type Action =
  | {
      kind: "command";
      word: string;
      command: Command;
      primary?: boolean;
      pressed?: boolean;
      icon: "play" | "pause" | "stop" | "skip";
    }
  | { kind: "redo"; word: string; stage: number; icon: "redo" }
  | { kind: "stop"; word: string; icon: "stop"; kill: boolean };

const AT_WORK = ["preparing", "submitted", "running"];

export function actions(project: Project): Action[] {
  if (!project.may.includes("run") || project.trashed) return [];
  const working = project.stages.filter((s) => AT_WORK.includes(s.state));
  const stopping = working.some((s) => s.stop === "terminate" || s.stop === "kill");
  const newest = project.stages.find((s) => ["succeeded", "failed", "stopped"].includes(s.state));
  const redo = (): Action[] => {
    const about = project.failures.findLast((f) => !f.acknowledged)?.stage ?? newest?.number;
    const stage = project.stages.find((s) => s.number === about) ?? newest;
    return stage
      ? [
          {
            kind: "redo",
            word: "Redo…",
            stage: stage.number,
            icon: "redo",
          },
        ]
      : [];
  };
  const next =
    project.stages.filter((s) => s.state === "queued").at(-1)?.id ??
    project.pipeline.stages.find((s) => s.state === "later")?.definition.id;

  // the question stands on the same page with its answers, a failure with its ways on
  if (project.gates.length) return redo();
  if (stopping) return [{ kind: "stop", word: "Kill…", icon: "stop", kill: true }];
  if (working.length) {
    const running = working[0];
    const will = running
      ? project.pipeline.stages.find((s) => s.definition.id === running.id)?.pause_after
      : false;
    const pause: Action[] = running
      ? [
          {
            kind: "command",
            word: will ? `Will pause after ${running.id}` : `Pause after ${running.id}`,
            command: { kind: "pause_after", id: running.id, on: !will },
            pressed: will,
            icon: "pause",
          },
        ]
      : [];
    return [...pause, ...redo(), { kind: "stop", word: "Stop…", icon: "stop", kill: false }];
  }
  if (project.pause) {
    const resume: Action = {
      kind: "command",
      word: next ? `Resume with ${next}` : "Resume",
      command: { kind: "resume_project", single: false },
      primary: project.pause.kind !== "failure" && project.pause.kind !== "impossible",
      icon: "play",
    };
    const single: Action = {
      kind: "command",
      word: "Resume, then pause",
      command: { kind: "resume_project", single: true },
      icon: "play",
    };
    if (project.pause.kind === "failure") return [{ ...resume, word: "Go on without" }];
    // the card says what is asked for, and how to ask for less
    if (project.pause.kind === "impossible") return [{ ...resume, word: "Try again" }, ...redo()];
    return [resume, single, ...redo()];
  }
  // it goes on by itself once it is its turn: there is nothing to start
  if (project.stages.some((s) => s.state === "queued"))
    return [
      { kind: "command", word: "Pause", command: { kind: "pause_project", text: "" }, icon: "pause" },
      ...redo(),
    ];
  if (project.state === "idle" || project.state === "queued") {
    const first = project.pipeline.stages[0]?.definition.id ?? "";
    return [
      {
        kind: "command",
        word: project.stages.length ? "Go on" : `Start ${first}`,
        command: { kind: "start_project" },
        primary: true,
        icon: "play",
      },
      ...redo(),
    ];
  }
  return redo();
}
