/* What became of the last commands, so that a repeated frame is answered and not executed.
 *
 * The place of an id is its remainder by RING; each place remembers the newest id that used it. */
#ifndef NIGHTSCOPE_OUTCOME_H
#define NIGHTSCOPE_OUTCOME_H

#include "protocol.h"
#include <stdbool.h>
#include <stdint.h>

#define OUTCOME_BYTES STATUS_REPLY_BYTES
/* Descriptions are longer and never change: they are not remembered but made again. */
#define OUTCOME_REMAKE UINT8_MAX

struct outcome {
    uint16_t id;
    uint8_t opcode;
    uint8_t type; /* 0 while the command is under way */
    uint8_t length;
    uint8_t payload[OUTCOME_BYTES];
};

enum novelty { NEW_COMMAND, KNOWN_COMMAND, STALE_COMMAND };

void outcomes_clear(void);
enum novelty outcome_novelty(uint16_t id);

/* Takes the id's place for a command that now begins. */
void outcome_open(uint16_t id, uint8_t opcode);

/* Remembers how it ended, unless a newer id has taken its place. A length above OUTCOME_BYTES is
 * kept as OUTCOME_REMAKE. */
void outcome_close(uint16_t id, uint8_t type, const uint8_t *payload, uint8_t length);

/* The place of an id that is KNOWN_COMMAND. */
const struct outcome *outcome_of(uint16_t id);

/* The id of some stop still under way; false when there is none. */
bool outcome_open_stop(uint16_t *id);

#endif
