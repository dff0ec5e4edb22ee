/* What the host helper stands on, as it has no library: system calls, text, and standard output. */

typedef unsigned long u64; /* also wide enough for a pointer and for what a system call takes and gives */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define NOT_KNOWN (~0UL)
#define SECOND 1000000000UL

enum {
    /* So much at most goes into a pipe in one piece, whoever else writes to it (PIPE_BUF). */
    ANSWER_BYTES = 4096,
    PATH_BYTES = 512,
};

/* System calls. */

#if defined(__x86_64__)
enum {
    READ = 0, WRITE = 1, CLOSE = 3, SOCKET = 41, CONNECT = 42, SEND = 44, GETSOCKOPT = 55, CLONE = 56, WAIT = 61, CAPSET = 126,
    STATFS = 137, PRCTL = 157, GETDENTS = 217, CLOCK = 228, EXIT = 231, OPENAT = 257, POLL = 271, SETNS = 308,
};
enum { O_DIRECTORY = 0200000, O_CLOEXEC = 02000000 };
#define THIS_MACHINE 0xC000003Eu

static long call5(long number, u64 a, u64 b, u64 c, u64 d, u64 e) {
    long result;
    register u64 fourth __asm__("r10") = d;
    register u64 fifth __asm__("r8") = e;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return result;
}

__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
#elif defined(__aarch64__)
enum {
    STATFS = 43, OPENAT = 56, CLOSE = 57, GETDENTS = 61, READ = 63, WRITE = 64, POLL = 73, CAPSET = 91, EXIT = 94, CLOCK = 113,
    PRCTL = 167, SOCKET = 198, CONNECT = 203, SEND = 206, GETSOCKOPT = 209, CLONE = 220, WAIT = 260, SETNS = 268,
};
enum { O_DIRECTORY = 040000, O_CLOEXEC = 02000000 };
#define THIS_MACHINE 0xC00000B7u

static long call5(long number, u64 a, u64 b, u64 c, u64 d, u64 e) {
    register u64 x0 __asm__("x0") = a;
    register u64 x1 __asm__("x1") = b;
    register u64 x2 __asm__("x2") = c;
    register u64 x3 __asm__("x3") = d;
    register u64 x4 __asm__("x4") = e;
    register long x8 __asm__("x8") = number;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x8) : "memory");
    return (long)x0;
}

__asm__(".globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n and sp, x0, #-16\n bl run\n");
#else
#error "no system calls are known for this architecture"
#endif

static long call(long number, u64 a, u64 b, u64 c) {
    return call5(number, a, b, c, 0, 0);
}

enum { AT_FDCWD = -100, CLOCK_MONOTONIC = 1, DT_DIR = 4, POLLIN = 1, POLLOUT = 4 };

static void end(int code) {
    for (;;)
        call(EXIT, (u64)code, 0, 0);
}

static int open_in(int folder, const char *path, int flags) {
    return (int)call(OPENAT, (u64)(long)folder, (u64)path, (u64)(flags | O_CLOEXEC));
}

static int open_to_read(const char *path, int flags) {
    return open_in(AT_FDCWD, path, flags);
}

static u64 now(void) {
    u64 time[2];
    call(CLOCK, CLOCK_MONOTONIC, (u64)time, 0);
    return time[0] * SECOND + time[1];
}

/* Whether it is ready for that, or has failed, within so many nanoseconds. */
static int ready(int file, int what, u64 patience) {
    struct { int file; u16 wanted, seen; } one = {file, (u16)what, 0};
    u64 time[2] = {patience / SECOND, patience % SECOND};
    return call5(POLL, (u64)&one, 1, (u64)time, 0, 0) > 0;
}

/* Text. */

static u64 length(const char *text) {
    u64 count = 0;
    while (text[count])
        count++;
    return count;
}

/* How long the beginning is if the text has it, else 0. */
static u64 begins(const char *text, const char *beginning) {
    u64 i = 0;
    for (; beginning[i]; i++)
        if (text[i] != beginning[i])
            return 0;
    return i;
}

static int contains(const char *text, const char *part) {
    for (; *text; text++)
        if (begins(text, part))
            return 1;
    return 0;
}

static const char *after_line(const char *text) {
    while (*text && *text != '\n')
        text++;
    return *text ? text + 1 : text;
}

static u64 number(const char *text) {
    u64 value = 0;
    if (*text < '0' || *text > '9')
        return NOT_KNOWN;
    while (*text >= '0' && *text <= '9')
        value = value * 10 + (u64)(*text++ - '0');
    return value;
}

/* Ends the text at its first space, and gives what follows; an empty text if there is none. */
static char *after_word(char *text) {
    while (*text && *text != ' ')
        text++;
    if (*text)
        *text++ = 0;
    return text;
}

/* Joins texts into a path; an empty one, which opens nothing, if they are too long for it. The list ends with 0. */
static void join(char *path, const char *const *parts) {
    u64 used = 0;
    for (; *parts; parts++) {
        for (const char *from = *parts; *from; from++) {
            if (used == PATH_BYTES - 1) {
                path[0] = 0;
                return;
            }
            path[used++] = *from;
        }
    }
    path[used] = 0;
}

/* Standard output. */

static char answer[ANSWER_BYTES];
static u64 answered, whole; /* of what is to be written, and how much of that is whole lines */

static void write_out(u64 size) {
    for (u64 done = 0; done < size;) {
        long count = call(WRITE, 1, (u64)(answer + done), size - done);
        if (count <= 0)
            end(1);
        done += (u64)count;
    }
    for (u64 i = size; i < answered; i++)
        answer[i - size] = answer[i];
    answered -= size;
    whole = 0;
}

static void flush(void) {
    write_out(answered);
}

/* Several processes write to this output: what is written at a time is whole lines. */
static void put(char letter) {
    if (answered == ANSWER_BYTES)
        write_out(whole ? whole : answered);
    answer[answered++] = letter;
    if (letter == '\n')
        whole = answered;
}

static void say(const char *text) {
    while (*text)
        put(*text++);
}

/* Up to the end of the line, without it. */
static void say_line(const char *text) {
    while (*text && *text != '\n')
        put(*text++);
}

static void say_number(u64 value) {
    char digits[20];
    int count = 0;
    put(' ');
    if (value == NOT_KNOWN) {
        put('-');
        return;
    }
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count)
        put(digits[--count]);
}
