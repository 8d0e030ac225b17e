/*
 * A disk that fails on order, and that can lose its power: preloaded into a process (LD_PRELOAD) it stands between LMDB and one file.
 *
 * DISK_FILE is the file. What a power loss would leave of it is kept in DISK_KEPT: a write gets there when a flush after it has succeeded,
 * a write through a descriptor that is opened O_DSYNC at once. A flush that fails gives up what it should have flushed, as Linux
 * does: the next one succeeds without it. DISK_ORDERS holds the order in force, a word and an errno: `sync 5` fails flushes,
 * `write 28` fails writes, `meta 5` fails writes through O_DSYNC; anything else works.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct pending {
	struct pending *next;
	off_t offset;
	size_t length;
	char bytes[];
};

static struct pending *first, **last = &first;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int is_disk(int fd) {
	const char *path = getenv("DISK_FILE");
	struct stat a, b;
	return path && !fstat(fd, &a) && !stat(path, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int ordered(const char *what) {
	char word[16] = "";
	int number = 0;
	FILE *orders = fopen(getenv("DISK_ORDERS"), "r");
	if (orders) {
		if (fscanf(orders, "%15s %d", word, &number) != 2 || strcmp(word, what)) number = 0;
		fclose(orders);
	}
	return number;
}

static ssize_t real_pwrite(int fd, const void *bytes, size_t length, off_t offset) {
	static ssize_t (*real)(int, const void *, size_t, off_t);
	if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
	return real(fd, bytes, length, offset);
}

static void keep(const char *bytes, size_t length, off_t offset) {
	int fd = open(getenv("DISK_KEPT"), O_WRONLY | O_CREAT, 0644);
	if (fd < 0 || real_pwrite(fd, bytes, length, offset) != (ssize_t)length) abort();
	close(fd);
}

static void wait_for_flush(const char *bytes, size_t length, off_t offset) {
	struct pending *one = malloc(sizeof(*one) + length);
	if (!one) abort();
	one->next = NULL;
	one->offset = offset;
	one->length = length;
	memcpy(one->bytes, bytes, length);
	*last = one;
	last = &one->next;
}

static void end_waiting(int kept) {
	while (first) {
		struct pending *one = first;
		if (kept) keep(one->bytes, one->length, one->offset);
		first = one->next;
		free(one);
	}
	last = &first;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
	if (!is_disk(fd)) return real_pwrite(fd, bytes, length, offset);
	int at_once = (fcntl(fd, F_GETFL) & O_DSYNC) != 0, failure = ordered(at_once ? "meta" : "write");
	if (failure) {
		errno = failure;
		return -1;
	}
	pthread_mutex_lock(&lock);
	ssize_t written = real_pwrite(fd, bytes, length, offset);
	if (written > 0 && at_once) keep(bytes, written, offset);
	else if (written > 0) wait_for_flush(bytes, written, offset);
	pthread_mutex_unlock(&lock);
	return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
	return pwrite64(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
	static ssize_t (*real)(int, const struct iovec *, int);
	if (!real) real = dlsym(RTLD_NEXT, "writev");
	if (!is_disk(fd)) return real(fd, parts, count);
	int failure = ordered("write");
	if (failure) {
		errno = failure;
		return -1;
	}
	pthread_mutex_lock(&lock);
	off_t offset = lseek(fd, 0, SEEK_CUR);
	ssize_t written = real(fd, parts, count), left = written;
	for (int part = 0; part < count && left > 0; part++) {
		size_t length = parts[part].iov_len < (size_t)left ? parts[part].iov_len : (size_t)left;
		wait_for_flush(parts[part].iov_base, length, offset);
		offset += length;
		left -= length;
	}
	pthread_mutex_unlock(&lock);
	return written;
}

int fdatasync(int fd) {
	static int (*real)(int);
	if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
	if (!is_disk(fd)) return real(fd);
	int failure = ordered("sync");
	pthread_mutex_lock(&lock);
	int result = failure ? -1 : real(fd);
	end_waiting(result == 0);
	pthread_mutex_unlock(&lock);
	if (failure) errno = failure;
	return result;
}
