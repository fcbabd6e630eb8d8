#include "homing.h"
#include "flash.h"
#include "motion.h"

enum leg { LEG_SEEK, LEG_RELEASE, LEG_APPROACH, LEG_PULLOFF, LEGS };

static const struct axis axis_table[AXES] FLASH = AXIS_TABLE;
static const uint8_t order[AXES] FLASH = HOME_ORDER;

static uint8_t turn;
static enum leg leg;
static bool known;

bool homing_known(void) {
    return known;
}

void homing_forget(void) {
    known = false;
}

uint8_t homing_axis(void) {
    uint8_t axis;
    flash_copy(&axis, &order[turn], sizeof axis);
    return axis;
}

static int32_t leg_steps(enum leg which, uint8_t axis) {
    struct axis limits;
    flash_copy(&limits, &axis_table[axis], sizeof limits);
    switch (which) {
    case LEG_SEEK:
        return -(limits.high_steps - limits.low_steps + HOME_MARGIN_STEPS);
    case LEG_RELEASE:
        return HOME_SLOW_STEPS;
    case LEG_APPROACH:
        return -HOME_SLOW_STEPS;
    default:
        return HOME_PULLOFF_STEPS;
    }
}

static enum watch leg_watch(enum leg which) {
    if (which == LEG_PULLOFF)
        return WATCH_NOTHING;
    return which == LEG_RELEASE ? WATCH_OPEN : WATCH_CLOSED;
}

static void begin_leg(void) {
    int32_t delta[AXES] = {0};
    uint8_t axis = homing_axis();
    delta[axis] = leg_steps(leg, axis);
    motion_start(delta, leg_watch(leg), leg != LEG_SEEK);
}

void homing_begin(void) {
    known = false;
    turn = 0;
    leg = LEG_SEEK;
    begin_leg();
}

enum homing homing_next(void) {
    enum ending ending = motion_ending();
    if (ending == ENDED_BRAKED)
        return HOMING_BROKEN_OFF;
    if (leg != LEG_PULLOFF && ending != ENDED_SWITCH)
        return HOMING_FAILED;
    if (leg == LEG_PULLOFF) {
        motion_set_origin(homing_axis());
        leg = LEG_SEEK;
        if (turn + 1 == AXES) {
            known = true;
            return HOMING_DONE;
        }
        turn++;
    } else {
        leg = (enum leg)(leg + 1);
    }
    begin_leg();
    return HOMING_UNDER_WAY;
}

uint32_t homing_ms(void) {
    uint32_t total = 0;
    for (uint8_t axis = 0; axis < AXES; axis++) {
        for (enum leg which = LEG_SEEK; which < LEGS; which = (enum leg)(which + 1)) {
            int32_t delta[AXES] = {0};
            delta[axis] = leg_steps(which, axis);
            total += motion_ms(delta, which != LEG_SEEK);
        }
    }
    return total;
}
