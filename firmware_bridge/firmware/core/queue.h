/* Motions, one after another: the one under way and those that wait. */
#ifndef NIGHTSCOPE_QUEUE_H
#define NIGHTSCOPE_QUEUE_H

#include "reply.h"
#include <stdint.h>

void queue_init(void);

/* Takes a motion in, answers ACCEPTED, and begins it when nothing is under way; or refuses. */
void queue_add(struct tag tag, uint8_t flags, const uint8_t *payload, uint32_t now_ms);

/* Ends what has come to rest and begins what comes next. */
void queue_poll(uint32_t now_ms);

/* Refuses everything that waits; what is under way ramps down and is refused once it stands. */
void queue_halt(enum reason reason, uint32_t now_ms);

/* As above, then takes the current from the motors. */
void queue_halt_and_release(enum reason reason, uint32_t now_ms);

/* Answers ACCEPTED again, for a motion or a stop under way. */
void queue_accept(struct tag tag, uint32_t now_ms);

#endif
