"""The proxy gets another certificate."""

from scenarios.events.event import Context, Details, Event
from scenarios.events.stack import Stack


class CertificateRotate(Event, frozen=True, kw_only=True, tag="certificate_rotate"):
    """The proxy gets a new certificate and key, which all clients trust; nginx and HAProxy reload for it.

    No TLS session from before can be resumed: the next handshake of every client is a full one. nginx keeps
    its session cache and its ticket keys, but a session belongs to one certificate; HAProxy's new worker
    begins with neither, and so does Envoy, which needs no reload for it.
    """

    kind = "condition"

    def complaint(self, context: Context) -> str:
        """The proxy has to have a certificate."""
        return "" if context.tls else "do: not supported: certificate_rotate needs TLS: expected [edge.tls]"

    async def strike(self, stack: Stack) -> Details:
        """Rotates the certificate; returns once it is in force."""
        await stack.own_nginx.rotate_certificate()
        return {}
