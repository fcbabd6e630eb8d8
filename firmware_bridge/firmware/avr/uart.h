/* The serial line: 115 200 baud 8N1 through two ring buffers that interrupts fill and empty. */
#ifndef NIGHTSCOPE_UART_H
#define NIGHTSCOPE_UART_H

#include <stdbool.h>
#include <stdint.h>

void uart_init(void);
bool uart_read(uint8_t *byte);
bool uart_pending(void);

#endif
