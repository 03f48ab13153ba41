/** A pipeline that does not run: names and how they follow each other. */
import { useMemo } from "react";
import { HEIGHT, layout, WIDTH } from "./layout.ts";
import "./pipeline-graph.css";

export function PipelineGraph({
  stages,
}: {
  stages: { id: string; needs: readonly string[]; title: string }[];
}) {
  const drawn = useMemo(() => layout(stages), [stages]);
  return (
    <div className="scroll-x">
      <svg
        className="p-graph"
        style={{ width: "100%", maxWidth: drawn.width, minWidth: drawn.width * 0.7 }}
        viewBox={`0 0 ${drawn.width} ${drawn.height}`}
        role="img"
        aria-label={stages.map((s) => s.id).join(", ")}
      >
        {drawn.edges.map((edge) => (
          <path key={`${edge.from}>${edge.to}`} d={edge.path} />
        ))}
        {stages.map((stage) => {
          const at = drawn.nodes.get(stage.id);
          return at ? (
            <g key={stage.id} transform={`translate(${at.x} ${at.y})`}>
              <rect width={WIDTH} height={HEIGHT} rx="8" />
              <text className="t1" x={WIDTH / 2} y={HEIGHT / 2 - 2} textAnchor="middle">
                {stage.id}
              </text>
              <text x={WIDTH / 2} y={HEIGHT / 2 + 16} textAnchor="middle">
                {stage.title.length > 24 ? `${stage.title.slice(0, 23)}…` : stage.title}
              </text>
            </g>
          ) : null;
        })}
      </svg>
    </div>
  );
}
