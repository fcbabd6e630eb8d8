#include "light.h"
#include "flash.h"
#include "hal.h"

#define LED(n) ((uint32_t)1 << (n))
#define INNER(n) LED(1 + (n) % 8)
#define OUTER(n) LED(9 + (n) % 16)
#define INNER_RING 0x000001FEu
#define OUTER_RING 0x01FFFE00u

struct pattern {
    char name[CHANNEL_NAME_BYTES];
    uint32_t leds;
};

/* Single off-axis LEDs for focus by shift, opposite pairs for focus by doubling, halves of the
 * inner ring for phase contrast. */
static const struct pattern patterns[PATTERNS] FLASH = {
    {"brightfield", LED(0) | INNER_RING},
    {"left", OUTER(8)},
    {"right", OUTER(0)},
    {"top", OUTER(4)},
    {"bottom", OUTER(12)},
    {"pair-x", OUTER(0) | OUTER(8)},
    {"pair-y", OUTER(4) | OUTER(12)},
    {"half-left", INNER(3) | INNER(4) | INNER(5)},
    {"half-right", INNER(7) | INNER(0) | INNER(1)},
    {"half-top", INNER(1) | INNER(2) | INNER(3)},
    {"half-bottom", INNER(5) | INNER(6) | INNER(7)},
    {"darkfield", OUTER_RING},
};

static const uint8_t trims[LEDS] FLASH = LED_TRIM;

static uint8_t lit_channel, lit_level;

void light_init(void) {
    light_off();
}

static uint32_t leds_of(uint8_t channel) {
    struct pattern pattern;
    if (channel >= PATTERNS)
        return LED(channel - PATTERNS);
    flash_copy(&pattern, &patterns[channel], sizeof pattern);
    return pattern.leds;
}

static void show(uint32_t leds, uint8_t level) {
    uint8_t levels[LEDS];
    for (uint8_t led = 0; led < LEDS; led++, leds >>= 1) {
        uint8_t trim;
        flash_copy(&trim, &trims[led], sizeof trim);
        uint8_t dimmed = (uint8_t)(((uint16_t)level * (trim + 1u)) >> 8);
        /* A trim never turns a lit LED off. */
        levels[led] = leds & 1u ? (uint8_t)(dimmed | (level && !dimmed)) : 0;
    }
    hal_light_write(levels);
}

void light_set(uint8_t channel, uint8_t level) {
    lit_channel = channel;
    lit_level = level;
    if (!level)
        hal_light_gate(false);
    show(level ? leds_of(channel) : 0, level);
    if (level)
        hal_light_gate(true);
}

void light_off(void) {
    light_set(0, 0);
}

uint8_t light_channel(void) {
    return lit_channel;
}

uint8_t light_level(void) {
    return lit_level;
}

static uint8_t single_name(uint8_t led, uint8_t *name) {
    uint8_t length = 0;
    name[length++] = 'l';
    name[length++] = 'e';
    name[length++] = 'd';
    name[length++] = '-';
    if (led >= 10)
        name[length++] = (uint8_t)('0' + led / 10);
    name[length++] = (uint8_t)('0' + led % 10);
    return length;
}

uint8_t light_name(uint8_t channel, uint8_t name[CHANNEL_NAME_BYTES]) {
    struct pattern pattern;
    uint8_t length = 0;
    if (channel >= PATTERNS)
        return single_name((uint8_t)(channel - PATTERNS), name);
    flash_copy(&pattern, &patterns[channel], sizeof pattern);
    while (length < CHANNEL_NAME_BYTES && pattern.name[length]) {
        name[length] = (uint8_t)pattern.name[length];
        length++;
    }
    return length;
}
