/* Frames to bytes and back: COBS around a header and a CRC-32. */
#ifndef NIGHTSCOPE_FRAME_H
#define NIGHTSCOPE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define HEADER_BYTES 7
#define CRC_BYTES 4
#define MAX_PAYLOAD 50
#define MAX_FRAME (HEADER_BYTES + MAX_PAYLOAD + CRC_BYTES)
/* Stuffing adds one byte, the delimiters two. */
#define MAX_WIRE (MAX_FRAME + 3)

/* Which command a frame belongs to. */
struct tag {
    uint16_t session, id;
    uint8_t opcode;
};

struct frame {
    uint8_t type;
    uint16_t session, id;
    uint8_t opcode, flags, length;
    const uint8_t *payload;
};

/* One frame in the making. A stream of any bytes leaves it valid. */
struct decoder {
    uint8_t bytes[MAX_FRAME];
    uint8_t length; /* unstuffed so far */
    uint8_t run;    /* bytes left before the next run length */
    uint32_t crc;   /* over all of them */
    bool started, broken;
};

/* CRC-32 of IEEE 802.3, one byte further. What is sent is the complement, low byte first, after
 * which the register holds the residue whatever the message was. */
#define CRC_SEED 0xFFFFFFFFu
#define CRC_RESIDUE 0xDEBB20E3u
uint32_t crc32(uint32_t crc, uint8_t byte);

void decoder_reset(struct decoder *decoder);

/* Takes one byte; true when it completes a sound frame, whose payload then lies in the decoder
 * until the next byte is fed. */
bool decoder_feed(struct decoder *decoder, uint8_t byte, struct frame *frame);

/* Writes the frame as sent, both delimiters included; returns its length. */
uint8_t frame_encode(const struct frame *frame, uint8_t wire[MAX_WIRE]);

#endif
