// What the admission policies that count tokens remember: an account per tenant,
// and what each request was charged until it ends. Both are bounded: accounts in
// sets of eight, of which the one idle for longest gives way, requests by hash,
// where a later one takes the place of an earlier.
import { hash } from "../sdk/assemblyscript/omx";

@unmanaged
export class Account {
  tenant: u64;
  usedAt: u64; // µs of the host's clock; 0: nobody's
  tokens: i64;
}

const ACCOUNTS: u32 = 256; // tenants of one node in the last minutes
const WAYS: u32 = 8;
/** Where the accounts lie, one after the other. */
export const accounts: usize = memory.data(ACCOUNTS * 24, 8), accountsEnd: usize = accounts + ACCOUNTS * 24;

const REQUESTS: u32 = 1024; // in flight
const requests: usize = memory.data(REQUESTS * 16, 8);

@inline
function account(i: u32): Account { return changetype<Account>(accounts + i * offsetof<Account>()); }

/** The tenant's account, or null. */
export function find(tenant: u64): Account | null {
  const set = setOf(tenant);
  for (let i: u32 = 0; i < WAYS; i++) {
    const a = account(set + i);
    if (a.tenant == tenant && a.usedAt != 0) return a;
  }
  return null;
}

/** An account for a tenant who has none. */
export function openAccount(tenant: u64, tokens: i64): Account {
  const set = setOf(tenant);
  let idle = account(set);
  for (let i: u32 = 1; i < WAYS; i++) {
    const a = account(set + i);
    if (a.usedAt < idle.usedAt) idle = a;
  }
  idle.tenant = tenant;
  idle.tokens = tokens;
  return idle;
}

@inline
function setOf(tenant: u64): u32 { return <u32>hash(tenant, 1) % (ACCOUNTS / WAYS) * WAYS; }

/** Remembers what a request was charged. */
export function charge(request: u64, tokens: u64): void {
  const at = placeOf(request);
  store<u64>(at, request);
  store<u64>(at, min<u64>(tokens, i64.MAX_VALUE) + 1, 8);
}

/** What the request was charged, once; -1 if that is not known. */
export function settle(request: u64): i64 {
  const at = placeOf(request);
  if (load<u64>(at) != request) return -1;
  const tokens = load<i64>(at, 8) - 1;
  store<u64>(at, 0, 8);
  return tokens;
}

@inline
function placeOf(request: u64): usize { return requests + (<u32>hash(request, 2) % REQUESTS << 4); }
