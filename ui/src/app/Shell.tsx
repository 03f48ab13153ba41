/** The frame around every page: where one is, where one can go, and whether what one sees is current. */

import { useMantineColorScheme } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useMatches, useNavigate } from "@tanstack/react-router";
import { Fragment, lazy, Suspense, useEffect } from "react";
import { duration, plural } from "@/design/format.ts";
import { Icon, type IconName } from "@/design/Icon.tsx";
import { Button } from "@/design/parts.tsx";
import { useNow } from "@/design/time.tsx";
import { useTelling } from "@/shared/browser-notes.ts";
import { countsQuery } from "@/shared/counts.ts";
import { useKeys } from "@/shared/keys.ts";
import { beLive, live, useConnection, useTopic } from "@/shared/live.ts";
import { show, usePalette } from "@/shared/palette.ts";
import { useExpired } from "@/shared/session.ts";
import { TransfersTray } from "@/shared/TransfersTray.tsx";
import { useWaiting } from "@/shared/title.ts";
import { RailFoot, RailViews } from "./RailMore.tsx";

const PLACES: { to: string; icon: IconName; word: string; key: string }[] = [
  { to: "/projects", icon: "projects", word: "Projects", key: "p" },
  { to: "/inbox", icon: "bell", word: "Waiting", key: "w" },
  { to: "/pipelines", icon: "pipelines", word: "Pipelines", key: "l" },
  { to: "/inputs", icon: "resources", word: "Inputs", key: "i" },
  { to: "/nodes", icon: "nodes", word: "Nodes", key: "n" },
  { to: "/statistics", icon: "stats", word: "Statistics", key: "s" },
  { to: "/settings", icon: "settings", word: "Settings", key: "t" },
];

const again = () => import("@/features/session");
const LogInAgain = lazy(() => again().then((session) => ({ default: session.LogInAgain })));

const Palette = lazy(() => import("@/features/palette").then((m) => ({ default: m.Palette })));
const Teller = lazy(() => import("./Teller.tsx").then((m) => ({ default: m.Teller })));
const Shortcuts = lazy(() => import("@/features/palette").then((m) => ({ default: m.Shortcuts })));

export function Shell() {
  useEffect(beLive, []);
  useEffect(() => {
    // there before it is needed, and after all that is needed now
    const timer = setTimeout(() => void again().catch(() => undefined), 3_000);
    return () => clearTimeout(timer);
  }, []);
  const expired = useExpired((s) => s.expired);
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const shown = usePalette((s) => s.shown);
  const telling = useTelling((s) => s.wanted && s.state === "granted");
  useKeys(
    "Everywhere",
    {
      "Ctrl k": { does: "Search, go to, do", palette: false, act: () => show("palette") },
      "?": { does: "All keys", palette: false, act: () => show("keys") },
      ...Object.fromEntries(
        PLACES.map(({ key, to, word }) => [
          `g ${key}`,
          { does: word, palette: false, act: () => void navigate({ to }) } as const,
        ]),
      ),
      " scheme": {
        does: "Switch between light and dark",
        act: () =>
          setColorScheme(document.documentElement.dataset.mantineColorScheme === "dark" ? "light" : "dark"),
      },
    },
    0,
  );
  const slim = useMatches().some((match) => match.staticData.slim);
  return (
    <div className={slim ? "app slim" : "app"}>
      <a className="skip" href="#main">
        To the content
      </a>
      <Rail slim={slim} />
      <main id="main">
        <ConnectionLine />
        <Outlet />
      </main>
      <TransfersTray />
      <Suspense>{shown === "palette" ? <Palette /> : shown === "keys" ? <Shortcuts /> : null}</Suspense>
      <Suspense>{telling ? <Teller /> : null}</Suspense>
      {expired ? (
        <Suspense fallback={null}>
          <LogInAgain />
        </Suspense>
      ) : null}
    </div>
  );
}

function Rail({ slim }: { slim: boolean }) {
  const path = useLocation().pathname;
  const counts = useQuery(countsQuery).data;
  const waiting = counts?.waiting_for_me ?? 0;
  const client = useQueryClient();
  const room = useMediaQuery("not all and (max-width: 1280px)", undefined, {
    getInitialValueInEffect: false,
  });
  const wide = !slim && room; // else it has icons only, as in the style sheet
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
        <Fragment key={place.to}>
          <Link
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
          {wide && place.to === "/projects" ? <RailViews /> : null}
        </Fragment>
      ))}
      {wide ? <RailFoot /> : null}
    </nav>
  );
}

function Logo() {
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
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

const STALE = 5_000; // ms without the connection after which what is live looks as old as it is

function ConnectionLine() {
  const connection = useConnection();
  const now = useNow();
  const stale = connection.state !== "live" && now - connection.since > STALE;
  useEffect(() => {
    document.documentElement.toggleAttribute("data-stale", stale);
  }, [stale]);
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
