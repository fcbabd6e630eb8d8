/* Runs a firmware image under simavr with its serial port on a pty, a stage and an LED array.
 *
 *   simbench MCU ELF LINK [STEPS_FROM_SWITCH]
 *
 * LINK becomes a symbolic link to the pty. Events go to stdout, one a line, stamped with the
 * simulated cycle; commands come on stdin: where, hold A, release A, jam A, free A, reset, unplug,
 * plug, ping, quit. Simulated time keeps to wall-clock time and never runs ahead of it, so that a
 * host with ordinary time-outs can talk to the board; a slow machine only makes it run late.
 *
 * simavr is under the GPL. This program is a tool of the tests, never shipped. */
#define _GNU_SOURCE
#include "avr_uart.h"
#include "frame.h"
#include "plant.h"
#include "sim_avr.h"
#include "sim_elf.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define HZ 16000000
/* simavr sends and takes a byte in this time; it does not know the double-speed mode, in which a
 * real UART at 115200 baud needs half of it. Feeding faster would only fill its buffer. */
#define BYTE_CYCLES 3000
#define SLICE_CYCLES 4000
#define NS_PER_CYCLE_NUMERATOR 125 /* 62.5 ns, in halves */

static avr_t *avr;
static const char *link_path;
static int master = -1, slave = -1;
static avr_irq_t *to_board;
static struct decoder from_host, from_board;
static uint8_t queue[4096];
static size_t queued, taken;
static avr_cycle_count_t heard; /* when the last byte reached the board */

static void die(const char *what) {
    fprintf(stderr, "simbench: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void plug(void) {
    char name[64], fresh[512];
    struct termios raw;
    if (openpty(&master, &slave, name, NULL, NULL) != 0)
        die("openpty");
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    fcntl(master, F_SETFL, O_NONBLOCK);
    snprintf(fresh, sizeof fresh, "%s.new", link_path);
    unlink(fresh);
    if (symlink(name, fresh) != 0 || rename(fresh, link_path) != 0)
        die(link_path);
    say("plugged %s", name);
}

static void unplug(void) {
    unlink(link_path);
    close(master);
    close(slave);
    master = slave = -1;
    queued = taken = 0;
    say("unplugged %" PRIu64, (uint64_t)heard);
}

/* Tells of a frame with its last byte: type, opcode, id. */
static void overhear(struct decoder *decoder, uint8_t byte, const char *what) {
    struct frame frame;
    if (decoder_feed(decoder, byte, &frame))
        say("%s %u %u %u", what, frame.type, frame.opcode, frame.id);
}

static void on_board_byte(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq, (void)parameter;
    uint8_t byte = (uint8_t)value;
    overhear(&from_board, byte, "sent");
    /* A full pty is a host that does not read: the byte is lost, as on a wire. */
    if (master >= 0 && write(master, &byte, 1) != 1 && errno != EAGAIN && errno != EIO)
        die("write");
}

static avr_cycle_count_t feed(avr_t *mcu, avr_cycle_count_t when, void *parameter) {
    (void)mcu, (void)parameter;
    if (taken < queued) {
        heard = when;
        overhear(&from_host, queue[taken], "got");
        avr_raise_irq(to_board, queue[taken++]);
    }
    return when + BYTE_CYCLES;
}

static void fetch(void) {
    if (taken < queued || master < 0)
        return;
    ssize_t got = read(master, queue, sizeof queue);
    taken = 0;
    queued = got > 0 ? (size_t)got : 0;
}

static void start(void) {
    uint32_t flags = 0; /* no printing, no sleeping inside simavr */
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_cycle_timer_register(avr, BYTE_CYCLES, feed, NULL);
}

static void reset(void) {
    say("reset");
    queued = taken = 0;
    avr_reset(avr);
    plant_power_off();
    start();
}

static int obey(char *line) {
    int axis = strlen(line) > 2 ? line[strcspn(line, " ") + 1] - '0' : 0;
    if (strncmp(line, "where", 5) == 0)
        plant_say_where();
    else if (strncmp(line, "hold", 4) == 0 || strncmp(line, "release", 7) == 0)
        plant_hold(axis, line[0] == 'h');
    else if (strncmp(line, "jam", 3) == 0 || strncmp(line, "free", 4) == 0)
        plant_jam(axis, line[0] == 'j');
    else if (strncmp(line, "reset", 5) == 0)
        reset();
    else if (strncmp(line, "unplug", 6) == 0)
        unplug();
    else if (strncmp(line, "plug", 4) == 0)
        plug();
    else if (strncmp(line, "ping", 4) == 0)
        say("heard %" PRIu64, (uint64_t)heard);
    else
        return 0;
    return 1;
}

/* Returns 0 when told to quit, or when whoever started us is gone. */
static int commanded(void) {
    char line[64];
    struct pollfd commands = {STDIN_FILENO, POLLIN, 0};
    if (poll(&commands, 1, 0) <= 0)
        return 1;
    return fgets(line, sizeof line, stdin) != NULL && obey(line);
}

/* Sleeps while simulated time is ahead; never hurries to catch up. */
static void pace(void) {
    static struct timespec from;
    static avr_cycle_count_t from_cycle;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t wall_ns =
        (int64_t)(now.tv_sec - from.tv_sec) * 1000000000 + (now.tv_nsec - from.tv_nsec);
    int64_t ahead_ns = (int64_t)(avr->cycle - from_cycle) * NS_PER_CYCLE_NUMERATOR / 2 - wall_ns;
    if (ahead_ns > 0 && ahead_ns < 1000000000) {
        struct timespec pause = {0, ahead_ns};
        nanosleep(&pause, NULL);
    } else if (ahead_ns) {
        from = now;
        from_cycle = avr->cycle;
    }
}

static void no_sleep(avr_t *mcu, avr_cycle_count_t how_long) {
    (void)mcu, (void)how_long;
}

static void run_slice(void) {
    avr_cycle_count_t until = avr->cycle + SLICE_CYCLES;
    while (avr->cycle < until) {
        int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed) {
            say("crashed");
            exit(3);
        }
    }
}

int main(int count, char **words) {
    elf_firmware_t firmware = {0};
    if (count < 4 || elf_read_firmware(words[2], &firmware) != 0) {
        fprintf(stderr, "usage: simbench MCU ELF LINK [STEPS_FROM_SWITCH]\n");
        return 2;
    }
    link_path = words[3];
    avr = avr_make_mcu_by_name(words[1]);
    if (!avr)
        die(words[1]);
    avr_init(avr);
    avr_load_firmware(avr, &firmware);
    avr->frequency = HZ;
    avr->sleep = no_sleep;
    avr->log = LOG_ERROR;
    setvbuf(stdin, NULL, _IONBF, 0); /* so that poll sees every command */
    plant_attach(avr, words[1], count > 4 ? atol(words[4]) : 1500);
    to_board = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT),
                            on_board_byte, NULL);
    start();
    plug();
    while (commanded()) {
        fetch();
        run_slice();
        plant_poll();
        pace();
    }
    unlink(link_path);
    return 0;
}
