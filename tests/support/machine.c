// Preloaded into a daemon: its disk is full and its clock is wrong while a test says so, in the file that VERANDA_TEST_MACHINE names.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// The content of the file; the test writes it.
struct machine {
  int64_t ahead; // of the real clock, in nanoseconds
  int64_t disk_full;
};

static const struct machine sound;
static const volatile struct machine *state = &sound;
static char data[256]; // the daemon's data directory

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("VERANDA_TEST_MACHINE"), *folder = getenv("VERANDA_TEST_DATA");
  if (file == NULL || folder == NULL || strlen(folder) >= sizeof data) return;
  const int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void *at = mmap(NULL, sizeof *state, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (at == MAP_FAILED) return;
  strcpy(data, folder);
  state = at;
}

static int is_data(const char *path) { return strncmp(path, data, strlen(data)) == 0; }

// Whether something that needs room in this file has to fail.
static int full(int fd) {
  char link[64], path[512];
  if (!state->disk_full) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return is_data(path);
}

#define REAL(name) ((__typeof__(&name))real(#name, &real_##name))
static void *real(const char *name, void **kept) { return *kept != NULL ? *kept : (*kept = dlsym(RTLD_NEXT, name)); }

#define NO_ROOM(fd) \
  if (full(fd)) { \
    errno = ENOSPC; \
    return -1; \
  }

static void *real_write, *real_pwrite, *real_pwrite64, *real_writev, *real_ftruncate, *real_ftruncate64, *real_fallocate, *real_fallocate64, *real_clock_gettime;
static void *real_open, *real_open64, *real_mkdir;

ssize_t write(int fd, const void *bytes, size_t count) {
  NO_ROOM(fd)
  return REAL(write)(fd, bytes, count);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  NO_ROOM(fd)
  return REAL(pwrite)(fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  NO_ROOM(fd)
  return REAL(pwrite64)(fd, bytes, count, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  NO_ROOM(fd)
  return REAL(writev)(fd, parts, count);
}
int ftruncate(int fd, off_t size) {
  if (size > 0) NO_ROOM(fd)
  return REAL(ftruncate)(fd, size);
}
int ftruncate64(int fd, off64_t size) {
  if (size > 0) NO_ROOM(fd)
  return REAL(ftruncate64)(fd, size);
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  NO_ROOM(fd)
  return REAL(fallocate)(fd, mode, at, size);
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  NO_ROOM(fd)
  return REAL(fallocate64)(fd, mode, at, size);
}
int mkdir(const char *path, mode_t mode) {
  if (state->disk_full && is_data(path)) {
    errno = ENOSPC;
    return -1;
  }
  return REAL(mkdir)(path, mode);
}

// A new file needs room for its name.
static int no_room_for(const char *path, int flags) { return (flags & O_CREAT) != 0 && state->disk_full && is_data(path) && access(path, F_OK) != 0; }

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    const mode_t mode = va_arg(rest, mode_t); \
    va_end(rest); \
    if (no_room_for(path, flags)) { \
      errno = ENOSPC; \
      return -1; \
    } \
    return REAL(name)(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

int clock_gettime(clockid_t clock, struct timespec *out) {
  const int status = REAL(clock_gettime)(clock, out);
  if (status != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return status;
  const int64_t sum = out->tv_nsec + state->ahead % 1000000000;
  out->tv_sec += state->ahead / 1000000000 + (sum >= 1000000000) - (sum < 0);
  out->tv_nsec = (sum + 1000000000) % 1000000000;
  return 0;
}
time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
int gettimeofday(struct timeval *out, void *zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}
