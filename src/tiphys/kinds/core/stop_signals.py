"""The signals that a container's lifecycle may name as its stopSignal."""

from __future__ import annotations

# In the order in which the container runtime interface numbers them, from 1; SIGRTMIN is 35 there and SIGRTMAX 65.
# fmt: off
NAMED = (
    "SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO",
    "SIGIOT", "SIGKILL", "SIGPIPE", "SIGPOLL", "SIGPROF", "SIGPWR", "SIGQUIT", "SIGSEGV", "SIGSTKFLT", "SIGSTOP",
    "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM",
    "SIGWINCH", "SIGXCPU", "SIGXFSZ",
)
# fmt: on
LOWEST_REAL_TIME, HIGHEST_REAL_TIME = "SIGRTMIN", "SIGRTMAX"
LINUX = frozenset(
    [
        *NAMED,
        LOWEST_REAL_TIME,
        HIGHEST_REAL_TIME,
        *(f"{LOWEST_REAL_TIME}+{offset}" for offset in range(1, 16)),
        *(f"{HIGHEST_REAL_TIME}-{offset}" for offset in range(1, 15)),
    ]
)
WINDOWS = frozenset({"SIGTERM", "SIGKILL"})
