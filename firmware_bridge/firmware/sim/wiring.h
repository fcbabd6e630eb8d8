/* What hangs on which pin of the simulated MCU; the same table as avr/pin_table.h. */
#ifndef NIGHTSCOPE_WIRING_H
#define NIGHTSCOPE_WIRING_H

struct pin {
    char port;
    int bit;
};

struct wiring {
    const char *mcu;
    struct pin step[3], direction[3], limit[3], motors_off, data, clock, gate, trigger;
};

static const struct wiring wirings[] = {
    {.mcu = "atmega328p",
     .step = {{'D', 2}, {'D', 3}, {'D', 4}},
     .direction = {{'D', 5}, {'D', 6}, {'D', 7}},
     .limit = {{'B', 1}, {'B', 2}, {'B', 4}},
     .motors_off = {'B', 0},
     .data = {'C', 0},
     .clock = {'C', 1},
     .gate = {'C', 2},
     .trigger = {'C', 3}},
    {.mcu = "atmega2560",
     .step = {{'E', 4}, {'E', 5}, {'G', 5}},
     .direction = {{'E', 3}, {'H', 3}, {'H', 4}},
     .limit = {{'H', 6}, {'B', 4}, {'B', 6}},
     .motors_off = {'H', 5},
     .data = {'F', 0},
     .clock = {'F', 1},
     .gate = {'F', 2},
     .trigger = {'F', 3}},
};

#endif
