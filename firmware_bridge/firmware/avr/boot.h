/* What survives a reset: why it happened, how often the board has started, what it is called. */
#ifndef NIGHTSCOPE_BOOT_H
#define NIGHTSCOPE_BOOT_H

#include <stdint.h>

/* Non-zero and different at every start of this board. Call once. */
uint32_t boot_nonce(void);
uint8_t boot_cause(void);

#endif
