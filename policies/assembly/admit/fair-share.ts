// fair-share: when requests have to wait, the tenant that has had most waits
// longest.
//
// Each tenant has a counter of what it has used: prompt + 2 × output tokens, the
// output as expected when the request is let in and corrected when it ends. While
// slots are free everybody is let in. When there are none, as free-slot tells, a
// tenant is shed if its counter is more than `lead` above the lowest of all who
// have asked within ten seconds. Who comes, or comes back, begins at that lowest
// counter, so that having been away earns nothing. Two tenants who keep asking
// are therefore never further apart than lead, one request and what the estimates
// of those being served are wrong by.
//
// Y. Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024): the
// virtual token counter, which there chooses from a queue, and here who may wait.
// As there, no slot stays free while anybody asks.
//
// Use it where tenants share a mesh and none has paid for more than others.
// Parameter: lead, weighted tokens, 0 to 2^32 - 1.
import { EVENT_DONE, EVENT_FAILED, QUEUE, SHED, BAD_REQUEST, SEEN_PART, open, openEvent, answer, verdict, openSettings, nextSetting, isSetting, setting, closeSettings } from "../../sdk/assemblyscript/omx";
import { TENANT, gate, comeBack } from "../gate";
import { accounts, accountsEnd, Account, find, openAccount, charge, settle } from "../tenants";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const OUT: i64 = 2; // an output token costs so many prompt tokens, as in the paper
const ACTIVE: u64 = 10_000_000; // µs since a tenant asked

let lead: i64 = 4000;
let floor: i64 = 0; // the highest that the lowest counter has been

export function omx_init(text: usize, length: u32): u32 {
  openSettings(text, length);
  while (nextSetting()) if (isSetting("lead")) lead = setting(0, u32.MAX_VALUE);
  return closeSettings();
}

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_admit(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || h.count == 0) return answer(BAD_REQUEST);
  const r = h.row(0), now = max(h.now, 1);
  const a = counter(h.tenant, now);
  const entry = gate(h, r), action = <u32>entry & 0xff;
  if (action == QUEUE && a.tokens > lowest(now) + lead) return verdict(SHED, TENANT, comeBack(h, r));
  if (action < SHED) {
    const cost = <i64>h.prompt + OUT * h.expectOut;
    a.tokens += cost;
    charge(h.request, cost);
  }
  return entry;
}

/** Corrects what a request was expected to use. */
export function omx_event(at: usize, length: u32): void {
  const e = openEvent(at);
  if (e.kind != EVENT_DONE && e.kind != EVENT_FAILED) return;
  const charged = settle(e.request);
  if (charged < 0) return;
  const a = find(e.tenant);
  if (a == null) return;
  const used: i64 = e.kind == EVENT_FAILED && e.output == 0 ? 0 : <i64>e.prompt + OUT * e.output;
  a.tokens += used - charged;
}

/** The tenant's counter, lifted if it has been away. */
function counter(tenant: u64, now: u64): Account {
  let a = find(tenant);
  if (a == null) {
    const least = lowest(now);
    a = openAccount(tenant, least);
  } else if (now - a.usedAt > ACTIVE) {
    a.tokens = max(a.tokens, lowest(now));
  }
  a.usedAt = now;
  return a;
}

/** The lowest counter of those who ask, or what it was when there were any. */
function lowest(now: u64): i64 {
  const since = now > ACTIVE ? now - ACTIVE : 1;
  let least = i64.MAX_VALUE;
  for (let at = accounts; at < accountsEnd; at += offsetof<Account>()) {
    const a = changetype<Account>(at);
    if (a.usedAt >= since && a.tokens < least) least = a.tokens;
  }
  if (least == i64.MAX_VALUE) return floor;
  floor = max(floor, least);
  return least;
}
