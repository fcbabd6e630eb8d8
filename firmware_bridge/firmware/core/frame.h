/* Frames to bytes and back: COBS around a header and a CRC16. */
#ifndef NIGHTSCOPE_FRAME_H
#define NIGHTSCOPE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define HEADER_BYTES 7
#define CRC_BYTES 2
#define MAX_PAYLOAD 50
#define MAX_FRAME (HEADER_BYTES + MAX_PAYLOAD + CRC_BYTES)
/* Stuffing adds one byte, the delimiters two. */
#define MAX_WIRE (MAX_FRAME + 3)

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
    bool started, broken;
};

/* CRC-16/IBM-3740: polynomial 0x1021, initial 0xFFFF; 0x29B1 for "123456789". */
#define CRC_SEED 0xFFFFu
uint16_t crc16(uint16_t crc, uint8_t byte);

void decoder_reset(struct decoder *decoder);

/* Takes one byte; true when it completes a sound frame, whose payload then lies in the decoder
 * until the next byte is fed. */
bool decoder_feed(struct decoder *decoder, uint8_t byte, struct frame *frame);

/* Writes the frame as sent, both delimiters included; returns its length. */
uint8_t frame_encode(const struct frame *frame, uint8_t wire[MAX_WIRE]);

#endif
