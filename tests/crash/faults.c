// A disk that fails on cue: preloaded into the daemon, this library counts the calls that change a directory and, at the Nth, ends the process, fails, or waits.
//
//   VERANDA_FAULT_DIR     the directory, absolute, without links in it
//   VERANDA_FAULT         die: SIGKILL in place of the call.  torn: of a write, half is done, then SIGKILL.
//                         ENOSPC, EROFS, EIO: the call fails so, and all later ones that such a disk would not let through
//                         once: the call fails with EIO, later ones do not.  slow: each fsync and write takes VERANDA_FAULT_MS longer
//   VERANDA_FAULT_AT      which call, from 1; 0: none
//   VERANDA_FAULT_WHILE   a file: calls fail only while it exists, and none is counted before
//   VERANDA_FAULT_LOG     a file that gets a line for each call: what it does, and to which path
//   VERANDA_FAULT_SHADOW  an empty directory: what a power cut leaves of each file and directory is kept there. `f<id>` is the content of a file when it was last
//                         brought to the disk, `d<id>` lists a directory when that was, and `now`, written when the process is ended, all names as they are.
//                         A line is `<id> <f|d> <name>`; ids are given to files and directories as they are made, so that a number of an inode that is used again
//                         confuses nobody. What was there at the start is on the disk.
//
// One call at a time: while the process is being ended no other thread gets through. Writes through mappings are not seen, and so are on the disk with the next fsync of their file only.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum fault { fault_none, fault_die, fault_torn, fault_full, fault_read_only, fault_broken, fault_once, fault_slow };
enum call { call_write, call_grow, call_make, call_name, call_remove, call_sync };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char directory[PATH_MAX], shadow[PATH_MAX], switch_file[PATH_MAX];
static size_t directory_size;
static enum fault fault;
static long at, counted, milliseconds;
static int log_file = -1;

// -- what is on the disk ---------------------------------------------------------------------------

enum { max_ids = 65536 };
static ino_t inodes[max_ids]; // by id; the last one with a number is the living one
static long ids;

static long id_of(ino_t inode) {
  for (long id = ids - 1; id >= 0; --id)
    if (inodes[id] == inode) return id;
  return -1;
}

static void new_id(ino_t inode) {
  if (ids == max_ids) abort();
  inodes[ids++] = inode;
}

static int open_shadow(char kind, long id) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, kind == 'n' ? "%s/now" : "%s/%c%ld", shadow, kind, id);
  return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void must_write(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const long n = syscall(SYS_write, fd, bytes, size);
    if (n <= 0) abort();
    bytes += n;
    size -= (size_t)n;
  }
}

static void keep_file(const char* path, long id) {
  static char buffer[1 << 16];
  const int from = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  const int to = open_shadow('f', id);
  for (long n; from >= 0 && (n = syscall(SYS_read, from, buffer, sizeof buffer)) > 0;) must_write(to, buffer, (size_t)n);
  syscall(SYS_close, from);
  syscall(SYS_close, to);
}

static void line(int to, const struct stat* info, const char* name) {
  char text[PATH_MAX + 64];
  must_write(to, text, (size_t)snprintf(text, sizeof text, "%ld %c %s\n", id_of(info->st_ino), S_ISDIR(info->st_mode) ? 'd' : 'f', name));
}

static void keep_directory(const char* path, long id) {
  const int to = open_shadow('d', id);
  DIR* const list = opendir(path);
  for (struct dirent* entry; list != NULL && (entry = readdir(list)) != NULL;) {
    struct stat info;
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && fstatat(dirfd(list), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
      line(to, &info, entry->d_name);
  }
  if (list != NULL) closedir(list);
  syscall(SYS_close, to);
}

static int number(const char* path, const struct stat* info, int type, struct FTW* where) {
  (void)path, (void)type, (void)where;
  new_id(info->st_ino);
  return 0;
}

static int keep(const char* path, const struct stat* info, int type, struct FTW* where) {
  (void)where;
  if (type == FTW_D) keep_directory(path, id_of(info->st_ino));
  else keep_file(path, id_of(info->st_ino));
  return 0;
}

static int now_file;
static int tell_name(const char* path, const struct stat* info, int type, struct FTW* where) {
  (void)type;
  line(now_file, info, where->level == 0 ? "." : path + directory_size + 1);
  return 0;
}

// -- the fault -------------------------------------------------------------------------------------

static void end_process(void) {
  if (*shadow != '\0') {
    now_file = open_shadow('n', 0);
    nftw(directory, tell_name, 16, FTW_PHYS);
  }
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static void wait_longer(void) {
  const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static bool within(const char* path) {
  return directory_size > 0 && strncmp(path, directory, directory_size) == 0 && (path[directory_size] == '/' || path[directory_size] == '\0');
}

/// Counts a call. The errno that it fails with, 0 to go on, -1 to do half of it.
static int reached(enum call call, const char* what, const char* path) {
  if (*switch_file != '\0' && faccessat(AT_FDCWD, switch_file, F_OK, 0) != 0) return 0;
  ++counted;
  if (log_file >= 0) {
    char text[PATH_MAX + 64];
    must_write(log_file, text, (size_t)snprintf(text, sizeof text, "%s %s\n", what, path + directory_size));
  }
  if (at == 0 || counted < at) return 0;
  switch (fault) {
    case fault_die:
      if (counted == at) end_process();
      return 0;
    case fault_torn:
      if (counted == at && call != call_write) end_process();
      return counted == at ? -1 : 0;
    case fault_full: return call == call_write || call == call_grow || call == call_make ? ENOSPC : 0;
    case fault_read_only: return call == call_sync ? 0 : EROFS;
    case fault_broken: return EIO;
    case fault_once: return counted == at ? EIO : 0;
    case fault_slow:
      if (call == call_write || call == call_sync) wait_longer();
      return 0;
    default: return 0;
  }
}

static const char* path_of(int fd, char* buffer) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const long n = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
  buffer[n > 0 ? n : 0] = '\0';
  return buffer;
}

static const char* full_path(int fd, const char* path, char* buffer) {
  if (path[0] == '/') return path;
  char base[PATH_MAX];
  if (fd == AT_FDCWD) {
    if (getcwd(base, sizeof base) == NULL) return path;
  } else {
    path_of(fd, base);
  }
  snprintf(buffer, PATH_MAX, "%.*s/%s", PATH_MAX / 2, base, path);
  return buffer;
}

__attribute__((constructor)) static void begin(void) {
  const char* const dir = getenv("VERANDA_FAULT_DIR");
  const char* const how = getenv("VERANDA_FAULT");
  if (dir == NULL || how == NULL) return;
  const char* const names[] = {"none", "die", "torn", "ENOSPC", "EROFS", "EIO", "once", "slow"};
  for (size_t n = 0; n < sizeof names / sizeof *names; ++n)
    if (strcmp(how, names[n]) == 0) fault = (enum fault)n;
  const char* value = getenv("VERANDA_FAULT_AT");
  at = value != NULL ? atol(value) : 0;
  value = getenv("VERANDA_FAULT_MS");
  milliseconds = value != NULL ? atol(value) : 0;
  value = getenv("VERANDA_FAULT_WHILE");
  snprintf(switch_file, sizeof switch_file, "%s", value != NULL ? value : "");
  value = getenv("VERANDA_FAULT_SHADOW");
  snprintf(shadow, sizeof shadow, "%s", value != NULL ? value : "");
  value = getenv("VERANDA_FAULT_LOG");
  if (value != NULL) log_file = (int)syscall(SYS_openat, AT_FDCWD, value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  snprintf(directory, sizeof directory, "%s", dir);
  const char* const ours[] = {"LD_PRELOAD", "VERANDA_FAULT", "VERANDA_FAULT_DIR", "VERANDA_FAULT_AT", "VERANDA_FAULT_MS", "VERANDA_FAULT_WHILE", "VERANDA_FAULT_SHADOW", "VERANDA_FAULT_LOG"};
  for (size_t n = 0; n < sizeof ours / sizeof *ours; ++n) unsetenv(ours[n]); // not for children
  if (*shadow != '\0') {
    nftw(directory, number, 16, FTW_PHYS);
    nftw(directory, keep, 16, FTW_PHYS);
  }
  directory_size = strlen(directory);
}

// -- the calls -------------------------------------------------------------------------------------

/// Runs `action`, an expression, as one counted call on a path; -1 and errno when the disk does not let it through. `half`: for a write that is torn.
#define COUNTED(call, what, path, half, action, after)   \
  do {                                                   \
    pthread_mutex_lock(&mutex);                          \
    const int refused = reached(call, what, path);       \
    if (refused < 0) {                                   \
      half;                                              \
      end_process();                                     \
    }                                                    \
    long out = -1;                                       \
    if (refused > 0) errno = refused;                    \
    else out = (action);                                 \
    const int error = errno;                             \
    if (out >= 0 && *shadow != '\0') after;              \
    pthread_mutex_unlock(&mutex);                        \
    errno = error;                                       \
    return out;                                          \
  } while (0)

#define NOTHING (void)0

static long counted_write(int fd, const void* bytes, size_t size, off_t offset, bool positioned) {
  char buffer[PATH_MAX];
  if (directory_size == 0 || !within(path_of(fd, buffer))) return positioned ? syscall(SYS_pwrite64, fd, bytes, size, offset) : syscall(SYS_write, fd, bytes, size);
  COUNTED(call_write, "write", buffer, positioned ? syscall(SYS_pwrite64, fd, bytes, size / 2, offset) : syscall(SYS_write, fd, bytes, size / 2),
          positioned ? syscall(SYS_pwrite64, fd, bytes, size, offset) : syscall(SYS_write, fd, bytes, size), NOTHING);
}

ssize_t write(int fd, const void* bytes, size_t size) { return counted_write(fd, bytes, size, 0, false); }
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) { return counted_write(fd, bytes, size, offset, true); }
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) { return counted_write(fd, bytes, size, offset, true); }

ssize_t writev(int fd, const struct iovec* parts, int count) {
  char buffer[PATH_MAX];
  if (directory_size == 0 || !within(path_of(fd, buffer))) return syscall(SYS_writev, fd, parts, count);
  COUNTED(call_write, "write", buffer, syscall(SYS_writev, fd, parts, count / 2), syscall(SYS_writev, fd, parts, count), NOTHING);
}

int ftruncate(int fd, off_t size) {
  char buffer[PATH_MAX];
  if (directory_size == 0 || !within(path_of(fd, buffer))) return (int)syscall(SYS_ftruncate, fd, size);
  struct stat info;
  const bool grows = fstat(fd, &info) == 0 && size > info.st_size;
  COUNTED(grows ? call_grow : call_remove, "truncate", buffer, NOTHING, syscall(SYS_ftruncate, fd, size), NOTHING);
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t offset, off_t size) {
  char buffer[PATH_MAX];
  if (directory_size == 0 || !within(path_of(fd, buffer))) return (int)syscall(SYS_fallocate, fd, mode, offset, size);
  COUNTED(call_grow, "allocate", buffer, NOTHING, syscall(SYS_fallocate, fd, mode, offset, size), NOTHING);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t size) { return fallocate(fd, mode, offset, size); }
int posix_fallocate(int fd, off_t offset, off_t size) { return fallocate(fd, 0, offset, size) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t offset, off64_t size) { return posix_fallocate(fd, offset, size); }

static void synced(int fd, const char* path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return;
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", fd); // it may have no name
  if (S_ISDIR(info.st_mode)) keep_directory(path, id_of(info.st_ino));
  else keep_file(again, id_of(info.st_ino));
}

static int counted_sync(long number_of_call, int fd) {
  char buffer[PATH_MAX];
  if (directory_size == 0 || !within(path_of(fd, buffer))) return (int)syscall(number_of_call, fd);
  // What is in the page cache is what a reader sees: nothing has to reach a disk for a test.
  COUNTED(call_sync, "sync", buffer, NOTHING, 0, synced(fd, buffer));
}
int fsync(int fd) { return counted_sync(SYS_fsync, fd); }
int fdatasync(int fd) { return counted_sync(SYS_fdatasync, fd); }

static int counted_open(int at_fd, const char* given, int flags, mode_t mode) {
  char buffer[PATH_MAX];
  const bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
  if (directory_size == 0 || (!nameless && (flags & (O_CREAT | O_TRUNC)) == 0)) return (int)syscall(SYS_openat, at_fd, given, flags, mode);
  const char* const path = full_path(at_fd, given, buffer);
  struct stat info;
  const bool there = within(path) && !nameless && stat(path, &info) == 0;
  if (!within(path) || (there && ((flags & O_TRUNC) == 0 || info.st_size == 0))) return (int)syscall(SYS_openat, at_fd, given, flags, mode);
  COUNTED(there ? call_remove : call_make, there ? "empty" : "create", path, NOTHING, syscall(SYS_openat, at_fd, given, flags, mode),
          if (!there && fstat((int)out, &info) == 0) new_id(info.st_ino));
}

#define OPEN(name, parameters, fd)                          \
  int name parameters {                                     \
    mode_t mode = 0;                                        \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {             \
      va_list rest;                                         \
      va_start(rest, flags);                                \
      mode = va_arg(rest, mode_t);                          \
      va_end(rest);                                         \
    }                                                       \
    return counted_open(fd, path, flags, mode);             \
  }
OPEN(open, (const char* path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char* path, int flags, ...), AT_FDCWD)
OPEN(openat, (int fd, const char* path, int flags, ...), fd)
OPEN(openat64, (int fd, const char* path, int flags, ...), fd)

int mkdirat(int fd, const char* given, mode_t mode) {
  char buffer[PATH_MAX];
  struct stat info;
  const char* const path = full_path(fd, given, buffer);
  if (!within(path) || stat(path, &info) == 0) return (int)syscall(SYS_mkdirat, fd, given, mode);
  COUNTED(call_make, "mkdir", path, NOTHING, syscall(SYS_mkdirat, fd, given, mode), {
    if (stat(path, &info) == 0) {
      new_id(info.st_ino);
      keep_directory(path, id_of(info.st_ino));
    }
  });
}
int mkdir(const char* path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int renameat(int from_fd, const char* from, int to_fd, const char* to) {
  char buffer[PATH_MAX];
  const char* const path = full_path(to_fd, to, buffer);
  if (!within(path)) return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
  COUNTED(call_name, "rename", path, NOTHING, syscall(SYS_renameat2, from_fd, from, to_fd, to, 0), NOTHING);
}
int rename(const char* from, const char* to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) {
  char buffer[PATH_MAX];
  const char* const path = full_path(to_fd, to, buffer);
  if (!within(path)) return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
  COUNTED(call_make, "link", path, NOTHING, syscall(SYS_linkat, from_fd, from, to_fd, to, flags), NOTHING);
}
int link(const char* from, const char* to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int fd, const char* given, int flags) {
  char buffer[PATH_MAX];
  struct stat info;
  const char* const path = full_path(fd, given, buffer);
  if (!within(path) || lstat(path, &info) != 0) return (int)syscall(SYS_unlinkat, fd, given, flags); // what is not there is no change
  COUNTED(call_remove, "remove", path, NOTHING, syscall(SYS_unlinkat, fd, given, flags), NOTHING);
}
int unlink(const char* path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char* path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) {
  struct stat info;
  return unlinkat(AT_FDCWD, path, lstat(path, &info) == 0 && S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0);
}
