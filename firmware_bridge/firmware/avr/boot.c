#include "boot.h"
#include "hal.h"
#include "protocol.h"
#include <avr/eeprom.h>
#include <avr/io.h>
#include <avr/wdt.h>
#include <string.h>

/* EEPROM: how often the board has started, and from byte 16 the unique id, ended by a zero. */
#define STARTS_AT ((uint32_t *)0)
#define UNIQUE_ID_AT ((const uint8_t *)16)

static uint8_t cause __attribute__((section(".noinit")));

/* Before main, because a watchdog reset leaves the watchdog running at its shortest period. */
void read_cause(void) __attribute__((naked, used, section(".init3")));
void read_cause(void) {
    cause = MCUSR;
    MCUSR = 0;
    wdt_disable();
}

uint8_t boot_cause(void) {
    if (cause & (1u << PORF))
        return RESET_POWER_ON;
    if (cause & (1u << BORF))
        return RESET_BROWN_OUT;
    if (cause & (1u << WDRF))
        return RESET_WATCHDOG;
    return RESET_EXTERNAL;
}

uint32_t boot_nonce(void) {
    uint32_t starts = eeprom_read_dword(STARTS_AT) + 1u;
    if (starts == 0)
        starts = 1; /* its nonce would be 0, which means none */
    eeprom_update_dword(STARTS_AT, starts);
    /* An odd factor maps counts to numbers one to one: no two starts share a nonce. */
    return starts * 0x9E3779B1u;
}

uint8_t hal_unique_id(uint8_t name[UNIQUE_ID_BYTES]) {
    static const char unnamed[] = "unnamed";
    uint8_t length = 0;
    while (length < UNIQUE_ID_BYTES) {
        uint8_t byte = eeprom_read_byte(UNIQUE_ID_AT + length);
        if (byte < ' ' || byte > '~')
            break;
        name[length++] = byte;
    }
    if (length)
        return length;
    memcpy(name, unnamed, sizeof unnamed - 1);
    return sizeof unnamed - 1;
}
