/* A host for the tests: sends one command, returns the board's last answer to it. */
#ifndef NIGHTSCOPE_TALK_H
#define NIGHTSCOPE_TALK_H

#include "bench.h"
#include "protocol.h"

#define TALK_SESSION 0x4321u

/* The board's last frame with this id, or one of type 0. */
struct frame talk(uint16_t id, uint8_t opcode, const uint8_t *payload, uint8_t length);
struct frame talk_flagged(uint16_t id, uint8_t opcode, uint8_t flags, const uint8_t *payload,
                          uint8_t length);

/* Sends without reading. */
void talk_send(uint16_t id, uint8_t opcode, const uint8_t *payload, uint8_t length);

/* Reads what has come; returns the last frame with this id, or one of type 0. */
struct frame talk_last(uint16_t id);

struct frame talk_hello(uint16_t session, uint16_t watchdog_ms, uint32_t nonce);
struct frame talk_move(uint16_t id, uint8_t opcode, int32_t x, int32_t y, int32_t z);
struct frame talk_light(uint16_t id, uint8_t channel, uint8_t level);

/* Boots, greets, and, for `talk_home`, homes with id 1. */
void talk_start(void);
void talk_home(void);

/* Lets time pass as a living host does. */
void talk_wait(uint32_t ms);

#endif
