import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { expect, test } from "vitest";
import { cure, type Mistake } from "@/shared/yaml/support.ts";

const mistake: Mistake = {
  line: 1,
  column: 1,
  message: "unknown key comand",
  hint: "did you mean command?",
  severity: "error",
};

test("what is proposed takes the place of what is wrong, and of nothing else once the text has changed", () => {
  const view = new EditorView({ state: EditorState.create({ doc: "comand: [a]\n" }) });
  view.dispatch({ changes: { from: 0, insert: "image: b\n" } });
  cure(view, mistake, "comand: [a]\n");
  expect(view.state.doc.toString()).toBe("image: b\ncomand: [a]\n");
  cure(view, { ...mistake, line: 2 }, view.state.doc.toString());
  expect(view.state.doc.toString()).toBe("image: b\ncommand: [a]\n");
});
