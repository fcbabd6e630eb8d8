/* Constant tables: on an AVR they stay in flash and are copied out, elsewhere they are plain. */
#ifndef NIGHTSCOPE_FLASH_H
#define NIGHTSCOPE_FLASH_H

#include <stdint.h>

#ifdef __AVR__
#include <avr/pgmspace.h>
#define FLASH PROGMEM
#define flash_copy(to, from, bytes) ((void)memcpy_P((to), (from), (bytes)))
#define flash_u32(from) pgm_read_dword(from)
#else
#include <string.h>
#define FLASH
#define flash_copy(to, from, bytes) ((void)memcpy((to), (from), (bytes)))
#define flash_u32(from) (*(from))
#endif

#endif
