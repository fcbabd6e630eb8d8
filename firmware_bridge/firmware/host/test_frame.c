#include "expect.h"
#include "frame.h"
#include <string.h>

/* The worked example of docs/protocol.md. */
static const uint8_t status_request[] = {0x00, 0x05, 0x01, 0x34, 0x12, 0x07, 0x02,
                                         0x03, 0x05, 0xe9, 0x3e, 0x2a, 0x08, 0x00};

static bool decode(const uint8_t *bytes, size_t length, struct frame *frame) {
    static struct decoder decoder;
    bool whole = false;
    decoder_reset(&decoder);
    for (size_t at = 0; at < length; at++)
        whole = decoder_feed(&decoder, bytes[at], frame) || whole;
    return whole;
}

static void check_value(void) {
    uint32_t crc = CRC_SEED;
    for (const char *at = "123456789"; *at; at++)
        crc = crc32(crc, (uint8_t)*at);
    EXPECT_EQUAL(~crc, 0xCBF43926);
}

static void worked_example(void) {
    struct frame frame;
    uint8_t wire[MAX_WIRE];
    EXPECT(decode(status_request, sizeof status_request, &frame));
    EXPECT_EQUAL(frame.session, 0x1234);
    EXPECT_EQUAL(frame.id, 7);
    EXPECT_EQUAL(frame.opcode, 3);
    EXPECT_EQUAL(frame_encode(&frame, wire), sizeof status_request);
    EXPECT(memcmp(wire, status_request, sizeof status_request) == 0);
}

static void every_bit_flip_is_noticed(void) {
    for (size_t bit = 8; bit < 8 * (sizeof status_request - 1); bit++) {
        uint8_t bytes[sizeof status_request];
        struct frame frame;
        memcpy(bytes, status_request, sizeof bytes);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << (bit % 8)));
        EXPECT(!decode(bytes, sizeof bytes, &frame));
    }
}

/* The generator of CRC-16 as damage: a check of sixteen bits sees none of it. */
static void damage_unseen_by_sixteen_bits_is_noticed(void) {
    static const uint8_t burst[3] = {0x11, 0x02, 0x10};
    for (size_t at = 2; at + sizeof burst <= 6; at++) {
        uint8_t bytes[sizeof status_request];
        struct frame frame;
        memcpy(bytes, status_request, sizeof bytes);
        for (size_t part = 0; part < sizeof burst; part++)
            bytes[at + part] = bytes[at + part] ^ burst[part];
        EXPECT(!decode(bytes, sizeof bytes, &frame));
    }
}

static void longest_payloads_come_back(void) {
    for (uint8_t length = 0; length <= MAX_PAYLOAD; length++) {
        uint8_t payload[MAX_PAYLOAD], wire[MAX_WIRE];
        struct frame sent = {0x82, 0, 0xFFFF, 1, 0, length, payload}, got;
        for (uint8_t at = 0; at < length; at++)
            payload[at] = (uint8_t)(at % 7);
        uint8_t bytes = frame_encode(&sent, wire);
        EXPECT(bytes <= MAX_WIRE);
        EXPECT(decode(wire, bytes, &got));
        EXPECT_EQUAL(got.length, length);
        EXPECT(memcmp(got.payload, payload, length) == 0);
    }
}

static void an_endless_frame_is_dropped_and_the_next_one_read(void) {
    uint8_t bytes[300 + sizeof status_request];
    struct frame frame;
    memset(bytes, 0xAA, 300);
    EXPECT(!decode(bytes, 300, &frame));
    memcpy(bytes + 300, status_request, sizeof status_request);
    EXPECT(decode(bytes, sizeof bytes, &frame));
}

static const struct test tests[] = {
    {"check value", check_value},
    {"worked example", worked_example},
    {"every bit flip is noticed", every_bit_flip_is_noticed},
    {"damage unseen by sixteen bits is noticed", damage_unseen_by_sixteen_bits_is_noticed},
    {"longest payloads come back", longest_payloads_come_back},
    {"endless frame", an_endless_frame_is_dropped_and_the_next_one_read},
};

const struct suite frame_suite = SUITE("frame", tests);
