#include "jobs.h"
#include <string.h>

static struct job jobs[QUEUE + 1];
static uint8_t count;

void jobs_clear(void) {
    count = 0;
}

uint8_t jobs_count(void) {
    return count;
}

bool jobs_full(void) {
    return count == QUEUE + 1;
}

uint8_t jobs_before(struct tag tag) {
    uint8_t before = 0;
    while (before < count &&
           (jobs[before].tag.id != tag.id || jobs[before].tag.session != tag.session))
        before++;
    return before;
}

void jobs_add(struct tag tag, uint8_t flags, const uint8_t *payload) {
    struct job *job = &jobs[count++];
    job->tag = tag;
    job->flags = flags;
    if (payload)
        memcpy(job->payload, payload, STEPS_BYTES);
    else
        memset(job->payload, 0, STEPS_BYTES);
}

const struct job *jobs_first(void) {
    return &jobs[0];
}

struct tag jobs_drop_first(void) {
    struct tag tag = jobs[0].tag;
    count--;
    memmove(jobs, jobs + 1, count * sizeof jobs[0]);
    return tag;
}

struct tag jobs_drop_last(void) {
    return jobs[--count].tag;
}
