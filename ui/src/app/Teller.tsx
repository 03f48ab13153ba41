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
  useEffect(() => {
    const controller = new AbortController();
    void taken(
      api.GET("/api/v1/projects", {
        params: { query: { participant: [me], limit: 500 } },
        signal: controller.signal,
      }),
    ).then(
      ({ items }) => {
        for (const row of items) if (!known.current.has(row.id)) known.current.set(row.id, row);
      },
      () => undefined, // then only what is young is told
    );
    return () => controller.abort();
  }, [me]);
  useTopic("projects", "", (message) => {
    if (message.type !== "delta") return;
    for (const row of (message.data as components["schemas"]["ProjectsData"]).rows ?? []) {
      const before = known.current.get(row.id);
      if (!mine(row, me)) continue;
      known.current.set(row.id, row);
      if (document.hidden) for (const told of happened(before, row, Date.now())) show(told);
    }
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
