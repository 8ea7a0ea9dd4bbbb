"""Events by the name that a scenario gives in `do`."""

from scenarios.events.drop_all import DropAll
from scenarios.events.drop_share import DropShare
from scenarios.events.event import Event
from scenarios.events.feed_burst import FeedBurst
from scenarios.events.feed_stall import FeedStall
from scenarios.events.kill_pod import KillPod
from scenarios.events.nginx_reload import NginxReload
from scenarios.events.nginx_restart import NginxRestart
from scenarios.events.pause_pod import PausePod
from scenarios.events.probes import Probes
from scenarios.events.push_policy import PushPolicy
from scenarios.events.rolling_restart import RollingRestart
from scenarios.events.scale import Scale
from scenarios.events.set_limit import SetLimit

AnyEvent = (
    DropAll
    | DropShare
    | KillPod
    | PausePod
    | RollingRestart
    | Scale
    | FeedBurst
    | FeedStall
    | NginxReload
    | NginxRestart
    | PushPolicy
    | SetLimit
    | Probes
)

EVENTS: dict[str, type[Event]] = {
    "drop_all": DropAll,
    "drop_share": DropShare,
    "kill_pod": KillPod,
    "pause_pod": PausePod,
    "rolling_restart": RollingRestart,
    "scale": Scale,
    "feed_burst": FeedBurst,
    "feed_stall": FeedStall,
    "nginx_reload": NginxReload,
    "nginx_restart": NginxRestart,
    "push_policy": PushPolicy,
    "set_limit": SetLimit,
    "probes": Probes,
}
