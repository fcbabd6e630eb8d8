/* Frames to the host. */
#ifndef NIGHTSCOPE_REPLY_H
#define NIGHTSCOPE_REPLY_H

#include "frame.h"
#include "protocol.h"
#include <stdint.h>

/* Sends one frame; it is lost when the transmitter has no room, and the host then asks again. */
void reply(struct tag tag, uint8_t type, const uint8_t *payload, uint8_t length);
void reply_rejected(struct tag tag, enum reason reason, uint8_t detail);
void reply_accepted(struct tag tag, uint32_t left_ms, uint8_t ahead);

/* Sends a command's outcome and remembers it. */
void conclude(struct tag tag, uint8_t type, const uint8_t *payload, uint8_t length);
void conclude_rejected(struct tag tag, enum reason reason, uint8_t detail);
void conclude_done(struct tag tag);
void conclude_at(struct tag tag, const int32_t *steps); /* done, with three positions */

#endif
