#include "frame.h"
#include "bytes.h"

uint16_t crc16(uint16_t crc, uint8_t byte) {
    /* The polynomial's taps folded into shifts: no table, a fifth of the bitwise time. */
    uint8_t x = (uint8_t)((crc >> 8) ^ byte);
    x = (uint8_t)(x ^ (x >> 4));
    return (uint16_t)((uint16_t)(crc << 8) ^ (uint16_t)((uint16_t)x << 12) ^
                      (uint16_t)((uint16_t)x << 5) ^ x);
}

void decoder_reset(struct decoder *decoder) {
    decoder->length = decoder->run = 0;
    decoder->started = decoder->broken = false;
}

static void append(struct decoder *decoder, uint8_t byte) {
    if (decoder->length == MAX_FRAME) {
        decoder->broken = true;
        return;
    }
    decoder->bytes[decoder->length++] = byte;
}

static bool sound(const struct decoder *decoder) {
    uint16_t crc = CRC_SEED;
    if (decoder->broken || decoder->run || decoder->length < HEADER_BYTES + CRC_BYTES)
        return false;
    for (uint8_t at = 0; at < decoder->length - CRC_BYTES; at++)
        crc = crc16(crc, decoder->bytes[at]);
    return crc == get_u16(decoder->bytes + decoder->length - CRC_BYTES);
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
    uint16_t crc;
};

static void open_run(struct writer *writer) {
    writer->run_at = writer->at++;
}

static void close_run(struct writer *writer) {
    writer->wire[writer->run_at] = (uint8_t)(writer->at - writer->run_at);
}

static void emit(struct writer *writer, uint8_t byte) {
    writer->crc = crc16(writer->crc, byte);
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
    uint16_t crc = writer.crc;
    emit(&writer, (uint8_t)crc);
    emit(&writer, (uint8_t)(crc >> 8));
    close_run(&writer);
    wire[writer.at++] = 0;
    return writer.at;
}
