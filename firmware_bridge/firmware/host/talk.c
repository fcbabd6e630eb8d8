#include "talk.h"
#include "bytes.h"
#include "state.h"
#include <string.h>

static uint16_t current;
static uint8_t kept[MAX_PAYLOAD];

static void send(uint16_t id, uint8_t opcode, uint8_t flags, const uint8_t *payload,
                 uint8_t length) {
    struct frame frame = {TYPE_REQUEST, current, id, opcode, flags, length, payload};
    bench_send(&frame);
}

void talk_send(uint16_t id, uint8_t opcode, const uint8_t *payload, uint8_t length) {
    send(id, opcode, 0, payload, length);
}

struct frame talk_last(uint16_t id) {
    struct frame frame, last = {0};
    while (bench_reply(&frame)) {
        if (frame.id != id)
            continue;
        last = frame;
        memcpy(kept, frame.payload, frame.length);
        last.payload = kept;
    }
    return last;
}

struct frame talk_flagged(uint16_t id, uint8_t opcode, uint8_t flags, const uint8_t *payload,
                          uint8_t length) {
    send(id, opcode, flags, payload, length);
    return talk_last(id);
}

struct frame talk(uint16_t id, uint8_t opcode, const uint8_t *payload, uint8_t length) {
    return talk_flagged(id, opcode, 0, payload, length);
}

struct frame talk_hello(uint16_t session, uint16_t watchdog_ms, uint32_t nonce) {
    uint8_t payload[HELLO_REQUEST_BYTES] = {PROTOCOL_MAJOR, PROTOCOL_MINOR};
    put_u16(payload + 2, watchdog_ms);
    put_u32(payload + 4, nonce);
    current = session;
    return talk(0, OP_HELLO, payload, sizeof payload);
}

struct frame talk_move(uint16_t id, uint8_t opcode, int32_t x, int32_t y, int32_t z) {
    uint8_t payload[STEPS_BYTES];
    put_u32(payload, (uint32_t)x);
    put_u32(payload + 4, (uint32_t)y);
    put_u32(payload + 8, (uint32_t)z);
    return talk(id, opcode, payload, sizeof payload);
}

struct frame talk_light(uint16_t id, uint8_t channel, uint8_t level) {
    const uint8_t payload[LIGHT_REQUEST_BYTES] = {channel, level};
    return talk(id, OP_LIGHT, payload, sizeof payload);
}

void talk_start(void) {
    bench_boot(300);
    (void)talk_hello(TALK_SESSION, 500, NO_NONCE);
}

void talk_home(void) {
    talk_start();
    (void)talk(1, OP_HOME, 0, 0);
    while (state_flags() & STATE_MOVING)
        talk_wait(50);
    (void)talk_last(1);
}

void talk_wait(uint32_t ms) {
    for (; ms > 50; ms -= 50) {
        bench_pass(50);
        send(0, OP_HEARTBEAT, 0, 0, 0);
    }
    bench_pass(ms);
    send(0, OP_HEARTBEAT, 0, 0, 0);
}
