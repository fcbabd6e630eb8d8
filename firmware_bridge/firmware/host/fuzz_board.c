/* libFuzzer: a script of sound frames, damaged bytes and passing time; after each of its lines,
 * what must hold of a board whatever a host says.
 *
 * One line is an operation byte and its arguments: below 0xC0 a frame with that opcode (table
 * below), whose id, session, flags and payload come from the script; 0xC0 to 0xDF time; 0xE0 to
 * 0xEF a switch pressed or released by hand; the rest raw bytes. */
#include "bench.h"
#include "bytes.h"
#include "motion.h"
#include "protocol.h"
#include "state.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SESSION 0x1234

static const struct {
    uint8_t opcode, length;
} commands[] = {
    {OP_HELLO, HELLO_REQUEST_BYTES},
    {OP_DESCRIBE, DESCRIBE_REQUEST_BYTES},
    {OP_STATUS, 0},
    {OP_GOODBYE, 0},
    {OP_MOVE_TO, STEPS_BYTES},
    {OP_MOVE_BY, STEPS_BYTES},
    {OP_HOME, 0},
    {OP_LIGHT, LIGHT_REQUEST_BYTES},
    {OP_TURRET, TURRET_REQUEST_BYTES},
    {OP_STOP, 0},
    {OP_HEARTBEAT, 0},
    {OP_REARM, 0},
    {0x55, 3},
    {OP_MOVE_BY, 5},
};

/* Whether the board had an origin at the last look, and where each axis had it. */
static bool homed;
static int32_t origin[AXES];

struct script {
    const uint8_t *at, *end;
};

static uint8_t next(struct script *script) {
    return script->at < script->end ? *script->at++ : 0;
}

static void send(struct script *script, uint8_t operation) {
    uint8_t payload[MAX_PAYLOAD] = {0};
    uint8_t which = operation % (sizeof commands / sizeof commands[0]);
    uint8_t style = next(script);
    struct frame frame = {.type = style & 0x40 ? TYPE_URGENT : TYPE_REQUEST,
                          .session = style & 0x80 ? SESSION + 1 : SESSION,
                          .id = (uint16_t)(next(script) | ((style & 1u) << 15)),
                          .opcode = commands[which].opcode,
                          .flags = style & 0x02 ? REQUEST_TRIGGER : 0,
                          .length = commands[which].length,
                          .payload = payload};
    for (uint8_t at = 0; at < frame.length; at++)
        payload[at] = next(script);
    if (frame.opcode == OP_HELLO && !(style & 0x04)) {
        memset(payload, 0, sizeof payload); /* mostly a greeting that is understood */
        payload[0] = PROTOCOL_MAJOR;
        put_u16(payload + 2, 500);
    }
    if (frame.length == STEPS_BYTES && !(style & 0x08))
        for (uint8_t axis = 0; axis < AXES; axis++) /* mostly within the travel */
            put_u32(payload + 4 * axis, get_u16(payload + 4 * axis) % 300u);
    bench_send(&frame);
}

static void check(void) {
    uint8_t state = state_flags();
    int32_t steps[AXES];
    motion_position(steps);
    if (bench_lit() != !!(state & STATE_LIT))
        abort(); /* the board lies about its light */
    if ((state & STATE_LATCHED) && bench_lit())
        abort(); /* light after a trip */
    for (uint8_t axis = 0; axis < AXES; axis++) {
        int32_t offset = bench.carriage[axis] - steps[axis];
        if (homed && (state & STATE_HOMED) && offset != origin[axis])
            abort(); /* the count has left the carriage */
        origin[axis] = offset;
    }
    homed = state & STATE_HOMED;
}

static void check_silence(void) {
    /* Whatever came before: an agreed time of silence, 5 s at most, ends dark and idle. */
    for (uint32_t ms = 0; ms < WATCHDOG_HIGHEST_MS; ms += 10) {
        bench_pass(10);
        if (!bench_lit() && !motion_moving() && !bench.energised)
            return;
    }
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct script script = {data, data + size};
    struct frame frame;
    bench_boot(40);
    homed = false;
    for (uint8_t lines = 0; script.at < script.end && lines < 100; lines++) {
        uint8_t operation = next(&script);
        if (operation < 0xC0) {
            send(&script, operation);
        } else if (operation < 0xE0) {
            bench_pass((uint32_t)(operation & 0x1F) * 8u + 1u);
        } else if (operation < 0xF0) {
            bench.held = operation & 0x07;
        } else {
            uint8_t raw = next(&script);
            bench_feed(&raw, 1);
        }
        check();
        while (bench_reply(&frame))
            if (frame.type < TYPE_ACCEPTED || frame.session > SESSION + 1)
                abort();
    }
    check_silence();
    return 0;
}
