/* The numbers of docs/protocol.md: frame types, opcodes, reasons, flags, payload lengths. */
#ifndef NIGHTSCOPE_PROTOCOL_H
#define NIGHTSCOPE_PROTOCOL_H

#define PROTOCOL_MAJOR 1
#define PROTOCOL_MINOR 0
#define FIRMWARE_VERSION                                                                           \
    { 1, 0, 0 }

#define RING 8
/* Motions that may wait behind the one under way. */
#define QUEUE 4
#define HALF_ID 0x8000u
#define NO_NONCE 0u

enum frame_type {
    TYPE_REQUEST = 0x01,
    TYPE_URGENT = 0x02,
    TYPE_ACCEPTED = 0x81,
    TYPE_DONE = 0x82,
    TYPE_REJECTED = 0x83
};

enum opcode {
    OP_HELLO = 0x01,
    OP_DESCRIBE = 0x02,
    OP_STATUS = 0x03,
    OP_GOODBYE = 0x04,
    OP_MOVE_TO = 0x10,
    OP_MOVE_BY = 0x11,
    OP_HOME = 0x12,
    OP_LIGHT = 0x20,
    OP_TURRET = 0x30,
    OP_STOP = 0x40,
    OP_HEARTBEAT = 0x41,
    OP_REARM = 0x42
};

enum reason {
    REASON_NONE = 0,
    REASON_UNKNOWN_OPCODE = 1,
    REASON_BAD_PAYLOAD = 2,
    REASON_NO_SESSION = 3,
    REASON_STALE = 4,
    REASON_QUEUE_FULL = 5,
    REASON_LATCHED = 6,
    REASON_STOPPED = 7,
    REASON_NOT_HOMED = 8,
    REASON_LIMIT = 9,
    REASON_BAD_INDEX = 10,
    REASON_STALLED = 11,
    REASON_INCOMPATIBLE = 12
};

/* In the flags of every frame the board sends. */
enum state_flag { STATE_LATCHED = 0x01, STATE_HOMED = 0x02, STATE_MOVING = 0x04, STATE_LIT = 0x08 };

/* In the flags of a request: pulse the camera trigger when the motion has arrived or the light
 * stands. */
enum request_flag { REQUEST_TRIGGER = 0x01 };

/* In the answer to HELLO. */
enum feature { FEATURE_TRIGGER = 0x01 };

enum reset_cause {
    RESET_POWER_ON = 0,
    RESET_EXTERNAL = 1,
    RESET_BROWN_OUT = 2,
    RESET_WATCHDOG = 3,
    RESET_SOFTWARE = 4
};

enum kind { KIND_UNIQUE_ID = 0, KIND_AXIS = 1, KIND_CHANNEL = 2, KIND_OBJECTIVE = 3 };

enum payload_length {
    HELLO_REQUEST_BYTES = 8,
    HELLO_REPLY_BYTES = 18,
    DESCRIBE_REQUEST_BYTES = 2,
    AXIS_REPLY_BYTES = 12,
    STATUS_REPLY_BYTES = 15,
    STEPS_BYTES = 12,
    LIGHT_REQUEST_BYTES = 2,
    TURRET_REQUEST_BYTES = 1,
    ACCEPTED_BYTES = 5,
    REJECTED_BYTES = 2
};

#endif
