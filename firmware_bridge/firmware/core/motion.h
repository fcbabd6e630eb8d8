/* Step pulses for three axes on one straight line, with a trapezoidal ramp.
 *
 * A fixed-rate interrupt adds the rate to a 32-bit phase; each overflow is a step of the axis that
 * has farthest to go, and the others follow by Bresenham's rule, so every axis arrives exactly.
 * The rate rises by a constant each tick and falls by the same over as many steps as it rose:
 * additions and comparisons only.
 *
 * Bresenham, "Algorithm for computer control of a digital plotter", IBM Systems Journal 4(1),
 * 1965, doi:10.1147/sj.41.0025.
 */
#ifndef NIGHTSCOPE_MOTION_H
#define NIGHTSCOPE_MOTION_H

#include "config.h"
#include <stdbool.h>
#include <stdint.h>

/* What a motion watches its switches for. */
enum watch {
    WATCH_NOTHING,
    WATCH_GUARD,  /* a switch in the way of an axis going negative breaks off at once */
    WATCH_CLOSED, /* ramp down once the moving axis's switch is pressed */
    WATCH_OPEN    /* ramp down once it is released */
};

enum ending { ENDED_ARRIVED, ENDED_BRAKED, ENDED_SWITCH };

void motion_init(void);

/* The interrupt. */
void motion_tick(void);

/* Starts from standstill. `slow` keeps to the speed at which motors start and stop in one step. */
void motion_start(const int32_t delta[AXES], enum watch watch, bool slow);

/* Milliseconds that such a motion takes, never too few. */
uint32_t motion_ms(const int32_t delta[AXES], bool slow);

/* Ramps down and stops, within RAMP_MS. */
void motion_brake(void);

/* Pulse the camera trigger in the tick in which the current motion arrives. */
void motion_trigger_on_arrival(void);
void motion_trigger_now(void);

bool motion_moving(void);
enum ending motion_ending(void);
uint8_t motion_switched(void); /* mask of the switches that ended it */

void motion_position(int32_t steps[AXES]);
void motion_set_origin(uint8_t axis);

/* Currentless drivers once standing; the next motion energises them again. */
void motion_release(void);

#endif
