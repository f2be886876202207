//! Hears events, takes parameters and reads the extension: for the SDK's test.
#![no_std]
#![crate_type = "cdylib"]

mod omx;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use omx::*;

export!(init: take);
export!(event: hear);
export!(route: route);
export!(wants: wants);

static PARAMS: AtomicU32 = AtomicU32::new(0);
static HEARD: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicU64 = AtomicU64::new(0);

fn take(params: &[u8]) -> u32 {
    match params.split_last() {
        Some((b'\n', line)) => {
            log(1, core::str::from_utf8(line).unwrap_or("not text"));
            PARAMS.store(params.len() as u32, Relaxed);
            0
        }
        _ => 1,
    }
}

fn hear(e: &Event) {
    if e.kind as u32 == EVENT_DONE {
        HEARD.store(HEARD.load(Relaxed) + 1, Relaxed);
        LAST.store(e.node, Relaxed);
        count(2, e.output as i64);
    }
}

fn route(v: &mut View) -> u64 {
    let labels: u32 = v.items().filter(|i| i.0 == TAG_LABEL).map(|i| i.1.len() as u32 * 100 + i.1[0] as u32).sum();
    let base = 1_000_000 * HEARD.load(Relaxed) + labels + 10 * PARAMS.load(Relaxed);
    v.score_rows(|h, r| base + (r.node == LAST.load(Relaxed)) as u32 + h.age(r.rtt_at));
    v.lowest()
}

fn wants(_kind: u32) -> u64 {
    LOAD_PART | want(TAG_LABEL)
}
