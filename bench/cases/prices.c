/*
 * What system calls, page faults and new processes cost: the fewest nanoseconds of many short rounds.
 *
 * As a guest's first process it measures the guest, else the host. Time is the processor's counter:
 * a guest's clock stands still. CYCLES_PER_US in the environment says how fast that counts; without,
 * it is measured and printed first.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static int zero, pipes[2][2], libc_file;
static char *const nothing[] = {"PATH=/usr/bin:/bin", NULL};

static void getppid_(void) { syscall(SYS_getppid); }

static void read_(void)
{
	char byte;
	if (read(zero, &byte, 1) != 1)
		abort();
}

static void clock_(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
}

static void pingpong(void)
{
	char byte = 0;
	if (write(pipes[0][1], &byte, 1) != 1 || read(pipes[1][0], &byte, 1) != 1)
		abort();
}

static void touch(int flags, int file, int pages)
{
	volatile char *memory = mmap(NULL, pages * 4096UL, PROT_READ | PROT_WRITE, flags, file, 0);
	for (int i = 0; i < pages; i++) {
		if (file < 0)
			memory[i * 4096UL] = 1;
		else
			(void) memory[i * 4096UL];
	}
	munmap((void *) memory, pages * 4096UL);
}

static void anonymous(void) { touch(MAP_PRIVATE | MAP_ANONYMOUS, -1, 64); }
static void file(void) { touch(MAP_PRIVATE, libc_file, 256); }

static void fork_(void)
{
	pid_t child = fork();
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
}

static void start(char *const *argv, int spawned)
{
	pid_t child;
	if (spawned) {
		if (posix_spawn(&child, argv[0], NULL, NULL, argv, nothing))
			abort();
	} else if (!(child = fork())) {
		execve(argv[0], argv, nothing);
		_exit(1);
	}
	int status;
	waitpid(child, &status, 0);
	if (status)
		abort();
}

static void fork_exec(void) { start((char *[]) {"/bin/true", NULL}, 0); }
static void spawn(void) { start((char *[]) {"/bin/true", NULL}, 1); }
static void shell(void) { start((char *[]) {"/bin/sh", "-c", "/bin/true; /bin/true", NULL}, 0); }
static void python(void) { start((char *[]) {"/usr/bin/python3", "-ISc", "pass", NULL}, 0); }

static const struct {
	const char *name;
	void (*what)(void);
	int calls, rounds;
} PRICES[] = {
	{"getppid", getppid_, 100, 100},
	{"read of a byte", read_, 100, 100},
	{"clock_gettime", clock_, 100, 100},
	{"byte to a process and back", pingpong, 50, 50},
	{"64 pages of memory", anonymous, 1, 50},
	{"256 pages of a file", file, 1, 50},
	{"fork, exit, wait", fork_, 1, 100},
	{"fork, exec /bin/true", fork_exec, 1, 100},
	{"posix_spawn /bin/true", spawn, 1, 100},
	{"sh -c, two programs", shell, 1, 30},
	{"python3 -ISc pass", python, 1, 10},
};

static double cycles_per_us(void)
{
	const char *given = getenv("CYCLES_PER_US");
	struct timespec began, now;
	double us = 0;

	if (given)
		return atof(given);
	clock_gettime(CLOCK_MONOTONIC, &began);
	uint64_t cycles = __rdtsc();
	while (us < 1e5) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		us = (now.tv_sec - began.tv_sec) * 1e6 + (now.tv_nsec - began.tv_nsec) / 1e3;
	}
	return (__rdtsc() - cycles) / us;
}

int main(void)
{
	zero = open("/dev/zero", O_RDONLY);
	libc_file = open("/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY);
	if (zero < 0 || libc_file < 0 || pipe(pipes[0]) || pipe(pipes[1]))
		return 1;
	pid_t echo = fork();
	if (!echo) {
		char byte;
		while (read(pipes[0][0], &byte, 1) == 1)
			if (write(pipes[1][1], &byte, 1) != 1)
				break;
		_exit(0);
	}
	double per_us = cycles_per_us();
	printf("PRICE cycles: %.1f\n", per_us);
	for (size_t i = 0; i < sizeof(PRICES) / sizeof(*PRICES); i++) {
		uint64_t least = UINT64_MAX;
		for (int round = 0; round < PRICES[i].rounds; round++) {
			uint64_t began = __rdtsc();
			for (int call = 0; call < PRICES[i].calls; call++)
				PRICES[i].what();
			uint64_t took = __rdtsc() - began;
			least = took < least ? took : least;
		}
		printf("PRICE %s: %.3f\n", PRICES[i].name, least / per_us / PRICES[i].calls);
	}
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	kill(echo, SIGKILL);
	return 0;
}
