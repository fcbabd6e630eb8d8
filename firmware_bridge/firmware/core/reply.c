#include "reply.h"
#include "bytes.h"
#include "config.h"
#include "hal.h"
#include "outcome.h"
#include "session.h"
#include "state.h"

void reply(struct tag tag, uint8_t type, const uint8_t *payload, uint8_t length) {
    uint8_t wire[MAX_WIRE];
    struct frame frame = {type, tag.session, tag.id, tag.opcode, state_flags(), length, payload};
    (void)hal_transmit(wire, frame_encode(&frame, wire));
}

void reply_rejected(struct tag tag, enum reason reason, uint8_t detail) {
    const uint8_t payload[REJECTED_BYTES] = {(uint8_t)reason, detail};
    reply(tag, TYPE_REJECTED, payload, sizeof payload);
}

void reply_accepted(struct tag tag, uint32_t left_ms, uint8_t ahead) {
    uint8_t payload[ACCEPTED_BYTES];
    put_u32(payload, left_ms);
    payload[4] = ahead;
    reply(tag, TYPE_ACCEPTED, payload, sizeof payload);
}

void conclude(struct tag tag, uint8_t type, const uint8_t *payload, uint8_t length) {
    /* What an earlier session asked for is not this one's to remember: ids may coincide. */
    if (session_serves(tag.session))
        outcome_close(tag.id, type, payload, length);
    reply(tag, type, payload, length);
}

void conclude_rejected(struct tag tag, enum reason reason, uint8_t detail) {
    const uint8_t payload[REJECTED_BYTES] = {(uint8_t)reason, detail};
    conclude(tag, TYPE_REJECTED, payload, sizeof payload);
}

void conclude_done(struct tag tag) {
    conclude(tag, TYPE_DONE, 0, 0);
}

void conclude_at(struct tag tag, const int32_t *steps) {
    uint8_t payload[STEPS_BYTES];
    for (uint8_t axis = 0; axis < AXES; axis++)
        put_u32(payload + 4 * axis, (uint32_t)steps[axis]);
    conclude(tag, TYPE_DONE, payload, sizeof payload);
}
