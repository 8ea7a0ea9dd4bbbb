"""Events by the name that a scenario gives in `do`."""

from scenarios.events.certificate_rotate import CertificateRotate
from scenarios.events.deploy import Deploy
from scenarios.events.drain import Drain
from scenarios.events.drop import DropAll, DropShare
from scenarios.events.event import Event
from scenarios.events.exec import Exec
from scenarios.events.feed import FeedBurst, FeedStall
from scenarios.events.pod import KillPod, PausePod
from scenarios.events.probes import Probes
from scenarios.events.proxy import NginxReload, NginxRestart
from scenarios.events.push_policy import PushPolicy
from scenarios.events.rolling_restart import RollingRestart
from scenarios.events.scale import Scale
from scenarios.events.set_limit import SetLimit

AnyEvent = (
    DropAll
    | DropShare
    | Drain
    | KillPod
    | PausePod
    | RollingRestart
    | Deploy
    | Scale
    | FeedBurst
    | FeedStall
    | NginxReload
    | NginxRestart
    | CertificateRotate
    | PushPolicy
    | SetLimit
    | Probes
    | Exec
)

EVENTS: dict[str, type[Event]] = {
    "drop_all": DropAll,
    "drop_share": DropShare,
    "drain": Drain,
    "kill_pod": KillPod,
    "pause_pod": PausePod,
    "rolling_restart": RollingRestart,
    "deploy": Deploy,
    "scale": Scale,
    "feed_burst": FeedBurst,
    "feed_stall": FeedStall,
    "nginx_reload": NginxReload,
    "nginx_restart": NginxRestart,
    "certificate_rotate": CertificateRotate,
    "push_policy": PushPolicy,
    "set_limit": SetLimit,
    "probes": Probes,
    "exec": Exec,
}
