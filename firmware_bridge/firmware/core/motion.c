#include "motion.h"
#include "flash.h"
#include "hal.h"

#define RAMP_TICKS (RAMP_MS * TICKS_PER_MS)
/* Phase per tick of one step per second. */
#define RATE_UNIT (UINT32_MAX / TICK_HZ)

static const struct axis axis_table[AXES] FLASH = AXIS_TABLE;

struct profile {
    uint32_t total; /* steps of the axis that has farthest to go */
    uint32_t steps[AXES];
    uint16_t speed;
    uint8_t moving, negative;
};

/* Written by the main loop only at standstill, by the interrupt only in motion. */
static struct {
    volatile bool running, braking;
    bool energised, trigger_on_arrival;
    enum watch watch;
    volatile enum ending ending;
    volatile uint8_t switched;
    uint8_t moving, negative, wake, trigger;
    uint8_t switches, switches_before, switches_same;
    uint32_t total, left, ramp_steps;
    uint32_t steps[AXES], debt[AXES];
    uint32_t phase, rate, floor, ceiling, gain;
    int32_t position[AXES];
} motion;

void motion_init(void) {
    motion.running = motion.braking = motion.energised = motion.trigger_on_arrival = false;
    motion.trigger = motion.switches_same = 0;
    motion.switches = motion.switches_before = hal_switches();
    for (uint8_t axis = 0; axis < AXES; axis++)
        motion.position[axis] = 0;
}

static void finish(enum ending ending) {
    motion.running = false;
    motion.ending = ending;
    if (ending == ENDED_ARRIVED && motion.trigger_on_arrival)
        motion_trigger_now();
}

/* A mask changes only after it has stood for DEBOUNCE_TICKS. */
static void debounce(void) {
    uint8_t now = hal_switches();
    if (now != motion.switches_before) {
        motion.switches_before = now;
        motion.switches_same = 0;
    } else if (motion.switches_same < DEBOUNCE_TICKS) {
        motion.switches_same++;
    } else {
        motion.switches = now;
    }
}

/* Returns whether the motion may go on. */
static bool watch_switches(void) {
    uint8_t hit = motion.moving & motion.switches;
    if (motion.watch == WATCH_GUARD && (hit & motion.negative)) {
        motion.switched = hit & motion.negative;
        finish(ENDED_SWITCH);
        return false;
    }
    bool found = (motion.watch == WATCH_CLOSED && hit) || (motion.watch == WATCH_OPEN && !hit);
    if (found && !motion.braking) {
        motion.switched = motion.moving;
        motion.braking = true;
    }
    return true;
}

static void slower(void) {
    uint32_t spare = motion.rate - motion.floor;
    motion.rate -= spare < motion.gain ? spare : motion.gain;
}

static void faster(void) {
    uint32_t spare = motion.ceiling - motion.rate;
    motion.rate += spare < motion.gain ? spare : motion.gain;
}

static bool slowing(void) {
    return motion.braking || motion.left <= motion.ramp_steps;
}

static void step(void) {
    uint8_t axes = 0, bit = 1;
    for (uint8_t axis = 0; axis < AXES; axis++, bit = (uint8_t)(bit << 1)) {
        uint32_t debt = motion.debt[axis] + motion.steps[axis];
        if (debt >= motion.total) {
            debt -= motion.total;
            axes |= bit;
            motion.position[axis] += motion.negative & bit ? -1 : 1;
        }
        motion.debt[axis] = debt;
    }
    hal_step(axes);
    if (!slowing() && motion.rate < motion.ceiling)
        motion.ramp_steps++;
    if (--motion.left == 0)
        finish(ENDED_ARRIVED);
}

static void advance(void) {
    if (motion.wake) {
        motion.wake--;
        return;
    }
    if (!watch_switches())
        return;
    if (motion.braking && motion.rate <= motion.floor) {
        finish(motion.switched ? ENDED_SWITCH : ENDED_BRAKED);
        return;
    }
    if (slowing())
        slower();
    else
        faster();
    motion.phase += motion.rate;
    if (motion.phase < motion.rate)
        step();
}

void motion_tick(void) {
    debounce();
    if (motion.running)
        advance();
    if (motion.trigger && --motion.trigger == 0)
        hal_trigger(false);
}

static void measure(struct profile *profile, const int32_t delta[AXES]) {
    uint8_t farthest = 0;
    profile->moving = profile->negative = 0;
    for (uint8_t axis = 0; axis < AXES; axis++) {
        bool back = delta[axis] < 0;
        profile->steps[axis] = back ? 0u - (uint32_t)delta[axis] : (uint32_t)delta[axis];
        if (back)
            profile->negative = (uint8_t)(profile->negative | (1u << axis));
        if (delta[axis])
            profile->moving = (uint8_t)(profile->moving | (1u << axis));
        if (profile->steps[axis] > profile->steps[farthest])
            farthest = axis;
    }
    profile->total = profile->steps[farthest];
}

/* The speed of the farthest axis at which no axis exceeds its own; the whole-number ratio errs on
 * the slow side. */
static void limit_speed(struct profile *profile) {
    uint32_t slowest = UINT16_MAX;
    for (uint8_t axis = 0; axis < AXES; axis++) {
        struct axis limits;
        if (!profile->steps[axis])
            continue;
        flash_copy(&limits, &axis_table[axis], sizeof limits);
        uint32_t ratio = profile->total / profile->steps[axis];
        if (ratio < UINT16_MAX && limits.speed * ratio < slowest)
            slowest = limits.speed * ratio;
    }
    profile->speed = (uint16_t)slowest;
}

uint32_t motion_ms(const int32_t delta[AXES], bool slow) {
    struct profile profile;
    measure(&profile, delta);
    limit_speed(&profile);
    uint32_t start_speed = profile.speed >> START_SHIFT;
    uint32_t crawling = profile.total * 1000u / start_speed + 1;
    uint32_t ramped = profile.total * 1000u / profile.speed + RAMP_MS + 1;
    return WAKE_TICKS / TICKS_PER_MS + (slow || crawling < ramped ? crawling : ramped);
}

void motion_start(const int32_t delta[AXES], enum watch watch, bool slow) {
    struct profile profile;
    measure(&profile, delta);
    limit_speed(&profile);
    hal_motors(true);
    hal_directions(profile.negative);
    uint8_t before = hal_lock();
    motion.total = motion.left = profile.total;
    motion.moving = profile.moving;
    motion.negative = profile.negative;
    for (uint8_t axis = 0; axis < AXES; axis++) {
        motion.steps[axis] = profile.steps[axis];
        motion.debt[axis] = profile.total / 2;
    }
    motion.ceiling = profile.speed * RATE_UNIT;
    motion.gain = motion.ceiling / RAMP_TICKS;
    motion.floor = motion.rate = motion.ceiling >> START_SHIFT;
    if (slow)
        motion.ceiling = motion.floor;
    motion.watch = watch;
    motion.phase = motion.ramp_steps = 0;
    motion.switched = 0;
    motion.wake = motion.energised ? 1 : WAKE_TICKS;
    motion.energised = true;
    motion.braking = motion.trigger_on_arrival = false;
    motion.running = profile.total > 0;
    motion.ending = ENDED_ARRIVED;
    hal_unlock(before);
}

void motion_brake(void) {
    motion.braking = true;
}

void motion_trigger_on_arrival(void) {
    uint8_t before = hal_lock();
    if (motion.running)
        motion.trigger_on_arrival = true;
    else
        motion_trigger_now();
    hal_unlock(before);
}

void motion_trigger_now(void) {
    uint8_t before = hal_lock();
    hal_trigger(true);
    motion.trigger = TRIGGER_TICKS;
    hal_unlock(before);
}

bool motion_moving(void) {
    return motion.running;
}

enum ending motion_ending(void) {
    return motion.ending;
}

uint8_t motion_switched(void) {
    return motion.switched;
}

void motion_position(int32_t steps[AXES]) {
    uint8_t before = hal_lock();
    for (uint8_t axis = 0; axis < AXES; axis++)
        steps[axis] = motion.position[axis];
    hal_unlock(before);
}

void motion_set_origin(uint8_t axis) {
    uint8_t before = hal_lock();
    motion.position[axis] = 0;
    hal_unlock(before);
}

void motion_release(void) {
    hal_motors(false);
    motion.energised = false;
}
