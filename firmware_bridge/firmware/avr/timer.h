/* The tick interrupt: step pulses and milliseconds. */
#ifndef NIGHTSCOPE_TIMER_H
#define NIGHTSCOPE_TIMER_H

#include <stdint.h>

void timer_init(void);
uint32_t timer_ms(void);

#endif
