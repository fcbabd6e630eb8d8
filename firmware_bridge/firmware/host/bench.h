/* A bench around the core on the host: motors that count, switches, LEDs, a line to read back. */
#ifndef NIGHTSCOPE_BENCH_H
#define NIGHTSCOPE_BENCH_H

#include "board.h"
#include "frame.h"
#include "hal.h"

#define BENCH_NONCE 0x5EED0001u
#define BENCH_SENT 4096

struct bench {
    int32_t carriage[AXES]; /* where each motor truly stands, steps from its switch */
    uint32_t pulses[AXES];
    bool stuck[AXES];     /* the carriage does not follow */
    bool no_switch[AXES]; /* never reads as pressed */
    uint8_t held;         /* switches pressed by hand */
    bool energised, gate, trigger;
    uint32_t triggers, now_ms;
    uint8_t levels[LEDS];
    uint8_t sent[BENCH_SENT];
    uint16_t sent_bytes;
    bool deaf; /* the transmitter has no room */
};

extern struct bench bench;

/* Power-on with every carriage this many steps from its switch. */
void bench_boot(int32_t from_switch);

/* Lets time pass, tick by tick, polling the board each millisecond. */
void bench_pass(uint32_t ms);

void bench_feed(const uint8_t *bytes, uint16_t length);
void bench_send(const struct frame *frame);

/* Reads the next frame the board sent; false when there is none. Its payload is overwritten by
 * the next call. */
bool bench_reply(struct frame *frame);

/* Copies out and forgets what the board sent; returns how many bytes. */
uint16_t bench_take(uint8_t bytes[BENCH_SENT]);

bool bench_lit(void); /* light really leaves the array */

#endif
