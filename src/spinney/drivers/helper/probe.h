/*
 * Probes: bytes to one address and back, inside the network namespace of one container.
 *
 * "probe TAG PID ID ADDRESS LIMIT BYTES MILLISECONDS" asks for it. PID: a process of the container with that id, "0 -" being
 * this container itself; ADDRESS: a struct sockaddr_in or sockaddr_in6, and BYTES: what is sent, both as hexadecimal digits
 * ("-": none); LIMIT: how many bytes of what comes back are of interest. The answer:
 *
 *     at TAG connected
 *     at TAG data BASE64        as much as came at once; as often as that happens
 *     at TAG end HOW NUMBER     the kernel's number of an error, or 0
 *
 * HOW is "closed" (the other side has said all), "enough" (LIMIT is reached), "late", "failed" (no connection), "gone" (no such
 * process, or it is not the container's), "barred" (its namespace may not be entered), "busy", or "wrong" (the question is).
 *
 * Each probe is a process of its own, so that none waits for another, and each line is written at once, so that lines stay
 * whole. Before it reads the first byte of what the container says, it gives up all that it may do: capabilities, and
 * system calls but those to read, write, wait and end. What containers say is nowhere looked into; it is passed on.
 */

enum {
    CHILDREN = 48, /* at a time */
    SENT_BYTES = 3072, PIECE_BYTES = 2048, DRAINED_BYTES = 65536,
};

enum {
    SIGCHLD = 17, WNOHANG = 1, CLONE_NEWNET = 0x40000000, AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, NONBLOCK = 04000,
    SOL_SOCKET = 1, SO_ERROR = 4, MSG_NOSIGNAL = 0x4000, ENOENT = 2, ESRCH = 3, EAGAIN = 11, EINPROGRESS = 115,
    PR_SET_SECCOMP = 22, SECCOMP_MODE_FILTER = 2, PR_SET_NO_NEW_PRIVS = 38,
};

static int children;

static void gather_children(void) {
    while (children && call(WAIT, (u64)-1L, 0, WNOHANG) > 0)
        children--;
}

/* Answers. */

static void say_at(const char *tag, const char *what) {
    say("at ");
    say(tag);
    put(' ');
    say(what);
}

static void say_end(const char *tag, const char *how, long error) {
    say_at(tag, "end ");
    say(how);
    say_number((u64)-error);
    put('\n');
    flush();
}

static void finish(const char *tag, const char *how, long error) {
    say_end(tag, how, error);
    end(0);
}

static void say_data(const char *tag, const u8 *data, u64 size) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    say_at(tag, "data ");
    for (u64 i = 0; i < size; i += 3) {
        u64 left = size - i;
        u32 three = (u32)data[i] << 16 | (left > 1 ? (u32)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
        put(letters[three >> 18]);
        put(letters[three >> 12 & 63]);
        put(left > 1 ? letters[three >> 6 & 63] : '=');
        put(left > 2 ? letters[three & 63] : '=');
    }
    put('\n');
    flush();
}

/* Questions. */

static int digit(char letter) {
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* How many bytes the digits stand for; NOT_KNOWN if that cannot be, or is too much. */
static u64 bytes_of(const char *digits, u8 *bytes, u64 most) {
    u64 size = 0;
    if (digits[0] == '-')
        return 0;
    for (; digits[0]; digits += 2) {
        if (digit(digits[0]) < 0 || digit(digits[1]) < 0 || size == most)
            return NOT_KNOWN;
        bytes[size++] = (u8)(digit(digits[0]) << 4 | digit(digits[1]));
    }
    return size;
}

static int is_number(const char *text) {
    u64 digits = 0;
    while (text[digits] >= '0' && text[digits] <= '9')
        digits++;
    return digits && digits < 11 && !text[digits];
}

/* Enters the network namespace of a process. The folder that is held open stands for that one process, also when its number
 * has long been given to another. */
static void enter(const char *tag, const char *pid, const char *id) {
    char path[PATH_BYTES];
    join(path, (const char *const[]){proc, "/", pid, 0});
    int process = open_to_read(path, O_DIRECTORY);
    if (process < 0 || !load_in(process, "cgroup") || !contains(text, id))
        finish(tag, "gone", 0);
    int space = open_in(process, "ns/net", 0);
    if (space == -ENOENT || space == -ESRCH)
        finish(tag, "gone", 0);
    if (space < 0)
        finish(tag, "barred", space);
    long refused = call(SETNS, (u64)space, CLONE_NEWNET, 0);
    if (refused)
        finish(tag, "barred", refused);
    call(CLOSE, (u64)space, 0, 0);
    call(CLOSE, (u64)process, 0, 0);
}

/* Gives up what is not needed any more; 0 if the kernel does not let it. */
static int confine(void) {
    enum { LOAD = 0x20, EQUAL = 0x15, RETURN = 0x06, AT_NUMBER = 0, AT_MACHINE = 4 };
    enum { ALLOW = 0x7fff0000, KILL_ALL = (int)0x80000000 };
    static const struct { u16 code; u8 yes, no; u32 value; } filter[] = {
        {LOAD, 0, 0, AT_MACHINE}, {EQUAL, 0, 9, THIS_MACHINE}, {LOAD, 0, 0, AT_NUMBER},
        {EQUAL, 6, 0, READ}, {EQUAL, 5, 0, WRITE}, {EQUAL, 4, 0, SEND}, {EQUAL, 3, 0, GETSOCKOPT}, {EQUAL, 2, 0, POLL},
        {EQUAL, 1, 0, CLOCK}, {EQUAL, 0, 1, EXIT},
        {RETURN, 0, 0, ALLOW}, {RETURN, 0, 0, (u32)KILL_ALL},
    };
    struct { u16 size; const void *filter; } program = {sizeof filter / sizeof filter[0], filter};
    struct { u32 version; int pid; } header = {0x20080522, 0};
    u32 none[6] = {0};
    return !call(CAPSET, (u64)&header, (u64)none, 0) && !call5(PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
           !call(PRCTL, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (u64)&program);
}

/* As "ready", for what is not to last longer than the probe. */
static int in_time(int socket, int what, u64 until) {
    u64 time = now();
    return time < until && ready(socket, what, until - time);
}

static void exchange(const char *tag, int socket, const u8 *sent, u64 size, u64 limit, u64 until) {
    static u8 piece[PIECE_BYTES];
    int error = 0, error_size = sizeof error, told = 0;
    if (!in_time(socket, POLLOUT, until))
        finish(tag, "late", 0);
    call5(GETSOCKOPT, (u64)socket, SOL_SOCKET, SO_ERROR, (u64)&error, (u64)&error_size);
    if (error)
        finish(tag, "failed", -error);
    say_at(tag, "connected\n");
    flush();
    if (!limit)
        finish(tag, "enough", 0);
    for (u64 done = 0; done < size;) {
        if (!in_time(socket, POLLOUT, until))
            finish(tag, "late", 0);
        long count = call5(SEND, (u64)socket, (u64)(sent + done), size - done, MSG_NOSIGNAL, 0);
        if (count < 0 && count != -EAGAIN)
            break; /* It may have answered all the same. */
        done += count > 0 ? (u64)count : 0;
    }
    for (u64 taken = 0; taken < limit + DRAINED_BYTES;) {
        if (!in_time(socket, POLLIN, until)) {
            if (!told)
                say_end(tag, "late", 0);
            return;
        }
        long count = call(READ, (u64)socket, (u64)piece, sizeof piece);
        if (count == -EAGAIN)
            continue;
        if (count <= 0) {
            if (!told)
                say_end(tag, "closed", count);
            return;
        }
        if (!told)
            say_data(tag, piece, (u64)count < limit - taken ? (u64)count : limit - taken);
        taken += (u64)count;
        if (!told && taken >= limit) {
            say_end(tag, "enough", 0);
            told = 1; /* The rest is read, so that the other side is not told of a broken connection. */
        }
    }
}

static void begin_exchange(const char *tag, const char *pid, const char *id, const u8 *address, u64 address_size,
                           const u8 *sent, u64 size, u64 limit, u64 until) {
    if (pid[0] != '0')
        enter(tag, pid, id);
    int socket = (int)call(SOCKET, address[0], SOCK_STREAM | NONBLOCK | O_CLOEXEC, 0);
    if (socket < 0)
        finish(tag, "failed", socket);
    long connected = call(CONNECT, (u64)socket, (u64)address, address_size);
    if (connected && connected != -EINPROGRESS)
        finish(tag, "failed", connected);
    if (!confine())
        finish(tag, "barred", 0);
    exchange(tag, socket, sent, size, limit, until);
    end(0);
}

static void probe(char *tag) {
    static u8 address[28], sent[SENT_BYTES];
    char *pid = after_word(tag), *id = after_word(pid), *digits = after_word(id), *limit = after_word(digits);
    char *content = after_word(limit), *patience = after_word(content);
    u64 address_size = bytes_of(digits, address, sizeof address), size = bytes_of(content, sent, sizeof sent);
    if (length(tag) > TAG_LETTERS)
        return;
    if (!((address_size == 16 && address[0] == AF_INET) || (address_size == 28 && address[0] == AF_INET6)) || address[1] ||
        !is_number(pid) || !*id || !is_number(limit) || size == NOT_KNOWN || !is_number(patience)) {
        say_end(tag, "wrong", 0);
        return;
    }
    gather_children();
    u64 until = now() + number(patience) * (SECOND / 1000);
    long child = children < CHILDREN ? call(CLONE, SIGCHLD, 0, 0) : -EAGAIN;
    if (child < 0)
        say_end(tag, "busy", child);
    else if (child > 0)
        children++;
    else
        begin_exchange(tag, pid, id, address, address_size, sent, size, number(limit), until);
}
