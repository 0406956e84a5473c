import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, onSignedOut } from "../src/api";
import {
  approveTicket,
  getTicket,
  listAlarms,
  queryPoints,
  type Ticket,
  updateTicket,
} from "../src/contracts";
import { TICKET_ACTIONS, validActions } from "../src/lifecycle";

const answer = (body: unknown, status = 200): void => {
  vi.stubGlobal(
    "fetch",
    vi.fn(async () => new Response(JSON.stringify(body), { status })),
  );
};
const asked = (): [string, RequestInit] => vi.mocked(fetch).mock.calls[0] as [string, RequestInit];

afterEach(() => vi.unstubAllGlobals());

describe("a call", () => {
  it("puts back what protobuf's JSON leaves out", async () => {
    answer({ name: "tickets/1", advisory: { evidence: { features: [{ channel: "A", value: "NaN" }] } } });
    const ticket = await getTicket({ name: "tickets/1" });
    expect(asked()[0]).toBe("/v1/tickets/1");
    expect(ticket.suggestedSteps).toEqual([]);
    expect(ticket.state).toBe("TICKET_STATE_UNSPECIFIED");
    expect(ticket.advisory?.evidence?.features[0]).toMatchObject({ channel: "A", value: NaN, limit: 0 });
    expect(ticket.createTime).toBeUndefined();
  });

  it("sends a query, a body without what the path has, or one message of it", async () => {
    answer({});
    await listAlarms({ states: ["ALARM_STATE_SHELVED"], pageSize: 5 });
    expect(asked()[0]).toBe("/v1/alarms?states=ALARM_STATE_SHELVED&pageSize=5");
    answer({});
    await approveTicket({ name: "tickets/1", etag: "x" });
    expect(asked()).toMatchObject(["/v1/tickets/1:approve", { method: "POST", body: '{"etag":"x"}' }]);
    answer({});
    await updateTicket({ ticket: { name: "tickets/1", title: "T" } as Ticket, updateMask: "title" });
    expect(asked()).toMatchObject([
      "/v1/tickets/1?updateMask=title",
      { method: "PATCH", body: '{"name":"tickets/1","title":"T"}' },
    ]);
  });

  it("reads numbers that JSON cannot say", async () => {
    answer({
      unit: "bar",
      timeMs: ["1", "2"],
      value: [1.5, "NaN"],
      minimum: [1, "NaN"],
      maximum: [2, "NaN"],
    });
    const { value, timeMs } = await queryPoints({ equipment: "P-101", series: "Flow" });
    expect(value).toEqual([1.5, NaN]);
    expect(timeMs.map(Number)).toEqual([1, 2]);
  });

  it("raises the server's words with the fields they are about", async () => {
    answer(
      {
        title: "Bad Request",
        detail: "expire_time is past",
        code: "INVALID_ARGUMENT",
        errors: [{ field: "expire_time", message: "is past" }],
      },
      400,
    );
    const refused = await getTicket({ name: "tickets/1" }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({ status: 400, code: "INVALID_ARGUMENT", message: "expire_time is past" });
    expect((refused as ApiError).errors).toEqual([{ field: "expire_time", message: "is past" }]);
  });

  it("tells when the session has ended", async () => {
    const ended = vi.spyOn(onSignedOut, "call").mockReturnValue(undefined);
    answer({ detail: "sign in" }, 401);
    await expect(getTicket({ name: "tickets/1" })).rejects.toThrow("sign in");
    expect(ended).toHaveBeenCalledOnce();
  });

  it("says so when the server cannot be reached", async () => {
    vi.stubGlobal("fetch", vi.fn().mockRejectedValue(new TypeError("refused")));
    await expect(getTicket({ name: "tickets/1" })).rejects.toMatchObject({ status: 0, code: "UNREACHABLE" });
  });
});

describe("the life of a ticket", () => {
  const labels = (state: Ticket["state"], priority: Ticket["priority"] = "TICKET_PRIORITY_HIGH"): string[] =>
    validActions(TICKET_ACTIONS, { priority } as Ticket, state).map((a) => a.label);

  it("offers only what the state allows", () => {
    expect(labels("TICKET_STATE_REQUESTED")).toEqual(["Approve", "Reject", "Cancel ticket"]);
    expect(labels("TICKET_STATE_IN_PROGRESS")).toEqual(["Complete", "Hold", "Cancel ticket"]);
    expect(labels("TICKET_STATE_CLOSED")).toEqual([]);
  });

  it("lets an emergency start without a plan", () => {
    expect(labels("TICKET_STATE_APPROVED")).not.toContain("Start at once");
    expect(labels("TICKET_STATE_APPROVED", "TICKET_PRIORITY_EMERGENCY")).toContain("Start at once");
  });
});
