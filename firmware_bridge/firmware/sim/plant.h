/* The stage and the LED array around the simulated MCU, with an event for whatever changes. */
#ifndef NIGHTSCOPE_PLANT_H
#define NIGHTSCOPE_PLANT_H

#include "sim_avr.h"

/* Attaches to the pins; every carriage stands this many steps from its switch. */
void plant_attach(avr_t *avr, const char *mcu, long from_switch);

/* What a loss of supply does: dark, idle. */
void plant_power_off(void);

/* Presses a switch by hand, or lets it go. */
void plant_hold(int axis, int pressed);

/* Takes a motor's carriage off its screw: steps move nothing. */
void plant_jam(int axis, int jammed);

/* Reports the end of a motion once no step has come for 10 ms of simulated time. */
void plant_poll(void);

void plant_say_where(void);

/* One line on stdout: cycle, what, values. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
