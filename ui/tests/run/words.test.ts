import { expect, test } from "vitest";
import { lineOf, wordsOf } from "@/features/run/words.ts";

test("a command is read as in a shell, and nothing in it is expanded", () => {
  expect(wordsOf(`python "$PLACE/detect.py" --name 'two words' a\\ b ''`)).toEqual([
    "python",
    "$PLACE/detect.py",
    "--name",
    "two words",
    "a b",
    "",
  ]);
  expect(wordsOf("   ")).toEqual([]);
  expect(wordsOf("sh -c 'echo")).toBeNull();
});

test("whatever words a command has, its line gives them back", () => {
  const words = ["sh", "-c", "echo 'it is' \"so\"\nand \\n", "", "über", "$HOME", "a\\b"];
  expect(wordsOf(lineOf(words))).toEqual(words);
});
