/* Finding the reference switches: fast towards each, off it, slowly on again, off by a fixed
 * number of steps to the origin. One axis after another. */
#ifndef NIGHTSCOPE_HOMING_H
#define NIGHTSCOPE_HOMING_H

#include <stdbool.h>
#include <stdint.h>

enum homing { HOMING_UNDER_WAY, HOMING_DONE, HOMING_FAILED, HOMING_BROKEN_OFF };

/* Starts the first leg. Call at standstill. */
void homing_begin(void);

/* Call whenever a leg has come to rest: starts the next one, or says how it ended. */
enum homing homing_next(void);

/* The axis under way, or the one that failed. */
uint8_t homing_axis(void);

/* Whether the position is known: from the end of a homing until it is lost. */
bool homing_known(void);
void homing_forget(void);

/* The longest that homing can take. */
uint32_t homing_ms(void);

#endif
