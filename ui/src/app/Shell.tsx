/** The frame around every page: where one is, where one can go, and whether what one sees is current. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useMatches } from "@tanstack/react-router";
import { useEffect } from "react";
import { duration, plural } from "@/design/format.ts";
import { Icon, type IconName } from "@/design/Icon.tsx";
import { Button } from "@/design/parts.tsx";
import { useNow } from "@/design/time.tsx";
import { LogInAgain } from "@/features/session";
import { countsQuery } from "@/shared/counts.ts";
import { beLive, live, useConnection, useTopic } from "@/shared/live.ts";
import { TransfersTray } from "@/shared/TransfersTray.tsx";
import { useWaiting } from "@/shared/title.ts";

const PLACES: { to: string; icon: IconName; word: string }[] = [
  { to: "/projects", icon: "projects", word: "Projects" },
  { to: "/inbox", icon: "bell", word: "Waiting" },
  { to: "/pipelines", icon: "pipelines", word: "Pipelines" },
  { to: "/inputs", icon: "resources", word: "Inputs" },
  { to: "/nodes", icon: "nodes", word: "Nodes" },
  { to: "/statistics", icon: "stats", word: "Statistics" },
  { to: "/settings", icon: "settings", word: "Settings" },
];

export function Shell() {
  useEffect(beLive, []);
  const slim = useMatches().some((match) => match.staticData.slim);
  return (
    <div className={slim ? "app slim" : "app"}>
      <a className="skip" href="#main">
        To the content
      </a>
      <Rail />
      <main id="main">
        <ConnectionLine />
        <Outlet />
      </main>
      <TransfersTray />
      <LogInAgain />
    </div>
  );
}

function Rail() {
  const path = useLocation().pathname;
  const counts = useQuery(countsQuery).data;
  const waiting = counts?.waiting_for_me ?? 0;
  const client = useQueryClient();
  useWaiting(waiting);
  useTopic("inbox", "", () => void client.invalidateQueries({ queryKey: countsQuery.queryKey }));
  return (
    <nav className="rail" aria-label="Main">
      <Link
        className="brand"
        to="/projects"
        aria-label="Winslow, home"
        activeProps={{ "aria-current": undefined }}
      >
        <Logo />
        <span>Winslow</span>
      </Link>
      {PLACES.map((place) => (
        <Link
          key={place.to}
          to={place.to}
          aria-current={path.startsWith(place.to) ? "page" : undefined}
          title={place.word}
        >
          <Icon name={place.icon} />
          <span>{place.word}</span>
          {place.to === "/inbox" && waiting ? (
            <span className="n ask" title={`${plural(waiting, "question")} for you`}>
              {waiting}
            </span>
          ) : null}
        </Link>
      ))}
    </nav>
  );
}

function Logo() {
  return (
    <svg viewBox="0 0 20 20" aria-hidden="true">
      <rect width="20" height="20" rx="5" fill="currentColor" />
      <path
        d="m4.3 6 3 8 2.7-6.500L12.700 14l3-8"
        fill="none"
        stroke="#fff"
        strokeWidth="1.9"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}

function ConnectionLine() {
  const connection = useConnection();
  const now = useNow();
  if (connection.state === "live" || now - connection.since < 2_000) return null;
  const next = Math.max(0, connection.next - now);
  return (
    <div className="note away" role="status">
      <Icon name="redo" />
      <div className="grow">
        <b>Reconnecting.</b> What you see is {duration(now - connection.since)} old.
        {next > 1_000 ? ` Next try in ${duration(next)}.` : ""}
      </div>
      <Button small onClick={() => live.retry()}>
        Try now
      </Button>
    </div>
  );
}
