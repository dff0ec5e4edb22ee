"""Every failure Spinney can name, in one tree.

    SpinneyError
    ├── UserError                      the caller can mend it; ``status`` is the HTTP status
    │   ├── BadRequest            400    HTTPBadRequest is the same fault found in the shape of the request
    │   ├── InvalidSpec           400
    │   ├── MultipleChoices       400
    │   ├── MethodVersionNotFound 400
    │   ├── RequestLimitExceeded  400
    │   ├── Unauthorized          401
    │   ├── Forbidden             403
    │   ├── DelegationRefused     403    Keystone does not let the service act in the caller's name
    │   ├── OverQuota             403
    │   ├── ResourceNotFound      404    PolicyBindingNotFound
    │   ├── RouteNotFound         404
    │   ├── InvalidGlobalAPIVersion 406
    │   ├── Conflict              409    ActionConflict, ActionCooldown, ActionInProgress, ActionImmutable,
    │   │                                ResourceIsLocked, ResourceInUse, FeatureNotSupported,
    │   │                                IdempotencyKeyInUse, RevisionConflict
    │   ├── IdempotencyKeyReused  422
    │   └── TooManyRequests       429
    ├── IdentityUnavailable      503    retry  the identity service cannot be asked whose token it is
    ├── StillAtWork              503    retry  a request took longer than a client is kept waiting; it goes on
    ├── ESchema                  500    a specification violates its schema where the API's contract says 500
    ├── ProfileOperationFailed   500    adopting failed; the Clustering API makes this a 500
    ├── LimitsUnknown            503   Keystone keeps the limits of projects and does not answer
    ├── HostError                      a Docker engine or the way to it; ``retryable`` tells the engine what to do
    │   ├── HostUnreachable       retry  refused, reset, timed out, TLS
    │   ├── HostBroken            retry  answered 500 or nonsense
    │   ├── HostRefused           final  the credential or certificate was refused, or the address is not permitted
    │   ├── ImageNotFound         final
    │   ├── ImagePullFailed       retry  registry out of reach
    │   ├── DiskFull              final
    │   ├── CommandNotFound       final  the image has no such program
    │   ├── PortTaken             final
    │   ├── NameTaken             final  a container that is not ours bears the name
    │   ├── NetworkMissing        retry  the project's network is not on the host
    │   ├── AddressPoolOverlap    final  the subnet is used by another network of the host
    │   ├── ContainerRefused      final  the Docker engine refuses the request for another reason
    │   ├── SecretUnusable        final  a secret cannot be opened, or lacks what was named
    │   ├── SecretUnavailable     retry  whoever keeps a secret does not answer
    │   └── ContainerGone         final  no such container
    ├── OutgoingFailed          retry  a request to an address that a project chose
    ├── OutgoingRefused         final  an address that a project chose, and that is not permitted
    ├── OctaviaFailed           retry  Octavia does not answer, or not as it should
    │   ├── OctaviaBusy         retry  it changes the load balancer just now, and takes one change at a time
    │   └── OctaviaRefused      final  it does not do what was asked; OctaviaGone: there is no such object
    ├── BadConfiguration               the process cannot start as it is configured
    └── LeaseLost                      this engine no longer owns what it was working on; nothing was written

Every message names what was asked, what was found and what to do. A library's error is wrapped once, in its driver, with
``raise … from``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Self


class SpinneyError(Exception):
    """Something went wrong that Spinney has a name for."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    #: True: the same call may succeed later without anybody changing anything.
    retryable: bool = False
    #: Seconds after which the caller may try again; 0: nothing is said of that.
    retry_after: float = 0.0

    def after(self, seconds: float) -> Self:
        """The same, with when to try again."""
        self.retry_after = seconds
        return self

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else (type(self).__doc__ or "")

    @property
    def type_name(self) -> str:
        """The name that clients see in ``error.type``."""
        return type(self).__name__


class UserError(SpinneyError):
    """The caller asked for something that cannot be done as asked."""

    status = HTTPStatus.BAD_REQUEST


class BadRequest(UserError):
    """A value makes no sense here."""


class HTTPBadRequest(BadRequest):
    """The request is malformed."""


class InvalidSpec(UserError):
    """A profile specification is not acceptable."""


class MultipleChoices(UserError):
    """A name or id prefix matches several objects."""


class MethodVersionNotFound(UserError):
    """The method does not exist at the API version asked for."""


class RequestLimitExceeded(UserError):
    """The request body is too large."""


class Unauthorized(UserError):
    """The request carries no valid credentials."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(UserError):
    """The caller's roles do not allow this."""

    status = HTTPStatus.FORBIDDEN


class DelegationRefused(UserError):
    """The identity service does not let the service act in the caller's name."""

    status = HTTPStatus.FORBIDDEN


class OverQuota(UserError):
    """A quota of the project is used up."""

    status = HTTPStatus.FORBIDDEN


class ResourceNotFound(UserError):
    """There is no such object, or it belongs to another project."""

    status = HTTPStatus.NOT_FOUND


class PolicyBindingNotFound(ResourceNotFound):
    """The policy exists, but is not attached to the cluster."""


class RouteNotFound(UserError):
    """There is nothing at this path."""

    status = HTTPStatus.NOT_FOUND

    @property
    def type_name(self) -> str:
        return "HTTPNotFound"


class InvalidGlobalAPIVersion(UserError):
    """The API version asked for is not spoken here."""

    status = HTTPStatus.NOT_ACCEPTABLE


class Conflict(UserError):
    """The state of the object does not allow this now."""

    status = HTTPStatus.CONFLICT


class ActionConflict(Conflict):
    """Another live action has the same target."""


class ActionCooldown(Conflict):
    """A scaling policy is still cooling down."""


class ActionInProgress(Conflict):
    """The object is changing."""


class ActionImmutable(Conflict):
    """The action is already final."""


class ResourceIsLocked(Conflict):
    """The object is locked by a running action."""


class ResourceInUse(Conflict):
    """Something refers to the object."""


class FeatureNotSupported(Conflict):
    """The object cannot do this in its present status."""


class IdempotencyKeyInUse(Conflict):
    """The first request with the Idempotency-Key is still at work."""


class RevisionConflict(Conflict):
    """The cluster is at another revision than the request was made for, or the revision cannot be restored."""


class IdempotencyKeyReused(UserError):
    """The Idempotency-Key came with another request before."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooManyRequests(UserError):
    """The project asks for more at a time than it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class IdentityUnavailable(SpinneyError):
    """The identity service does not answer, so that it is not known who asks."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retryable = True


class StillAtWork(SpinneyError):
    """The request takes longer than a client is kept waiting for."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retryable = True


class ESchema(SpinneyError):
    """A specification has no type or version, or a policy's violates its schema. The API's contract makes this a 500."""


class ProfileOperationFailed(SpinneyError):
    """What a profile type was to do with a physical object failed while the caller waited."""


class LimitsUnknown(SpinneyError):
    """Whoever keeps the limits of projects does not answer, and they were never read before."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retryable = True


class HostError(SpinneyError):
    """A Docker engine, or the way to it, failed."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class HostUnreachable(HostError):
    """The host does not answer."""

    retryable = True


class HostBroken(HostError):
    """The Docker engine failed or answered nonsense."""

    retryable = True


class HostRefused(HostError):
    """The host refused our credential, or its address is not permitted."""


class ImageNotFound(HostError):
    """The image exists neither on the host nor in its registry."""


class ImagePullFailed(HostError):
    """The image could not be pulled."""

    retryable = True


class DiskFull(HostError):
    """The host has no disk space left."""


class CommandNotFound(HostError):
    """The image does not contain the program to run."""


class PortTaken(HostError):
    """A published port is already in use on the host."""


class NameTaken(HostError):
    """A container that is not ours bears the name."""


class AddressPoolOverlap(HostError):
    """The subnet is already used by another network of the host."""


class NetworkMissing(HostError):
    """The network of the container is not on the host."""

    retryable = True


class ContainerRefused(HostError):
    """The Docker engine refuses the container."""


class SecretUnusable(HostError):
    """A secret that is needed on the host cannot be opened, or lacks what was named."""


class SecretUnavailable(HostError):
    """Whoever keeps a secret that is needed on the host does not answer."""

    retryable = True


class ContainerGone(HostError):
    """There is no such container on the host."""


class OutgoingFailed(SpinneyError):
    """An address that a project chose does not answer as it should."""

    retryable = True


class OutgoingRefused(SpinneyError):
    """An address that a project chose is not permitted."""


class OctaviaFailed(SpinneyError):
    """Octavia does not answer, or not as it should."""

    retryable = True


class OctaviaBusy(OctaviaFailed):
    """Octavia changes the load balancer just now."""


class OctaviaRefused(OctaviaFailed):
    """Octavia does not do what was asked of it."""

    retryable = False


class OctaviaGone(OctaviaRefused):
    """Octavia has no such object."""


class BadConfiguration(SpinneyError):
    """The process cannot start as it is configured."""


class LeaseLost(SpinneyError):
    """Another engine has taken over; nothing was written."""
