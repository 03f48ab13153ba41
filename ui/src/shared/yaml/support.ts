/** The pipeline's language for CodeMirror: what is offered while one types, what is explained under the pointer, and what is
 *  marked as wrong with the cure that the server proposes. */
import {
  type Completion,
  type CompletionContext,
  type CompletionResult,
  startCompletion,
} from "@codemirror/autocomplete";
import type { Diagnostic } from "@codemirror/lint";
import type { EditorState, Text } from "@codemirror/state";
import { type EditorView, hoverTooltip, type Tooltip } from "@codemirror/view";
import { meaningAt, type Offer, offersAt, proposal, type Schema, wordAt } from "./language.ts";

export interface Mistake {
  line: number;
  column: number;
  message: string;
  hint: string;
  severity: "error" | "warning";
}

const TYPES = {
  key: "property",
  value: "constant",
  stage: "class",
  variable: "variable",
  function: "function",
};

export function source(schema: () => Schema | undefined) {
  return (context: CompletionContext): CompletionResult | null => {
    const known = schema();
    if (!known) return null;
    const text = context.state.doc.toString();
    const found = offersAt(text, context.pos, known);
    if (!found?.offers.length) return null;
    const opened = text.slice(Math.max(0, context.pos - 2), context.pos) === "${";
    if (!context.explicit && found.from === context.pos && !opened) return null;
    return { from: found.from, options: found.offers.map(completion), validFor: /^[\w.-]*$/ };
  };
}

function completion(offer: Offer, at: number): Completion {
  return {
    label: offer.label,
    type: TYPES[offer.kind],
    detail: offer.detail,
    boost: -Math.min(at, 90),
    ...(offer.info ? { info: offer.info } : {}),
    apply: (view, _completion, from, to) => {
      const insert = offer.insert ?? offer.label;
      view.dispatch({
        changes: { from, to, insert },
        selection: { anchor: from + (offer.caret ?? insert.length) },
        userEvent: "input.complete",
        scrollIntoView: true,
      });
      if (offer.more) startCompletion(view);
    },
  };
}

export function explanations(schema: () => Schema | undefined) {
  return hoverTooltip((view, at): Tooltip | null => {
    const known = schema();
    const meaning = known && meaningAt(view.state.doc.toString(), at, known);
    if (!meaning) return null;
    return {
      pos: meaning.from,
      end: meaning.to,
      above: true,
      create: () => {
        const dom = document.createElement("div");
        dom.className = "meaning";
        const head = dom.appendChild(document.createElement("p"));
        head.appendChild(document.createElement("b")).textContent = meaning.title;
        head.append(` ${meaning.detail}`);
        if (meaning.text) dom.appendChild(document.createElement("p")).textContent = meaning.text;
        return { dom };
      },
    };
  });
}

/** Where a mistake begins; the beginning of the text when the server could not say. */
export function offsetOf(doc: Text, mistake: { line: number; column: number }): number {
  const line = doc.line(Math.min(Math.max(1, mistake.line || 1), doc.lines));
  return Math.min(line.to, line.from + Math.max(0, mistake.column - 1));
}

export function diagnostics(
  state: EditorState,
  mistakes: readonly Mistake[],
  about: string,
  readOnly: boolean,
): Diagnostic[] {
  const text = state.doc.toString();
  return mistakes
    .filter((mistake) => mistake.line > 0) // the list beside the text has the others
    .map((mistake): Diagnostic => {
      const from = offsetOf(state.doc, mistake);
      const instead = proposal(mistake.hint);
      return {
        from,
        to: wordAt(text, from),
        severity: mistake.severity,
        message: [mistake.message, mistake.hint].filter(Boolean).join("; "),
        ...(instead && !readOnly
          ? {
              actions: [
                { name: `Change to ${instead}`, apply: (view: EditorView) => cure(view, mistake, about) },
              ],
            }
          : {}),
      };
    })
    .sort((a, b) => a.from - b.from);
}

/** Put what the server proposes in place of what is wrong. `about`: the text that the server has looked at; in another one
 *  its places are those of something else, and it is about to look again. */
export function cure(view: EditorView, mistake: Mistake, about: string): void {
  if (view.state.doc.toString() !== about) return;
  const from = offsetOf(view.state.doc, mistake);
  const insert = proposal(mistake.hint);
  if (!insert) return;
  const to = wordAt(view.state.doc.toString(), from);
  view.dispatch({
    changes: { from, to, insert },
    selection: { anchor: from + insert.length },
    scrollIntoView: true,
  });
  view.focus();
}
