/** Where in the log the hits are, and where the window stands: a strip as tall as the window. */
import { useEffect, useRef } from "react";
import { useScheme } from "@/design/scheme.ts";
import type { Line } from "./store.ts";

export function Density({
  total,
  hits,
  shown,
  onJump,
}: {
  total: number;
  hits: Line[];
  shown: [number, number];
  onJump: (place: number) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew when the colours change, too
  useEffect(() => {
    const element = canvas.current;
    const paint = element?.getContext("2d");
    if (!element || !paint) return;
    const [width, height] = [element.clientWidth, element.clientHeight];
    const ratio = window.devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    paint.scale(ratio, ratio);
    const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const y = (place: number) => (total ? (height * place) / total : 0);
    paint.fillStyle = token("--wn-accent-mid");
    paint.fillRect(0, y(shown[0]), width, Math.max(3, y(shown[1]) - y(shown[0])));
    for (const hit of hits) {
      paint.fillStyle = hit.stream === "err" ? token("--wn-bad-solid") : token("--wn-ask-solid");
      paint.fillRect(4, y(hit.n), width - 8, 2);
    }
  }, [total, hits, shown, scheme]);
  return (
    <canvas
      ref={canvas}
      className="dens"
      role="img"
      aria-label={`${hits.length} hits in ${total} lines`}
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        onJump(Math.floor((total * (event.clientY - box.top)) / box.height));
      }}
    />
  );
}
