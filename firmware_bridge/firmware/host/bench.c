#include "bench.h"
#include "motion.h"
#include "protocol.h"
#include <string.h>

struct bench bench;
static uint8_t negative;
static struct decoder line;
static uint16_t read_to;

void hal_step(uint8_t axes) {
    for (uint8_t axis = 0; axis < AXES; axis++) {
        if (!(axes & (1u << axis)))
            continue;
        bench.pulses[axis]++;
        if (bench.energised && !bench.stuck[axis])
            bench.carriage[axis] += negative & (1u << axis) ? -1 : 1;
    }
}

uint8_t hal_switches(void) {
    uint8_t pressed = bench.held;
    for (uint8_t axis = 0; axis < AXES; axis++)
        if (bench.carriage[axis] <= 0 && !bench.no_switch[axis])
            pressed = (uint8_t)(pressed | (1u << axis));
    return pressed;
}

void hal_trigger(bool high) {
    bench.triggers += high && !bench.trigger;
    bench.trigger = high;
}

void hal_directions(uint8_t mask) {
    negative = mask;
}

void hal_motors(bool energised) {
    bench.energised = energised;
}

void hal_light_gate(bool open) {
    bench.gate = open;
}

void hal_light_write(const uint8_t levels[LEDS]) {
    memcpy(bench.levels, levels, LEDS);
}

uint8_t hal_unique_id(uint8_t name[UNIQUE_ID_BYTES]) {
    static const char id[] = "bench-c";
    memcpy(name, id, sizeof id - 1);
    return sizeof id - 1;
}

bool hal_transmit(const uint8_t *bytes, uint8_t length) {
    if (bench.deaf || bench.sent_bytes + length > BENCH_SENT)
        return false;
    memcpy(bench.sent + bench.sent_bytes, bytes, length);
    bench.sent_bytes = (uint16_t)(bench.sent_bytes + length);
    return true;
}

uint8_t hal_lock(void) {
    return 0;
}

void hal_unlock(uint8_t before) {
    (void)before;
}

void bench_boot(int32_t from_switch) {
    memset(&bench, 0, sizeof bench);
    for (uint8_t axis = 0; axis < AXES; axis++)
        bench.carriage[axis] = from_switch;
    decoder_reset(&line);
    read_to = 0;
    board_init(BENCH_NONCE, RESET_POWER_ON);
}

void bench_pass(uint32_t ms) {
    for (; ms; ms--) {
        for (uint8_t tick = 0; tick < TICKS_PER_MS; tick++)
            motion_tick();
        board_poll(++bench.now_ms);
    }
}

void bench_feed(const uint8_t *bytes, uint16_t length) {
    for (uint16_t at = 0; at < length; at++)
        board_byte(bytes[at], bench.now_ms);
}

void bench_send(const struct frame *frame) {
    uint8_t wire[MAX_WIRE];
    bench_feed(wire, frame_encode(frame, wire));
}

bool bench_reply(struct frame *frame) {
    while (read_to < bench.sent_bytes)
        if (decoder_feed(&line, bench.sent[read_to++], frame))
            return true;
    read_to = bench.sent_bytes = 0;
    return false;
}

uint16_t bench_take(uint8_t bytes[BENCH_SENT]) {
    uint16_t taken = bench.sent_bytes;
    memcpy(bytes, bench.sent, taken);
    read_to = bench.sent_bytes = 0;
    return taken;
}

bool bench_lit(void) {
    uint8_t any = 0;
    for (uint8_t led = 0; led < LEDS; led++)
        any = (uint8_t)(any | bench.levels[led]);
    return bench.gate && any;
}
