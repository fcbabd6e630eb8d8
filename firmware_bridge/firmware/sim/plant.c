#include "plant.h"
#include "avr_ioport.h"
#include "config.h"
#include "wiring.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STILL_CYCLES 160000

static avr_t *mcu_;
static const struct wiring *wiring;
static struct {
    long carriage[AXES];
    unsigned long pulses;
    int negative[AXES], held[AXES], jammed[AXES];
    int energised, moving;
    avr_cycle_count_t last_step;
} stage;
static struct {
    int data, gate, zeros, bits, next;
    uint32_t word;
    uint8_t shifted[LEDS], shown[LEDS];
} array;

void say(const char *format, ...) {
    va_list values;
    printf("%" PRIu64 " ", (uint64_t)mcu_->cycle);
    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    printf("\n");
    fflush(stdout);
}

static avr_irq_t *irq_of(struct pin pin) {
    return avr_io_getirq(mcu_, AVR_IOCTL_IOPORT_GETIRQ(pin.port), pin.bit);
}

static int pressed(int axis) {
    return stage.held[axis] || stage.carriage[axis] <= 0;
}

/* simavr drives an input anew from its pull-ups at every write to its port, unless told that
 * something outside pulls it. */
static void set_switch(int axis) {
    struct pin pin = wiring->limit[axis];
    avr_ioport_external_t outside = {.name = (unsigned long)pin.port};
    for (int other = 0; other < AXES; other++) {
        if (wiring->limit[other].port != pin.port)
            continue;
        outside.mask |= 1UL << wiring->limit[other].bit;
        outside.value |= (unsigned long)pressed(other) << wiring->limit[other].bit;
    }
    avr_ioctl(mcu_, AVR_IOCTL_IOPORT_SET_EXTERNAL(pin.port), &outside);
    avr_raise_irq(irq_of(pin), (uint32_t)pressed(axis));
}

static void on_step(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq;
    int axis = (int)(intptr_t)parameter;
    if (!value)
        return;
    stage.pulses++;
    if (!stage.moving)
        say("moving");
    stage.moving = 1;
    stage.last_step = mcu_->cycle;
    if (!stage.energised || stage.jammed[axis])
        return;
    stage.carriage[axis] += stage.negative[axis] ? -1 : 1;
    set_switch(axis);
}

static void on_direction(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq;
    stage.negative[(intptr_t)parameter] = (int)value;
}

static void on_motors_off(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq, (void)parameter;
    if (stage.energised != !value)
        say("motors %d", !value);
    stage.energised = !value;
}

static void show(void) {
    uint32_t leds = 0;
    uint8_t level = 0, levels[LEDS];
    for (int led = 0; led < LEDS; led++) {
        levels[led] = array.gate ? array.shifted[led] : 0;
        leds |= (uint32_t) !!levels[led] << led;
        level = levels[led] > level ? levels[led] : level;
    }
    if (memcmp(levels, array.shown, LEDS) == 0)
        return;
    memcpy(array.shown, levels, LEDS);
    say("light %06x %u", leds, level);
}

/* An APA102 chain: 32 zeros, then 32 bits an LED. */
static void on_clock(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq, (void)parameter;
    if (!value)
        return;
    if (array.next == LEDS) {
        array.zeros = array.data ? 0 : array.zeros + 1;
        if (array.zeros >= 32)
            array.next = array.bits = 0;
        return;
    }
    if (array.bits == 0 && array.next == 0 && !array.data)
        return;
    array.word = (array.word << 1) | (uint32_t)array.data;
    if (++array.bits < 32)
        return;
    array.bits = 0;
    array.shifted[array.next++] = (uint8_t)array.word;
    if (array.next == LEDS) {
        array.zeros = 0;
        show();
    }
}

static void on_data(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq, (void)parameter;
    array.data = (int)value;
}

static void on_gate(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq, (void)parameter;
    array.gate = (int)value;
    show();
}

static void on_trigger(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq, (void)parameter;
    say("trigger %u", value);
}

static void attach(struct pin pin, avr_irq_notify_t notify, int axis) {
    avr_irq_register_notify(irq_of(pin), notify, (void *)(intptr_t)axis);
}

void plant_attach(avr_t *avr, const char *mcu, long from_switch) {
    mcu_ = avr;
    array.next = LEDS;
    for (size_t at = 0; at < sizeof wirings / sizeof wirings[0]; at++)
        if (strcmp(wirings[at].mcu, mcu) == 0)
            wiring = &wirings[at];
    if (!wiring) {
        fprintf(stderr, "no wiring for %s\n", mcu);
        exit(2);
    }
    for (int axis = 0; axis < AXES; axis++) {
        stage.carriage[axis] = from_switch;
        attach(wiring->step[axis], on_step, axis);
        attach(wiring->direction[axis], on_direction, axis);
        set_switch(axis);
    }
    attach(wiring->motors_off, on_motors_off, 0);
    attach(wiring->data, on_data, 0);
    attach(wiring->clock, on_clock, 0);
    attach(wiring->gate, on_gate, 0);
    attach(wiring->trigger, on_trigger, 0);
}

void plant_power_off(void) {
    array.gate = stage.energised = 0;
    show();
    for (int axis = 0; axis < AXES; axis++)
        set_switch(axis);
}

void plant_hold(int axis, int pressed) {
    stage.held[axis] = pressed;
    set_switch(axis);
}

void plant_jam(int axis, int jammed) {
    stage.jammed[axis] = jammed;
}

void plant_poll(void) {
    if (stage.moving && mcu_->cycle - stage.last_step > STILL_CYCLES) {
        stage.moving = 0;
        say("still %" PRIu64, (uint64_t)stage.last_step);
    }
}

void plant_say_where(void) {
    say("where %ld %ld %ld", stage.carriage[0], stage.carriage[1], stage.carriage[2]);
}
