/* Everything on a pin: step drivers, switches, LEDs, trigger (the rest of hal.h's functions). */
#ifndef NIGHTSCOPE_PINS_H
#define NIGHTSCOPE_PINS_H

/* Dark, motors without current. */
void pins_init(void);

#endif
