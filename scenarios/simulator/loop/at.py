"""Which number stands where in the arrays of the loop, and what the small numbers in them mean.

All times are whole nanoseconds of the model, from its second 0 on.
"""

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
NEVER = 1 << 62

SYN_AGAIN_AFTER = (1 * SECOND, 3 * SECOND, 7 * SECOND)
"""After the first SYN that finds an accept queue full, as Linux does: 1, 2 and 4 s after the one before."""

# -- whole numbers of the run: the array `s` -------------------------------------------------------

(
    NOW,
    NEED,
    FEED_MARK,
    SEQUENCE,
    BUCKET,
    EPOCH,
    TAKEN,
    LOADED,
    NEAR,
    FREE,
    FREE_COUNT,
    MARGIN,
    NEAR_MARGIN,
    POD_TIME,
    BUSY,
    WORK_TIME,
    SHARED,
    EDGE_UP,
    TOLD,
    CAP,
    NEXT_PLACE,
    FREE_PLACES,
    STALLED_UNTIL,
    BALANCE,
    TURN,
    UPSTREAM,
    LEAST,
    UPGRADE,
    JOIN,
    CLOSE,
    SHED,
    UPGRADE_CPU,
    JOIN_CPU,
    TURNS_PER_TICK,
    EDGE_DELAY,
    SHED_ABOVE,
    SLOTS,
    CANCELS,
    BACKLOG,
    SEED,
    CLIENTS,
    RULES,
    IN_TURN,
    RATES_FIRST,
    DRY_RUN,
    IN_FLIGHT,
    REFUSAL,
    REQUESTS,
    DELIVERED,
    REFUSED_AT_EDGE,
    HELD_CLOSES,
    MOST_HELD,
    PUSH,
    PING,
    PODS,
    ALIVE,
    TICKS,
    CELLS,
    DOGS,
    SLOTS_OF_RUN,
    SOON_ROOM,
    PRESENT_ROOM,
    REMEMBERS,
    WORKERS,
    JUDGES,
    MAX_FAILS,
    FAIL_TIMEOUT_S,
    AFTER_ERROR,
    AFTER_BUSY,
    AFTER_TOO_MANY,
    CLOSES_1013,
    READ_TIMEOUT,
    PING_INTERVAL,
    TLS,
    TLS_THROUGH,
    TLS_FULL,
    TLS_RESUMED,
    WINDOW_CONNECTIONS,
    WINDOW,
    WINDOW_CHARGES,
    WINDOW_OF_PEER,
    WINDOW_MASK,
    WINDOW_ROOM,
    FIRST_TABLE,
) = range(84)
"""FEED_MARK: of the event at which the next tick is due. TAKEN, LOADED: how many of the
entries of the current bucket have been taken, and how many there are. MARGIN: so many free chunks are there
before every event, and NEAR_MARGIN: so much room on the heap. WORK_TIME: when the work of the pods was last
reckoned up. MOST_HELD: for so many closes of pods that stand still there is room. REMEMBERS: the
proxy has something to forget when a connection ends. JUDGES: it takes note of pods that fail. AFTER_…: what a
failed request is sent to the next pod after. TLS: the proxy has it; TLS_THROUGH: when it is through with all
handshakes so far, TLS_FULL and TLS_RESUMED how many of these it has made. WINDOW…: of the limit that each pod
counts; WINDOW_ROOM: for so many more counters there is room."""

# -- other numbers of the run: the array `x` -------------------------------------------------------

(
    WORK,
    SLOW,
    STRETCH,
    TICK,
    TICK_CPU,
    CORES,
    NGINX_SHARE,
    IDLE,
    TLS_COST,
    TLS_RESUMED_COST,
    TLS_WORKERS,
    TLS_CPU,
    SIZE_X,
) = range(13)
"""WORK: what a busy pod has done since the beginning, in nanoseconds. SLOW: nanoseconds on the clock for one
of work. TICK, TICK_CPU: of one tick to one client. TLS_COST, TLS_RESUMED_COST: nanoseconds of a handshake;
TLS_WORKERS: that make them, and TLS_CPU: what they have spent since somebody has asked."""

# -- what the loop needs of Python before it can go on ---------------------------------------------

NOTHING, MORE_DELAYS, MORE_ROOM, OUTCOMES_TO_TELL = range(4)

# -- clients ---------------------------------------------------------------------------------------

AWAY, TRYING, JOINED, GONE = range(4)
"""Waiting for the next attempt, or on the way to the proxy with it; attempting there; joined; given up."""

FIRST, BOOKED, WAKING, HAS_TICK, POLLS, SERVED, OPENED, GREETED = 1, 2, 4, 8, 16, 32, 64, 128
"""Flags of a client. FIRST: its next attempt is the first of an outage. BOOKED: its next attempt is, and
nobody has to be asked about it. WAKING: its policy wants to be asked before. HAS_TICK: it has had a tick in
its session. OPENED: its attempt has a WebSocket already. GREETED: its TLS handshake is being made."""

ALL_MARKS = 255

KEEPS, HAS = 1, 2
"""What is known of the TLS sessions of a client: it keeps one if it has one, and it has one."""

# -- events ----------------------------------------------------------------------------------------

(
    TIMER,
    SYN_1,
    SYN_2,
    SYN_3,
    CLOSES,
    REACHED,
    FEED,
    WATCH,
    PINGED,
    LET_GO,
    SAMPLE,
    ANSWERED,
    QUIET,
    SILENT,
) = range(14)
"""TIMER: what a client waits for, by its state. SYN_n: it knocks at a full accept queue again. LET_GO: the
edge has held it back. ANSWERED: the pod sees that it wants to join. QUIET: a pod may have sent no tick for as
long as the proxy waits; SILENT: a session of such a pod may have carried nothing at all."""

CLIENT_BITS, KIND_BITS = 24, 4
CLIENT_MASK, KIND_MASK = (1 << CLIENT_BITS) - 1, (1 << KIND_BITS) - 1
MARK_SHIFT = CLIENT_BITS + KIND_BITS
ATTEMPT_MASK = (1 << 20) - 1

# -- pods ------------------------------------------------------------------------------------------

IDLE_POD, CLOSING, JOINING, UPGRADING, SENDING, SHEDDING = range(6)

# -- the balance -----------------------------------------------------------------------------------

LEAST_CONN, ROUND_ROBIN, HASH, IP_HASH = range(4)

# -- policies: rows of `policies` ------------------------------------------------------------------

P_TOLD, P_OFFSET, P_WIDTH, P_PATHS, P_RESET, P_RESET_AFTER, P_WANTS, P_STRIDE, SIZE_P = range(9)
"""P_WIDTH: delays that each path has so far. P_WANTS: somebody has come to the end of them. P_STRIDE: from a
path to the next, 0 where all are the same."""
MOST_TRIES = 2_048
"""Whoever has made so many attempts takes the delays of the second half of its path again and again."""
ON_OPEN, ON_JOIN, ON_NOTHING, AFTER_A_TIME = range(4)

# -- limits: rows of `rules` -----------------------------------------------------------------------

R_KIND, R_RATE, R_BURST, R_PERIOD, R_SHARED, R_ALL_REQUESTS, R_DELAYS, R_TOKEN, SIZE_R = range(9)
"""R_TOKEN: which table of tokens a rule counts by, from 1; 0 where it counts by none."""
LEAKY, TOKENS, PERIODS, PERIODS_OF_ALL = range(4)
"""PERIODS: counters of a sliding window; PERIODS_OF_ALL: which count refused requests as well."""

# -- what policies are told: rows of `told` --------------------------------------------------------

T_WHAT, T_CLIENT, T_POLICY, T_TIME, T_ENDING, T_SESSION, SIZE_T = range(7)
T_ENDED, T_JOINED, T_STARTS_OVER, T_LEAVES, T_WOKEN = range(5)

# -- endings: places in the table of endings that the loop itself knows ----------------------------

TIMED_OUT, REFUSED, RESET, STALE, PING_TIMEOUT, ABANDONED = range(6)
UNSUPPORTED, UNAVAILABLE, SHED_BY_POD, LIMITED, TOO_MANY, NO_CONNECTION = 6, 8, 10, 12, 14, 16
"""Each of these is followed by the same for a client that polls."""
SIZE_E = 64
SESSIONS_MADE = SIZE_E
"""In the table of ended attempts: they made a session."""
POLICY_ENDED = SIZE_E

# -- tables: where each begins in its array, and how far it is from row to row ---------------------

(
    # of the array `m`
    SECONDS_OF,
    DUE,
    GROUPS,
    EFFECTIVE,
    CENSORED,
    HELD,
    IN_TIME,
    NEVER_HELD,
    SKIPPED,
    AWAY_BY_HELD,
    FANOUT,
    STALENESS,
    PENDING,
    NUMBERS,
    USEFUL,
    HEAP,
    QUEUE,
    SESSIONS,
    WATCHDOGS,
    WITH_TICK,
    JOINED_BY_CELL,
    UPSTREAM_PODS,
    LEVELS,
    HOME,
    POLICIES,
    STOPS,
    TOLD_ROWS,
    PLACES,
    PUSHED,
    HELD_ROWS,
    TIMEOUTS,
    WATCHDOG_OF,
    ENDED,
    DISCONNECTS,
    GAVE_UP,
    GAVE_UP_BY_CELL,
    ATTEMPTS_BY_SLOT,
    WORKER_FREE,
    WORKER_OF,
    TRIED,
    OCTETS,
    TLS_MARKS,
    # of the array `lim`
    RULE_ROWS,
    KEYS,
    EXEMPT,
    COUNTS,
    CAPS,
    HOLDS,
    TOKENS_OF,
    # of the array `win`
    WINDOWS,
    # of the array `cal`
    ENTRIES,
    AFTER,
    LISTS,
    SOON,
    PRESENT,
    OTHER,
    DIGITS,
    END_OF_TABLES,
) = range(FIRST_TABLE, FIRST_TABLE + 58 * 3, 3)
"""Each has three numbers in `s`: its place, the step of its first index, and the step of its second one."""

SIZE_S = END_OF_TABLES

# -- counts: places of the table NUMBERS -----------------------------------------------------------

(
    N_CLOSED,
    N_LOW,
    N_HIGH,
    N_TICKS,
    N_MISSED,
    N_STALE,
    N_POINTS,
    N_WHEN,
    N_FROM,
    N_TO,
    N_HELD_BACK,
    SIZE_N,
) = range(12)
"""N_CLOSED: the newest tick whose accounting is final. N_LOW, N_HIGH: the seconds [from, to) that have news.
N_WHEN, N_FROM, N_TO: the hundredth of a second that is pending, and the range of ticks held there."""

# -- numbers of the calendar -----------------------------------------------------------------------

BUCKET_SHIFT, EPOCH_SHIFT = 22, 34
BUCKETS, EPOCHS, CHUNK = 1 << (EPOCH_SHIFT - BUCKET_SHIFT), 1024, 32
L_HEAD, L_TAIL, L_FILL, L_OFF = range(4)

# -- orders: what Python has the loop do -----------------------------------------------------------

(
    RUN,
    START_POD,
    END_POD,
    PAUSE_POD,
    RESUME_POD,
    ROUTE,
    SETTLE,
    LOSE,
    HANG_UP,
    LOSE_POD,
    FOLLOW,
    REACH,
    CLOSE_LATER,
    ACT,
    COME_BACK,
    FEED_FROM,
    STALL,
    RECKON,
    FINALISE,
) = range(19)

A_WAITS, A_ASKS, A_WAKES, A_GIVES_UP = range(4)
"""What policies that were asked have answered: the client waits for a delay, asks the cap now, wants to be
woken, or stops."""
