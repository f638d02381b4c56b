"""The errors a user can cause, each with one line that says what is wrong, where, and what would be right."""


class SpinbnnError(ValueError):
    """Base of every error raised for bad input; its text is one line fit for a terminal."""


class GeometryError(SpinbnnError):
    """An impossible machine."""


class NetworkError(SpinbnnError):
    """A network that is inconsistent in itself."""


class NetworkFileError(SpinbnnError):
    """A network file that cannot be read or written."""


class CapacityError(SpinbnnError):
    """A network that does not fit a geometry, or a row that lies outside the array."""


class OperatingPointError(SpinbnnError):
    """An impossible operating point of the MRAM."""


class DataError(SpinbnnError):
    """Images, labels or bits that cannot be used."""


class TechnologyError(SpinbnnError):
    """A technology file that cannot be used, or an impossible number of a technology."""


class PulseError(SpinbnnError):
    """An impossible write pulse, or a time, current or error rate outside a model's region."""


class KernelError(SpinbnnError):
    """Compiled kernels that are asked for and cannot be built, or an impossible choice of them."""


class SweepError(SpinbnnError):
    """A results file that cannot be used, or a sweep that cannot go on."""
