#include "frame.h"
#include "bytes.h"
#include "flash.h"

/* What one byte does to the register: the sum of what its bits do, as the CRC is linear. A table
 * costs a kilobyte of flash and a third of the time of going bit by bit. */
#define IF(bit, effect) ((bit) ? (effect) : 0u)
#define EFFECT(n)                                                                                  \
    (IF((n)&1, 0x77073096u) ^ IF((n)&2, 0xEE0E612Cu) ^ IF((n)&4, 0x076DC419u) ^                    \
     IF((n)&8, 0x0EDB8832u) ^ IF((n)&16, 0x1DB71064u) ^ IF((n)&32, 0x3B6E20C8u) ^                  \
     IF((n)&64, 0x76DC4190u) ^ IF((n)&128, 0xEDB88320u))
#define EFFECTS_4(n) EFFECT(n), EFFECT((n) + 1), EFFECT((n) + 2), EFFECT((n) + 3)
#define EFFECTS_16(n) EFFECTS_4(n), EFFECTS_4((n) + 4), EFFECTS_4((n) + 8), EFFECTS_4((n) + 12)
#define EFFECTS_64(n)                                                                              \
    EFFECTS_16(n), EFFECTS_16((n) + 16), EFFECTS_16((n) + 32), EFFECTS_16((n) + 48)

static const uint32_t effects[256] FLASH = {EFFECTS_64(0), EFFECTS_64(64), EFFECTS_64(128),
                                            EFFECTS_64(192)};

uint32_t crc32(uint32_t crc, uint8_t byte) {
    return (crc >> 8) ^ flash_u32(&effects[(uint8_t)crc ^ byte]);
}

void decoder_reset(struct decoder *decoder) {
    decoder->length = decoder->run = 0;
    decoder->crc = CRC_SEED;
    decoder->started = decoder->broken = false;
}

static void append(struct decoder *decoder, uint8_t byte) {
    if (decoder->length == MAX_FRAME) {
        decoder->broken = true;
        return;
    }
    decoder->bytes[decoder->length++] = byte;
    decoder->crc = crc32(decoder->crc, byte); /* while the line is busy with the next byte */
}

static bool sound(const struct decoder *decoder) {
    return !decoder->broken && !decoder->run && decoder->length >= HEADER_BYTES + CRC_BYTES &&
           decoder->crc == CRC_RESIDUE;
}

static void parse(const struct decoder *decoder, struct frame *frame) {
    const uint8_t *bytes = decoder->bytes;
    frame->type = bytes[0];
    frame->session = get_u16(bytes + 1);
    frame->id = get_u16(bytes + 3);
    frame->opcode = bytes[5];
    frame->flags = bytes[6];
    frame->length = (uint8_t)(decoder->length - HEADER_BYTES - CRC_BYTES);
    frame->payload = bytes + HEADER_BYTES;
}

bool decoder_feed(struct decoder *decoder, uint8_t byte, struct frame *frame) {
    if (byte == 0) {
        bool whole = sound(decoder);
        if (whole)
            parse(decoder, frame);
        decoder_reset(decoder);
        return whole;
    }
    if (decoder->broken)
        return false;
    if (decoder->run) {
        decoder->run--;
        append(decoder, byte);
        return false;
    }
    if (decoder->started)
        append(decoder, 0);
    decoder->started = true;
    decoder->run = (uint8_t)(byte - 1);
    return false;
}

struct writer {
    uint8_t *wire;
    uint8_t at, run_at;
    uint32_t crc;
};

static void open_run(struct writer *writer) {
    writer->run_at = writer->at++;
}

static void close_run(struct writer *writer) {
    writer->wire[writer->run_at] = (uint8_t)(writer->at - writer->run_at);
}

static void emit(struct writer *writer, uint8_t byte) {
    writer->crc = crc32(writer->crc, byte);
    if (byte) {
        writer->wire[writer->at++] = byte;
        return;
    }
    close_run(writer);
    open_run(writer);
}

uint8_t frame_encode(const struct frame *frame, uint8_t wire[MAX_WIRE]) {
    struct writer writer = {wire, 0, 0, CRC_SEED};
    wire[writer.at++] = 0;
    open_run(&writer);
    emit(&writer, frame->type);
    emit(&writer, (uint8_t)frame->session);
    emit(&writer, (uint8_t)(frame->session >> 8));
    emit(&writer, (uint8_t)frame->id);
    emit(&writer, (uint8_t)(frame->id >> 8));
    emit(&writer, frame->opcode);
    emit(&writer, frame->flags);
    for (uint8_t at = 0; at < frame->length && at < MAX_PAYLOAD; at++)
        emit(&writer, frame->payload[at]);
    uint32_t crc = ~writer.crc;
    for (uint8_t at = 0; at < CRC_BYTES; at++, crc >>= 8)
        emit(&writer, (uint8_t)crc);
    close_run(&writer);
    wire[writer.at++] = 0;
    return writer.at;
}
