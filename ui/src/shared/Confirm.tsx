/** Asked before work is lost. Where nobody can take it back a word is typed, so that no second click on the same place does it. */
import { Modal } from "@mantine/core";
import type { FormEvent, ReactNode } from "react";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button } from "@/design/parts.tsx";

interface Asked {
  opened: boolean;
  title: string;
  /** typed to confirm; without one a click does it */
  word?: string;
  /** on the button that does it, and on the one that leaves all as it is */
  yes: string;
  no: string;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}

export function Confirm({ opened, title, word, yes, no, busy, error, onConfirm, onClose, children }: Asked) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} centered>
      <form
        className="col gap"
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          onConfirm();
        }}
      >
        <p>{children}</p>
        {error ? <ProblemNote error={error} /> : null}
        {word ? (
          <label className="field">
            <span className="lbl">Type {word} to confirm</span>
            <input
              className="in"
              pattern={`\\s*${word}\\s*`}
              required
              autoComplete="off"
              autoCapitalize="none"
              data-autofocus
              title={word}
            />
          </label>
        ) : null}
        <div className="row end">
          <Button onClick={onClose} hotkey="Esc">
            {no}
          </Button>
          <Button look="danger solid" type="submit" busy={busy} data-autofocus={!word || undefined}>
            {yes}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
