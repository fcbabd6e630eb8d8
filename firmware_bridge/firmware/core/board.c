#include "board.h"
#include "bytes.h"
#include "config.h"
#include "frame.h"
#include "identity.h"
#include "light.h"
#include "motion.h"
#include "outcome.h"
#include "queue.h"
#include "session.h"

static struct decoder decoder;
static uint32_t nonce, fed_ms;
static uint16_t watchdog_ms;
static uint8_t reset_cause;

void board_init(uint32_t boot_nonce, uint8_t cause) {
    nonce = boot_nonce;
    reset_cause = cause;
    watchdog_ms = WATCHDOG_DEFAULT_MS;
    session_end();
    session_rearm();
    decoder_reset(&decoder);
    outcomes_clear();
    motion_init();
    queue_init();
    light_init();
    motion_release();
}

static void go_safe(enum reason reason, uint32_t now_ms) {
    light_off();
    queue_halt_and_release(reason, now_ms);
}

void board_poll(uint32_t now_ms) {
    queue_poll(now_ms);
    if (session_open() && !session_latched() &&
        now_ms - fed_ms >= watchdog_ms - WATCHDOG_EARLY_MS) {
        session_latch();
        go_safe(REASON_LATCHED, now_ms);
    }
}

static uint16_t agreed_watchdog(uint16_t asked_ms) {
    if (asked_ms < WATCHDOG_LOWEST_MS)
        return WATCHDOG_LOWEST_MS;
    return asked_ms > WATCHDOG_HIGHEST_MS ? WATCHDOG_HIGHEST_MS : asked_ms;
}

static void hello(struct tag tag, const uint8_t *payload, uint32_t now_ms) {
    uint8_t answer[HELLO_REPLY_BYTES];
    if (payload[0] != PROTOCOL_MAJOR) {
        reply_rejected(tag, REASON_INCOMPATIBLE, PROTOCOL_MAJOR);
        return;
    }
    bool resumed = session_serves(tag.session);
    if (!resumed && get_u32(payload + 4) == NO_NONCE) {
        go_safe(REASON_NO_SESSION, now_ms);
        outcomes_clear();
        session_begin(tag.session);
    }
    if (session_serves(tag.session)) {
        watchdog_ms = agreed_watchdog(get_u16(payload + 2));
        fed_ms = now_ms;
    }
    struct terms terms = {nonce, watchdog_ms, reset_cause, resumed};
    identity_hello(&terms, answer);
    reply(tag, TYPE_DONE, answer, sizeof answer);
}

static void describe(struct tag tag, const uint8_t *payload) {
    uint8_t answer[MAX_PAYLOAD];
    uint8_t length = identity_describe(payload[0], payload[1], answer);
    if (length)
        conclude(tag, TYPE_DONE, answer, length);
    else
        conclude_rejected(tag, REASON_BAD_INDEX, 0);
}

static void status(struct tag tag) {
    uint8_t answer[STATUS_REPLY_BYTES];
    int32_t steps[AXES];
    motion_position(steps);
    for (uint8_t axis = 0; axis < AXES; axis++)
        put_u32(answer + 4 * axis, (uint32_t)steps[axis]);
    answer[12] = light_channel();
    answer[13] = light_level();
    answer[14] = 0; /* objective */
    conclude(tag, TYPE_DONE, answer, sizeof answer);
}

static void light(struct tag tag, const struct frame *frame) {
    uint8_t channel = frame->payload[0], level = frame->payload[1];
    if (channel >= CHANNELS) {
        conclude_rejected(tag, REASON_BAD_INDEX, 0);
    } else if (level && session_latched()) {
        conclude_rejected(tag, REASON_LATCHED, 0);
    } else {
        light_set(channel, level);
        if (frame->flags & REQUEST_TRIGGER)
            motion_trigger_now();
        conclude_done(tag);
    }
}

static void stop(struct tag tag, uint32_t now_ms) {
    queue_halt(REASON_STOPPED, now_ms);
    if (motion_moving())
        queue_accept(tag, now_ms);
}

static void goodbye(struct tag tag, uint32_t now_ms) {
    go_safe(REASON_STOPPED, now_ms);
    conclude_done(tag);
    session_end();
}

static void execute(struct tag tag, const struct frame *frame, uint32_t now_ms) {
    switch (tag.opcode) {
    case OP_STOP:
        stop(tag, now_ms);
        break;
    case OP_GOODBYE:
        goodbye(tag, now_ms);
        break;
    case OP_LIGHT:
        light(tag, frame);
        break;
    case OP_REARM:
        session_rearm();
        conclude_done(tag);
        break;
    case OP_STATUS:
        status(tag);
        break;
    case OP_DESCRIBE:
        describe(tag, frame->payload);
        break;
    default:
        if (session_latched())
            conclude_rejected(tag, REASON_LATCHED, 0);
        else
            queue_add(tag, frame->flags, frame->payload, now_ms);
    }
}

static void replay(struct tag tag, const struct frame *frame, uint32_t now_ms) {
    const struct outcome *outcome = outcome_of(tag.id);
    if (outcome->opcode != tag.opcode)
        return; /* an id used twice for different things: no answer is right */
    if (!outcome->type)
        queue_accept(tag, now_ms);
    else if (outcome->length == OUTCOME_REMAKE)
        describe(tag, frame->payload);
    else
        reply(tag, outcome->type, outcome->payload, outcome->length);
}

static void once(struct tag tag, const struct frame *frame, uint32_t now_ms) {
    switch (outcome_novelty(tag.id)) {
    case KNOWN_COMMAND:
        replay(tag, frame, now_ms);
        break;
    case STALE_COMMAND:
        reply_rejected(tag, REASON_STALE, 0);
        break;
    default:
        outcome_open(tag.id, tag.opcode);
        execute(tag, frame, now_ms);
    }
}

/* The payload's length by opcode; UINT8_MAX for an unknown one. */
static uint8_t payload_bytes(uint8_t opcode) {
    switch (opcode) {
    case OP_HELLO:
        return HELLO_REQUEST_BYTES;
    case OP_DESCRIBE:
        return DESCRIBE_REQUEST_BYTES;
    case OP_MOVE_TO:
    case OP_MOVE_BY:
        return STEPS_BYTES;
    case OP_LIGHT:
        return LIGHT_REQUEST_BYTES;
    case OP_TURRET:
        return TURRET_REQUEST_BYTES;
    case OP_STATUS:
    case OP_GOODBYE:
    case OP_HOME:
    case OP_STOP:
    case OP_HEARTBEAT:
    case OP_REARM:
        return 0;
    default:
        return UINT8_MAX;
    }
}

static void receive(const struct frame *frame, uint32_t now_ms) {
    struct tag tag = {frame->session, frame->id, frame->opcode};
    uint8_t wanted = payload_bytes(frame->opcode);
    board_poll(now_ms); /* a frame that comes too late does not undo the trip */
    if (frame->type != TYPE_REQUEST && frame->type != TYPE_URGENT)
        return;
    if (wanted == UINT8_MAX) {
        reply_rejected(tag, REASON_UNKNOWN_OPCODE, 0);
    } else if (frame->length != wanted) {
        reply_rejected(tag, REASON_BAD_PAYLOAD, 0);
    } else if (frame->opcode == OP_HELLO) {
        hello(tag, frame->payload, now_ms);
    } else if (!session_serves(frame->session)) {
        reply_rejected(tag, REASON_NO_SESSION, 0);
    } else {
        fed_ms = now_ms;
        if (frame->opcode != OP_HEARTBEAT)
            once(tag, frame, now_ms);
    }
}

void board_byte(uint8_t byte, uint32_t now_ms) {
    struct frame frame = {0};
    if (decoder_feed(&decoder, byte, &frame))
        receive(&frame, now_ms);
}
