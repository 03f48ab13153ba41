/** A file of the input pool: found by typing or by walking through the folders. */
import { Popover } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { bytes } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button } from "@/design/parts.tsx";
import { send } from "./transfers.ts";

export function InputPicker({
  id,
  kind,
  accept,
  value,
  onChange,
}: {
  id: string;
  kind: "file" | "files" | "folder";
  accept: readonly string[];
  value: string;
  onChange: (path: string) => void;
}) {
  const [opened, setOpened] = useState(false);
  const told = useRef(onChange); // an upload may end long after it was begun, when the form holds other things
  told.current = onChange;
  return (
    <span className="row">
      <input
        id={id}
        className="in mono"
        value={value}
        placeholder={`a ${kind} of the inputs`}
        onChange={(event) => onChange(event.target.value)}
      />
      <Popover opened={opened} onChange={setOpened} position="bottom-end" width={420} trapFocus>
        <Popover.Target>
          <Button icon="folder" onClick={() => setOpened(!opened)} aria-label="Choose from the inputs">
            Choose
          </Button>
        </Popover.Target>
        <Popover.Dropdown>
          {opened ? (
            <Browser
              kind={kind}
              accept={accept}
              start={value.includes("/") ? value.slice(0, value.lastIndexOf("/")) : ""}
              onPick={(path) => {
                told.current(path);
                setOpened(false);
              }}
            />
          ) : null}
        </Popover.Dropdown>
      </Popover>
    </span>
  );
}

export function fits(name: string, accept: readonly string[]): boolean {
  return !accept.length || accept.some((ending) => name.toLowerCase().endsWith(ending.toLowerCase()));
}

function Browser({
  kind,
  accept,
  start,
  onPick,
}: {
  kind: string;
  accept: readonly string[];
  start: string;
  onPick: (path: string) => void;
}) {
  const [path, setPath] = useState(start);
  const { data, error } = useQuery({
    queryKey: ["files", "inputs", path],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/files/{space}/list", {
          params: { path: { space: "inputs" }, query: { path, limit: 500 } },
          signal,
        }),
      ),
  });
  const [sending, setSending] = useState(false);
  const upload = async (file: File | undefined) => {
    if (!file) return;
    setSending(true);
    const sent = await send("inputs", path, file); // what becomes of it on the way is told in the tray
    setSending(false);
    if (sent) onPick(sent);
  };
  const entries = (data?.items ?? []).filter(
    (e) => e.kind === "folder" || (kind !== "folder" && fits(e.name, accept)),
  );
  const up = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  const at = (name: string) => (path ? `${path}/${name}` : name);
  return (
    <div className="browser">
      <p className="row small">
        {path ? (
          <Button small look="ghost" icon="cu" aria-label="One folder up" onClick={() => setPath(up)} />
        ) : null}
        <b className="trunc">inputs/{path}</b>
        <span className="grow" />
        {kind === "folder" ? null : (
          <label className="btn sm">
            <Icon name="up" />
            {sending ? "On its way" : "Upload"}
            <input
              type="file"
              className="vh"
              accept={accept.join(",") || undefined}
              disabled={sending}
              onChange={(event) => void upload(event.target.files?.[0])}
            />
          </label>
        )}
        {kind === "folder" && path ? (
          <Button small look="primary" onClick={() => onPick(path)}>
            Take this folder
          </Button>
        ) : null}
      </p>
      {error ? <ProblemNote error={error} /> : null}
      <ul>
        {entries.map((entry) => (
          <li key={entry.name}>
            <button
              type="button"
              onClick={() => (entry.kind === "folder" ? setPath(at(entry.name)) : onPick(at(entry.name)))}
            >
              <Icon name={entry.kind === "folder" ? "folder" : "file"} />
              <span className="trunc grow">{entry.name}</span>
              <span className="m3 small">{entry.kind === "folder" ? "" : bytes(entry.bytes)}</span>
            </button>
          </li>
        ))}
        {data && !entries.length ? (
          <li className="m2 small">
            Nothing here that fits{accept.length ? ` (${accept.join(", ")})` : ""}.
          </li>
        ) : null}
      </ul>
    </div>
  );
}
