/** What a person sets for themselves, and what administrators set for all. */
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { Button } from "@/design/parts.tsx";
import { tellFailure } from "@/shared/project.ts";
import { logOut, useSession } from "@/shared/session.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { keepCurrentInView } from "@/shared/tabs.ts";
import { useTitle } from "@/shared/title.ts";
import "./settings.css";

const PARTS = [
  { to: "/settings", word: "Profile", admin: false },
  { to: "/settings/notifications", word: "Notifications", admin: false },
  { to: "/settings/tokens", word: "Tokens", admin: false },
  { to: "/settings/people", word: "People", admin: true },
  { to: "/settings/groups", word: "Groups", admin: true },
  { to: "/settings/installation", word: "Installation", admin: false },
  { to: "/settings/audit", word: "Audit", admin: true },
] as const;

export function SettingsPage() {
  useTitle("Settings");
  const session = useSession();
  const navigate = useNavigate();
  const path = useLocation().pathname.replace(/\/$/, "");
  return (
    <>
      <TopBar>
        <b>Settings</b>
      </TopBar>
      <nav className="tabs" aria-label="Settings" ref={keepCurrentInView}>
        {PARTS.filter((part) => !part.admin || session?.role === "admin").map((part) => (
          <Link
            key={part.to}
            to={part.to}
            activeOptions={{ exact: true }}
            aria-current={path === part.to ? "page" : undefined}
          >
            {part.word}
          </Link>
        ))}
        <span className="grow" />
        <Button
          look="ghost"
          onClick={() => {
            logOut().then(() => navigate({ to: "/login" }), tellFailure("You are still logged in"));
          }}
        >
          Log out
        </Button>
      </nav>
      <div className="page settings">
        <Outlet />
      </div>
    </>
  );
}
