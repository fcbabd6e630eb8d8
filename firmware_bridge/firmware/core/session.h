/* The session a host holds, and whether the board has gone safe under it. */
#ifndef NIGHTSCOPE_SESSION_H
#define NIGHTSCOPE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

void session_begin(uint16_t id);
void session_end(void);
bool session_open(void);
uint16_t session_id(void);
bool session_serves(uint16_t id); /* whether that session is the current one */

/* The watchdog's trip, which stays until the host rearms or begins anew. */
void session_latch(void);
void session_rearm(void);
bool session_latched(void);

#endif
