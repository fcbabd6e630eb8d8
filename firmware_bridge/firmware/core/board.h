/* The board: sessions, commands, and the watchdog over the host. */
#ifndef NIGHTSCOPE_BOARD_H
#define NIGHTSCOPE_BOARD_H

#include <stdint.h>

/* Starts dark, with idle motors and no session. `nonce` differs from boot to boot and is not 0. */
void board_init(uint32_t nonce, uint8_t reset_cause);

/* Takes one byte off the line. */
void board_byte(uint8_t byte, uint32_t now_ms);

/* Ends motions and watches the host; call at least every millisecond. */
void board_poll(uint32_t now_ms);

#endif
