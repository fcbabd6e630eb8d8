/* What a port provides. Masks have bit 0 for x, 1 for y, 2 for z. */
#ifndef NIGHTSCOPE_HAL_H
#define NIGHTSCOPE_HAL_H

#include "config.h"
#include <stdbool.h>
#include <stdint.h>

#define UNIQUE_ID_BYTES 40

/* Called from the tick interrupt. */
void hal_step(uint8_t axes);
uint8_t hal_switches(void); /* a broken wire reads as pressed */
void hal_trigger(bool high);

/* Called from the main loop. */
void hal_directions(uint8_t negative);
void hal_motors(bool energised);
void hal_light_gate(bool open); /* closed: dark whatever the LEDs were told */
void hal_light_write(const uint8_t levels[LEDS]);
uint8_t hal_unique_id(uint8_t name[UNIQUE_ID_BYTES]); /* returns its length */

/* Hands one whole frame to the transmitter, or none of it when there is no room. Never waits. */
bool hal_transmit(const uint8_t *bytes, uint8_t length);

/* Keeps the tick interrupt out; the compiler moves no memory access across either. */
uint8_t hal_lock(void);
void hal_unlock(uint8_t before);

#endif
