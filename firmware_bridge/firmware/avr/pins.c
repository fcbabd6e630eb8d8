#include "pins.h"
#include "hal.h"
#include "pin_table.h"
#include <avr/interrupt.h>
#include <util/delay.h>

/* The longest that a common driver needs its step input high (DRV8825: 1.9 us). */
#define STEP_HIGH_US 2

void pins_init(void) {
    PIN_HIGH(MOTORS_OFF);
    PIN_OUTPUT(MOTORS_OFF);
    PIN_OUTPUT(STEP_X);
    PIN_OUTPUT(STEP_Y);
    PIN_OUTPUT(STEP_Z);
    PIN_OUTPUT(DIRECTION_X);
    PIN_OUTPUT(DIRECTION_Y);
    PIN_OUTPUT(DIRECTION_Z);
    PIN_OUTPUT(LED_GATE);
    PIN_OUTPUT(LED_DATA);
    PIN_OUTPUT(LED_CLOCK);
    PIN_OUTPUT(TRIGGER);
    /* Pull-ups: switches are closed to ground at rest, so that a broken wire reads as pressed. */
    PIN_HIGH(SWITCH_X);
    PIN_HIGH(SWITCH_Y);
    PIN_HIGH(SWITCH_Z);
}

void hal_step(uint8_t axes) {
    if (axes & 1u)
        PIN_HIGH(STEP_X);
    if (axes & 2u)
        PIN_HIGH(STEP_Y);
    if (axes & 4u)
        PIN_HIGH(STEP_Z);
    _delay_us(STEP_HIGH_US);
    PIN_LOW(STEP_X);
    PIN_LOW(STEP_Y);
    PIN_LOW(STEP_Z);
}

uint8_t hal_switches(void) {
    return (uint8_t)(PIN_READ(SWITCH_X) | (PIN_READ(SWITCH_Y) << 1) | (PIN_READ(SWITCH_Z) << 2));
}

void hal_trigger(bool high) {
    if (high)
        PIN_HIGH(TRIGGER);
    else
        PIN_LOW(TRIGGER);
}

/* Ports that share a byte with the interrupt's pins are written with the interrupt kept out. */
void hal_directions(uint8_t negative) {
    uint8_t before = hal_lock();
    PIN_LOW(DIRECTION_X);
    PIN_LOW(DIRECTION_Y);
    PIN_LOW(DIRECTION_Z);
    if (negative & 1u)
        PIN_HIGH(DIRECTION_X);
    if (negative & 2u)
        PIN_HIGH(DIRECTION_Y);
    if (negative & 4u)
        PIN_HIGH(DIRECTION_Z);
    hal_unlock(before);
}

void hal_motors(bool energised) {
    uint8_t before = hal_lock();
    if (energised)
        PIN_LOW(MOTORS_OFF);
    else
        PIN_HIGH(MOTORS_OFF);
    hal_unlock(before);
}

/* Single-bit instructions on both MCUs: no lock needed for the light's pins. */
void hal_light_gate(bool open) {
    if (open)
        PIN_HIGH(LED_GATE);
    else
        PIN_LOW(LED_GATE);
}

static void shift_out(uint8_t byte) {
    for (uint8_t bit = 0x80; bit; bit = (uint8_t)(bit >> 1)) {
        if (byte & bit)
            PIN_HIGH(LED_DATA);
        else
            PIN_LOW(LED_DATA);
        PIN_HIGH(LED_CLOCK);
        PIN_LOW(LED_CLOCK);
    }
}

/* APA102: a start of 32 zeros, four bytes an LED (full drive, then blue, green, red), and enough
 * clocks after the last for the data to reach the end of the chain. Its own 19 kHz modulation
 * shows no bands in an exposure, and its clock may pause for an interrupt at any bit. */
void hal_light_write(const uint8_t levels[LEDS]) {
    for (uint8_t at = 0; at < 4; at++)
        shift_out(0);
    for (uint8_t led = 0; led < LEDS; led++) {
        shift_out(0xFF);
        for (uint8_t colour = 0; colour < 3; colour++)
            shift_out(levels[led]);
    }
    for (uint8_t at = 0; at < 4 + (LEDS + 15) / 16; at++)
        shift_out(0);
}

uint8_t hal_lock(void) {
    uint8_t before = SREG;
    cli();
    return before;
}

void hal_unlock(uint8_t before) {
    __asm__ volatile("" ::: "memory");
    SREG = before;
}
