/* The instrument this firmware is built for: travel, speed, switches, light. Edit, then rebuild.
 *
 * Defaults: a 50 x 25 mm stage on M5 x 0.8 screws, 200-step motors at 1/16 (0.8 mm / 3200 =
 * 250 nm a step), a focus drive geared down five times (50 nm), and an APA102 array of
 * 1 + 8 + 16 LEDs. Each axis has one reference switch, at its negative end.
 */
#ifndef NIGHTSCOPE_CONFIG_H
#define NIGHTSCOPE_CONFIG_H

#include <stdint.h>

#define AXES 3
#define OBJECTIVES 0 /* no turret */

/* Steps come from a fixed-rate interrupt; 50 us is the jitter of a step. */
#define TICK_HZ 20000u
#define TICKS_PER_MS (TICK_HZ / 1000u)

/* Every ramp takes at most this long, so this bounds how far from standstill a motor ever is. */
#define RAMP_MS 50u
/* Motors start and stop within one step up to this fraction of full speed. */
#define START_SHIFT 4

/* Ticks between energising the drivers and the first step. */
#define WAKE_TICKS (2u * TICKS_PER_MS)
/* A switch counts once it has read the same for so many ticks: 200 us against motor noise. */
#define DEBOUNCE_TICKS 4u

/* Homing: how far past the travel a switch is searched, how long it may take to open or close in
 * the slow legs (the overrun of the fast one is half a ramp at full speed, 200 steps), and how
 * far from the switch the origin lies. */
#define HOME_MARGIN_STEPS 2000
#define HOME_SLOW_STEPS 1000
#define HOME_PULLOFF_STEPS 100

#define TRIGGER_TICKS TICKS_PER_MS

#define WATCHDOG_DEFAULT_MS 500u
#define WATCHDOG_LOWEST_MS 100u
#define WATCHDOG_HIGHEST_MS 5000u
/* The trip comes this much early, so that the motors have also stopped at the agreed time. */
#define WATCHDOG_EARLY_MS (RAMP_MS + 5u)

#define LEDS 25

struct axis {
    char name;
    uint32_t step_nm;
    int32_t low_steps, high_steps;
    uint16_t speed; /* steps per second, at most TICK_HZ / 2 */
};

/* clang-format off */
#define AXIS_TABLE { \
    {'x', 250, 0, 200000, 8000}, \
    {'y', 250, 0, 100000, 8000}, \
    {'z', 50, 0, 40000, 4000}, \
}
/* clang-format on */

/* The focus drive homes first: it takes the specimen away from the objective. */
#define HOME_ORDER                                                                                 \
    { 2, 0, 1 }

/* Relative strength of each LED, 255 = full: evens out a batch of LEDs. */
#define LED_TRIM                                                                                   \
    {                                                                                              \
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,  \
            255, 255, 255, 255, 255, 255, 255                                                      \
    }

#endif
