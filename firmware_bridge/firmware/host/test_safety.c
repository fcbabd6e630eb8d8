#include "bytes.h"
#include "expect.h"
#include "motion.h"
#include "state.h"
#include "talk.h"

static void silence_ends_dark_and_idle_in_time(void) {
    for (uint16_t watchdog_ms = 100; watchdog_ms <= 1000;
         watchdog_ms = (uint16_t)(watchdog_ms + 300)) {
        talk_home();
        (void)talk_light(2, 0, 200);
        (void)talk_move(3, OP_MOVE_BY, 20000, 0, 0);
        talk_wait(200);
        (void)talk_hello(TALK_SESSION, watchdog_ms, BENCH_NONCE);
        EXPECT(bench_lit());
        bench_pass(watchdog_ms - WATCHDOG_EARLY_MS - 1u);
        EXPECT(bench_lit());
        bench_pass(WATCHDOG_EARLY_MS);
        EXPECT(!bench_lit());
        EXPECT(!motion_moving());
        EXPECT(!bench.energised);
        EXPECT(state_flags() & STATE_LATCHED);
    }
}

static void a_trip_holds_until_rearmed(void) {
    talk_home();
    bench_pass(600);
    EXPECT_EQUAL(talk_light(2, 0, 9).payload[0], REASON_LATCHED);
    EXPECT_EQUAL(talk_move(3, OP_MOVE_BY, 1, 0, 0).payload[0], REASON_LATCHED);
    EXPECT_EQUAL(talk_light(4, 0, 0).type, TYPE_DONE);
    talk_wait(600);
    EXPECT(state_flags() & STATE_LATCHED);
    EXPECT_EQUAL(talk(5, OP_REARM, 0, 0).type, TYPE_DONE);
    EXPECT_EQUAL(talk_light(6, 0, 9).type, TYPE_DONE);
    EXPECT(bench_lit());
}

static void a_trip_ends_the_motion_and_keeps_the_count(void) {
    talk_home();
    (void)talk_move(2, OP_MOVE_BY, 20000, 0, 0);
    bench_pass(700);
    EXPECT_EQUAL(talk_last(2).payload[0], REASON_LATCHED);
    (void)talk(3, OP_REARM, 0, 0);
    (void)talk_move(4, OP_MOVE_TO, 100, 0, 0);
    talk_wait(1500);
    EXPECT_EQUAL(talk_last(4).type, TYPE_DONE);
    EXPECT_EQUAL(bench.carriage[0], HOME_PULLOFF_STEPS + 100);
}

static void garbage_does_not_feed_the_watchdog(void) {
    talk_home();
    (void)talk_light(2, 0, 9);
    for (uint8_t tens = 0; tens < 60; tens++) {
        const uint8_t bytes[] = {0, 5, 1, 0x21, 0x43, 7, 2, 3, 3, 9, 9, 0};
        bench_feed(bytes, sizeof bytes);
        bench_pass(10);
    }
    EXPECT(!bench_lit());
}

static void the_clock_may_wrap(void) {
    bench_boot(300);
    bench.now_ms = UINT32_MAX - 200;
    (void)talk_hello(TALK_SESSION, 500, NO_NONCE);
    (void)talk_light(2, 0, 9);
    talk_wait(1000);
    EXPECT(bench_lit());
    bench_pass(500);
    EXPECT(!bench_lit());
}

static void a_new_host_takes_over_and_an_old_one_cannot(void) {
    talk_home();
    (void)talk_light(2, 0, 9);
    (void)talk_move(3, OP_MOVE_BY, 20000, 0, 0);
    talk_wait(100);
    EXPECT_EQUAL(talk_hello(0x7777, 500, 0xBAD).payload[12], 0);
    EXPECT(bench_lit()); /* a stray HELLO of some other boot changes nothing */
    EXPECT_EQUAL(talk_hello(0x5555, 500, NO_NONCE).payload[12], 0);
    EXPECT(!bench_lit());
    EXPECT_EQUAL(talk_move(3, OP_MOVE_BY, 10, 0, 0).type, TYPE_ACCEPTED);
    talk_wait(1000);
    EXPECT_EQUAL(talk_last(3).type, TYPE_DONE);
    EXPECT_EQUAL(talk_hello(0x5555, 500, BENCH_NONCE).payload[12], 1);
}

static void goodbye_leaves_it_dark_and_idle(void) {
    talk_home();
    (void)talk_light(2, 0, 9);
    EXPECT_EQUAL(talk(3, OP_GOODBYE, 0, 0).type, TYPE_DONE);
    EXPECT(!bench_lit());
    EXPECT(!bench.energised);
    EXPECT_EQUAL(talk(4, OP_STATUS, 0, 0).payload[0], REASON_NO_SESSION);
}

static void a_lost_answer_is_given_again(void) {
    talk_home();
    bench.deaf = true;
    EXPECT_EQUAL(talk_move(2, OP_MOVE_BY, 50, 0, 0).type, 0);
    talk_wait(300);
    bench.deaf = false;
    EXPECT_EQUAL(talk_move(2, OP_MOVE_BY, 50, 0, 0).type, TYPE_DONE);
    EXPECT_EQUAL(bench.carriage[0], HOME_PULLOFF_STEPS + 50);
}

static void another_major_version_is_refused(void) {
    uint8_t payload[HELLO_REQUEST_BYTES] = {PROTOCOL_MAJOR + 1};
    bench_boot(300);
    struct frame frame = talk(0, OP_HELLO, payload, sizeof payload);
    EXPECT_EQUAL(frame.type, TYPE_REJECTED);
    EXPECT_EQUAL(frame.payload[0], REASON_INCOMPATIBLE);
    EXPECT_EQUAL(frame.payload[1], PROTOCOL_MAJOR);
}

static const struct test tests[] = {
    {"silence ends dark and idle in time", silence_ends_dark_and_idle_in_time},
    {"a trip holds until re-armed", a_trip_holds_until_rearmed},
    {"a trip ends the motion and keeps the count", a_trip_ends_the_motion_and_keeps_the_count},
    {"garbage does not feed the watchdog", garbage_does_not_feed_the_watchdog},
    {"the clock may wrap", the_clock_may_wrap},
    {"a new host takes over", a_new_host_takes_over_and_an_old_one_cannot},
    {"goodbye", goodbye_leaves_it_dark_and_idle},
    {"a lost answer is given again", a_lost_answer_is_given_again},
    {"another major version", another_major_version_is_refused},
};

const struct suite safety_suite = SUITE("safety", tests);
