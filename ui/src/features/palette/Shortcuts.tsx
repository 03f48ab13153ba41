/** All keys that do something now, from the same registry that they are pressed by. */
import { Modal } from "@mantine/core";
import { useState } from "react";
import { listed, useKeysWanted } from "@/shared/keys.ts";
import { show } from "@/shared/palette.ts";
import { Keys } from "./Palette.tsx";
import { sheet } from "./sheet.ts";
import "./palette.css";

export function Shortcuts() {
  const wanted = useKeysWanted();
  const [parts] = useState(() => sheet(listed()));
  return (
    <Modal
      opened
      onClose={() => show("")}
      title="Keyboard"
      size={760}
      transitionProps={{ duration: 0 }}
      centered
    >
      <div className="col gap">
        <div className="sheet">
          {parts.map((part) => (
            <section key={part.where} aria-label={part.where}>
              <h3>{part.where}</h3>
              <dl>
                {part.rows.map((row) => (
                  <div key={row.does}>
                    <dt>
                      {row.keys.map((key, place) => (
                        <span key={key}>
                          {place ? <span className="m3"> or </span> : null}
                          <Keys keys={key} />
                        </span>
                      ))}
                    </dt>
                    <dd>{row.does}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
        <label className="row">
          <input type="checkbox" checked={wanted.on} onChange={(event) => wanted.set(event.target.checked)} />
          Single keys do something outside of fields; those with Ctrl always do
        </label>
      </div>
    </Modal>
  );
}
