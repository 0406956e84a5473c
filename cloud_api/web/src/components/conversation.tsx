import { useState } from "preact/hooks";
import { createTicketComment, listTicketComments, listTicketHistory, type Ticket } from "../contracts";
import { useQuery } from "../query";
import { session } from "../session";
import { person, ticketStateWord } from "../words";
import { Empty, Failed, Skeleton } from "./states";
import { Time } from "./time";

const PAGE = 200;

/** What people said, and a place to say something; it shows at once and is taken back if refused. */
export function Conversation({ ticket }: { ticket: Ticket }) {
  const key = `headrace.draft.comment.${ticket.name}`;
  const query = useQuery(
    (stop) => listTicketComments({ parent: ticket.name, pageSize: PAGE }, stop),
    `comments ${ticket.name}`,
    ["maintenance.ticket."],
  );
  const [text, setText] = useState(sessionStorage.getItem(key) ?? "");
  const [sending, setSending] = useState("");
  const [error, setError] = useState("");
  const change = (value: string): void => {
    setText(value);
    sessionStorage.setItem(key, value);
  };
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    const said = text.trim();
    if (!said || sending) return;
    setSending(said);
    setError("");
    change("");
    try {
      await createTicketComment({
        parent: ticket.name,
        requestId: crypto.randomUUID(),
        comment: { name: "", author: "", text: said },
      });
      query.reload();
    } catch (reason) {
      change(said);
      setError(reason instanceof Error ? reason.message : String(reason));
    }
    setSending("");
  };
  const comments = query.data?.comments ?? [];
  return (
    <>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!query.data && !query.error && <Skeleton lines={2} />}
      <ol class="comments">
        {comments.map((c) => (
          <li key={c.name}>
            <p class="comment-head">
              <strong>{person(c.author)}</strong>{" "}
              <span class="quiet">
                <Time at={c.createTime} />
              </span>
            </p>
            <p class="comment-text">{c.text}</p>
          </li>
        ))}
        {sending && (
          <li class="pending">
            <p class="comment-head">
              <strong>{session.value?.user}</strong> <span class="quiet">sending…</span>
            </p>
            <p class="comment-text">{sending}</p>
          </li>
        )}
      </ol>
      {query.data && !comments.length && !sending && <p class="quiet">Nobody has said anything yet.</p>}
      <form class="say" onSubmit={(event) => void send(event)}>
        <label class="for-readers" for="comment">
          Comment
        </label>
        <textarea
          id="comment"
          rows={2}
          placeholder="Say what you saw or did"
          value={text}
          onInput={(e) => change(e.currentTarget.value)}
          onKeyDown={(e) => e.key === "Enter" && (e.ctrlKey || e.metaKey) && void send(e)}
        />
        <button type="submit" class="button" disabled={!text.trim()}>
          Send
        </button>
        {error && (
          <p class="field-error" role="alert">
            {error}
          </p>
        )}
      </form>
    </>
  );
}

/** What happened to a ticket, oldest first. */
export function History({ ticket }: { ticket: Ticket }) {
  const query = useQuery(
    (stop) => listTicketHistory({ parent: ticket.name, pageSize: PAGE }, stop),
    `history ${ticket.name}`,
    ["maintenance.ticket."],
  );
  if (query.error) return <Failed error={query.error} retry={query.reload} />;
  if (!query.data) return <Skeleton lines={3} />;
  if (!query.data.events.length) return <Empty title="Nothing happened yet." />;
  return (
    <ol class="history">
      {query.data.events.map((e) => (
        <li key={e.name}>
          <Time at={e.createTime} seconds />
          <span>{e.type.replace("ticket.", "").replaceAll("_", " ")}</span>
          <span class="quiet">
            {person(e.actor)}
            {e.toState !== "TICKET_STATE_UNSPECIFIED" && e.toState !== e.fromState
              ? `, now ${ticketStateWord(e.toState).toLowerCase()}`
              : ""}
          </span>
          {e.detail && <span class="history-detail">{e.detail}</span>}
        </li>
      ))}
    </ol>
  );
}
