/** The line on top of every page. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Icon } from "@/design/Icon.tsx";
import { Avatar } from "@/design/parts.tsx";
import { useConnection } from "./live.ts";
import { show } from "./palette.ts";
import { SchemeButton } from "./SchemeButton.tsx";
import { useSession } from "./session.ts";
import { TransfersButton } from "./TransfersTray.tsx";

/** Every page begins with it: the way here at the left, what holds everywhere at the right. */
export function TopBar({ children }: { children: ReactNode }) {
  const session = useSession();
  const connection = useConnection();
  return (
    <div className="top">
      <nav className="crumb grow" aria-label="Breadcrumb">
        {children}
      </nav>
      <button
        type="button"
        className="palette"
        aria-keyshortcuts="Control+K Meta+K"
        title="Search, go to, do (Ctrl K)"
        onClick={() => show("palette")}
      >
        <Icon name="search" />
        <span>Search or go to</span>
        <kbd>Ctrl K</kbd>
      </button>
      {connection.state === "live" ? (
        <span className="live" title="Updates arrive as they happen">
          live
        </span>
      ) : (
        <span className="live away">not live</span>
      )}
      <TransfersButton />
      <SchemeButton />
      <Link to="/settings" aria-label="Your settings">
        <Avatar name={session?.display_name || session?.user || "?"} me />
      </Link>
    </div>
  );
}
