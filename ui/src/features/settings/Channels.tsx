/** Ways by which somebody is told beside mail: added, tried with the answer in place, switched off, removed; and what could not
 *  be delivered. For oneself, and for the whole installation. */
import { Modal } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { clock, plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Empty, Note, Tag } from "@/design/parts.tsx";
import { Ago, useNow } from "@/design/time.tsx";
import { Confirm } from "@/shared/Confirm.tsx";
import { queries } from "@/shared/queries.ts";
import {
  type Channel,
  calls,
  EVENTS,
  type Fresh,
  kindOf,
  toggled,
  type Undelivered,
  type What,
  type Whose,
  words,
} from "./told.ts";

const TRIED_FOR = 60_000; // ms that the answer of a test is waited for

export function Channels({ whose, channels }: { whose: Whose; channels: readonly Channel[] }) {
  const [adding, setAdding] = useState(false);
  const [fresh, setFresh] = useState<Fresh | null>(null);
  return (
    <>
      <div className="row wrap">
        <h2>Webhooks and chat</h2>
        <span className="grow" />
        <Button icon="plus" onClick={() => setAdding(true)}>
          Add a channel
        </Button>
      </div>
      {fresh?.key ? (
        <Note
          kind="acc"
          icon="key"
          action={
            <Button small icon="copy" onClick={() => void navigator.clipboard.writeText(fresh.key ?? "")}>
              Copy
            </Button>
          }
        >
          <b>What {fresh.title} gets is signed with this key.</b> It is shown this once.
          <p>
            <code className="wraps">{fresh.key}</code>
          </p>
        </Note>
      ) : null}
      {channels.length ? (
        <ul className="channels">
          {channels.map((channel) => (
            <Row key={channel.id} whose={whose} channel={channel} />
          ))}
        </ul>
      ) : (
        <Empty icon="link" title="No channels">
          A program of yours by webhook, or Slack, Teams, Matrix, Telegram, ntfy and some two hundred others.
        </Empty>
      )}
      <Add
        whose={whose}
        opened={adding}
        onClose={(made) => {
          setAdding(false);
          if (made) setFresh(made);
        }}
      />
    </>
  );
}

const again = (whose: Whose) => queries.invalidateQueries({ queryKey: ["notifications", whose] });

function Row({ whose, channel }: { whose: Whose; channel: Channel }) {
  const act = useMutation({
    mutationFn: (call: () => Promise<unknown>) => call(),
    onSettled: () => again(whose),
  });
  const [asked, setAsked] = useState(false);
  return (
    <li>
      <Icon name={channel.kind === "webhook" ? "link" : "comment"} />
      <div className="grow">
        <p className="row wrap">
          <b>{channel.title}</b> <code className="m3">{channel.address}</code>
          {channel.on ? null : <Tag>off</Tag>}
        </p>
        <p className="small m2">
          {channel.events === null
            ? "told of what is chosen above"
            : `told of ${words(channel.events) || "nothing"}`}
        </p>
        <Events
          label={`What ${channel.title} is told of`}
          value={channel.events}
          onChange={(events) =>
            act.mutate(() =>
              calls[whose].change(
                channel.id,
                events === null ? { as_rules: true } : { events, as_rules: false },
              ),
            )
          }
        />
        {act.error ? <ProblemNote error={act.error} /> : null}
      </div>
      <div className="row wrap end">
        <Test whose={whose} channel={channel.id} />
        <Button
          small
          busy={act.isPending}
          onClick={() =>
            act.mutate(() => calls[whose].change(channel.id, { on: !channel.on, as_rules: false }))
          }
        >
          {channel.on ? "Switch off" : "Switch on"}
        </Button>
        <Button
          small
          look="ghost"
          icon="trash"
          aria-label={`Remove ${channel.title}`}
          onClick={() => setAsked(true)}
        />
      </div>
      <Confirm
        opened={asked}
        title={`Remove ${channel.title}?`}
        yes="Remove it"
        no="Keep it"
        busy={act.isPending}
        error={act.error}
        onConfirm={() => act.mutate(() => calls[whose].remove(channel.id))}
        onClose={() => setAsked(false)}
      >
        Its address{channel.kind === "webhook" ? " and key are" : " is"} forgotten, and what is on its way to
        it with them. Nothing brings that back; switched off it would be kept.
      </Confirm>
    </li>
  );
}

/** Which events; null: as the rules say. */
export function Events({
  label,
  value,
  nodes = true,
  own = true,
  onChange,
}: {
  label: string;
  value: readonly What[] | null;
  nodes?: boolean;
  /** whether it can be as the rules say */
  own?: boolean;
  onChange: (events: What[] | null) => void;
}) {
  return (
    <div className="row wrap chips" role="group" aria-label={label}>
      {own ? (
        <button type="button" className="chip" aria-pressed={value === null} onClick={() => onChange(null)}>
          as above
        </button>
      ) : null}
      {EVENTS.filter((event) => nodes || !event.node).map((event) => (
        <button
          key={event.what}
          type="button"
          className="chip"
          title={event.about}
          aria-pressed={value?.includes(event.what) ?? false}
          onClick={() => onChange(toggled(value ?? [], event.what))}
        >
          {event.word}
        </button>
      ))}
    </div>
  );
}

/** Sends one message by the way that all others go, and says what became of it. */
export function Test({ whose, channel }: { whose: Whose; channel: string }) {
  const [began, setBegan] = useState(0);
  const ask = useMutation({
    mutationFn: () => calls[whose].test(channel),
    onMutate: () => setBegan(Date.now()),
  });
  const id = ask.data?.id ?? "";
  const told = useQuery({
    queryKey: ["notifications", whose, "test", id],
    queryFn: () => calls[whose].tested(id),
    enabled: !!id,
    refetchInterval: (query) =>
      query.state.data && query.state.data.state !== "waiting"
        ? false
        : Date.now() - began < TRIED_FOR
          ? 700
          : false,
  });
  const now = useNow();
  const state = told.data?.state ?? (id ? "waiting" : "");
  const late = state === "waiting" && now - began > TRIED_FOR;
  const failed = ask.error ?? told.error;
  return (
    <span className="row wrap test" aria-live="polite">
      {failed ? <ProblemNote error={failed} /> : null}
      {state === "sent" ? (
        <span className="state" data-s="succeeded">
          <Icon name="check" /> it was taken
        </span>
      ) : state === "failed" ? (
        <span className="err">Not taken: {told.data?.text}</span>
      ) : late ? (
        <span className="err">Nobody has tried to send it: no controller is at work.</span>
      ) : null}
      <Button small busy={ask.isPending || (state === "waiting" && !late)} onClick={() => ask.mutate()}>
        {state === "waiting" && !late ? "Sending" : "Send a test"}
      </Button>
    </span>
  );
}

function Add({ whose, opened, onClose }: { whose: Whose; opened: boolean; onClose: (made?: Fresh) => void }) {
  const [address, setAddress] = useState("");
  const add = useMutation({
    mutationFn: calls[whose].add,
    onSuccess: async (made) => {
      await again(whose);
      setAddress("");
      onClose(made);
    },
  });
  const kind = kindOf(address);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const title = String(new FormData(event.currentTarget).get("title")).trim();
    if (kind) add.mutate({ kind, title, address: address.trim(), events: null });
  };
  return (
    <Modal opened={opened} onClose={() => onClose()} title="Add a channel" centered>
      <form className="col gap" onSubmit={submit}>
        <label className="field">
          <span className="lbl">Address</span>
          <input
            className="in mono"
            required
            autoComplete="off"
            spellCheck={false}
            data-autofocus
            maxLength={2000}
            value={address}
            aria-describedby="of-address"
            placeholder="https://… or slack://…"
            onChange={(event) => setAddress(event.target.value)}
          />
          <span id="of-address" className={address && !kind ? "err" : "help"}>
            {kind === "webhook"
              ? "A webhook: it gets signed JSON for each thing that happens."
              : kind === "chat"
                ? `The chat service ${address.trim().split(":")[0]}: it gets a text.`
                : address
                  ? "An address has :// in it."
                  : "https:// is a webhook; chat services are written as apprise has them, such as slack://token/#team, matrix://user:password@host/#room, ntfys://host/topic."}
          </span>
        </label>
        <label className="field">
          <span className="lbl">What you call it</span>
          <input className="in" name="title" required maxLength={100} placeholder="team chat" />
        </label>
        <p className="help">It is kept encrypted and never shown again.</p>
        {add.error ? <ProblemNote error={add.error} /> : null}
        <div className="row end">
          <Button onClick={() => onClose()}>Cancel</Button>
          <Button look="primary" type="submit" disabled={!kind} busy={add.isPending}>
            {kind === "chat" ? "Add the chat" : "Add the webhook"}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** What was not taken, with why, and what can be done about it. */
export function NotTaken({ whose, messages }: { whose: Whose; messages: readonly Undelivered[] }) {
  const act = useMutation({
    mutationFn: (call: () => Promise<unknown>) => call(),
    onSettled: () => again(whose),
  });
  const now = useNow();
  if (!messages.length) return null;
  return (
    <section className="wide" aria-labelledby="not-taken">
      <h2 id="not-taken">Not delivered</h2>
      {act.error ? <ProblemNote error={act.error} /> : null}
      <ul className="channels">
        {messages.map((message) => (
          <li key={message.id}>
            <Icon name="warn" />
            <div className="grow">
              <p className="row wrap">
                <b>{message.title || "a channel that was removed"}</b>
                <span className="m2">
                  {plural(message.count, "message")}, <Ago at={message.since} />,{" "}
                  {message.tries ? `tried ${plural(message.tries, "time")}` : "not tried yet"}
                </span>
              </p>
              <p className="err">{message.text}</p>
              <p className="small m2">
                {message.next
                  ? `It is tried again about ${clock(Date.parse(message.next), now)}.`
                  : "It was given up."}
              </p>
            </div>
            <div className="row end">
              <Button
                small
                busy={act.isPending}
                onClick={() => act.mutate(() => calls[whose].retry(message.id))}
              >
                Send again
              </Button>
              <Button
                small
                look="ghost"
                busy={act.isPending}
                onClick={() => act.mutate(() => calls[whose].discard(message.id))}
              >
                Discard
              </Button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
