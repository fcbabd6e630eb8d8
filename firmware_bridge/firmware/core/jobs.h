/* The motions asked for, in order: the first is under way or next. */
#ifndef NIGHTSCOPE_JOBS_H
#define NIGHTSCOPE_JOBS_H

#include "config.h"
#include "frame.h"
#include "protocol.h"
#include <stdbool.h>
#include <stdint.h>

struct job {
    struct tag tag;
    uint8_t flags;
    uint8_t payload[STEPS_BYTES];
};

void jobs_clear(void);
uint8_t jobs_count(void);
bool jobs_full(void);

/* How many come before that command's; jobs_count() when it is none of them. */
uint8_t jobs_before(struct tag tag);

/* Takes one in, unless jobs_full(). A null payload is one of zeros. */
void jobs_add(struct tag tag, uint8_t flags, const uint8_t *payload);

/* These need one to be there. */
const struct job *jobs_first(void);
struct tag jobs_drop_first(void);
struct tag jobs_drop_last(void);

#endif
