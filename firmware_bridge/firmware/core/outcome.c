#include "outcome.h"
#include <string.h>

static struct outcome places[RING];
static bool used[RING];

void outcomes_clear(void) {
    memset(used, 0, sizeof used);
}

enum novelty outcome_novelty(uint16_t id) {
    uint8_t at = (uint8_t)(id % RING);
    if (!used[at])
        return NEW_COMMAND;
    if (places[at].id == id)
        return KNOWN_COMMAND;
    return (uint16_t)(id - places[at].id) >= HALF_ID ? STALE_COMMAND : NEW_COMMAND;
}

void outcome_open(uint16_t id, uint8_t opcode) {
    struct outcome *place = &places[id % RING];
    used[id % RING] = true;
    place->id = id;
    place->opcode = opcode;
    place->type = place->length = 0;
}

void outcome_close(uint16_t id, uint8_t type, const uint8_t *payload, uint8_t length) {
    struct outcome *place = &places[id % RING];
    if (!used[id % RING] || place->id != id)
        return;
    place->type = type;
    place->length = length;
    if (length > OUTCOME_BYTES)
        place->length = OUTCOME_REMAKE;
    else if (length)
        memcpy(place->payload, payload, length);
}

const struct outcome *outcome_of(uint16_t id) {
    return &places[id % RING];
}

bool outcome_open_stop(uint16_t *id) {
    for (uint8_t at = 0; at < RING; at++) {
        if (used[at] && places[at].opcode == OP_STOP && !places[at].type) {
            *id = places[at].id;
            return true;
        }
    }
    return false;
}
