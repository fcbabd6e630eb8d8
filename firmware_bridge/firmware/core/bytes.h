/* Little-endian integers in byte arrays, whatever the machine. */
#ifndef NIGHTSCOPE_BYTES_H
#define NIGHTSCOPE_BYTES_H

#include <stdint.h>

static inline uint16_t get_u16(const uint8_t *at) {
    return (uint16_t)(at[0] | ((uint16_t)at[1] << 8));
}

static inline uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)get_u16(at) | ((uint32_t)get_u16(at + 2) << 16);
}

/* Two's complement without relying on an implementation-defined conversion. */
static inline int32_t get_i32(const uint8_t *at) {
    uint32_t value = get_u32(at);
    return value <= INT32_MAX ? (int32_t)value : -(int32_t)(UINT32_MAX - value) - 1;
}

static inline void put_u16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void put_u32(uint8_t *at, uint32_t value) {
    put_u16(at, (uint16_t)value);
    put_u16(at + 2, (uint16_t)(value >> 16));
}

#endif
