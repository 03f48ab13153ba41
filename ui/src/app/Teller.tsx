/** Tells by the browser's own notes what happens in my projects while nobody looks at the tab. Draws nothing. */
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { happened, mine, type Told } from "@/shared/browser-notes.ts";
import { live, useTopic } from "@/shared/live.ts";
import { useSession } from "@/shared/session.ts";

type Row = components["schemas"]["Row"];

export function Teller() {
  const navigate = useNavigate();
  const me = useSession()?.user ?? "";
  const known = useRef(new Map<string, Row>());
  useEffect(() => {
    live.keep = true; // in the background as well
    return () => {
      live.keep = false;
    };
  }, []);
  const take = (row: Row) => {
    const before = known.current.get(row.id);
    if (!mine(row, me) || (before && row.version <= before.version)) return;
    known.current.set(row.id, row);
    if (document.hidden) for (const told of happened(before, row, Date.now())) show(told);
  };
  const catchUp = () =>
    void taken(api.GET("/api/v1/projects", { params: { query: { participant: [me], limit: 500 } } })).then(
      ({ items }) => items.forEach(take),
      () => undefined, // the connection is away then, and tells of a gap when it is back
    );
  // biome-ignore lint/correctness/useExhaustiveDependencies: what each project is now, to know later what changed
  useEffect(catchUp, [me]);
  useTopic("projects", "", (message) => {
    if (message.type === "delta") (message.data as components["schemas"]["ProjectsData"]).rows?.forEach(take);
    else if (message.type === "gap" || message.type === "snapshot") catchUp();
  });
  const show = ({ tag, title, body, to }: Told) => {
    const note = new Notification(title, { body, tag, icon: "/favicon.svg" });
    note.onclick = () => {
      window.focus();
      note.close();
      void navigate({ href: to });
    };
  };
  return null;
}
