/** What was typed and not saved yet, kept in this browser for this person until it is saved or thrown away: a reload, an
 *  ended session and a conflict lose nothing. */
import { useCallback, useEffect, useRef, useState } from "react";
import { useSession } from "./session.ts";

/** What the server has: `mark` is its version, whatever counts it. */
export interface Kept {
  text: string;
  mark: number;
}

export interface Draft {
  text: string;
  /** what it was begun from */
  base: Kept;
  /** milliseconds since 1970 */
  at: number;
}

/** What typing makes of a draft; null: there is nothing to keep. */
export function typed(draft: Draft | null, server: Kept, text: string, now: number): Draft | null {
  const base = draft?.base ?? server;
  return text === base.text && base.text === server.text ? null : { text, base, at: now };
}

/** What remains of a draft in view of what the server has now. */
export function settled(draft: Draft | null, server: Kept): Draft | null {
  if (!draft || draft.text === server.text) return null;
  if (draft.base.text !== server.text || draft.base.mark === server.mark) return draft;
  return { ...draft, base: server }; // counted on, yet nothing that was typed over has changed
}

/** What remains of a draft once the server has taken `text`: what was typed since, on top of it. */
export function saved(draft: Draft | null, text: string): Draft | null {
  return !draft || draft.text === text ? null : { ...draft, base: { text, mark: draft.base.mark } };
}

/** Somebody else has changed what the draft was begun from. */
export function clashes(draft: Draft | null, server: Kept): boolean {
  return draft !== null && draft.base.text !== server.text;
}

function read(key: string): Draft | null {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "null");
    return typeof found?.text === "string" && typeof found?.base?.text === "string" ? found : null;
  } catch {
    return null;
  }
}

function write(key: string, draft: Draft | null): void {
  try {
    if (draft) localStorage.setItem(key, JSON.stringify(draft));
    else localStorage.removeItem(key);
  } catch {
    // no room, or not allowed here: then it lives as long as the page
  }
}

export interface Typing {
  text: string;
  draft: Draft | null;
  clash: boolean;
  type: (text: string) => void;
  /** the server has taken this text */
  saved: (text: string) => void;
  /** what the server has replaces what was typed */
  drop: () => void;
  /** what was typed goes on, on top of what the server has now */
  overtake: () => void;
}

/** `what`: names the text, such as a pipeline of a project. */
export function useDraft(what: string, server: Kept): Typing {
  const user = useSession()?.user ?? "";
  const key = `winslow.draft.${user}.${what}`;
  const [held, setHeld] = useState(() => ({ key, draft: settled(read(key), server) }));
  // another text under the same component has a draft of its own
  const { draft } = held.key === key ? held : { draft: settled(read(key), server) };
  if (held.key !== key) setHeld({ key, draft });
  const present = settled(draft, server);
  const latest = useRef(present); // for what ends while one types on
  latest.current = present;
  const keep = useCallback(
    (next: Draft | null) => {
      write(key, next);
      latest.current = next;
      setHeld({ key, draft: next });
    },
    [key],
  );
  // the next to write here must not meet a draft that is over
  useEffect(() => {
    if (!present) write(key, null);
  }, [present, key]);
  return {
    text: present?.text ?? server.text,
    draft: present,
    clash: clashes(present, server),
    type: (text) => keep(typed(present, server, text, Date.now())),
    saved: (text) => keep(saved(latest.current, text)),
    drop: () => keep(null),
    overtake: () => present && keep({ ...present, base: server }),
  };
}
