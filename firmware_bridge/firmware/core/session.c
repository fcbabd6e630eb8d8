#include "session.h"

static uint16_t current;
static bool open, latched;

void session_begin(uint16_t id) {
    current = id;
    open = true;
    latched = false;
}

void session_end(void) {
    open = false;
}

bool session_open(void) {
    return open;
}

uint16_t session_id(void) {
    return current;
}

bool session_serves(uint16_t id) {
    return open && current == id;
}

void session_latch(void) {
    latched = true;
}

void session_rearm(void) {
    latched = false;
}

bool session_latched(void) {
    return latched;
}
