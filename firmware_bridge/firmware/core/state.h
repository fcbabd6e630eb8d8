/* The flags that every frame to the host carries. */
#ifndef NIGHTSCOPE_STATE_H
#define NIGHTSCOPE_STATE_H

#include <stdint.h>

uint8_t state_flags(void);

#endif
