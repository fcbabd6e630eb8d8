/* libFuzzer: any bytes on the line, then what must hold of a decoded frame and of the board. */
#include "bench.h"
#include "bytes.h"
#include "protocol.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct frame *frame) {
    uint8_t wire[MAX_WIRE];
    struct decoder decoder;
    struct frame again;
    bool whole = false;
    decoder_reset(&decoder);
    uint8_t length = frame_encode(frame, wire);
    for (uint8_t at = 0; at < length; at++)
        whole = decoder_feed(&decoder, wire[at], &again) || whole;
    if (!whole || again.type != frame->type || again.id != frame->id ||
        again.session != frame->session || again.opcode != frame->opcode ||
        again.flags != frame->flags || again.length != frame->length ||
        memcmp(again.payload, frame->payload, frame->length) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct decoder decoder;
    struct frame frame;
    decoder_reset(&decoder);
    bench_boot(500);
    for (size_t at = 0; at < size; at++) {
        if (decoder_feed(&decoder, data[at], &frame))
            check_round_trip(&frame);
        bench_feed(data + at, 1);
    }
    return 0;
}
