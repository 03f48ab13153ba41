/** YAML with what is wrong marked where it is wrong, and what may stand where one types. Controlled from outside by `text`; told
 *  of every change. */
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import type { Schema } from "./yaml/language.ts";
import { cure, diagnostics, explanations, type Mistake, offsetOf, source } from "./yaml/support.ts";
import "./yaml.css";

/** Something to be done in the text from outside. A new object each time. */
export type Wish = { go: { line: number; column: number } } | { cure: Mistake };

// colours of our own: the library's fail the contrast in the dark
const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--wn-ansi-blue)" },
  { tag: [tags.string, tags.content], color: "var(--wn-text)" },
  { tag: tags.comment, color: "var(--wn-text-3)", fontStyle: "italic" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--wn-ansi-magenta)" },
  { tag: [tags.punctuation, tags.separator], color: "var(--wn-text-3)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", fontSize: "12.5px", backgroundColor: "var(--wn-term)", color: "var(--wn-text)" },
  ".cm-scroller": { fontFamily: "var(--wn-mono)", lineHeight: "19px" },
  ".cm-gutters": { backgroundColor: "var(--wn-term)", color: "var(--wn-text-3)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--wn-hover)" },
  "&.cm-focused .cm-cursor": { borderLeftColor: "var(--wn-text)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--wn-accent-mid) !important",
  },
});

export function Editor({
  text,
  readOnly,
  mistakes,
  about,
  schema,
  wish,
  onChange,
  onSave,
}: {
  text: string;
  readOnly: boolean;
  mistakes: Mistake[];
  /** the text that they are in */
  about: string;
  schema: Schema | undefined;
  wish: Wish | null;
  onChange: (text: string) => void;
  onSave: () => void;
}) {
  const holder = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const told = useRef({ onChange, onSave });
  told.current = { onChange, onSave };
  const known = useRef({ schema, mistakes, about });
  known.current = { schema, mistakes, about };

  // biome-ignore lint/correctness/useExhaustiveDependencies: made once; later texts go in below
  useEffect(() => {
    if (!holder.current) return;
    const made = new EditorView({
      parent: holder.current,
      state: EditorState.create({
        doc: text,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          indentUnit.of("  "),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ override: [source(() => known.current.schema)], icons: false }),
          explanations(() => known.current.schema),
          highlightActiveLine(),
          highlightSelectionMatches(),
          lintGutter(),
          yaml(),
          syntaxHighlighting(colours),
          look,
          EditorState.readOnly.of(readOnly),
          EditorView.contentAttributes.of({ "aria-label": "Pipeline as YAML", tabindex: "0" }),
          keymap.of([
            {
              key: "Mod-s",
              preventDefault: true,
              run: () => {
                told.current.onSave();
                return true;
              },
            },
            {
              key: "Mod-.",
              run: (view) => {
                const here = view.state.doc.lineAt(view.state.selection.main.head).number;
                const wrong = known.current.mistakes.find((m) => m.line === here);
                if (wrong && !view.state.readOnly) cure(view, wrong, known.current.about);
                return true;
              },
            },
            ...closeBracketsKeymap,
            indentWithTab,
            ...defaultKeymap,
            ...historyKeymap,
            ...searchKeymap,
            ...completionKeymap,
            ...lintKeymap,
          ]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) told.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, [readOnly]);

  useEffect(() => {
    const present = view.current;
    if (!present || present.state.doc.toString() === text) return;
    present.dispatch({ changes: { from: 0, to: present.state.doc.length, insert: text } });
  }, [text]);

  useEffect(() => {
    const present = view.current;
    if (!present) return;
    const found = diagnostics(present.state, mistakes, known.current.about, readOnly);
    present.dispatch(setDiagnostics(present.state, found));
  }, [mistakes, readOnly]);

  useEffect(() => {
    const present = view.current;
    if (!present || !wish) return;
    if ("cure" in wish) {
      cure(present, wish.cure, known.current.about);
      return;
    }
    const at = offsetOf(present.state.doc, wish.go);
    present.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    present.focus();
  }, [wish]);

  return <div ref={holder} className="yaml" />;
}
