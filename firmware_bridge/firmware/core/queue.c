#include "queue.h"
#include "bytes.h"
#include "config.h"
#include "flash.h"
#include "homing.h"
#include "jobs.h"
#include "motion.h"
#include "outcome.h"
#include "session.h"
#include <stdbool.h>

static const struct axis axis_table[AXES] FLASH = AXIS_TABLE;

static bool begun, release_wanted;
static enum reason halting; /* why the first job was broken off, or REASON_NONE */
static uint32_t began_ms, lasts_ms;

void queue_init(void) {
    jobs_clear();
    homing_forget();
    begun = release_wanted = false;
    halting = REASON_NONE;
}

static uint32_t left_ms(uint32_t now_ms) {
    uint32_t gone_ms = now_ms - began_ms;
    if (!begun || halting)
        return RAMP_MS + 1;
    return gone_ms < lasts_ms ? lasts_ms - gone_ms : 1;
}

void queue_accept(struct tag tag, uint32_t now_ms) {
    uint8_t ahead = jobs_before(tag);
    if (ahead == jobs_count())
        ahead = 0; /* a stop: nothing comes before it */
    else if (!begun)
        ahead++; /* the ramp of what was stopped comes first */
    reply_accepted(tag, left_ms(now_ms), ahead);
}

static struct tag drop_first(void) {
    begun = false;
    halting = REASON_NONE;
    return jobs_drop_first();
}

static void refuse_first(enum reason reason, uint8_t detail) {
    conclude_rejected(drop_first(), reason, detail);
}

static void finish_first(void) {
    int32_t steps[AXES];
    motion_position(steps);
    conclude_at(drop_first(), steps);
}

/* Nothing moves, so every stop under way is done. */
static void conclude_stops(void) {
    struct tag tag = {session_id(), 0, OP_STOP};
    int32_t steps[AXES];
    if (!session_open())
        return;
    motion_position(steps);
    while (outcome_open_stop(&tag.id))
        conclude_at(tag, steps);
}

static uint8_t lowest_axis(uint8_t mask) {
    uint8_t axis = 0;
    while (axis + 1 < AXES && !(mask & (1u << axis)))
        axis++;
    return axis;
}

/* Writes how far to go; returns the axis whose travel does not allow it, or AXES. */
static uint8_t way(const struct job *job, int32_t delta[AXES]) {
    int32_t here[AXES];
    motion_position(here);
    for (uint8_t axis = 0; axis < AXES; axis++) {
        struct axis limits;
        int32_t steps = get_i32(job->payload + 4 * axis);
        int32_t from = job->tag.opcode == OP_MOVE_BY ? here[axis] : 0;
        flash_copy(&limits, &axis_table[axis], sizeof limits);
        if (steps < limits.low_steps - from || steps > limits.high_steps - from)
            return axis;
        delta[axis] = from + steps - here[axis];
    }
    return AXES;
}

static void begin_move(void) {
    int32_t delta[AXES];
    if (!homing_known()) {
        refuse_first(REASON_NOT_HOMED, 0);
        return;
    }
    uint8_t beyond = way(jobs_first(), delta);
    if (beyond != AXES) {
        refuse_first(REASON_LIMIT, beyond);
        return;
    }
    lasts_ms = motion_ms(delta, false);
    motion_start(delta, WATCH_GUARD, false);
    if (jobs_first()->flags & REQUEST_TRIGGER)
        motion_trigger_on_arrival();
    begun = true;
}

static void begin_first(uint32_t now_ms) {
    began_ms = now_ms;
    release_wanted = false;
    if (jobs_first()->tag.opcode == OP_TURRET) {
        refuse_first(REASON_BAD_INDEX, 0); /* a board without a turret has no position to offer */
    } else if (jobs_first()->tag.opcode == OP_HOME) {
        lasts_ms = homing_ms();
        homing_begin();
        begun = true;
    } else {
        begin_move();
    }
}

static void resolve_home(void) {
    enum homing homing = homing_next();
    if (homing == HOMING_UNDER_WAY)
        return;
    if (homing == HOMING_DONE)
        finish_first();
    else
        refuse_first(REASON_STALLED, homing_axis());
}

/* What was under way stands still. */
static void resolve_first(void) {
    if (halting) {
        refuse_first(halting, 0);
    } else if (jobs_first()->tag.opcode == OP_HOME) {
        resolve_home();
    } else if (motion_ending() == ENDED_SWITCH) {
        homing_forget();
        refuse_first(REASON_LIMIT, lowest_axis(motion_switched()));
    } else {
        finish_first();
    }
}

void queue_poll(uint32_t now_ms) {
    if (motion_moving())
        return;
    if (begun)
        resolve_first();
    if (motion_moving())
        return;
    conclude_stops();
    while (jobs_count() && !motion_moving() && !begun)
        begin_first(now_ms);
    if (release_wanted && !motion_moving()) {
        release_wanted = false;
        motion_release();
    }
}

void queue_add(struct tag tag, uint8_t flags, const uint8_t *payload, uint32_t now_ms) {
    if (jobs_full()) {
        conclude_rejected(tag, REASON_QUEUE_FULL, 0);
        return;
    }
    bool moves = tag.opcode != OP_HOME && tag.opcode != OP_TURRET;
    jobs_add(tag, flags, moves ? payload : 0);
    if (jobs_count() == 1 && !motion_moving())
        begin_first(now_ms);
    if (jobs_count())
        queue_accept(tag, now_ms);
    queue_poll(now_ms);
}

void queue_halt(enum reason reason, uint32_t now_ms) {
    while (jobs_count() > begun)
        conclude_rejected(jobs_drop_last(), reason, 0);
    if (begun && !halting) {
        halting = reason;
        motion_brake();
    }
    queue_poll(now_ms);
}

void queue_halt_and_release(enum reason reason, uint32_t now_ms) {
    release_wanted = true;
    queue_halt(reason, now_ms);
}
