/** YAML with what is wrong marked where it is wrong. Controlled from outside by `text`; told of every change. */
import { autocompletion, closeBrackets, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import "./yaml.css";

export interface Mistake {
  line: number;
  column: number;
  message: string;
  hint: string;
  severity: "error" | "warning";
}

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
  ".cm-tooltip": {
    backgroundColor: "var(--wn-raised)",
    border: "1px solid var(--wn-line-2)",
    color: "var(--wn-text)",
  },
});

export function Editor({
  text,
  readOnly,
  mistakes,
  onChange,
  onSave,
}: {
  text: string;
  readOnly: boolean;
  mistakes: Mistake[];
  onChange: (text: string) => void;
  onSave: () => void;
}) {
  const holder = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const told = useRef({ onChange, onSave });
  told.current = { onChange, onSave };

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
          autocompletion(),
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
    const { doc } = present.state;
    const marks = mistakes.map((m): Diagnostic => {
      const line = doc.line(Math.min(Math.max(1, m.line || 1), doc.lines));
      const from = Math.min(line.to, line.from + Math.max(0, m.column - 1));
      return {
        from,
        to: Math.max(from, line.to),
        severity: m.severity,
        message: [m.message, m.hint].filter(Boolean).join(" "),
      };
    });
    present.dispatch(setDiagnostics(present.state, marks));
  }, [mistakes]);

  return <div ref={holder} className="yaml" />;
}
