/** What was typed and what somebody else saved meanwhile: told, shown beside one another, and decided by the person. */
import type { ReactNode } from "react";
import { Button, Note, Tag } from "@/design/parts.tsx";
import { Clock } from "@/design/time.tsx";
import type { Typing } from "./drafts.ts";

export function Clash({ typing, children }: { typing: Typing; children: ReactNode }) {
  if (!typing.clash) return null;
  return (
    <Note
      kind="ask"
      icon="warn"
      action={
        <span className="row wrap">
          <Button small onClick={typing.overtake}>
            Go on with mine
          </Button>
          <Button small onClick={typing.drop}>
            Take theirs
          </Button>
        </span>
      }
    >
      {children} “Changes” shows both beside one another.
    </Note>
  );
}

export function DraftTag({ typing }: { typing: Typing }) {
  if (!typing.draft) return null;
  return (
    <span className="row small m2">
      <Tag kind="ask">draft</Tag> kept in this browser, <Clock at={new Date(typing.draft.at).toISOString()} />
    </span>
  );
}
