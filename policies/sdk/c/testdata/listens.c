/* Hears events, takes parameters and reads the extension: for the SDK's test. */
#include "omx.h"

static uint32_t params, heard;
static uint64_t last;

uint32_t omx_init(const char *text, uint32_t length) {
  if (length == 0 || text[length - 1] != '\n') return 1;
  omx_log(1, text, length - 1);
  params = length;
  return 0;
}

void omx_event(const omx_event_t *event, uint32_t length) {
  if (length < sizeof *event || event->kind != OMX_EVENT_DONE) return;
  heard++;
  last = event->node;
  omx_count(2, event->output);
}

uint64_t omx_route(void *view, uint32_t length) {
  omx_header_t *h = omx_open(view, length);
  if (!h) return omx_answer(OMX_BAD_REQUEST, 0);
  uint32_t labels = 0;
  for (const omx_item_t *i = omx_next(h, NULL); i; i = omx_next(h, i)) {
    if (i->tag == OMX_TAG_LABEL) labels += i->length * 100 + i->value[0];
  }
  for (uint32_t i = 0; i < h->count; i++) {
    const omx_row_t *r = omx_row(h, i);
    omx_set_score(h, i, 1000000 * heard + labels + 10 * params + (r->node == last) + omx_age(h, r->rtt_at));
  }
  return omx_lowest(h);
}

uint64_t omx_wants(uint32_t kind) { return OMX_LOAD_PART | OMX_WANT(OMX_TAG_LABEL); }
