/* Where everything is connected: the same Arduino header pins on an Uno (ATmega328P) and a Mega
 * (ATmega2560), those of the common CNC shield where it has them. docs/firmware.md has the table.
 */
#ifndef NIGHTSCOPE_PIN_TABLE_H
#define NIGHTSCOPE_PIN_TABLE_H

#include <avr/io.h>

#if defined(__AVR_ATmega328P__)
#define STEP_X D, 2
#define STEP_Y D, 3
#define STEP_Z D, 4
#define DIRECTION_X D, 5
#define DIRECTION_Y D, 6
#define DIRECTION_Z D, 7
#define MOTORS_OFF B, 0
#define SWITCH_X B, 1
#define SWITCH_Y B, 2
#define SWITCH_Z B, 4
#define LED_DATA C, 0
#define LED_CLOCK C, 1
#define LED_GATE C, 2
#define TRIGGER C, 3
#elif defined(__AVR_ATmega2560__)
#define STEP_X E, 4
#define STEP_Y E, 5
#define STEP_Z G, 5
#define DIRECTION_X E, 3
#define DIRECTION_Y H, 3
#define DIRECTION_Z H, 4
#define MOTORS_OFF H, 5
#define SWITCH_X H, 6
#define SWITCH_Y B, 4
#define SWITCH_Z B, 6
#define LED_DATA F, 0
#define LED_CLOCK F, 1
#define LED_GATE F, 2
#define TRIGGER F, 3
#else
#error "no pin table for this MCU"
#endif

#define HIGH_(port, bit) (PORT##port = (uint8_t)(PORT##port | (1u << (bit))))
#define LOW_(port, bit) (PORT##port = (uint8_t)(PORT##port & ~(1u << (bit))))
#define OUTPUT_(port, bit) (DDR##port = (uint8_t)(DDR##port | (1u << (bit))))
#define READ_(port, bit) ((PIN##port >> (bit)) & 1u)

/* A pin of the table is two arguments, hence the detour. */
#define EXPAND(macro, ...) macro(__VA_ARGS__)
#define PIN_HIGH(pin) EXPAND(HIGH_, pin)
#define PIN_LOW(pin) EXPAND(LOW_, pin)
#define PIN_OUTPUT(pin) EXPAND(OUTPUT_, pin)
#define PIN_READ(pin) EXPAND(READ_, pin)

#endif
