// token-bucket: each tenant may use so many tokens per second, and save some up.
//
// A request costs prompt + expectOut, and is let in if the tenant's bucket holds
// that much, or is full. When it ends, what it did not use is given back, or what
// it used beyond is taken: nothing if it failed before the first token. So in any
// time t a tenant uses at most burst + rate × t, and what estimates were wrong by.
// The shed says when there will be enough. A tenant without a bucket begins with
// a full one; a node remembers 256, and forgets the one that was idle longest.
//
// Requests of peers have paid where they came from. What has paid is let in as by
// free-slot.
//
// J. Turner, "New Directions in Communications" (1986); counting tokens instead
// of requests, as the gateways of the inference providers do.
//
// Use it where tenants have paid for a rate, or must not take all of a mesh.
// Parameters: rate, tokens per second, 1 to 1000000; burst, tokens, 1 to 2^32 - 1.
import { EVENT_DONE, EVENT_FAILED, SHED, BAD_REQUEST, SEEN_PART, open, openEvent, answer, verdict, openSettings, nextSetting, isSetting, setting, closeSettings } from "../../sdk/assemblyscript/omx";
import { TENANT, gate } from "../gate";
import { Account, find, openAccount, charge, settle } from "../tenants";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const MILLION: i64 = 1_000_000; // accounts are kept in millionths of a token: a rate is then one per µs

let rate: i64 = 200; // tokens per second: some ten answers being read
let burst: i64 = 60_000; // tokens: a long document

export function omx_init(text: usize, length: u32): u32 {
  openSettings(text, length);
  while (nextSetting()) {
    if (isSetting("rate")) rate = setting(1, 1_000_000);
    if (isSetting("burst")) burst = setting(1, u32.MAX_VALUE);
  }
  return closeSettings();
}

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_admit(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || h.count == 0) return answer(BAD_REQUEST);
  const r = h.row(0);
  if (h.fromPeer) return gate(h, r);
  const a = bucket(h.tenant, h.now);
  const cost = <i64>h.prompt + h.expectOut;
  const missing = min(cost, burst) * MILLION - a.tokens;
  if (missing > 0) {
    const tenths = (missing / rate + 99_999) / 100_000;
    return verdict(SHED, TENANT, <u32>min<i64>(tenths, 0xffff));
  }
  const entry = gate(h, r);
  if ((<u32>entry & 0xff) < SHED) {
    a.tokens -= cost * MILLION;
    charge(h.request, cost);
  }
  return entry;
}

/** Settles what a request has really used. */
export function omx_event(at: usize, length: u32): void {
  const e = openEvent(at);
  if (e.kind != EVENT_DONE && e.kind != EVENT_FAILED) return;
  const charged = settle(e.request);
  if (charged < 0) return;
  const a = find(e.tenant);
  if (a == null) return;
  const used: i64 = e.kind == EVENT_FAILED && e.output == 0 ? 0 : <i64>e.prompt + e.output;
  a.tokens = min(a.tokens + (charged - used) * MILLION, burst * MILLION);
}

/** The tenant's account, with what has come in since it was looked at last. */
function bucket(tenant: u64, now: u64): Account {
  let a = find(tenant);
  if (a == null) {
    a = openAccount(tenant, burst * MILLION);
  } else if (now > a.usedAt) {
    const full = burst * MILLION;
    // At most the time in which any debt and the whole bucket fill up.
    const since = <i64>min<u64>(now - a.usedAt, <u64>((full - a.tokens) / rate + 1));
    a.tokens = min(a.tokens + since * rate, full);
  }
  a.usedAt = max(now, 1);
  return a;
}
