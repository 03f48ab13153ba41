/** What can be done with several projects at once; each is asked by itself, and who refuses says why. */
import { Menu, Modal } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { type FormEvent, useState } from "react";
import { api, newKey, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { count, plural } from "@/design/format.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button } from "@/design/parts.tsx";
import { Confirm } from "@/shared/Confirm.tsx";
import { states } from "./order.ts";
import { type Row, rows } from "./rows.ts";

type Command = components["schemas"]["BulkBody"]["command"];
type Done = components["schemas"]["Done"];

export function BulkBar({ selected, onClear }: { selected: ReadonlySet<string>; onClear: () => void }) {
  const [asking, setAsking] = useState<"" | "stop" | "tag" | "trash">("");
  const [failed, setFailed] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const chosen = [...selected].map(rows.get).filter((row): row is Row => row !== undefined);
  if (!chosen.length) return null;

  const send = async (command: Command, word: string) => {
    setBusy(true);
    setFailed(null);
    try {
      const answer = await taken(
        api.POST("/api/v1/bulk", {
          params: { header: { "Idempotency-Key": newKey() } },
          body: { projects: chosen.map((row) => row.id), command },
        }),
      );
      report(answer.items, word);
      setAsking("");
      onClear();
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  const retag = async (tag: string) => {
    setBusy(true);
    setFailed(null);
    try {
      const done = await Promise.all(chosen.map((row) => describe(row, tag)));
      report(done, `tagged ${tag}`);
      setAsking("");
      onClear();
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  const projects = plural(chosen.length, "project");
  const words = states(chosen)
    .map(([state, n]) => `${count(n)} ${state}`)
    .join(", ");
  return (
    <>
      <div className="bulk" role="toolbar" aria-label="Selected projects">
        <b>{count(chosen.length)} selected</b>
        <span className="small m2">{words}</span>
        <span className="sep" />
        <Button
          look="ghost"
          icon="pause"
          busy={busy}
          onClick={() => void send({ kind: "pause_project", text: "" }, "will pause")}
        >
          Pause
        </Button>
        <Button
          look="ghost"
          icon="play"
          busy={busy}
          onClick={() => void send({ kind: "resume_project", single: false }, "go on")}
        >
          Resume
        </Button>
        <Button look="ghost" icon="tag" onClick={() => setAsking("tag")}>
          Tag
        </Button>
        <Button look="ghost" className="danger" icon="stop" onClick={() => setAsking("stop")}>
          Stop…
        </Button>
        <Menu position="top-end">
          <Menu.Target>
            <Button look="ghost" icon="more" aria-label="More" />
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => void send({ kind: "start_project" }, "started")}>Start</Menu.Item>
            <Menu.Item onClick={() => setAsking("trash")}>Delete…</Menu.Item>
          </Menu.Dropdown>
        </Menu>
        <span className="sep" />
        <Button look="ghost" icon="x" hotkey="Esc" aria-label="Select nothing" onClick={onClear} />
      </div>
      <Confirm
        opened={asking === "stop"}
        title={`Stop ${projects}?`}
        yes={`Stop ${projects}`}
        no="Let them run"
        busy={busy}
        error={failed}
        onConfirm={() => void send({ kind: "stop_project", kill: false }, "are stopping")}
        onClose={() => setAsking("")}
      >
        What they run ends here. Logs and workspaces are kept, and the projects pause.
      </Confirm>
      <Confirm
        opened={asking === "trash"}
        title={`Delete ${projects}?`}
        yes={`Delete ${projects}`}
        no="Keep them"
        busy={busy}
        error={failed}
        onConfirm={() => void send({ kind: "trash_project" }, "were deleted")}
        onClose={() => setAsking("")}
      >
        They stop, and move to the trash, from where they can be taken back until it is emptied.
      </Confirm>
      <Modal opened={asking === "tag"} onClose={() => setAsking("")} title={`Tag ${projects}`} centered>
        <form
          className="col gap"
          onSubmit={(event: FormEvent<HTMLFormElement>) => {
            event.preventDefault();
            void retag(String(new FormData(event.currentTarget).get("tag")).trim());
          }}
        >
          <label className="field">
            <span className="lbl">Tag</span>
            <input className="in" name="tag" required maxLength={60} data-autofocus />
          </label>
          {failed ? <ProblemNote error={failed} /> : null}
          <div className="row end">
            <Button onClick={() => setAsking("")}>Cancel</Button>
            <Button look="primary" type="submit" busy={busy}>
              Add the tag
            </Button>
          </div>
        </form>
      </Modal>
    </>
  );
}

async function describe(row: Row, tag: string): Promise<Done> {
  const tags = row.tags.includes(tag) ? row.tags : [...row.tags, tag];
  try {
    await taken(
      api.PATCH("/api/v1/projects/{project}", { params: { path: { project: row.id } }, body: { tags } }),
    );
    return { project: row.id, status: 200 } as Done;
  } catch (error) {
    return { project: row.id, status: 409, title: String((error as Error).message) } as Done;
  }
}

/** Visible is what changes in the list; a message is for what did not work. */
function report(done: Done[], word: string): void {
  const refused = done.filter((d) => d.status >= 300);
  if (!refused.length) {
    notifications.show({ title: `${plural(done.length, "project")} ${word}`, message: "" });
    return;
  }
  const reasons = [...new Set(refused.map((d) => d.title ?? ""))].slice(0, 3).join(" ");
  notifications.show({
    title: `${plural(refused.length, "project")} refused, ${count(done.length - refused.length)} ${word}`,
    message: reasons,
    color: "red",
    autoClose: false,
  });
}
