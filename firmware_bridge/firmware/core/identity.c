#include "identity.h"
#include "bytes.h"
#include "config.h"
#include "flash.h"
#include "hal.h"
#include "light.h"

static const struct axis axis_table[AXES] FLASH = AXIS_TABLE;

void identity_hello(const struct terms *terms, uint8_t payload[HELLO_REPLY_BYTES]) {
    static const uint8_t version[3] = FIRMWARE_VERSION;
    payload[0] = PROTOCOL_MAJOR;
    payload[1] = PROTOCOL_MINOR;
    for (uint8_t at = 0; at < sizeof version; at++)
        payload[2 + at] = version[at];
    put_u32(payload + 5, terms->nonce);
    put_u16(payload + 9, terms->watchdog_ms);
    payload[11] = terms->reset_cause;
    payload[12] = terms->resumed;
    payload[13] = RING;
    payload[14] = AXES;
    payload[15] = CHANNELS;
    payload[16] = OBJECTIVES;
    payload[17] = FEATURE_TRIGGER;
}

static uint8_t describe_axis(uint8_t index, uint8_t *payload) {
    struct axis axis;
    flash_copy(&axis, &axis_table[index], sizeof axis);
    put_u32(payload, axis.step_nm);
    put_u32(payload + 4, (uint32_t)axis.low_steps);
    put_u32(payload + 8, (uint32_t)axis.high_steps);
    payload[12] = (uint8_t)axis.name;
    return AXIS_REPLY_BYTES + 1;
}

uint8_t identity_describe(uint8_t kind, uint8_t index, uint8_t payload[MAX_PAYLOAD]) {
    if (kind == KIND_UNIQUE_ID && index == 0)
        return hal_unique_id(payload);
    if (kind == KIND_AXIS && index < AXES)
        return describe_axis(index, payload);
    if (kind == KIND_CHANNEL && index < CHANNELS)
        return light_name(index, payload);
    return 0;
}
