/* The LED array: which LEDs a channel lights, and how brightly.
 *
 * LED 0 is the centre, 1 to 8 the inner ring, 9 to 24 the outer ring, both counter-clockwise from
 * the right. */
#ifndef NIGHTSCOPE_LIGHT_H
#define NIGHTSCOPE_LIGHT_H

#include "config.h"
#include <stdbool.h>
#include <stdint.h>

#define PATTERNS 12
#define CHANNELS (PATTERNS + LEDS)

void light_init(void);

/* Lights one channel alone at 0 (dark) to 255; returns when it stands. */
void light_set(uint8_t channel, uint8_t level);
void light_off(void);

uint8_t light_channel(void);
uint8_t light_level(void);

/* Writes a channel's name, at most CHANNEL_NAME_BYTES; returns its length. */
#define CHANNEL_NAME_BYTES 12
uint8_t light_name(uint8_t channel, uint8_t name[CHANNEL_NAME_BYTES]);

#endif
