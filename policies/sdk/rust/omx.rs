//! The omx policy SDK for Rust: what a policy sees, field by field, and helpers
//! to answer. ABI.md, which comes with omx, explains the interface. No std, no
//! allocation, Rust 1.63 or later; a module of the policy, which is a crate of
//! type cdylib.
//!
//! A routing policy gives every row a score, lower is better, and answers with
//! the lowest:
//!
//! ```
//! #![no_std]
//! #![crate_type = "cdylib"]
//!
//! mod omx;
//! use omx::*;
//!
//! export!(route: nearest);
//! export!(wants: wants);
//!
//! fn nearest(v: &mut View) -> u64 {
//!     v.score_rows(|_, r| if r.usable() { r.rtt } else { NEVER });
//!     v.lowest()
//! }
//!
//! fn wants(_kind: u32) -> u64 {
//!     LOAD_PART
//! }
//! ```
//!
//! What is exported tells which decisions are taken here.
//!
//! The host may send shorter rows than a `Row`: where the policy's `wants` asks
//! for no more than `LOAD_PART`, a row ends after that part, and what a `Row`
//! shows beyond belongs to the next one. Read only what you asked for; a policy
//! without `wants` gets whole rows.
#![allow(dead_code, unused_imports, unused_macros, unknown_lints, static_mut_refs)]

// generated: begin rust

/// The version of the interface this file describes: major << 16 | minor.
pub const VERSION: u32 = 1 << 16 | 0;

// Kind: which decision is asked for.
pub const ADMIT: u32 = 1; // may this request in; one row: this node
pub const ROUTE: u32 = 2; // which node serves it; a row per candidate
pub const REPLICATE: u32 = 3; // which node keeps which model; a row per node

// Status: how a decision ended.
pub const OK: u32 = 0; // the value is the answer
pub const BAD_REQUEST: u32 = 1; // the view cannot be read; the built-in rule decides
pub const NO_CANDIDATE: u32 = 2; // nobody should serve this
pub const ABSTAIN: u32 = 3; // no opinion: the built-in rule decides
pub const UNSUPPORTED: u32 = 4; // this kind is not decided here; the built-in rule decides

// Action: what admission says.
pub const ALLOW: u32 = 0; // now
pub const QUEUE: u32 = 1; // when a slot is free
pub const SHED: u32 = 2; // later: come back after the wait
pub const REJECT: u32 = 3; // never

// Op: what replication wants done.
pub const FETCH: u32 = 1; // the node gets a copy of the model
pub const DROP: u32 = 2; // the node gives its copy up
pub const LOAD: u32 = 3; // the node makes the model answer, before anybody asks
pub const UNLOAD: u32 = 4; // the node keeps the file but frees its memory

// Event: what happened.
pub const EVENT_DISPATCHED: u32 = 1; // a request was sent to a node
pub const EVENT_FIRST: u32 = 2; // its first token came
pub const EVENT_DONE: u32 = 3; // it ended well
pub const EVENT_FAILED: u32 = 4; // the node broke it off
pub const EVENT_PROBED: u32 = 5; // a node answered a probe
pub const EVENT_JOINED: u32 = 6; // a node came up
pub const EVENT_LEFT: u32 = 7; // a node went away
pub const EVENT_TICK: u32 = 8; // a second has passed
pub const EVENT_ADMITTED: u32 = 9; // a request was let in
pub const EVENT_REFUSED: u32 = 10; // a request was shed or rejected

// State: of a copy of a model.
pub const STATE_PARTIAL: u32 = 1; // some of it is there
pub const STATE_ON_DISK: u32 = 2; // all of it is there
pub const STATE_LOADING: u32 = 3; // it is being loaded
pub const STATE_LOADED: u32 = 4; // it answers

// Tag: of an item of the extension.
pub const TAG_MODEL_NAME: u32 = 1; // text
pub const TAG_TENANT_NAME: u32 = 2; // text
pub const TAG_LABEL: u32 = 3; // text, key=value, of the request
pub const TAG_NODE_LABEL: u32 = 4; // u32 row, then text key=value
pub const TAG_ZONE: u32 = 5; // u32 zone in which the request must stay
pub const TAG_EXCLUDED: u32 = 6; // u64 handle of a node that must not serve it
pub const TAG_PREFIX_BLOCKS: u32 = 7; // per block of the prompt, in order: u64 hash of all up to its end, u32 tokens of it
pub const TAG_ALTERNATE: u32 = 8; // u64 handle of a model that would do as well
pub const TAG_ADAPTER: u32 = 9; // u64 handle of the adapter asked for

// Flags of a request.
pub const STREAMED: u32 = 1; // the client reads tokens as they come
pub const FROM_PEER: u32 = 2; // another node sent it here
pub const ESTIMATED: u32 = 4; // the prompt token count is an estimate

// Flags of a node.
pub const SELF: u32 = 1; // this node
pub const LOADED: u32 = 2; // the model answers now; without it, it must be loaded first
pub const DRAINING: u32 = 4; // takes no new requests; the host never sends one there, whatever the policy says
pub const SUSPECT: u32 = 8; // a request there has just failed
pub const RELAYED: u32 = 16; // reached through a third node
pub const STORED: u32 = 32; // the model is on its disk
pub const LOADING: u32 = 64; // the model is being loaded there
pub const EXACT_PREFIX: u32 = 128; // the prefix figure is the node's own and no estimate
pub const METERED_LINK: u32 = 256; // traffic to it costs money

// Flags of a model.
pub const MODEL_PINNED: u32 = 1; // the operator wants it kept
pub const MODEL_HERE: u32 = 2; // this node holds a copy

// Flags of a copy of a model.
pub const COPY_VERIFIED: u32 = 1; // its digest was checked
pub const COPY_HELD: u32 = 2; // the operator wants it kept there

/// The request, and what is known of the mesh around it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    /// `OMX1`, 0x31584d4f
    pub magic: u32,
    /// minor version of the host
    pub minor: u16,
    /// 1 admit, 2 route, 3 replicate
    pub kind: u16,
    /// rows
    pub count: u32,
    /// bytes per row
    pub stride: u16,
    /// bytes of this header: where the rows start
    pub header: u16,
    /// bytes from the view's start to where the policy writes: a score per row (route), actions (replicate)
    pub scores: u32,
    /// bytes from the view's start to the extension; 0 none
    pub ext: u32,
    /// bytes of the extension
    pub ext_len: u32,
    /// bytes of the whole view
    pub length: u32,
    /// µs; the host's clock, of no fixed start
    pub now: u64,
    /// for tie breaks and sampling
    pub seed: u64,
    /// request id
    pub request: u64,
    /// model handle
    pub model: u64,
    /// tenant handle; 0 anonymous
    pub tenant: u64,
    /// conversation handle; 0 none
    pub session: u64,
    /// hash of the prompt's beginning, keyed per tenant; 0 none
    pub affinity: u64,
    /// handle of the node that answered the conversation last; 0 none
    pub previous: u64,
    /// handle of the node whose client asked
    pub entry: u64,
    /// handle of the node that sent it here; 0 a client of this node
    pub peer: u64,
    /// ms; now on the clock of all fields named …At, which wraps after 49 days
    pub clock: u32,
    /// ms; when this picture of the mesh was put together
    pub view_at: u32,
    /// prompt tokens
    pub prompt: u32,
    /// most output tokens asked for; 0 unknown
    pub max_out: u32,
    /// output tokens expected
    pub expect_out: u32,
    /// standard deviation of that; 0 unknown
    pub spread_out: u32,
    /// below 0 may be shed first
    pub priority: i32,
    /// class of service, as the operator numbers them
    pub class: u32,
    /// ms left; 0 none
    pub deadline: u32,
    /// ms to the first token that are wanted; 0 none
    pub want_first: u32,
    /// µs per output token that are wanted; 0 none
    pub want_each: u32,
    /// of the request
    pub flags: u32,
    /// earlier tries of this request
    pub attempt: u32,
    /// nodes it has passed
    pub hops: u32,
    /// row of this node; 0xffffffff if it is no candidate
    pub self_row: u32,
    /// turn of the conversation; 0 unknown
    pub turn: u32,
    /// µs; 0 unknown
    pub client_rtt: u32,
    /// nodes known, up or not
    pub nodes: u32,
    /// nodes that are up
    pub nodes_up: u32,
    /// ms by which clocks of nodes may differ; 0 unknown
    pub skew: u32,
    /// requests per hour for this model at this node, over about a minute
    pub demand1m: u32,
    /// the same over ten minutes
    pub demand10m: u32,
    /// the same over an hour
    pub demand1h: u32,
    /// nodes that are up and hold the model
    pub replicas: u32,
    /// per mille of the slots of those nodes that are taken, by their last word
    pub saturation: u32,
    /// prompt tokens that wait at this node
    pub queue_tokens: u32,
    /// ms that the oldest waiting request has waited at this node
    pub queue_oldest: u32,
    /// tenants with a request at this node
    pub tenants: u32,
    /// requests of this tenant at this node
    pub tenant_in_flight: u32,
    /// tokens this tenant used at this node, over about a minute
    pub tenant_tokens: u32,
    /// requests that asked to be admitted here in the last ten seconds or so
    pub offered: u32,
    /// those of them that were
    pub admitted: u32,
    /// bytes from the view's start to the models (replicate)
    pub models_at: u32,
    /// how many
    pub models: u16,
    /// bytes per model
    pub model_stride: u16,
    /// bytes from the view's start to the copies (replicate)
    pub copies_at: u32,
    /// how many
    pub copies: u16,
    /// bytes per copy
    pub copy_stride: u16,
}
const _: [(); 256] = [(); core::mem::size_of::<Header>()];

/// A node.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Row {
    /// handle
    pub node: u64,
    /// of the node
    pub flags: u32,
    /// requests it serves at a time
    pub slots: u32,
    /// requests waiting there
    pub queued: u32,
    /// requests being served there
    pub running: u32,
    /// ms; when slots, queued, running and pending were sampled; 0 never
    pub load_at: u32,
    /// prompt tokens that wait there or are being read
    pub pending: u32,
    /// ns per prompt token
    pub prefill: u32,
    /// µs per output token of a request that is alone
    pub decode: u32,
    /// ms; when prefill, decode and batch were measured; 0 never
    pub speed_at: u32,
    /// µs of round trip
    pub rtt: u32,
    /// ms; 0 never
    pub rtt_at: u32,
    /// per mille of decode by which a token takes longer for each further request
    pub batch: u32,
    /// ms until the model answers there; 0 at once
    pub ready: u32,
    /// failure domain
    pub zone: u32,
    /// requests sent there after loadAt that have not ended
    pub sent_since: u32,
    /// requests of this node there now
    pub in_flight: u32,
    /// prompt and expected output tokens of those
    pub in_flight_tokens: u32,
    /// ms; when a request was last sent there; 0 never
    pub used_at: u32,
    /// failures per thousand requests
    pub errors: u32,
    /// ms; when the last request ended; 0 never
    pub errors_at: u32,
    /// µs to the first token, moving average
    pub first: u32,
    /// µs, the same that rises at once and sinks over some ten seconds
    pub first_peak: u32,
    /// ms; 0 never
    pub first_at: u32,
    /// µs per output token, moving average
    pub each: u32,
    /// requests that ended well
    pub done: u32,
    /// prompt tokens of this request cached there
    pub prefix: u32,
    /// ms; when that was known; 0 never
    pub prefix_at: u32,
    /// requests in flight there by its freshest word
    pub rif: u32,
    /// µs to the first token seen at about as many in flight; 0 unknown
    pub rif_first: u32,
    /// ms; 0 never
    pub rif_at: u32,
    /// MiB
    pub mem_free: u32,
    /// MiB
    pub mem_total: u32,
    /// MiB
    pub vram_free: u32,
    /// MiB
    pub vram_total: u32,
    /// MiB
    pub disk_free: u32,
    /// ms; when these were sampled; 0 never
    pub machine_at: u32,
    /// kbit/s it sends
    pub up: u32,
    /// kbit/s it receives
    pub down: u32,
    /// ms; when those were measured; 0 never
    pub link_at: u32,
    /// lost packets per million
    pub loss: u32,
    /// µs, shortest round trip of late
    pub rtt_min: u32,
    /// µs, 95 of 100 round trips are shorter
    pub rtt_high: u32,
    /// handle of its kind of machine; 0 unknown
    pub device: u32,
    /// mW; 0 unknown
    pub power: u32,
    /// per mille of speed lost to heat
    pub throttle: u32,
    /// per mille; 0xffffffff none
    pub battery: u32,
    /// µs, network coordinate
    pub coord_x: i32,
    /// µs
    pub coord_y: i32,
    /// µs
    pub coord_height: u32,
    /// per mille; 0 unknown
    pub coord_error: u32,
    /// ms; when it was first heard of; 0 unknown
    pub joined_at: u32,
    /// ms; since when it has been up; 0 unknown
    pub up_at: u32,
    /// per million of the time it is up; 0 unknown
    pub availability: u32,
    /// per mille of its promises kept; 0 unknown
    pub reputation: u32,
    /// as the operator numbers them
    pub region: u32,
    /// as the operator numbers them
    pub site: u32,
    /// autonomous system; 0 unknown
    pub asn: u32,
    /// tier, as the operator numbers them
    pub trust: u32,
    /// tokens that a slot holds; 0 unknown
    pub context: u32,
    /// tokens held in all slots
    pub context_used: u32,
    /// µJ per output token; 0 unknown
    pub energy: u32,
    /// millionths per thousand tokens; 0 unknown
    pub price: u32,
}
const _: [(); 256] = [(); core::mem::size_of::<Row>()];

/// A model (replicate).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Model {
    /// handle
    pub model: u64,
    /// of its file
    pub bytes: u64,
    /// of the model
    pub flags: u32,
    /// nodes that are up and hold all of it
    pub copies: u32,
    /// failure domains those are in
    pub zones: u32,
    /// copies the operator wants at least
    pub least: u32,
    /// copies the operator wants at most; 0 any number
    pub most: u32,
    /// transfers under way
    pub moving: u32,
    /// requests per hour in the mesh as far as this node knows, over about a minute
    pub demand1m: u32,
    /// the same over ten minutes
    pub demand10m: u32,
    /// the same over an hour
    pub demand1h: u32,
    /// by demand over an hour, the most wanted is 0
    pub rank: u32,
    /// s to get a copy from the best holder to this node; 0xffffffff nobody has it
    pub refetch: u32,
    /// ms; when it was last asked for; 0 never
    pub used_at: u32,
}
const _: [(); 64] = [(); core::mem::size_of::<Model>()];

/// A copy of a model at a node (replicate).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Copy {
    /// which, by its place in the models
    pub model: u16,
    /// which, by its row
    pub node: u16,
    /// of the copy
    pub state: u32,
    /// per mille of its bytes that are there
    pub part: u32,
    /// ms; since when; 0 unknown
    pub held_at: u32,
    /// ms; when it last answered; 0 never
    pub used_at: u32,
    /// of the copy
    pub flags: u32,
}
const _: [(); 24] = [(); core::mem::size_of::<Copy>()];

/// One action that replication answers with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Step {
    /// what to do
    pub op: u16,
    /// which, by its place in the models
    pub model: u16,
    /// where, by its row
    pub node: u16,
    /// row of the node to fetch from; 0xffff any
    pub source: u16,
    /// higher goes first
    pub priority: u32,
    /// kbit/s it may take; 0 as the operator allows
    pub budget: u32,
}
const _: [(); 16] = [(); core::mem::size_of::<Step>()];

/// What happened; handed to omx_event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Event {
    /// what happened
    pub kind: u16,
    /// of the request
    pub flags: u16,
    /// ms; now on the clock of all fields named …At
    pub clock: u32,
    /// µs
    pub now: u64,
    /// request id; 0 none
    pub request: u64,
    /// handle; 0 none
    pub node: u64,
    /// handle; 0 none
    pub model: u64,
    /// handle; 0 anonymous
    pub tenant: u64,
    /// conversation handle; 0 none
    pub session: u64,
    /// prompt tokens
    pub prompt: u32,
    /// output tokens so far
    pub output: u32,
    /// µs to the first token; 0 none yet
    pub first: u32,
    /// µs so far
    pub took: u32,
    /// requests in flight at the node when it began this one, or that a probe told
    pub rif: u32,
    /// µs: of a probe, what a request there takes to its first token
    pub latency: u32,
    /// of a refusal: the policy's code
    pub reason: u32,
    /// 0
    pub reserved: u32,
}
const _: [(); 88] = [(); core::mem::size_of::<Event>()];
// generated: end

/// "OMX1", with which a view begins.
pub const MAGIC: u32 = 0x3158_4d4f;
/// As a figure or a row index: none.
pub const NONE: u32 = u32::MAX;
/// The score that keeps a row out of the picks.
pub const NEVER: u32 = u32::MAX;
/// The largest score a row can have and still be picked.
pub const MOST: u32 = NEVER - 1;
/// As the source of a step: any node that holds the model.
pub const ANY: u16 = u16::MAX;
/// Most steps of an answer.
pub const STEPS: u32 = 256;

// What a policy reads of each row, for wants.
pub const LOAD_PART: u64 = 64;
pub const SEEN_PART: u64 = 128;
pub const MACHINE_PART: u64 = 192;
pub const STANDING_PART: u64 = 256;

/// An item of the extension, for wants: `LOAD_PART | want(TAG_LABEL)`.
pub const fn want(tag: u32) -> u64 {
    1 << (32 + tag)
}

/// Exports a function of the policy to the host:
///
/// - `export!(route: f)`, `admit` or `replicate`, with `fn f(v: &mut View) -> u64`
/// - `export!(event: f)` with `fn f(e: &Event)`
/// - `export!(init: f)` with `fn f(params: &[u8]) -> u32`, 0 if they are taken
/// - `export!(wants: f)` with `fn f(kind: u32) -> u64`
macro_rules! export {
    (@decide $name:ident $f:path) => {
        #[no_mangle]
        pub extern "C" fn $name(view: *mut u8, length: u32) -> u64 {
            match unsafe { $crate::omx::View::open(view, length) } {
                Some(mut v) => $f(&mut v),
                None => $crate::omx::answer($crate::omx::BAD_REQUEST, 0),
            }
        }
    };
    (admit: $f:path) => { $crate::omx::export!(@decide omx_admit $f); };
    (route: $f:path) => { $crate::omx::export!(@decide omx_route $f); };
    (replicate: $f:path) => { $crate::omx::export!(@decide omx_replicate $f); };
    (event: $f:path) => {
        #[no_mangle]
        pub extern "C" fn omx_event(event: *const $crate::omx::Event, length: u32) {
            if length as usize >= core::mem::size_of::<$crate::omx::Event>() {
                $f(unsafe { &*event })
            }
        }
    };
    (init: $f:path) => {
        #[no_mangle]
        pub extern "C" fn omx_init(params: *const u8, length: u32) -> u32 {
            $f(unsafe { core::slice::from_raw_parts(params, length as usize) })
        }
    };
    (wants: $f:path) => {
        #[no_mangle]
        pub extern "C" fn omx_wants(kind: u32) -> u64 {
            $f(kind)
        }
    };
}
pub(crate) use export;

/// A view: the fields of its header, and the way to all else that is in it.
/// Asking for what is not there ends the call, as a panic does.
pub struct View {
    at: *mut u8,
    count: u32,
    stride: usize,
    rows: *const u8,
    scores: *mut u32,
}

impl core::ops::Deref for View {
    type Target = Header;
    #[inline(always)]
    fn deref(&self) -> &Header {
        unsafe { &*(self.at as *const Header) }
    }
}

impl View {
    /// The view at a place, or none if there is none.
    ///
    /// # Safety
    /// The bytes are the host's, who gave their length, and stay for the call.
    #[inline(always)]
    pub unsafe fn open(at: *mut u8, length: u32) -> Option<View> {
        if (length as usize) < core::mem::size_of::<Header>() {
            return None;
        }
        let h = &*(at as *const Header);
        let rows = h.count as u64 * h.stride as u64 + h.header as u64;
        if h.magic != MAGIC || rows > h.scores as u64 || h.scores > length || h.ext as u64 + h.ext_len as u64 > length as u64 {
            return None;
        }
        Some(View {
            at,
            count: h.count,
            stride: h.stride as usize,
            rows: at.add(h.header as usize),
            scores: at.add(h.scores as usize) as *mut u32,
        })
    }

    /// Row i.
    #[inline(always)]
    pub fn row(&self, i: u32) -> &Row {
        within(i, self.count);
        unsafe { &*(self.rows.add(i as usize * self.stride) as *const Row) }
    }

    /// Model i of a replicate view.
    #[inline(always)]
    pub fn model_at(&self, i: u32) -> &Model {
        within(i, self.models as u32);
        unsafe { &*(self.at.add(self.models_at as usize + i as usize * self.model_stride as usize) as *const Model) }
    }

    /// Copy i of a replicate view.
    #[inline(always)]
    pub fn copy_at(&self, i: u32) -> &Copy {
        within(i, self.copies as u32);
        unsafe { &*(self.at.add(self.copies_at as usize + i as usize * self.copy_stride as usize) as *const Copy) }
    }

    /// The items of the extension: tags and values.
    #[inline(always)]
    pub fn items(&self) -> Items {
        let length = if self.ext == 0 { 0 } else { self.ext_len as usize };
        Items { rest: unsafe { core::slice::from_raw_parts(self.at.add(self.ext as usize), length) } }
    }

    /// Writes step i of a replication answer; below STEPS.
    #[inline(always)]
    pub fn set_step(&mut self, i: u32, step: Step) {
        within(i, STEPS);
        unsafe { *(self.scores as *mut Step).add(i as usize) = step }
    }

    /// Writes the score of row i.
    #[inline(always)]
    pub fn set_score(&mut self, i: u32, score: u32) {
        within(i, self.count);
        unsafe { *self.scores.add(i as usize) = score }
    }

    /// Gives every row the score that f finds for it.
    #[inline(always)]
    pub fn score_rows(&mut self, mut f: impl FnMut(&Header, &Row) -> u32) {
        for i in 0..self.count {
            let score = f(self, self.row(i));
            self.set_score(i, score);
        }
    }

    /// Answers with the row of the lowest score; of equal ones the first, of
    /// none but NEVER no candidate.
    #[inline(always)]
    pub fn lowest(&self) -> u64 {
        let (mut best, mut pick) = (NEVER, NONE);
        for i in 0..self.count {
            let score = unsafe { *self.scores.add(i as usize) };
            if score < best {
                best = score;
                pick = i;
            }
        }
        if pick == NONE {
            answer(NO_CANDIDATE, 0)
        } else {
            answer(OK, pick)
        }
    }
}

/// The items of an extension.
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = (u32, &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        let head = self.rest.get(..4)?;
        let tag = u16::from_le_bytes([head[0], head[1]]) as u32;
        let length = u16::from_le_bytes([head[2], head[3]]) as usize;
        let value = self.rest.get(4..4 + length)?;
        self.rest = self.rest.get((4 + length + 3) & !3..).unwrap_or(&[]);
        Some((tag, value))
    }
}

#[inline(always)]
fn within(i: u32, n: u32) {
    if i >= n {
        stop()
    }
}

impl Header {
    /// ms since a moment that a field named `…_at` gives; NONE if it is 0: never.
    #[inline(always)]
    pub fn age(&self, at: u32) -> u32 {
        if at == 0 {
            NONE
        } else {
            self.clock.wrapping_sub(at)
        }
    }
}

impl Row {
    /// The model answers there now.
    #[inline(always)]
    pub fn loaded(&self) -> bool {
        self.flags & LOADED != 0
    }

    /// Neither draining nor suspect.
    #[inline(always)]
    pub fn usable(&self) -> bool {
        self.flags & (DRAINING | SUSPECT) == 0
    }

    /// Requests there: by its own word, and sent since. Takes SEEN_PART.
    #[inline(always)]
    pub fn requests(&self) -> u64 {
        self.sent_since as u64 + self.queued as u64 + self.running as u64
    }
}

/// An answer: a status and, with OK, a row index, a verdict or a number of steps.
#[inline(always)]
pub fn answer(status: u32, value: u32) -> u64 {
    (status as u64) << 32 | value as u64
}

/// An admission answer: an action, the policy's own reason code and, with SHED,
/// the wait in tenths of a second.
#[inline(always)]
pub fn verdict(action: u32, reason: u8, wait: u16) -> u64 {
    answer(OK, action | (reason as u32) << 8 | (wait as u32) << 16)
}

/// A 64-bit sum as a score.
#[inline(always)]
pub fn clamp(score: u64) -> u32 {
    score.min(MOST as u64) as u32
}

/// A well-mixed 64-bit hash of two numbers, for tie breaks and rendezvous.
#[inline(always)]
pub fn hash(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Writes a line to the host's log. A policy that never calls it imports nothing.
pub fn log(level: u32, text: &str) {
    unsafe { host::log(level, text.as_ptr(), text.len() as u32) }
}

/// Adds to a counter of the policy's own, which the host shows.
pub fn count(id: u32, delta: i64) {
    unsafe { host::count(id, delta) }
}

mod host {
    #[link(wasm_import_module = "omx1")]
    extern "C" {
        pub fn log(level: u32, text: *const u8, length: u32);
        pub fn count(id: u32, delta: i64);
    }
}

#[no_mangle]
pub extern "C" fn omx_abi() -> u32 {
    VERSION
}

#[derive(Clone, core::marker::Copy)]
struct Area {
    at: usize,
    bytes: usize,
}

// Where rows are short, the `Row` of the last one ends behind the view.
const SLACK: usize = core::mem::size_of::<Row>();
const VIEW_ROOM: usize = 32768 + SLACK;
const EVENT_ROOM: usize = 4096 + SLACK;

static mut VIEWS: [u64; VIEW_ROOM / 8] = [0; VIEW_ROOM / 8];
static mut EVENTS: [u64; EVENT_ROOM / 8] = [0; EVENT_ROOM / 8];
static mut AREAS: [Area; 2] = [Area { at: 0, bytes: 0 }; 2];

/// One area for the views of every kind, as a policy is called for one decision
/// at a time; events and parameters, kind 0, have their own. Beyond what lies in
/// the module, memory grows: the last area in it where it is.
#[no_mangle]
pub extern "C" fn omx_buf(kind: u32, bytes: u32) -> usize {
    // One thread calls, and nothing else touches the areas.
    unsafe {
        let area = &mut AREAS[(kind != 0) as usize];
        if area.at == 0 {
            *area = match kind {
                0 => Area { at: EVENTS.as_ptr() as usize, bytes: EVENT_ROOM },
                _ => Area { at: VIEWS.as_ptr() as usize, bytes: VIEW_ROOM },
            };
        }
        let need = bytes as usize + SLACK;
        if need > area.bytes {
            let end = core::arch::wasm32::memory_size(0) << 16;
            let at = if area.at + area.bytes == end { area.at } else { end };
            let pages = (at + need - end + 0xffff) >> 16;
            if core::arch::wasm32::memory_grow(0, pages) == usize::MAX {
                return 0;
            }
            *area = Area { at, bytes: end + (pages << 16) - at };
        }
        area.at
    }
}

fn stop() -> ! {
    core::arch::wasm32::unreachable()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    stop()
}
