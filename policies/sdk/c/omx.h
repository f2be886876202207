/* The omx policy SDK for C: what a policy sees, field by field, and helpers to
   answer. ABI.md, which comes with omx, explains the interface. One header, no
   libc; include it in one file of the policy.

   A routing policy gives every row a score, lower is better, and answers with
   the lowest:

     #include "omx.h"

     uint64_t omx_route(void *view, uint32_t length) {
       omx_header_t *h = omx_open(view, length);
       if (!h) return omx_answer(OMX_BAD_REQUEST, 0);
       for (uint32_t i = 0; i < h->count; i++) {
         const omx_row_t *r = omx_row(h, i);
         omx_set_score(h, i, omx_usable(r) ? r->rtt : OMX_NEVER);
       }
       return omx_lowest(h);
     }

     uint64_t omx_wants(uint32_t kind) { return OMX_LOAD_PART; }

   What is defined of the functions declared at "What a policy defines" is
   exported, and so tells which decisions are taken here.

   The host may send shorter rows than an omx_row_t: where omx_wants asks for no
   more than OMX_LOAD_PART, a row ends after that part, and what a pointer to it
   shows beyond belongs to the next row. Read only what you asked for; a policy
   without omx_wants gets whole rows. */
#ifndef OMX_H
#define OMX_H

#include <stddef.h>
#include <stdint.h>

/* generated: begin c */

#define OMX_VERSION (1 << 16 | 0)

/* Kind: which decision is asked for. */
enum {
  OMX_ADMIT = 1, /* may this request in; one row: this node */
  OMX_ROUTE = 2, /* which node serves it; a row per candidate */
  OMX_REPLICATE = 3, /* which node keeps which model; a row per node */
};

/* Status: how a decision ended. */
enum {
  OMX_OK = 0, /* the value is the answer */
  OMX_BAD_REQUEST = 1, /* the view cannot be read; the built-in rule decides */
  OMX_NO_CANDIDATE = 2, /* nobody should serve this */
  OMX_ABSTAIN = 3, /* no opinion: the built-in rule decides */
  OMX_UNSUPPORTED = 4, /* this kind is not decided here; the built-in rule decides */
};

/* Action: what admission says. */
enum {
  OMX_ALLOW = 0, /* now */
  OMX_QUEUE = 1, /* when a slot is free */
  OMX_SHED = 2, /* later: come back after the wait */
  OMX_REJECT = 3, /* never */
};

/* Op: what replication wants done. */
enum {
  OMX_FETCH = 1, /* the node gets a copy of the model */
  OMX_DROP = 2, /* the node gives its copy up */
  OMX_LOAD = 3, /* the node makes the model answer, before anybody asks */
  OMX_UNLOAD = 4, /* the node keeps the file but frees its memory */
};

/* Event: what happened. */
enum {
  OMX_EVENT_DISPATCHED = 1, /* a request was sent to a node */
  OMX_EVENT_FIRST = 2, /* its first token came */
  OMX_EVENT_DONE = 3, /* it ended well */
  OMX_EVENT_FAILED = 4, /* the node broke it off */
  OMX_EVENT_PROBED = 5, /* a node answered a probe */
  OMX_EVENT_JOINED = 6, /* a node came up */
  OMX_EVENT_LEFT = 7, /* a node went away */
  OMX_EVENT_TICK = 8, /* a second has passed */
  OMX_EVENT_ADMITTED = 9, /* a request was let in */
  OMX_EVENT_REFUSED = 10, /* a request was shed or rejected */
};

/* State: of a copy of a model. */
enum {
  OMX_STATE_PARTIAL = 1, /* some of it is there */
  OMX_STATE_ON_DISK = 2, /* all of it is there */
  OMX_STATE_LOADING = 3, /* it is being loaded */
  OMX_STATE_LOADED = 4, /* it answers */
};

/* Tag: of an item of the extension. */
enum {
  OMX_TAG_MODEL_NAME = 1, /* text */
  OMX_TAG_TENANT_NAME = 2, /* text */
  OMX_TAG_LABEL = 3, /* text, key=value, of the request */
  OMX_TAG_NODE_LABEL = 4, /* u32 row, then text key=value */
  OMX_TAG_ZONE = 5, /* u32 zone in which the request must stay */
  OMX_TAG_EXCLUDED = 6, /* u64 handle of a node that must not serve it */
  OMX_TAG_PREFIX_BLOCKS = 7, /* per block of the prompt, in order: u64 hash of all up to its end, u32 tokens of it */
  OMX_TAG_ALTERNATE = 8, /* u64 handle of a model that would do as well */
  OMX_TAG_ADAPTER = 9, /* u64 handle of the adapter asked for */
};

/* Flags of a request. */
enum {
  OMX_STREAMED = 1, /* the client reads tokens as they come */
  OMX_FROM_PEER = 2, /* another node sent it here */
  OMX_ESTIMATED = 4, /* the prompt token count is an estimate */
};

/* Flags of a node. */
enum {
  OMX_SELF = 1, /* this node */
  OMX_LOADED = 2, /* the model answers now; without it, it must be loaded first */
  OMX_DRAINING = 4, /* takes no new requests; the host never sends one there, whatever the policy says */
  OMX_SUSPECT = 8, /* a request there has just failed */
  OMX_RELAYED = 16, /* reached through a third node */
  OMX_STORED = 32, /* the model is on its disk */
  OMX_LOADING = 64, /* the model is being loaded there */
  OMX_EXACT_PREFIX = 128, /* the prefix figure is the node's own and no estimate */
  OMX_METERED_LINK = 256, /* traffic to it costs money */
};

/* Flags of a model. */
enum {
  OMX_MODEL_PINNED = 1, /* the operator wants it kept */
  OMX_MODEL_HERE = 2, /* this node holds a copy */
};

/* Flags of a copy of a model. */
enum {
  OMX_COPY_VERIFIED = 1, /* its digest was checked */
  OMX_COPY_HELD = 2, /* the operator wants it kept there */
};

/* The request, and what is known of the mesh around it. */
typedef struct {
  uint32_t magic; /* `OMX1`, 0x31584d4f */
  uint16_t minor; /* minor version of the host */
  uint16_t kind; /* 1 admit, 2 route, 3 replicate */
  uint32_t count; /* rows */
  uint16_t stride; /* bytes per row */
  uint16_t header; /* bytes of this header: where the rows start */
  uint32_t scores; /* bytes from the view's start to where the policy writes: a score per row (route), actions (replicate) */
  uint32_t ext; /* bytes from the view's start to the extension; 0 none */
  uint32_t ext_len; /* bytes of the extension */
  uint32_t length; /* bytes of the whole view */
  uint64_t now; /* µs; the host's clock, of no fixed start */
  uint64_t seed; /* for tie breaks and sampling */
  uint64_t request; /* request id */
  uint64_t model; /* model handle */
  uint64_t tenant; /* tenant handle; 0 anonymous */
  uint64_t session; /* conversation handle; 0 none */
  uint64_t affinity; /* hash of the prompt's beginning, keyed per tenant; 0 none */
  uint64_t previous; /* handle of the node that answered the conversation last; 0 none */
  uint64_t entry; /* handle of the node whose client asked */
  uint64_t peer; /* handle of the node that sent it here; 0 a client of this node */
  uint32_t clock; /* ms; now on the clock of all fields named …At, which wraps after 49 days */
  uint32_t view_at; /* ms; when this picture of the mesh was put together */
  uint32_t prompt; /* prompt tokens */
  uint32_t max_out; /* most output tokens asked for; 0 unknown */
  uint32_t expect_out; /* output tokens expected */
  uint32_t spread_out; /* standard deviation of that; 0 unknown */
  int32_t priority; /* below 0 may be shed first */
  uint32_t class; /* class of service, as the operator numbers them */
  uint32_t deadline; /* ms left; 0 none */
  uint32_t want_first; /* ms to the first token that are wanted; 0 none */
  uint32_t want_each; /* µs per output token that are wanted; 0 none */
  uint32_t flags; /* of the request */
  uint32_t attempt; /* earlier tries of this request */
  uint32_t hops; /* nodes it has passed */
  uint32_t self_row; /* row of this node; 0xffffffff if it is no candidate */
  uint32_t turn; /* turn of the conversation; 0 unknown */
  uint32_t client_rtt; /* µs; 0 unknown */
  uint32_t nodes; /* nodes known, up or not */
  uint32_t nodes_up; /* nodes that are up */
  uint32_t skew; /* ms by which clocks of nodes may differ; 0 unknown */
  uint32_t demand1m; /* requests per hour for this model at this node, over about a minute */
  uint32_t demand10m; /* the same over ten minutes */
  uint32_t demand1h; /* the same over an hour */
  uint32_t replicas; /* nodes that are up and hold the model */
  uint32_t saturation; /* per mille of the slots of those nodes that are taken, by their last word */
  uint32_t queue_tokens; /* prompt tokens that wait at this node */
  uint32_t queue_oldest; /* ms that the oldest waiting request has waited at this node */
  uint32_t tenants; /* tenants with a request at this node */
  uint32_t tenant_in_flight; /* requests of this tenant at this node */
  uint32_t tenant_tokens; /* tokens this tenant used at this node, over about a minute */
  uint32_t offered; /* requests that asked to be admitted here in the last ten seconds or so */
  uint32_t admitted; /* those of them that were */
  uint32_t models_at; /* bytes from the view's start to the models (replicate) */
  uint16_t models; /* how many */
  uint16_t model_stride; /* bytes per model */
  uint32_t copies_at; /* bytes from the view's start to the copies (replicate) */
  uint16_t copies; /* how many */
  uint16_t copy_stride; /* bytes per copy */
} omx_header_t;
_Static_assert(sizeof(omx_header_t) == 256, "layout of header");

/* A node. */
typedef struct {
  uint64_t node; /* handle */
  uint32_t flags; /* of the node */
  uint32_t slots; /* requests it serves at a time */
  uint32_t queued; /* requests waiting there */
  uint32_t running; /* requests being served there */
  uint32_t load_at; /* ms; when slots, queued, running and pending were sampled; 0 never */
  uint32_t pending; /* prompt tokens that wait there or are being read */
  uint32_t prefill; /* ns per prompt token */
  uint32_t decode; /* µs per output token of a request that is alone */
  uint32_t speed_at; /* ms; when prefill, decode and batch were measured; 0 never */
  uint32_t rtt; /* µs of round trip */
  uint32_t rtt_at; /* ms; 0 never */
  uint32_t batch; /* per mille of decode by which a token takes longer for each further request */
  uint32_t ready; /* ms until the model answers there; 0 at once */
  uint32_t zone; /* failure domain */
  uint32_t sent_since; /* requests sent there after loadAt that have not ended */
  uint32_t in_flight; /* requests of this node there now */
  uint32_t in_flight_tokens; /* prompt and expected output tokens of those */
  uint32_t used_at; /* ms; when a request was last sent there; 0 never */
  uint32_t errors; /* failures per thousand requests */
  uint32_t errors_at; /* ms; when the last request ended; 0 never */
  uint32_t first; /* µs to the first token, moving average */
  uint32_t first_peak; /* µs, the same that rises at once and sinks over some ten seconds */
  uint32_t first_at; /* ms; 0 never */
  uint32_t each; /* µs per output token, moving average */
  uint32_t done; /* requests that ended well */
  uint32_t prefix; /* prompt tokens of this request cached there */
  uint32_t prefix_at; /* ms; when that was known; 0 never */
  uint32_t rif; /* requests in flight there by its freshest word */
  uint32_t rif_first; /* µs to the first token seen at about as many in flight; 0 unknown */
  uint32_t rif_at; /* ms; 0 never */
  uint32_t mem_free; /* MiB */
  uint32_t mem_total; /* MiB */
  uint32_t vram_free; /* MiB */
  uint32_t vram_total; /* MiB */
  uint32_t disk_free; /* MiB */
  uint32_t machine_at; /* ms; when these were sampled; 0 never */
  uint32_t up; /* kbit/s it sends */
  uint32_t down; /* kbit/s it receives */
  uint32_t link_at; /* ms; when those were measured; 0 never */
  uint32_t loss; /* lost packets per million */
  uint32_t rtt_min; /* µs, shortest round trip of late */
  uint32_t rtt_high; /* µs, 95 of 100 round trips are shorter */
  uint32_t device; /* handle of its kind of machine; 0 unknown */
  uint32_t power; /* mW; 0 unknown */
  uint32_t throttle; /* per mille of speed lost to heat */
  uint32_t battery; /* per mille; 0xffffffff none */
  int32_t coord_x; /* µs, network coordinate */
  int32_t coord_y; /* µs */
  uint32_t coord_height; /* µs */
  uint32_t coord_error; /* per mille; 0 unknown */
  uint32_t joined_at; /* ms; when it was first heard of; 0 unknown */
  uint32_t up_at; /* ms; since when it has been up; 0 unknown */
  uint32_t availability; /* per million of the time it is up; 0 unknown */
  uint32_t reputation; /* per mille of its promises kept; 0 unknown */
  uint32_t region; /* as the operator numbers them */
  uint32_t site; /* as the operator numbers them */
  uint32_t asn; /* autonomous system; 0 unknown */
  uint32_t trust; /* tier, as the operator numbers them */
  uint32_t context; /* tokens that a slot holds; 0 unknown */
  uint32_t context_used; /* tokens held in all slots */
  uint32_t energy; /* µJ per output token; 0 unknown */
  uint32_t price; /* millionths per thousand tokens; 0 unknown */
} omx_row_t;
_Static_assert(sizeof(omx_row_t) == 256, "layout of row");

/* A model (replicate). */
typedef struct {
  uint64_t model; /* handle */
  uint64_t bytes; /* of its file */
  uint32_t flags; /* of the model */
  uint32_t copies; /* nodes that are up and hold all of it */
  uint32_t zones; /* failure domains those are in */
  uint32_t least; /* copies the operator wants at least */
  uint32_t most; /* copies the operator wants at most; 0 any number */
  uint32_t moving; /* transfers under way */
  uint32_t demand1m; /* requests per hour in the mesh as far as this node knows, over about a minute */
  uint32_t demand10m; /* the same over ten minutes */
  uint32_t demand1h; /* the same over an hour */
  uint32_t rank; /* by demand over an hour, the most wanted is 0 */
  uint32_t refetch; /* s to get a copy from the best holder to this node; 0xffffffff nobody has it */
  uint32_t used_at; /* ms; when it was last asked for; 0 never */
} omx_model_t;
_Static_assert(sizeof(omx_model_t) == 64, "layout of model");

/* A copy of a model at a node (replicate). */
typedef struct {
  uint16_t model; /* which, by its place in the models */
  uint16_t node; /* which, by its row */
  uint32_t state; /* of the copy */
  uint32_t part; /* per mille of its bytes that are there */
  uint32_t held_at; /* ms; since when; 0 unknown */
  uint32_t used_at; /* ms; when it last answered; 0 never */
  uint32_t flags; /* of the copy */
} omx_copy_t;
_Static_assert(sizeof(omx_copy_t) == 24, "layout of copy");

/* One action that replication answers with. */
typedef struct {
  uint16_t op; /* what to do */
  uint16_t model; /* which, by its place in the models */
  uint16_t node; /* where, by its row */
  uint16_t source; /* row of the node to fetch from; 0xffff any */
  uint32_t priority; /* higher goes first */
  uint32_t budget; /* kbit/s it may take; 0 as the operator allows */
} omx_step_t;
_Static_assert(sizeof(omx_step_t) == 16, "layout of step");

/* What happened; handed to omx_event. */
typedef struct {
  uint16_t kind; /* what happened */
  uint16_t flags; /* of the request */
  uint32_t clock; /* ms; now on the clock of all fields named …At */
  uint64_t now; /* µs */
  uint64_t request; /* request id; 0 none */
  uint64_t node; /* handle; 0 none */
  uint64_t model; /* handle; 0 none */
  uint64_t tenant; /* handle; 0 anonymous */
  uint64_t session; /* conversation handle; 0 none */
  uint32_t prompt; /* prompt tokens */
  uint32_t output; /* output tokens so far */
  uint32_t first; /* µs to the first token; 0 none yet */
  uint32_t took; /* µs so far */
  uint32_t rif; /* requests in flight at the node when it began this one, or that a probe told */
  uint32_t latency; /* µs: of a probe, what a request there takes to its first token */
  uint32_t reason; /* of a refusal: the policy's code */
  uint32_t reserved; /* 0 */
} omx_event_t;
_Static_assert(sizeof(omx_event_t) == 88, "layout of event");
/* generated: end */

#define OMX_MAGIC 0x31584d4fu       /* "OMX1", with which a view begins */
#define OMX_NONE 0xffffffffu        /* as a figure or a row index: none */
#define OMX_NEVER 0xffffffffu       /* the score that keeps a row out of the picks */
#define OMX_MOST 0xfffffffeu        /* the largest score a row can have and still be picked */
#define OMX_ANY 0xffffu             /* as the source of a step: any node that holds the model */
#define OMX_STEPS 256u              /* most steps of an answer */

/* What a policy reads of each row, for omx_wants. */
#define OMX_LOAD_PART 64ull
#define OMX_SEEN_PART 128ull
#define OMX_MACHINE_PART 192ull
#define OMX_STANDING_PART 256ull

/* Items of the extension, for omx_wants: OMX_LOAD_PART | OMX_WANT(OMX_TAG_LABEL). */
#define OMX_WANT(tag) (1ull << (32 + (tag)))

/* What a policy defines: at least one of the decisions. */
#define OMX_EXPORT(name) __attribute__((export_name(#name)))
OMX_EXPORT(omx_admit) uint64_t omx_admit(void *view, uint32_t length);
OMX_EXPORT(omx_route) uint64_t omx_route(void *view, uint32_t length);
OMX_EXPORT(omx_replicate) uint64_t omx_replicate(void *view, uint32_t length);
OMX_EXPORT(omx_event) void omx_event(const omx_event_t *event, uint32_t length);
OMX_EXPORT(omx_init) uint32_t omx_init(const char *params, uint32_t length); /* 0: taken */
OMX_EXPORT(omx_wants) uint64_t omx_wants(uint32_t kind);

/* What the host lends: a line for its log, and counters of the policy's own. A
   policy that uses neither imports nothing. */
#define OMX_IMPORT(name) __attribute__((import_module("omx1"), import_name(#name)))
OMX_IMPORT(log) void omx_log(uint32_t level, const char *text, uint32_t length);
OMX_IMPORT(count) void omx_count(uint32_t id, int64_t delta);

/* What the header defines for the host. */
OMX_EXPORT(omx_abi) uint32_t omx_abi(void);
OMX_EXPORT(omx_buf) void *omx_buf(uint32_t kind, uint32_t bytes);

/* The header of a view, or null if this is none. */
static inline omx_header_t *omx_open(void *view, uint32_t length) {
  omx_header_t *h = (omx_header_t *)view;
  if (length < sizeof *h || h->magic != OMX_MAGIC) return NULL;
  uint64_t rows = (uint64_t)h->count * h->stride + h->header;
  return rows <= h->scores && h->scores <= length ? h : NULL;
}

/* Row i of a view; only those below h->count are there. */
static inline const omx_row_t *omx_row(const omx_header_t *h, uint32_t i) {
  return (const omx_row_t *)((const uint8_t *)h + h->header + i * (uint32_t)h->stride);
}

/* Model i of a replicate view; only those below h->models are there. */
static inline const omx_model_t *omx_model(const omx_header_t *h, uint32_t i) {
  return (const omx_model_t *)((const uint8_t *)h + h->models_at + i * (uint32_t)h->model_stride);
}

/* Copy i of a replicate view; only those below h->copies are there. */
static inline const omx_copy_t *omx_copy(const omx_header_t *h, uint32_t i) {
  return (const omx_copy_t *)((const uint8_t *)h + h->copies_at + i * (uint32_t)h->copy_stride);
}

/* Step i of a replication answer, to be filled in; below OMX_STEPS. */
static inline omx_step_t *omx_step(omx_header_t *h, uint32_t i) {
  return (omx_step_t *)((uint8_t *)h + h->scores) + i;
}

/* The scores, one per row. */
static inline uint32_t *omx_scores(omx_header_t *h) { return (uint32_t *)((uint8_t *)h + h->scores); }

/* Writes the score of row i. */
static inline void omx_set_score(omx_header_t *h, uint32_t i, uint32_t score) { omx_scores(h)[i] = score; }

/* An item of the extension; its value follows, at a multiple of 4. */
typedef struct {
  uint16_t tag, length; /* length in bytes */
  uint8_t value[];
} omx_item_t;

/* The item after one, or the first after null; null if there is no more. */
static inline const omx_item_t *omx_next(const omx_header_t *h, const omx_item_t *item) {
  const uint8_t *end = (const uint8_t *)h + h->ext + h->ext_len;
  const uint8_t *at = item ? item->value + ((item->length + 3u) & ~3u) : (const uint8_t *)h + h->ext;
  return h->ext && at < end ? (const omx_item_t *)at : NULL;
}

/* The model answers there now. */
static inline int omx_loaded(const omx_row_t *r) { return (r->flags & OMX_LOADED) != 0; }

/* Neither draining nor suspect. */
static inline int omx_usable(const omx_row_t *r) { return (r->flags & (OMX_DRAINING | OMX_SUSPECT)) == 0; }

/* Requests there: by its own word, and sent since. Takes OMX_SEEN_PART. */
static inline uint64_t omx_requests(const omx_row_t *r) {
  return (uint64_t)r->sent_since + r->queued + r->running;
}

/* ms since a moment that a field named ..._at gives; OMX_NONE if it is 0: never. */
static inline uint32_t omx_age(const omx_header_t *h, uint32_t at) { return at ? h->clock - at : OMX_NONE; }

/* An answer: a status and, with OMX_OK, a row index, a verdict or a number of steps. */
static inline uint64_t omx_answer(uint32_t status, uint32_t value) { return (uint64_t)status << 32 | value; }

/* An admission answer: an action, the policy's own reason code (below 256) and,
   with OMX_SHED, the wait in tenths of a second (below 65536). */
static inline uint64_t omx_verdict(uint32_t action, uint32_t reason, uint32_t wait) {
  return omx_answer(OMX_OK, action | reason << 8 | wait << 16);
}

/* Answers with the row of the lowest score; of equal ones the first, of none
   but OMX_NEVER no candidate. */
static inline uint64_t omx_lowest(const omx_header_t *h) {
  const uint32_t *scores = (const uint32_t *)((const uint8_t *)h + h->scores);
  uint32_t best = OMX_NEVER, pick = OMX_NONE, n = h->count;
  for (uint32_t i = 0; i < n; i++) {
    if (scores[i] < best) best = scores[i], pick = i;
  }
  return pick == OMX_NONE ? omx_answer(OMX_NO_CANDIDATE, 0) : omx_answer(OMX_OK, pick);
}

/* The smaller of two. */
static inline uint64_t omx_min(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* A 64-bit sum as a score. */
static inline uint32_t omx_clamp(uint64_t score) { return (uint32_t)omx_min(score, OMX_MOST); }

/* A well-mixed 64-bit hash of two numbers, for tie breaks and rendezvous. */
static inline uint64_t omx_hash(uint64_t a, uint64_t b) {
  uint64_t x = a ^ b * 0x9e3779b97f4a7c15ull;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ x >> 27) * 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

uint32_t omx_abi(void) { return OMX_VERSION; }

/* One area for the views of every kind, as a policy is called for one decision
   at a time; events and parameters, kind 0, have their own. Beyond what lies in
   the module, memory grows: the last area in it where it is. */
void *omx_buf(uint32_t kind, uint32_t bytes) {
  static uint64_t views[4096], events[512];
  static struct {
    size_t at, bytes;
  } areas[2];
  int n = kind != 0;
  if (!areas[n].at) {
    areas[n].at = (size_t)(n ? views : events);
    areas[n].bytes = n ? sizeof views : sizeof events;
  }
  if (bytes > areas[n].bytes) {
    uint64_t end = (uint64_t)__builtin_wasm_memory_size(0) << 16;
    uint64_t at = areas[n].at + areas[n].bytes == end ? areas[n].at : end;
    uint64_t pages = (at + bytes - end + 65535) >> 16;
    if (__builtin_wasm_memory_grow(0, (size_t)pages) == SIZE_MAX) return NULL;
    areas[n].at = (size_t)at;
    areas[n].bytes = (size_t)(end + (pages << 16) - at);
  }
  return (void *)areas[n].at;
}

/* Without it, clang calls memcpy and memset, which nobody defines here. */
#ifndef __wasm_bulk_memory__
#error "compile with -mbulk-memory"
#endif

#endif
