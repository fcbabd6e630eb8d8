#include "timer.h"
#include "hal.h"
#include "motion.h"
#include <avr/interrupt.h>
#include <avr/io.h>

static volatile uint32_t ms;
static uint8_t ticks;

void timer_init(void) {
    OCR1A = (uint16_t)(F_CPU / TICK_HZ - 1u);
    TCCR1A = 0;
    TCCR1B = (1u << WGM12) | (1u << CS10); /* clear on compare, no prescaler */
    TIMSK1 = 1u << OCIE1A;
}

ISR(TIMER1_COMPA_vect) {
    motion_tick();
    if (++ticks == TICKS_PER_MS) {
        ticks = 0;
        ms++;
    }
}

uint32_t timer_ms(void) {
    uint8_t before = hal_lock();
    uint32_t now = ms;
    hal_unlock(before);
    return now;
}
