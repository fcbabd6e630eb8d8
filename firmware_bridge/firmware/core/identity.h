/* What the board says of itself. */
#ifndef NIGHTSCOPE_IDENTITY_H
#define NIGHTSCOPE_IDENTITY_H

#include "frame.h"
#include "protocol.h"
#include <stdbool.h>
#include <stdint.h>

struct terms {
    uint32_t nonce;
    uint16_t watchdog_ms;
    uint8_t reset_cause;
    bool resumed;
};

void identity_hello(const struct terms *terms, uint8_t payload[HELLO_REPLY_BYTES]);

/* Writes one description; returns its length, or 0 when there is no such thing. */
uint8_t identity_describe(uint8_t kind, uint8_t index, uint8_t payload[MAX_PAYLOAD]);

#endif
