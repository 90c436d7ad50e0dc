# Copyright (c) mmdiffkd contributors.
"""Count iterations without waiting for the device."""


class IterationCount:
    """For modules whose buffer ``iteration`` counts iterations.

    The host keeps the same count in ``_count``, because reading the buffer
    would wait for the device. Stands before ``nn.Module`` among the bases.
    """

    def recount(self) -> None:
        """Believe the buffer, which has been loaded or put back."""
        self._count = int(self.iteration)

    def _load_from_state_dict(self, *args) -> None:
        super()._load_from_state_dict(*args)
        self.recount()
