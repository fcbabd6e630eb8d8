#include "bench.h"
#include "expect.h"
#include "motion.h"
#include <stdlib.h>

static uint32_t run(uint32_t limit_ticks) {
    uint32_t ticks = 0;
    while (motion_moving() && ticks < limit_ticks) {
        motion_tick();
        ticks++;
    }
    return ticks;
}

static void arrives_exactly(void) {
    static const int32_t ways[][AXES] = {{1, 0, 0},      {0, -1, 0},         {1, 1, 1},
                                         {8000, -3, 7},  {17, 16, 15},       {-5000, 4999, 1},
                                         {3, 40000, -1}, {123, 4567, -8901}, {0, 0, -40000}};
    for (size_t at = 0; at < sizeof ways / sizeof ways[0]; at++) {
        int32_t steps[AXES];
        bench_boot(100000);
        motion_start(ways[at], WATCH_NOTHING, false);
        run(UINT32_MAX);
        motion_position(steps);
        EXPECT_EQUAL(motion_ending(), ENDED_ARRIVED);
        for (uint8_t axis = 0; axis < AXES; axis++) {
            EXPECT_EQUAL(steps[axis], ways[at][axis]);
            EXPECT_EQUAL(bench.carriage[axis] - 100000, ways[at][axis]);
            EXPECT_EQUAL(bench.pulses[axis], labs(ways[at][axis]));
        }
    }
}

static void takes_no_longer_than_announced(void) {
    for (int32_t x = 1; x < 40000; x = x * 3 / 2 + 1) {
        const int32_t way[AXES] = {x, 0, x / 3};
        bench_boot(100000);
        motion_start(way, WATCH_NOTHING, false);
        uint32_t announced_ms = motion_ms(way, false);
        uint32_t ms = run(UINT32_MAX) / TICKS_PER_MS;
        EXPECT(ms <= announced_ms);
        EXPECT(announced_ms <= 2 * ms + RAMP_MS);
    }
}

/* Ticks between steps: long at both ends, short in between, and never below full speed's. */
static void ramps_up_and_down(void) {
    static uint32_t at_tick[4001];
    const int32_t way[AXES] = {4000, 0, 0};
    uint32_t ticks = 0, before = 0;
    bench_boot(100000);
    motion_start(way, WATCH_NOTHING, false);
    while (motion_moving()) {
        motion_tick();
        ticks++;
        if (bench.pulses[0] != before)
            at_tick[before++] = ticks;
    }
    for (uint32_t step = 1; step < 4000; step++)
        EXPECT(at_tick[step] - at_tick[step - 1] >= TICK_HZ / 8000);
    EXPECT(at_tick[1] - at_tick[0] > 15);
    EXPECT(at_tick[3999] - at_tick[3998] > 15);
    EXPECT(at_tick[2000] - at_tick[1999] <= 4);
}

static void brakes_within_a_ramp_and_keeps_count(void) {
    for (uint32_t after = 1; after < 20000; after += 997) {
        const int32_t way[AXES] = {8000, 100, -2000};
        int32_t steps[AXES];
        bench_boot(100000);
        motion_start(way, WATCH_NOTHING, false);
        run(after);
        motion_brake();
        EXPECT(run(UINT32_MAX) <= RAMP_MS * TICKS_PER_MS + WAKE_TICKS + 2);
        motion_position(steps);
        for (uint8_t axis = 0; axis < AXES; axis++)
            EXPECT_EQUAL(bench.carriage[axis] - 100000, steps[axis]);
    }
}

static void a_switch_in_the_way_stops_at_once(void) {
    const int32_t way[AXES] = {-5000, 0, 0};
    bench_boot(2000);
    motion_start(way, WATCH_GUARD, false);
    run(UINT32_MAX);
    EXPECT_EQUAL(motion_ending(), ENDED_SWITCH);
    EXPECT_EQUAL(motion_switched(), 1);
    EXPECT(bench.carriage[0] <= 0);
    EXPECT(bench.carriage[0] > -4);
}

static void a_glitch_on_a_switch_is_ignored(void) {
    const int32_t way[AXES] = {-500, 0, 0};
    bench_boot(2000);
    motion_start(way, WATCH_GUARD, false);
    while (motion_moving()) {
        bench.held = 1;
        run(DEBOUNCE_TICKS);
        bench.held = 0;
        run(1);
    }
    EXPECT_EQUAL(motion_ending(), ENDED_ARRIVED);
    EXPECT_EQUAL(bench.carriage[0], 1500);
}

static const struct test tests[] = {
    {"arrives exactly", arrives_exactly},
    {"takes no longer than announced", takes_no_longer_than_announced},
    {"ramps up and down", ramps_up_and_down},
    {"brakes within a ramp and keeps count", brakes_within_a_ramp_and_keeps_count},
    {"a switch in the way stops at once", a_switch_in_the_way_stops_at_once},
    {"a glitch on a switch is ignored", a_glitch_on_a_switch_is_ignored},
};

const struct suite motion_suite = SUITE("motion", tests);
