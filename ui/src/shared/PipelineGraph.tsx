/** A pipeline that does not run: names, what each stage needs, and how they follow each other. */
import { useMemo } from "react";
import { bytes, duration } from "@/design/format.ts";
import { sideways } from "@/design/sideways.ts";
import { HEIGHT, layout, WIDTH } from "./layout.ts";
import "./pipeline-graph.css";

const BESIDE = 560; // px that such a column has

export interface Drawable {
  id: string;
  needs: readonly string[];
  title?: string;
  resources?: { cpu?: number; memory?: number; gpu?: { count?: number; memory?: number } | null };
  timeout?: number | null;
  when?: string | null;
  gather?: boolean;
  confirm?: { ask?: string };
}

export interface Marks {
  /** ids of stages with a mistake */
  wrong: ReadonlySet<string>;
  warned: ReadonlySet<string>;
  /** since what it is compared with */
  fresh: ReadonlySet<string>;
  changed: ReadonlySet<string>;
}

export function PipelineGraph({
  stages,
  marks,
  stale = false,
  beside = false,
  onPick,
}: {
  stages: readonly Drawable[];
  marks?: Marks;
  /** of a text before the present one, which cannot be read */
  stale?: boolean;
  /** in a column beside the text, which is high and narrow: what is too wide for it goes downwards */
  beside?: boolean;
  onPick?: (id: string) => void;
}) {
  const drawn = useMemo(() => {
    const across = layout(stages);
    return beside && across.width > BESIDE ? layout(stages, "down") : across;
  }, [stages, beside]);
  return (
    <div
      ref={sideways}
      className={["scroll-x", stale ? "p-graph-stale" : "", beside ? "p-graph-beside" : ""].join(" ")}
    >
      <svg
        className="p-graph"
        style={{ width: "100%", maxWidth: drawn.width, minWidth: Math.min(drawn.width, 900) * 0.75 }}
        viewBox={`0 0 ${drawn.width} ${drawn.height}`}
        role="group"
        aria-label={`Graph of ${stages.map((s) => s.id).join(", ")}`}
      >
        {drawn.edges.map((edge) => (
          <path key={`${edge.from}>${edge.to}`} d={edge.path} />
        ))}
        {stages.map((stage) => {
          const at = drawn.nodes.get(stage.id);
          if (!at) return null;
          const said = told(stage, marks);
          const pick = onPick ? () => onPick(stage.id) : undefined;
          return (
            <g
              key={stage.id}
              transform={`translate(${at.x} ${at.y})`}
              className={[said.look, pick ? "pick" : ""].join(" ")}
              {...(pick
                ? {
                    role: "button",
                    tabIndex: 0,
                    "aria-label": [stage.id, said.about, said.note, said.mark].filter(Boolean).join(", "),
                    onClick: pick,
                    onKeyDown: (event) => {
                      if (event.key === "Enter" || event.key === " ") pick();
                    },
                  }
                : {})}
            >
              <title>{[stage.title, said.about, said.note, said.mark].filter(Boolean).join(", ")}</title>
              <rect width={WIDTH} height={HEIGHT} rx="8" />
              <text className="t1" x={10} y={22}>
                {cut(stage.id, 19)}
              </text>
              <text x={10} y={41}>
                {cut(said.about, 25)}
              </text>
              <text className="t3" x={10} y={58}>
                {cut(said.note, 26)}
              </text>
              {said.mark ? (
                <text className={`t3 ${said.look}`} x={WIDTH - 10} y={22} textAnchor="end">
                  {said.mark}
                </text>
              ) : null}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function told(stage: Drawable, marks: Marks | undefined) {
  const { cpu, memory, gpu } = stage.resources ?? {};
  const about = [
    cpu ? `${cpu} CPU` : "",
    memory ? bytes(memory) : "",
    gpu?.count
      ? `${gpu.count > 1 ? `${gpu.count} GPUs` : "GPU"}${gpu.memory ? ` ${bytes(gpu.memory)}` : ""}`
      : "",
  ];
  const asks = stage.confirm?.ask;
  const note = [
    asks && asks !== "never" ? `asks ${asks}` : "",
    stage.when ? `if ${stage.when}` : "",
    stage.gather ? "gathers the sweep" : "",
    stage.timeout ? `up to ${duration(stage.timeout * 1000)}` : "",
  ];
  const [look, mark] = marks?.wrong.has(stage.id)
    ? ["wrong", "wrong"]
    : marks?.warned.has(stage.id)
      ? ["warned", "cannot start"]
      : marks?.fresh.has(stage.id)
        ? ["fresh", "new"]
        : marks?.changed.has(stage.id)
          ? ["changed", "changed"]
          : asks && asks !== "never"
            ? ["asks", ""]
            : ["", ""];
  return { about: about.filter(Boolean).join(", "), note: note.filter(Boolean).join(", "), look, mark };
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
