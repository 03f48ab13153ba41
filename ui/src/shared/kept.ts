/** A form that was begun and left: kept in this tab until it is sent or begun anew, so that going back loses nothing. */
import { useRef, useState } from "react";
import { useSession } from "./session.ts";

/** What is there again, with what a newer form has besides; null: nothing, or nothing that can be read. */
export function kept<T extends object>(text: string | null, fresh: T): T | null {
  try {
    const found: unknown = JSON.parse(text ?? "null");
    return found && typeof found === "object" && !Array.isArray(found) ? { ...fresh, ...found } : null;
  } catch {
    return null;
  }
}

export interface Keeping<T> {
  value: T;
  put: (next: T) => void;
  /** it is as somebody left it, not as it is at first */
  found: boolean;
  anew: () => void;
  /** it was sent */
  done: () => void;
}

/** `what` names the form; `fresh` is how it begins. */
export function useKept<T extends object>(what: string, fresh: () => T): Keeping<T> {
  const user = useSession()?.user ?? "";
  const key = `winslow.form.${user}.${what}`;
  const [first] = useState(fresh);
  const [before, setBefore] = useState(() => kept(read(key), first));
  const [value, setValue] = useState<T | null>(before);
  const sent = useRef(false); // what comes late, as an upload that ends, begins no other one
  return {
    value: value ?? first,
    put: (next) => {
      if (!sent.current) write(key, JSON.stringify(next));
      setValue(next);
    },
    found: before !== null,
    anew: () => {
      write(key, null);
      setBefore(null);
      setValue(null);
    },
    done: () => {
      sent.current = true;
      write(key, null);
    },
  };
}

function read(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null; // not allowed here
  }
}

function write(key: string, text: string | null): void {
  try {
    if (text === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, text);
  } catch {
    // no room, or not allowed here: then it lives as long as the page
  }
}
