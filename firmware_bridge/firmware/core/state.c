#include "state.h"
#include "homing.h"
#include "jobs.h"
#include "light.h"
#include "motion.h"
#include "protocol.h"
#include "session.h"

uint8_t state_flags(void) {
    return (uint8_t)((session_latched() ? STATE_LATCHED : 0) | (homing_known() ? STATE_HOMED : 0) |
                     (jobs_count() || motion_moving() ? STATE_MOVING : 0) |
                     (light_level() ? STATE_LIT : 0));
}
