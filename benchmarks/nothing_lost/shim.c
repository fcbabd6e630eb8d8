/* Stands between a process and its disk (LD_PRELOAD): counts the calls that change files below a
 * folder, logs them for the power-cut simulator, kills the process at one of them, or lets some fail.
 * Nothing is counted before lost_watch() is called. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PASS, FAIL, DIE_AFTER, DIE_TORN };
enum { KILL_BEFORE, KILL_AFTER, KILL_TORN };

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static char prefix[2048];
static size_t prefix_len;
static long kill_at, kill_how, fail_from, fail_for, fail_errno, calls;
static int log_fd = -1;

/* Begin to watch the folder `below`. A call number of 0 never comes; a log descriptor of -1 is none. */
void lost_watch(const char *below, long kill, long how, long from, long count, long error, int log)
{
    snprintf(prefix, sizeof prefix, "%s", below);
    kill_at = kill, kill_how = how, fail_from = from, fail_for = count, fail_errno = error;
    log_fd = log, calls = 0;
    prefix_len = strlen(prefix);
}

long lost_calls(void) { return calls; }

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static int below(const char *path) { return prefix_len && !strncmp(path, prefix, prefix_len); }

static int path_at(int dir, const char *path, char *full)
{
    char base[4096];
    if (!prefix_len) return 0;
    if (path[0] == '/') snprintf(full, 4096, "%s", path);
    else {
        if (dir == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
            ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
            if (n < 0) return 0;
            base[n] = 0;
        }
        if (snprintf(full, 4096, "%s/%s", base, path) >= 4096) return 0;
    }
    return below(full);
}

static int path_of(int fd, char *full)
{
    char link[64];
    if (!prefix_len || fd == log_fd) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, full, 4095);
    if (n < 0) return 0;
    full[n] = 0;
    return below(full);
}

static int hit(void)
{
    long n = __sync_add_and_fetch(&calls, 1);
    if (kill_at && n == kill_at) {
        if (kill_how == KILL_BEFORE) die();
        return kill_how == KILL_AFTER ? DIE_AFTER : DIE_TORN;
    }
    if (fail_from && n >= fail_from && n < fail_from + fail_for) {
        errno = (int)fail_errno;
        return FAIL;
    }
    return PASS;
}

struct entry { char op, pad[7]; long inode, offset, length; int first, second; };

static void all(const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n) {
        long done = syscall(SYS_write, log_fd, at, n);
        if (done <= 0) return;
        at += done, n -= (size_t)done;
    }
}

static void tell(char op, long inode, long offset, long length, const char *a, const char *b,
                 const void *data)
{
    if (log_fd < 0) return;
    struct entry e = {op, {0}, inode, offset, length, a ? (int)strlen(a) : 0, b ? (int)strlen(b) : 0};
    pthread_mutex_lock(&gate);
    all(&e, sizeof e);
    if (a) all(a, (size_t)e.first);
    if (b) all(b, (size_t)e.second);
    if (data) all(data, (size_t)length);
    pthread_mutex_unlock(&gate);
}

static long inode_of(int fd)
{
    struct stat s;
    return fstat(fd, &s) ? -1 : (long)s.st_ino;
}

/* What is on the disk once a sync returns: all that the file holds, however it came there. */
static void tell_synced(int fd, const char *path)
{
    struct stat s;
    if (log_fd < 0 || fstat(fd, &s)) return;
    if (S_ISDIR(s.st_mode)) {
        tell('d', (long)s.st_ino, 0, 0, path, 0, 0);
        return;
    }
    char link[64], *content = malloc((size_t)s.st_size + 1);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int again = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY, 0);
    long n = again < 0 ? -1 : syscall(SYS_pread64, again, content, s.st_size, 0L);
    if (again >= 0) syscall(SYS_close, again);
    if (n >= 0) tell('s', (long)s.st_ino, 0, n, path, 0, content);
    free(content);
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    char full[4096];
    if (!(flags & (O_CREAT | O_TRUNC)) || !path_at(dir, path, full))
        return (int)syscall(SYS_openat, dir, path, flags, mode);
    int there = !syscall(SYS_faccessat, AT_FDCWD, full, F_OK);
    if (there && !(flags & O_TRUNC)) return (int)syscall(SYS_openat, dir, path, flags, mode);
    int what = hit();
    if (what == FAIL) return -1;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    if (what != PASS) die();
    if (fd >= 0) tell(there ? 't' : 'c', inode_of(fd), 0, 0, full, 0, 0);
    return fd;
}

#define WITH_MODE(flags)                                                                           \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }
int open(const char *p, int flags, ...) { WITH_MODE(flags) return open_at(AT_FDCWD, p, flags, mode); }
int open64(const char *p, int flags, ...)
{
    WITH_MODE(flags) return open_at(AT_FDCWD, p, flags | O_LARGEFILE, mode);
}
int openat(int d, const char *p, int flags, ...) { WITH_MODE(flags) return open_at(d, p, flags, mode); }
int openat64(int d, const char *p, int flags, ...)
{
    WITH_MODE(flags) return open_at(d, p, flags | O_LARGEFILE, mode);
}

static ssize_t put(int fd, const void *bytes, size_t n, long offset)
{
    char full[4096];
    int at_end = offset < 0;
    if (!path_of(fd, full))
        return at_end ? syscall(SYS_write, fd, bytes, n) : syscall(SYS_pwrite64, fd, bytes, n, offset);
    int what = hit();
    if (what == FAIL) return -1;
    if (what == DIE_TORN) n /= 2;
    if (at_end) offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t done = at_end ? syscall(SYS_write, fd, bytes, n) : syscall(SYS_pwrite64, fd, bytes, n, offset);
    if (what != PASS) die();
    if (done > 0) tell('w', inode_of(fd), offset, done, full, 0, bytes);
    return done;
}
ssize_t write(int fd, const void *b, size_t n) { return put(fd, b, n, -1); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { return put(fd, b, n, o); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { return put(fd, b, n, o); }

static int sync_by(long call, int fd)
{
    char full[4096];
    if (!path_of(fd, full)) return (int)syscall(call, fd);
    int what = hit();
    if (what == FAIL) return -1;
    int failed = (int)syscall(call, fd);
    if (what != PASS) die();
    if (!failed) tell_synced(fd, full);
    return failed;
}
int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }

int ftruncate64(int fd, off64_t n)
{
    char full[4096];
    if (!path_of(fd, full)) return (int)syscall(SYS_ftruncate, fd, n);
    int what = hit();
    if (what == FAIL) return -1;
    int failed = (int)syscall(SYS_ftruncate, fd, n);
    if (what != PASS) die();
    if (!failed) tell('z', inode_of(fd), n, 0, full, 0, 0);
    return failed;
}
int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }

#define ON_NAME(dir, path, op, call)                                                               \
    char full[4096];                                                                               \
    if (!path_at(dir, path, full)) return (int)(call);                                             \
    int what = hit();                                                                              \
    if (what == FAIL) return -1;                                                                   \
    int failed = (int)(call);                                                                      \
    if (what != PASS) die();                                                                       \
    if (!failed) tell(op, 0, 0, 0, full, 0, 0);                                                    \
    return failed;
int unlinkat(int d, const char *p, int flags) { ON_NAME(d, p, 'u', syscall(SYS_unlinkat, d, p, flags)) }
int unlink(const char *p) { return unlinkat(AT_FDCWD, p, 0); }
int rmdir(const char *p) { return unlinkat(AT_FDCWD, p, AT_REMOVEDIR); }
int mkdirat(int d, const char *p, mode_t m) { ON_NAME(d, p, 'm', syscall(SYS_mkdirat, d, p, m)) }
int mkdir(const char *p, mode_t m) { return mkdirat(AT_FDCWD, p, m); }

int renameat(int from, const char *a, int to, const char *b)
{
    char first[4096], second[4096];
    if (!path_at(from, a, first) || !path_at(to, b, second))
        return (int)syscall(SYS_renameat, from, a, to, b);
    int what = hit();
    if (what == FAIL) return -1;
    int failed = (int)syscall(SYS_renameat, from, a, to, b);
    if (what != PASS) die();
    if (!failed) tell('r', 0, 0, 0, first, second, 0);
    return failed;
}
int rename(const char *a, const char *b) { return renameat(AT_FDCWD, a, AT_FDCWD, b); }
