#include "bytes.h"
#include "expect.h"
#include "light.h"
#include "state.h"
#include "talk.h"

static void expect_rejected(struct frame frame, uint8_t reason, uint8_t detail) {
    EXPECT_EQUAL(frame.type, TYPE_REJECTED);
    EXPECT_EQUAL(frame.payload[0], reason);
    EXPECT_EQUAL(frame.payload[1], detail);
}

static void expect_steps(struct frame frame, int32_t x, int32_t y, int32_t z) {
    EXPECT_EQUAL(frame.type, TYPE_DONE);
    EXPECT_EQUAL(frame.length, STEPS_BYTES);
    EXPECT_EQUAL(get_i32(frame.payload), x);
    EXPECT_EQUAL(get_i32(frame.payload + 4), y);
    EXPECT_EQUAL(get_i32(frame.payload + 8), z);
}

static void homes_to_the_same_place_from_anywhere(void) {
    for (int32_t from = -50; from < 3000; from = from * 2 + 101) {
        bench_boot(from);
        (void)talk_hello(TALK_SESSION, 500, NO_NONCE);
        EXPECT_EQUAL(talk(1, OP_HOME, 0, 0).type, TYPE_ACCEPTED);
        while (state_flags() & STATE_MOVING)
            talk_wait(50);
        expect_steps(talk_last(1), 0, 0, 0);
        for (uint8_t axis = 0; axis < AXES; axis++)
            EXPECT_EQUAL(bench.carriage[axis], HOME_PULLOFF_STEPS);
        EXPECT(state_flags() & STATE_HOMED);
    }
}

static void homing_without_a_switch_stalls_and_names_the_axis(void) {
    talk_start();
    bench.no_switch[0] = true;
    (void)talk(1, OP_HOME, 0, 0);
    while (state_flags() & STATE_MOVING)
        talk_wait(500);
    expect_rejected(talk_last(1), REASON_STALLED, 0);
    EXPECT(!(state_flags() & STATE_HOMED));
}

static void a_repeated_move_moves_once(void) {
    talk_home();
    EXPECT_EQUAL(talk_move(2, OP_MOVE_BY, 500, 20, 3).type, TYPE_ACCEPTED);
    EXPECT_EQUAL(talk_move(2, OP_MOVE_BY, 500, 20, 3).type, TYPE_ACCEPTED);
    talk_wait(400);
    expect_steps(talk_last(2), 500, 20, 3);
    expect_steps(talk_move(2, OP_MOVE_BY, 500, 20, 3), 500, 20, 3);
    EXPECT_EQUAL(bench.carriage[0], HOME_PULLOFF_STEPS + 500);
}

static void an_id_that_fell_out_of_memory_is_refused(void) {
    talk_home();
    for (uint16_t id = 2; id < 12; id++)
        EXPECT_EQUAL(talk(id, OP_STATUS, 0, 0).type, TYPE_DONE);
    expect_rejected(talk_move(3, OP_MOVE_BY, 5, 0, 0), REASON_STALE, 0);
    EXPECT_EQUAL(talk(4 + HALF_ID - RING, OP_STATUS, 0, 0).type, TYPE_DONE);
}

static void an_id_used_for_two_commands_gets_no_second_answer(void) {
    talk_home();
    (void)talk_move(2, OP_MOVE_BY, 100, 0, 0);
    EXPECT_EQUAL(talk(2, OP_HOME, 0, 0).type, 0); /* under way */
    talk_wait(500);
    (void)talk_last(2);
    EXPECT_EQUAL(talk(2, OP_HOME, 0, 0).type, 0); /* done */
    expect_steps(talk_move(2, OP_MOVE_BY, 100, 0, 0), 100, 0, 0);
}

static void ids_wrap(void) {
    talk_home();
    for (uint32_t id = 2; id < 0x10100; id += 5)
        EXPECT_EQUAL(talk((uint16_t)id, OP_STATUS, 0, 0).type, TYPE_DONE);
}

static void limits_hold_for_both_kinds_of_move(void) {
    talk_home();
    expect_rejected(talk_move(2, OP_MOVE_TO, 0, -1, 0), REASON_LIMIT, 1);
    expect_rejected(talk_move(3, OP_MOVE_TO, 200001, 0, 0), REASON_LIMIT, 0);
    expect_rejected(talk_move(4, OP_MOVE_BY, 0, 0, INT32_MIN), REASON_LIMIT, 2);
    expect_rejected(talk_move(5, OP_MOVE_BY, INT32_MAX, 0, 0), REASON_LIMIT, 0);
    EXPECT_EQUAL(bench.carriage[0], HOME_PULLOFF_STEPS);
}

static void moves_wait_their_turn_and_the_queue_is_bounded(void) {
    talk_home();
    for (uint16_t id = 2; id < 2 + QUEUE + 1; id++) {
        struct frame frame = talk_move(id, OP_MOVE_BY, 100, 0, 0);
        EXPECT_EQUAL(frame.type, TYPE_ACCEPTED);
        EXPECT_EQUAL(frame.payload[4], id - 2);
    }
    expect_rejected(talk_move(7, OP_MOVE_BY, 1, 0, 0), REASON_QUEUE_FULL, 0);
    talk_wait(2000);
    expect_steps(talk_last(6), 500, 0, 0);
}

static void stop_overtakes_the_queue_and_keeps_the_position(void) {
    talk_home();
    (void)talk_move(2, OP_MOVE_BY, 8000, 0, 0);
    (void)talk_move(3, OP_MOVE_BY, 8000, 0, 0);
    talk_wait(300);
    EXPECT_EQUAL(talk(4, OP_STOP, 0, 0).type, TYPE_ACCEPTED);
    talk_wait(RAMP_MS + 2);
    struct frame frame = talk_last(4);
    expect_steps(frame, bench.carriage[0] - HOME_PULLOFF_STEPS, 0, 0);
    expect_rejected(talk_move(2, OP_MOVE_BY, 8000, 0, 0), REASON_STOPPED, 0);
    expect_rejected(talk_move(3, OP_MOVE_BY, 8000, 0, 0), REASON_STOPPED, 0);
    EXPECT(bench.carriage[0] < 4000);
    EXPECT(!(state_flags() & STATE_MOVING));
}

static void a_switch_hit_in_a_move_voids_the_origin(void) {
    talk_home();
    (void)talk_move(2, OP_MOVE_TO, 2000, 0, 0);
    talk_wait(600);
    bench.carriage[0] = 500; /* steps were lost */
    (void)talk_move(3, OP_MOVE_TO, 0, 0, 0);
    talk_wait(600);
    expect_rejected(talk_last(3), REASON_LIMIT, 0);
    expect_rejected(talk_move(4, OP_MOVE_TO, 5, 0, 0), REASON_NOT_HOMED, 0);
}

static void every_channel_has_its_own_name_and_light(void) {
    talk_start();
    for (uint8_t channel = 0; channel < CHANNELS; channel++) {
        const uint8_t ask[DESCRIBE_REQUEST_BYTES] = {KIND_CHANNEL, channel};
        EXPECT(talk((uint16_t)(2 * channel + 2), OP_DESCRIBE, ask, sizeof ask).length > 2);
        EXPECT_EQUAL(talk_light((uint16_t)(2 * channel + 3), channel, 1).type, TYPE_DONE);
        EXPECT(bench_lit());
    }
    expect_rejected(talk_light(200, CHANNELS, 1), REASON_BAD_INDEX, 0);
    (void)talk_light(201, 0, 0);
    EXPECT(!bench_lit());
}

static void a_long_description_is_made_again_when_asked_again(void) {
    const uint8_t ask[DESCRIBE_REQUEST_BYTES] = {KIND_AXIS, 2};
    talk_start();
    for (uint8_t time = 0; time < 2; time++) {
        struct frame frame = talk(9, OP_DESCRIBE, ask, sizeof ask);
        EXPECT_EQUAL(frame.length, AXIS_REPLY_BYTES + 1);
        EXPECT_EQUAL(get_u32(frame.payload), 50);
        EXPECT_EQUAL(frame.payload[12], 'z');
    }
}

static void the_camera_is_triggered_at_the_moves_end_and_by_the_light(void) {
    uint8_t way[STEPS_BYTES] = {200};
    const uint8_t light[LIGHT_REQUEST_BYTES] = {0, 9};
    talk_home();
    (void)talk_flagged(2, OP_MOVE_BY, REQUEST_TRIGGER, way, sizeof way);
    EXPECT_EQUAL(bench.triggers, 0);
    while (!bench.triggers && bench.now_ms < 100000)
        bench_pass(1);
    EXPECT_EQUAL(bench.carriage[0], HOME_PULLOFF_STEPS + 200);
    talk_wait(3);
    EXPECT(!bench.trigger);
    (void)talk_flagged(3, OP_LIGHT, REQUEST_TRIGGER, light, sizeof light);
    EXPECT_EQUAL(bench.triggers, 2);
}

static void bad_requests_are_named(void) {
    const uint8_t three[3] = {0};
    talk_start();
    expect_rejected(talk(2, 0x77, 0, 0), REASON_UNKNOWN_OPCODE, 0);
    expect_rejected(talk(2, OP_MOVE_BY, three, 3), REASON_BAD_PAYLOAD, 0);
    expect_rejected(talk(2, OP_TURRET, three, 1), REASON_BAD_INDEX, 0);
}

static const struct test tests[] = {
    {"homes to the same place from anywhere", homes_to_the_same_place_from_anywhere},
    {"homing without a switch", homing_without_a_switch_stalls_and_names_the_axis},
    {"a repeated move moves once", a_repeated_move_moves_once},
    {"an old id is refused", an_id_that_fell_out_of_memory_is_refused},
    {"an id used twice", an_id_used_for_two_commands_gets_no_second_answer},
    {"ids wrap", ids_wrap},
    {"limits hold", limits_hold_for_both_kinds_of_move},
    {"moves wait their turn", moves_wait_their_turn_and_the_queue_is_bounded},
    {"stop overtakes the queue", stop_overtakes_the_queue_and_keeps_the_position},
    {"a switch hit voids the origin", a_switch_hit_in_a_move_voids_the_origin},
    {"channels", every_channel_has_its_own_name_and_light},
    {"long descriptions", a_long_description_is_made_again_when_asked_again},
    {"camera trigger", the_camera_is_triggered_at_the_moves_end_and_by_the_light},
    {"bad requests are named", bad_requests_are_named},
};

const struct suite board_suite = SUITE("board", tests);
