"""Which worker has which users: for a whole test, those that it was given.

Locust's own dispatcher deals everybody out anew when a worker comes or goes. Users then stop on some workers
and start on others: half the fleet would leave and come back in the middle of a storm that somebody measures.
Here a newcomer waits for the next test, and the users of a worker that is lost are lost.
"""

import itertools

from locust.dispatch import UsersDispatcher
from locust.runners import WorkerNode
from locust.user import User


class SteadyDispatcher(UsersDispatcher):
    """Deals out users as Locust does, and never again."""

    def __init__(self, worker_nodes: list[WorkerNode], user_classes: list[type[User]]) -> None:
        super().__init__(worker_nodes, user_classes)
        self._lost = 0

    def new_dispatch(
        self, target_user_count: int, spawn_rate: float, user_classes: list[type[User]] | None = None
    ) -> None:
        """Begins to bring up, or take away, users; those that are lost are not replaced."""
        super().new_dispatch(max(0, target_user_count - self._lost), spawn_rate, user_classes)

    def add_worker(self, worker_node: WorkerNode) -> None:
        """A newcomer gets no users in this test."""

    def remove_worker(self, worker_node: WorkerNode) -> None:
        """Nobody gets the users of a worker that has gone; those still to come go to the others."""
        staying = [worker for worker in self._worker_nodes if worker.id != worker_node.id]
        # Locust cannot dispatch to nobody; it stops a test whose last worker has gone.
        if not staying or len(staying) == len(self._worker_nodes):
            return
        lost = sum(self._users_on_workers.pop(worker_node.id).values())
        self._lost += lost
        self._current_user_count -= lost
        self._target_user_count -= lost
        self._worker_nodes = staying
        self._worker_node_generator = itertools.cycle(staying)
        self._active_users = [place for place in self._active_users if place[0].id != worker_node.id]
