/* Start, then for ever: take what came, let the board see the time, sleep until an interrupt. */
#include "board.h"
#include "boot.h"
#include "pins.h"
#include "timer.h"
#include "uart.h"
#include <avr/interrupt.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

int main(void) {
    pins_init();
    board_init(boot_nonce(), boot_cause());
    uart_init();
    timer_init();
    /* A hang of this loop resets the board, and a reset board is dark and idle. */
    wdt_enable(WDTO_120MS);
    sei();
    for (;;) {
        uint8_t byte;
        wdt_reset();
        if (uart_read(&byte))
            board_byte(byte, timer_ms());
        board_poll(timer_ms());
        if (!uart_pending())
            sleep_mode(); /* the next tick is at most 50 us away */
    }
}
